// Slopes of gates against central differences: output and down projections with a head's or neuron's columns made
// a little larger and smaller.
#include "shrink/taylor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/tap.h"
#include "model/learner.h"
#include "model/names.h"
#include "model/testing.h"
#include "train/loss.h"

static const double step = 1.0 / 256;

struct model {
    struct opened o;
    golden g;
    brew_learner *learner;
    const brew_config *config;
};

static void open_all(struct model *m, const char *name) {
    char path[128];
    brew_err err = {0};
    brew_learner_options options = {.freeze_embedding = true};
    *m = (struct model){0};
    snprintf(path, sizeof path, "testdata/models/%s", name);
    bool good = open_model(&m->o, path, "ref", BREW_PRECISION_F32, 2);
    snprintf(path, sizeof path, "testdata/models/%s/golden.json", name);
    if (!good || golden_load(&m->g, path, 3, &err) < 0 ||
        !(m->learner = brew_learner_open(m->o.dir, m->o.be, &options, &err)))
        brew_bug("%s", err.text);
    m->config = brew_learner_config(m->learner);
    // answers whose target is known, weights and offsets that matter; one is not known
    for (size_t a = 0; a < m->g.star.n_answers; a++) {
        m->g.star.targets[a] = a == 1 ? -1 : (int32_t)(a % 3);
        m->g.star.weights[a] = 0.5f + 0.25f * (float)(a % 4);
        m->g.star.offsets[a] = 0.3f * (float)(a % 3) - 0.2f;
    }
}

static void close_all(struct model *m) {
    brew_learner_free(m->learner);
    golden_release(&m->g);
    close_model(&m->o);
}

// A request's loss: its items' known answers.
static double loss(struct model *m, size_t r) {
    const brew_star *star = &m->g.star;
    brew_reads reads = {0};
    brew_read_result result = {0};
    brew_star one = {0};
    brew_err err = {0};
    double sum = 0;
    size_t read = 0;
    brew_star_append(&one, star, r);
    for (size_t a = 0; a < brew_star_items(&one, 0); a++)
        brew_reads_add(&reads, one.answers[a], one.label_ids + one.label_splits[one.answer_set[a]],
                       (size_t)brew_star_labels(&one, a));
    if (brew_learner_forward(m->learner, &one, &reads, false, &result, &err))
        brew_bug("%s", err.text);
    for (size_t a = 0; a < brew_star_items(&one, 0); a++, read++) {
        float slopes[64] = {0};
        uint8_t positive[64] = {1}; // the first label, as a record says that says nothing
        brew_logits row = {.k = (size_t)brew_star_labels(&one, a),
                           .z = result.logits + reads.splits[read]};
        if (one.targets[a] >= 0)
            sum += (double)one.weights[a] *
                   brew_loss_labels(&row, one.targets[a], positive, one.offsets[a], 1, slopes);
    }
    brew_reads_release(&reads);
    brew_read_result_release(&result);
    brew_star_release(&one);
    return sum;
}

static size_t find(const struct model *m, enum brew_role role, int64_t layer) {
    char name[128];
    brew_role_name(name, sizeof name, false, role, layer);
    for (size_t i = 0; i < brew_learner_n(m->learner); i++)
        if (!strcmp(brew_learner_parameter(m->learner, i)->name, name)) return i;
    brew_bug("no %s", name);
}

// Columns [first, first + n) times `by`.
static void scale(struct model *m, size_t at, int64_t first, int64_t n, const float *was,
                  double by) {
    const brew_parameter *p = brew_learner_parameter(m->learner, at);
    size_t bytes = (size_t)(p->rows * p->cols) * sizeof(float);
    float *w = brew_alloc(bytes);
    memcpy(w, was, bytes);
    for (int64_t i = 0; i < p->rows; i++)
        for (int64_t j = first; j < first + n; j++) w[i * p->cols + j] *= (float)by;
    brew_learner_set(m->learner, BREW_VALUES, at, 0, p->rows, w);
    brew_learner_refresh(m->learner);
    free(w);
}

// The sum over requests of the squared slope of one gate.
static double differences(struct model *m, enum brew_role role, int64_t layer, int64_t first,
                          int64_t n) {
    size_t at = find(m, role, layer), requests = m->g.star.n_requests;
    const brew_parameter *p = brew_learner_parameter(m->learner, at);
    float *was = brew_alloc((size_t)(p->rows * p->cols) * sizeof *was);
    double up[8], sum = 0;
    brew_learner_get(m->learner, BREW_VALUES, at, 0, p->rows, was);
    scale(m, at, first, n, was, 1 + step);
    for (size_t r = 0; r < requests; r++) up[r] = loss(m, r);
    scale(m, at, first, n, was, 1 - step);
    for (size_t r = 0; r < requests; r++) {
        double slope = (up[r] - loss(m, r)) / (2 * step);
        sum += slope * slope;
    }
    scale(m, at, first, n, was, 1);
    free(was);
    return sum;
}

static void check(struct model *m, const char *name) {
    const brew_config *c = m->config;
    brew_taylor taylor;
    brew_err err = {0};
    double worst = 0;
    if (brew_taylor_of(m->o.dir, m->o.be, &m->g.star, NULL, &taylor, &err))
        brew_bug("%s", err.text);
    for (int64_t l = 0; l < c->layers; l++) {
        for (int64_t h = 0; h < c->heads; h++) {
            double want = differences(m, BREW_OUT, l, h * c->head_dim, c->head_dim);
            worst = fmax(worst, fabs(sqrt(taylor.heads[l * c->heads + h]) - sqrt(want)));
        }
        for (int64_t f = l; f < c->mlp; f += 7) {
            double want = differences(m, BREW_DOWN, l, f, 1);
            worst = fmax(worst, fabs(sqrt(taylor.neurons[l * c->mlp + f]) - sqrt(want)));
        }
    }
    // losses are about 1, of F32 logits: 1e-6 over 2 steps of 1/256; third derivatives give as much
    ok(worst < 1e-3, "%s: slopes are those of central differences (%.2g)", name, worst);
    is_int((long long)taylor.requests, 3, "of every request");
    brew_taylor_release(&taylor);
}

// Left out layers: what is left has the slopes of a model in which their projections are 0.
static void skipped(struct model *m) {
    const brew_config *c = m->config;
    bool skip[8] = {true};
    brew_taylor taylor;
    brew_err err = {0};
    double worst = 0, most = 0;
    if (brew_taylor_of(m->o.dir, m->o.be, &m->g.star, skip, &taylor, &err))
        brew_bug("%s", err.text);
    for (int role = BREW_OUT; role <= BREW_DOWN; role += BREW_DOWN - BREW_OUT) {
        size_t at = find(m, (enum brew_role)role, 0);
        const brew_parameter *p = brew_learner_parameter(m->learner, at);
        float *zeros = brew_calloc((size_t)(p->rows * p->cols), sizeof *zeros);
        brew_learner_set(m->learner, BREW_VALUES, at, 0, p->rows, zeros);
        free(zeros);
    }
    brew_learner_refresh(m->learner);
    for (int64_t h = 0; h < c->heads; h++) {
        double want = differences(m, BREW_OUT, 1, h * c->head_dim, c->head_dim);
        worst = fmax(worst, fabs(sqrt(taylor.heads[c->heads + h]) - sqrt(want)));
        most = fmax(most, taylor.heads[h]);
    }
    ok(worst < 1e-3 && most == 0, "without a layer: those of the model that lacks it (%.2g)",
       worst);
    brew_taylor_release(&taylor);
}

static void unknown(struct model *m) {
    brew_taylor taylor;
    brew_err err = {0};
    for (size_t a = 0; a < m->g.star.n_answers; a++) m->g.star.targets[a] = -1;
    ok(brew_taylor_of(m->o.dir, m->o.be, &m->g.star, NULL, &taylor, &err) < 0 &&
           strstr(err.text, "known answer"),
       "no known answer: refused");
    brew_taylor_release(&taylor);
}

int main(void) {
    static const char *const names[] = {"llama-scaled", "qwen2", "qwen3", "mistral"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct model m;
        open_all(&m, names[i]);
        check(&m, names[i]);
        if (!i) skipped(&m), unknown(&m);
        close_all(&m);
    }
    return tap_done();
}
