// Private to the readers of tables: one loop over rows, good and bad.
#ifndef BREW_TEXT_ROWS_H
#define BREW_TEXT_ROWS_H

#include "io/table.h"
#include "text/prompt/events.h"

// Takes one row: 0; 1 bad row (err says why); negative a lasting error.
typedef int brew_row_fn(void *state, const brew_field *fields, brew_err *err);

// Reads all rows of a table, in the form that a source has (NULL: as the path says), and counts them; bad ones go to reject. -1 on a lasting error, or when reject
// says so.
int brew_rows_read(const char *path, const brew_source *as, const char *const *columns,
                   size_t n_columns, brew_row_fn *take, void *state, brew_reject_fn *reject,
                   void *arg, brew_events_counts *counts, brew_err *err);

// Is this an id: there, not empty, without NUL?
static inline bool brew_is_id(brew_field field) {
    return field.len && !memchr(field.ptr, 0, field.len);
}

#endif
