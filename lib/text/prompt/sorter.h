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
//
// An entry holds a string of up to eight bytes itself.
#ifndef BREW_TEXT_SORTER_H
#define BREW_TEXT_SORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/pool.h"

typedef struct brew_sorter brew_sorter;

// Strings one behind the other, each behind its length. Zero-initialise; what is added to `bytes` between
// _begin and _end is one.
typedef struct brew_strings {
    brew_buf bytes;
    size_t n, longest;
} brew_strings;

static inline uint32_t brew_sort_len(const unsigned char *at) { // of the string behind it
    uint32_t len;
    memcpy(&len, at, sizeof len);
    return len;
}
static inline size_t brew_strings_begin(brew_strings *strings) {
    brew_buf_add(&strings->bytes, "\0\0\0", 4);
    return strings->bytes.len;
}
static inline void brew_strings_end(brew_strings *strings, size_t begin) {
    uint32_t len = (uint32_t)(strings->bytes.len - begin);
    memcpy(strings->bytes.ptr + begin - 4, &len, sizeof len);
    strings->n++;
    if (len > strings->longest) strings->longest = len;
}
static inline void brew_strings_reset(brew_strings *strings) {
    brew_buf_reset(&strings->bytes);
    strings->n = strings->longest = 0;
}

// Strings that stand somewhere, each behind its length.
typedef struct brew_places {
    unsigned char **at;       // [n]
    size_t n, bytes, longest; // bytes: of all, with their lengths
} brew_places;

enum { BREW_SORTER_MIN = 1 << 16 }; // bytes; a smaller limit is taken as this

// The pool, on which memory is sorted, may be NULL.
brew_sorter *brew_sorter_new(size_t memory_bytes, brew_pool *pool, brew_err *err);
void brew_sorter_use(brew_sorter *sorter, brew_pool *pool); // another one from now on
void brew_sorter_free(brew_sorter *sorter);                 // NULL is fine
// Fails when a string is longer than a quarter of the memory, or the file cannot be written.
int brew_sorter_add(brew_sorter *sorter, const void *bytes, size_t len, brew_err *err);
// Adds the strings of n lists, which the pool's threads copy.
int brew_sorter_add_lists(brew_sorter *sorter, const brew_strings *const *lists, size_t n,
                          brew_err *err);
// The same from n lists of places. stay: the strings stay where they are, and must until the sorter is freed; it
// only points to them.
int brew_sorter_add_places(brew_sorter *sorter, const brew_places *const *lists, size_t n,
                           bool stay, brew_err *err);
int brew_sorter_finish(brew_sorter *sorter, brew_err *err);
// The next string, valid until the next call: 1, 0 at the end, -1 on error.
int brew_sorter_next(brew_sorter *sorter, const unsigned char **bytes, size_t *len, brew_err *err);
// Up to max of the next strings, each behind its length (brew_sort_len): how many, 0 at the end, -1 on error.
// If `copies` is empty afterwards, they stay where they are until the sorter is freed; otherwise they stand in
// there. Who does not rewind may write over them, with strings that are no longer.
ptrdiff_t brew_sorter_next_many(brew_sorter *sorter, unsigned char **out, size_t max,
                                brew_buf *copies, brew_err *err);
int brew_sorter_rewind(brew_sorter *sorter, brew_err *err);
size_t brew_sorter_runs(const brew_sorter *sorter); // written; 0: all was in memory

#endif
