// Intervals: against each other, against brute force, over thread counts, and their coverage.
#include "rank/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/tap.h"

enum { K = 10 };

// Members with a taste of their own, so that answers of one member go together: the case in which
// intervals that take answers for independent are too narrow.
static void simulate(brew_answers *a, uint64_t seed, size_t members, size_t answers) {
    for (size_t m = 0; m < members; m++) {
        double taste = 2 * brew_rand_unit(seed, m, 1000) - 1;
        for (size_t i = 0; i < answers; i++) {
            double logit = taste + 3 * brew_rand_unit(seed, m, i) - 1.5;
            double p = 1 / (1 + exp(-logit));
            brew_answer row = {
                .score = p, .weight = 1, .member = (uint32_t)m, .group = (uint32_t)m};
            row.positive = brew_rand_unit(seed + 1, m, i) < p;
            brew_answers_add(a, &row);
        }
    }
}

static void measure(brew_measure *m, const brew_answers *a) {
    if (brew_measure_init(m, a, a->score, K, NULL, NULL) < 0) brew_bug("no memory");
}

// One replicate, from rows copied as often as their member was drawn.
static void test_replicate(void) {
    enum { MEMBERS = 12, ANSWERS = 7, SEED = 5 };
    brew_answers a = {0}, drawn = {0};
    brew_measure m, again;
    brew_spread s;
    simulate(&a, 3, MEMBERS, ANSWERS);
    for (size_t i = 0; i < a.n; i++) a.score[i] = floor(a.score[i] * 20) / 20;
    measure(&m, &a);
    brew_spread_init(&s, &m, BREW_INTERVAL_BOOTSTRAP, 11, SEED, NULL, NULL);
    uint32_t draw = 0;
    for (size_t member = 0; member < MEMBERS; member++)
        for (int times = brew_draw_times(SEED, 10, a.member_key[member]); times > 0;
             times--, draw++)
            for (size_t i = member * ANSWERS; i < (member + 1) * ANSWERS; i++) {
                brew_answer row = {a.score[i], 1, a.positive[i], draw, draw, 0, 0};
                brew_answers_add(&drawn, &row);
            }
    measure(&again, &drawn);
    for (int i = 0; i < BREW_METRICS; i++) {
        char name[BREW_METRIC_NAME];
        brew_metric_name(i, K, name);
        if (i == BREW_METRIC_ECE) continue;      // its bins stay those of the whole sample
        if (i == BREW_METRIC_COVERAGE) continue; // has no replicates
        is_near(s.row[10][i], again.value[i], 1e-13, name);
    }
    brew_spread_release(&s);
    brew_measure_release(&again);
    brew_measure_release(&m);
    brew_answers_release(&drawn);
    brew_answers_release(&a);
}

static void test_threads(void) {
    brew_answers a = {0};
    brew_measure m;
    brew_spread one, more;
    simulate(&a, 8, 40, 12);
    measure(&m, &a);
    brew_spread_init(&one, &m, BREW_INTERVAL_BOOTSTRAP, 101, 1, NULL, NULL);
    for (int threads = 2; threads <= 3; threads++) {
        brew_pool *pool = brew_pool_new(threads);
        brew_spread_init(&more, &m, BREW_INTERVAL_BOOTSTRAP, 101, 1, pool, NULL);
        ok(!memcmp(one.row, more.row, 101 * sizeof *one.row), "the same bits with %d threads",
           threads);
        brew_spread_release(&more);
        brew_pool_free(pool);
    }
    brew_spread_release(&one);
    brew_measure_release(&m);
    brew_answers_release(&a);
}

// Both methods must tell about the same width.
static void test_methods(void) {
    brew_answers a = {0};
    brew_measure m;
    brew_spread boot, clustered;
    simulate(&a, 21, 300, 15);
    for (size_t i = 0; i < a.n; i++) {
        a.weight[i] = (float)(1 + i % 3);
        a.score[i] = floor(a.score[i] * 50) / 50;
    }
    a.weighted = true;
    measure(&m, &a);
    brew_spread_init(&boot, &m, BREW_INTERVAL_BOOTSTRAP, 2000, 1, NULL, NULL);
    brew_spread_init(&clustered, &m, BREW_INTERVAL_CLUSTERED, 0, 1, NULL, NULL);
    for (int i = 0; i < BREW_METRICS; i++) {
        char name[BREW_METRIC_NAME];
        double lo[2], hi[2];
        brew_metric_name(i, K, name);
        if (i == BREW_METRIC_ECE || i == BREW_METRIC_COVERAGE) continue;
        if (i == BREW_METRIC_POPULARITY) continue; // one item: a constant
        brew_spread_interval(&boot, i, m.value[i], &lo[0], &hi[0]);
        brew_spread_interval(&clustered, i, m.value[i], &lo[1], &hi[1]);
        double ratio = (hi[0] - lo[0]) / (hi[1] - lo[1]);
        if (!ok(ratio > .9 && ratio < 1.1 && lo[0] < m.value[i] && m.value[i] < hi[0],
                "bootstrap and clustered variance agree on %s", name))
            printf("# [%g, %g] and [%g, %g] around %g\n", lo[0], hi[0], lo[1], hi[1], m.value[i]);
    }
    double lo, hi;
    brew_spread_difference(&boot, &boot, BREW_METRIC_AUC, 0, &lo, &hi);
    ok(lo == 0 && hi == 0, "a measure does not differ from itself");
    brew_spread_release(&boot);
    brew_spread_release(&clustered);
    brew_measure_release(&m);
    brew_answers_release(&a);
}

// How often the interval holds the value of a far larger sample. `times` simulated logs; the binomial
// error at 200 is 1.5 %.
static void test_coverage(size_t members, size_t times, enum brew_interval_method method) {
    static const enum brew_metric metrics[] = {
        BREW_METRIC_AUC,           BREW_METRIC_AUC_MEMBER, BREW_METRIC_NDCG,
        BREW_METRIC_LOGLOSS,       BREW_METRIC_BRIER,      BREW_METRIC_COPC,
        BREW_METRIC_POSITIVE_RATE, BREW_METRIC_PR_AUC,     BREW_METRIC_NORMALISED_ENTROPY};
    enum { N = sizeof metrics / sizeof *metrics };
    size_t held[N] = {0};
    brew_answers large = {0};
    brew_measure truth;
    simulate(&large, 99, 20000, 10);
    measure(&truth, &large);
    for (size_t t = 0; t < times; t++) {
        brew_answers a = {0};
        brew_measure m;
        brew_spread s;
        double lo, hi;
        simulate(&a, 1000 + 2 * t, members, 10);
        measure(&m, &a);
        brew_spread_init(&s, &m, method, 400, t, NULL, NULL);
        for (int i = 0; i < N; i++) {
            brew_spread_interval(&s, metrics[i], m.value[metrics[i]], &lo, &hi);
            held[i] += lo <= truth.value[metrics[i]] && truth.value[metrics[i]] <= hi;
        }
        brew_spread_release(&s);
        brew_measure_release(&m);
        brew_answers_release(&a);
    }
    for (int i = 0; i < N; i++) {
        char name[BREW_METRIC_NAME];
        brew_metric_name(metrics[i], K, name);
        double share = (double)held[i] / (double)times, error = sqrt(.95 * .05 / (double)times);
        ok(fabs(share - .95) < 3.5 * error, "%s, %zu members, %s: covers in %.1f %% of %zu", name,
           members, method == BREW_INTERVAL_BOOTSTRAP ? "bootstrap" : "clustered", 100 * share,
           times);
    }
    brew_measure_release(&truth);
    brew_answers_release(&large);
}

// ece of scores that are wrong by a shift of the logit; a shift of 0 is the hardest.
static void test_ece(double shift, size_t times) {
    brew_answers large = {0};
    brew_measure truth;
    size_t held = 0;
    simulate(&large, 99, 20000, 10);
    for (size_t i = 0; i < large.n; i++)
        large.score[i] = 1 / (1 + exp(shift) * (1 / large.score[i] - 1));
    measure(&truth, &large);
    double want = shift == 0 ? 0 : truth.value[BREW_METRIC_ECE], lo, hi;
    for (size_t t = 0; t < times; t++) {
        brew_answers a = {0};
        brew_measure m;
        brew_spread s;
        simulate(&a, 1000 + 2 * t, 100, 10);
        for (size_t i = 0; i < a.n; i++) a.score[i] = 1 / (1 + exp(shift) * (1 / a.score[i] - 1));
        measure(&m, &a);
        brew_spread_init(&s, &m, BREW_INTERVAL_BOOTSTRAP, 400, t, NULL, NULL);
        brew_spread_interval(&s, BREW_METRIC_ECE, m.value[BREW_METRIC_ECE], &lo, &hi);
        held += lo <= want && want <= hi;
        brew_spread_release(&s);
        brew_measure_release(&m);
        brew_answers_release(&a);
    }
    double share = (double)held / (double)times;
    ok(share > .90, "ece %.3f: covers in %.1f %% of %zu", want, 100 * share, times);
    brew_measure_release(&truth);
    brew_answers_release(&large);
}

static void test_small(void) {
    brew_answers a = {0};
    brew_measure m;
    brew_spread s;
    double lo = 0, hi = 0;
    simulate(&a, 4, 1, 10);
    measure(&m, &a);
    brew_spread_init(&s, &m, BREW_INTERVAL_BOOTSTRAP, 100, 1, NULL, NULL);
    brew_spread_interval(&s, BREW_METRIC_AUC, m.value[BREW_METRIC_AUC], &lo, &hi);
    ok(isnan(lo) && isnan(hi), "one member: no interval");
    brew_spread_release(&s);
    brew_measure_release(&m);
    brew_answers_release(&a);
    static double grid[10001]
                      [BREW_METRICS]; // an even spread of replicates shows the percentiles used
    for (int i = 0; i <= 10000; i++) grid[i][BREW_METRIC_AUC] = i / 10000.;
    brew_spread even = {.n = 10001, .n_members = 5, .row = grid};
    brew_spread_interval(&even, BREW_METRIC_AUC, .5, &lo, &hi);
    is_near(lo, .000955, 4e-5, "5 members: the tail behind 2.776 * sqrt(5 / 4)");
    is_near(hi, 1 - .000955, 4e-5, "at both ends");
    even.n_members = 1000000;
    brew_spread_interval(&even, BREW_METRIC_AUC, .5, &lo, &hi);
    is_near(lo, .025, 1e-6, "many members: 2.5 %");
    for (int i = 0; i < 5001; i++) grid[i][BREW_METRIC_AUC] = NAN;
    brew_spread_interval(&even, BREW_METRIC_AUC, .5, &lo, &hi);
    ok(isnan(lo) && isnan(hi), "most replicates without a value: no interval");
    is_near(brew_t95(1), 12.7062, 1e-4, "t for 1 degree of freedom");
    is_near(brew_t95(4), 2.776445, 1e-2, "t for 4");
    is_near(brew_t95(10), 2.228139, 1e-3, "t for 10");
    is_near(brew_t95(1e9), 1.959964, 1e-6, "t for many is the normal value");
    ok(brew_interval_choose(1000, 1000000, 10000) == BREW_INTERVAL_BOOTSTRAP &&
           brew_interval_choose(1000, 100000000, 10000) == BREW_INTERVAL_CLUSTERED &&
           brew_interval_choose(0, 10, 5) == BREW_INTERVAL_CLUSTERED,
       "the method follows from the work");
}

int main(void) {
    const char *slow = getenv("BREW_SLOW");
    size_t times = slow && *slow ? 2000 : 200;
    test_replicate();
    test_threads();
    test_methods();
    test_coverage(25, times, BREW_INTERVAL_BOOTSTRAP);
    test_coverage(100, times, BREW_INTERVAL_BOOTSTRAP);
    test_coverage(100, times, BREW_INTERVAL_CLUSTERED);
    static const double shifts[] = {0, .1, .25, .5, -.8};
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) test_ece(shifts[i], times);
    test_small();
    return tap_done();
}
