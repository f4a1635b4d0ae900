// The gradients of `ref` against central differences in double.
#include "base/tap.h"
#include "kernel/testing.h"

static const double F32_ULP = 1.0 / (1 << 24);

// Central differences. A loss is a function of n numbers, here in double throughout.

typedef double loss_fn(const double *p, const void *arg);

static double slope(loss_fn *loss, double *p, int64_t i, const void *arg) {
    const double h = 1e-5, at = p[i];
    p[i] = at + h;
    double up = loss(p, arg);
    p[i] = at - h;
    double down = loss(p, arg);
    p[i] = at;
    return (up - down) / (2 * h);
}

// got[n], the gradient of `loss` at p, is off by roundings to F32 of it and by h^2 times third
// derivatives (1e-10), h^-1 times roundings of the loss (1e-10).
static bool check_slopes(loss_fn *loss, double *p, int64_t first, int64_t n, const float *got,
                         const void *arg) {
    double *want = brew_calloc((size_t)n, sizeof *want);
    for (int64_t i = 0; i < n; i++) want[i] = slope(loss, p, first + i, arg);
    bool good = close_to(got, want, n, 4 * F32_ULP, 1e-7);
    free(want);
    return good;
}

struct shape {
    int64_t m, n, c;
    const float *dy;
};

// p: x [M, C], w [N, C]
static double product_loss(const double *p, const void *arg) {
    const struct shape *s = arg;
    const double *w = p + s->m * s->c;
    double loss = 0;
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < s->n; j++)
            for (int64_t k = 0; k < s->c; k++)
                loss += s->dy[i * s->n + j] * p[i * s->c + k] * w[j * s->c + k];
    return loss;
}

static void test_product_slopes(brew_backend *be) {
    enum { M = 5, N = 4, C = 6 };
    float *p = random_floats(1, M * C + N * C), *dy = random_floats(2, M * N), dx[M * C], *master;
    double *at = doubles_of(p, M * C + N * C);
    struct shape shape = {M, N, C, dy};
    brew_weight *w = learnt_weight(be, N, C, p + M * C, NULL, &master);
    be->ops->train->matmul_dx(be, dy, M, w, dx, false);
    int64_t floats = be->ops->train->weight_floats(be, N, C);
    float *packed = random_floats(3, floats), dw[N * C];
    be->ops->train->matmul_dw(be, dy, p, M, N, C, packed, false);
    be->ops->train->weight_unpack(be, N, C, 0, N, packed, dw);
    ok(check_slopes(product_loss, at, 0, M * C, dx, &shape), "ref: dx of a product");
    ok(check_slopes(product_loss, at, M * C, N * C, dw, &shape), "ref: dw of a product");
    be->ops->weight_free(be, w);
    be->ops->free(be, master);
    free(p), free(dy), free(at), free(packed);
}

// p: gu [M, 2N]
static double swiglu_loss(const double *p, const void *arg) {
    const struct shape *s = arg;
    double loss = 0;
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < s->n; j++) {
            double g = p[i * 2 * s->n + j], u = p[i * 2 * s->n + s->n + j];
            loss += s->dy[i * s->n + j] * g / (1 + exp(-g)) * u;
        }
    return loss;
}

static void test_swiglu_slopes(brew_backend *be) {
    enum { M = 3, F = 7 };
    float *gu = random_floats(1, M * 2 * F), *dh = random_floats(2, M * F), dgu[M * 2 * F],
          h[M * F];
    double *at = doubles_of(gu, M * 2 * F);
    struct shape shape = {M, F, 0, dh};
    be->ops->train->swiglu_back(be, gu, dh, M, F, dgu, h);
    ok(check_slopes(swiglu_loss, at, 0, M * 2 * F, dgu, &shape), "ref: gate and up");
    free(gu), free(dh), free(at);
}

static double norm_value(const double *x, int64_t c, int64_t i, double eps) {
    double sum = 0;
    for (int64_t j = 0; j < c; j++) sum += x[j] * x[j];
    return x[i] / sqrt(sum / (double)c + eps);
}

// p: x [M, C], gain [C]
static double norm_loss(const double *p, const void *arg) {
    const struct shape *s = arg;
    double loss = 0;
    for (int64_t i = 0; i < s->m * s->c; i++)
        loss += s->dy[i] * p[s->m * s->c + i % s->c] *
                norm_value(p + i / s->c * s->c, s->c, i % s->c, 1e-2);
    return loss;
}

static void test_norm_slopes(brew_backend *be) {
    enum { M = 3, C = 9 };
    float *p = random_floats(1, M * C + C), *dy = random_floats(2, M * C), dx[M * C] = {0},
          dgain[C] = {0};
    double *at = doubles_of(p, M * C + C);
    struct shape shape = {M, 0, C, dy};
    be->ops->train->norm_back(be, p, M, C, p + M * C, 1e-2, dy, dx, dgain);
    ok(check_slopes(norm_loss, at, 0, M * C, dx, &shape), "ref: the norm's input");
    ok(check_slopes(norm_loss, at, M * C, C, dgain, &shape), "ref: the norm's gain");
    free(p), free(dy), free(at);
}

enum { HEADS = 4, KV_HEADS = 2, DIM = 6, WIDTH = (HEADS + 2 * KV_HEADS) * DIM, TURNS = 5 };
static const brew_attention_shape small = {HEADS, KV_HEADS, DIM};

struct turn {
    bool q_gain, k_gain;
    const int32_t *positions;
    const float *inv_freq, *dy;
};

// p: qkv [TURNS, WIDTH], q gain [DIM], k gain [DIM]
static double rotate_loss(const double *p, const void *arg) {
    const struct turn *t = arg;
    double loss = 0;
    for (int row = 0; row < TURNS; row++)
        for (int h = 0; h < HEADS + 2 * KV_HEADS; h++) {
            const double *x = p + row * WIDTH + h * DIM;
            const float *dy = t->dy + row * WIDTH + h * DIM;
            const double *gain = p + TURNS * WIDTH + (h < HEADS ? 0 : DIM);
            double y[DIM];
            bool normed = h < HEADS ? t->q_gain : h < HEADS + KV_HEADS && t->k_gain;
            for (int i = 0; i < DIM; i++)
                y[i] = normed ? norm_value(x, DIM, i, 1e-2) * gain[i] : x[i];
            for (int i = 0; i < DIM / 2; i++) {
                double a = y[i], b = y[i + DIM / 2];
                float angle = (float)t->positions[row] * t->inv_freq[i];
                double co = (float)cos((double)angle), si = (float)sin((double)angle);
                if (h >= HEADS + KV_HEADS) co = 1, si = 0;
                loss += dy[i] * (a * co - b * si) + dy[i + DIM / 2] * (b * co + a * si);
            }
        }
    return loss;
}

static void test_rotate_slopes(brew_backend *be, bool q_gain, bool k_gain) {
    const float inv_freq[DIM / 2] = {1, 0.3f, 0.01f};
    const int32_t positions[TURNS] = {0, 1, 2, 7, 2};
    float *p = random_floats(1, TURNS * WIDTH + 2 * DIM), *d = random_floats(2, TURNS * WIDTH);
    float *dy = random_floats(2, TURNS * WIDTH), dq[DIM] = {0}, dk[DIM] = {0};
    float *gq = p + TURNS * WIDTH, *gk = gq + DIM, turned[TURNS * WIDTH];
    double *at = doubles_of(p, TURNS * WIDTH + 2 * DIM), value = 0;
    brew_err err;
    brew_rope *rope = be->ops->rope_new(be, inv_freq, DIM, 8, 1, &err);
    struct turn turn = {q_gain, k_gain, positions, inv_freq, dy};
    be->ops->train->rotate(be, &small, p, TURNS, positions, q_gain ? gq : NULL, k_gain ? gk : NULL,
                           1e-2, rope, turned);
    be->ops->train->rotate_back(be, &small, p, TURNS, positions, q_gain ? gq : NULL,
                                k_gain ? gk : NULL, 1e-2, rope, d, dq, dk);
    for (int i = 0; i < TURNS * WIDTH; i++) value += (double)dy[i] * turned[i];
    bool good = fabs(value - rotate_loss(at, &turn)) < 1e-5;
    good &= check_slopes(rotate_loss, at, 0, TURNS * WIDTH, d, &turn);
    if (q_gain) good &= check_slopes(rotate_loss, at, TURNS * WIDTH, DIM, dq, &turn);
    if (k_gain) good &= check_slopes(rotate_loss, at, TURNS * WIDTH + DIM, DIM, dk, &turn);
    ok(good, "ref: rotation, %s gain of q, %s gain of k", q_gain ? "with" : "without",
       k_gain ? "with" : "without");
    be->ops->rope_free(be, rope);
    free(p), free(d), free(dy), free(at);
}

int main(void) {
    brew_backend *ref = open_level("ref", BREW_PRECISION_F32, 1);
    test_product_slopes(ref);
    test_swiglu_slopes(ref);
    test_norm_slopes(ref);
    test_rotate_slopes(ref, false, false);
    test_rotate_slopes(ref, true, false);
    test_rotate_slopes(ref, false, true);
    test_rotate_slopes(ref, true, true);
    close_level(ref);
    return tap_done();
}
