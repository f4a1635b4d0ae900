// Inside lib/train: a run being set up, as its sources share it.
#ifndef BREW_TRAIN_RUN_PARTS_H
#define BREW_TRAIN_RUN_PARTS_H

#include "train/plan.h"
#include "train/run.h"
#include "train/teacher.h"

// What a model on disk was: its digest, and the chain of what made it.
typedef struct brew_source_id {
    char sha256[65];
    uint64_t bytes;
    brew_json *chain; // or NULL
} brew_source_id;

typedef struct brew_run_parts {
    const brew_run_options *options;
    brew_train_job job;
    brew_learner_options learner;
    size_t memory; // bytes there are
    // Opened on the way:
    brew_modeldir *dir;
    brew_config config;
    brew_backend *be;
    brew_encoder *encoder;
    char *spooled; // path of the kept input
    brew_source_id model;
    brew_json *identity;
    brew_teacher *teacher;
    brew_source_id teacher_id; // of a model
    brew_hidden_map map;       // of hidden states, if they are matched
} brew_run_parts;

// Cross-checks and defaults: fills job, learner and memory with what needs no files.
int brew_run_check(brew_run_parts *run, brew_err *err);
// What is asked of the teacher beside its word on the labels: first the options alone; then against both
// models, once they are known; and the bytes that takes, for a micro-batch.
int brew_run_check_lessons(brew_run_parts *run, brew_err *err);
int brew_run_plan_lessons(brew_run_parts *run, brew_err *err);
size_t brew_run_lesson_bytes(const brew_run_parts *run, int64_t rows, int64_t reads);
// The steps of the run and its ramps, once the data are known.
int brew_run_count_steps(brew_run_parts *run, brew_err *err);

// Opens the run's directory: the first rank does, once all are sure to do the same run, the others look at it.
// 1 if it is finished. identity is there.
int brew_run_open_dir(brew_run_parts *run, brew_err *err);

// Digest and provenance of a model.
void brew_source_id_read(brew_source_id *id, const brew_modeldir *dir);
void brew_source_id_release(brew_source_id *id);
// What identifies the run (train/rundir.h), after everything but the learner is open.
brew_json *brew_run_identity(const brew_run_parts *run);
// The chain that ends in this run. Owned by the caller.
brew_json *brew_run_provenance(const brew_run_parts *run);

#endif
