// The task file: what a log means, and how it is asked about. brew-formats(5) documents it.
//
// brew_task_load reads and checks a JSON file; every key must be known and of the right type, and a
// message names FILE:LINE and the key. Paths in it are made relative to the file itself. The task is then
// read-only and shared by threads.
#ifndef BREW_TEXT_TASK_H
#define BREW_TEXT_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/table.h"
#include "text/prompt/datasplit.h"
#include "text/prompt/template.h"

enum brew_time_unit { BREW_TIME_S, BREW_TIME_MS, BREW_TIME_ISO };

// Time in ms since 1970-01-01 UTC, from a column's text: decimal seconds (further digits than ms are cut),
// ms, or ISO 8601 (2015-03-31, 2015-03-31T12:00[:00[.000]][Z|+01:00], a blank for T allowed, UTC unless
// told). Years 1 to 9999. False if malformed.
bool brew_time_parse(const char *text, size_t len, enum brew_time_unit unit, int64_t *out_ms);

// A file of rows.
typedef struct brew_source {
    char *path;                    // NULL: not given
    char *id;                      // tables of members and items: the column that names the row,
    char *valid_from;              // that which says from when it holds; NULL: always,
    enum brew_time_unit time_unit; // and its unit
    enum brew_table_format format;
} brew_source;

// An action: a kind of answer. Rules are tried in the order written and the first that fits decides; an
// action without rules takes what is left.
typedef struct brew_action {
    char *name, *label; // the label token's text, with its leading space
    char **values;      // [n_values] exact texts of the value column
    size_t n_values;
    bool has_min, has_below;
    double min, below; // numbers: min <= value < below
    bool positive;
} brew_action;

enum brew_train_questions {
    BREW_TRAIN_ONCE, // history and questions share the events: each is learned from in one record
    BREW_TRAIN_ALL   // every event is a question once
};

// What a template's part stands for: an id, or column k of a table as FIRST + 2 * k.
// Feature f is BREW_FIELD_FEATURE + f.
enum {
    BREW_FIELD_MEMBER_ID,
    BREW_FIELD_ITEM_ID,
    BREW_FIELD_MEMBER_COLUMN,
    BREW_FIELD_ITEM_COLUMN,
    BREW_FIELD_FEATURE = 1 << 28
};

// The columns of a table that templates use.
typedef struct brew_columns {
    char **names; // [n]
    size_t n;
} brew_columns;

typedef struct brew_task {
    char *path, *name;
    brew_source events, members, items;
    char *member_column, *item_column, *time_column, *value_column; // of events; value may be NULL
    enum brew_time_unit time_unit;
    brew_action *actions; // [n_actions], strongest first
    size_t n_actions;
    // A section that is not empty ends in a newline. Line and question are one line without it.
    brew_template instruction, note, profile, heading, line, summary, question;
    struct brew_features *features; // features.h; NULL: none
    brew_columns member_columns, item_columns;
    int64_t max_history, max_questions;
    enum brew_train_questions train;
    bool history_until_split; // questions after the split see nothing of their own split
    brew_datasplit split;
} brew_task;

// NULL on failure: BREW_USAGE for a wrong task, BREW_NOINPUT where the file cannot be opened.
brew_task *brew_task_load(const char *path, brew_err *err);
void brew_task_free(brew_task *task);

// The action of a value (len bytes), or -1 if none fits. For a task without a value column the value is
// empty.
int brew_task_action(const brew_task *task, const char *value, size_t len);

#endif
