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

enum brew_time_unit { BREW_TIME_S, BREW_TIME_MS, BREW_TIME_ISO, BREW_TIME_MDY, BREW_TIME_ROW };

// Time in ms since 1970-01-01 UTC, from a column's text: decimal seconds (further digits than ms are cut),
// ms, or ISO 8601 (2015-03-31, 2015-03-31T12:00[:00[.000]][Z|+01:00| UTC], a blank for T allowed, UTC unless
// told), or 11/15/2019 8:55:22 AM (month first, UTC). Years 1 to 9999. False if malformed.
bool brew_time_parse(const char *text, size_t len, enum brew_time_unit unit, int64_t *out_ms);

// A file of rows.
typedef struct brew_source {
    char *path;                    // NULL: not given
    char *id;                      // tables of members and items: the column that names the row,
    char *valid_from;              // that which says from when it holds; NULL: always,
    enum brew_time_unit time_unit; // and its unit
    enum brew_table_format format;
    char **header; // [n_header] the names of all columns, of a file without a header line
    size_t n_header;
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
    bool drawn;    // never in the log, only drawn as a negative
    bool *implies; // [n] whether who did this has done that, too; itself included
    double gain;   // for NDCG; 1 for positive ones, else 0, unless told
    double rate;   // kept in a sampled history
} brew_action;

// What can be done on a surface, strongest first: the label set of its history lines.
typedef struct brew_actions {
    brew_action *list; // [n]
    size_t n, first;   // counted through all sets, where this one's begin
    bool gains;        // told in the task file
} brew_actions;

// The columns of a table that are used.
typedef struct brew_columns {
    char **names; // [n]
    size_t n;
} brew_columns;

// A table of members or items, with the columns that templates and records use.
typedef struct brew_entity_table {
    brew_source source; // no path: there is none
    brew_columns columns;
    size_t n_meta; // the first of the columns are written into item_meta, or a record's meta
    bool told;     // a template has one of the columns
} brew_entity_table;

// A kind of question about an event: the choice among the actions, or whether one of them was done.
typedef struct brew_question {
    char *name;
    int action;      // -1: the choice; otherwise labels[0] if that action was done, else labels[1]
    char *labels[2]; // NULL for the choice
    brew_template *texts; // [n_styles]
} brew_question;

// A style: one set of templates. A record is told and asked in one. Those of logs stand there.
typedef struct brew_style {
    char *name; // NULL: the only one, which has none
    // Sections: one that is not empty ends in a newline. The summary stands behind the history.
    brew_template instruction, note, profile, heading, summary;
} brew_style;
enum { BREW_STYLES_MAX = 100 };

// A log: rows of who did what with which item, and when. Its rows are either events as they stand, one
// for each (member, item, time), whose action is known at once; or they collapse to units: rows of one
// key (member, item, request, further columns) within `window` of the first make one event, at the time
// of the first, with the strongest action of all, which is known when the window and `lag` have passed.
typedef struct brew_log {
    char *surface, *task; // NULL: no surface; the task's own name
    brew_source events;
    char *member_column, *item_column, *value_column; // value may be NULL
    char *time_column;                                // NULL: the number of the row stands for it
    char *request_column, *weight_column, *split_column; // may be NULL
    brew_columns key;                                    // further columns of a unit's key
    brew_columns context; // what travels with an event, from its first row
    size_t *meta, n_meta; // those of the context that are written into item_meta
    bool slate; // item_column holds pairs ITEM-VALUE between blanks, which share the row's time
    bool units;
    int64_t window_ms, lag_ms;
    int64_t until; // ms since 1970, exclusive end of what the log holds; INT64_MAX: its last row
    int split;     // enum brew_split of all its events, -1: the task's split decides
    enum brew_time_unit time_unit;
    size_t actions, items;    // in the task's action_sets and item_tables
    brew_template *lines;     // [n_styles] of a past event
    brew_question *questions; // [n_questions]
    size_t n_questions;
} brew_log;

// What a file of candidates has, and as what they are asked.
typedef struct brew_candidates {
    size_t log;        // the one whose questions are asked: the first that is asked, unless told
    brew_source form;  // format and header alone
    char *item_column; // NULL: the log's, or "item" if that holds slates
    bool slate;        // it holds items between blanks
    char *request_column, *time_column; // NULL: it has none
    enum brew_time_unit time_unit;
    bool context;        // all columns of the log's context
    bool whole_requests; // a request is one record, whatever the number of its candidates
} brew_candidates;

enum brew_train_questions {
    BREW_TRAIN_ONCE, // history and questions share the events: each is learned from in one record
    BREW_TRAIN_ALL   // every event is a question once
};

// What a template's part stands for: a kind, and for a column its position: kind + BREW_FIELD_KINDS * k.
enum brew_field_kind {
    BREW_FIELD_MEMBER_ID,
    BREW_FIELD_ITEM_ID,
    BREW_FIELD_GAP,     // since the member's previous event, in words
    BREW_FIELD_DATE,    // of the event, UTC
    BREW_FIELD_SURFACE, // of the event
    BREW_FIELD_MEMBER_COLUMN,
    BREW_FIELD_ITEM_COLUMN,  // of the log's item table
    BREW_FIELD_EVENT_COLUMN, // of the log's context
    BREW_FIELD_COUNT, // events of the member that are known; k > 0: that imply counted action k - 1
    BREW_FIELD_FEATURE,
    BREW_FIELD_KINDS = 32
};

enum brew_history_select {
    BREW_HISTORY_RECENT, // the last max_history
    BREW_HISTORY_ALL,
    BREW_HISTORY_SAMPLE, // each event with its action's rate, then the last max_history
    BREW_HISTORY_SIMILAR // the max_history whose lines share most with the questions (BM25)
};

typedef struct brew_task {
    char *path, *name;
    brew_log *logs; // [n_logs]
    size_t n_logs;
    brew_actions *action_sets;               // [n_action_sets]
    size_t n_action_sets, n_actions;         // n_actions: of all sets
    brew_entity_table members, *item_tables; // [n_item_tables]
    size_t n_item_tables;
    brew_style *styles; // [n_styles], one at least
    size_t n_styles;
    struct brew_features *features;       // features.h; NULL: none
    brew_columns counted;                 // names of actions that the summary counts
    struct brew_negatives_how *negatives; // negatives.h; NULL: none
    brew_candidates candidates;
    int64_t max_history, max_questions;
    enum brew_history_select select;
    bool plain;         // history lines do not tell what was done
    bool drop_quarters; // the oldest lines go a quarter of max_history at a time
    bool *told, *asked; // [n_logs] whose events are history, and questions
    enum brew_train_questions train;
    bool history_until_split; // questions after the split see nothing of their own split
    brew_datasplit split;
} brew_task;

// NULL on failure: BREW_USAGE for a wrong task, BREW_NOINPUT where the file cannot be opened.
brew_task *brew_task_load(const char *path, brew_err *err);
void brew_task_free(brew_task *task);

// The number of a style, or SIZE_MAX.
size_t brew_task_style(const brew_task *task, const char *name);

static inline const brew_actions *brew_log_actions(const brew_task *task, size_t log) {
    return &task->action_sets[task->logs[log].actions];
}

// The action of a value (len bytes), or -1 if none fits. For a log without a value column the value is
// empty.
int brew_actions_find(const brew_actions *actions, const char *value, size_t len);

#endif
