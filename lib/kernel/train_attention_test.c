// Attention over stars, kept and taken back: `ref` against central differences of a dense masked softmax
// in double, every level against `ref`.
#include "base/tap.h"
#include "kernel/testing.h"
#include "kernel/train_ops.h"

enum { MOST_SEGMENTS = 600 };

// Requests one after another, each a query's length and its items' until a -1.
typedef struct stars {
    int64_t segments[MOST_SEGMENTS], requests[MOST_SEGMENTS];
    brew_layout layout;
    int64_t rows;
} stars;

typedef struct config {
    brew_attention_shape shape;
    int64_t window;
} config;

static void add_star(stars *s, int64_t query, int64_t n_items, const int64_t *items) {
    int64_t at = s->requests[s->layout.n_requests];
    s->segments[at + 1] = s->rows += query;
    for (int64_t i = 0; i < n_items; i++) s->segments[at + 2 + i] = s->rows += items[i];
    s->requests[++s->layout.n_requests] = at + 1 + n_items;
    s->layout.segments = s->segments;
    s->layout.requests = s->requests;
}

static int64_t width_of(const config *c) {
    return (c->shape.heads + 2 * c->shape.kv_heads) * c->shape.head_dim;
}
static int64_t out_width_of(const config *c) {
    return c->shape.heads * c->shape.head_dim;
}
static double scale_of(const config *c) {
    return 1 / sqrt((double)c->shape.head_dim);
}

// The oracle: out [M, HD] over all pairs of rows, from a list of who a row is.
struct row {
    int64_t request, item, pos; // item 0: the query
};

static struct row *rows_of(const stars *s) {
    struct row *rows = brew_calloc((size_t)s->rows + 1, sizeof *rows);
    for (int64_t r = 0; r < (int64_t)s->layout.n_requests; r++)
        for (int64_t i = s->requests[r], first = i; i < s->requests[r + 1]; i++)
            for (int64_t row = s->segments[i]; row < s->segments[i + 1]; row++) {
                int64_t query = s->segments[first + 1] - s->segments[first];
                int64_t pos = row - s->segments[i] + (i > first ? query : 0);
                rows[row] = (struct row){r, i - first, pos};
            }
    return rows;
}

static bool sees(const struct row *a, const struct row *b, int64_t window) {
    return a->request == b->request && (b->item == 0 || b->item == a->item) && b->pos <= a->pos &&
           (window <= 0 || a->pos - b->pos < window);
}

static double oracle_loss(const config *c, const stars *s, const struct row *rows,
                          const uint8_t *wanted, const double *x, const double *dout) {
    int64_t d = c->shape.head_dim, heads = c->shape.heads, width = width_of(c);
    int64_t group = heads / c->shape.kv_heads;
    double loss = 0;
    for (int64_t p = 0; p < s->rows; p++) {
        for (int64_t h = 0; h < heads && (!wanted || wanted[p]); h++) {
            double total = 0, sum = 0;
            for (int64_t j = 0; j < s->rows; j++) {
                if (!sees(&rows[p], &rows[j], c->window)) continue;
                const double *q = x + p * width + h * d,
                             *k = x + j * width + (heads + h / group) * d,
                             *v = k + c->shape.kv_heads * d;
                double score = 0, value = 0;
                for (int64_t e = 0; e < d; e++) {
                    score += q[e] * k[e] * scale_of(c);
                    value += v[e] * dout[(p * heads + h) * d + e];
                }
                total += exp(score);
                sum += exp(score) * value;
            }
            loss += sum / total;
        }
    }
    return loss;
}

// What one run gives; everything [M, ...].
typedef struct result {
    float *out, *lse, *dqkv;
} result;

static result run(brew_backend *be, const config *c, const stars *s, const uint8_t *wanted,
                  const float *qkv, const float *dout) {
    const brew_train_ops *train = be->ops->train;
    brew_operand operand = operand_of(be, s->rows, out_width_of(c));
    size_t rows = (size_t)s->rows + 1;
    result r = {NULL, brew_calloc(rows * (size_t)c->shape.heads, sizeof(float)),
                brew_calloc(rows * (size_t)width_of(c), sizeof(float))};
    memset(r.dqkv, 0xff, rows * (size_t)width_of(c) * sizeof(float)); // NaN
    train->attend_keep(be, &c->shape, &s->layout, scale_of(c), c->window, wanted, qkv, &operand,
                       r.lse);
    r.out = brew_calloc(rows * (size_t)out_width_of(c), sizeof(float));
    train->operand_rows(be, &operand, NULL, s->rows, r.out);
    train->attend_back(be, &c->shape, &s->layout, scale_of(c), c->window, wanted, qkv, r.out, r.lse,
                       dout, r.dqkv);
    be->ops->operand_release(be, &operand);
    return r;
}

static void free_result(result *r) {
    free(r->out);
    free(r->lse);
    free(r->dqkv);
}

static void check_differences(const config *c, const stars *s, const uint8_t *wanted,
                              const char *what) {
    int64_t n = s->rows * width_of(c), m = s->rows * out_width_of(c);
    float *qkv = random_floats(1, n), *dout = random_floats(2, m);
    double *x = brew_calloc((size_t)n, sizeof *x), *weights = brew_calloc((size_t)m, sizeof *x);
    double *want = brew_calloc((size_t)n, sizeof *want), h = 1e-5;
    struct row *rows = rows_of(s);
    for (int64_t i = 0; i < n; i++) x[i] = qkv[i];
    for (int64_t i = 0; i < m; i++) weights[i] = dout[i];
    for (int64_t i = 0; i < n; i++) {
        x[i] = qkv[i] + h;
        double up = oracle_loss(c, s, rows, wanted, x, weights);
        x[i] = qkv[i] - h;
        want[i] = (up - oracle_loss(c, s, rows, wanted, x, weights)) / (2 * h);
        x[i] = qkv[i];
    }
    brew_backend *be = open_level("ref", BREW_PRECISION_F32, 2);
    result r = run(be, c, s, wanted, qkv, dout);
    // the step's error is h^2 = 1e-10; out and lse were rounded to F32: 2^-24 of values of up to 4
    ok(close_to(r.dqkv, want, n, 1e-6, 1e-6), "ref against central differences: %s", what);
    free_result(&r);
    close_level(be);
    free(rows);
    free(qkv);
    free(dout);
    free(x);
    free(weights);
    free(want);
}

static void test_differences(void) {
    const int64_t three[] = {3, 1, 4}, one[] = {5};
    stars s = {0};
    add_star(&s, 6, 3, three);
    add_star(&s, 0, 1, one);
    add_star(&s, 3, 0, NULL);
    config c = {{4, 2, 4}, 0};
    check_differences(&c, &s, NULL, "three requests");
    c.window = 1;
    check_differences(&c, &s, NULL, "window of 1");
    c.window = 4;
    check_differences(&c, &s, NULL, "window of 4");
    c = (config){{3, 1, 6}, 0};
    const uint8_t wanted[] = {1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 1};
    check_differences(&c, &s, wanted, "rows not wanted");
}

static double largest(const double *x, int64_t n) {
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fabs(x[i]) > most ? fabs(x[i]) : most;
    return most;
}

// A level's result against ref's. F32: sums of up to some thousand terms of either sign lose 2^-24 of
// the largest of them at each, which grows as the root; scores of up to 20 make that relative in p. bf16:
// p and ds are rounded by 2^-9 each, at other places than in ref since a level's p is another by an ulp,
// out by 2^-9, and dout . v - dout . out is a difference of such values.
static bool agree(bool bf16, const config *c, const stars *s, const uint8_t *wanted,
                  const result *got, const result *want) {
    int64_t n = s->rows * width_of(c), m = s->rows * out_width_of(c), heads = c->shape.heads;
    double *dqkv = doubles_of(want->dqkv, n), *out = doubles_of(want->out, m);
    double most = largest(dqkv, n) + 1e-30; // no row wanted: all zero
    bool good = close_to(got->out, out, m, bf16 ? 0.01 : 1e-5, bf16 ? 0.01 : 2e-6) &&
                close_to(got->dqkv, dqkv, n, bf16 ? 0.01 : 1e-5, most * (bf16 ? 0.01 : 1e-5));
    for (int64_t row = 0; row < s->rows && good; row++) {
        if (wanted && !wanted[row]) continue;
        double *lse = doubles_of(want->lse + row * heads, heads);
        good = close_to(got->lse + row * heads, lse, heads, 1e-6, bf16 ? 1e-5 : 2e-6);
        free(lse);
    }
    free(dqkv);
    free(out);
    return good;
}

static bool same_bits(const config *c, const stars *s, const result *a, const result *b) {
    return !memcmp(a->out, b->out, (size_t)(s->rows * out_width_of(c)) * sizeof *a->out) &&
           !memcmp(a->dqkv, b->dqkv, (size_t)(s->rows * width_of(c)) * sizeof *a->dqkv);
}

// One level against ref; and on more threads.
static bool check_level(const char *level, enum brew_precision precision, const config *c,
                        const stars *s, const uint8_t *wanted, const float *qkv, const float *dout,
                        const result *want) {
    bool good = true, equal = true;
    result first = {0};
    for (int threads = 1; threads <= 3; threads++) {
        brew_backend *be = open_level(level, precision, threads);
        result r = run(be, c, s, wanted, qkv, dout);
        close_level(be);
        if (threads == 1) {
            good = agree(precision == BREW_PRECISION_BF16, c, s, wanted, &r, want);
            first = r;
            continue;
        }
        equal = equal && same_bits(c, s, &r, &first);
        free_result(&r);
    }
    free_result(&first);
    if (!good || !equal) printf("# %s%s\n", level, equal ? "" : ": threads show");
    return good && equal;
}

__attribute__((format(printf, 4, 5))) static void
check_levels(const config *c, const stars *s, const uint8_t *wanted, const char *fmt, ...) {
    char what[100];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    float *qkv = random_floats(1, s->rows * width_of(c));
    float *dout = random_floats(2, s->rows * out_width_of(c));
    for (int precision = BREW_PRECISION_F32; precision <= BREW_PRECISION_BF16; precision++) {
        brew_backend *be = open_level("ref", precision, 2);
        result want = run(be, c, s, wanted, qkv, dout);
        bool good = true;
        for (const char *const *level = brew_backend_levels(); strcmp(*level, "ref"); level++)
            good &= check_level(*level, precision, c, s, wanted, qkv, dout, &want);
        ok(good, "%s: %s, at every level", precision ? "bf16" : "f32", what);
        free_result(&want);
        close_level(be);
    }
    free(qkv);
    free(dout);
}

static const int64_t items[] = {1, 5, 130, 3, 64, 5, 65, 31, 32, 33, 2, 20, 63};
enum { N_ITEMS = sizeof items / sizeof *items };

static void test_lengths(void) {
    const int64_t queries[] = {0, 1, 31, 32, 33, 63, 64, 65, 255, 256, 257, 511, 512, 513, 1100};
    size_t n = sizeof queries / sizeof *queries - !slow_tests();
    for (size_t i = 0; i < n; i++) {
        stars s = {0};
        // the long ones have a few odd items only: ref takes its time
        add_star(&s, queries[i], queries[i] > 256 ? 2 : N_ITEMS, items);
        config c = {{3, 1, queries[i] > 256 ? 16 : 64}, 0};
        check_levels(&c, &s, NULL, "query of %lld keys", (long long)queries[i]);
    }
    for (int64_t len = 1; slow_tests() && len <= 130; len++) {
        const int64_t lens[] = {len, len, len};
        stars s = {0};
        add_star(&s, 40, 3, lens);
        config c = {{3, 1, 32}, 0};
        check_levels(&c, &s, NULL, "items of %lld tokens", (long long)len);
    }
    const int64_t one[] = {300};
    stars s = {0};
    add_star(&s, 10, 1, one);
    config c = {{2, 2, 16}, 0};
    check_levels(&c, &s, NULL, "an item of 300 tokens");
}

static void test_shapes(void) {
    const brew_attention_shape shapes[] = {{9, 3, 64},  {4, 4, 8},   {4, 1, 80},
                                           {2, 1, 128}, {14, 2, 16}, {3, 1, 34}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        stars s = {0};
        add_star(&s, 70, 5, items);
        config c = {shapes[i], 0};
        check_levels(&c, &s, NULL, "%lld heads over %lld, %lld wide", (long long)shapes[i].heads,
                     (long long)shapes[i].kv_heads, (long long)shapes[i].head_dim);
    }
}

static void test_windows(void) {
    const int64_t windows[] = {1, 31, 64, 65, 100, 290, 1000};
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        stars s = {0};
        add_star(&s, i % 2 ? 290 : 150, 5, items);
        config c = {{4, 2, 16}, windows[i]};
        check_levels(&c, &s, NULL, "window of %lld", (long long)windows[i]);
    }
}

static void test_wanted(void) {
    stars s = {0};
    add_star(&s, 99, 6, items);
    add_star(&s, 0, 2, items + 1);
    add_star(&s, 300, 1, items);
    config c = {{4, 2, 16}, 0};
    uint8_t *wanted = brew_calloc((size_t)s.rows, 1);
    check_levels(&c, &s, wanted, "no row wanted");
    for (int64_t row = 0; row < s.rows; row++) wanted[row] = row % 7 == 3 || row % 5 == 1;
    check_levels(&c, &s, wanted, "some rows wanted");
    c.window = 40;
    check_levels(&c, &s, wanted, "some rows wanted, window of 40");
    free(wanted);
}

// Rubbish where no row is wanted does not come out: bits as with zeros there.
static void test_rubbish(void) {
    stars s = {0};
    add_star(&s, 99, 6, items);
    config c = {{4, 2, 16}, 0};
    int64_t width = width_of(&c), out_width = out_width_of(&c);
    uint8_t *wanted = brew_calloc((size_t)s.rows, 1);
    float *qkv = random_floats(1, s.rows * width), *dout = random_floats(2, s.rows * out_width);
    for (int64_t row = 0; row < s.rows; row++) wanted[row] = row % 3 == 1;
    for (const char *const *level = brew_backend_levels(); *level; level++) {
        for (int precision = BREW_PRECISION_F32; precision <= BREW_PRECISION_BF16; precision++) {
            brew_backend *be = open_level(*level, precision, 1);
            result runs[2];
            for (int rubbish = 0; rubbish < 2; rubbish++) {
                for (int64_t row = 0; row < s.rows; row++)
                    for (int64_t i = 0; i < out_width && !wanted[row]; i++)
                        qkv[row * width + i] = dout[row * out_width + i] = rubbish ? NAN : 0;
                runs[rubbish] = run(be, &c, &s, wanted, qkv, dout);
            }
            bool zero = true;
            for (int64_t row = 0; row < s.rows; row++)
                for (int64_t i = 0; i < out_width && !wanted[row]; i++)
                    zero = zero && runs[1].out[row * out_width + i] == 0 &&
                           runs[1].dqkv[row * width + i] == 0;
            ok(zero && same_bits(&c, &s, &runs[0], &runs[1]), "%s %s: rubbish in rows not wanted",
               *level, precision ? "bf16" : "f32");
            free_result(&runs[0]);
            free_result(&runs[1]);
            close_level(be);
        }
    }
    free(wanted);
    free(qkv);
    free(dout);
}

// Items: what one's answers want changes nothing at another's tokens, not even by an ulp of zero.
static void test_isolation(void) {
    stars s = {0};
    const int64_t lens[] = {20, 7, 20, 33};
    add_star(&s, 77, 4, lens);
    config c = {{3, 1, 32}, 0};
    int64_t width = width_of(&c), out_width = out_width_of(&c);
    int64_t first = s.segments[3], end = s.segments[4]; // of the third item
    float *qkv = random_floats(1, s.rows * width), *dout = random_floats(2, s.rows * out_width);
    for (int64_t row = 0; row < s.rows; row++)
        for (int64_t i = 0; i < out_width && (row < first || row >= end); i++)
            dout[row * out_width + i] = 0;
    for (const char *const *level = brew_backend_levels(); *level; level++) {
        for (int precision = BREW_PRECISION_F32; precision <= BREW_PRECISION_BF16; precision++) {
            brew_backend *be = open_level(*level, precision, 1);
            result r = run(be, &c, &s, NULL, qkv, dout);
            bool zero = true, some = true;
            for (int64_t row = 0; row < s.rows; row++)
                for (int64_t i = 0; i < width; i++) {
                    float x = r.dqkv[row * width + i];
                    if (row >= first && row < end)
                        some = some && (x != 0 || (row == first && i < out_width));
                    else if (row >= 77 || i < out_width)
                        zero = zero && x == 0;
                }
            ok(zero && some, "%s %s: an item's loss stays with it and the query", *level,
               precision ? "bf16" : "f32");
            free_result(&r);
            close_level(be);
        }
    }
    free(qkv);
    free(dout);
}

// A star of one query and the items [first, first + n) of another one; its rows are copied from there.
static result part_of(brew_backend *be, const config *c, const stars *s, size_t request,
                      int64_t first, int64_t n, const float *qkv, const float *dout, bool query_too,
                      stars *part) {
    int64_t segment = s->requests[request], width = width_of(c), out_width = out_width_of(c);
    int64_t row = s->segments[segment], query = s->segments[segment + 1] - row, lens[64];
    int64_t from = s->segments[segment + 1 + first];
    for (int64_t i = 0; i < n; i++)
        lens[i] = s->segments[segment + 2 + first + i] - s->segments[segment + 1 + first + i];
    *part = (stars){0};
    add_star(part, query, n, lens);
    float *x = brew_calloc((size_t)(part->rows * width) + 1, sizeof *x);
    float *g = brew_calloc((size_t)(part->rows * out_width) + 1, sizeof *g);
    size_t items_rows = (size_t)(part->rows - query);
    memcpy(x, qkv + row * width, (size_t)(query * width) * sizeof *x);
    memcpy(x + query * width, qkv + from * width, items_rows * (size_t)width * sizeof *x);
    if (query_too) memcpy(g, dout + row * out_width, (size_t)(query * out_width) * sizeof *g);
    memcpy(g + query * out_width, dout + from * out_width,
           items_rows * (size_t)out_width * sizeof *g);
    result r = run(be, c, part, NULL, x, g);
    free(x);
    free(g);
    return r;
}

// The gradient of a star is the sum of those of its one-item stars (and of its query alone), and several
// requests at once give what each gives alone: those in bits.
static void test_parts(void) {
    stars s = {0}, part;
    add_star(&s, 129, 7, items);
    add_star(&s, 0, 3, items + 3);
    add_star(&s, 270, 2, items);
    add_star(&s, 33, 0, NULL);
    config c = {{4, 2, 16}, 0};
    int64_t width = width_of(&c), n = s.rows * width, alone = s.segments[s.requests[1]];
    float *qkv = random_floats(1, n), *dout = random_floats(2, s.rows * out_width_of(&c));
    for (const char *const *level = brew_backend_levels(); *level; level++) {
        for (int precision = BREW_PRECISION_F32; precision <= BREW_PRECISION_BF16; precision++) {
            brew_backend *be = open_level(*level, precision, 2);
            result all = run(be, &c, &s, NULL, qkv, dout);
            bool equal = true;
            for (size_t r = 0; r < s.layout.n_requests; r++) {
                int64_t first = s.requests[r], n_items = s.requests[r + 1] - first - 1;
                result one = part_of(be, &c, &s, r, 0, n_items, qkv, dout, true, &part);
                equal = equal && !memcmp(one.dqkv, all.dqkv + s.segments[first] * width,
                                         (size_t)(part.rows * width) * sizeof(float));
                free_result(&one);
            }
            ok(equal, "%s %s: requests together as alone", *level, precision ? "bf16" : "f32");
            double *sum = brew_calloc((size_t)n, sizeof *sum);
            for (int64_t i = -1; i < 7; i++) {
                result one = part_of(be, &c, &s, 0, i < 0 ? 0 : i, i >= 0, qkv, dout, i < 0, &part);
                for (int64_t j = 0; j < part.rows * width; j++)
                    sum[j < 129 * width ? j : j + (s.segments[i + 1] - 129) * width] += one.dqkv[j];
                free_result(&one);
            }
            // as agree(): the sums are the same ones, in another order, rounded elsewhere
            double most = largest(sum, alone * width);
            bool bf16 = precision == BREW_PRECISION_BF16;
            ok(close_to(all.dqkv, sum, alone * width, 1e-5, most * (bf16 ? 0.002 : 2e-6)),
               "%s %s: a star is the sum of its one-item stars", *level, bf16 ? "bf16" : "f32");
            free(sum);
            free_result(&all);
            close_level(be);
        }
    }
    free(qkv);
    free(dout);
}

// out has the bits of ops->attend on the same values.
static void test_same_forward(void) {
    enum { QUERY = 150, N = 5 };
    stars s = {0};
    add_star(&s, QUERY, N, items);
    config c = {{4, 2, 32}, 100};
    float *qkv = random_floats(1, s.rows * width_of(&c)), inv_freq[16] = {0}; // no rotation
    for (const char *const *level = brew_backend_levels(); *level; level++) {
        for (int precision = BREW_PRECISION_F32; precision <= BREW_PRECISION_BF16; precision++) {
            brew_backend *be = open_level(*level, precision, 2);
            const brew_ops *ops = be->ops;
            brew_err err;
            brew_kv *kv = ops->kv_new(be, &c.shape, 1, QUERY, &err);
            brew_attention *at = ops->attention_new(be, &c.shape, s.rows, N + 1, &err);
            brew_rope *rope = ops->rope_new(be, inv_freq, 32, 400, 1, &err);
            brew_operand out = operand_of(be, s.rows, out_width_of(&c));
            brew_span spans[N + 1] = {{0, QUERY, 0, kv, false}};
            for (int64_t i = 1; i <= N; i++)
                spans[i] =
                    (brew_span){s.segments[i], s.segments[i + 1] - s.segments[i], QUERY, kv, true};
            ops->heads(be, at, spans, N + 1, 0, qkv, NULL, NULL, 0, rope);
            ops->attend(be, at, spans, N + 1, 0, scale_of(&c), c.window, NULL, &out);
            float *want = operand_values(be, &out, s.rows);
            float *dout = random_floats(2, s.rows * out_width_of(&c));
            result r = run(be, &c, &s, NULL, qkv, dout);
            ok(!memcmp(r.out, want, (size_t)(s.rows * out_width_of(&c)) * sizeof *want),
               "%s %s: the bits of scoring", *level, precision ? "bf16" : "f32");
            free(want);
            free(dout);
            free_result(&r);
            ops->operand_release(be, &out);
            ops->rope_free(be, rope);
            ops->attention_free(be, at);
            ops->kv_free(be, kv);
            close_level(be);
        }
    }
    free(qkv);
}

int main(void) {
    test_differences();
    test_lengths();
    test_shapes();
    test_windows();
    test_wanted();
    test_rubbish();
    test_isolation();
    test_parts();
    test_same_forward();
    return tap_done();
}
