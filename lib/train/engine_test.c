// The loss of a step against what it says it is, made from the model's own logits; and that the size of
// micro-batches does not enter it.
#include "train/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"

static brew_modeldir *dir;
static brew_pool *pool;
static brew_backend *be;
static brew_learner *learner;
static brew_model *model;

static int32_t id(uint64_t stream, uint64_t i) {
    return (int32_t)brew_rand_below(3, stream, i, 600);
}

// Four requests of three items with three labels, two past answers each; weights, offsets, unknown targets.
static void make_batch(brew_batch *batch) {
    static const int32_t labels[] = {7, 9, 11};
    brew_err err;
    for (uint64_t r = 0; r < 4; r++) {
        brew_star star = {0};
        brew_star_add_request(&star);
        for (uint64_t i = 0; i < 8 + r; i++) brew_star_add_ids(&star, &(int32_t){id(r, i)}, 1);
        int32_t set = brew_star_add_set(&star, labels, 3);
        for (uint64_t i = 0; i < 3; i++) {
            brew_star_add_item(&star);
            for (uint64_t k = 0; k <= i; k++)
                brew_star_add_ids(&star, &(int32_t){id(20 + r * 3 + i, k)}, 1);
            brew_star_add_answer(&star, (int64_t)star.n_ids - 1, set, (int32_t)((r + i) % 4) - 1,
                                 0.5f * (float)(i + r), r == 1 ? 0.75f : 0);
        }
        brew_star_add_answer(&star, 3, set, 1, 1, 0);
        brew_star_add_answer(&star, 5, set, 2, 2, 0);
        static const char meta[] = "{\"positive\":[1]}";
        brew_star_add_meta(&star, meta, strlen(meta));
        if (brew_batch_add(batch, &star, 0, (int32_t)(r % 2), NULL, &err)) exit(1);
        brew_star_release(&star);
    }
}

// -log softmax(logits + offset of label 1)[target]
static double ce(const float *logits, int32_t target, double offset) {
    double z[3], sum = 0;
    for (int k = 0; k < 3; k++) sum += exp(z[k] = logits[k] + (k == 1 ? offset : 0));
    return log(sum) - z[target];
}

static void test_loss(const brew_batch *batch) {
    brew_err err;
    const brew_star *star = &batch->star;
    brew_forward_options options = {.with_lse = true};
    brew_forward_result r = {0};
    brew_star whole = {0};
    for (size_t i = 0; i < star->n_requests; i++) brew_star_append(&whole, star, i);
    for (size_t i = 0; i < star->n_requests; i++) brew_star_add_meta(&whole, "{}", 2);
    ok(!brew_model_forward(model, &whole, &options, &r, &err), "the model's logits");
    double items = 0, items_weight = 0, history = 0, history_weight = 0, vocab = 0;
    for (size_t q = 0; q < star->n_requests; q++) {
        size_t first = (size_t)star->answer_splits[q];
        for (size_t a = first; a < (size_t)star->answer_splits[q + 1]; a++) {
            if (star->targets[a] < 0) continue;
            const float *z = r.label_logits + r.logit_splits[a];
            double w = star->weights[a], loss = w * ce(z, star->targets[a], star->offsets[a]);
            if (a - first < 3) {
                items += loss;
                items_weight += w;
                vocab += w * ((double)r.lse[a] - z[star->targets[a]]);
            } else {
                history += loss;
                history_weight += w;
            }
        }
    }
    brew_objective o = {.items = 1, .history = 0.5, .lm = 0.25};
    brew_engine *e = brew_engine_new(learner, NULL, &o, 1000);
    brew_engine_step step = {.tau = 1};
    brew_terms terms = {0}, tasks[2] = {{{0}, {0}}, {{0}, {0}}};
    ok(!brew_engine_run(e, batch, &step, &terms, tasks, &err), "the engine's");
    is_near(brew_terms_mean(&terms, BREW_ITEMS), items / items_weight, 1e-5, "items");
    is_near(brew_terms_mean(&terms, BREW_HISTORY), history / history_weight, 1e-5, "past answers");
    // 8 + 9 + 10 + 11 tokens of queries less one each, and 1 + 2 + 3 of each one's items
    is_near(terms.weight[BREW_LM], 38 - 4 + 24, 0, "every token with one before it is predicted");
    is_near(brew_terms_loss(&terms, &o, 0),
            items / items_weight + 0.5 * history / history_weight +
                0.25 * brew_terms_mean(&terms, BREW_LM),
            1e-5, "their sum");
    brew_terms_add(tasks, tasks + 1);
    is_near(tasks->sum[BREW_ITEMS], terms.sum[BREW_ITEMS], 1e-9, "tasks add up to it");
    brew_engine_free(e);
    o = (brew_objective){.items = 1, .vocab = true};
    e = brew_engine_new(learner, NULL, &o, 1000);
    terms = (brew_terms){0};
    brew_engine_run(e, batch, &step, &terms, NULL, &err);
    is_near(brew_terms_mean(&terms, BREW_ITEMS), vocab / items_weight, 1e-5, "over the vocabulary");
    ok(isnan(brew_terms_mean(&terms, BREW_HISTORY)), "what is not asked for is not there");
    brew_engine_free(e);
    brew_forward_result_release(&r);
    brew_star_release(&whole);
}

// All gradients, in the order of the parameters; from malloc.
static float *gradients(size_t *n) {
    float *all = NULL;
    *n = 0;
    for (size_t i = 0; i < brew_learner_n(learner); i++) {
        const brew_parameter *p = brew_learner_parameter(learner, i);
        size_t size = (size_t)(p->rows * p->cols);
        all = brew_realloc_array(all, *n + size, sizeof *all);
        brew_learner_get(learner, BREW_GRADIENTS, i, 0, p->rows, all + *n);
        *n += size;
    }
    return all;
}

static void test_micro_batches(const brew_batch *batch) {
    static const int64_t sizes[] = {1000, 40, 1};
    brew_objective o = {.items = 1, .history = 0.5, .lm = 0.25, .distil = true};
    float *want = NULL;
    for (int i = 0; i < 3; i++) {
        brew_err err;
        size_t n;
        brew_terms terms = {0};
        brew_engine *e = brew_engine_new(learner, model, &o, sizes[i]);
        brew_engine_step step = {.learn = true, .alpha = 0.4, .tau = 2};
        ok(!brew_engine_run(e, batch, &step, &terms, NULL, &err), "micro-batches of %d tokens",
           (int)sizes[i]);
        float *got = gradients(&n);
        double difference = 0, length = 0;
        for (size_t k = 0; want && k < n; k++) {
            difference += pow((double)got[k] - want[k], 2);
            length += pow(want[k], 2);
        }
        if (!want)
            want = got;
        else
            ok(length > 0 && sqrt(difference / length) < 1e-5, "the same gradient (%.1e)",
               sqrt(difference / length));
        if (want != got) free(got);
        is_near(brew_terms_mean(&terms, BREW_ITEMS_KD), 0, 1e-6,
                "a teacher that is the student has nothing to say");
        brew_learner_drop(learner);
        brew_engine_free(e);
    }
    free(want);
}

static void test_stop(const brew_batch *batch) {
    volatile sig_atomic_t stop = 1;
    brew_objective o = {.items = 1};
    brew_engine *e = brew_engine_new(learner, NULL, &o, 10);
    brew_engine_step step = {.learn = true, .stop = &stop};
    brew_terms terms = {0};
    brew_err err;
    is_int(brew_engine_run(e, batch, &step, &terms, NULL, &err), 1, "a step can be stopped");
    is_near(brew_learner_norm(learner), 0, 0, "and leaves nothing behind");
    brew_learner_drop(learner);
    brew_engine_free(e);
}

int main(void) {
    brew_err err = {0};
    brew_learner_options options = {0};
    pool = brew_pool_new(2);
    dir = brew_modeldir_open("testdata/models/tiny", &err);
    be = brew_backend_open(NULL, BREW_PRECISION_F32, pool, &err);
    if (dir && be) learner = brew_learner_open(dir, be, &options, &err);
    if (learner) model = brew_model_open(dir, be, &err);
    if (!ok(model != NULL, "a small model")) printf("# %s\n", err.text);
    brew_batch batch = {0};
    make_batch(&batch);
    if (model) {
        test_loss(&batch);
        test_micro_batches(&batch);
        test_stop(&batch);
    }
    brew_batch_release(&batch);
    brew_learner_free(learner);
    brew_model_free(model);
    brew_backend_close(be);
    brew_modeldir_close(dir);
    brew_pool_free(pool);
    return tap_done();
}
