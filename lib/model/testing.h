// For tests only: goldens of testdata/models (made by scripts/peers/model_goldens.py) as stars, and
// models opened for them. Include base/tap.h first.
#ifndef BREW_MODEL_TESTING_H
#define BREW_MODEL_TESTING_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/json.h"
#include "model/model.h"
#include "tensor/star.h"

// Answers are in the star's order; their labels' values lie one after another.
typedef struct golden {
    brew_star star;
    double *label_logprobs, *logprobs;
    size_t n, cap, cap2;
} golden;

static size_t golden_ids(const brew_json *array, int32_t *out, size_t max) {
    size_t n = brew_json_length(array);
    for (size_t i = 0; i < n && i < max; i++)
        out[i] = (int32_t)brew_json_int(brew_json_at(array, i));
    return n;
}

static void golden_answer(golden *g, const brew_json *answer, int64_t row, int32_t set,
                          size_t labels) {
    brew_star_add_answer(&g->star, row, set, -1, 1, 0);
    BREW_GROW(g->label_logprobs, g->n + labels, g->cap);
    BREW_GROW(g->logprobs, g->n + labels, g->cap2);
    for (size_t k = 0; k < labels; k++, g->n++) {
        g->label_logprobs[g->n] =
            brew_json_real(brew_json_at(brew_json_get(answer, "label_logprobs"), k));
        g->logprobs[g->n] = brew_json_real(brew_json_at(brew_json_get(answer, "logprobs"), k));
    }
}

static void golden_request(golden *g, const brew_json *request) {
    enum { MAX = 1 << 16 };
    int32_t *ids = brew_calloc(MAX, sizeof *ids);
    int64_t query_start = (int64_t)g->star.n_ids;
    brew_star_add_request(&g->star);
    size_t n = golden_ids(brew_json_get(request, "query"), ids, MAX);
    brew_star_add_ids(&g->star, ids, n);
    const brew_json *items = brew_json_get(request, "items");
    int64_t *ends = brew_calloc(brew_json_length(items) + 1, sizeof *ends);
    for (size_t i = 0; i < brew_json_length(items); i++) {
        n = golden_ids(brew_json_at(items, i), ids, MAX);
        brew_star_add_item(&g->star);
        brew_star_add_ids(&g->star, ids, n);
        ends[i] = (int64_t)g->star.n_ids - 1;
    }
    size_t labels = golden_ids(brew_json_get(request, "labels"), ids, MAX);
    int32_t set = brew_star_add_set(&g->star, ids, labels);
    const brew_json *answers = brew_json_get(request, "answers");
    for (size_t i = 0; i < brew_json_length(answers); i++)
        golden_answer(g, brew_json_at(answers, i), ends[i], set, labels);
    const brew_json *history = brew_json_get(request, "history");
    for (size_t i = 0; i < brew_json_length(history); i++) {
        const brew_json *seen = brew_json_at(history, i);
        int64_t row = query_start + brew_json_int(brew_json_get(seen, "row"));
        golden_answer(g, seen, row, set, labels);
    }
    brew_star_add_meta(&g->star, "{}", 2);
    free(ends);
    free(ids);
}

// At most `most` requests.
__attribute__((unused)) static int golden_load(golden *g, const char *path, size_t most,
                                               brew_err *err) {
    brew_json *json = brew_json_load(path, err);
    if (!json) return -1;
    const brew_json *requests = brew_json_get(json, "requests");
    for (size_t r = 0; r < brew_json_length(requests) && r < most; r++)
        golden_request(g, brew_json_at(requests, r));
    brew_json_free(json);
    return 0;
}

__attribute__((unused)) static void golden_release(golden *g) {
    brew_star_release(&g->star);
    free(g->label_logprobs);
    free(g->logprobs);
    *g = (golden){0};
}

struct opened {
    brew_modeldir *dir;
    brew_pool *pool;
    brew_backend *be;
    brew_model *model;
};

__attribute__((unused)) static bool open_model(struct opened *o, const char *path,
                                               const char *level, enum brew_precision precision,
                                               int threads) {
    brew_err err = {0};
    *o = (struct opened){0};
    o->dir = brew_modeldir_open(path, &err);
    o->pool = brew_pool_new(threads);
    if (o->dir) o->be = brew_backend_open(level, precision, o->pool, &err);
    if (o->be) o->model = brew_model_open(o->dir, o->be, &err);
    if (!o->model) printf("# %s: %s\n", path, err.text);
    return o->model != NULL;
}

__attribute__((unused)) static void close_model(struct opened *o) {
    brew_model_free(o->model);
    if (o->be) brew_backend_close(o->be);
    brew_pool_free(o->pool);
    if (o->dir) brew_modeldir_close(o->dir);
}

__attribute__((unused)) static bool run(struct opened *o, const brew_star *star, int64_t block_rows,
                                        bool sums, brew_forward_result *result) {
    brew_err err = {0};
    brew_forward_options options = {.block_rows = block_rows, .with_lse = sums, .with_rest = sums};
    int status = brew_model_forward(o->model, star, &options, result, &err);
    if (status < 0) printf("# %s\n", err.text);
    return status == 0;
}

struct deviation {
    double most, sum;
    size_t n;
};

__attribute__((unused)) static void deviate(struct deviation *d, double got, double want) {
    double diff = fabs(got - want);
    if (!(diff <= d->most)) d->most = diff; // a NaN stays
    d->sum += diff;
    d->n++;
}

// How far the label log-probabilities, among the labels and in the whole vocabulary, are from gold.
__attribute__((unused)) static struct deviation compare(const golden *g,
                                                        const brew_forward_result *result) {
    struct deviation d = {0};
    size_t at = 0;
    for (size_t a = 0; a < g->star.n_answers; a++) {
        const float *z = result->label_logits + result->logit_splits[a];
        int64_t n = result->logit_splits[a + 1] - result->logit_splits[a];
        double sum = 0;
        for (int64_t k = 0; k < n; k++) sum += exp((double)z[k]);
        for (int64_t k = 0; k < n; k++, at++) {
            deviate(&d, (double)z[k] - log(sum), g->label_logprobs[at]);
            if (result->lse) deviate(&d, (double)z[k] - (double)result->lse[a], g->logprobs[at]);
        }
        // the labels and the rest are the whole vocabulary
        if (result->rest) deviate(&d, log(sum + exp((double)result->rest[a])), result->lse[a]);
    }
    return d;
}

#endif
