// The reliability table: predicted and observed rates in bins of equal mass, those of ece (see metrics.h).
#ifndef BREW_RANK_RELIABILITY_H
#define BREW_RANK_RELIABILITY_H

#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "rank/answers.h"
#include "rank/metrics.h"

typedef struct brew_reliability_bin {
    uint64_t n, members;        // n 0: an empty bin, the rest means nothing
    double from, to;            // the least and the greatest score
    double predicted, observed; // means by weight
    double lo, hi; // of observed: clustered by member, Student's t; NaN below two members
} brew_reliability_bin;

// Fails only for want of memory.
int brew_reliability(const brew_answers *answers, const double *score, brew_pool *pool,
                     brew_reliability_bin bins[BREW_ECE_BINS], brew_err *err);

#endif
