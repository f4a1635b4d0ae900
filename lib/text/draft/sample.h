// The first rows of a table, whatever its columns are called, and what each column holds: for guessing.
//
// A file whose first line looks like a row (numbers, times or slates among its cells, or a value that the
// caller knows) has no header: its columns are then named column1, column2, ... All rows up to a limit are
// kept, each cell as the number of its value among the column's distinct ones. Rows that cannot be read are
// counted and left out. Read once, then read-only.
#ifndef BREW_DRAFT_SAMPLE_H
#define BREW_DRAFT_SAMPLE_H

#include "base/hash.h"
#include "io/table.h"
#include "text/prompt/task.h"

enum { BREW_SAMPLE_ROWS = 100000 };
#define BREW_SAMPLE_NONE UINT32_MAX // no value: absent or empty

// What a distinct value looks like; a value may be several of them.
enum brew_looks {
    BREW_LOOKS_NUMBER = 1,
    BREW_LOOKS_WHOLE = 2,   // a number without a point
    BREW_LOOKS_SECONDS = 4, // since 1970, of the years 1973 to 2128
    BREW_LOOKS_MS = 8,
    BREW_LOOKS_ISO = 16,
    BREW_LOOKS_MDY = 32,
    BREW_LOOKS_SLATE = 64, // ITEM-0 and ITEM-1 between blanks
    BREW_LOOKS_WORDS = 128 // holds a letter
};

typedef struct brew_sample_column {
    char *name;     // "" for one without a name
    bool ambiguous; // another has the same name: it cannot be asked for
    bool nested;    // arrays or objects stand in it: it cannot be read
    brew_intern values;
    uint8_t *looks;   // [values] enum brew_looks
    uint32_t *counts; // [values] rows
    uint32_t *cells;  // [rows] value numbers, or BREW_SAMPLE_NONE
    size_t looks_cap, counts_cap, cells_cap;
    size_t n;        // rows with a value
    size_t chars;    // of all of them
    size_t numbers;  // distinct values that are
    double min, max; // of them
} brew_sample_column;

typedef struct brew_sample {
    enum brew_table_format format;
    bool headless, whole;        // whole: all rows were read
    brew_sample_column *columns; // [n]
    size_t n, n_rows, bad, columns_cap;
} brew_sample;

// known (may be NULL): a value of it in the first line tells that the line is a row. -1 where the file
// cannot be read, or holds no rows.
int brew_sample_read(brew_sample *out, const char *path, const brew_intern *known, brew_err *err);
void brew_sample_release(brew_sample *sample);

// The share of the rows with a value whose value looks like all of these.
double brew_sample_share(const brew_sample_column *column, int looks);
// Rows over distinct values.
bool brew_sample_repeats(const brew_sample_column *column);
// Has each value of `of` always the same value here? Rows without either do not count.
bool brew_sample_depends(const brew_sample *sample, const brew_sample_column *column,
                         const brew_sample_column *of);
// The text of a row's cell, or NULL.
const char *brew_sample_text(const brew_sample_column *column, size_t row, size_t *len);
// The names of all columns, for messages: "a", "b" and "c".
void brew_sample_names(const brew_sample *sample, brew_buf *out);

#endif
