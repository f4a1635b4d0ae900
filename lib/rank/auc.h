// Sorting scores, and the exact area under the ROC curve.
//
// The area is the share of (positive, negative) pairs in which the positive has the higher score, a tie
// counting one half. It is computed from a radix sort as a ratio of integers, so it is exact up to one
// rounding, and the same at any thread count. Scores must not be NaN; -0 equals 0.
#ifndef BREW_RANK_AUC_H
#define BREW_RANK_AUC_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"

// Area under the ROC curve of n scores (n < 2^32); positive[i] is 0 or 1. NaN when either class is
// missing. Takes 16 n bytes while it runs, 24 n if a score lies outside [0, 2). Fails for want of memory.
int brew_auc(const double *score, const uint8_t *positive, size_t n, brew_pool *pool, double *auc,
             brew_err *err);

// order[0..n) = the row numbers by ascending score, equal scores by ascending row. n < 2^32.
int brew_order(const double *score, size_t n, brew_pool *pool, uint32_t *order, brew_err *err);

// Rows gathered by cluster, each cluster's in the order they have in `order`: rows[split[c]..split[c+1])
// are those of cluster c. split has n_clusters + 1 elements, every cluster[row] is below n_clusters.
void brew_gather(const uint32_t *order, const uint32_t *cluster, size_t n, size_t n_clusters,
                 uint32_t *rows, size_t *split);

#endif
