// Learning: what works row by row. Everything here is a closed form of the derivative; train_test.c
// holds it against central differences.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/ref/ref.h"

void brew_ref_operand_rows(brew_backend *be, const brew_operand *a, const int64_t *list, int64_t m,
                           float *rows) {
    (void)be;
    const float *from = a->data;
    for (int64_t i = 0; i < m; i++)
        memcpy(rows + i * a->width, from + (list ? list[i] : i) * a->width,
               (size_t)a->width * sizeof *rows);
}

void brew_ref_swiglu(brew_backend *be, const float *gu, int64_t m, int64_t f, brew_operand *out) {
    float *h = out->data;
    for (int64_t row = 0; row < m; row++) {
        for (int64_t i = 0; i < f; i++) {
            double g = gu[row * 2 * f + i], u = gu[row * 2 * f + f + i];
            h[row * f + i] = brew_ref_round(be, g / (1 + exp(-g)) * u);
        }
    }
}

// silu(g) = g s with s = 1 / (1 + exp(-g)); its derivative is s + g s (1 - s).
void brew_ref_swiglu_back(brew_backend *be, const float *gu, const float *dh, int64_t m, int64_t f,
                          float *dgu, float *h) {
    for (int64_t row = 0; row < m; row++) {
        for (int64_t i = 0; i < f; i++) {
            int64_t at = row * 2 * f + i;
            double g = gu[at], u = gu[at + f], d = dh[row * f + i], s = 1 / (1 + exp(-g));
            h[row * f + i] = brew_ref_round(be, g / (1 + exp(-g)) * u);
            dgu[at] = (float)(d * u * (s + g * s * (1 - s)));
            dgu[at + f] = (float)(d * g * s);
        }
    }
}

// With y = x r gain and r = 1 / sqrt(mean(x^2) + eps), z = dy gain:
//     dx = r z - x r^3 sum(z x) / C,    dgain = dy x r
static void norm_row(const float *x, int64_t c, const float *gain, double eps, const double *dy,
                     double *dx, double *dgain) {
    double scale = brew_ref_rms_scale(x, c, eps), sum = 0;
    for (int64_t i = 0; i < c; i++) sum += dy[i] * gain[i] * x[i];
    for (int64_t i = 0; i < c; i++) {
        dx[i] = scale * dy[i] * gain[i] - x[i] * scale * scale * scale * sum / (double)c;
        dgain[i] += dy[i] * x[i] * scale;
    }
}

static void add_sums(float *to, const double *sums, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] = (float)(to[i] + sums[i]);
}

void brew_ref_norm_back(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                        double eps, const float *dy, float *dx, float *dgain) {
    (void)be;
    double *z = brew_calloc((size_t)c * 3, sizeof *z), *dz = z + c, *sums = dz + c;
    for (int64_t row = 0; row < m; row++) {
        for (int64_t i = 0; i < c; i++) z[i] = dy[row * c + i];
        norm_row(x + row * c, c, gain, eps, z, dz, sums);
        for (int64_t i = 0; i < c; i++) dx[row * c + i] = (float)(dx[row * c + i] + dz[i]);
    }
    if (dgain) add_sums(dgain, sums, c);
    free(z);
}

void brew_ref_rotate(brew_backend *be, const brew_attention_shape *shape, const float *qkv,
                     int64_t m, const int32_t *positions, const float *q_gain, const float *k_gain,
                     double eps, const brew_rope *rope, float *out) {
    (void)be;
    int64_t d = shape->head_dim, turned = shape->heads + shape->kv_heads,
            heads = turned + shape->kv_heads;
    for (int64_t row = 0; row < m; row++) {
        for (int64_t h = 0; h < heads; h++) {
            int64_t at = (row * heads + h) * d;
            const float *gain = h < shape->heads ? q_gain : k_gain;
            double head[BREW_MAX_HEAD_DIM];
            if (h < turned) {
                brew_ref_turn(qkv + at, d, gain, eps, rope, positions[row], head);
                for (int64_t i = 0; i < d; i++) out[at + i] = (float)head[i];
            } else {
                memmove(out + at, qkv + at, (size_t)d * sizeof *out);
            }
        }
    }
}

void brew_ref_rotate_back(brew_backend *be, const brew_attention_shape *shape, const float *qkv,
                          int64_t m, const int32_t *positions, const float *q_gain,
                          const float *k_gain, double eps, const brew_rope *rope, float *d,
                          float *dq_gain, float *dk_gain) {
    (void)be;
    int64_t dim = shape->head_dim, half = dim / 2, turned = shape->heads + shape->kv_heads,
            heads = turned + shape->kv_heads;
    double q_sums[BREW_MAX_HEAD_DIM] = {0}, k_sums[BREW_MAX_HEAD_DIM] = {0};
    for (int64_t row = 0; row < m; row++) {
        const float *cosines = rope->cos + positions[row] * half;
        const float *sines = rope->sin + positions[row] * half;
        for (int64_t h = 0; h < turned; h++) {
            int64_t at = (row * heads + h) * dim;
            const float *gain = h < shape->heads ? q_gain : k_gain;
            double back[BREW_MAX_HEAD_DIM], out[BREW_MAX_HEAD_DIM];
            for (int64_t i = 0; i < half; i++) { // the rotation's transpose
                double a = d[at + i], b = d[at + half + i];
                back[i] = a * cosines[i] + b * sines[i];
                back[half + i] = b * cosines[i] - a * sines[i];
            }
            if (gain)
                norm_row(qkv + at, dim, gain, eps, back, out, h < shape->heads ? q_sums : k_sums);
            for (int64_t i = 0; i < dim; i++) d[at + i] = (float)(gain ? out[i] : back[i]);
        }
    }
    if (dq_gain) add_sums(dq_gain, q_sums, dim);
    if (dk_gain) add_sums(dk_gain, k_sums, dim);
}

void brew_ref_add(brew_backend *be, float *y, const float *x, int64_t n) {
    (void)be;
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}
