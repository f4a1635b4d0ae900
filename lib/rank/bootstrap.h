// 95 % intervals, clustered by member: the members are the sample, not the answers.
//
// A brew_spread holds, for one measure, how its metrics vary. Either
// - resampled: each replicate takes every member a number of times that is Poisson distributed with mean 1,
//   and computes every metric again from their sums (the pooled auc and pr_auc by a pass over the sorted
//   rows with the members' counts as weights). The interval runs between two percentiles of the replicates, widened for few members
//   (to the tail that Student's t times sqrt(M / (M - 1)) has, Hesterberg 2015, "What teachers should know
//   about the bootstrap"). ece is different: noise can only push it up, in the sample and once more in the
//   replicates, where it adds a factor of sqrt(2) if nothing but noise is there. Its lower
//   end is therefore shifted down by (sqrt(2) + 1) times (mean of the replicates - value) and cut at 0;
//   the upper end stays, so the interval is cautious (in simulation it covers 0 in 92 %, others in 95 to 99 %). Bins stay those of all rows.
// - or clustered: one pass gives each member's influence on each metric (linearised ratios; for the auc
//   the two structural components of DeLong 1988, summed by member as in Obuchowski 1997); the interval is
//   the value and Student's t times the root of their variance. Much faster, symmetric, and poor for ece.
//
// How often replicate r takes a member is a pure function of (seed, r, the member's key): the same at any
// thread count and for any order of the rows, and the same for two measures in which the member stands, so
// that replicates can be paired across systems, slices and tasks.
#ifndef BREW_RANK_BOOTSTRAP_H
#define BREW_RANK_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/pool.h"
#include "rank/metrics.h"

enum brew_interval_method { BREW_INTERVAL_BOOTSTRAP, BREW_INTERVAL_CLUSTERED };

// The method that is feasible: clustered for 0 replicates, or where replicates * (rows + 8 members) is
// more than 4e9.
enum brew_interval_method brew_interval_choose(int64_t replicates, size_t rows, size_t members);

// How often a member with this key is taken.
int brew_draw_times(uint64_t seed, uint64_t replicate, uint64_t key);

typedef struct brew_spread {
    enum brew_interval_method method;
    size_t n, n_members;         // rows below: replicates, or members
    double (*row)[BREW_METRICS]; // [n] values of a replicate (NaN: none), or a member's influence
    brew_slab slab;
} brew_spread;

int brew_spread_init(brew_spread *spread, const brew_measure *m, enum brew_interval_method method,
                     int64_t replicates, uint64_t seed, brew_pool *pool, brew_err *err);
void brew_spread_release(brew_spread *spread);

// lo and hi of one metric whose value is `value`. NaN for fewer than two members, without a value, or where
// less than half of the replicates have one.
void brew_spread_interval(const brew_spread *spread, enum brew_metric metric, double value,
                          double *lo, double *hi);
// The same for the difference b - a, paired: two spreads of one method over the same rows.
void brew_spread_difference(const brew_spread *a, const brew_spread *b, enum brew_metric metric,
                            double value, double *lo, double *hi);

// Student's t: the value that |t| exceeds in 5 % of cases, for dof >= 1.
double brew_t95(double dof);

#endif
