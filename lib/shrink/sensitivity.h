// What rounding each group of matrices would do to the answers, to first order, in one pass.
//
// An answer's log-odds z (positive labels against the others) changes by <dz/dW, W' - W> where W' is W as
// rounded. Wanted is the sum of the squares over all answers; a backward pass for each would be dear.
// With signs s that are +1 or -1 at random, the expectation of <sum_a s_a dz_a/dW, D>^2 is that sum
// (Hutchinson's estimate), so that a batch of requests needs one pass. An answer weighs what its weight
// says; an answer without other labels has no log-odds. What rounding activations does is not in it.
#ifndef BREW_SHRINK_SENSITIVITY_H
#define BREW_SHRINK_SENSITIVITY_H

#include <stdint.h>

#include "base/err.h"
#include "model/model.h"
#include "shrink/convert.h"

// values: [L][BREW_GROUPS], in squared log-odds. dir is the model in its own types; be may train. The model is
// in memory as F32, with gradients.
int brew_sensitivity(const brew_modeldir *dir, brew_backend *be, const brew_star *star,
                     enum brew_dtype scheme, uint64_t seed, double *values, brew_err *err);

#endif
