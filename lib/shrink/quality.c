#include "shrink/quality.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/json.h"
#include "rank/metrics.h"
#include "rank/score.h"
#include "text/request.h"

enum { NDCG_AT = 10 };

// What the pass over the answers gathers.
struct tally {
    brew_quality *quality;
    bool rounded;
    brew_answers answers;
    double weights;
};

static int take_answer(struct tally *tally, const brew_star *star, size_t a, size_t r, size_t item,
                       const brew_json *meta, const brew_forward_result *result, brew_err *err) {
    int64_t first = result->logit_splits[a], k = result->logit_splits[a + 1] - first;
    uint8_t *positive = brew_calloc((size_t)k, 1);
    float *logits = brew_calloc((size_t)k, sizeof *logits);
    int status = brew_request_positive(meta, item, (size_t)k, positive, err);
    if (!status) {
        brew_quality *q = tally->quality;
        double score = 0, *p = q->labels + q->splits[q->n];
        memcpy(logits, result->label_logits + first, (size_t)k * sizeof *logits);
        for (int64_t i = 0; i < k && tally->rounded; i++)
            logits[i] = brew_f32_from_bf16(brew_bf16_from_f32(logits[i]));
        brew_score_softmax(logits, (size_t)k, positive, star->offsets[a], p);
        for (int64_t i = 0; i < k; i++) score += positive[i] ? p[i] : 0;
        double right = p[star->targets[a]];
        q->logloss -= (double)star->weights[a] * log(right > 1e-15 ? right : 1e-15);
        tally->weights += (double)star->weights[a];
        brew_answers_add(&tally->answers, &(brew_answer){.score = score,
                                                         .weight = star->weights[a],
                                                         .positive = positive[star->targets[a]],
                                                         .member = (uint32_t)r,
                                                         .group = (uint32_t)r});
        q->scores[q->n++] = score;
        q->splits[q->n] = q->splits[q->n - 1] + k;
    }
    free(positive);
    free(logits);
    return status;
}

static int take_request(struct tally *tally, const brew_star *star, size_t r,
                        const brew_forward_result *result, brew_err *err) {
    size_t len, first = (size_t)star->answer_splits[r];
    const char *line = brew_star_meta(star, r, &len);
    brew_json *meta = line ? brew_json_parse(line, len, err) : NULL;
    if (line && !meta) return -1;
    int status = 0;
    for (size_t i = 0; i < brew_star_items(star, r) && !status; i++)
        if (star->targets[first + i] >= 0)
            status = take_answer(tally, star, first + i, r, i, meta, result, err);
    brew_json_free(meta);
    return status;
}

// ---- figures ----

struct ranked {
    double score;
    uint8_t positive;
};

static int by_score(const void *a, const void *b) {
    double x = ((const struct ranked *)a)->score, y = ((const struct ranked *)b)->score;
    return (y > x) - (y < x);
}

// The ndcg of rows in descending order of their scores; of equals the positive ones come first, or last.
static bool strict_ndcg(const struct ranked *rows, size_t n, bool positives_first, double *ndcg) {
    double *places = brew_calloc(n, sizeof *places), four[4];
    uint8_t *positive = brew_calloc(n, 1);
    size_t at = 0;
    for (size_t from = 0, end; from < n; from = end) {
        for (end = from; end < n && rows[end].score == rows[from].score;) end++;
        for (int pass = 0; pass < 2; pass++)
            for (size_t i = from; i < end; i++)
                if (rows[i].positive == (positives_first == (pass == 0)))
                    positive[at++] = rows[i].positive;
    }
    for (size_t i = 0; i < n; i++) places[i] = (double)(n - i);
    bool has = brew_rank_list(places, positive, NULL, n, NDCG_AT, four);
    if (has) *ndcg = four[0];
    free(places);
    free(positive);
    return has;
}

static void ndcg_range(brew_quality *q, const brew_answers *a) {
    struct ranked *rows = brew_calloc(a->n + 1, sizeof *rows);
    double low = 0, high = 0, worst, best;
    size_t lists = 0;
    for (size_t from = 0, end; from < a->n; from = end) {
        for (end = from; end < a->n && a->group[end] == a->group[from]; end++)
            rows[end] = (struct ranked){a->score[end], a->positive[end]};
        qsort(rows + from, end - from, sizeof *rows, by_score);
        if (!strict_ndcg(rows + from, end - from, false, &worst) ||
            !strict_ndcg(rows + from, end - from, true, &best))
            continue;
        low += worst;
        high += best;
        lists++;
    }
    q->ndcg_low = lists ? low / (double)lists : NAN;
    q->ndcg_high = lists ? high / (double)lists : NAN;
    for (size_t i = 0; i < a->n; i++) rows[i].score = a->score[i];
    qsort(rows, a->n, sizeof *rows, by_score);
    q->unique = a->n > 0;
    for (size_t i = 1; i < a->n; i++) q->unique += rows[i].score != rows[i - 1].score;
    free(rows);
}

static int measure(struct tally *tally, brew_pool *pool, brew_err *err) {
    brew_quality *q = tally->quality;
    brew_measure m = {0};
    if (!q->n) return brew_fail(err, BREW_DATA, "no calibration request has a known answer");
    q->logloss /= tally->weights > 0 ? tally->weights : 1;
    int status = brew_measure_init(&m, &tally->answers, q->scores, NDCG_AT, pool, err);
    q->auc = m.value[BREW_METRIC_AUC];
    q->ece = m.value[BREW_METRIC_ECE];
    q->ties = m.value[BREW_METRIC_TIES];
    q->ndcg = m.value[BREW_METRIC_NDCG];
    brew_measure_release(&m);
    ndcg_range(q, &tally->answers);
    return status;
}

static int judge(const brew_star *star, const brew_forward_result *result, bool rounded,
                 brew_pool *pool, brew_quality *quality, brew_err *err) {
    struct tally tally = {.quality = quality, .rounded = rounded};
    size_t n = star->n_answers, k = (size_t)result->logit_splits[n];
    quality->scores = brew_calloc(n + 1, sizeof *quality->scores);
    quality->splits = brew_calloc(n + 1, sizeof *quality->splits);
    quality->labels = brew_calloc(k + 1, sizeof *quality->labels);
    int status = 0;
    for (size_t r = 0; r < star->n_requests && !status; r++)
        status = take_request(&tally, star, r, result, err);
    if (!status) status = measure(&tally, pool, err);
    brew_answers_release(&tally.answers);
    return status;
}

int brew_quality_of(brew_model *model, const brew_star *star, brew_quality *quality,
                    brew_quality *rounded, brew_err *err) {
    brew_forward_result result = {0};
    brew_pool *pool = brew_model_backend(model)->pool;
    *quality = (brew_quality){0};
    if (rounded) *rounded = (brew_quality){0};
    int status = brew_model_forward(model, star, NULL, &result, err);
    if (!status) status = judge(star, &result, false, pool, quality, err);
    if (!status && rounded) status = judge(star, &result, true, pool, rounded, err);
    brew_forward_result_release(&result);
    return status;
}

int brew_quality_from(brew_model *model, const brew_star *star, const brew_forward_result *result,
                      brew_quality *quality, brew_err *err) {
    *quality = (brew_quality){0};
    return judge(star, result, false, brew_model_backend(model)->pool, quality, err);
}

void brew_quality_release(brew_quality *quality) {
    free(quality->scores);
    free(quality->labels);
    free(quality->splits);
    *quality = (brew_quality){0};
}

double brew_quality_kl(const brew_quality *from, const brew_quality *to) {
    double sum = 0;
    for (int64_t i = 0; i < from->splits[from->n]; i++) {
        double p = from->labels[i], q = to->labels[i] > 1e-15 ? to->labels[i] : 1e-15;
        if (p > 0) sum += p * log(p / q);
    }
    return from->n ? sum / (double)from->n : 0;
}
