// The learner against the model that serves, and against itself: what must not change a bit, what the
// gradient of a star is made of, and what it says about its memory. Whole models against PyTorch are in
// lib/train/golden_test.c.
#include "model/learner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/tap.h"
#include "model/testing.h"

// ---- a learner and its gradients ----

struct subject {
    brew_modeldir *dir;
    brew_pool *pool;
    brew_backend *be;
    brew_learner *learner;
    brew_reads reads;
    brew_read_result result;
    float *d_logits, *d_rest;
};

static bool subject_open(struct subject *s, const char *name, const char *level,
                         enum brew_precision precision, int threads,
                         const brew_learner_options *options) {
    char path[256];
    brew_err err = {0};
    *s = (struct subject){.pool = brew_pool_new(threads)};
    snprintf(path, sizeof path, "testdata/models/%s", name);
    s->dir = brew_modeldir_open(path, &err);
    if (s->dir) s->be = brew_backend_open(level, precision, s->pool, &err);
    if (s->be) s->learner = brew_learner_open(s->dir, s->be, options, &err);
    if (!s->learner) ok(false, "%s: %s", path, err.text);
    return s->learner != NULL;
}

static void subject_close(struct subject *s) {
    brew_learner_free(s->learner);
    if (s->be) brew_backend_close(s->be);
    brew_pool_free(s->pool);
    if (s->dir) brew_modeldir_close(s->dir);
    brew_reads_release(&s->reads);
    brew_read_result_release(&s->result);
    free(s->d_logits);
    free(s->d_rest);
}

// Reads at the star's answers [first, first + n).
static void read_answers(struct subject *s, const brew_star *star, size_t first, size_t n,
                         bool rest) {
    brew_reads_reset(&s->reads);
    s->reads.rest = rest;
    for (size_t a = first; a < first + n; a++) {
        int64_t at = star->label_splits[star->answer_set[a]];
        brew_reads_add(&s->reads, star->answers[a], star->label_ids + at,
                       (size_t)(star->label_splits[star->answer_set[a] + 1] - at));
    }
}

// Gradients of what is read: any will do, as long as they belong to the answer's number.
static void draw_gradients(struct subject *s, size_t number) {
    size_t labels = (size_t)s->reads.splits[s->reads.n];
    s->d_logits = brew_realloc_array(s->d_logits, labels, sizeof(float));
    s->d_rest = brew_realloc_array(s->d_rest, s->reads.n, sizeof(float));
    for (size_t i = 0; i < s->reads.n; i++) {
        int64_t at = s->reads.splits[i];
        for (int64_t k = at; k < s->reads.splits[i + 1]; k++)
            s->d_logits[k] = (float)(brew_rand_unit(1, number + i, (uint64_t)(k - at)) - 0.5);
        s->d_rest[i] = (float)(brew_rand_unit(2, number + i, 0) - 0.5);
    }
}

// Adds the gradients of the answers [first, first + n), whose numbers begin at `number`.
static bool add_gradients(struct subject *s, const brew_star *star, size_t first, size_t n,
                          size_t number) {
    brew_err err = {0};
    read_answers(s, star, first, n, true);
    draw_gradients(s, number);
    bool done = brew_learner_forward(s->learner, star, &s->reads, true, &s->result, &err) == 0 &&
                brew_learner_backward(s->learner, s->d_logits, s->d_rest, NULL, &err) == 0;
    if (!done) printf("# %s\n", err.text);
    return done;
}

struct values {
    float *at;
    size_t n;
};

static struct values take(const struct subject *s, enum brew_learner_store store) {
    struct values v = {0};
    for (int pass = 0; pass < 2; pass++) {
        if (pass) v.at = brew_calloc(v.n, sizeof *v.at);
        v.n = 0;
        for (size_t i = 0; i < brew_learner_n(s->learner); i++) {
            const brew_parameter *p = brew_learner_parameter(s->learner, i);
            if (p->frozen && store != BREW_VALUES) continue;
            if (pass) brew_learner_get(s->learner, store, i, 0, p->rows, v.at + v.n);
            v.n += (size_t)(p->rows * p->cols);
        }
    }
    return v;
}

static bool same(struct values a, struct values b) {
    return a.n == b.n && a.n && !memcmp(a.at, b.at, a.n * sizeof *a.at);
}

// The worst relative length of a difference, parameter by parameter; `tables` false: but embedding, head.
static double difference(const struct subject *s, struct values a, struct values b, bool tables) {
    double worst = a.n == b.n && a.n ? 0 : INFINITY;
    size_t at = 0;
    for (size_t i = 0; i < brew_learner_n(s->learner) && worst < INFINITY; i++) {
        const brew_parameter *p = brew_learner_parameter(s->learner, i);
        double length = 0, off = 0;
        for (size_t end = at + (size_t)(p->rows * p->cols); at < end; at++) {
            double d = (double)a.at[at] - (double)b.at[at];
            length += (double)b.at[at] * (double)b.at[at];
            off += d * d;
        }
        bool table = strstr(p->name, "embed_tokens") || strstr(p->name, "lm_head");
        if (table && !tables) continue;
        if (!(sqrt(off / length) <= worst)) worst = sqrt(off / length);
    }
    return worst;
}

// ---- stars ----

static void add_request(brew_star *star, uint64_t number, size_t query, size_t items,
                        size_t history) {
    int32_t labels[2][3] = {{3, 1, 40}, {9, 2, 50}};
    int64_t start = (int64_t)star->n_ids, ends[16];
    brew_star_add_request(star);
    for (size_t i = 0; i < query; i++) {
        int32_t id = (int32_t)brew_rand_below(3, number, i, 53);
        brew_star_add_ids(star, &id, 1);
    }
    for (size_t k = 0; k < items; k++) {
        brew_star_add_item(star);
        for (size_t i = 0; i < 2 * k + 2; i++) {
            int32_t id = (int32_t)brew_rand_below(4, number * 16 + k, i, 53);
            brew_star_add_ids(star, &id, 1);
        }
        ends[k] = (int64_t)star->n_ids - 1;
    }
    for (size_t k = 0; k < items; k++)
        brew_star_add_answer(star, ends[k], brew_star_add_set(star, labels[k % 2], 2 + k % 2), 0, 1,
                             0);
    for (size_t h = 0; h < history; h++)
        brew_star_add_answer(star, start + (int64_t)(3 * h + 1),
                             brew_star_add_set(star, labels[0], 3), 1, 1, 0);
    brew_star_add_meta(star, "{}", 2);
}

// Three requests, each with an even number of rows and of reads: 70 + 2 + 4 rows, ...
static void three_requests(brew_star *star) {
    add_request(star, 1, 70, 2, 4);
    add_request(star, 2, 16, 3, 1);
    add_request(star, 3, 0, 2, 0);
}

static const brew_learner_options plain;

// ---- tests ----

// What is trained is what is served.
static void test_forward(const char *name, const char *level, enum brew_precision precision) {
    struct subject s;
    struct opened o;
    char path[256];
    brew_err err = {0};
    golden g = {0};
    brew_forward_result want = {0};
    snprintf(path, sizeof path, "testdata/models/%s/golden.json", name);
    ok(golden_load(&g, path, SIZE_MAX, &err) == 0, "%s is read", path);
    snprintf(path, sizeof path, "testdata/models/%s", name);
    if (!subject_open(&s, name, level, precision, 2, &plain)) return;
    double bound = precision == BREW_PRECISION_F32 ? 1e-4 : 0.35, worst = 0;
    if (ok(open_model(&o, path, level, precision, 2) && run(&o, &g.star, 0, true, &want),
           "%s opens", path)) {
        read_answers(&s, &g.star, 0, g.star.n_answers, true);
        ok(brew_learner_forward(s.learner, &g.star, &s.reads, false, &s.result, &err) == 0,
           "a forward pass that nothing follows");
        for (size_t a = 0; a < g.star.n_answers; a++) {
            double sum = exp((double)s.result.rest[a]);
            for (int64_t k = want.logit_splits[a]; k < want.logit_splits[a + 1]; k++) {
                sum += exp((double)s.result.logits[k]);
                worst = fmax(worst, fabs((double)(s.result.logits[k] - want.label_logits[k])));
            }
            worst = fmax(worst, fabs(log(sum) - (double)want.lse[a]));
        }
        ok(worst <= bound, "%s, %s, %s: logits and their rest are those of scoring (within %.2g)",
           name, level, precision == BREW_PRECISION_F32 ? "f32" : "bf16", worst);
        ok(brew_learner_backward(s.learner, s.result.logits, NULL, NULL, &err) < 0,
           "and no backward pass can follow");
    }
    brew_forward_result_release(&want);
    golden_release(&g);
    close_model(&o);
    subject_close(&s);
}

static void test_bits(const char *name, const char *level, enum brew_precision precision) {
    brew_star star = {0};
    three_requests(&star);
    struct values truth = {0};
    for (int threads = 1; threads <= 3; threads++) {
        for (int recompute = BREW_RECOMPUTE_NONE; recompute <= BREW_RECOMPUTE_LAYER; recompute++) {
            if (threads == 2 && recompute) continue;
            brew_learner_options options = {.recompute = (enum brew_recompute)recompute};
            struct subject s;
            if (!subject_open(&s, name, level, precision, threads, &options)) continue;
            // A larger batch before it, and dropped, may leave no trace.
            bool done = add_gradients(&s, &star, 0, star.n_answers, 40);
            brew_learner_drop(s.learner);
            done = done && add_gradients(&s, &star, 0, star.n_answers, 0);
            struct values v = take(&s, BREW_GRADIENTS);
            ok(done && (!truth.n || same(v, truth)),
               "%s, %s, %s: gradients' bits at %d threads, recompute level %d", name, level,
               precision == BREW_PRECISION_F32 ? "f32" : "bf16", threads, recompute);
            if (truth.n)
                free(v.at);
            else
                truth = v;
            subject_close(&s);
        }
    }
    free(truth.at);
    brew_star_release(&star);
}

// Micro-batches of whole requests go on with the chains of one batch: the same bits, but for head and
// embedding, whose rows are added to for labels, for the rest and for inputs in turn, and but for the
// reference kernels, which sum each batch in double.
static void test_micro_batches(const char *name, const char *level, enum brew_precision precision) {
    brew_star star = {0};
    three_requests(&star);
    struct subject s;
    if (!subject_open(&s, name, level, precision, 2, &plain)) return;
    bool done = add_gradients(&s, &star, 0, star.n_answers, 0);
    struct values whole = take(&s, BREW_GRADIENTS);
    brew_learner_drop(s.learner);
    for (size_t r = 0; r < star.n_requests; r++) {
        brew_star one = {0};
        brew_star_append(&one, &star, r);
        done = done && add_gradients(&s, &one, 0, one.n_answers, (size_t)star.answer_splits[r]);
        brew_star_release(&one);
    }
    struct values parts = take(&s, BREW_GRADIENTS);
    double tables = difference(&s, parts, whole, true),
           others = difference(&s, parts, whole, false);
    ok(done && tables < 1e-6 && (others == 0 || !strcmp(level, "ref")),
       "%s, %s, %s: micro-batches of whole requests (off by %.2g, tables %.2g)", name, level,
       precision == BREW_PRECISION_F32 ? "f32" : "bf16", others, tables);
    free(whole.at);
    free(parts.at);
    subject_close(&s);
    brew_star_release(&star);
}

// The gradient of one query with N questions is the sum of N prompts'.
static void test_questions(const char *name, const char *level) {
    enum { N = 6 };
    brew_star star = {0};
    add_request(&star, 5, 80, N, 0);
    struct subject s;
    if (!subject_open(&s, name, level, BREW_PRECISION_F32, 2, &plain)) return;
    bool done = add_gradients(&s, &star, 0, N, 0);
    struct values whole = take(&s, BREW_GRADIENTS);
    brew_learner_drop(s.learner);
    for (size_t i = 0; i < N; i++) { // a prompt is a star of one item
        brew_star one = {0};
        int64_t item = star.segments[i + 1], end = star.segments[i + 2];
        brew_star_add_request(&one);
        brew_star_add_ids(&one, star.ids, (size_t)star.segments[1]);
        brew_star_add_item(&one);
        brew_star_add_ids(&one, star.ids + item, (size_t)(end - item));
        int64_t at = star.label_splits[star.answer_set[i]];
        int32_t set = brew_star_add_set(&one, star.label_ids + at,
                                        (size_t)(star.label_splits[star.answer_set[i] + 1] - at));
        brew_star_add_answer(&one, (int64_t)one.n_ids - 1, set, 0, 1, 0);
        brew_star_add_meta(&one, "{}", 2);
        done = done && add_gradients(&s, &one, 0, 1, i);
        brew_star_release(&one);
    }
    struct values parts = take(&s, BREW_GRADIENTS);
    double off = difference(&s, whole, parts, true);
    ok(done && off <= 1e-5,
       "%s, %s: one query with %d questions is %d prompts, within 1e-5 (worst %.2g)", name, level,
       N, N, off);
    free(whole.at);
    free(parts.at);
    subject_close(&s);
    brew_star_release(&star);
}

// bf16 keeps 8 bits of every operand: over a few layers of these wide random weights, gradients keep
// within a tenth of their length (measured with the reference kernels, see the line).
static void test_bf16(const char *name, const char *level, double bound) {
    brew_star star = {0};
    three_requests(&star);
    struct subject f32, bf16;
    if (subject_open(&f32, name, "ref", BREW_PRECISION_F32, 2, &plain) &&
        subject_open(&bf16, name, level, BREW_PRECISION_BF16, 2, &plain)) {
        bool done = add_gradients(&f32, &star, 0, star.n_answers, 0) &&
                    add_gradients(&bf16, &star, 0, star.n_answers, 0);
        struct values want = take(&f32, BREW_GRADIENTS), got = take(&bf16, BREW_GRADIENTS);
        double off = difference(&f32, got, want, true);
        ok(done && off <= bound && off > 0, "%s, %s: gradients in bf16 are near (%.2g, at most %g)",
           name, level, off, bound);
        free(want.at);
        free(got.at);
        subject_close(&bf16);
        subject_close(&f32);
    }
    brew_star_release(&star);
}

static void test_steps(const char *level) {
    brew_star star = {0};
    three_requests(&star);
    brew_learner_options options = {.freeze_embedding = true};
    struct subject s;
    if (!subject_open(&s, "qwen3", level, BREW_PRECISION_F32, 1, &options)) return;
    struct values before = take(&s, BREW_VALUES);
    ok(brew_learner_norm(s.learner) == 0, "no gradients: norm 0");
    ok(add_gradients(&s, &star, 0, star.n_answers, 0), "a pass with frozen tables");
    struct values gradients = take(&s, BREW_GRADIENTS);
    double squares = 0;
    for (size_t i = 0; i < gradients.n; i++)
        squares += (double)gradients.at[i] * (double)gradients.at[i];
    is_near(brew_learner_norm(s.learner) / sqrt(squares), 1, 1e-6, "the norm of all gradients");
    brew_adamw step = {
        .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .decay = 0.5, .scale = 1, .step = 1};
    brew_learner_update(s.learner, &step);
    is_near(brew_learner_norm(s.learner), 0, 0, "after the step they are forgotten");
    struct values after = take(&s, BREW_VALUES);
    size_t at = 0, wrong = 0, g = 0;
    for (size_t i = 0; i < brew_learner_n(s.learner); i++) {
        const brew_parameter *p = brew_learner_parameter(s.learner, i);
        double decay = p->n_dims == 2 ? 1 - 1e-3 * 0.5 : 1;
        for (int64_t k = 0; k < p->rows * p->cols; k++, at++) {
            // The first step goes as far as the rate, whatever the gradient's size.
            double gradient = p->frozen ? 0 : (double)gradients.at[g++];
            double want = p->frozen ? (double)before.at[at]
                                    : (double)before.at[at] * decay -
                                          1e-3 * gradient / (fabs(gradient) + 1e-8);
            wrong += !(fabs((double)after.at[at] - want) <= 1e-5);
        }
    }
    is_int((long long)wrong, 0,
           "the first step of AdamW: decay for matrices, nothing for what is frozen");

    // Values, and moments, set and got; and the step itself goes on from them with the same bits.
    struct values moments = take(&s, BREW_MOMENTS_2);
    struct subject t;
    if (subject_open(&t, "qwen3", level, BREW_PRECISION_F32, 1, &options)) {
        for (size_t i = 0; i < brew_learner_n(t.learner); i++) {
            const brew_parameter *p = brew_learner_parameter(t.learner, i);
            float *rows = brew_calloc((size_t)(p->rows * p->cols), sizeof *rows);
            for (int store = BREW_VALUES; store <= BREW_MOMENTS_2; store++) {
                if (store == BREW_GRADIENTS || (p->frozen && store != BREW_VALUES)) continue;
                brew_learner_get(s.learner, (enum brew_learner_store)store, i, 0, p->rows, rows);
                for (int64_t r = 0; r < p->rows; r += 7) // in pieces that fit no panel
                    brew_learner_set(t.learner, (enum brew_learner_store)store, i, r,
                                     p->rows - r < 7 ? p->rows - r : 7, rows + r * p->cols);
            }
            free(rows);
        }
        brew_learner_refresh(t.learner);
        struct values copied = take(&t, BREW_MOMENTS_2);
        ok(same(copied, moments), "moments set are moments got");
        step.step = 2;
        bool done = add_gradients(&s, &star, 0, star.n_answers, 9) &&
                    add_gradients(&t, &star, 0, star.n_answers, 9);
        brew_learner_update(s.learner, &step);
        brew_learner_update(t.learner, &step);
        struct values x = take(&s, BREW_VALUES), y = take(&t, BREW_VALUES);
        ok(done && same(x, y), "a step goes on from them with the same bits");
        free(copied.at);
        free(x.at);
        free(y.at);
        subject_close(&t);
    }
    free(before.at);
    free(after.at);
    free(gradients.at);
    free(moments.at);
    subject_close(&s);
    brew_star_release(&star);
}

// A GGUF pairs up the rotary halves of q and k in another way: the parameters are the same.
static void test_gguf(const char *name) {
    char gguf[64];
    snprintf(gguf, sizeof gguf, "%s.gguf", name);
    struct subject a, b;
    if (subject_open(&a, name, "ref", BREW_PRECISION_F32, 1, &plain) &&
        subject_open(&b, gguf, "ref", BREW_PRECISION_F32, 1, &plain)) {
        struct values x = take(&a, BREW_VALUES), y = take(&b, BREW_VALUES);
        ok(same(x, y), "%s holds the parameters of %s", gguf, name);
        free(x.at);
        free(y.at);
        subject_close(&b);
    }
    subject_close(&a);
}

// ---- adapters ----

// Factors other than those of the start, whose B is 0.
static void draw_factors(struct subject *s) {
    for (size_t i = 0; i < brew_learner_n(s->learner); i++) {
        const brew_parameter *p = brew_learner_parameter(s->learner, i);
        if (!p->adapter) continue;
        float *rows = brew_calloc((size_t)(p->rows * p->cols), sizeof *rows);
        for (uint64_t k = 0; k < (uint64_t)(p->rows * p->cols); k++)
            rows[k] = (float)(brew_rand_unit(5, i, k) - 0.5) / 4;
        brew_learner_set(s->learner, BREW_VALUES, i, 0, p->rows, rows);
        free(rows);
    }
    brew_learner_refresh(s->learner);
}

static brew_learner_options with_adapters(const char *targets) {
    brew_err err = {0};
    brew_learner_options options = {.lora = {.rank = 3, .alpha = 5}};
    if (brew_lora_parse_targets(targets, &options.lora.targets, &err)) ok(false, "%s", err.text);
    return options;
}

// At the start nothing is added: the weights are the base's.
static void test_adapters_start(const char *name, const char *level) {
    brew_learner_options options = with_adapters(NULL);
    struct subject a, b;
    if (!subject_open(&a, name, level, BREW_PRECISION_F32, 1, &plain)) return;
    if (!subject_open(&b, name, level, BREW_PRECISION_F32, 2, &options)) return;
    size_t wrong = 0, drawn = 0;
    for (size_t i = 0; i < brew_learner_n(b.learner); i++) {
        const brew_parameter *p = brew_learner_parameter(b.learner, i);
        size_t n = (size_t)(p->rows * p->cols);
        float *x = brew_calloc(n, sizeof *x), *y = brew_calloc(n, sizeof *y);
        double most = 0, bound = 1 / sqrt((double)p->cols);
        brew_learner_get(b.learner, BREW_VALUES, i, 0, p->rows, y);
        if (!p->adapter) {
            brew_learner_get(a.learner, BREW_VALUES, i, 0, p->rows, x);
            wrong += memcmp(x, y, n * sizeof *x) != 0;
        }
        for (size_t k = 0; k < n; k++) most = fmax(most, fabs((double)y[k]));
        bool is_a = p->adapter && strstr(p->name, "lora_A");
        if (p->adapter) wrong += is_a ? !(most > 0.9 * bound && most <= bound) : most != 0;
        drawn += is_a;
        free(x);
        free(y);
    }
    ok(!wrong && drawn, "%s, %s: %zu adapters begin at the base, A within 1 / sqrt(C)", name, level,
       drawn);
    subject_close(&a);
    subject_close(&b);
}

// Threads, recomputation: the same bits; only what is chosen learns; and a step goes as far as its rate.
static void test_adapters_bits(const char *name, const char *level, enum brew_precision precision) {
    brew_star star = {0};
    three_requests(&star);
    struct values first = {0};
    size_t wrong = 0, factors = 0;
    bool equal = true;
    for (int variant = 0; variant < 3; variant++) {
        struct subject s;
        brew_learner_options options = with_adapters("down_proj,q_proj,up_proj");
        options.recompute = (enum brew_recompute)variant;
        if (!subject_open(&s, name, level, precision, variant + 1, &options)) return;
        draw_factors(&s);
        struct values before = take(&s, BREW_VALUES);
        equal = equal && add_gradients(&s, &star, 0, star.n_answers, 0);
        brew_adamw step = {
            .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .scale = 1, .step = 1};
        brew_learner_update(s.learner, &step);
        struct values after = take(&s, BREW_VALUES);
        size_t at = 0;
        for (size_t i = 0; i < brew_learner_n(s.learner); i++) {
            const brew_parameter *p = brew_learner_parameter(s.learner, i);
            bool chosen = strstr(p->name, "down_proj.") || strstr(p->name, "q_proj.") ||
                          strstr(p->name, "up_proj.");
            bool matrix = chosen && p->n_dims == 2;
            factors += p->adapter;
            wrong += (p->adapter && !chosen) || p->adapter == p->frozen;
            size_t n = (size_t)(p->rows * p->cols), moved = 0;
            for (size_t k = at; k < at + n; k++) {
                double by = fabs((double)after.at[k] - (double)before.at[k]);
                moved += by > 0;
                wrong += p->adapter && by > 1.001e-3;
            }
            wrong += matrix ? !moved : moved > 0;
            at += n;
        }
        if (variant) equal = equal && same(first, after);
        free(before.at);
        if (variant)
            free(after.at);
        else
            first = after;
        subject_close(&s);
    }
    ok(equal && !wrong && factors, "%s, %s, %s: adapters learn, with the same bits", name, level,
       precision == BREW_PRECISION_F32 ? "f32" : "bf16");
    free(first.at);
    brew_star_release(&star);
}

static void test_random(void) {
    struct subject a, b;
    brew_learner_options options = {.random = true, .seed = 3};
    if (!subject_open(&a, "tiny", "ref", BREW_PRECISION_F32, 1, &options)) return;
    options.seed = 4;
    if (!subject_open(&b, "tiny", "ref", BREW_PRECISION_F32, 3, &options)) return;
    for (size_t i = 0; i < brew_learner_n(a.learner); i += 5) {
        const brew_parameter *p = brew_learner_parameter(a.learner, i);
        size_t n = (size_t)(p->rows * p->cols);
        float *x = brew_calloc(n, sizeof *x), *y = brew_calloc(n, sizeof *y);
        brew_learner_get(a.learner, BREW_VALUES, i, 0, p->rows, x);
        brew_learner_get(b.learner, BREW_VALUES, i, 0, p->rows, y);
        double sum = 0, squares = 0, both = 0;
        for (size_t k = 0; k < n; k++) {
            sum += (double)x[k];
            squares += (double)x[k] * (double)x[k];
            both += (double)x[k] * (double)y[k];
        }
        // 0.2 is the initializer_range of this config.json; six deviations of what is estimated.
        double root = sqrt((double)n);
        if (p->n_dims == 2)
            ok(fabs(sum / (double)n) < 6 * 0.2 / root &&
                   fabs(squares / (double)n - 0.04) < 6 * 0.04 * sqrt(2) / root &&
                   fabs(both / (double)n) < 6 * 0.04 / root,
               "%s is drawn from N(0, 0.2), each seed on its own", p->name);
        else
            ok(sum == (double)n, "%s begins at 1", p->name);
        free(x);
        free(y);
    }
    subject_close(&a);
    subject_close(&b);
}

// ---- memory ----

static size_t counted;
static void *(*true_alloc)(brew_backend *be, size_t bytes, const char *what, brew_err *err);
static void *counting_alloc(brew_backend *be, size_t bytes, const char *what, brew_err *err) {
    counted += bytes;
    return true_alloc(be, bytes, what, err);
}

// The blocks of the learner are those of the plan; operands and working memory of the backend's are
// measured as a whole by scripts/bench/train.
static void test_plan(const char *level) {
    for (int recompute = BREW_RECOMPUTE_NONE; recompute <= BREW_RECOMPUTE_LAYER; recompute++) {
        brew_star star = {0};
        three_requests(&star);
        brew_learner_options options = {.recompute = (enum brew_recompute)recompute,
                                        .freeze_embedding = recompute == BREW_RECOMPUTE_MLP};
        bool lean = recompute == BREW_RECOMPUTE_LAYER; // of the model there are operands only
        enum brew_precision precision = lean ? BREW_PRECISION_BF16 : BREW_PRECISION_F32;
        if (lean) options.lora = with_adapters(NULL).lora;
        struct subject s;
        if (!subject_open(&s, "llama-scaled", level, precision, 1, &options)) return;
        const brew_ops *ops = s.be->ops;
        brew_ops counting = *ops;
        true_alloc = counting.alloc;
        counting.alloc = counting_alloc;
        s.be->ops = &counting;
        brew_err err = {0};
        brew_learner *again = brew_learner_open(s.dir, s.be, &options, &err);
        size_t blocks = counted;
        brew_learner_free(again);
        counted = 0;
        ok(add_gradients(&s, &star, 0, star.n_answers, 0), "a pass");
        brew_learner_plan plan;
        brew_learner_plan_bytes(brew_learner_config(s.learner), precision, &options,
                                (int64_t)star.n_ids, (int64_t)star.n_answers,
                                s.reads.splits[s.reads.n], &plan);
        double off = (double)blocks / (double)(plan.weights + plan.gradients + plan.moments) - 1;
        ok(fabs(off) <= 0.03,
           "recompute level %d: weights, gradients and moments as planned (%+.3f)", recompute, off);
        ok(counted >= plan.activations && counted <= plan.activations + plan.scratch,
           "and activations within the plan");
        if (lean)
            ok(plan.weights < 2 * (size_t)brew_config_parameters(brew_learner_config(s.learner)),
               "less than half of the model is there in F32, adapters included");
        s.be->ops = ops;
        counted = 0;
        subject_close(&s);
        brew_star_release(&star);
    }
}

static void test_refusals(void) {
    struct subject s;
    brew_err err = {0};
    brew_star star = {0};
    if (!subject_open(&s, "llama-tied", "ref", BREW_PRECISION_F32, 1, &plain)) return;
    ok(brew_learner_forward(s.learner, &star, &s.reads, true, &s.result, &err) == 0 &&
           brew_learner_backward(s.learner, NULL, NULL, NULL, &err) == 0 &&
           brew_learner_norm(s.learner) == 0,
       "an empty batch is no error, and teaches nothing");
    add_request(&star, 1, 250, 4, 0);
    read_answers(&s, &star, 0, 4, false);
    ok(brew_learner_forward(s.learner, &star, &s.reads, true, &s.result, &err) < 0 &&
           err.code == BREW_DATA,
       "258 tokens do not fit a context of 256");
    is_str(err.text,
           "request 0 spans 258 tokens (query and longest item), the model's context is 256",
           "and the message has both numbers");
    brew_star_reset(&star);
    add_request(&star, 1, 20, 2, 0);
    read_answers(&s, &star, 0, 2, false);
    s.reads.ids[1] = 67;
    ok(brew_learner_forward(s.learner, &star, &s.reads, true, &s.result, &err) < 0,
       "a label of the vocabulary's size");
    brew_reads_reset(&s.reads);
    int32_t label = 1;
    brew_reads_add(&s.reads, (int64_t)star.n_ids, &label, 1);
    ok(brew_learner_forward(s.learner, &star, &s.reads, true, &s.result, &err) < 0,
       "a row behind the star");
    brew_star_release(&star);
    subject_close(&s);
}

int main(void) {
    const char *const *levels = brew_backend_levels();
    const char *only = getenv("BREW_KERNEL"); // one level instead of all this machine has
    test_refusals();
    test_random();
    test_gguf("llama-scaled");
    test_gguf("qwen3");
    for (size_t l = 0; levels[l]; l++) {
        if (only && *only && strcmp(only, levels[l])) continue;
        for (int p = 0; p < 2; p++) {
            enum brew_precision precision = p ? BREW_PRECISION_BF16 : BREW_PRECISION_F32;
            test_forward(p ? "llama-bias" : "mistral", levels[l], precision);
            test_forward(p ? "qwen3" : "qwen2", levels[l], precision);
            test_bits("qwen3", levels[l], precision);
            test_bits("qwen2", levels[l], precision);
            test_micro_batches("llama-bias", levels[l], precision);
            test_micro_batches("mistral", levels[l], precision);
            test_micro_batches("qwen2", levels[l], precision);
        }
        test_questions("llama-scaled", levels[l]);
        test_questions("qwen2", levels[l]);
        test_questions("mistral", levels[l]);
        test_bf16("llama-scaled", levels[l], 0.1);
        test_bf16("qwen3", levels[l], 0.1);
        test_steps(levels[l]);
        test_adapters_start("qwen3", levels[l]);
        for (int p = 0; p < 2; p++)
            test_adapters_bits(p ? "qwen2" : "llama-scaled", levels[l],
                               p ? BREW_PRECISION_BF16 : BREW_PRECISION_F32);
        if (strcmp(levels[l], "ref")) test_plan(levels[l]); // planned for the CPU's panels
    }
    return tap_done();
}
