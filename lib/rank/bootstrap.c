#include "rank/bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

// Replicates are drawn LANES at a time: one pass over the rows serves them all.
enum { LANES = 8 };

enum brew_interval_method brew_interval_choose(int64_t replicates, size_t rows, size_t members) {
    double work = (double)replicates * ((double)rows + 8 * (double)members);
    return replicates == 0 || work > 4e9 ? BREW_INTERVAL_CLUSTERED : BREW_INTERVAL_BOOTSTRAP;
}

struct draw {
    const brew_measure *m;
    brew_spread *spread;
    uint64_t seed;
    float (**times)[LANES]; // [threads][n_members]: how often each member was drawn
};

int brew_draw_times(uint64_t seed, uint64_t replicate, uint64_t key) {
    // P(Poisson(1) <= 0, 1, ...) times 2^64
    static const uint64_t limits[] = {
        0x5e2d58d8b3bcdf1a, 0xbc5ab1b16779be35, 0xeb715e1dc1582dc2, 0xfb23979734a252f1,
        0xff1025f59174dc3d, 0xffd90f3ba4055e19, 0xfffa8b71fc72c913, 0xffff540c0914b3c9,
        0xffffed1f4aa8f120, 0xfffffe216e641462, 0xffffffd4d85d3183, 0xfffffffc6da262b4,
        0xffffffffba12d178, 0xfffffffffb07c64c, 0xffffffffffab8ea5, 0xfffffffffffabe22};
    uint64_t at = brew_rand_u64(seed, replicate, key);
    int times = 0;
    while (times < (int)(sizeof limits / sizeof *limits) && at >= limits[times]) times++;
    return times;
}

static void draw_members(const struct draw *d, size_t first, float (*times)[LANES]) {
    for (size_t c = 0; c < d->m->n_members; c++)
        for (int l = 0; l < LANES; l++)
            times[c][l] = (float)brew_draw_times(d->seed, first + (size_t)l, d->m->key[c]);
}

// Of each lane: pairs won by the positives, ties one half; and the sum of the average precision.
struct pooled {
    double wins[LANES], precision[LANES];
};

// totals: what the lane's rows weigh, the positive ones and all.
static void pass_rows(const brew_measure *m, const float (*times)[LANES],
                      double (*totals)[BREW_SUMS], struct pooled *out) {
    double below[2][LANES] = {{0}}, tie[2][LANES] = {{0}};
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < m->n_rows; i++) {
        const float *count = times[m->member[i]];
        double weight = m->weight ? m->weight[i] : 1;
        double *into = tie[m->flags[i] & 1];
        for (int l = 0; l < LANES; l++) into[l] += count[l] * weight;
        if (!(m->flags[i] & 2)) continue;
        for (int l = 0; l < LANES; l++) {
            double above = totals[l][BREW_SUM_W] - below[0][l] - below[1][l];
            double share = (totals[l][BREW_SUM_WY] - below[1][l]) / above;
            out->wins[l] += tie[1][l] * (below[0][l] + tie[0][l] / 2);
            out->precision[l] += tie[1][l] > 0 ? tie[1][l] * share : 0;
            below[0][l] += tie[0][l];
            below[1][l] += tie[1][l];
            tie[0][l] = tie[1][l] = 0;
        }
    }
}

static void draw_lanes(void *arg, size_t task, int worker) {
    struct draw *d = arg;
    const brew_measure *m = d->m;
    float(*times)[LANES] = d->times[worker];
    double totals[LANES][BREW_SUMS] = {{0}};
    struct pooled pooled;
    draw_members(d, task * LANES, times);
    for (size_t c = 0; c < m->n_members; c++)
        for (int l = 0; l < LANES; l++) {
            if (times[c][l] == 0) continue;
            for (int i = 0; i < BREW_SUMS; i++) totals[l][i] += times[c][l] * m->sums[c][i];
        }
    pass_rows(m, (const float(*)[LANES])times, totals, &pooled);
    for (size_t l = 0; l < LANES && task * LANES + l < d->spread->n; l++) {
        double positives = totals[l][BREW_SUM_WY];
        double negatives = totals[l][BREW_SUM_W] - positives;
        double *value = d->spread->row[task * LANES + l];
        brew_metric_values(totals[l], value);
        if (positives > 0) value[BREW_METRIC_PR_AUC] = pooled.precision[l] / positives;
        if (positives > 0 && negatives > 0)
            value[BREW_METRIC_AUC] = pooled.wins[l] / (positives * negatives);
    }
}

static void resample(brew_spread *s, const brew_measure *m, uint64_t seed, brew_pool *pool) {
    int threads = brew_pool_threads(pool);
    struct draw d = {m, s, seed, brew_alloc((size_t)threads * sizeof *d.times)};
    for (int t = 0; t < threads; t++)
        d.times[t] = brew_alloc(m->n_members * sizeof *d.times[t] + 1);
    brew_pool_run(pool, (s->n + LANES - 1) / LANES, draw_lanes, &d);
    for (int t = 0; t < threads; t++) free(d.times[t]);
    free(d.times);
}

// A metric that is a ratio of two sums: value = T[num] / T[den].
static const struct ratio {
    enum brew_metric metric;
    enum brew_sum num, den;
} ratios[] = {
    {BREW_METRIC_POSITIVE_RATE, BREW_SUM_WY, BREW_SUM_W},
    {BREW_METRIC_AUC_MEMBER, BREW_SUM_AUC, BREW_SUM_AUC_N},
    {BREW_METRIC_AUC_MEMBER_WEIGHTED, BREW_SUM_AUC_WEIGHTED, BREW_SUM_AUC_WEIGHT},
    {BREW_METRIC_NDCG, BREW_SUM_NDCG, BREW_SUM_GROUPS},
    {BREW_METRIC_MRR, BREW_SUM_MRR, BREW_SUM_GROUPS},
    {BREW_METRIC_RECALL, BREW_SUM_RECALL, BREW_SUM_GROUPS},
    {BREW_METRIC_MAP, BREW_SUM_MAP, BREW_SUM_GROUPS},
    {BREW_METRIC_POPULARITY, BREW_SUM_POPULARITY, BREW_SUM_TOP},
    {BREW_METRIC_LOGLOSS, BREW_SUM_LOGLOSS, BREW_SUM_W},
    {BREW_METRIC_BRIER, BREW_SUM_BRIER, BREW_SUM_W},
    {BREW_METRIC_COPC, BREW_SUM_WY, BREW_SUM_WP},
    {BREW_METRIC_TIES, BREW_SUM_TIED, BREW_SUM_PAIRS},
};

// logloss / h(r), h the entropy of the positive rate r, whose derivative is log((1 - r) / r).
static double influence_of_entropy(const brew_measure *m, const double *total, const double *sum) {
    double w = total[BREW_SUM_W], r = m->value[BREW_METRIC_POSITIVE_RATE];
    double loss = m->value[BREW_METRIC_LOGLOSS], value = m->value[BREW_METRIC_NORMALISED_ENTROPY];
    if (isnan(value)) return 0;
    double of_loss = (sum[BREW_SUM_LOGLOSS] - loss * sum[BREW_SUM_W]) / w;
    double of_rate = (sum[BREW_SUM_WY] - r * sum[BREW_SUM_W]) / w;
    return value * (of_loss - value * log((1 - r) / r) * of_rate) / loss;
}

static void influence_of_sums(brew_spread *s, const brew_measure *m) {
    double total[BREW_SUMS] = {0};
    for (size_t c = 0; c < m->n_members; c++)
        for (int i = 0; i < BREW_SUMS; i++) total[i] += m->sums[c][i];
    for (size_t c = 0; c < m->n_members; c++) {
        const double *sum = m->sums[c];
        for (size_t r = 0; r < sizeof ratios / sizeof *ratios; r++) {
            const struct ratio *q = &ratios[r];
            if (total[q->den] > 0)
                s->row[c][q->metric] =
                    (sum[q->num] - m->value[q->metric] * sum[q->den]) / total[q->den];
        }
        s->row[c][BREW_METRIC_NORMALISED_ENTROPY] = influence_of_entropy(m, total, sum);
        double gap = 0; // the derivative of |x| is the sign of x
        for (int i = BREW_SUM_BIN; i < BREW_SUMS; i++) gap += total[i] < 0 ? -sum[i] : sum[i];
        if (total[BREW_SUM_W] > 0)
            s->row[c][BREW_METRIC_ECE] =
                (gap - m->value[BREW_METRIC_ECE] * sum[BREW_SUM_W]) / total[BREW_SUM_W];
    }
}

static void influence_of_auc(brew_spread *s, const brew_measure *m) {
    double auc = m->value[BREW_METRIC_AUC], below[2] = {0, 0};
    const double of[2] = {m->negative_weight, m->positive_weight};
    if (isnan(auc)) return;
    for (size_t begin = 0, end; begin < m->n_rows; begin = end) {
        double tie[2] = {0, 0};
        end = begin;
        do tie[m->flags[end] & 1] += m->weight ? m->weight[end] : 1;
        while (!(m->flags[end++] & 2));
        double beaten = (below[0] + tie[0] / 2) / of[0];          // by a positive of the block
        double beating = (of[1] - below[1] - tie[1] / 2) / of[1]; // a negative of the block
        for (size_t i = begin; i < end; i++) {
            int y = m->flags[i] & 1;
            double weight = m->weight ? m->weight[i] : 1;
            s->row[m->member[i]][BREW_METRIC_AUC] +=
                weight / of[y] * ((y ? beaten : beating) - auc);
        }
        below[0] += tie[0];
        below[1] += tie[1];
    }
}

// With N and P the weight and the positive weight from a score up, the value is the sum over positives of
// w P / N, over all positive weight. A row raises P and N of all scores up to its own.
static void influence_of_precision(brew_spread *s, const brew_measure *m) {
    double value = m->value[BREW_METRIC_PR_AUC], positives = m->positive_weight;
    double above[2] = {m->negative_weight, positives}, raised = 0, lowered = 0;
    if (isnan(value)) return;
    for (size_t begin = 0, end; begin < m->n_rows; begin = end) {
        double tie[2] = {0, 0}, all = above[0] + above[1], share = above[1] / all;
        end = begin;
        do tie[m->flags[end] & 1] += m->weight ? m->weight[end] : 1;
        while (!(m->flags[end++] & 2));
        if (tie[1] > 0) {
            raised += tie[1] / all;
            lowered += tie[1] * share / all;
        }
        for (size_t i = begin; i < end; i++) {
            double weight = m->weight ? m->weight[i] : 1;
            double own = m->flags[i] & 1 ? share + raised - value : 0;
            if (weight > 0)
                s->row[m->member[i]][BREW_METRIC_PR_AUC] += weight * (own - lowered) / positives;
        }
        above[0] -= tie[0];
        above[1] -= tie[1];
    }
}

int brew_spread_init(brew_spread *s, const brew_measure *m, enum brew_interval_method method,
                     int64_t replicates, uint64_t seed, brew_pool *pool, brew_err *err) {
    *s = (brew_spread){.method = method, .n_members = m->n_members};
    s->n = method == BREW_INTERVAL_BOOTSTRAP ? (size_t)replicates : m->n_members;
    if (m->n_members < 2) s->n = 0;
    size_t bytes;
    if (!brew_mul(s->n, sizeof *s->row, &bytes))
        return brew_fail(err, BREW_USAGE, "%zu replicates are too many", s->n);
    if (brew_slab_init(&s->slab, bytes ? bytes : 1, "the replicates", err) < 0) return -1;
    s->row = s->slab.ptr;
    if (s->n == 0) return 0;
    if (method == BREW_INTERVAL_BOOTSTRAP) {
        resample(s, m, seed, pool);
    } else {
        influence_of_sums(s, m);
        influence_of_auc(s, m);
        influence_of_precision(s, m);
    }
    return 0;
}

void brew_spread_release(brew_spread *s) {
    brew_slab_release(&s->slab);
    *s = (brew_spread){0};
}

// Exact for 1 to 3 degrees of freedom, then the expansion of Fisher and Cornish around the normal value
// (error below 0.01 at 4, 1e-3 from 6 on).
double brew_t95(double dof) {
    static const double small[] = {12.7062, 4.3027, 3.1824};
    const double z = 1.959963984540054, z2 = z * z;
    if (dof <= 3) return small[dof < 2 ? 0 : dof < 3 ? 1 : 2];
    double g1 = z * (z2 + 1) / 4, g2 = z * ((5 * z2 + 16) * z2 + 3) / 96;
    double g3 = z * (((3 * z2 + 19) * z2 + 17) * z2 - 15) / 384;
    return z + (g1 + (g2 + g3 / dof) / dof) / dof;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Between the two values around place q * (n - 1), linearly.
static double percentile(const double *sorted, size_t n, double q) {
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    return i + 1 < n ? sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

static void percentiles(const brew_spread *a, const brew_spread *b, enum brew_metric metric,
                        double *lo, double *hi) {
    double *sorted = brew_alloc(b->n * sizeof *sorted);
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        double x = b->row[i][metric] - (a ? a->row[i][metric] : 0);
        if (!isnan(x)) sorted[n++] = x;
    }
    if (2 * n >= b->n) {
        qsort(sorted, n, sizeof *sorted, ascending);
        double members = (double)b->n_members;
        double wide = brew_t95(members - 1) * sqrt(members / (members - 1));
        double tail = erfc(wide / sqrt(2.)) / 2;
        *lo = percentile(sorted, n, tail);
        *hi = percentile(sorted, n, 1 - tail);
    }
    free(sorted);
}

static void from_influence(const brew_spread *a, const brew_spread *b, enum brew_metric metric,
                           double value, double *lo, double *hi) {
    double variance = 0, members = (double)b->n_members;
    for (size_t i = 0; i < b->n; i++) {
        double x = b->row[i][metric] - (a ? a->row[i][metric] : 0);
        variance += x * x;
    }
    double half = brew_t95(members - 1) * sqrt(variance * members / (members - 1));
    *lo = value - half;
    *hi = value + half;
}

void brew_spread_difference(const brew_spread *a, const brew_spread *b, enum brew_metric metric,
                            double value, double *lo, double *hi) {
    *lo = *hi = NAN;
    if (b->n == 0 || isnan(value) || metric == BREW_METRIC_COVERAGE) return;
    if (a && (a->n != b->n || a->method != b->method)) brew_bug("unlike spreads compared");
    if (b->method == BREW_INTERVAL_BOOTSTRAP)
        percentiles(a, b, metric, lo, hi);
    else
        from_influence(a, b, metric, value, lo, hi);
}

// See the header.
static double lower_ece(const brew_spread *s, double value, double hi) {
    double mean = 0;
    for (size_t i = 0; i < s->n; i++) mean += s->row[i][BREW_METRIC_ECE] / (double)s->n;
    return value - (sqrt(2.) + 1) * (mean - value) - (hi - mean);
}

void brew_spread_interval(const brew_spread *s, enum brew_metric metric, double value, double *lo,
                          double *hi) {
    brew_spread_difference(NULL, s, metric, value, lo, hi);
    if (isnan(*lo)) return;
    if (metric == BREW_METRIC_ECE && s->method == BREW_INTERVAL_BOOTSTRAP)
        *lo = lower_ece(s, value, *hi);
    bool share = metric != BREW_METRIC_LOGLOSS && metric != BREW_METRIC_COPC &&
                 metric != BREW_METRIC_NORMALISED_ENTROPY;
    if (*lo < 0) *lo = 0;
    if (share && *hi > 1) *hi = 1;
}
