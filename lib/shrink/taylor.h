// What the answers' loss says of a model's heads and neurons: first order, one backward pass for each request.
//
// Let a gate g (of 1) stand before what a head or neuron gives to its output or down projection W. Its slope
// of a request's loss is dl/dg = sum over the weights w it meets in W of w dl/dw, what a Taylor series to first order
// says of leaving it out. A structure's importance is the sum of squares of these slopes over the requests
// (Theis and others 2018; Molchanov and others 2019), so that requests pulling in opposite directions do not hide
// it. The loss of a request is the sum of its known answers' log losses, weighted; offsets count.
#ifndef BREW_SHRINK_TAYLOR_H
#define BREW_SHRINK_TAYLOR_H

#include <stdbool.h>

#include "base/err.h"
#include "model/model.h"

// Slopes of every request's loss, and their squares' sums.
typedef struct brew_taylor {
    double *heads;   // [L][H] sums of squares
    double *neurons; // [L][F]
    size_t requests; // with known answers
} brew_taylor;

// dir: the model in its own types; be may train. skip: [L] layers that count as gone; NULL: none. The model is
// in memory once more, as F32 with gradients. Release also after a failure.
int brew_taylor_of(const brew_modeldir *dir, brew_backend *be, const brew_star *star,
                   const bool *skip, brew_taylor *taylor, brew_err *err);
void brew_taylor_release(brew_taylor *taylor);

#endif
