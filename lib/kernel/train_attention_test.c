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
    brew_operand operand = operand_of(be, s->rows + 1, out_width_of(c));
    size_t rows = (size_t)s->rows + 1;
    result r = {NULL, brew_calloc(rows * (size_t)c->shape.heads, sizeof(float)),
                brew_calloc(rows * (size_t)width_of(c), sizeof(float))};
    memset(r.dqkv, 0xff, rows * (size_t)width_of(c) * sizeof(float)); // NaN
    train->attend_keep(be, &c->shape, &s->layout, scale_of(c), c->window, wanted, qkv, &operand,
                       r.lse);
    r.out = operand_values(be, &operand, s->rows + 1);
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
    const int64_t items[] = {3, 1, 4}, one[] = {5};
    stars s = {0};
    add_star(&s, 6, 3, items);
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

int main(void) {
    test_differences();
    return tap_done();
}
