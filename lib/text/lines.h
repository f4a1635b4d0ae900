// Lines of a text through several threads, and out again in their order.
//
// Lines are read in chunks, a chunk is one task of the pool, and results are handed out line by line in
// the order read. What a line becomes is the caller's function; it sees one line at a time and writes
// only to its chunk, so the thread count cannot show in the results.
//
// Life cycle: new, next until 0 or -1, free. The input stays the caller's. A result is valid until the
// next call.
#ifndef BREW_TEXT_LINES_H
#define BREW_TEXT_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/pool.h"
#include "io/in.h"
#include "tensor/star.h"

enum { BREW_LINE_MAX = 256 << 20 }; // bytes in a record

// Makes a line into a request appended to star, or bytes appended to text, or both or neither. On
// failure (nonzero, err written) both must be as before. worker is in [0, threads of the pool).
typedef int brew_line_fn(void *arg, int worker, const char *line, size_t len, brew_star *star,
                         brew_buf *text, brew_err *err);

typedef struct brew_line {
    const char *line; // as read, without the newline
    size_t len;
    uint64_t number;        // in the input, from 1
    const brew_err *failed; // why there is no result, or NULL
    const char *text;       // what was appended to text
    size_t text_len;
    const brew_star *star; // where the request stands, if one was appended, else NULL
    size_t request;
} brew_line;

typedef struct brew_lines brew_lines;

brew_lines *brew_lines_new(brew_in *in, brew_pool *pool, brew_line_fn *fn, void *arg);
void brew_lines_free(brew_lines *lines);
// The next line: 1; 0 the clean end; -1 the input cannot be read on, when all lines before are handed
// out. A line that is too long or holds a NUL comes out as failed.
int brew_lines_next(brew_lines *lines, brew_line *line, brew_err *err);

#endif
