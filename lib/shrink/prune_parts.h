// Inside lib/shrink: what the sources of a pruning share.
#ifndef BREW_SHRINK_PRUNE_PARTS_H
#define BREW_SHRINK_PRUNE_PARTS_H

#include "model/names.h"
#include "shrink/importance.h"
#include "shrink/prune.h"

struct brew_prune_job {
    brew_model *model;
    const brew_modeldir *dir;
    const brew_config *config;
    const brew_star *star;
    const brew_prune_options *options;
    brew_pruned *out;
    brew_importance *importance;
    double *heads, *neurons; // [L][H], [L][F] importance
    bool *skip;              // [L]
};

// A layer's matrix as F32 [rows, cols]; NULL on failure.
float *brew_prune_load(const struct brew_prune_job *job, enum brew_role role, int64_t layer,
                       brew_err *err);
// The importance of all heads and neurons in the layers that stay; with sums for the repair of neurons, too, if `mlp`.
int brew_prune_weigh(struct brew_prune_job *job, bool mlp, brew_err *err);
// From the importance of all to the cut's lists.
void brew_prune_choose_heads(struct brew_prune_job *job);
void brew_prune_choose_neurons(struct brew_prune_job *job, int64_t keep);
// Exchanges, where the options ask for them, and the repaired matrices.
int brew_prune_repair(struct brew_prune_job *job, brew_err *err);

#endif
