// How long models of other shapes take, by short timings of a few layers with weights of no meaning.
//
// A forward pass takes  rest + layers * (attention(kv, group) + mlp(neurons)).  Sketches of one and of three layers, and
// of each shape at the corners, give these: attention is bilinear between the least and the largest numbers of
// kv heads and of heads behind each, the mlp piecewise linear between a quarter, a half, and all of its neurons.
// Every sketch is timed by turns with one of the whole, the least of several times counts. Seconds on this machine,
// now, with these requests: figures differ from run to run.
#ifndef BREW_SHRINK_LATENCY_H
#define BREW_SHRINK_LATENCY_H

#include "base/err.h"
#include "model/model.h"
#include "shrink/prune.h"

// Seconds.
typedef struct brew_latency {
    brew_shape whole;
    double rest, layer;   // of the whole model: what is no layer; one layer
    double corners[2][2]; // a layer with one kv head or all; with one head behind it or all
    double mlp[3];        // a layer with all heads and so many neurons
    int64_t neurons[3];   // a quarter, a half, all; ascending
} brew_latency;

// star: of which the first requests, some 1,024 tokens, are run; NULL or empty: 512 tokens and 16 items of 16.
int brew_latency_of(const brew_config *config, brew_backend *be, const brew_star *star,
                    int64_t multiple, brew_latency *latency, brew_err *err);
// Of a model of this shape, as a share of the whole's. arg: a brew_latency; fits brew_cost_fn.
double brew_latency_share(const void *arg, const brew_shape *shape);

// The share of time that `small`, measured itself, takes of `whole`'s.
int brew_latency_compare(const brew_config *whole, const brew_config *small, brew_backend *be,
                         const brew_star *star, double *share, brew_err *err);

#endif
