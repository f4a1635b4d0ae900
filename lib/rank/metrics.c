#include "rank/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rank/auc.h"
#include "rank/odds.h"

void brew_metric_name(enum brew_metric metric, int64_t k, char name[BREW_METRIC_NAME]) {
    static const char *const names[BREW_METRICS] = {"positive_rate",
                                                    "auc",
                                                    "pr_auc",
                                                    "auc_member",
                                                    "auc_member_weighted",
                                                    "ndcg",
                                                    "mrr",
                                                    "recall",
                                                    "map",
                                                    "coverage",
                                                    "popularity",
                                                    "logloss",
                                                    "normalised_entropy",
                                                    "brier",
                                                    "ece",
                                                    "copc",
                                                    "ties"};
    bool cut = metric == BREW_METRIC_NDCG || metric == BREW_METRIC_RECALL ||
               metric == BREW_METRIC_COVERAGE || metric == BREW_METRIC_POPULARITY;
    if (cut)
        snprintf(name, BREW_METRIC_NAME, "%s@%lld", names[metric], (long long)k);
    else
        snprintf(name, BREW_METRIC_NAME, "%s", names[metric]);
}

bool brew_metric_is_calibration(enum brew_metric metric) {
    return metric >= BREW_METRIC_LOGLOSS && metric <= BREW_METRIC_COPC;
}

int brew_metric_direction(enum brew_metric metric) {
    if (metric >= BREW_METRIC_AUC && metric <= BREW_METRIC_MAP) return 1;
    return metric >= BREW_METRIC_LOGLOSS && metric <= BREW_METRIC_ECE ? -1 : 0;
}

// The logloss of a share r of positives, said of each.
static double entropy(double r) {
    return r > 0 && r < 1 ? -r * log(r) - (1 - r) * log(1 - r) : 0;
}

void brew_metric_values(const double t[BREW_SUMS], double value[BREW_METRICS]) {
    double gap = 0;
    for (int b = 0; b < BREW_ECE_BINS; b++) gap += fabs(t[BREW_SUM_BIN + b]);
    // 0 / 0 is NaN, which is what "no value" is; x / 0 cannot be one either
    const double ratio[BREW_METRICS][2] = {
        [BREW_METRIC_POSITIVE_RATE] = {t[BREW_SUM_WY], t[BREW_SUM_W]},
        [BREW_METRIC_AUC_MEMBER] = {t[BREW_SUM_AUC], t[BREW_SUM_AUC_N]},
        [BREW_METRIC_AUC_MEMBER_WEIGHTED] = {t[BREW_SUM_AUC_WEIGHTED], t[BREW_SUM_AUC_WEIGHT]},
        [BREW_METRIC_NDCG] = {t[BREW_SUM_NDCG], t[BREW_SUM_GROUPS]},
        [BREW_METRIC_MRR] = {t[BREW_SUM_MRR], t[BREW_SUM_GROUPS]},
        [BREW_METRIC_RECALL] = {t[BREW_SUM_RECALL], t[BREW_SUM_GROUPS]},
        [BREW_METRIC_MAP] = {t[BREW_SUM_MAP], t[BREW_SUM_GROUPS]},
        [BREW_METRIC_POPULARITY] = {t[BREW_SUM_POPULARITY], t[BREW_SUM_TOP]},
        [BREW_METRIC_LOGLOSS] = {t[BREW_SUM_LOGLOSS], t[BREW_SUM_W]},
        [BREW_METRIC_NORMALISED_ENTROPY] = {t[BREW_SUM_LOGLOSS],
                                            t[BREW_SUM_W] *
                                                entropy(t[BREW_SUM_WY] / t[BREW_SUM_W])},
        [BREW_METRIC_BRIER] = {t[BREW_SUM_BRIER], t[BREW_SUM_W]},
        [BREW_METRIC_ECE] = {gap, t[BREW_SUM_W]},
        [BREW_METRIC_COPC] = {t[BREW_SUM_WY], t[BREW_SUM_WP]},
        [BREW_METRIC_TIES] = {t[BREW_SUM_TIED], t[BREW_SUM_PAIRS]},
    };
    for (int i = 0; i < BREW_METRICS; i++)
        value[i] = ratio[i][1] > 0 ? ratio[i][0] / ratio[i][1] : NAN;
}

// What the steps below share.
struct work {
    const brew_answers *a;
    const double *score;
    int64_t k;
    brew_measure *m;
    uint32_t *order, *rows; // [n]
    uint32_t *number;       // [a->n_members]: the member's number among those with rows
    double *popularity;     // [a->n_items], NULL: items have no names
    double *missed;         // [a->n_items]: the chance to be in no group's first k so far
};

// Rows by ascending score: class, weight and member side by side, the ends of the ties, the ece bins, and
// the sums that need no more than a row.
static void sum_rows(struct work *w) {
    const brew_answers *a = w->a;
    brew_measure *m = w->m;
    double total = 0, before = 0;
    for (size_t i = 0; i < a->n; i++) total += a->weight[i];
    for (size_t begin = 0, end; begin < a->n; begin = end) {
        double p = w->score[w->order[begin]], mass = 0;
        for (end = begin; end < a->n && w->score[w->order[end]] == p; end++)
            mass += a->weight[w->order[end]];
        int bin = total > 0 ? (int)(BREW_ECE_BINS * (before + mass / 2) / total) : 0;
        if (bin >= BREW_ECE_BINS) bin = BREW_ECE_BINS - 1;
        before += mass;
        for (size_t i = begin; i < end; i++) {
            uint32_t row = w->order[i], y = a->positive[row];
            m->member[i] = w->number[a->member[row]];
            m->flags[i] = (uint8_t)(y | (i + 1 == end ? 2 : 0));
            if (m->weight) m->weight[i] = a->weight[row];
            m->sums[m->member[i]][BREW_SUM_BIN + bin] += a->weight[row] * (y - p);
        }
    }
    for (size_t row = 0; row < a->n; row++) {
        double weight = a->weight[row], p = w->score[row], y = a->positive[row];
        double cut = brew_cut_probability(p);
        double *sum = m->sums[w->number[a->member[row]]];
        sum[BREW_SUM_W] += weight;
        sum[BREW_SUM_WY] += weight * y;
        sum[BREW_SUM_WP] += weight * p;
        sum[BREW_SUM_LOGLOSS] -= weight * log(y > 0 ? cut : 1 - cut);
        sum[BREW_SUM_BRIER] += weight * (p - y) * (p - y);
        *(y > 0 ? &m->positive_weight : &m->negative_weight) += weight;
    }
}

// Weighted auc of rows by ascending score; NaN when a class has no weight.
static double auc_of_rows(const struct work *w, const uint32_t *rows, size_t n) {
    const brew_answers *a = w->a;
    double wins = 0, positives = 0, negatives = 0;
    for (size_t i = 0; i < n;) {
        double p = w->score[rows[i]], of[2] = {0, 0};
        do of[a->positive[rows[i]]] += a->weight[rows[i]];
        while (++i < n && w->score[rows[i]] == p);
        wins += of[1] * (negatives + of[0] / 2);
        negatives += of[0];
        positives += of[1];
    }
    return positives > 0 && negatives > 0 ? wins / (positives * negatives) : NAN;
}

// Average precision, from the lowest score up: what is above a block is the total less what is below it.
static double average_precision(const struct work *w) {
    const brew_answers *a = w->a;
    double total = w->m->positive_weight + w->m->negative_weight, above = total, sum = 0;
    double positives = w->m->positive_weight, positives_above = positives;
    for (size_t i = 0; i < a->n;) {
        double p = w->score[w->order[i]], of[2] = {0, 0};
        do of[a->positive[w->order[i]]] += a->weight[w->order[i]];
        while (++i < a->n && w->score[w->order[i]] == p);
        if (of[1] > 0) sum += of[1] * positives_above / above;
        above -= of[0] + of[1];
        positives_above -= of[1];
    }
    return positives > 0 ? sum / positives : NAN;
}

static void sum_members(struct work *w, size_t *split) {
    const brew_answers *a = w->a;
    brew_measure *m = w->m;
    brew_gather(w->order, a->member, a->n, a->n_members, w->rows, split);
    for (size_t c = 0; c < a->n_members; c++) {
        if (split[c] == split[c + 1]) continue;
        double *sum = m->sums[w->number[c]];
        double auc = auc_of_rows(w, w->rows + split[c], split[c + 1] - split[c]);
        m->counts.one_class_members += isnan(auc);
        if (isnan(auc)) continue;
        sum[BREW_SUM_AUC] = auc;
        sum[BREW_SUM_AUC_N] = 1;
        sum[BREW_SUM_AUC_WEIGHTED] = auc * sum[BREW_SUM_W];
        sum[BREW_SUM_AUC_WEIGHT] = sum[BREW_SUM_W];
    }
}

// One group's rows, best first.
struct list {
    double *score, *share;
    uint8_t *positive;
    float *gain;
};

static void sum_top(struct work *w, const uint32_t *rows, size_t n, const struct list *l,
                    double *sum) {
    brew_rank_top(l->score, n, w->k, l->share);
    for (size_t i = 0; i < n && l->share[i] > 0; i++) {
        uint32_t item = w->a->item[rows[n - 1 - i]];
        sum[BREW_SUM_TOP] += l->share[i];
        sum[BREW_SUM_POPULARITY] += l->share[i] * w->popularity[item];
        w->missed[item] *= 1 - l->share[i];
    }
}

static void sum_group(struct work *w, const uint32_t *rows, size_t n, const struct list *l) {
    brew_measure *m = w->m;
    uint32_t first = rows[0];
    double positives = 0, out[4];
    for (size_t i = 0; i < n; i++) { // best first
        uint32_t row = rows[n - 1 - i];
        l->score[i] = w->score[row];
        l->positive[i] = w->a->positive[row];
        l->gain[i] = w->a->gain[row];
        positives += l->positive[i];
        if (row < first) first = row;
    }
    double *sum = m->sums[w->number[w->a->member[first]]];
    sum[BREW_SUM_PAIRS] += (double)n * (double)(n - 1) / 2;
    for (size_t i = 0, same = 0; i < n; i++) {
        same = i > 0 && l->score[i] == l->score[i - 1] ? same + 1 : 0;
        sum[BREW_SUM_TIED] += (double)same;
    }
    if (w->popularity) sum_top(w, rows, n, l, sum);
    m->counts.groups++;
    m->counts.groups_without_negative += positives == (double)n;
    if (brew_rank_list(l->score, l->positive, w->a->graded ? l->gain : NULL, n, w->k, out)) {
        for (int i = 0; i < 4; i++) sum[BREW_SUM_NDCG + i] += out[i];
        sum[BREW_SUM_GROUPS]++;
    } else {
        m->counts.groups_without_positive++;
    }
}

static void sum_groups(struct work *w, size_t *split) {
    const brew_answers *a = w->a;
    size_t longest = 0;
    brew_gather(w->order, a->group, a->n, a->n_groups, w->rows, split);
    for (size_t g = 0; g < a->n_groups; g++)
        if (split[g + 1] - split[g] > longest) longest = split[g + 1] - split[g];
    struct list l = {brew_alloc((longest + 1) * sizeof *l.score),
                     brew_alloc((longest + 1) * sizeof *l.share), brew_alloc(longest + 1),
                     brew_alloc((longest + 1) * sizeof *l.gain)};
    for (size_t g = 0; g < a->n_groups; g++)
        if (split[g] < split[g + 1]) sum_group(w, w->rows + split[g], split[g + 1] - split[g], &l);
    free(l.score);
    free(l.share);
    free(l.positive);
    free(l.gain);
}

static void start_items(struct work *w) {
    const brew_answers *a = w->a;
    if (a->unnamed || a->n == 0) return;
    w->popularity = brew_alloc(a->n_items * sizeof *w->popularity);
    w->missed = brew_alloc(a->n_items * sizeof *w->missed);
    brew_item_popularity(a, w->popularity);
    for (size_t i = 0; i < a->n_items; i++) w->missed[i] = 1;
}

static double coverage(const struct work *w, uint64_t *items) {
    double covered = 0;
    for (size_t i = 0; w->popularity && i < w->a->n_items; i++) {
        if (isnan(w->popularity[i])) continue;
        covered += 1 - w->missed[i];
        ++*items;
    }
    return *items ? covered / (double)*items : NAN;
}

static void finish(struct work *w) {
    brew_measure *m = w->m;
    double totals[BREW_SUMS] = {0};
    for (size_t c = 0; c < m->n_members; c++)
        for (int i = 0; i < BREW_SUMS; i++) totals[i] += m->sums[c][i];
    brew_metric_values(totals, m->value);
    m->value[BREW_METRIC_AUC] = auc_of_rows(w, w->order, m->n_rows);
    m->value[BREW_METRIC_PR_AUC] = average_precision(w);
    m->counts.members = m->n_members;
    for (int i = 0; i < BREW_METRICS; i++) m->n[i] = m->n_rows;
    m->n[BREW_METRIC_AUC_MEMBER] = (uint64_t)totals[BREW_SUM_AUC_N];
    m->n[BREW_METRIC_AUC_MEMBER_WEIGHTED] = (uint64_t)totals[BREW_SUM_AUC_N];
    for (int i = BREW_METRIC_NDCG; i <= BREW_METRIC_MAP; i++)
        m->n[i] = (uint64_t)totals[BREW_SUM_GROUPS];
    m->n[BREW_METRIC_COVERAGE] = 0;
    m->value[BREW_METRIC_COVERAGE] = coverage(w, &m->n[BREW_METRIC_COVERAGE]);
    m->n[BREW_METRIC_POPULARITY] = m->counts.groups;
    m->n[BREW_METRIC_TIES] = (uint64_t)totals[BREW_SUM_PAIRS];
}

// One slab: [n_members] sums and keys, then the arrays of rows.
static int allot(struct work *w, brew_err *err) {
    brew_measure *m = w->m;
    size_t sums, keys = m->n_members * sizeof *m->key, bytes, n = w->a->n;
    size_t row = 3 * sizeof(uint32_t) + sizeof(uint8_t) + (w->a->weighted ? sizeof(float) : 0);
    if (!brew_mul(m->n_members, sizeof *m->sums, &sums) || !brew_mul(n, row, &bytes) ||
        !brew_add(sums, bytes, &bytes) || !brew_add(keys, bytes, &bytes))
        return brew_fail(err, BREW_DATA, "%zu answers are too many", n);
    if (brew_slab_init(&m->slab, bytes ? bytes : 1, "the sums of the metrics", err) < 0) return -1;
    char *at = m->slab.ptr;
    m->sums = (void *)at;
    m->key = (void *)(at += sums);
    m->member = (void *)(at += keys);
    w->order = m->member + n;
    w->rows = w->order + n;
    at = (char *)(w->rows + n);
    if (w->a->weighted) {
        m->weight = (void *)at;
        at += n * sizeof(float);
    }
    m->flags = (uint8_t *)at;
    return 0;
}

int brew_measure_init(brew_measure *m, const brew_answers *a, const double *score, int64_t k,
                      brew_pool *pool, brew_err *err) {
    *m = (brew_measure){.n_rows = a->n};
    struct work w = {.a = a, .score = score, .k = k, .m = m};
    w.number = brew_alloc((a->n_members + 1) * sizeof *w.number);
    memset(w.number, 0xff, (a->n_members + 1) * sizeof *w.number);
    for (size_t i = 0; i < a->n; i++)
        if (w.number[a->member[i]] == UINT32_MAX) w.number[a->member[i]] = (uint32_t)m->n_members++;
    int status = allot(&w, err);
    for (size_t i = 0; status == 0 && i < a->n_members; i++)
        if (w.number[i] != UINT32_MAX) m->key[w.number[i]] = a->member_key[i];
    if (status == 0) status = brew_order(score, a->n, pool, w.order, err);
    if (status == 0) {
        size_t clusters = a->n_members > a->n_groups ? a->n_members : a->n_groups;
        size_t *split = brew_alloc((clusters + 1) * sizeof *split);
        start_items(&w);
        sum_rows(&w);
        sum_members(&w, split);
        sum_groups(&w, split);
        finish(&w);
        free(split);
        free(w.popularity);
        free(w.missed);
    }
    free(w.number);
    return status;
}

void brew_measure_release(brew_measure *m) {
    brew_slab_release(&m->slab);
    *m = (brew_measure){0};
}
