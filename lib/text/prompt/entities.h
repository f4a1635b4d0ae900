// A table of members or items in memory: for each id the columns that templates use.
//
// Loaded once, then read-only and shared by threads. Ids are unique; a second row of one id is a bad row.
#ifndef BREW_TEXT_ENTITIES_H
#define BREW_TEXT_ENTITIES_H

#include <stddef.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/table.h"
#include "text/prompt/events.h"
#include "text/prompt/task.h"

typedef struct brew_entities {
    brew_intern ids;    // number = row
    brew_field *fields; // [rows][n_columns], in the arena
    size_t n_columns, fields_cap;
    brew_arena arena;
} brew_entities;

// Reads source's rows; nothing, if it has no path. Bad rows go to reject (NULL: an error) with arg.
// Counts rows read and rejected into *counts.
int brew_entities_load(brew_entities *out, const brew_source *source, const brew_columns *columns,
                       brew_reject_fn *reject, void *arg, brew_events_counts *counts,
                       brew_err *err);
void brew_entities_release(brew_entities *entities);
// The row of an id, or SIZE_MAX.
size_t brew_entities_find(const brew_entities *entities, const char *id, size_t len);
// A field of a row: {NULL, 0} where the row had none.
brew_field brew_entities_field(const brew_entities *entities, size_t row, size_t column);

#endif
