// The metrics, and the sums per member from which every one of them can be computed again.
//
//     brew_measure m;
//     if (brew_measure_init(&m, &answers, score, k, pool, &err) < 0) ...
//     m.value[BREW_METRIC_AUC], m.n[BREW_METRIC_AUC] ...
//     brew_measure_release(&m);
//
// A metric without a value (no pair, no group with a positive) is NaN. p is a row's score, y its outcome,
// w its weight (1 unless the data says otherwise), W the sum of all w.
//
//   positive_rate        sum w y / W.
//   auc                  pooled over all rows: pairs of a positive and a negative weigh the product of
//                        their weights, a tie counts one half.
//   pr_auc               pooled average precision: the precision at each score that occurs, weighed by the
//                        recall gained there.
//   auc_member           auc within a member; the plain mean over the members with both classes.
//   auc_member_weighted  the same mean, a member weighing the sum of its w.
//   ndcg@k               per group, over groups with a positive: the row's gain (y unless the data says
//                        otherwise), discount 1 / log2(1 + rank); rows of equal score share the mean gain of their block (which is the
//                        expectation over its random orders, and scikit-learn's ignore_ties=False).
//   mrr, recall@k, map   over the same groups, likewise the expectation over random orders of the ties:
//                        1 / rank of the first positive; share of the positives among the first k;
//                        mean over the positives of the precision at their ranks. Weights play no part
//                        in the four, nor in ties.
//   coverage@k           of the items that occur, the share that stands among the first k of some group,
//                        ties again in expectation. It has no interval: it grows with the sample.
//   popularity@k         mean over the first k rows of all groups of the item's popularity: the share of
//                        items that have fewer rows, those with as many counting one half. Both have no
//                        value if items have no names.
//   logloss              sum -w log(p of the outcome) / W, p cut to [1e-15, 1 - 1e-15].
//   normalised_entropy   logloss over that of the positive rate, said of every row.
//   brier                sum w (p - y)^2 / W.
//   ece                  sum over bins of |sum w (y - p)| / W. Rows in ascending order of p; a block of
//                        rows with equal p goes whole into the bin floor(15 m / W), m being the weight
//                        before the block plus half its own. Without ties and weights: bins of n / 15.
//   copc                 sum w y / sum w p.
//   ties                 pairs with equal scores / pairs, both rows of a pair in one group.
#ifndef BREW_RANK_METRICS_H
#define BREW_RANK_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"
#include "rank/answers.h"

enum brew_metric {
    BREW_METRIC_POSITIVE_RATE,
    BREW_METRIC_AUC,
    BREW_METRIC_PR_AUC,
    BREW_METRIC_AUC_MEMBER,
    BREW_METRIC_AUC_MEMBER_WEIGHTED,
    BREW_METRIC_NDCG,
    BREW_METRIC_MRR,
    BREW_METRIC_RECALL,
    BREW_METRIC_MAP,
    BREW_METRIC_COVERAGE,
    BREW_METRIC_POPULARITY,
    BREW_METRIC_LOGLOSS,
    BREW_METRIC_NORMALISED_ENTROPY,
    BREW_METRIC_BRIER,
    BREW_METRIC_ECE,
    BREW_METRIC_COPC,
    BREW_METRIC_TIES,
    BREW_METRICS
};

// The name as users see it: "ndcg@10" for k 10. `name` has room for BREW_METRIC_NAME bytes.
enum { BREW_METRIC_NAME = 32 };
void brew_metric_name(enum brew_metric metric, int64_t k, char name[BREW_METRIC_NAME]);
// Reads p as a probability (and so has no meaning for a score that is none).
bool brew_metric_is_calibration(enum brew_metric metric);
// 1 if more is better, -1 if less is, 0 if neither.
int brew_metric_direction(enum brew_metric metric);

enum { BREW_ECE_BINS = 15 };

// The sums of one member. Everything but the pooled auc, pr_auc and coverage is a function of their totals.
enum brew_sum {
    BREW_SUM_W,
    BREW_SUM_WY,
    BREW_SUM_WP,
    BREW_SUM_LOGLOSS,
    BREW_SUM_BRIER,
    BREW_SUM_AUC, // of this member, 0 where it has one class
    BREW_SUM_AUC_N,
    BREW_SUM_AUC_WEIGHTED,
    BREW_SUM_AUC_WEIGHT,
    BREW_SUM_NDCG, // of the groups whose first row is this member's
    BREW_SUM_MRR,
    BREW_SUM_RECALL,
    BREW_SUM_MAP,
    BREW_SUM_GROUPS, // with a positive
    BREW_SUM_TOP,    // rows among the first k
    BREW_SUM_POPULARITY,
    BREW_SUM_TIED,
    BREW_SUM_PAIRS,
    BREW_SUM_BIN, // [BREW_ECE_BINS]: sum w (y - p), the bins being those of all rows
    BREW_SUMS = BREW_SUM_BIN + BREW_ECE_BINS
};

// Counts that are said aloud.
typedef struct brew_measure_counts {
    uint64_t members, one_class_members;
    uint64_t groups, groups_without_positive, groups_without_negative;
} brew_measure_counts;

typedef struct brew_measure {
    double value[BREW_METRICS]; // NaN: none
    uint64_t n[BREW_METRICS];   // of what the value is a mean: answers, members, groups, or pairs
    brew_measure_counts counts;
    size_t n_rows, n_members;  // members with rows; numbered anew, without gaps
    double (*sums)[BREW_SUMS]; // [n_members]
    uint64_t *key;             // [n_members] of answers->member_key
    // The rows by ascending score, for the pooled auc and pr_auc:
    uint32_t *member; // [n_rows]
    uint8_t *flags;   // [n_rows] bit 0: positive; bit 1: the last row of its block of equal scores
    float *weight;    // [n_rows], NULL: all 1
    double positive_weight, negative_weight;
    brew_slab slab;
} brew_measure;

// Computes everything for one column of scores (answers->n values; answers->score itself is not read).
// k >= 1. Fails only for want of memory. The caller releases, also after a failure.
int brew_measure_init(brew_measure *m, const brew_answers *answers, const double *score, int64_t k,
                      brew_pool *pool, brew_err *err);
void brew_measure_release(brew_measure *m);

// What follows from totals of the sums; NaN for the others.
void brew_metric_values(const double totals[BREW_SUMS], double value[BREW_METRICS]);

// One ranked list. score[n] descending; positive[n]; gain[n], NULL: as positive. out: ndcg, mrr, recall,
// map in this order; false, and out untouched, without a positive. k >= 1.
bool brew_rank_list(const double *score, const uint8_t *positive, const float *gain, size_t n,
                    int64_t k, double out[4]);
// share[n] = the chance of each row to stand among the first k.
void brew_rank_top(const double *score, size_t n, int64_t k, double *share);
// popularity[a->n_items] of each item, see above; NaN for items without rows.
void brew_item_popularity(const brew_answers *a, double *popularity);

#endif
