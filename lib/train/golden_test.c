// Whole models learning against PyTorch: gradients of four losses, and twenty steps of AdamW with
// accumulation, clipping, decay and a schedule; through the engine, the learner and the losses of
// brew-train. Goldens: scripts/peers/train_goldens.py; of adapters: lora_goldens.py.
#include "train/engine.h"
#include "train/testing.h"

static const char *const models[] = {"llama-scaled", "tiny",  "llama-tied", "llama-bias",
                                     "qwen2",        "qwen3", "mistral"};
enum { N_MODELS = sizeof models / sizeof *models };

// ---- a step ----

struct session {
    const struct goldens *goldens;
    const char *objective;
    brew_learner *learner;
    brew_batch batch;
};

// A step's gradients, in micro-batches of about `micro_tokens`; the loss.
static double accumulate(struct session *s, size_t first, size_t n, int64_t micro_tokens) {
    bool lm = !strcmp(s->objective, "lm"), items = !strcmp(s->objective, "items");
    brew_objective objective = {.items = !lm,
                                .history = lm || items ? 0 : recipe(s->goldens, "history_weight"),
                                .lm = lm,
                                .vocab = !strcmp(s->objective, "vocab")};
    brew_engine_step step = {.learn = true};
    brew_terms terms = {0};
    brew_err err = {0};
    load_batch(s->goldens, !lm, first, n, &s->batch);
    brew_engine *engine = brew_engine_new(s->learner, NULL, &objective, micro_tokens);
    if (brew_engine_run(engine, &s->batch, &step, &terms, NULL, &err))
        ok(false, "a step: %s", err.text);
    brew_engine_free(engine);
    return brew_terms_loss(&terms, &objective, 0);
}

// ---- gradients ----

static void test_gradients(struct session *s, const brew_json *golden, const char *name,
                           const char *level, double bound) {
    const char *const objectives[] = {"items", "history", "vocab", "lm"};
    size_t n = (size_t)recipe(s->goldens, "gradient_requests");
    for (size_t o = 0; o < 4; o++) {
        s->objective = objectives[o];
        const brew_json *gold = brew_json_get(brew_json_get(golden, "gradients"), objectives[o]);
        const brew_json *tensors = brew_json_get(gold, "tensors");
        double loss = accumulate(s, 0, n, 1 << 20), worst = 0,
               want = brew_json_real(brew_json_get(gold, "loss"));
        const char *where = "none";
        for (size_t i = 0; i < brew_learner_n(s->learner); i++) {
            const char *tensor = brew_learner_parameter(s->learner, i)->name;
            double d = difference(s->learner, i, brew_json_get(tensors, tensor));
            if (!(d <= worst)) {
                worst = d;
                where = tensor;
            }
        }
        brew_learner_drop(s->learner);
        ok(fabs(loss - want) <= bound && worst <= bound && worst > 0,
           "%s, %s, %s: gradients of %zu tensors within %g (worst %.2g: %s; loss off by %.2g)",
           name, level, objectives[o], brew_learner_n(s->learner), bound, worst, where,
           loss - want);
    }
}

// ---- trajectories ----

static void test_trajectory(struct session *s, const brew_json *golden, const char *name,
                            const char *level) {
    const struct goldens *g = s->goldens;
    const brew_json *gold = brew_json_get(brew_json_get(golden, "trajectories"), s->objective);
    const brew_json *losses = brew_json_get(gold, "losses"), *norms = brew_json_get(gold, "norms");
    int64_t steps = (int64_t)recipe(g, "steps");
    size_t batch = (size_t)recipe(g, "batch");
    double worst = 0, worst_norm = 0;
    for (int64_t step = 1; step <= steps; step++) {
        double loss = accumulate(s, (size_t)(step - 1) * batch, batch, 40);
        double norm = take_step(g, s->learner, step);
        double off = fabs(loss - brew_json_real(brew_json_at(losses, (size_t)step - 1)));
        double gold_norm = brew_json_real(brew_json_at(norms, (size_t)step - 1));
        if (!(off <= worst)) worst = off;
        off = fabs(norm / gold_norm - 1);
        if (!(off <= worst_norm)) worst_norm = off;
    }
    ok(worst <= 2e-4 && brew_json_length(losses) == (size_t)steps,
       "%s, %s, %s: losses of %lld steps within 2e-4 (worst %.2g; norms %.2g)", name, level,
       s->objective, (long long)steps, worst, worst_norm);
}

// ---- all models ----

static brew_learner *open_learner(const char *name, brew_backend *be) {
    char path[256];
    brew_err err = {0};
    snprintf(path, sizeof path, "testdata/models/%s", name);
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    brew_learner_options options = {0};
    brew_learner *learner = dir ? brew_learner_open(dir, be, &options, &err) : NULL;
    if (!learner) ok(false, "%s: %s", path, err.text);
    if (dir) brew_modeldir_close(dir);
    return learner;
}

static void test_model(const struct goldens *goldens, const char *name, brew_backend *be,
                       bool steps) {
    const char *const objectives[] = {"items", "history", "lm"};
    char path[256];
    brew_err err = {0};
    struct session s = {.goldens = goldens};
    snprintf(path, sizeof path, "testdata/train/%s.json", name);
    brew_json *golden = brew_json_load(path, &err);
    s.learner = open_learner(name, be);
    if (ok(golden && s.learner, "%s opens", name))
        test_gradients(&s, golden, name, be->level, 1e-4);
    brew_learner_free(s.learner);
    for (size_t o = 0; o < 3 && steps; o++) {
        s.objective = objectives[o];
        s.learner = open_learner(name, be);
        if (s.learner) test_trajectory(&s, golden, name, be->level);
        brew_learner_free(s.learner);
    }
    brew_batch_release(&s.batch);
    brew_json_free(golden);
}

// ---- adapters ----

// A and B as lora_goldens.py draws them.
static void draw_adapters(brew_learner *learner, const brew_json *lora) {
    uint64_t stream = 0, seed = (uint64_t)brew_json_int(brew_json_get(lora, "seed"));
    double size = brew_json_real(brew_json_get(lora, "size"));
    for (size_t i = 0; i < brew_learner_n(learner); i++) {
        const brew_parameter *p = brew_learner_parameter(learner, i);
        if (!p->adapter) continue;
        float *values = brew_calloc((size_t)(p->rows * p->cols), sizeof *values);
        for (uint64_t k = 0; k < (uint64_t)(p->rows * p->cols); k++)
            values[k] = (float)(size * (2 * brew_rand_unit(seed, stream, k) - 1));
        brew_learner_set(learner, BREW_VALUES, i, 0, p->rows, values);
        free(values);
        stream++;
    }
    brew_learner_refresh(learner);
}

static void test_adapters(const struct goldens *goldens, const brew_json *lora, const char *name,
                          const brew_json *gold, brew_backend *be) {
    char path[256];
    brew_err err = {0};
    brew_learner_options options = {
        .lora = {.rank = brew_json_int(brew_json_get(lora, "rank")),
                 .alpha = brew_json_real(brew_json_get(lora, "alpha"))}};
    struct session s = {.goldens = goldens, .objective = "history"};
    snprintf(path, sizeof path, "testdata/models/%s", name);
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    if (!ok(dir && !brew_lora_parse_targets(NULL, &options.lora.targets, &err) &&
                (s.learner = brew_learner_open(dir, be, &options, &err)),
            "%s opens with adapters", name))
        return;
    draw_adapters(s.learner, lora);
    const brew_json *tensors = brew_json_get(gold, "tensors");
    double loss = accumulate(&s, 0, (size_t)recipe(goldens, "gradient_requests"), 40), worst = 0,
           want = brew_json_real(brew_json_get(gold, "loss"));
    size_t n = 0;
    for (size_t i = 0; i < brew_learner_n(s.learner); i++) {
        const brew_parameter *p = brew_learner_parameter(s.learner, i);
        if (p->frozen) continue;
        double d = difference(s.learner, i, brew_json_get(tensors, p->name));
        if (!(d <= worst)) worst = d;
        n++;
    }
    ok(fabs(loss - want) <= 1e-4 && worst <= 1e-4 && worst > 0 && n % 14 == 0,
       "%s, %s: gradients of %zu factors within 1e-4 of PEFT's (worst %.2g; loss off by %.2g)",
       name, be->level, n, worst, loss - want);
    brew_learner_free(s.learner);
    brew_modeldir_close(dir);
    brew_batch_release(&s.batch);
}

static void test_all_adapters(const struct goldens *goldens, brew_backend *be) {
    brew_err err = {0};
    brew_json *lora = brew_json_load("testdata/train/lora.json", &err);
    ok(lora != NULL, "goldens of adapters are read");
    for (brew_json_iter it = {0}; brew_json_next(brew_json_get(lora, "models"), &it);)
        test_adapters(goldens, lora, it.key, it.value, be);
    brew_json_free(lora);
}

int main(void) {
    brew_err err = {0};
    const char *const *levels = brew_backend_levels();
    const char *only = getenv("BREW_KERNEL"); // one level instead of all this machine has
    struct goldens goldens;
    if (!goldens_open(&goldens)) return tap_done();
    brew_pool *pool = brew_pool_new(2);
    bool steps = true; // at the first level; at the others gradients are enough
    for (size_t l = 0; levels[l]; l++) {
        if (only && *only && strcmp(only, levels[l])) continue;
        brew_backend *be = brew_backend_open(levels[l], BREW_PRECISION_F32, pool, &err);
        if (!ok(be != NULL, "%s opens", levels[l])) continue;
        for (int m = 0; m < N_MODELS; m++) test_model(&goldens, models[m], be, steps);
        test_all_adapters(&goldens, be);
        steps = false;
        brew_backend_close(be);
    }
    brew_pool_free(pool);
    brew_json_free(goldens.input);
    return tap_done();
}
