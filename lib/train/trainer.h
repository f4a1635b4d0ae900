// A training run: steps over the data, validation, checkpoints, and going on from one.
//
// The state of a run between two steps is: the learner's values and moments; how many requests were taken
// from the data; and a few numbers. A checkpoint holds it, so that a run stopped anywhere and begun again
// gives the bits of one that never stopped, its log included, but for `seconds`.
//
// A step whose loss or gradient is not finite, or whose gradient is longer than `spike` times the mean of
// late, is skipped: its requests are spent, nothing is updated. Too many in a row end the run.
//
// Of several ranks (train/ranks.h) each runs this, with the same state; rank 0 alone writes.
#ifndef BREW_TRAIN_TRAINER_H
#define BREW_TRAIN_TRAINER_H

#include <signal.h>

#include "train/data.h"
#include "train/engine.h"
#include "train/ranks.h"
#include "train/rundir.h"
#include "train/schedule.h"

typedef struct brew_train_report {
    int64_t step, steps; // steps 0: not known
    double loss, tokens_per_second, seconds_left;
    int64_t tokens; // of the whole run so far
} brew_train_report;

typedef struct brew_train_job {
    // Open, and the caller's:
    brew_learner *learner;
    brew_model *teacher;        // or NULL
    const int32_t *teacher_ids; // see train/engine.h; or NULL
    brew_data *data, *valid;    // valid: held, one epoch; or NULL
    brew_rundir *dir;
    brew_ranks *ranks; // or NULL
    brew_pool *pool;
    const char *log_path;
    // What a step does:
    brew_objective objective;
    brew_ramp alpha, tau;
    brew_schedule schedule; // steps: of the run; 0: as long as the data last
    double lr, clip;        // clip 0: never
    brew_adamw adamw;       // beta1, beta2, eps, decay
    int64_t batch, micro_tokens;
    // Guards, validation, checkpoints:
    double spike; // 0: only what is not finite
    int64_t max_skipped;
    int64_t valid_every, patience; // patience 0: no early stopping
    int64_t save_every;            // in steps, 0: only by the clock
    double save_seconds;
    size_t keep;
    const volatile sig_atomic_t *stop;
    void (*report)(void *arg, const brew_train_report *report); // after every step, or NULL
    void (*say)(void *arg, const char *text); // what a user may want to know: one sentence
    void *arg;
} brew_train_job;

typedef struct brew_train_result {
    int64_t step, updates, skipped; // taken in the whole run
    uint64_t requests, tokens;
    double seconds, loss; // loss: of the last step
    int64_t best_step;    // by validation, 0: none
    double best_loss;
} brew_train_result;

// Runs to the end, and leaves the values to be published in the learner (with validation, the best ones): 0;
// 1 if stopped, with a checkpoint saved; -1 on an error. With ranks, this is how it went here: they agree next.
int brew_train(const brew_train_job *job, brew_train_result *result, brew_err *err);

#endif
