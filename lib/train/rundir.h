// The directory of a run: what it was begun with, its checkpoints, and in the end its model.
//
//     DIR/checkpoints/run.json      what identifies the run: arguments and digests of inputs
//     DIR/checkpoints/step-.../     train/checkpoint.h
//     DIR/checkpoints/finished.json when the model is there
//     DIR/metrics.jsonl             train/log.h
//     DIR/config.json, ...          the model, config.json last; of an adapter, adapter_config.json
//
// One process at a time: a second one is refused. A directory that holds anything else is refused, and
// so is one that was begun with something else, which is named.
#ifndef BREW_TRAIN_RUNDIR_H
#define BREW_TRAIN_RUNDIR_H

#include <stdbool.h>

#include "io/json.h"
#include "model/export.h"

typedef struct brew_rundir brew_rundir;

// Creates what is missing, locks, and removes what a killed process has left. identity: an object; that of
// a run begun before must have equal members. NULL on failure.
brew_rundir *brew_rundir_open(const char *path, const brew_json *identity, brew_err *err);
// What another rank of the same run (train/ranks.h) has open: not locked, touched or looked into.
brew_rundir *brew_rundir_look(const char *path);
void brew_rundir_close(brew_rundir *dir);          // NULL is fine
bool brew_rundir_fresh(const brew_rundir *dir);    // begun by this process
bool brew_rundir_finished(const brew_rundir *dir); // its model was written
const char *brew_rundir_path(const brew_rundir *dir);
const char *brew_rundir_checkpoints(const brew_rundir *dir); // DIR/checkpoints

// The first member in which two identities differ, NULL if there is none; of one of them.
const char *brew_rundir_difference(const brew_json *a, const brew_json *b);

// Writes the model into DIR, then finished.json, which holds `facts`.
int brew_rundir_finish(brew_rundir *dir, const brew_export *model, const brew_json *facts,
                       brew_err *err);

#endif
