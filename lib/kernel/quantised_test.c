// Products with quantised weights at every level, against double sums of the very values that rounding
// by the formulas of tensor.h gives, and for their bits.
#include "base/tap.h"
#include "kernel/testing.h"

enum { M = 29 };

struct quantised {
    brew_tensor tensor;
    uint8_t *codes;
    float *scales, *values; // values: what is stored, as F32
};

// [n, c] of random weights as brew-quantize writes them.
static struct quantised quantise(enum brew_dtype dtype, uint64_t stream, int64_t n, int64_t c) {
    struct quantised q = {.codes = brew_alloc((size_t)(n * c)),
                          .scales = brew_alloc((size_t)n * sizeof(float)),
                          .values = random_floats(stream, n * c)};
    bool f8 = dtype == BREW_F8_E4M3;
    for (int64_t row = 0; row < n; row++) {
        float most = 0, *w = q.values + row * c;
        for (int64_t i = 0; i < c; i++) most = fmaxf(most, fabsf(w[i]));
        q.scales[row] = brew_row_scale(most, f8 ? BREW_F8_LIMIT : BREW_I8_LIMIT);
        for (int64_t i = 0; i < c; i++) {
            float x = w[i] / q.scales[row];
            w[i] = f8 ? brew_f32_from_f8(brew_f8_from_f32(x)) : fminf(rintf(x), 127);
            q.codes[row * c + i] = f8 ? brew_f8_from_f32(w[i]) : (uint8_t)(int8_t)w[i];
        }
    }
    q.tensor = (brew_tensor){.data = q.codes, .dtype = dtype, .n_dims = 2, .shape = {n, c}};
    q.tensor.row_scales = q.scales;
    return q;
}

static void release(struct quantised *q) {
    free(q->codes), free(q->scales), free(q->values);
}

// Rows of an operand after rounding, scales multiplied in: what the product should see.
static double *rounded(enum brew_dtype dtype, const float *x, int64_t m, int64_t c) {
    double *out = brew_alloc((size_t)(m * c) * sizeof *out);
    bool f8 = dtype == BREW_F8_E4M3;
    for (int64_t row = 0; row < m; row++) {
        float most = 0;
        for (int64_t i = 0; i < c; i++) most = fmaxf(most, fabsf(x[row * c + i]));
        float scale = brew_row_scale(most, f8 ? BREW_F8_LIMIT : BREW_I8_LIMIT);
        for (int64_t i = 0; i < c; i++) {
            float q = x[row * c + i] / scale;
            q = f8 ? brew_f32_from_f8(brew_f8_from_f32(q)) : fminf(fmaxf(rintf(q), -128), 127);
            out[row * c + i] = (double)q * scale;
        }
    }
    return out;
}

// y of x's first m rows, from row `from` on of an operand of M rows: only bits of its own row may matter.
static void product(brew_backend *be, const brew_tensor *const *parts, size_t n_parts,
                    enum brew_weight_form form, const float *x, int64_t m, int64_t c, float *y) {
    const brew_ops *ops = be->ops;
    brew_err err;
    float *gain = brew_alloc((size_t)c * sizeof *gain);
    for (int64_t i = 0; i < c; i++) gain[i] = 1;
    brew_weight *w = ops->weight_new(be, parts, NULL, n_parts, form, &err);
    if (!w) brew_bug("%s", err.text);
    int64_t f = brew_tensor_n_rows(parts[0]);
    brew_operand a = operand_of(be, m, c), out = operand_of(be, m, f);
    ops->norm(be, x, m, c, gain, 1e-5, &a);
    ops->quantise(be, &a, m, w);
    if (form == BREW_WEIGHT_GATE_UP) {
        ops->matmul_swiglu(be, &a, m, w, &out);
        float *values = operand_values(be, &out, m);
        memcpy(y, values, (size_t)(m * f) * sizeof *y);
        free(values);
    } else {
        ops->matmul(be, &a, m, w, y, false);
    }
    ops->operand_release(be, &a);
    ops->operand_release(be, &out);
    ops->weight_free(be, w);
    free(gain);
}

static float *operand_rows_of(brew_backend *be, const float *x, int64_t m, int64_t c) {
    brew_operand a = operand_of(be, m, c);
    float *gain = brew_alloc((size_t)c * sizeof *gain);
    for (int64_t i = 0; i < c; i++) gain[i] = 1;
    be->ops->norm(be, x, m, c, gain, 1e-5, &a);
    float *rows = operand_values(be, &a, m);
    be->ops->operand_release(be, &a);
    free(gain);
    return rows;
}

static bool check(brew_backend *be, enum brew_dtype dtype, int64_t n, int64_t c) {
    float *x = random_floats(1, M * c), *y = brew_calloc((size_t)(M * n), sizeof *y);
    struct quantised q = quantise(dtype, 2, n, c);
    const brew_tensor *parts[] = {&q.tensor};
    float *rows = operand_rows_of(be, x, M, c);
    double *a = rounded(dtype, rows, M, c), *want = brew_calloc((size_t)(M * n), sizeof *want);
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < n; j++) {
            for (int64_t k = 0; k < c; k++) want[i * n + j] += a[i * c + k] * q.values[j * c + k];
            want[i * n + j] *= q.scales[j];
        }
    product(be, parts, 1, BREW_WEIGHT_STACK, x, M, c, y);
    // sums of C products of size 1 carry two roundings each at most; integers none
    double sums = dtype == BREW_I8 ? 0 : 2 * (double)c * 4 * sqrt((double)c) * 0x1p-24;
    bool good = close_to(y, want, M * n, 4 * 0x1p-24, sums + 1e-6);
    release(&q);
    free(x), free(y), free(rows), free(a), free(want);
    return good;
}

static bool check_swiglu(brew_backend *be, enum brew_dtype dtype, int64_t f, int64_t c) {
    float *x = random_floats(1, M * c), *h = brew_calloc((size_t)(M * f), sizeof *h);
    float *both = brew_calloc((size_t)(M * f), 2 * sizeof *both);
    double *want = brew_calloc((size_t)(M * f), sizeof *want);
    struct quantised g = quantise(dtype, 2, f, c), u = quantise(dtype, 3, f, c);
    const brew_tensor *parts[] = {&g.tensor, &u.tensor};
    product(be, parts, 2, BREW_WEIGHT_STACK, x, M, c, both);
    product(be, parts, 2, BREW_WEIGHT_GATE_UP, x, M, c, h);
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < f; j++) {
            double gate = both[i * 2 * f + j];
            want[i * f + j] = gate / (1 + exp(-gate)) * both[i * 2 * f + f + j];
        }
    bool bf16 = be->precision == BREW_PRECISION_BF16;
    bool good = close_to(h, want, M * f, bf16 ? 1.0 / 256 + 1e-5 : 1e-5, 1e-5);
    release(&g), release(&u);
    free(x), free(h), free(both), free(want);
    return good;
}

// A row's bits: alone, among others, at another place, at any number of threads.
static bool check_bits(const char *level, enum brew_precision precision, enum brew_dtype dtype) {
    enum { N = 70, C = 130 };
    float *x = random_floats(1, M * C), alone[N], first[M * N], y[M * N], turned[M * C];
    struct quantised q = quantise(dtype, 2, N, C);
    const brew_tensor *parts[] = {&q.tensor};
    bool good = true;
    for (int threads = 1; threads <= 3; threads++) {
        brew_backend *be = open_level(level, precision, threads);
        product(be, parts, 1, BREW_WEIGHT_STACK, x, M, C, threads == 1 ? first : y);
        if (threads > 1) good &= !memcmp(first, y, sizeof y);
        for (int row = 0; row < M; row += 7) {
            product(be, parts, 1, BREW_WEIGHT_STACK, x + row * C, 1, C, alone);
            good &= !memcmp(alone, first + row * N, sizeof alone);
        }
        for (int row = 0; row < M; row++)
            memcpy(turned + row * C, x + (M - 1 - row) * C, C * sizeof *x);
        product(be, parts, 1, BREW_WEIGHT_STACK, turned, M, C, y);
        for (int row = 0; row < M; row++)
            good &= !memcmp(y + row * N, first + (M - 1 - row) * N, sizeof alone);
        close_level(be);
    }
    release(&q);
    free(x);
    return good;
}

// Every code as a weight, read by a row that is 1 at its column: 448 (1 / 448) code.
static bool check_codes(brew_backend *be) {
    enum { C = 64, N = 256 };
    uint8_t codes[N * C] = {0};
    float scales[N], x[C * C] = {0}, y[C * N];
    for (int code = 0; code < N; code++) {
        scales[code] = 1;
        for (int i = 0; i < C; i++) codes[code * C + i] = (code & 0x7f) == 0x7f ? 0 : (uint8_t)code;
    }
    for (int i = 0; i < C; i++) x[i * C + i] = 3;
    brew_tensor tensor = {.data = codes, .dtype = BREW_F8_E4M3, .n_dims = 2, .shape = {N, C}};
    tensor.row_scales = scales;
    const brew_tensor *parts[] = {&tensor};
    product(be, parts, 1, BREW_WEIGHT_STACK, x, C, C, y);
    for (int i = 0; i < C; i++)
        for (int code = 0; code < N; code++) {
            float want = codes[code * C] ? brew_f32_from_f8((uint8_t)code) : 0;
            if (!(fabsf(y[i * N + code] - 8 * want) <= 8 * fabsf(want) * 0.01f)) return false;
        }
    return true;
}

// Rows of values of all sizes times the unit matrix: each comes out as the formula rounds it, exactly.
static bool check_rounding(brew_backend *be, enum brew_dtype dtype, int64_t c) {
    bool f8 = dtype == BREW_F8_E4M3, good = true;
    float *x = random_floats(1, M * c), *y = brew_calloc((size_t)(M * c), sizeof *y);
    float *ones = brew_alloc((size_t)c * sizeof *ones);
    uint8_t *codes = brew_calloc((size_t)c, (size_t)c);
    for (int64_t i = 0; i < M * c; i++)
        x[i] *= ldexpf(1, -(int)(i % 23)); // E4M3's denormals, and halves
    for (int64_t i = 0; i < c; i++) {
        ones[i] = 1;
        codes[i * c + i] = f8 ? brew_f8_from_f32(1) : 1;
    }
    brew_tensor unit = {.data = codes, .dtype = dtype, .n_dims = 2, .shape = {c, c}};
    unit.row_scales = ones;
    const brew_tensor *parts[] = {&unit};
    product(be, parts, 1, BREW_WEIGHT_STACK, x, M, c, y);
    float *rows = operand_rows_of(be, x, M, c);
    for (int64_t i = 0; i < M; i++) {
        float most = 0;
        for (int64_t j = 0; j < c; j++) most = fmaxf(most, fabsf(rows[i * c + j]));
        float scale = brew_row_scale(most, f8 ? BREW_F8_LIMIT : BREW_I8_LIMIT);
        for (int64_t j = 0; j < c; j++) {
            float q = rows[i * c + j] / scale;
            q = f8 ? brew_f32_from_f8(brew_f8_from_f32(q)) : fminf(fmaxf(rintf(q), -128), 127);
            good &= y[i * c + j] == q * scale;
        }
    }
    free(x), free(y), free(ones), free(codes), free(rows);
    return good;
}

// Zeros give zeros; what is not finite does not come out as a number.
static bool check_strange(brew_backend *be, enum brew_dtype dtype) {
    enum { C = 40, N = 33 };
    float x[3 * C] = {0}, y[3 * N];
    struct quantised q = quantise(dtype, 2, N, C);
    const brew_tensor *parts[] = {&q.tensor};
    x[C + 3] = NAN;
    for (int i = 0; i < C; i++) x[2 * C + i] = 1;
    product(be, parts, 1, BREW_WEIGHT_STACK, x, 3, C, y);
    bool good = true;
    for (int j = 0; j < N; j++) good &= y[j] == 0 && isnan(y[N + j]) && isfinite(y[2 * N + j]);
    release(&q);
    return good;
}

static bool check_refusals(brew_backend *be) {
    struct quantised a = quantise(BREW_F8_E4M3, 2, 8, 8), b = quantise(BREW_I8, 2, 8, 8);
    const brew_tensor *mixed[] = {&a.tensor, &b.tensor}, *one[] = {&a.tensor};
    brew_err err;
    bool good = !be->ops->weight_new(be, mixed, NULL, 2, BREW_WEIGHT_STACK, &err);
    const float bad[] = {0, -1, NAN, INFINITY};
    for (int i = 0; i < 4; i++) {
        a.scales[5] = bad[i];
        good &= !be->ops->weight_new(be, one, NULL, 1, BREW_WEIGHT_STACK, &err);
    }
    release(&a), release(&b);
    return good;
}

int main(void) {
    static const int64_t sizes[][2] = {{1, 1}, {31, 3}, {32, 64}, {65, 130}, {100, 577}};
    static const enum brew_dtype dtypes[] = {BREW_F8_E4M3, BREW_I8};
    for (const char *const *level = brew_backend_levels(); *level; level++)
        for (int p = 0; p < 2; p++) {
            enum brew_precision precision = p ? BREW_PRECISION_BF16 : BREW_PRECISION_F32;
            brew_backend *be = open_level(*level, precision, 2);
            for (int d = 0; d < 2; d++) {
                const char *name = brew_dtype_name(dtypes[d]), *at = p ? "bf16" : "f32";
                bool good = true;
                for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
                    good &= check(be, dtypes[d], sizes[i][0], sizes[i][1]);
                ok(good, "%s %s: products with %s weights", *level, at, name);
                ok(check_rounding(be, dtypes[d], 67) && check_rounding(be, dtypes[d], 576),
                   "%s %s: rows are rounded to %s as the formula says", *level, at, name);
                ok(check_swiglu(be, dtypes[d], 37, 66), "%s %s: gate and up of %s", *level, at,
                   name);
                ok(check_strange(be, dtypes[d]), "%s %s: zeros and NaN before %s", *level, at,
                   name);
                if (strcmp(*level, "ref"))
                    ok(check_bits(*level, precision, dtypes[d]), "%s %s: bits of a row of %s",
                       *level, at, name);
            }
            ok(check_codes(be), "%s %s: every code of E4M3", *level, p ? "bf16" : "f32");
            if (!p) ok(check_refusals(be), "%s: mixed types and bad scales are refused", *level);
            close_level(be);
        }
    return tap_done();
}
