// Metrics against scikit-learn (testdata/eval/metrics.tsv) and against figures worked out by hand.
#include "rank/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/tap.h"
#include "rank/auc.h"

enum { GOLDEN_K = 3 };

static double named_value(const brew_measure *m, const char *name) {
    char have[BREW_METRIC_NAME];
    for (int i = 0; i < BREW_METRICS; i++) {
        brew_metric_name(i, GOLDEN_K, have);
        if (!strcmp(have, name)) return m->value[i];
    }
    return NAN;
}

struct golden {
    char name[32];
    brew_answers answers;
    brew_measure measure;
    int wanted; // metrics that the file gives
};

static void end_case(struct golden *g) {
    int defined = 0;
    for (int i = 0; i < BREW_METRICS; i++) defined += !isnan(g->measure.value[i]);
    if (g->name[0]) ok(defined == g->wanted, "%s: no further metric has a value", g->name);
    brew_measure_release(&g->measure);
    brew_answers_release(&g->answers);
    g->wanted = 0;
}

static void test_goldens(void) {
    FILE *file = fopen("testdata/eval/metrics.tsv", "r");
    ok(file != NULL, "the goldens are there");
    if (!file) return;
    char line[512], name[32], metric[32], what[80];
    struct golden g = {.name = ""};
    while (fgets(line, sizeof line, file)) {
        unsigned member, group;
        unsigned item;
        double score, positive, weight, gain, want;
        if (sscanf(line, "row %31s %u %u %u %lf %lf %lf %lf", name, &member, &group, &item, &score,
                   &positive, &weight, &gain) == 8) {
            if (strcmp(name, g.name)) {
                end_case(&g);
                strcpy(g.name, name);
            }
            brew_answer row = {score, (float)weight, positive > 0, member,
                               group, item,          (float)gain};
            brew_answers_add(&g.answers, &row);
        } else if (sscanf(line, "want %31s %31s %lf", name, metric, &want) == 3) {
            if (!g.measure.slab.ptr)
                brew_measure_init(&g.measure, &g.answers, g.answers.score, GOLDEN_K, NULL, NULL);
            double got = named_value(&g.measure, metric);
            snprintf(what, sizeof what, "%s %s", name, metric);
            is_near(got, want, 1e-12, what);
            g.wanted++;
            if (!strcmp(metric, "auc") && !g.answers.weighted) {
                brew_auc(g.answers.score, g.answers.positive, g.answers.n, NULL, &got, NULL);
                is_near(got, want, 1e-12, "the radix sort agrees");
            }
        }
    }
    end_case(&g);
    fclose(file);
}

static void test_list(void) {
    // 2 tied leaders, one of them positive; then a positive; then a negative
    const double score[] = {.9, .9, .5, .1};
    const uint8_t positive[] = {0, 1, 1, 0};
    double out[4];
    ok(brew_rank_list(score, positive, NULL, 4, 2, out), "a list with a positive");
    double d2 = 1 / log2(3);
    is_near(out[0], .5 * (1 + d2) / (1 + d2), 1e-15, "ndcg@2 shares the gain of the tie");
    is_near(out[1], .5 * 1 + .5 * .5, 1e-15, "mrr is the mean over both orders");
    is_near(out[2], .5, 1e-15, "recall@2 counts the tie's one positive of two");
    is_near(out[3], .5 * ((1 + 2. / 3) / 2) + .5 * ((.5 + 2. / 3) / 2), 1e-15,
            "map is the mean over both orders");
    ok(brew_rank_list(score, positive, NULL, 4, 1, out), "cut inside the tie");
    is_near(out[0], .5, 1e-15, "ndcg@1 inside a tie");
    is_near(out[2], .25, 1e-15, "recall@1 inside a tie");
    const uint8_t none[] = {0, 0, 0, 0}, all[] = {1, 1, 1, 1};
    ok(!brew_rank_list(score, none, NULL, 4, 2, out), "no positive: no value");
    ok(brew_rank_list(score, all, NULL, 4, 9, out) && out[0] == 1 && out[1] == 1 && out[3] == 1,
       "nothing but positives, k beyond the end: 1");
}

static double brute_auc(const double *score, const uint8_t *positive, size_t n) {
    double wins = 0, pairs = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            if (positive[i] && !positive[j]) {
                pairs++;
                wins += score[i] > score[j] ? 1 : score[i] == score[j] ? .5 : 0;
            }
    return wins / pairs;
}

static void test_auc(void) {
    enum { N = 700, LARGE = 50000 };
    static double score[LARGE];
    static uint8_t positive[LARGE];
    static const char *const kinds[] = {"probabilities", "with ties", "any sign", "wide",
                                        "0 and -0"};
    double auc, again;
    for (int kind = 0; kind < 5; kind++) {
        for (size_t i = 0; i < N; i++) {
            double u = brew_rand_unit(1, (uint64_t)kind, i);
            positive[i] = brew_rand_unit(2, (uint64_t)kind, i) < .1 + .6 * u;
            score[i] = kind == 0   ? u
                       : kind == 1 ? floor(u * 9) / 9
                       : kind == 2 ? u - .5
                       : kind == 3 ? exp(300 * (u - .5)) * (i % 2 ? 1 : -1)
                                   : (u < .3   ? 0.
                                      : u < .6 ? -0.
                                               : u);
        }
        brew_auc(score, positive, N, NULL, &auc, NULL);
        char what[64];
        snprintf(what, sizeof what, "auc by all pairs: %s", kinds[kind]);
        is_near(auc, brute_auc(score, positive, N), 1e-14, what);
    }
    for (size_t i = 0; i < LARGE; i++) {
        score[i] = floor(1e4 * brew_rand_unit(3, 0, i)) / 1e4;
        positive[i] = brew_rand_unit(4, 0, i) < score[i];
    }
    brew_auc(score, positive, LARGE, NULL, &auc, NULL);
    for (int threads = 2; threads <= 3; threads++) {
        brew_pool *pool = brew_pool_new(threads);
        brew_auc(score, positive, LARGE, pool, &again, NULL);
        ok(auc == again, "the same bits with %d threads", threads);
        brew_pool_free(pool);
    }
    score[7] = -1; // leaves [0, 2): the other way to sort
    positive[7] = 0;
    double packed = auc;
    brew_auc(score, positive, LARGE, NULL, &auc, NULL);
    is_near(auc, packed, 1e-3, "one row outside [0, 2) changes little");
    const double same[] = {.5, .5, .5};
    const uint8_t mixed[] = {1, 0, 1}, ones[] = {1, 1, 1};
    brew_auc(same, mixed, 3, NULL, &auc, NULL);
    is_near(auc, .5, 0, "equal scores: exactly one half");
    brew_auc(same, ones, 3, NULL, &auc, NULL);
    ok(isnan(auc), "one class: no value");
    brew_auc(NULL, NULL, 0, NULL, &auc, NULL);
    ok(isnan(auc), "no rows: no value");
}

static void test_order(void) {
    const double score[] = {.5, -1, .5, 7, -0., 0, -1e300, .5};
    const uint32_t want[] = {6, 1, 4, 5, 0, 2, 7, 3};
    uint32_t order[8], rows[8];
    brew_order(score, 8, NULL, order, NULL);
    ok(!memcmp(order, want, sizeof want), "ascending, ties in the order of the rows");
    const uint32_t cluster[] = {2, 0, 2, 0, 2, 3, 3, 0}, gathered[] = {1, 7, 3, 4, 0, 2, 6, 5};
    size_t split[5];
    brew_gather(order, cluster, 8, 4, rows, split);
    ok(!memcmp(rows, gathered, sizeof gathered) && split[0] == 0 && split[1] == 3 &&
           split[2] == 3 && split[3] == 6 && split[4] == 8,
       "rows gathered by cluster, an empty one among them");
}

static void test_counts(void) {
    // member 0: both classes; member 1: only positives; member 5: only negatives. Numbers have gaps.
    static const brew_answer rows[] = {
        {.8, 1, true, 0, 0, 0},  {.3, 1, false, 0, 0, 0}, {.3, 1, true, 1, 4, 0},
        {.9, 1, true, 1, 4, 0},  {.1, 1, false, 5, 2, 0}, {.1, 1, false, 5, 2, 0},
        {.4, 1, false, 5, 2, 0},
    };
    brew_answers a = {0};
    brew_measure m;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) brew_answers_add(&a, &rows[i]);
    is_int(brew_measure_init(&m, &a, a.score, 10, NULL, NULL), 0, "measured");
    is_int((long long)m.counts.members, 3, "members with rows");
    is_int((long long)m.counts.one_class_members, 2, "members of one class");
    is_int((long long)m.n[BREW_METRIC_AUC_MEMBER], 1, "members in auc_member");
    is_int((long long)m.counts.groups_without_positive, 1, "groups without a positive");
    is_int((long long)m.counts.groups_without_negative, 1, "groups without a negative");
    is_int((long long)m.n[BREW_METRIC_NDCG], 2, "groups in ndcg");
    is_near(m.value[BREW_METRIC_TIES], 1. / 5, 1e-15, "one tied pair of five");
    is_near(m.value[BREW_METRIC_COPC], 3 / 2.9, 1e-15, "copc");
    brew_answers part = {0};
    const uint32_t chosen[] = {4, 5, 2};
    brew_answers_select(&a, chosen, 3, &part);
    ok(part.n == 3 && part.n_members == 2 && part.n_groups == 2 && part.member[2] == 1 &&
           part.score[2] == .3,
       "a selection is numbered anew");
    brew_measure_release(&m);
    brew_answers none = {0};
    is_int(brew_measure_init(&m, &none, NULL, 10, NULL, NULL), 0, "no rows are no error");
    ok(isnan(m.value[BREW_METRIC_AUC]) && isnan(m.value[BREW_METRIC_ECE]), "and give no value");
    brew_measure_release(&m);
    brew_answers_release(&part);
    brew_answers_release(&a);
}

int main(void) {
    test_goldens();
    test_list();
    test_auc();
    test_order();
    test_counts();
    return tap_done();
}
