// From a target to a shape: how many layers, heads and neurons stay, so that a model has so many parameters, or takes
// such a share of its time.
//
// Every number of layers and every shape of heads that is open is looked at; to each belongs the number of neurons
// that comes nearest to the target. Of the shapes within a hundredth of the target (if there is none: of the nearest)
// the most even one is taken, whose kept shares of layers, heads and neurons differ least: of equals the nearer,
// then that with more layers. What calibration says plays no part: which ones go is chosen afterwards.
#ifndef BREW_SHRINK_TARGET_H
#define BREW_SHRINK_TARGET_H

#include "base/err.h"
#include "model/model.h"
#include "shrink/prune.h"

// What is open, and what is not.
typedef struct brew_wish {
    int64_t layers;    // that stay; 0: open
    double heads, mlp; // kept shares; 0: open
    int64_t multiple;  // of neurons
    double target;     // of the cost, above 0
} brew_wish;

// More of anything costs more.
typedef double brew_cost_fn(const void *arg, const brew_shape *shape);

// Parameters of the whole model, embedding and head included. arg: its brew_config.
double brew_cost_parameters(const void *arg, const brew_shape *shape);

// BREW_USAGE where the whole model does not cost more than the target, and where the least that can be had
// misses it by more than a tenth.
int brew_target_shape(const brew_config *config, const brew_wish *wish, brew_cost_fn *cost,
                      const void *arg, brew_shape *shape, brew_err *err);

#endif
