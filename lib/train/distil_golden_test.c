// Distillation beyond the labels against PyTorch: whole vocabularies, likeliest tokens, hidden states; gradients
// and twenty steps. Goldens: scripts/peers/distil_goldens.py.
#include "train/engine.h"
#include "train/testing.h"

// One case, as the goldens describe it.
struct lesson {
    const struct goldens *goldens;
    const brew_json *gold;
    brew_backend *be;
    brew_modeldir *teacher_dir, *student_dir;
    brew_model *teacher;
    brew_learner *learner;
    brew_objective objective;
    brew_hidden_map map;
    double alpha, tau;
    brew_batch batch;
};

static const char *word(const struct lesson *l, const char *key) {
    const brew_json *value = brew_json_get(l->gold, key);
    return value ? brew_json_string(value, NULL) : "";
}

static double number(const struct lesson *l, const char *key, double without) {
    const brew_json *value = brew_json_get(l->gold, key);
    return value ? brew_json_real(value) : without;
}

static brew_modeldir *open_dir(const char *name) {
    char path[256];
    brew_err err = {0};
    snprintf(path, sizeof path, "testdata/models/%s", name);
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    if (!dir) ok(false, "%s: %s", path, err.text);
    return dir;
}

static void read_map(struct lesson *l) {
    const brew_json *map = brew_json_get(l->gold, "map");
    l->map.n = brew_json_length(map);
    l->map.pairs = brew_calloc(l->map.n + 1, sizeof *l->map.pairs);
    for (size_t i = 0; i < l->map.n; i++) {
        const brew_json *pair = brew_json_at(map, i);
        l->map.pairs[i] = (brew_hidden_pair){brew_json_int(brew_json_at(pair, 0)),
                                             brew_json_int(brew_json_at(pair, 1))};
    }
}

static void read_objective(struct lesson *l) {
    static const char *const divergences[] = {"fkl", "rkl", "jsd", "skew"}, *const terms[] = {
                                                                                "items", "history",
                                                                                "lm"};
    int div = 0;
    while (div < 3 && strcmp(divergences[div], word(l, "div"))) div++;
    l->objective = (brew_objective){.items = 1,
                                    .history = number(l, "history", 0),
                                    .lm = number(l, "lm", 0),
                                    .distil = true,
                                    .divergence = (enum brew_divergence)div,
                                    .skew_beta = number(l, "skew", 0.1),
                                    .topk = (int64_t)number(l, "topk", 0),
                                    .hidden = number(l, "hidden", 0),
                                    .hidden_all = !strcmp(word(l, "rows"), "all"),
                                    .map = &l->map};
    const brew_json *rows = brew_json_get(l->gold, "kd_vocab");
    for (size_t i = 0; i < brew_json_length(rows); i++)
        for (unsigned t = 0; t < 3; t++)
            if (!strcmp(terms[t], brew_json_string(brew_json_at(rows, i), NULL)))
                l->objective.kd_vocab |= 1u << t;
    l->alpha = number(l, "alpha", 0);
    l->tau = number(l, "tau", 1);
}

static bool lesson_open(struct lesson *l) {
    brew_err err = {0};
    brew_learner_options options = {0};
    l->teacher_dir = open_dir(word(l, "teacher"));
    l->student_dir = open_dir(word(l, "student"));
    l->teacher = l->teacher_dir ? brew_model_open(l->teacher_dir, l->be, &err) : NULL;
    l->learner = l->student_dir ? brew_learner_open(l->student_dir, l->be, &options, &err) : NULL;
    read_map(l);
    read_objective(l);
    return ok(l->teacher && l->learner, "%s teaches %s: %s", word(l, "teacher"), word(l, "student"),
              word(l, "name"));
}

static void lesson_close(struct lesson *l) {
    brew_model_free(l->teacher);
    brew_learner_free(l->learner);
    brew_modeldir_close(l->teacher_dir);
    brew_modeldir_close(l->student_dir);
    brew_hidden_map_release(&l->map);
    brew_batch_release(&l->batch);
}

static double accumulate(struct lesson *l, size_t first, size_t n, int64_t micro_tokens,
                         brew_terms *terms) {
    brew_engine_step step = {.learn = true, .alpha = l->alpha, .tau = l->tau};
    brew_err err = {0};
    *terms = (brew_terms){0};
    load_batch(l->goldens, true, first, n, &l->batch);
    brew_engine *engine = brew_engine_new(l->learner, l->teacher, &l->objective, micro_tokens);
    if (brew_engine_run(engine, &l->batch, &step, terms, NULL, &err))
        ok(false, "a step: %s", err.text);
    brew_engine_free(engine);
    return brew_terms_loss(terms, &l->objective, l->alpha);
}

static void test_terms(const struct lesson *l, const brew_terms *terms) {
    static const char *const names[BREW_TERMS] = {"items",      "history", "lm",    "items_kd",
                                                  "history_kd", "lm_kd",   "hidden"};
    double worst = 0;
    int n = 0;
    for (int t = 0; t < BREW_TERMS; t++) {
        const brew_json *gold = brew_json_get(brew_json_get(l->gold, "terms"), names[t]);
        if (!gold) continue;
        double off = fabs(brew_terms_mean(terms, (enum brew_term)t) - brew_json_real(gold));
        if (!(off <= worst)) worst = off;
        n++;
    }
    ok(n > 1 && worst <= 1e-4, "%s: %d terms within 1e-4 (worst %.2g)", word(l, "name"), n, worst);
}

static void test_gradients(struct lesson *l, int64_t micro_tokens) {
    brew_terms terms;
    const brew_json *tensors = brew_json_get(l->gold, "tensors");
    double loss =
        accumulate(l, 0, (size_t)recipe(l->goldens, "gradient_requests"), micro_tokens, &terms);
    double worst = 0, off = loss - number(l, "loss", NAN);
    const char *where = "none";
    test_terms(l, &terms);
    for (size_t i = 0; i < brew_learner_n(l->learner); i++) {
        const char *tensor = brew_learner_parameter(l->learner, i)->name;
        double d = difference(l->learner, i, brew_json_get(tensors, tensor));
        if (d <= worst) continue;
        worst = d;
        where = tensor;
    }
    brew_learner_drop(l->learner);
    ok(fabs(off) <= 1e-4 && worst <= 1e-4 && worst > 0,
       "%s, %s: gradients within 1e-4 (worst %.2g: %s; loss off by %.2g)", word(l, "name"),
       l->be->level, worst, where, off);
}

static void test_trajectory(struct lesson *l) {
    const struct goldens *g = l->goldens;
    const brew_json *gold = brew_json_get(l->gold, "trajectory"),
                    *losses = brew_json_get(gold, "losses"), *norms = brew_json_get(gold, "norms");
    size_t batch = (size_t)recipe(g, "batch"), steps = brew_json_length(losses);
    double worst = 0, worst_norm = 0;
    for (size_t step = 1; step <= steps; step++) {
        brew_terms terms;
        double loss = accumulate(l, (step - 1) * batch, batch, 40, &terms);
        double norm = take_step(g, l->learner, (int64_t)step);
        double off = fabs(loss - brew_json_real(brew_json_at(losses, step - 1)));
        if (!(off <= worst)) worst = off;
        off = fabs(norm / brew_json_real(brew_json_at(norms, step - 1)) - 1);
        if (!(off <= worst_norm)) worst_norm = off;
    }
    ok(worst <= 2e-4 && steps == (size_t)recipe(g, "steps"),
       "%s: losses of %zu steps within 2e-4 (worst %.2g; norms %.2g)", word(l, "name"), steps,
       worst, worst_norm);
}

static void test_case(const struct goldens *goldens, const brew_json *gold, brew_backend *be,
                      bool steps) {
    struct lesson l = {.goldens = goldens, .gold = gold, .be = be};
    if (lesson_open(&l)) {
        test_gradients(&l, 1 << 20);
        test_gradients(&l, 40);
        if (steps && brew_json_get(gold, "trajectory")) test_trajectory(&l);
    }
    lesson_close(&l);
}

int main(void) {
    brew_err err = {0};
    const char *const *levels = brew_backend_levels();
    const char *only = getenv("BREW_KERNEL"); // one level instead of all this machine has
    struct goldens goldens;
    brew_json *cases = brew_json_load("testdata/train/distil.json", &err);
    if (!goldens_open(&goldens) || !ok(brew_json_length(cases) > 0, "and the cases"))
        return tap_done();
    brew_pool *pool = brew_pool_new(2);
    bool steps = true; // at the first level; at the others gradients are enough
    for (size_t l = 0; levels[l]; l++) {
        if (only && *only && strcmp(only, levels[l])) continue;
        brew_backend *be = brew_backend_open(levels[l], BREW_PRECISION_F32, pool, &err);
        if (!ok(be != NULL, "%s opens", levels[l])) continue;
        for (size_t i = 0; i < brew_json_length(cases); i++)
            test_case(&goldens, brew_json_at(cases, i), be, steps);
        steps = false;
        brew_backend_close(be);
    }
    brew_pool_free(pool);
    brew_json_free(cases);
    brew_json_free(goldens.input);
    return tap_done();
}
