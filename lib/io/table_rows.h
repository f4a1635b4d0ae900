// Private to table.c: one row after another out of memory.
//
// A cutter stands at the beginning of a row and goes through memory that somebody else fills: what is
// cut points into it, or into the cutter's own scratch, and is good until the next row is. Several cutters may
// share a shape and go through one memory at a time, each on a thread of its own.
#ifndef BREW_IO_TABLE_ROWS_H
#define BREW_IO_TABLE_ROWS_H

#include "base/buf.h"
#include "io/json.h"
#include "io/table.h"

enum { BREW_ROWS_SLACK = 64 }; // readable bytes behind the memory, whatever they are

// What all rows of a table have in common.
typedef struct brew_row_shape {
    enum brew_table_format format; // not BREW_TABLE_AUTO
    char separator;
    size_t n; // fields of a row (not JSONL); 0: any number, for the header
    size_t n_wanted;
    char **wanted;      // [n_wanted] names
    size_t *wanted_len; // [n_wanted]
    size_t *places;     // [n_wanted] index among the row's fields (not JSONL)
} brew_row_shape;

// Zero-initialise, set shape, at, end and whole; release.
typedef struct brew_cutter {
    const brew_row_shape *shape;
    const char *at, *end; // what is not cut yet
    bool whole;           // the table ends at `end`
    uint64_t line, lines; // where the last row began, and what was passed, from 0
    const char *raw;      // the last row, without its line's end
    size_t raw_len;
    brew_field *all; // [n_all] its fields
    size_t n_all, all_cap;
    brew_field *fields; // [n_wanted]
    brew_json_slice *slices;
    size_t *likely; // [n_wanted] where among the members a key stood last
    brew_buf scratch;
    const char *marked; // marks are those of marked[0..64)
    uint64_t marks;
} brew_cutter;

enum brew_cut {
    BREW_CUT_ROW,   // fields, raw and line are those of the next row
    BREW_CUT_END,   // nothing is left
    BREW_CUT_BAD,   // raw and line are those of a bad row, err says why
    BREW_CUT_MORE,  // the row goes on behind `end`; nothing is taken
    BREW_CUT_BROKEN // no row can follow, err says why
};

enum brew_cut brew_cut_row(brew_cutter *c, brew_err *err);
void brew_cutter_release(brew_cutter *c);

#endif
