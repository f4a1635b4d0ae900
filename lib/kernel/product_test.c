// Norms, products and the head at every level, against double sums, and for their bits.
#include "base/tap.h"
#include "kernel/testing.h"

static const double F32_ULP = 1.0 / (1 << 24);

// The rows that norm writes into an operand: those of norm_rows, rounded.
static float *normed(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain) {
    float *rows = brew_alloc((size_t)(m * c) * sizeof *rows + 1);
    be->ops->norm_rows(be, x, m, c, gain, 1e-5, rows);
    for (int64_t i = 0; i < m * c; i++)
        if (be->precision == BREW_PRECISION_BF16) rows[i] = round_bf16(rows[i]);
    return rows;
}

static float *weights(brew_backend *be, uint64_t stream, int64_t n) {
    float *w = random_floats(stream, n);
    for (int64_t i = 0; i < n; i++)
        if (be->precision == BREW_PRECISION_BF16) w[i] = round_bf16(w[i]);
    return w;
}

// A sum of C products of size 1 carries at most C roundings of at most its largest partial sum, about
// 4 sqrt(C); two per product with AVX512-BF16 or without fma.
static double product_slack(int64_t c) {
    return 2 * (double)c * 4 * sqrt((double)c) * F32_ULP;
}

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

// y = a W^T + bias + y, for a weight of three parts with a bias on two.
static bool check_matmul(brew_backend *be, int64_t m, int64_t n, int64_t c) {
    const brew_ops *ops = be->ops;
    float *x = random_floats(1, m * c), *gain = random_floats(2, c), *w = weights(be, 3, 3 * n * c);
    float *bias = random_floats(4, n), *y = random_floats(5, m * 3 * n);
    double *want = brew_calloc((size_t)(m * 3 * n) + 1, sizeof *want);
    float *rows = normed(be, x, m, c, gain);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < 3 * n; j++)
            want[i * 3 * n + j] =
                y[i * 3 * n + j] + dot(rows + i * c, w + j * c, c) + (j / n == 1 ? 0 : bias[j % n]);
    brew_tensor part[3], vector = {.data = bias, .dtype = BREW_F32, .n_dims = 1, .shape = {n}};
    for (int i = 0; i < 3; i++) part[i] = f32_tensor(w + i * n * c, n, c);
    const brew_tensor *parts[] = {&part[0], &part[1], &part[2]},
                      *biases[] = {&vector, NULL, &vector};
    brew_err err;
    brew_weight *weight = ops->weight_new(be, parts, biases, 3, BREW_WEIGHT_STACK, &err);
    brew_operand a = operand_of(be, m, c);
    ops->norm(be, x, m, c, gain, 1e-5, &a);
    ops->matmul(be, &a, m, weight, y, true);
    bool good = close_to(y, want, m * 3 * n, 2 * F32_ULP, product_slack(c));
    ops->operand_release(be, &a);
    ops->weight_free(be, weight);
    free(x), free(gain), free(w), free(bias), free(y), free(want), free(rows);
    return good;
}

static bool check_swiglu(brew_backend *be, int64_t m, int64_t f, int64_t c) {
    const brew_ops *ops = be->ops;
    bool bf16 = be->precision == BREW_PRECISION_BF16;
    float *x = random_floats(1, m * c), *gain = random_floats(2, c), *w = weights(be, 3, 2 * f * c);
    double *want = brew_calloc((size_t)(m * f) + 1, sizeof *want);
    float *rows = normed(be, x, m, c, gain);
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < f; j++) {
            double g = dot(rows + i * c, w + j * c, c), u = dot(rows + i * c, w + (f + j) * c, c);
            want[i * f + j] = g / (1 + exp(-g)) * u;
        }
    brew_tensor gate = f32_tensor(w, f, c), up = f32_tensor(w + f * c, f, c);
    const brew_tensor *parts[] = {&gate, &up};
    brew_err err;
    brew_weight *weight = ops->weight_new(be, parts, NULL, 2, BREW_WEIGHT_GATE_UP, &err);
    brew_operand a = operand_of(be, m, c), out = operand_of(be, m, f);
    ops->norm(be, x, m, c, gain, 1e-5, &a);
    ops->matmul_swiglu(be, &a, m, weight, &out);
    float *got = operand_values(be, &out, m);
    // gate and up are each as large as 4 sqrt(C) and off by product_slack; exp by 1e-6 of a result
    double slack = 2 * product_slack(c) * 4 * sqrt((double)c) + 1e-5;
    bool good = close_to(got, want, m * f, bf16 ? 1.0 / 256 + 1e-5 : 1e-5, slack);
    ops->operand_release(be, &a);
    ops->operand_release(be, &out);
    ops->weight_free(be, weight);
    free(x), free(gain), free(w), free(want), free(rows), free(got);
    return good;
}

static bool check_norm(brew_backend *be, int64_t m, int64_t c) {
    float *x = random_floats(1, m * c), *gain = random_floats(2, c);
    float *got = brew_alloc((size_t)(m * c) * sizeof *got);
    double *want = brew_calloc((size_t)(m * c), sizeof *want);
    for (int64_t i = 0; i < m; i++) {
        double scale = 1 / sqrt(dot(x + i * c, x + i * c, c) / (double)c + 1e-5);
        for (int64_t j = 0; j < c; j++) want[i * c + j] = x[i * c + j] * scale * gain[j];
    }
    be->ops->norm_rows(be, x, m, c, gain, 1e-5, got);
    // a sum of squares in 64 chains, a root, three products
    bool good = close_to(got, want, m * c, (4 + (double)c / 64) * F32_ULP, 1e-30);
    free(x), free(gain), free(got), free(want);
    return good;
}

// What the level's instructions make of one output, step by step.
static float chain(const brew_backend *be, const float *a, const float *w, int64_t c) {
    float sum = 0;
    bool generic = !strcmp(be->level, "generic");
    bool pairs = !strcmp(be->level, "avx512bf16") && be->precision == BREW_PRECISION_BF16;
    for (int64_t i = 0; i < c; i++) {
        int64_t at = pairs ? i ^ 1 : i; // the odd element first
        if (at < c) sum = generic ? sum + a[at] * w[at] : fmaf(a[at], w[at], sum);
    }
    if (pairs && c % 2) sum = fmaf(a[c - 1], w[c - 1], sum);
    return sum;
}

static bool check_chains(brew_backend *be, int64_t m, int64_t n, int64_t c) {
    float *x = random_floats(1, m * c), *gain = random_floats(2, c), *w = weights(be, 3, n * c);
    float *y = brew_calloc((size_t)(m * n), sizeof *y), *rows = normed(be, x, m, c, gain);
    brew_weight *weight = weight_of(be, w, n, c);
    brew_operand a = operand_of(be, m, c);
    be->ops->norm(be, x, m, c, gain, 1e-5, &a);
    be->ops->matmul(be, &a, m, weight, y, false);
    int64_t wrong = 0;
    for (int64_t i = 0; i < m * n; i++) {
        float want = chain(be, rows + i / n * c, w + i % n * c, c);
        wrong += memcmp(&want, y + i, sizeof want) != 0;
    }
    if (wrong) printf("# %lld of %lld bits differ\n", (long long)wrong, (long long)(m * n));
    be->ops->operand_release(be, &a);
    be->ops->weight_free(be, weight);
    free(x), free(gain), free(w), free(y), free(rows);
    return !wrong;
}

// Rows [0, m) of a block that is the large one's, reversed: each must have the large one's bits.
static bool check_rows(brew_backend *be, const brew_weight *weight, const float *x,
                       const float *gain, const float *all, int64_t m, int64_t n, int64_t c) {
    float *turned = brew_alloc((size_t)(m * c) * sizeof *turned);
    float *y = brew_alloc((size_t)(m * n) * sizeof *y);
    for (int64_t i = 0; i < m; i++)
        memcpy(turned + i * c, x + (m - 1 - i) * c, (size_t)c * sizeof *x);
    brew_operand a = operand_of(be, m, c);
    be->ops->norm(be, turned, m, c, gain, 1e-5, &a);
    be->ops->matmul(be, &a, m, weight, y, false);
    bool same = true;
    for (int64_t i = 0; i < m; i++)
        same &= !memcmp(y + i * n, all + (m - 1 - i) * n, (size_t)n * sizeof *y);
    be->ops->operand_release(be, &a);
    free(turned), free(y);
    return same;
}

static void test_bits(const char *level, enum brew_precision precision) {
    enum { M = 500, N = 70, C = 130 };
    float *x = random_floats(1, M * C), *gain = random_floats(2, C), *w = random_floats(3, N * C);
    float *all = brew_alloc(M * N * sizeof *all);
    bool same = true;
    for (int threads = 1; threads <= 3; threads++) {
        brew_backend *be = open_level(level, precision, threads);
        brew_weight *weight = weight_of(be, w, N, C);
        brew_operand a = operand_of(be, M, C);
        float *y = brew_alloc(M * N * sizeof *y);
        be->ops->norm(be, x, M, C, gain, 1e-5, &a);
        be->ops->matmul(be, &a, M, weight, y, false);
        if (threads == 1) memcpy(all, y, M * N * sizeof *y);
        same &= !memcmp(all, y, M * N * sizeof *y);
        const int64_t rows[] = {1, 5, 11, 12, 13, 500};
        for (int i = 0; i < 6; i++) same &= check_rows(be, weight, x, gain, all, rows[i], N, C);
        be->ops->operand_release(be, &a);
        be->ops->weight_free(be, weight);
        close_level(be);
        free(y);
    }
    ok(same, "%s %s: a row has the same bits in any block, at any place, on any threads", level,
       precision ? "bf16" : "f32");
    free(x), free(gain), free(w), free(all);
}

// The bits are the same when the calling thread flushes denormals (as -ffast-math objects make it do).
static void test_caller(const char *level, enum brew_precision precision) {
#if defined(__x86_64__)
    enum { M = 13, N = 40, C = 64 };
    float *x = random_floats(1, M * C), *w = random_floats(3, N * C), gain[C], y[2][M * N];
    for (int i = 0; i < C; i++) gain[i] = 1e-20f;
    for (int i = 0; i < N * C; i++) w[i] *= 1e-19f; // products around 2^-130
    for (int i = 0; i < 2; i++) {
        brew_backend *be = open_level(level, precision, 1);
        brew_weight *weight = weight_of(be, w, N, C);
        brew_operand a = operand_of(be, M, C);
        unsigned saved = __builtin_ia32_stmxcsr();
        if (i) __builtin_ia32_ldmxcsr(saved | 0x8040);
        be->ops->norm(be, x, M, C, gain, 1e-5, &a);
        be->ops->matmul(be, &a, M, weight, y[i], false);
        __builtin_ia32_ldmxcsr(saved);
        be->ops->operand_release(be, &a);
        be->ops->weight_free(be, weight);
        close_level(be);
    }
    ok(!memcmp(y[0], y[1], sizeof y[0]), "%s %s: a caller that flushes denormals changes no bit",
       level, precision ? "bf16" : "f32");
    free(x), free(w);
#else
    ok(true, "%s %d: a caller that flushes denormals # SKIP x86 only", level, precision);
#endif
}

static void test_gather(brew_backend *be) {
    enum { M = 30, C = 37 };
    float *x = random_floats(1, M * C), gain[C];
    for (int i = 0; i < C; i++) gain[i] = 1;
    const int64_t rows[] = {29, 0, 12, 11, 12, 3, 25, 24, 23, 1, 2, 4, 5};
    enum { N = sizeof rows / sizeof *rows };
    brew_operand a = operand_of(be, M, C), out = operand_of(be, N, C);
    be->ops->norm(be, x, M, C, gain, 1e-5, &a);
    be->ops->gather_operand(be, &a, rows, N, &out);
    float *from = operand_values(be, &a, M), *to = operand_values(be, &out, N);
    bool same = true;
    for (int i = 0; i < N; i++) same &= !memcmp(to + i * C, from + rows[i] * C, C * sizeof *to);
    ok(same, "%s: operands give their rows by index", be->level);
    be->ops->operand_release(be, &a);
    be->ops->operand_release(be, &out);
    free(x), free(from), free(to);
}

// A NaN in a row or a weight must come out, and must not reach other rows.
static void test_nan(brew_backend *be) {
    enum { M = 14, N = 33, C = 48 };
    float *x = random_floats(1, M * C), *w = random_floats(3, N * C), gain[C], y[M * N];
    for (int i = 0; i < C; i++) gain[i] = 1;
    x[13 * C + 5] = NAN;
    w[32 * C + 47] = NAN;
    brew_weight *weight = weight_of(be, w, N, C);
    brew_operand a = operand_of(be, M, C);
    be->ops->norm(be, x, M, C, gain, 1e-5, &a);
    be->ops->matmul(be, &a, M, weight, y, false);
    bool good = true;
    for (int i = 0; i < M * N; i++) good &= !!isnan(y[i]) == (i / N == 13 || i % N == 32);
    ok(good, "%s %s: NaN comes out where it went in", be->level, be->precision ? "bf16" : "f32");
    be->ops->operand_release(be, &a);
    be->ops->weight_free(be, weight);
    free(x), free(w);
}

static void test_head(brew_backend *be, int64_t vocab) {
    enum { R = 14, C = 50, N = 90 };
    float *table = random_floats(1, vocab * C), *h = random_floats(2, R * C), lse[R], logits[N];
    double want_lse[R], want[N];
    int64_t rows[N];
    int32_t ids[N];
    for (int64_t i = 0; i < C; i++)
        table[(vocab - 1) * C + i] = h[3 * C + i] * 20; // one huge logit
    brew_tensor tensor = f32_tensor(table, vocab, C);
    brew_table *view = be->ops->table_new(be, &tensor, NULL);
    for (int r = 0; r < R; r++) {
        double top = -INFINITY, sum = 0;
        for (int64_t v = 0; v < vocab; v++) top = fmax(top, dot(h + r * C, table + v * C, C));
        for (int64_t v = 0; v < vocab; v++) sum += exp(dot(h + r * C, table + v * C, C) - top);
        want_lse[r] = top + log(sum); // cppcheck-suppress invalidFunctionArg
    }
    for (int i = 0; i < N; i++) {
        rows[i] = i % R;
        ids[i] = (int32_t)((i * 7919) % vocab);
        want[i] = dot(h + rows[i] * C, table + ids[i] * C, C);
    }
    be->ops->label_logits(be, view, h, C, rows, ids, N, logits);
    be->ops->head_lse(be, view, h, R, C, NULL, NULL, lse);
    ok(close_to(logits, want, N, F32_ULP, 1e-9), "%s: label logits", be->level);
    // the largest logit is a sum of C products; the sum of exponentials is good to 1e-6
    ok(close_to(lse, want_lse, R, 4 * F32_ULP, product_slack(C)),
       "%s: log-sum-exp over %lld columns", be->level, (long long)vocab);
    be->ops->table_free(be, view);
    free(table), free(h);
}

static void test_shapes(brew_backend *be) {
    const char *name = be->precision ? "bf16" : "f32";
    const int64_t shapes[][3] = {{1, 1, 1},     {5, 7, 3},      {12, 32, 64},  {13, 33, 65},
                                 {24, 11, 130}, {37, 320, 576}, {260, 40, 96}, {3, 16, 1536}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        int64_t m = shapes[i][0], n = shapes[i][1], c = shapes[i][2];
        ok(check_matmul(be, m, n, c), "%s %s: product %lld x %lld x %lld", be->level, name,
           (long long)m, (long long)n, (long long)c);
        ok(check_swiglu(be, m, n, c), "%s %s: gated product %lld x %lld x %lld", be->level, name,
           (long long)m, (long long)n, (long long)c);
        ok(check_norm(be, m, c), "%s %s: norm %lld x %lld", be->level, name, (long long)m,
           (long long)c);
    }
}

static void test_all_chains(brew_backend *be) {
    bool good = true;
    for (int64_t m = 1; m <= 12; m++) good &= check_chains(be, m, 65, 37);
    for (int64_t n = 1; n <= 65; n++) good &= check_chains(be, 3, n, 18);
    for (int64_t c = 1; c <= 130; c++) good &= check_chains(be, 13, 33, c);
    good &= check_chains(be, 25, 64, 576) && check_chains(be, 25, 64, 1536);
    ok(good, "%s %s: every output is one chain of the level's instruction", be->level,
       be->precision ? "bf16" : "f32");
}

static void test_refusals(brew_backend *be) {
    float data[6] = {0};
    brew_tensor a = f32_tensor(data, 2, 3), b = f32_tensor(data, 3, 2), c = f32_tensor(data, 1, 3);
    const brew_tensor *widths[] = {&a, &b}, *heights[] = {&a, &c}, *one[] = {&a}, *bias[] = {&c};
    brew_err err;
    ok(!be->ops->weight_new(be, widths, NULL, 2, BREW_WEIGHT_STACK, &err) && err.code == BREW_DATA,
       "%s: parts of unequal width are refused", be->level);
    ok(!be->ops->weight_new(be, heights, NULL, 2, BREW_WEIGHT_GATE_UP, &err) &&
           err.code == BREW_DATA,
       "%s: gate and up of unequal height are refused", be->level);
    ok(!be->ops->weight_new(be, one, bias, 1, BREW_WEIGHT_STACK, &err) && err.code == BREW_DATA,
       "%s: a bias of another length is refused", be->level);
    brew_attention_shape odd = {4, 3, 8}, wide = {4, 2, 1026};
    ok(!be->ops->kv_new(be, &odd, 1, 10, &err) && err.code == BREW_DATA,
       "%s: heads that are no multiple of kv heads are refused", be->level);
    ok(!be->ops->attention_new(be, &wide, 10, 1, &err) && err.code == BREW_DATA,
       "%s: heads too wide are refused", be->level);
}

int main(void) {
    brew_err err;
    ok(!brew_backend_open("abacus", BREW_PRECISION_F32, NULL, &err) && err.code == BREW_USAGE &&
           strstr(err.text, "generic, ref"),
       "an unknown level is a usage error that names those there are");
    for (const char *const *level = brew_backend_levels(); *level; level++) {
        for (int precision = BREW_PRECISION_F32; precision <= BREW_PRECISION_BF16; precision++) {
            brew_backend *be = open_level(*level, precision, 2);
            test_shapes(be);
            if (strcmp(*level, "ref")) test_all_chains(be);
            test_gather(be);
            test_nan(be);
            if (precision == BREW_PRECISION_F32) {
                test_head(be, 33);
                test_head(be, 4097);
                test_head(be, 9000);
                test_refusals(be);
            }
            close_level(be);
            test_bits(*level, precision);
            if (strcmp(*level, "ref")) test_caller(*level, precision);
        }
    }
    return tap_done();
}
