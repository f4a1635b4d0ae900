// Sorting byte strings that may not fit in memory.
//
// Strings are added, then come back in the order of memcmp (a string before its extensions). What
// exceeds the limit is sorted and written in runs to one file in $TMPDIR (or /tmp) that has no name and
// vanishes with the process; the runs are merged on the way back. The result does not depend on the
// limit, nor on the order of adding. Equal strings all come.
//
//     new, add ..., finish, next ... until 0, free.        Not shared between threads.
//     rewind, after finish: the strings come again from the first.
//
//     one slab:  | len, bytes | len, bytes | ->    free    <- | entry | entry |
#ifndef BREW_TEXT_SORTER_H
#define BREW_TEXT_SORTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/pool.h"

typedef struct brew_sorter brew_sorter;

enum { BREW_SORTER_MIN = 1 << 16 }; // bytes; a smaller limit is taken as this

// The pool, on which memory is sorted, may be NULL.
brew_sorter *brew_sorter_new(size_t memory_bytes, brew_pool *pool, brew_err *err);
void brew_sorter_free(brew_sorter *sorter); // NULL is fine
// Fails when a string is longer than a quarter of the memory, or the file cannot be written.
int brew_sorter_add(brew_sorter *sorter, const void *bytes, size_t len, brew_err *err);
// Adds all strings of a buffer that brew_sorter_begin and brew_sorter_end have filled.
int brew_sorter_add_all(brew_sorter *sorter, const brew_buf *strings, brew_err *err);
int brew_sorter_finish(brew_sorter *sorter, brew_err *err);
// The next string, valid until the next call (if brew_sorter_runs is 0, as long as the sorter): 1, 0 at the
// end, -1 on error.
int brew_sorter_next(brew_sorter *sorter, const unsigned char **bytes, size_t *len, brew_err *err);
// Up to max of the next strings: how many, 0 at the end, -1 on error. What came from a file is kept in
// `copies`, and valid until that changes.
typedef struct brew_sorted {
    const unsigned char *bytes;
    size_t len;
} brew_sorted;
ptrdiff_t brew_sorter_next_many(brew_sorter *sorter, brew_sorted *out, size_t max, brew_buf *copies,
                                brew_err *err);
int brew_sorter_rewind(brew_sorter *sorter, brew_err *err);
size_t brew_sorter_runs(const brew_sorter *sorter); // written; 0: all was in memory

// A string goes into a buffer behind its length: what stands between these two calls is one.
static inline size_t brew_sorter_begin(brew_buf *strings) {
    brew_buf_add(strings, "\0\0\0", 4);
    return strings->len;
}
static inline void brew_sorter_end(brew_buf *strings, size_t begin) {
    uint32_t len = (uint32_t)(strings->len - begin);
    memcpy(strings->ptr + begin - 4, &len, sizeof len);
}

#endif
