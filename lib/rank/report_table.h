// Aligned tables and their cells, for the report as text. Only lib/rank/report_*.c includes it.
#ifndef BREW_RANK_REPORT_TABLE_H
#define BREW_RANK_REPORT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "io/json.h"

enum { BREW_CELLS_MAX_COLUMNS = 24, BREW_CELL = 64 };

// Cells are gathered first; then every column gets its width. Set columns, add cells row by row, write.
typedef struct brew_cells {
    char (*cell)[BREW_CELL]; // [rows][columns]
    size_t columns, n, cap;
} brew_cells;

void brew_cells_add(brew_cells *t, const char *text);
void brew_cells_count(brew_cells *t, uint64_t n);
// A figure's value, and its interval; "-" for none. sign: with + where it is positive.
void brew_cells_value(brew_cells *t, const brew_json *figure, bool sign);
void brew_cells_interval(brew_cells *t, const brew_json *figure, bool sign);
// First column to the left, the others to the right, two blanks between; empties t.
void brew_cells_write(brew_buf *out, brew_cells *t);

// The parts of the text after the metrics; nothing where the report has none.
void brew_report_text_tasks(brew_buf *out, const brew_json *report);
void brew_report_text_slices(brew_buf *out, const brew_json *report);
void brew_report_text_cut(brew_buf *out, const brew_json *report);
void brew_report_text_systems(brew_buf *out, const brew_json *report);
void brew_report_text_reliability(brew_buf *out, const brew_json *report);

bool brew_is_number(const brew_json *value);
uint64_t brew_count_at(const brew_json *object, const char *key); // 0 if absent
const char *brew_grouped(uint64_t value, char text[32]);          // 19940 as "19,940"

#endif
