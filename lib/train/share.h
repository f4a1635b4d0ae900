// A batch shared out among ranks: each computes its requests, and all get the sums.
//
// Ranks with the same gradients take the same step, if their machines compute alike. Whether they do is looked at:
// each step compares a million of the weights, those after the last step's, so that a rank whose mathematical
// library rounds otherwise is found at once, and one flipped bit before long.
#ifndef BREW_TRAIN_SHARE_H
#define BREW_TRAIN_SHARE_H

#include "train/engine.h"
#include "train/ranks.h"

typedef struct brew_share {
    brew_ranks *ranks; // NULL: brew_engine_run alone
    brew_engine *engine;
    brew_learner *learner; // the engine's; its gradients become those of the whole batch
    size_t n_tasks;
    int64_t step; // says which of the weights are compared
} brew_share;

// As brew_engine_run, and the same on every rank: 1 if any was stopped, -1 if any failed. step's rank and ranks
// are not looked at.
int brew_share_run(const brew_share *share, const brew_batch *batch, const brew_engine_step *step,
                   brew_terms *total, brew_terms *tasks, brew_err *err);

#endif
