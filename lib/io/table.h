// Tables: rows of named columns from CSV, TSV, RecBole's atomic files or JSONL, compressed or not.
//
// CSV is RFC 4180: fields may stand in double quotes, a quote inside is doubled, and commas and line
// breaks may stand between them. TSV has no quoting. An atomic file is TSV whose header says NAME:TYPE.
// In the three, the first row is the header, every row has as many fields as it, lines may end in CRLF,
// and the last line's end may be missing. In JSONL a column is a top-level key; strings give their
// text, numbers and true and false stand as they are written, null and absent keys give no field. A
// byte order mark at the start is skipped. Rows must be UTF-8 without NUL.
//
// Life cycle: open naming the columns wanted, take rows until 0 or a lasting error, close. Not shared
// between threads, but for the parts of a round:
//
//     while ((n_parts = brew_table_round(table, pool, 8, read_part, states, &err)) > 0)
//         for (ptrdiff_t i = 0; i < n_parts; i++) use(&states[i]);
#ifndef BREW_IO_TABLE_H
#define BREW_IO_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"

typedef struct brew_table brew_table;

enum brew_table_format {
    BREW_TABLE_AUTO, // by the path's extension, without .gz, .zst or .xz; else by the first line
    BREW_TABLE_CSV,
    BREW_TABLE_TSV,
    BREW_TABLE_ATOMIC, // .inter, .user, .item
    BREW_TABLE_JSONL   // .jsonl, .ndjson, .json
};

enum { BREW_TABLE_MAX_ROW = 16 << 20 }; // bytes; a longer row is refused

typedef struct brew_field {
    const char *ptr; // not NUL-terminated; NULL: no such field in this row (JSONL only)
    size_t len;
} brew_field;

// Opens path ("-": standard input) and finds the wanted columns in the header. NULL on failure; a column
// that is missing, or stands twice, is named (BREW_DATA). The names are copied.
brew_table *brew_table_open(const char *path, enum brew_table_format format,
                            const char *const *columns, size_t n_columns, brew_err *err);
// The same of a file whose first line is a row already: header gives the names of all its columns (JSONL:
// it must be empty). With n_header 0 the file has its own.
brew_table *brew_table_open_headed(const char *path, enum brew_table_format format,
                                   const char *const *header, size_t n_header,
                                   const char *const *columns, size_t n_columns, brew_err *err);
void brew_table_close(brew_table *table);             // NULL is fine
const char *brew_table_name(const brew_table *table); // for messages

// The next row: 1, and fields[n_columns] in the order of the wanted columns, valid until the next call;
// 0 the clean end; -1 an error. After an error brew_table_failed tells whether reading cannot go on;
// otherwise only this row was bad, and the next call gives the next one.
int brew_table_next(brew_table *table, const brew_field **fields, brew_err *err);
bool brew_table_failed(const brew_table *table);
// For who does not know the columns: the file's form, and (not of JSONL) all fields of the last good row, or
// right after opening those of the header line. Valid until the next call of brew_table_next.
enum brew_table_format brew_table_form(const brew_table *table);
const brew_field *brew_table_row(const brew_table *table, size_t *n);
// Of the last row, good or bad: its first line's number (the header is 1), and its bytes as they stand
// in the (decoded) file without the line's end. Messages of bad rows do not say the place themselves.
uint64_t brew_table_line_number(const brew_table *table);
void brew_table_raw(const brew_table *table, const char **bytes, size_t *len);

// A stretch of rows.
typedef struct brew_table_part brew_table_part;
// The part's next row, as brew_table_next gives it, but that a lasting error is the end here, and fails the next round.
// Pointers are good until the next row is taken, raw bytes until the next round.
int brew_part_next(brew_table_part *part, const brew_field **fields, brew_err *err);
void brew_part_raw(const brew_table_part *part, const char **bytes, size_t *len);
uint64_t brew_part_line(const brew_table_part *part); // of the last row, from 0 in the part

// Takes all rows of a part. It may be called twice for a part, one call after the other, with other rows
// the second time: what the first call did is then void. (Where a part begins is a guess while others are read: a
// line's end may stand inside quotes.) For part 0 it is called once.
typedef void brew_part_fn(void *arg, size_t part, brew_table_part *rows);
// Reads rows in up to max_parts parts on the pool's threads: the number of parts read, each of which holds
// the rows behind those of the part before; 0 at the clean end; -1 a lasting error.
ptrdiff_t brew_table_round(brew_table *table, brew_pool *pool, size_t max_parts, brew_part_fn *work,
                           void *arg, brew_err *err);
uint64_t brew_table_part_line(const brew_table *table, size_t part); // of its first row, from 1

#endif
