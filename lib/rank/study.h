// A study: scores and what they are set against, from their files to a report.
//
//     brew_study s = {.scores = {"scores.jsonl"}, .expect = -1, .how = {.k = 10, .replicates = 1000}, ...};
//     brew_json *report = brew_study_report(&s, &err);
//     ...
//     brew_study_release(&s);
//
// Everything above `reader` is set by the caller, and borrowed.
#ifndef BREW_RANK_STUDY_H
#define BREW_RANK_STUDY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "io/json.h"
#include "rank/baseline.h"
#include "rank/calibration.h"
#include "rank/evaluate.h"
#include "rank/reader.h"
#include "rank/systems.h"
#include "text/prompt/events.h"

typedef struct brew_names {
    const char *const *values; // [n]
    size_t n;
} brew_names;

typedef struct brew_study {
    const char
        *scores[2];    // "-" is standard input; a folder of columns, alone; the second: compared
    const char *group; // see brew_reader, like the next four
    brew_names by;
    bool prompts, sampled;
    int64_t since_ms;
    int64_t expect;                // records a file, -1: any number
    bool allow_empty;              // no records at all are no error
    bool allow_missing;            // answers that one side lacks are left out
    brew_names added;              // other systems, see added.h
    const char *task;              // of the baselines, NULL: none
    brew_names events;             // logs, none: the task's own
    bool static_only;              // no baselines as of each question
    const char *calibration, *fit; // a calibration to apply, or where to write one
    enum brew_calibration_method fit_method;
    brew_names chosen_on; // see chosen.h
    bool judged; // gates will follow: data that must not judge are an error, else a warning
    brew_evaluate_options how;
    brew_pool *pool;
    brew_reject_fn *reject;                    // of bad records and rows
    void (*warn)(void *arg, const char *text); // a complete sentence
    void (*progress)(void *arg, uint64_t lines);
    void *arg; // of the three

    brew_reader reader, other;
    brew_baselines baselines;
    brew_systems others;
    uint64_t records; // accepted
} brew_study;

// See report.h. NULL on failure. The caller frees it.
brew_json *brew_study_report(brew_study *study, brew_err *err);
void brew_study_release(brew_study *study);

#endif
