#include "shrink/layers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shrink/quality.h"
#include "train/loss.h"

enum { ANSWERS = 512 }; // as many say enough

struct search {
    brew_model *model;
    brew_star star;            // the requests that are asked
    bool known;                // whether any of their items' answers are
    int64_t layers, labels;    // L, and label logits of all answers
    brew_forward_result whole; // of the model as it is; absent_logits of each layer
    brew_quality quality;      // likewise
    brew_absence *out;
    // Of each layer: what its absence does beside others, what it adds to theirs, and how many were gone then.
    brew_damage *beside;
    double *cost;
    int64_t *gone;
};

// As many requests, evenly drawn, as it takes for so many answers.
static void draw(struct search *s, const brew_star *star) {
    size_t n = star->n_requests, answers = star->n_answers, want = n;
    if (answers > ANSWERS) want = (n * ANSWERS + answers - 1) / answers;
    for (size_t r = 0; r < n; r++) {
        if (r * want % n >= want) continue;
        brew_star_append(&s->star, star, r);
        size_t items = brew_star_items(star, r), first = (size_t)star->answer_splits[r];
        for (size_t i = 0; i < items; i++) s->known |= star->targets[first + i] >= 0;
    }
}

// ---- each layer alone ----

// Puts one request's label logits behind those of the requests before it.
static void collect(struct search *s, const brew_forward_result *one, int64_t first, size_t n) {
    int64_t *splits = s->whole.logit_splits + first, at = splits[0], labels = one->logit_splits[n];
    size_t bytes = (size_t)labels * sizeof(float);
    for (size_t a = 0; a < n; a++) splits[a + 1] = at + one->logit_splits[a + 1];
    memcpy(s->whole.label_logits + at, one->label_logits, bytes);
    for (int64_t l = 0; l < s->layers; l++)
        memcpy(s->whole.absent_logits + l * s->labels + at, one->absent_logits + l * labels, bytes);
}

// Requests one by one, so that memory is that of the longest.
static int forward_absent(struct search *s, brew_err *err) {
    brew_forward_options options = {.each_absent = true};
    brew_forward_result result = {0};
    brew_star one = {0};
    int status = 0;
    for (size_t r = 0; r < s->star.n_requests && !status; r++) {
        brew_star_reset(&one);
        brew_star_append(&one, &s->star, r);
        status = brew_model_forward(s->model, &one, &options, &result, err);
        if (!status) collect(s, &result, s->star.answer_splits[r], one.n_answers);
    }
    brew_star_release(&one);
    brew_forward_result_release(&result);
    return status;
}

// ---- damage ----

// Of n labels with logits x from those with logits of.
static double divergence(const float *of, const float *x, int64_t n) {
    brew_logits whole = {(size_t)n, of, -INFINITY}, less = {(size_t)n, x, -INFINITY};
    return brew_loss_distil(BREW_FKL, 1, 0, &whole, &less, 0, NULL, NULL);
}

static int judge(struct search *s, const brew_forward_result *result, brew_quality *quality,
                 brew_err *err) {
    *quality = (brew_quality){.logloss = NAN, .auc = NAN};
    return s->known ? brew_quality_from(s->model, &s->star, result, quality, err) : 0;
}

static int damage_of(struct search *s, float *logits, brew_damage *damage, brew_err *err) {
    const int64_t *splits = s->whole.logit_splits;
    size_t n = s->star.n_answers;
    brew_forward_result result = {.label_logits = logits, .logit_splits = s->whole.logit_splits};
    brew_quality quality;
    if (judge(s, &result, &quality, err)) return -1;
    *damage = (brew_damage){.logloss = quality.logloss - s->quality.logloss,
                            .auc = s->quality.auc - quality.auc};
    for (size_t a = 0; a < n; a++)
        damage->divergence += divergence(s->whole.label_logits + splits[a], logits + splits[a],
                                         splits[a + 1] - splits[a]);
    damage->divergence /= n ? (double)n : 1;
    brew_quality_release(&quality);
    return 0;
}

static int ask_each(struct search *s, brew_err *err) {
    if (forward_absent(s, err) || judge(s, &s->whole, &s->quality, err)) return -1;
    for (int64_t l = 0; l < s->layers; l++) {
        if (damage_of(s, s->whole.absent_logits + l * s->labels, &s->out->alone[l], err)) return -1;
        s->beside[l] = s->out->alone[l];
        s->cost[l] = s->beside[l].divergence;
    }
    return 0;
}

static int ask(struct search *s, const bool *skip, brew_damage *damage, brew_err *err) {
    brew_forward_options options = {.skip = skip};
    brew_forward_result result = {0};
    int status = brew_model_forward(s->model, &s->star, &options, &result, err);
    if (!status) status = damage_of(s, result.label_logits, damage, err);
    brew_forward_result_release(&result);
    s->out->asked++;
    return status;
}

// ---- the search ----

// Of equals the later one.
static int64_t cheapest(const struct search *s, const bool *skip) {
    int64_t least = -1;
    for (int64_t l = s->layers - 1; l >= 0; l--)
        if (!skip[l] && (least < 0 || s->cost[l] < s->cost[least])) least = l;
    return least;
}

// One more layer beside the n that are gone.
static int take_one(struct search *s, int64_t n, bool *skip, brew_err *err) {
    int64_t l;
    while (s->gone[l = cheapest(s, skip)] < n) {
        skip[l] = true;
        int status = ask(s, skip, &s->beside[l], err);
        skip[l] = false;
        if (status) return -1;
        s->cost[l] = s->beside[l].divergence - s->out->together.divergence;
        s->gone[l] = n;
    }
    skip[l] = true;
    s->out->together = s->beside[l];
    return 0;
}

int brew_layers_choose(brew_model *model, const brew_star *star, int64_t gone, bool *skip,
                       brew_absence *absence, brew_err *err) {
    size_t layers = (size_t)brew_model_config(model)->layers, labels = 0;
    struct search s = {.model = model,
                       .layers = (int64_t)layers,
                       .out = absence,
                       .beside = brew_calloc(layers, sizeof *s.beside),
                       .cost = brew_calloc(layers, sizeof *s.cost),
                       .gone = brew_calloc(layers, sizeof *s.gone)};
    draw(&s, star);
    for (size_t a = 0; a < s.star.n_answers; a++) labels += (size_t)brew_star_labels(&s.star, a);
    s.labels = (int64_t)labels;
    s.whole.label_logits = brew_calloc(labels + 1, sizeof(float));
    s.whole.logit_splits = brew_calloc(s.star.n_answers + 1, sizeof(int64_t));
    s.whole.absent_logits = brew_calloc(labels * layers + 1, sizeof(float));
    *absence =
        (brew_absence){.n = (int64_t)layers, .alone = brew_calloc(layers, sizeof *absence->alone)};
    int status = ask_each(&s, err);
    for (int64_t n = 0; n < gone && !status; n++) status = take_one(&s, n, skip, err);
    brew_star_release(&s.star);
    brew_quality_release(&s.quality);
    brew_forward_result_release(&s.whole);
    free(s.beside);
    free(s.cost);
    free(s.gone);
    return status;
}

void brew_absence_release(brew_absence *absence) {
    free(absence->alone);
    *absence = (brew_absence){0};
}
