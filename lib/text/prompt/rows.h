// Private to the readers of tables: one loop over rows, good and bad.
#ifndef BREW_TEXT_ROWS_H
#define BREW_TEXT_ROWS_H

#include "base/pool.h"
#include "io/table.h"
#include "text/prompt/events.h"

// Takes one row: 0; 1 bad row (err says why); negative a lasting error.
typedef int brew_row_fn(void *state, const brew_field *fields, brew_err *err);

// Who takes rows. With several states rows are read on the pool's threads, a stretch of them into each state at a time;
// bad rows and what states hold then come in the order of the rows, as if there were one.
typedef struct brew_rows_taker {
    brew_row_fn *take;
    void (*begin)(
        void *state); // empties a state, which may be filled anew; NULL: one state, filled once
    // Uses what the first n states hold, in the order of the rows: 0, or -1. NULL: nothing to do.
    int (*end)(void **states, size_t n, brew_err *err);
    void **states; // [n_states]
    size_t n_states;
    brew_pool *pool;
    brew_reject_fn *reject; // NULL: the first bad row is an error
    void *arg;              // of reject
} brew_rows_taker;

// Reads all rows of a table, in the form that a source has (NULL: as the path says), and counts them. -1 on
// a lasting error, or when reject says so.
int brew_rows_read(const char *path, const brew_source *as, const char *const *columns,
                   size_t n_columns, const brew_rows_taker *taker, brew_events_counts *counts,
                   brew_err *err);

// Is this an id: there, not empty, without NUL?
static inline bool brew_is_id(brew_field field) {
    return field.len && !memchr(field.ptr, 0, field.len);
}

#endif
