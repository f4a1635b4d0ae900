// A table of members or items in memory: for each id the columns that templates use, at one time or
// over time.
//
// Loaded once, then read-only and shared by threads. Without `valid_from` an id has one row, valid always; a second is a
// bad row. With it, an id may have several, of different times; what holds at a moment is the latest row
// whose valid_from is strictly before it, and before the first nothing holds.
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
    brew_intern ids;
    brew_field *fields; // [rows][n_columns], in the arena
    size_t n_rows, n_columns, fields_cap;
    struct brew_version {
        size_t id, row;
        int64_t from;
    } * versions;  // [rows] by (id, from); NULL: row = number of the id
    size_t *begin; // [ids + 1] into versions
    size_t versions_cap;
    brew_arena arena;
} brew_entities;

// Reads source's rows; nothing, if it has no path. Bad rows go to reject (NULL: an error) with arg.
// Counts rows read and rejected into *counts.
int brew_entities_load(brew_entities *out, const brew_source *source, const brew_columns *columns,
                       brew_reject_fn *reject, void *arg, brew_events_counts *counts,
                       brew_err *err);
void brew_entities_release(brew_entities *entities);
// The number of an id, or SIZE_MAX.
size_t brew_entities_find(const brew_entities *entities, const char *id, size_t len);
// The row that holds at a moment (ms) for an id's number; SIZE_MAX: none, nor for SIZE_MAX.
size_t brew_entities_row(const brew_entities *entities, size_t id, int64_t moment);
// When an id's first row begins to hold; INT64_MIN for one that always does.
int64_t brew_entities_since(const brew_entities *entities, size_t id);
// A field of a row: {NULL, 0} where the row had none, or there is no row.
brew_field brew_entities_field(const brew_entities *entities, size_t row, size_t column);

#endif
