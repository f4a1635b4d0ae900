// Inside lib/train: what tests against goldens of scripts/peers share: the stars of requests.json, and how far
// gradients are from what was kept of them.
#ifndef BREW_TRAIN_TESTING_H
#define BREW_TRAIN_TESTING_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"
#include "io/json.h"
#include "model/learner.h"
#include "train/batch.h"
#include "train/schedule.h"

enum { MAX_IDS = 256 };

static int32_t ids[MAX_IDS];

static size_t read_ids(const brew_json *array) {
    size_t n = brew_json_length(array);
    if (n > MAX_IDS) n = 0;
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)brew_json_int(brew_json_at(array, i));
    return n;
}

// One answer: [set, target, weight], standing at `at` of the array.
static void add_answer(brew_star *star, const brew_json *sets, const brew_json *answer, size_t at,
                       int64_t row) {
    int32_t target = (int32_t)brew_json_int(brew_json_at(answer, at + 1));
    double weight = brew_json_real(brew_json_at(answer, at + 2));
    size_t n = read_ids(brew_json_at(sets, (size_t)brew_json_int(brew_json_at(answer, at))));
    brew_star_add_answer(star, row, brew_star_add_set(star, ids, n), target, (float)weight, 0);
}

static void add_request(brew_star *star, const brew_json *sets, const brew_json *request) {
    int64_t start = (int64_t)star->n_ids, ends[MAX_IDS];
    brew_star_add_request(star);
    brew_star_add_ids(star, ids, read_ids(brew_json_get(request, "query")));
    const brew_json *items = brew_json_get(request, "items");
    for (size_t i = 0; sets && i < brew_json_length(items); i++) {
        brew_star_add_item(star);
        brew_star_add_ids(star, ids, read_ids(brew_json_at(items, i)));
        ends[i] = (int64_t)star->n_ids - 1;
    }
    const brew_json *answers = brew_json_get(request, "answers");
    for (size_t i = 0; sets && i < brew_json_length(answers); i++)
        add_answer(star, sets, brew_json_at(answers, i), 0, ends[i]);
    const brew_json *history = brew_json_get(request, "history");
    for (size_t i = 0; sets && i < brew_json_length(history); i++) {
        const brew_json *seen = brew_json_at(history, i);
        add_answer(star, sets, seen, 1, start + brew_json_int(brew_json_at(seen, 0)));
    }
    brew_star_add_meta(star, "{}", 2);
}

struct goldens {
    brew_json *input; // recipe, sets, requests
    const brew_json *recipe, *sets, *requests;
};

static double recipe(const struct goldens *g, const char *name) {
    return brew_json_real(brew_json_get(g->recipe, name));
}

static bool goldens_open(struct goldens *g) {
    brew_err err = {0};
    *g = (struct goldens){.input = brew_json_load("testdata/train/requests.json", &err)};
    if (!ok(g->input != NULL, "the stars are read")) return false;
    g->recipe = brew_json_get(g->input, "recipe");
    g->sets = brew_json_get(g->input, "sets");
    g->requests = brew_json_get(g->input, "requests");
    return true;
}

// Requests [first, first + n), over and over, with or without items and answers.
static void load_batch(const struct goldens *g, bool answers, size_t first, size_t n,
                       brew_batch *batch) {
    brew_err err = {0};
    brew_star star = {0};
    brew_batch_reset(batch);
    for (size_t i = 0; i < n; i++) {
        add_request(&star, answers ? g->sets : NULL,
                    brew_json_at(g->requests, (first + i) % brew_json_length(g->requests)));
        if (brew_batch_add(batch, &star, i, 0, NULL, &err) < 0) ok(false, "a batch: %s", err.text);
    }
    brew_star_release(&star);
}

// AdamW with the gradients that the learner holds, as the recipe says; their norm.
static double take_step(const struct goldens *g, brew_learner *learner, int64_t step) {
    brew_schedule schedule = {.kind = BREW_COSINE,
                              .steps = (int64_t)recipe(g, "steps"),
                              .warmup = (int64_t)recipe(g, "warmup")};
    const brew_json *betas = brew_json_get(g->recipe, "betas");
    double norm = brew_learner_norm(learner), clip = recipe(g, "clip");
    brew_adamw adamw = {.lr = recipe(g, "lr") * brew_schedule_at(&schedule, step),
                        .beta1 = brew_json_real(brew_json_at(betas, 0)),
                        .beta2 = brew_json_real(brew_json_at(betas, 1)),
                        .eps = recipe(g, "eps"),
                        .decay = recipe(g, "decay"),
                        .scale = norm > clip ? clip / (norm + 1e-6) : 1, // as PyTorch clips
                        .step = step};
    brew_learner_update(learner, &adamw);
    return norm;
}

// The relative length of the difference from gold, estimated by sums under random signs.
static double difference(brew_learner *learner, size_t index, const brew_json *gold) {
    const brew_parameter *p = brew_learner_parameter(learner, index);
    size_t n = (size_t)(p->rows * p->cols), sums = brew_json_length(gold) - 1;
    float *values = brew_calloc(n, sizeof *values);
    brew_learner_get(learner, BREW_GRADIENTS, index, 0, p->rows, values);
    double squares = 0;
    for (size_t k = 0; k < sums; k++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += brew_rand_u64(0, k, i) >> 63 ? -(double)values[i] : (double)values[i];
        sum -= brew_json_real(brew_json_at(gold, k + 1));
        squares += sum * sum;
    }
    free(values);
    return sqrt(squares / (double)sums) / brew_json_real(brew_json_at(gold, 0));
}

#endif
