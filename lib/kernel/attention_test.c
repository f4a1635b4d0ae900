// Attention over stars at every level, against a dense masked softmax in double.
#include "base/tap.h"
#include "kernel/testing.h"

typedef struct star {
    int64_t query, n_items, rows;
    int64_t *items; // lengths
} star;

typedef struct config {
    int64_t heads, kv_heads, head_dim, window;
    bool gains;
} config;

static star star_of(int64_t query, int64_t n_items, const int64_t *items) {
    star s = {query, n_items, query, brew_calloc((size_t)n_items + 1, sizeof *s.items)};
    for (int64_t i = 0; i < n_items; i++) s.rows += s.items[i] = items[i];
    return s;
}

static brew_rope *rope_of(brew_backend *be, int64_t d) {
    float inv_freq[256];
    brew_err err;
    for (int64_t i = 0; i < d / 2; i++)
        inv_freq[i] = (float)pow(10000, -2.0 * (double)i / (double)d);
    // cppcheck-suppress returnDanglingLifetime  // angles are tables of their own
    return be->ops->rope_new(be, inv_freq, d, 4096, 1, &err);
}

static int64_t width_of(const config *c) {
    return (c->heads + 2 * c->kv_heads) * c->head_dim;
}

// Runs a star through the backend: the query in pieces of `piece` rows, the items in blocks of at most
// `block` rows in the given order. out [rows, H*D], by the star's own rows.
static void run_star(brew_backend *be, const config *c, const star *s, const float *qkv,
                     int64_t piece, int64_t block, bool backwards, const float *gain, float *out) {
    const brew_ops *ops = be->ops;
    brew_err err;
    brew_attention_shape shape = {c->heads, c->kv_heads, c->head_dim};
    int64_t width = width_of(c), out_width = c->heads * c->head_dim, cap = s->rows + 1;
    brew_rope *rope = rope_of(be, c->head_dim);
    brew_kv *kv = ops->kv_new(be, &shape, 2, s->query + 1, &err);
    brew_attention *at = ops->attention_new(be, &shape, cap, s->n_items + 1, &err);
    brew_operand operand = operand_of(be, cap, out_width);
    brew_span *spans = brew_calloc((size_t)s->n_items + 1, sizeof *spans);
    int64_t *starts = brew_calloc((size_t)s->n_items + 1, sizeof *starts);
    float *in = brew_calloc((size_t)(cap * width), sizeof *in);
    double scale = 1 / sqrt((double)c->head_dim);
    for (int64_t i = 0, at_row = s->query; i < s->n_items; at_row += s->items[i++])
        starts[i] = at_row;
    for (int64_t done = 0; done < s->query; done += piece) {
        int64_t rows = done + piece < s->query ? piece : s->query - done;
        spans[0] = (brew_span){0, rows, done, kv, false};
        ops->heads(be, at, spans, 1, 1, qkv + done * width, gain, gain, 1e-6, rope);
        ops->attend(be, at, spans, 1, 1, scale, c->window, NULL, &operand);
        float *values = operand_values(be, &operand, rows);
        memcpy(out + done * out_width, values, (size_t)(rows * out_width) * sizeof *values);
        free(values);
    }
    for (int64_t done = 0; done < s->n_items;) {
        int64_t rows = 0, n = 0, first = done;
        for (; done < s->n_items; done++, n++) {
            int64_t item = backwards ? s->n_items - 1 - done : done;
            if (n && rows + s->items[item] > block) break;
            spans[n] = (brew_span){rows, s->items[item], s->query, kv, true};
            memcpy(in + rows * width, qkv + starts[item] * width,
                   (size_t)(s->items[item] * width) * sizeof *in);
            rows += s->items[item];
        }
        ops->heads(be, at, spans, (size_t)n, 1, in, gain, gain, 1e-6, rope);
        ops->attend(be, at, spans, (size_t)n, 1, scale, c->window, NULL, &operand);
        float *values = operand_values(be, &operand, rows);
        for (int64_t i = 0; i < n; i++) {
            int64_t item = backwards ? s->n_items - 1 - (first + i) : first + i;
            memcpy(out + starts[item] * out_width, values + spans[i].row * out_width,
                   (size_t)(s->items[item] * out_width) * sizeof *values);
        }
        free(values);
    }
    free(in);
    free(starts);
    free(spans);
    ops->operand_release(be, &operand);
    ops->attention_free(be, at);
    ops->kv_free(be, kv);
    ops->rope_free(be, rope);
}

// The oracle: positions and a mask over all pairs of rows.
static double turned(const config *c, const float *head, const float *gain, int64_t pos,
                     int64_t i) {
    int64_t d = c->head_dim, half = d / 2;
    double sum = 0, scale = 1;
    for (int64_t j = 0; j < d; j++) sum += (double)head[j] * head[j];
    if (gain) scale = 1 / sqrt(sum / (double)d + 1e-6);
    float inv_freq = (float)pow(10000, -2.0 * (double)(i % half) / (double)d);
    double angle = (float)pos * inv_freq;
    double a = head[i] * scale * (gain ? gain[i] : 1);
    int64_t other = i < half ? i + half : i - half;
    double b = head[other] * scale * (gain ? gain[other] : 1);
    return i < half ? a * cos(angle) - b * sin(angle) : a * cos(angle) + b * sin(angle);
}

static void oracle(const config *c, const star *s, bool bf16, const float *qkv, const float *gain,
                   double *out) {
    int64_t d = c->head_dim, width = width_of(c), group = c->heads / c->kv_heads;
    int64_t *pos = brew_calloc((size_t)s->rows + 1, sizeof *pos);
    int64_t *item = brew_calloc((size_t)s->rows + 1, sizeof *item); // 0: the query
    double *x = brew_calloc((size_t)(s->rows * width) + 1, sizeof *x);
    double *score = brew_calloc((size_t)s->rows + 1, sizeof *score);
    for (int64_t i = 0; i < s->query; i++) pos[i] = i;
    for (int64_t i = 0, row = s->query; i < s->n_items; i++)
        for (int64_t j = 0; j < s->items[i]; j++, row++) {
            pos[row] = s->query + j;
            item[row] = i + 1;
        }
    for (int64_t row = 0; row < s->rows; row++)
        for (int64_t i = 0; i < width; i++) {
            const float *head = qkv + row * width + i / d * d;
            double v = i / d < c->heads + c->kv_heads ? turned(c, head, gain, pos[row], i % d)
                                                      : head[i % d];
            x[row * width + i] = bf16 ? round_bf16((float)v) : (float)v;
        }
    for (int64_t row = 0; row < s->rows; row++)
        for (int64_t h = 0; h < c->heads; h++) {
            const double *q = x + row * width + h * d;
            double most = -INFINITY, total = 0, *to = out + (row * c->heads + h) * d;
            for (int64_t j = 0; j < s->rows; j++) {
                bool seen = (item[j] == 0 || item[j] == item[row]) && pos[j] <= pos[row] &&
                            (c->window <= 0 || pos[row] - pos[j] < c->window);
                const double *k = x + j * width + (c->heads + h / group) * d;
                score[j] = seen ? 0 : -INFINITY;
                for (int64_t i = 0; seen && i < d; i++) score[j] += q[i] * k[i] / sqrt((double)d);
                if (score[j] > most) most = score[j];
            }
            for (int64_t i = 0; i < d; i++) to[i] = 0;
            for (int64_t j = 0; j < s->rows; j++) {
                double p = exp(score[j] - most);
                const double *v = x + j * width + (c->heads + c->kv_heads + h / group) * d;
                total += p;
                for (int64_t i = 0; p > 0 && i < d; i++) to[i] += p * v[i];
            }
            for (int64_t i = 0; i < d; i++) to[i] /= total;
        }
    free(pos);
    free(item);
    free(x);
    free(score);
}

// F32: scores of size up to 20 carry a few rounding errors of 2^-24 each, which the exponential turns
// into relative ones. bf16: probabilities and the result are each rounded by 2^-9 of their size, values
// reach 3, and a query or key on the edge of rounding moves by an ulp (2^-8), a score by 0.01.
static bool agrees(bool bf16, const float *got, const double *want, int64_t n) {
    return close_to(got, want, n, bf16 ? 0.01 : 1e-5, bf16 ? 0.02 : 1e-5);
}

// One star at one level: against the oracle, and in pieces, blocks, another order and on more threads for
// its bits.
static bool check_level(const char *level, enum brew_precision precision, const config *c,
                        const star *s, const float *qkv, const float *gain, const double *want) {
    brew_backend *be = open_level(level, precision, 1), *others = open_level(level, precision, 3);
    int64_t n = s->rows * c->heads * c->head_dim;
    float *got = brew_calloc((size_t)n + 1, sizeof *got),
          *again = brew_calloc((size_t)n + 1, sizeof *got);
    run_star(be, c, s, qkv, s->query + 1, s->rows + 1, false, gain, got);
    run_star(others, c, s, qkv, 37, 50, true, gain, again);
    bool good = agrees(precision == BREW_PRECISION_BF16, got, want, n);
    bool same = !memcmp(got, again, (size_t)n * sizeof *got);
    if (!good || !same) printf("# %s%s\n", level, same ? "" : ": in pieces the bits are others");
    free(got);
    free(again);
    close_level(be);
    close_level(others);
    return good && same;
}

__attribute__((format(printf, 3, 4))) static void check_star(const config *c, const star *s,
                                                             const char *fmt, ...) {
    char what[100];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    float *qkv = random_floats(1, s->rows * width_of(c));
    float *gain = c->gains ? random_floats(2, c->head_dim) : NULL;
    double *want = brew_calloc((size_t)(s->rows * c->heads * c->head_dim) + 1, sizeof *want);
    for (int precision = BREW_PRECISION_F32; precision <= BREW_PRECISION_BF16; precision++) {
        bool good = true;
        oracle(c, s, precision == BREW_PRECISION_BF16, qkv, gain, want);
        for (const char *const *level = brew_backend_levels(); *level; level++)
            good &= check_level(*level, precision, c, s, qkv, gain, want);
        ok(good, "%s: %s, at every level", precision ? "bf16" : "f32", what);
    }
    free(qkv);
    free(gain);
    free(want);
}

static const int64_t items[] = {1, 5, 130, 3, 64, 5, 65, 31, 32, 33, 2, 20, 63};

static void test_lengths(void) {
    const int64_t queries[] = {0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 2048};
    size_t n = sizeof queries / sizeof *queries - !slow_tests();
    for (size_t i = 0; i < n; i++) {
        star s = star_of(queries[i], sizeof items / sizeof *items, items);
        config c = {3, 1, 64, 0, false};
        check_star(&c, &s, "query of %lld keys", (long long)s.query);
        free(s.items);
    }
    int64_t one[130];
    for (int64_t len = 1; slow_tests() && len <= 130; len++) {
        for (int i = 0; i < 3; i++) one[i] = len;
        star s = star_of(40, 3, one);
        config c = {3, 1, 32, 0, false};
        check_star(&c, &s, "items of %lld tokens", (long long)len);
        free(s.items);
    }
}

static void test_shapes(void) {
    const config shapes[] = {{9, 3, 64, 0, false}, {4, 4, 8, 0, false},   {4, 1, 80, 0, true},
                             {2, 1, 128, 0, true}, {14, 2, 16, 0, false}, {3, 1, 34, 5, true}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        star s = star_of(70, 5, items);
        check_star(&shapes[i], &s, "%lld heads over %lld, %lld wide", (long long)shapes[i].heads,
                   (long long)shapes[i].kv_heads, (long long)shapes[i].head_dim);
        free(s.items);
    }
}

static void test_windows(void) {
    const int64_t windows[] = {1, 2, 31, 64, 65, 100, 129, 1000};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        star s = star_of(150, 5, items);
        config c = {4, 2, 32, windows[i], false};
        check_star(&c, &s, "window of %lld", (long long)windows[i]);
        free(s.items);
    }
}

// Scores of extreme size: probabilities of 0 and 1, rising and falling maxima.
static void test_extremes(void) {
    star s = star_of(130, 5, items);
    config c = {2, 1, 32, 0, false};
    int64_t n = s.rows * c.heads * c.head_dim;
    float *qkv = random_floats(1, s.rows * width_of(&c)),
          *got = brew_calloc((size_t)n, sizeof *got);
    double *want = brew_calloc((size_t)n, sizeof *want);
    for (int64_t i = 0; i < s.rows; i++)
        for (int64_t j = 0; j < 3 * c.head_dim; j++)
            qkv[i * width_of(&c) + j] *= i % 3 == 0 ? 30 : i % 3 == 1 ? 0 : (float)i / 10;
    oracle(&c, &s, false, qkv, NULL, want);
    for (const char *const *level = brew_backend_levels(); *level; level++) {
        brew_backend *be = open_level(*level, BREW_PRECISION_F32, 1);
        run_star(be, &c, &s, qkv, 200, 200, false, NULL, got);
        // scores reach 1e4 and lose 1e4 * 2^-22 or so, which the exponential makes relative
        ok(close_to(got, want, n, 0.02, 0.02), "%s: scores of up to thousands", *level);
        close_level(be);
    }
    free(qkv);
    free(got);
    free(want);
    free(s.items);
}

// A NaN in nothing but a query, or nothing but a key, comes out of the rows that use it.
static void test_nan(void) {
    const int64_t lens[] = {3, 3};
    star s = star_of(70, 2, lens);
    config c = {2, 1, 32, 0, false};
    int64_t width = width_of(&c), out = c.heads * c.head_dim;
    float *qkv = random_floats(1, s.rows * width);
    float *got = brew_calloc((size_t)(s.rows * out), sizeof *got);
    float *q = qkv + 70 * width,
          *k = qkv + 74 * width + out; // the first item's row 0, the second's 1
    *q = *k = NAN;
    for (const char *const *level = brew_backend_levels(); *level; level++) {
        for (int precision = BREW_PRECISION_F32; precision <= BREW_PRECISION_BF16; precision++) {
            brew_backend *be = open_level(*level, precision, 1);
            run_star(be, &c, &s, qkv, 100, 1000, false, NULL, got);
            bool good = true;
            for (int64_t row = 0; row < s.rows; row++)
                good &= !!isnan(got[row * out]) == (row == 70 || row == 74 || row == 75);
            ok(good, "%s %s: NaN in a query or a key", *level, precision ? "bf16" : "f32");
            close_level(be);
        }
    }
    free(qkv);
    free(got);
    free(s.items);
}

// Items of one block: equal ones have equal bits, a changed one changes nobody else, not even by NaN.
static void test_isolation(void) {
    enum { N = 6, LEN = 21 };
    int64_t lens[N] = {LEN, LEN, LEN, LEN, LEN, LEN};
    star s = star_of(77, N, lens);
    config c = {3, 1, 64, 0, false};
    int64_t width = width_of(&c), out = c.heads * c.head_dim, item = LEN * out;
    float *qkv = random_floats(1, s.rows * width),
          *a = brew_calloc((size_t)(s.rows * out), sizeof *a);
    float *b = brew_calloc((size_t)(s.rows * out), sizeof *b);
    for (int i = 1; i < N; i++)
        memcpy(qkv + (s.query + i * LEN) * width, qkv + s.query * width,
               (size_t)(LEN * width) * sizeof *a);
    for (const char *const *level = brew_backend_levels(); *level; level++) {
        for (int precision = BREW_PRECISION_F32; precision <= BREW_PRECISION_BF16; precision++) {
            brew_backend *be = open_level(*level, precision, 1);
            run_star(be, &c, &s, qkv, 100, 1000, false, NULL, a);
            bool equal = true, apart = true;
            for (int i = 1; i < N; i++)
                equal &= !memcmp(a + s.query * out, a + s.query * out + i * item,
                                 (size_t)item * sizeof *a);
            float *changed = qkv + (s.query + 2 * LEN) * width;
            for (int i = 0; i < 5; i++) changed[i * width / 5] = NAN;
            run_star(be, &c, &s, qkv, 100, 1000, false, NULL, b);
            memcpy(changed, qkv + s.query * width, (size_t)(LEN * width) * sizeof *a);
            for (int i = 0; i < N; i++)
                apart &= i == 2 || !memcmp(a + s.query * out + i * item,
                                           b + s.query * out + i * item, (size_t)item * sizeof *a);
            ok(equal && apart && isnan(b[(s.query + 2 * LEN) * out]), "%s %s: items are apart",
               *level, precision ? "bf16" : "f32");
            close_level(be);
        }
    }
    free(qkv);
    free(a);
    free(b);
    free(s.items);
}

// Rows not wanted may be left out: the wanted ones keep their bits. Memory that held NaN for other
// requests does not show either.
static void test_wanted(void) {
    enum { Q = 45, LEN = 13, M = 3 * LEN };
    config c = {6, 2, 32, 0, false};
    int64_t width = width_of(&c), out = c.heads * c.head_dim;
    float *qkv = random_floats(1, Q * width), *bad = brew_calloc((size_t)(Q * width), sizeof *bad);
    uint8_t wanted[M] = {0};
    for (int64_t i = 0; i < Q * width; i++) bad[i] = NAN;
    for (int i = 0; i < 3; i++) wanted[i * LEN + LEN - 1] = wanted[i * LEN + 4] = 1;
    for (const char *const *level = brew_backend_levels(); *level; level++) {
        for (int precision = BREW_PRECISION_F32; precision <= BREW_PRECISION_BF16; precision++) {
            brew_backend *be = open_level(*level, precision, 2);
            const brew_ops *ops = be->ops;
            brew_err err;
            brew_attention_shape shape = {c.heads, c.kv_heads, c.head_dim};
            brew_rope *rope = rope_of(be, c.head_dim);
            brew_kv *kv = ops->kv_new(be, &shape, 1, Q + 20, &err);
            brew_attention *at = ops->attention_new(be, &shape, Q, 3, &err);
            brew_operand operand = operand_of(be, Q, out);
            brew_span query = {0, Q, 0, kv, false}, longer = {0, 20, Q, kv, false};
            brew_span spans[] = {
                {0, LEN, Q, kv, true}, {LEN, LEN, Q, kv, true}, {2 * LEN, LEN, Q, kv, true}};
            brew_span wide[] = {{0, LEN + 1, Q, kv, true}, {LEN + 1, LEN + 2, Q, kv, true}};
            float *rows[3];
            for (int i = 0; i < 3; i++) {
                if (i == 2) { // the same again where NaN has been
                    ops->heads(be, at, &longer, 1, 0, bad, NULL, NULL, 0, rope);
                    ops->heads(be, at, wide, 2, 0, bad, NULL, NULL, 0, rope);
                }
                ops->heads(be, at, &query, 1, 0, qkv, NULL, NULL, 0, rope);
                ops->heads(be, at, spans, 3, 0, qkv, NULL, NULL, 0, rope);
                ops->attend(be, at, spans, 3, 0, 0.2, 0, i == 1 ? wanted : NULL, &operand);
                rows[i] = operand_values(be, &operand, M);
            }
            bool same = true;
            for (int i = 0; i < M; i++)
                same &=
                    !wanted[i] || !memcmp(rows[0] + i * out, rows[1] + i * out, (size_t)out * 4);
            ok(same, "%s %s: wanted rows alone", *level, precision ? "bf16" : "f32");
            ok(!memcmp(rows[0], rows[2], (size_t)(M * out) * 4), "%s %s: old contents do not show",
               *level, precision ? "bf16" : "f32");
            for (int i = 0; i < 3; i++) free(rows[i]);
            ops->operand_release(be, &operand);
            ops->attention_free(be, at);
            ops->kv_free(be, kv);
            ops->rope_free(be, rope);
            close_level(be);
        }
    }
    free(qkv);
    free(bad);
}

int main(void) {
    test_lengths();
    test_shapes();
    test_windows();
    test_extremes();
    test_isolation();
    test_nan();
    test_wanted();
    return tap_done();
}
