// Choosing a cut by what a calibration stream shows, and repairing what it leaves.
//
// In this order: the layers that are missed least go (shrink/layers.h); then heads and neurons by importance
// (shrink/importance.h, shrink/taylor.h) in the model without those layers, and channels (shrink/width.h). Of
// heads, whole kv groups or equally many query heads in every group go, whichever loses less importance. Then
// exchanges are tried (shrink/swap.h), and the projections behind the cut are repaired.
#ifndef BREW_SHRINK_PRUNE_H
#define BREW_SHRINK_PRUNE_H

#include "base/err.h"
#include "model/model.h"
#include "shrink/cut.h"
#include "shrink/layers.h"
#include "shrink/width.h"

enum brew_importance_kind { BREW_ACTIVATION, BREW_TAYLOR };

// How much stays: layers, kv heads, query heads behind each, neurons.
typedef struct brew_shape {
    int64_t layers, kv, group, mlp;
} brew_shape;

typedef struct brew_prune_options {
    double layers, heads, mlp;  // kept shares in (0, 1]; 1: all
    double hidden;              // of channels, see shrink/width.h; 0: all, too
    const brew_shape *shape;    // instead of shares; NULL: the shares
    const int64_t *gone_layers; // layers to remove, instead of a number; NULL: by damage
    int64_t n_gone_layers;
    int64_t multiple;                         // of neurons and channels
    const struct brew_vocabulary *vocabulary; // the tokens that stay, borrowed; NULL: all
    enum brew_importance_kind importance;
    int64_t rows; // looked at, at most; 0: 16 for each column of the wider projection
    bool repair;
    int64_t swaps; // exchanges in a projection, at most; only with a repair
    double ridge;  // share of the mean diagonal
} brew_prune_options;

typedef struct brew_pruned {
    brew_cut cut;
    brew_repaired repaired;      // of the kept layers; lists of NULL where nothing was repaired
    brew_absence absence;        // of layers, if they were chosen here
    double heads_lost, mlp_lost; // shares of importance that went, before exchanges
    brew_width_facts width;
    // Sums of squares of what the projections' outputs miss, over all layers: with the columns that were
    // chosen as they are, repaired, and repaired after exchanges.
    double error_before, error_after, error_swapped;
    int64_t swaps;
} brew_pruned;

// The layers that stay for a share: the nearest number, at least one.
int64_t brew_prune_layers(const brew_config *config, double share);
// The neurons: the nearest multiple, at least one of them.
int64_t brew_prune_neurons(const brew_config *config, double share, int64_t multiple);

// model: dir's, opened, and star: calibration requests; not looked at where only given layers go.
// BREW_USAGE where nothing would be cut.
int brew_prune(brew_model *model, const brew_modeldir *dir, const brew_config *config,
               const brew_star *star, const brew_prune_options *options, brew_pruned *out,
               brew_err *err);
void brew_pruned_release(brew_pruned *pruned);

#endif
