#include "shrink/quality.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/json.h"
#include "rank/auc.h"
#include "rank/score.h"
#include "text/request.h"

// What the pass over the answers gathers.
struct tally {
    brew_quality *quality;
    uint8_t *positive; // [n] was the answer positive
    double weights;
};

static int take_answer(struct tally *tally, const brew_star *star, size_t a, size_t item,
                       const brew_json *meta, const brew_forward_result *result, brew_err *err) {
    int64_t first = result->logit_splits[a], k = result->logit_splits[a + 1] - first;
    uint8_t *positive = brew_calloc((size_t)k, 1);
    double *p = brew_calloc((size_t)k, sizeof *p), score = 0;
    int status = brew_request_positive(meta, item, (size_t)k, positive, err);
    if (!status) {
        brew_quality *q = tally->quality;
        brew_score_softmax(result->label_logits + first, (size_t)k, positive, star->offsets[a], p);
        for (int64_t i = 0; i < k; i++) score += positive[i] ? p[i] : 0;
        double right = p[star->targets[a]];
        q->logloss -= (double)star->weights[a] * log(right > 1e-15 ? right : 1e-15);
        tally->weights += (double)star->weights[a];
        tally->positive[q->n] = positive[star->targets[a]];
        q->scores[q->n++] = score;
    }
    free(positive);
    free(p);
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
            status = take_answer(tally, star, first + i, i, meta, result, err);
    brew_json_free(meta);
    return status;
}

int brew_quality_of(brew_model *model, const brew_star *star, const bool *skip,
                    brew_quality *quality, brew_err *err) {
    brew_forward_options options = {.skip = skip};
    brew_forward_result result = {0};
    *quality = (brew_quality){.auc = NAN};
    quality->scores = brew_calloc(star->n_answers + 1, sizeof *quality->scores);
    struct tally tally = {.quality = quality, .positive = brew_calloc(star->n_answers + 1, 1)};
    int status = brew_model_forward(model, star, &options, &result, err);
    for (size_t r = 0; r < star->n_requests && !status; r++)
        status = take_request(&tally, star, r, &result, err);
    if (!status && !quality->n)
        status = brew_fail(err, BREW_DATA, "the calibration stream has no known answer");
    if (!status) {
        quality->logloss /= tally.weights > 0 ? tally.weights : 1;
        status = brew_auc(quality->scores, tally.positive, quality->n,
                          brew_model_backend(model)->pool, &quality->auc, err);
    }
    brew_forward_result_release(&result);
    free(tally.positive);
    if (status) free(quality->scores), quality->scores = NULL;
    return status;
}
