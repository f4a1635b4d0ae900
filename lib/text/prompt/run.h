// A run of brew-promptify: tasks with their tables and events, and the records that come of them.
//
//     brew_run_options options = {.task = "movies.task.json", .split = BREW_SPLITS, ...};
//     brew_run *run = brew_run_open(&options, &err);
//     while ((got = brew_run_next(run, out, &err)) > 0) ...
//     brew_run_facts(run, summary, &err);
//     brew_run_close(run);
//
// Opening reads the tables and all events, sorts them and fits what is to be fitted.
#ifndef BREW_TEXT_RUN_H
#define BREW_TEXT_RUN_H

#include "io/json.h"
#include "io/out.h"
#include "text/prompt/prompt.h"

// Something people should be told, a clause or sentence; `always` if it is a warning, else only when asked.
typedef void brew_say_fn(void *arg, bool always, const char *text);

typedef struct brew_run_options {
    const char *task, *mix;     // one of the two
    const char *state, *save;   // NULL: neither
    const char *at, *style;     // NULL: not given
    brew_events_options events; // without the time, arg, and what tables know
    int64_t history, questions; // at most; negative: as the task says
    int split;                  // the one that is written; BREW_SPLITS: all
    enum brew_control control;
    uint64_t seed;
    const size_t *cuts; // [n_cuts]
    size_t n_cuts;
    bool stats;       // count answers and lengths
    brew_say_fn *say; // may be NULL
    void *arg;        // for it; events.reject gets none of ours
} brew_run_options;

typedef struct brew_run brew_run;

// NULL on failure: BREW_USAGE also where options and tasks do not go together.
brew_run *brew_run_open(const brew_run_options *options, brew_err *err);
void brew_run_close(brew_run *run); // NULL is fine

// Rows of events, of all tasks; and rows of tables besides, that were taken.
brew_events_counts brew_run_rows(const brew_run *run);
uint64_t brew_run_accepted(const brew_run *run);
uint64_t brew_run_members(const brew_run *run); // so far

// Some more records to out (NULL: nowhere): 1, 0 at the end, -1 on error.
int brew_run_next(brew_run *run, brew_out *out, brew_err *err);

// Behind the last record: what --summary tells of them, said aloud where it matters.
int brew_run_facts(brew_run *run, brew_json *summary, brew_err *err);
// What there is, what was left out and why, and what records look like: a table with tabs. `rejected` rows
// were bad.
void brew_run_stats(brew_run *run, uint64_t rejected, brew_buf *out);
// Instead of records: a line for each event of the one record's member. See explain.h.
int brew_run_explain(brew_run *run, const char *id, brew_buf *out, brew_err *err);

#endif
