// Prompt records: a member's events, told and asked in the words of a task. The record is that of
// brew-formats(5).
//
// A prompter holds the task and its tables, read-only and shared by threads; each thread brings its own
// brew_prompt_scratch. The query is instruction, note, profile, heading, then one line per shown event:
// the line's text, the label of what was done, a newline; then the summary. An item is a question's text:
// each event asked about is an item for each kind of question.
#ifndef BREW_TEXT_PROMPT_H
#define BREW_TEXT_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "text/prompt/asof.h"
#include "text/prompt/control.h"
#include "text/prompt/entities.h"
#include "text/prompt/events.h"
#include "text/prompt/plan.h"
#include "text/prompt/similar.h"
#include "text/prompt/stats.h"
#include "text/prompt/task.h"

typedef struct brew_prompter {
    const brew_task *task;
    brew_entities members, *items; // [task->n_item_tables]
    bool
        *counts_as; // [task->counted.n][task->n_actions] is the action one that the summary counts?
    size_t max_history, max_questions; // the task's, unless changed before use
    bool wanted[BREW_SPLITS];          // splits to write: all, unless changed
    brew_asof *asof; // set by the caller for a task with features; members then come with values
    bool candidates; // write records of candidates, and nothing else
    enum brew_control control;
    bool stats;    // count answers and lengths into each scratch
    uint64_t seed; // of what is drawn
    size_t style;  // of all records; SIZE_MAX, unless changed: as they are drawn
    double share;  // of train records that are written: 1, unless changed
    const size_t
        *cuts; // [n_cuts] lengths to which histories of all but train are cut short, besides
    size_t n_cuts;
    size_t max_records;        // of these for each member, 0: no limit
    brew_events_counts counts; // rows of the tables
} brew_prompter;

// Loads the task's tables. Bad rows go to reject (NULL: an error) with arg. The task must outlive it.
int brew_prompter_open(brew_prompter *out, const brew_task *task, brew_reject_fn *reject, void *arg,
                       brew_err *err);
void brew_prompter_close(brew_prompter *prompter);

// Fit brew_known_fn where arg is the prompter: always true for a task without that table.
bool brew_prompter_knows_member(void *prompter, size_t log, const char *id, size_t len);
bool brew_prompter_knows_item(void *prompter, size_t log, const char *id, size_t len);

typedef struct brew_prompt_counts {
    uint64_t records, questions, answered, shown;
    uint64_t events, positives; // of all members, drawn ones included; in the first
} brew_prompt_counts;

typedef struct brew_prompt_scratch { // zero-initialise
    brew_stats *stats;               // if the prompter wants them
    brew_plan plan;
    brew_similar similar; // the lines of the member, to choose among
    brew_buf query, text, value;
    size_t *shown, n_shown;   // the events of the record's lines
    uint64_t *draws, *sorted; // [records] whether one stays in a mix
    size_t draws_cap, sorted_cap;
    int64_t *lines, *offsets; // [n_shown]: where a line begins, and its label
    int *labels;              // [n_shown] the actions that lines tell; -1: none
    size_t *item_rows;        // [events]: in the log's item table
    size_t shown_cap, lines_cap, offsets_cap, labels_cap, item_rows_cap;
} brew_prompt_scratch;
void brew_prompt_scratch_release(brew_prompt_scratch *scratch);

// Appends the member's records to out, one JSON object a line, and adds to the counts by split (of
// candidates: to the first). Ids were checked when the events were read, so this cannot fail.
void brew_prompter_write(const brew_prompter *prompter, brew_prompt_scratch *scratch,
                         const brew_member *member, brew_buf *out,
                         brew_prompt_counts counts[BREW_SPLITS]);

// Plans the member's record of this number, cut short to `kept` lines (SIZE_MAX: it is not), and fills
// scratch->shown. False if there is none.
bool brew_prompter_choose(const brew_prompter *prompter, brew_prompt_scratch *scratch,
                          const brew_member *member, size_t number, size_t kept,
                          brew_plan_record *out);

#endif
