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
enum { PAIRS = 20, FROM = 5, COLUMNS = 11 };
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
               dot(h + i / COLUMNS * head->c, table + (FROM + i % COLUMNS) * head->c, head->c);
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
    be->ops->train->head_logits_back(be, table, head->h, head->r, head->c, FROM, COLUMNS, d, dh,
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

// Columns of logits and back, enough of them for more than one chunk.
static void test_logits(brew_backend *be) {
    enum { V = 2400, R = 14, C = 50, FIRST = 650, N = 1700 };
    struct head head = head_new(V, R, C);
    float *z = brew_calloc(R * N, sizeof *z), *dz = random_floats(5, R * N);
    float *dh = brew_calloc(R * C, sizeof *dh), *dtable = brew_calloc(V * C, sizeof *dtable);
    double *want = brew_calloc(R * N, sizeof *want), *want_h = brew_calloc(R * C, sizeof *want_h);
    double *want_table = brew_calloc(V * C, sizeof *want_table);
    double *h = doubles(head.h, R * C), *table = doubles(head.table, V * C);
    brew_tensor tensor = f32_tensor(head.table, V, C);
    brew_table *view = be->ops->table_new(be, &tensor, NULL);
    for (int64_t i = 0; i < R * N; i++) {
        int64_t r = i / N, v = FIRST + i % N;
        want[i] = dot(h + r * C, table + v * C, C);
        for (int64_t j = 0; j < C; j++) {
            want_h[r * C + j] += dz[i] * table[v * C + j];
            want_table[v * C + j] += dz[i] * h[r * C + j];
        }
    }
    be->ops->train->head_logits(be, view, head.h, R, C, FIRST, N, z);
    be->ops->train->head_logits_back(be, view, head.h, R, C, FIRST, N, dz, dh, dtable);
    // C products of size 1 / sqrt(C), C roundings of partial sums of size 4
    ok(close_to(z, want, R * N, F32_ULP, 4 * C * F32_ULP), "%s: columns of logits", be->level);
    // N roundings of partial sums of size sqrt(N / C), R of size sqrt(R)
    ok(close_to(dh, want_h, R * C, F32_ULP, N * 4 * sqrt(N / C) * F32_ULP) &&
           close_to(dtable, want_table, V * C, F32_ULP, R * 4 * sqrt(R) * F32_ULP),
       "%s: and back, over several chunks", be->level);
    be->ops->table_free(be, view);
    free(z), free(dz), free(dh), free(dtable), free(want), free(want_h), free(want_table);
    free(h), free(table);
    head_free(&head);
}

static double largest(const float *x, int64_t n) {
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(x[i]));
    return most;
}

// Everything head_lse_back gives, from zero, with the same lse at every level.
struct gradients {
    float *dh, *dtable;
};

static struct gradients gradients_of(brew_backend *be, const struct head *head,
                                     const brew_tensor *tensor, const float *lse) {
    brew_table *view = be->ops->table_new(be, tensor, NULL);
    struct gradients d = {brew_calloc((size_t)(head->r * head->c), sizeof(float)),
                          brew_calloc((size_t)(head->v * head->c), sizeof(float))};
    be->ops->train->head_lse_back(be, view, head->h, head->r, head->c, head->skip_splits,
                                  head->skip_ids, lse, head->g, d.dh, d.dtable);
    be->ops->table_free(be, view);
    return d;
}

static void gradients_free(struct gradients *d) {
    free(d->dh), free(d->dtable);
}

// The level's gradients are those of ref. With `huge`, one logit of one row is 10,000.
static void test_against_ref(const char *level, int64_t v, int64_t r, int64_t c, bool huge) {
    struct head head = head_new(v, r, c);
    int64_t nh = r * c, nt = v * c;
    double top = 20; // more than any other logit here
    if (huge) {
        double square = 0;
        for (int64_t i = 0; i < c; i++) square += (double)head.h[3 * c + i] * head.h[3 * c + i];
        for (int64_t i = 0; i < c; i++)
            head.table[9 * c + i] = head.h[3 * c + i] * (float)(1e4 / square);
        top = 1e4;
    }
    brew_tensor tensor = f32_tensor(head.table, v, c);
    brew_backend *ref = open_level("ref", BREW_PRECISION_F32, 2);
    brew_backend *be = open_level(level, BREW_PRECISION_BF16, 2); // the head stays F32
    float *lse = brew_alloc((size_t)r * sizeof *lse);
    brew_table *view = ref->ops->table_new(ref, &tensor, NULL);
    ref->ops->head_lse(ref, view, head.h, r, c, head.skip_splits, head.skip_ids, lse);
    ref->ops->table_free(ref, view);
    struct gradients want = gradients_of(ref, &head, &tensor, lse);
    struct gradients got = gradients_of(be, &head, &tensor, lse);
    double *want_h = doubles(want.dh, nh), *want_table = doubles(want.dtable, nt);
    // A logit is off by C roundings of partial sums no larger than 4 sqrt(its size), and p by as much;
    // then come the sum's own roundings, V of numbers no larger than g times the table's, or R of g h.
    double g = largest(head.g, r);
    double of_p = (double)c * 4 * sqrt(top) * F32_ULP + (huge ? top * F32_ULP : 0) + 4 * F32_ULP;
    double slack_h = g * largest(head.table, nt) * (of_p + 4 * sqrt((double)v) * F32_ULP);
    double slack_table = g * largest(head.h, nh) * (of_p + (double)r * F32_ULP);
    ok(close_to(got.dh, want_h, nh, of_p, slack_h) &&
           close_to(got.dtable, want_table, nt, of_p, slack_table),
       "%s: backward of log-sum-exp is ref's, %lld columns, %lld rows of %lld%s", level,
       (long long)v, (long long)r, (long long)c, huge ? ", one logit of 10,000" : "");
    gradients_free(&want), gradients_free(&got);
    free(want_h), free(want_table), free(lse);
    head_free(&head);
    close_level(be), close_level(ref);
}

// Same bits on any threads; and in two calls of some rows each, which go on with the table's chains.
static void test_bits(const char *level) {
    enum { V = 3500, R = 300, C = 40, CUT = 130 };
    struct head head = head_new(V, R, C);
    brew_tensor tensor = f32_tensor(head.table, V, C);
    float lse[R];
    struct gradients one = {NULL, NULL};
    bool same = true, chained = true;
    for (int threads = 1; threads <= 3; threads++) {
        brew_backend *be = open_level(level, BREW_PRECISION_F32, threads);
        brew_table *view = be->ops->table_new(be, &tensor, NULL);
        if (threads == 1)
            be->ops->head_lse(be, view, head.h, R, C, head.skip_splits, head.skip_ids, lse);
        struct gradients d = gradients_of(be, &head, &tensor, lse);
        if (threads == 1) one = d;
        same &= !memcmp(d.dh, one.dh, R * C * sizeof(float)) &&
                !memcmp(d.dtable, one.dtable, V * C * sizeof(float));
        if (threads > 1) gradients_free(&d);
        struct gradients parts = {brew_calloc(R * C, sizeof(float)),
                                  brew_calloc(V * C, sizeof(float))};
        for (int i = 0; i < 2; i++) {
            int64_t from = i ? CUT : 0, n = i ? R - CUT : CUT;
            be->ops->train->head_lse_back(be, view, head.h + from * C, n, C,
                                          head.skip_splits + from, head.skip_ids, lse + from,
                                          head.g + from, parts.dh + from * C, parts.dtable);
        }
        chained &= !memcmp(parts.dh, one.dh, R * C * sizeof(float)) &&
                   !memcmp(parts.dtable, one.dtable, V * C * sizeof(float));
        gradients_free(&parts);
        be->ops->table_free(be, view);
        close_level(be);
    }
    ok(same, "%s: the same bits on 1, 2 and 3 threads", level);
    ok(chained, "%s: rows in two calls give the bits of one", level);
    gradients_free(&one);
    head_free(&head);
}

// A table that does not learn may be stored otherwise: its values as F32 give the same bits.
static void test_stored(const char *level) {
    enum { V = 200, R = 14, C = 32 };
    struct head head = head_new(V, R, C);
    uint16_t *half = brew_alloc(V * C * sizeof *half);
    for (int i = 0; i < V * C; i++) {
        half[i] = brew_bf16_from_f32(head.table[i]);
        head.table[i] = brew_f32_from_bf16(half[i]);
    }
    brew_tensor f32 = f32_tensor(head.table, V, C), bf16 = f32;
    bf16.data = half;
    bf16.dtype = BREW_BF16;
    brew_backend *be = open_level(level, BREW_PRECISION_F32, 2);
    float lse[R];
    for (int i = 0; i < R; i++) lse[i] = 6;
    struct gradients a = gradients_of(be, &head, &f32, lse);
    struct gradients b = gradients_of(be, &head, &bf16, lse);
    ok(!memcmp(a.dh, b.dh, R * C * sizeof(float)) &&
           !memcmp(a.dtable, b.dtable, V * C * sizeof(float)),
       "%s: a table of bf16", level);
    gradients_free(&a), gradients_free(&b);
    free(half);
    head_free(&head);
    close_level(be);
}

int main(void) {
    for (const char *const *level = brew_backend_levels(); *level; level++) {
        test_lse(*level, 33);
        test_lse(*level, 5000);
        brew_backend *be = open_level(*level, BREW_PRECISION_F32, 2);
        test_differences(be);
        test_logits(be);
        close_level(be);
        test_stored(*level);
        if (!strcmp(*level, "ref")) continue; // sums in double: not chains in F32
        test_against_ref(*level, 33, 1, 50, false);
        test_against_ref(*level, 4000, 40, 70, false);
        test_against_ref(*level, 4000, 40, 70, true);
        test_against_ref(*level, 49152, 5, 24, false);
        test_bits(*level);
    }
    test_against_ref(*brew_backend_levels(), 151937, 3, 8, false);
    return tap_done();
}
