// Two score files side by side, joined on (id, item_id).
#ifndef BREW_RANK_COMPARE_H
#define BREW_RANK_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "rank/reader.h"

// The rows of a reader by request and item. Release also after a failure.
typedef struct brew_index {
    uint32_t *slot; // an open table; 0 is empty, else the row + 1
    size_t mask;
    const brew_reader *of;
} brew_index;

// An answer that stands twice is an error; `which` names the file in its message.
int brew_index_init(brew_index *index, const brew_reader *of, const char *which, brew_err *err);
size_t brew_index_find(const brew_index *index, uint32_t request, uint32_t item); // SIZE_MAX: none
void brew_index_release(brew_index *index);

typedef struct brew_join {
    uint32_t *row_a, *row_b; // [n] rows of the same answer, in the order of a
    size_t n;
    uint64_t only_a, only_b; // answers with a known outcome that the other side lacks
} brew_join;

// Items without item_ids are joined by their place in the record. It is an error if an answer stands twice
// in one file, if outcomes or weights differ (unless b is blind), and, unless allow_missing, if an answer is missing on one
// side.
int brew_join_init(brew_join *join, const brew_reader *a, const brew_reader *b, bool allow_missing,
                   brew_err *err);
void brew_join_release(brew_join *join);

#endif
