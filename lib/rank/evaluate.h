// Figures: the metrics of one or several systems over the same answers, with their intervals.
//
// A system is a column of scores. The first is the one that the others are compared with: differences are
// paired (the same members drawn in each replicate), so they are far sharper than two intervals side by
// side.
#ifndef BREW_RANK_EVALUATE_H
#define BREW_RANK_EVALUATE_H

#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "rank/answers.h"
#include "rank/bootstrap.h"
#include "rank/metrics.h"

typedef struct brew_figure {
    double value, lo, hi; // NaN: none
    uint64_t n;
} brew_figure;

typedef struct brew_figures {
    brew_figure of[BREW_METRICS];
    brew_measure_counts counts;
} brew_figures;

typedef struct brew_evaluate_options {
    int64_t k; // of ndcg@k and recall@k
    enum brew_interval_method method;
    int64_t replicates; // of the bootstrap
    uint64_t seed;
} brew_evaluate_options;

// figures[s] of each of the n systems; delta[s], if delta is not NULL, is system s minus system 0 (delta[0]
// is all zero). Each score[s] has answers->n values. Fails only for want of memory.
int brew_evaluate(const brew_answers *answers, const double *const *score, size_t n,
                  const brew_evaluate_options *options, brew_pool *pool, brew_figures *figures,
                  brew_figures *delta, brew_err *err);

// The same for the plain mean over parts of the answers (tasks): each metric over the parts in which it has a
// value. answers[n_parts]; score[part * n + s]; n in a figure is the number of parts. Members are drawn
// jointly. No intervals by clustered variance.
int brew_evaluate_macro(const brew_answers *answers, size_t n_parts, const double *const *score,
                        size_t n, const brew_evaluate_options *options, brew_pool *pool,
                        brew_figures *figures, brew_figures *delta, brew_err *err);

#endif
