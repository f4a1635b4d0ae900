// The head there and back: log-sum-exp with ids left out, gradients against central differences of the
// function in double, every level against ref, and bits.
#include "base/tap.h"
#include "kernel/testing.h"
#include "kernel/train_ops.h"

static const double F32_ULP = 1.0 / (1 << 24);

// A head of V rows over R hidden rows, some ids left out of some rows.
struct head {
    int64_t v, r, c;
    float *table, *h, *g; // [V, C], [R, C], [R]; g[1] = 0
    int64_t *skip_splits;
    int32_t *skip_ids;
};

static struct head head_new(int64_t v, int64_t r, int64_t c) {
    struct head head = {v,
                        r,
                        c,
                        random_floats(1, v * c),
                        random_floats(2, r * c),
                        random_floats(3, r),
                        brew_calloc((size_t)r + 1, sizeof(int64_t)),
                        brew_calloc((size_t)r * 3, sizeof(int32_t))};
    // logits of size 1 or so
    for (int64_t i = 0; i < v * c; i++) head.table[i] /= (float)sqrt((double)c);
    if (r > 1) head.g[1] = 0;
    for (int64_t i = 0; i < r; i++) { // none, one, two, three
        const int64_t ids[] = {v - 1 - i % 8, 1 + i * 3 % 8, 0};
        int64_t n = head.skip_splits[i];
        for (int64_t j = 0; j < i % 4; j++) head.skip_ids[n++] = (int32_t)ids[j];
        head.skip_splits[i + 1] = n;
    }
    return head;
}

static void head_free(struct head *head) {
    free(head->table), free(head->h), free(head->g), free(head->skip_splits), free(head->skip_ids);
}

static bool left_out(const struct head *head, int64_t r, int64_t v) {
    for (int64_t i = head->skip_splits[r]; i < head->skip_splits[r + 1]; i++)
        if (head->skip_ids[i] == v) return true;
    return false;
}

static double dot(const double *a, const double *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double lse_of(const struct head *head, int64_t r, const double *h, const double *table) {
    double top = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t v = 0; v < head->v; v++) {
            if (left_out(head, r, v)) continue;
            double z = dot(h + r * head->c, table + v * head->c, head->c);
            if (pass == 0) top = fmax(top, z);
            if (pass == 1) sum += exp(z - top);
        }
    return top + log(sum);
}

static double *doubles(const float *x, int64_t n) {
    double *out = brew_alloc((size_t)n * sizeof *out + 1);
    for (int64_t i = 0; i < n; i++) out[i] = x[i];
    return out;
}

static void test_lse(const char *level, int64_t vocab) {
    brew_backend *be = open_level(level, BREW_PRECISION_F32, 2);
    struct head head = head_new(vocab, 14, 24);
    double *h = doubles(head.h, head.r * head.c), *table = doubles(head.table, head.v * head.c);
    brew_tensor tensor = f32_tensor(head.table, head.v, head.c);
    brew_table *view = be->ops->table_new(be, &tensor, NULL);
    float lse[14];
    double want[14];
    for (int64_t r = 0; r < head.r; r++) want[r] = lse_of(&head, r, h, table);
    be->ops->head_lse(be, view, head.h, head.r, head.c, head.skip_splits, head.skip_ids, lse);
    ok(close_to(lse, want, head.r, 4 * F32_ULP, 1e-5), "%s: log-sum-exp of %lld without some",
       level, (long long)vocab);
    be->ops->table_free(be, view);
    free(h), free(table);
    head_free(&head);
    close_level(be);
}

// What is differentiated: a number made of h and table, in double.
typedef double objective(const struct head *head, const double *h, const double *table);

static double lse_sum(const struct head *head, const double *h, const double *table) {
    double sum = 0;
    for (int64_t r = 0; r < head->r; r++) sum += head->g[r] * lse_of(head, r, h, table);
    return sum;
}

// Pairs (row, id) with repetitions, and columns [5, 16): each logit with a weight of its own.
enum { PAIRS = 20, FIRST = 5, COLUMNS = 11 };
static int64_t pair_row(const struct head *head, int i) {
    return i * 5 % head->r;
}
static int32_t pair_id(const struct head *head, int i) {
    return (int32_t)(i * 7 % 6 * 3 % head->v);
}
static float weight_of_logit(int64_t i) {
    return (float)(i * 37 % 19 - 9) / 8;
}

static double pair_sum(const struct head *head, const double *h, const double *table) {
    double sum = 0;
    for (int i = 0; i < PAIRS; i++)
        sum += weight_of_logit(i) *
               dot(h + pair_row(head, i) * head->c, table + pair_id(head, i) * head->c, head->c);
    return sum;
}

static double column_sum(const struct head *head, const double *h, const double *table) {
    double sum = 0;
    for (int64_t i = 0; i < head->r * COLUMNS; i++)
        sum += weight_of_logit(i) *
               dot(h + i / COLUMNS * head->c, table + (FIRST + i % COLUMNS) * head->c, head->c);
    return sum;
}

// The backward of one of these, into dh and dtable (NULL: not wanted).
typedef void backward(brew_backend *be, const struct head *head, const brew_table *table, float *dh,
                      float *dtable);

static void lse_backward(brew_backend *be, const struct head *head, const brew_table *table,
                         float *dh, float *dtable) {
    float *lse = brew_alloc((size_t)head->r * sizeof *lse);
    be->ops->head_lse(be, table, head->h, head->r, head->c, head->skip_splits, head->skip_ids, lse);
    be->ops->train->head_lse_back(be, table, head->h, head->r, head->c, head->skip_splits,
                                  head->skip_ids, lse, head->g, dh, dtable);
    free(lse);
}

static void pair_backward(brew_backend *be, const struct head *head, const brew_table *table,
                          float *dh, float *dtable) {
    int64_t rows[PAIRS];
    int32_t ids[PAIRS];
    float d[PAIRS];
    for (int i = 0; i < PAIRS; i++) {
        rows[i] = pair_row(head, i);
        ids[i] = pair_id(head, i);
        d[i] = weight_of_logit(i);
    }
    be->ops->train->label_logits_back(be, table, head->h, head->c, rows, ids, PAIRS, d, dh, dtable);
}

static void column_backward(brew_backend *be, const struct head *head, const brew_table *table,
                            float *dh, float *dtable) {
    float *d = brew_alloc((size_t)(head->r * COLUMNS) * sizeof *d);
    for (int64_t i = 0; i < head->r * COLUMNS; i++) d[i] = weight_of_logit(i);
    be->ops->train->head_logits_back(be, table, head->h, head->r, head->c, FIRST, COLUMNS, d, dh,
                                     dtable);
    free(d);
}

static const struct {
    const char *name;
    objective *value;
    backward *back;
} functions[] = {{"log-sum-exp", lse_sum, lse_backward},
                 {"label logits", pair_sum, pair_backward},
                 {"columns of logits", column_sum, column_backward}};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

static void differences(const struct head *head, objective *value, double *h, double *table,
                        double *x, int64_t n, double *want) {
    for (int64_t i = 0; i < n; i++) {
        double kept = x[i], step = 1e-4;
        x[i] = kept + step;
        double above = value(head, h, table);
        x[i] = kept - step;
        want[i] = (above - value(head, h, table)) / (2 * step);
        x[i] = kept;
    }
}

static void test_differences(brew_backend *be) {
    struct head head = head_new(40, 6, 7);
    int64_t nh = head.r * head.c, nt = head.v * head.c;
    double *h = doubles(head.h, nh), *table = doubles(head.table, nt);
    double *want_h = brew_alloc((size_t)nh * sizeof *want_h);
    double *want_table = brew_alloc((size_t)nt * sizeof *want_table);
    brew_tensor tensor = f32_tensor(head.table, head.v, head.c);
    brew_table *view = be->ops->table_new(be, &tensor, NULL);
    for (int f = 0; f < FUNCTIONS; f++) {
        float *dh = random_floats(10, nh), *dtable = random_floats(11, nt);
        float *alone = random_floats(10, nh); // where the table's gradient is not wanted
        differences(&head, functions[f].value, h, table, h, nh, want_h);
        differences(&head, functions[f].value, h, table, table, nt, want_table);
        for (int64_t i = 0; i < nh; i++) want_h[i] += dh[i];
        for (int64_t i = 0; i < nt; i++) want_table[i] += dtable[i];
        functions[f].back(be, &head, view, dh, dtable);
        functions[f].back(be, &head, view, alone, NULL);
        // central differences err by step^2; sums of a few dozen products of size 1 by their roundings
        ok(close_to(dh, want_h, nh, 1e-6, 4e-6) && close_to(dtable, want_table, nt, 1e-6, 4e-6),
           "%s: %s, gradients added to what is there are central differences", be->level,
           functions[f].name);
        ok(!memcmp(dh, alone, (size_t)nh * sizeof *dh), "%s: %s, without the table's", be->level,
           functions[f].name);
        free(dh), free(dtable), free(alone);
    }
    be->ops->table_free(be, view);
    free(h), free(table), free(want_h), free(want_table);
    head_free(&head);
}

static void test_logits(brew_backend *be) {
    struct head head = head_new(1000, 14, 50);
    enum { N = 321 };
    float *z = brew_calloc((size_t)(head.r * N), sizeof *z);
    double *want = brew_calloc((size_t)(head.r * N), sizeof *want);
    double *h = doubles(head.h, head.r * head.c), *table = doubles(head.table, head.v * head.c);
    brew_tensor tensor = f32_tensor(head.table, head.v, head.c);
    brew_table *view = be->ops->table_new(be, &tensor, NULL);
    for (int64_t i = 0; i < head.r * N; i++)
        want[i] = dot(h + i / N * head.c, table + (650 + i % N) * head.c, head.c);
    be->ops->train->head_logits(be, view, head.h, head.r, head.c, 650, N, z);
    // C products of size 1 / sqrt(C), C roundings of partial sums of size 4
    ok(close_to(z, want, head.r * N, F32_ULP, 4 * 50 * F32_ULP), "%s: columns of logits",
       be->level);
    be->ops->table_free(be, view);
    free(z), free(want), free(h), free(table);
    head_free(&head);
}

int main(void) {
    for (const char *const *level = brew_backend_levels(); *level; level++) {
        test_lse(*level, 33);
        test_lse(*level, 5000);
        brew_backend *be = open_level(*level, BREW_PRECISION_F32, 2);
        if (be->ops->train->head_lse_back) {
            test_differences(be);
            test_logits(be);
        }
        close_level(be);
    }
    return tap_done();
}
