// Ways to cut answers into slices: by a field of the records, or by several crossed.
//
//     SPEC = PART [*PART]...        PART = FIELD [:EDGE,EDGE,...]
//
// "item.X" is item_meta.X, anything else a field of meta (in a plain row: of the row). Without edges each
// value is a slice, but for meta.history, which is cut into 0-5, 6-10, 11-100 and 101+. Edges, ascending,
// cut numbers into half-open ranges: "0,5,20" gives <0, [0,5), [5,20) and [20,inf). Of a field that ends in
// "time" (seconds since 1970), "time:month" is the calendar month (UTC), "time:ahead" the number of
// months of 30.4375 days begun since `since_ms`.
#ifndef BREW_RANK_SLICE_H
#define BREW_RANK_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "io/json.h"

enum { BREW_BY_MISSING = UINT32_MAX, BREW_BY_MAX_VALUES = 1000, BREW_BY_MAX_PARTS = 4 };

enum brew_by_kind { BREW_BY_VALUES, BREW_BY_HISTORY, BREW_BY_EDGES, BREW_BY_MONTH, BREW_BY_AHEAD };

typedef struct brew_by_part {
    char *field;  // as given, without edges
    char *in;     // the key in meta or item_meta: points into field
    bool of_item; // of item_meta
    enum brew_by_kind kind;
    double *edges; // [n_edges]
    size_t n_edges;
} brew_by_part;

typedef struct brew_by {
    char *name; // the fields, joined by '*', with :month and :ahead
    brew_by_part part[BREW_BY_MAX_PARTS];
    size_t n_parts;
    brew_intern values;                 // their texts, crossed ones joined by " * "
    double (*place)[BREW_BY_MAX_PARTS]; // [values.count] for order: NaN for texts
    uint32_t *value;                    // [answers.n] a number in values, or BREW_BY_MISSING
    size_t place_cap, cap;
} brew_by;

// *by is overwritten. BREW_USAGE for a bad SPEC.
int brew_by_parse(brew_by *by, const char *spec, brew_err *err);
void brew_by_release(brew_by *by);

// The slice of a record's item, of whose fields values[n_parts] are (NULL: none), as a number in
// by->values, or BREW_BY_MISSING if one of them is missing or null. text is scratch.
int brew_by_number(brew_by *by, const brew_json *const *values, int64_t since_ms, brew_buf *text,
                   uint32_t *out, brew_err *err);
// The value of a slice as text; NULL for BREW_BY_MISSING.
const char *brew_by_text(const brew_by *by, uint32_t value);
// order[values.count + 1]: all numbers as they should be listed, numbers by size, texts by their bytes
// behind them; BREW_BY_MISSING is last.
void brew_by_order(const brew_by *by, uint32_t *order);

#endif
