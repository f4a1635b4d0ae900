// Times the kernels at one level: products, attention, and the parts around them, at SmolLM2-135M's
// sizes. usage: make bench-kernels K="[LEVEL [f32|bf16 [THREADS]]]"
//
// Every line is the best of several runs, in processor time of the whole process over the threads and
// in elapsed time: on a busy machine only the first means something.
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <time.h>

#include "kernel/testing.h"

enum { HEADS = 9, KV_HEADS = 3, DIM = 64, WIDTH = 576, MLP = 1536, REPEATS = 7 };

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct best {
    double wall, cpu, wall_start, cpu_start;
};

static void start(struct best *best) {
    best->wall_start = seconds(CLOCK_MONOTONIC);
    best->cpu_start = seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static void stop(struct best *best) {
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - best->cpu_start;
    double wall = seconds(CLOCK_MONOTONIC) - best->wall_start;
    if (!best->wall || wall < best->wall) best->wall = wall;
    if (!best->cpu || cpu < best->cpu) best->cpu = cpu;
}

static void show(const char *what, const struct best *best, double flops, int threads) {
    printf("%-34s %9.3f ms", what, best->wall * 1e3);
    if (flops)
        printf("  %7.1f GFLOP/s, %7.1f by processor time", flops / best->wall * 1e-9,
               flops / best->cpu * threads * 1e-9);
    else
        printf("  %.3f ms of processor time", best->cpu * 1e3);
    putchar('\n');
    fflush(stdout);
}

static void bench_products(brew_backend *be, int64_t m) {
    const brew_ops *ops = be->ops;
    int threads = brew_pool_threads(be->pool);
    float *x = random_floats(1, m * MLP), *w = random_floats(2, 2 * MLP * WIDTH),
          *y = random_floats(3, m * 960);
    char what[64];
    brew_operand a = operand_of(be, m, WIDTH), mlp = operand_of(be, m, MLP);
    brew_tensor half = f32_tensor(w, MLP, WIDTH);
    const brew_tensor *halves[] = {&half, &half};
    brew_err err;
    brew_weight *gate_up = ops->weight_new(be, halves, NULL, 2, BREW_WEIGHT_GATE_UP, &err);
    brew_weight *qkv = weight_of(be, w, 960, WIDTH), *o = weight_of(be, w, WIDTH, WIDTH);
    brew_weight *down = weight_of(be, w, WIDTH, MLP);
    struct best norm = {0}, t[4] = {0};
    for (int i = 0; i < REPEATS; i++) {
        start(&norm), ops->norm(be, x, m, WIDTH, w, 1e-5, &a), stop(&norm);
        start(&t[0]), ops->matmul(be, &a, m, qkv, y, false), stop(&t[0]);
        start(&t[1]), ops->matmul(be, &a, m, o, y, true), stop(&t[1]);
        start(&t[2]), ops->matmul_swiglu(be, &a, m, gate_up, &mlp), stop(&t[2]);
        start(&t[3]), ops->matmul(be, &mlp, m, down, y, true), stop(&t[3]);
    }
    const char *names[] = {"q,k,v", "o", "gate,up", "down"};
    const double sizes[] = {960. * WIDTH, (double)WIDTH * WIDTH, 2. * MLP * WIDTH,
                            (double)MLP * WIDTH};
    snprintf(what, sizeof what, "norm, %lld rows", (long long)m);
    show(what, &norm, 0, threads);
    for (int i = 0; i < 4; i++) {
        snprintf(what, sizeof what, "%s, %lld rows", names[i], (long long)m);
        show(what, &t[i], 2 * sizes[i] * (double)m, threads);
    }
    ops->weight_free(be, qkv), ops->weight_free(be, o);
    ops->weight_free(be, gate_up), ops->weight_free(be, down);
    ops->operand_release(be, &a), ops->operand_release(be, &mlp);
    free(x), free(w), free(y);
}

// The products of a layer with quantised weights, and what rounding their left sides takes.
static void bench_quantised(brew_backend *be, enum brew_dtype scheme, int64_t m) {
    const brew_ops *ops = be->ops;
    int threads = brew_pool_threads(be->pool);
    float *x = random_floats(1, m * MLP), *gain = random_floats(2, MLP),
          *y = random_floats(3, m * 960);
    uint8_t *codes = brew_alloc((size_t)MLP * WIDTH);
    for (int64_t i = 0; i < MLP * WIDTH; i++)
        codes[i] = (uint8_t)brew_rand_below(7, 4, (uint64_t)i, 127); // none is NaN
    brew_tensor parts[2] = {{.data = codes, .dtype = scheme, .n_dims = 2, .row_scales = gain}};
    for (int i = 0; i < MLP; i++) gain[i] = 0.01f + fabsf(gain[i]);
    const brew_tensor *both[2] = {parts, parts};
    const struct {
        const char *name;
        int64_t n, c;
        bool gated;
    } list[] = {{"q,k,v", 960, WIDTH, false},
                {"o", WIDTH, WIDTH, false},
                {"gate,up", MLP, WIDTH, true},
                {"down", WIDTH, MLP, false}};
    brew_operand a[4], out = operand_of(be, m, MLP);
    brew_weight *w[4];
    struct best t[4] = {0}, round[4] = {0};
    brew_err err;
    for (int i = 0; i < 4; i++) {
        parts[0].shape[0] = list[i].n;
        parts[0].shape[1] = list[i].c;
        a[i] = operand_of(be, m, list[i].c);
        w[i] = ops->weight_new(be, both, NULL, list[i].gated ? 2 : 1,
                               list[i].gated ? BREW_WEIGHT_GATE_UP : BREW_WEIGHT_STACK, &err);
        if (!w[i]) brew_bug("%s", err.text);
    }
    for (int r = 0; r < REPEATS * 4; r++) {
        int i = r % 4;
        ops->norm(be, x, m, list[i].c, gain, 1e-5, &a[i]);
        start(&round[i]), ops->quantise(be, &a[i], m, w[i]), stop(&round[i]);
        start(&t[i]);
        if (list[i].gated)
            ops->matmul_swiglu(be, &a[i], m, w[i], &out);
        else
            ops->matmul(be, &a[i], m, w[i], y, false);
        stop(&t[i]);
    }
    for (int i = 0; i < 4; i++) {
        char what[64];
        double size = (double)(list[i].n * list[i].c * (list[i].gated ? 2 : 1));
        snprintf(what, sizeof what, "%s %s, %lld rows", brew_dtype_name(scheme), list[i].name,
                 (long long)m);
        show(what, &t[i], 2 * size * (double)m, threads);
        show("  its rows rounded", &round[i], 0, threads);
        ops->weight_free(be, w[i]);
        ops->operand_release(be, &a[i]);
    }
    ops->operand_release(be, &out);
    free(x), free(gain), free(y), free(codes);
}

// `items` items of `len` tokens on a query, which runs first, in pieces of 2,048 rows.
static void bench_attention(brew_backend *be, int64_t query, int64_t items, int64_t len) {
    const brew_ops *ops = be->ops;
    int threads = brew_pool_threads(be->pool);
    brew_attention_shape shape = {HEADS, KV_HEADS, DIM};
    brew_err err;
    int64_t rows = query > items * len ? query : items * len;
    float *qkv = random_floats(1, rows * 960), inv_freq[DIM / 2];
    for (int i = 0; i < DIM / 2; i++) inv_freq[i] = (float)pow(10000, -i / 32.0);
    brew_rope *rope = ops->rope_new(be, inv_freq, DIM, query + len, 1, &err);
    brew_kv *kv = ops->kv_new(be, &shape, 1, query, &err);
    brew_attention *at = ops->attention_new(be, &shape, rows, items + 1, &err);
    brew_operand out = operand_of(be, rows, WIDTH);
    brew_span *spans = brew_calloc((size_t)items + 1, sizeof *spans);
    struct best t[4] = {0};
    for (int r = 0; r < REPEATS; r++) {
        spans[0] = (brew_span){0, query, 0, kv, false};
        start(&t[0]), ops->heads(be, at, spans, 1, 0, qkv, NULL, NULL, 0, rope), stop(&t[0]);
        start(&t[1]), ops->attend(be, at, spans, 1, 0, 0.125, 0, NULL, &out), stop(&t[1]);
        for (int64_t i = 0; i < items; i++) spans[i] = (brew_span){i * len, len, query, kv, true};
        start(&t[2]), ops->heads(be, at, spans, (size_t)items, 0, qkv, NULL, NULL, 0, rope),
            stop(&t[2]);
        start(&t[3]), ops->attend(be, at, spans, (size_t)items, 0, 0.125, 0, NULL, &out),
            stop(&t[3]);
    }
    char what[64];
    double pair = 4.0 * HEADS * DIM;
    snprintf(what, sizeof what, "heads of a query of %lld", (long long)query);
    show(what, &t[0], 0, threads);
    snprintf(what, sizeof what, "attend, query of %lld", (long long)query);
    show(what, &t[1], pair * (double)query * (double)(query + 1) / 2, threads);
    snprintf(what, sizeof what, "heads of %lld items of %lld", (long long)items, (long long)len);
    show(what, &t[2], 0, threads);
    snprintf(what, sizeof what, "attend, %lld items of %lld", (long long)items, (long long)len);
    show(what, &t[3], pair * (double)(items * len) * ((double)query + (double)(len + 1) / 2),
         threads);
    ops->operand_release(be, &out);
    ops->attention_free(be, at);
    ops->kv_free(be, kv);
    ops->rope_free(be, rope);
    free(qkv), free(spans);
}

// The gradients of one weight: dx, and dw as one more micro-batch.
static void bench_gradients(brew_backend *be, const char *name, int64_t m, int64_t n, int64_t c) {
    const brew_train_ops *train = be->ops->train;
    int threads = brew_pool_threads(be->pool);
    brew_err err;
    size_t bytes = (size_t)train->weight_floats(be, n, c) * sizeof(float);
    float *master = be->ops->alloc(be, bytes, "a weight", &err);
    float *dw = be->ops->alloc(be, bytes, "a gradient", &err);
    float *w = random_floats(1, n * c), *x = random_floats(2, m * c), *dy = random_floats(3, m * n);
    float *dx = random_floats(4, m * c);
    train->weight_pack(be, n, c, 0, n, w, master);
    brew_weight *weight = train->weight_learn(be, n, c, master, NULL, &err);
    train->weight_refresh(be, weight);
    struct best t[2] = {0};
    for (int i = 0; i < REPEATS; i++) {
        start(&t[0]), train->matmul_dx(be, dy, m, weight, dx, false), stop(&t[0]);
        start(&t[1]), train->matmul_dw(be, dy, x, m, n, c, dw, true), stop(&t[1]);
    }
    for (int i = 0; i < 2; i++) {
        char what[64];
        snprintf(what, sizeof what, "%s of %s, %lld rows", i ? "dw" : "dx", name, (long long)m);
        show(what, &t[i], 2.0 * (double)(m * n) * (double)c, threads);
    }
    be->ops->weight_free(be, weight);
    be->ops->free(be, master), be->ops->free(be, dw);
    free(w), free(x), free(dy), free(dx);
}

static void bench_rows(brew_backend *be, int64_t m) {
    const brew_train_ops *train = be->ops->train;
    brew_attention_shape shape = {HEADS, KV_HEADS, DIM};
    float *x = random_floats(1, m * 2 * MLP), *y = random_floats(2, m * MLP);
    float *out = random_floats(3, m * 2 * MLP), *h = random_floats(4, m * MLP), inv_freq[DIM / 2];
    int32_t *positions = brew_calloc((size_t)m, sizeof *positions);
    brew_operand operand = operand_of(be, m, MLP);
    brew_err err;
    for (int i = 0; i < DIM / 2; i++) inv_freq[i] = (float)pow(10000, -i / 32.0);
    brew_rope *rope = be->ops->rope_new(be, inv_freq, DIM, 1, 1, &err);
    const char *names[] = {"swiglu",    "swiglu_back", "operand_rows",
                           "norm_back", "rotate",      "rotate_back"};
    struct best t[6] = {0};
    for (int i = 0; i < REPEATS; i++) {
        start(&t[0]), train->swiglu(be, x, m, MLP, &operand), stop(&t[0]);
        start(&t[1]), train->swiglu_back(be, x, y, m, MLP, out, h), stop(&t[1]);
        start(&t[2]), train->operand_rows(be, &operand, NULL, m, h), stop(&t[2]);
        start(&t[3]), train->norm_back(be, x, m, WIDTH, x, 1e-5, y, out, h), stop(&t[3]);
        start(&t[4]), train->rotate(be, &shape, x, m, positions, NULL, NULL, 1e-5, rope, out),
            stop(&t[4]);
        start(&t[5]),
            train->rotate_back(be, &shape, x, m, positions, NULL, NULL, 1e-5, rope, out, NULL,
                               NULL),
            stop(&t[5]);
    }
    for (int i = 0; i < 6; i++) {
        char what[64];
        snprintf(what, sizeof what, "%s, %lld rows", names[i], (long long)m);
        show(what, &t[i], 0, brew_pool_threads(be->pool));
    }
    be->ops->rope_free(be, rope);
    be->ops->operand_release(be, &operand);
    free(x), free(y), free(out), free(h), free(positions);
}

// The optimiser over n parameters, and a new copy of weights of that size for the products.
static void bench_step(brew_backend *be, int64_t n) {
    const brew_train_ops *train = be->ops->train;
    brew_adamw step = {1e-3, 0.9, 0.95, 1e-8, 0.1, 1, 1};
    float *p[4];
    brew_err err;
    for (int i = 0; i < 4; i++) {
        p[i] = be->ops->alloc(be, (size_t)n * sizeof(float), "parameters", &err);
        if (!p[i]) brew_bug("%s", err.text);
    }
    brew_weight *weight = train->weight_learn(be, n / WIDTH, WIDTH, p[0], NULL, &err);
    struct best t[3] = {0};
    for (int i = 0; i < 3; i++) {
        start(&t[0]), train->sum_squares(be, p[1], n), stop(&t[0]);
        start(&t[1]), train->adamw(be, &step, p[0], p[1], p[2], p[3], n), stop(&t[1]);
        start(&t[2]), train->weight_refresh(be, weight), stop(&t[2]);
    }
    const char *names[] = {"sum of squares", "AdamW", "weight_refresh"};
    for (int i = 0; i < 3; i++) {
        char what[64];
        snprintf(what, sizeof what, "%s, %lld M values", names[i], (long long)n / 1000000);
        show(what, &t[i], 0, brew_pool_threads(be->pool));
    }
    be->ops->weight_free(be, weight);
    for (int i = 0; i < 4; i++) be->ops->free(be, p[i]);
}

// Both ways through one layer's attention over one request of `items` items of `len` tokens.
static void bench_star(brew_backend *be, int64_t query, int64_t items, int64_t len) {
    const brew_ops *ops = be->ops;
    int threads = brew_pool_threads(be->pool);
    brew_attention_shape shape = {HEADS, KV_HEADS, DIM};
    int64_t rows = query + items * len, requests[] = {0, items + 1};
    int64_t *segments = brew_calloc((size_t)items + 2, sizeof *segments);
    for (int64_t i = 0; i <= items; i++) segments[i + 1] = query + i * len;
    brew_layout layout = {segments, requests, 1};
    float *qkv = random_floats(1, rows * 960), *dout = random_floats(2, rows * WIDTH);
    float *lse = random_floats(3, rows * HEADS), *dqkv = random_floats(4, rows * 960);
    float *values = random_floats(5, rows * WIDTH);
    brew_operand out = operand_of(be, rows, WIDTH);
    struct best t[2] = {0};
    for (int r = 0; r < REPEATS; r++) {
        start(&t[0]);
        ops->train->attend_keep(be, &shape, &layout, 0.125, 0, NULL, qkv, &out, lse);
        stop(&t[0]);
        ops->train->operand_rows(be, &out, NULL, rows, values);
        start(&t[1]);
        ops->train->attend_back(be, &shape, &layout, 0.125, 0, NULL, qkv, values, lse, dout, dqkv);
        stop(&t[1]);
    }
    double pairs = (double)query * (double)(query + 1) / 2 +
                   (double)(items * len) * ((double)query + (double)(len + 1) / 2);
    char what[64];
    for (int i = 0; i < 2; i++) {
        snprintf(what, sizeof what, "attend_%s, %lld + %lld x %lld", i ? "back" : "keep",
                 (long long)query, (long long)items, (long long)len);
        show(what, &t[i], (i ? 10.0 : 4.0) * HEADS * DIM * pairs, threads);
    }
    ops->operand_release(be, &out);
    free(segments), free(qkv), free(dout), free(lse), free(dqkv), free(values);
}

static void bench_head(brew_backend *be, int64_t rows) {
    enum { V = 49152 };
    const double flops = 2.0 * (double)rows * V * WIDTH;
    float *table = random_floats(1, (int64_t)V * WIDTH), *h = random_floats(2, rows * WIDTH),
          *g = random_floats(3, rows), *lse = brew_alloc((size_t)rows * sizeof *lse),
          *dh = brew_calloc((size_t)(rows * WIDTH), sizeof *dh),
          *dtable = brew_calloc((size_t)V * WIDTH, sizeof *dtable);
    for (int64_t i = 0; i < (int64_t)V * WIDTH; i++) table[i] *= 0.04f; // logits of size 1
    brew_tensor tensor = f32_tensor(table, V, WIDTH);
    brew_table *view = be->ops->table_new(be, &tensor, NULL);
    struct best t = {0}, back = {0};
    char what[64];
    for (int i = 0; i < (rows > 100 ? 3 : REPEATS); i++) {
        start(&t), be->ops->head_lse(be, view, h, rows, WIDTH, NULL, NULL, lse), stop(&t);
        if (!be->ops->train) continue;
        start(&back);
        be->ops->train->head_lse_back(be, view, h, rows, WIDTH, NULL, NULL, lse, g, dh, dtable);
        stop(&back);
    }
    snprintf(what, sizeof what, "log-sum-exp of %lld rows", (long long)rows);
    show(what, &t, flops, brew_pool_threads(be->pool));
    snprintf(what, sizeof what, "  and back: three products");
    if (be->ops->train) show(what, &back, 3 * flops, brew_pool_threads(be->pool));
    be->ops->table_free(be, view);
    free(table), free(h), free(g), free(lse), free(dh), free(dtable);
}

int main(int argc, char **argv) {
    const char *level = argc > 1 ? argv[1] : brew_backend_levels()[0];
    enum brew_precision precision =
        argc > 2 && !strcmp(argv[2], "f32") ? BREW_PRECISION_F32 : BREW_PRECISION_BF16;
    int threads = argc > 3 ? atoi(argv[3]) : 2;
    brew_backend *be = open_level(level, precision, threads);
    printf("%s, %s, %d threads\n", be->level, precision ? "bf16" : "f32", threads);
    bench_products(be, 2048);
    bench_products(be, 1);
    for (int64_t m = 2048; m; m /= 2048) {
        bench_quantised(be, BREW_F8_E4M3, m);
        bench_quantised(be, BREW_I8, m);
    }
    bench_attention(be, 2048, 34, 60);
    bench_attention(be, 256, 200, 10);
    bench_head(be, 16);
    bench_head(be, 780);
    if (be->ops->train) {
        bench_gradients(be, "q,k,v", 780, 960, WIDTH);
        bench_gradients(be, "o", 780, WIDTH, WIDTH);
        bench_gradients(be, "gate,up", 780, 2 * MLP, WIDTH);
        bench_gradients(be, "down", 780, WIDTH, MLP);
        bench_rows(be, 780);
        bench_star(be, 460, 16, 20);
        bench_star(be, 256, 200, 10);
        bench_star(be, 2048, 0, 0);
        bench_step(be, (int64_t)WIDTH * 233600); // as many as SmolLM2-135M has
    }
    close_level(be);
    return 0;
}
