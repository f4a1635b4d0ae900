// In which order requests are trained on: pure functions of the place in the run.
#ifndef BREW_TRAIN_ORDER_H
#define BREW_TRAIN_ORDER_H

#include <stddef.h>
#include <stdint.h>

// The request that stands at `position` of an epoch, of n requests: for each (seed, epoch) a permutation of
// [0, n), computed without a table by four rounds of a Feistel network that walks until it is below n.
uint64_t brew_shuffle_at(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t position);

// Several streams by weight: which of n gives the next request, when taken[i] have come from each so far.
// It is the one that is farthest behind its share; of equals the first. So after any number of requests
// each stream has given its share to within n requests, and nothing is left to chance.
size_t brew_mix_next(const double *weights, const uint64_t *taken, size_t n);

#endif
