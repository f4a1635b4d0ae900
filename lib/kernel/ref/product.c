#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/ref/ref.h"

// A part's rows from `row` on: values, or those that are stored and their scales.
static void read_part(brew_weight *weight, const brew_tensor *part, int64_t row) {
    int64_t rows = brew_tensor_n_rows(part);
    brew_tensor stored = *part;
    float *ones = NULL;
    if (weight->scales) {
        memcpy(weight->scales + row, part->row_scales, (size_t)rows * sizeof(float));
        stored.row_scales = ones = brew_alloc((size_t)rows * sizeof *ones);
        for (int64_t i = 0; i < rows; i++) ones[i] = 1;
    }
    brew_tensor_rows(&stored, 0, rows, weight->w + row * weight->c);
    free(ones);
}

brew_weight *brew_ref_weight_new(brew_backend *be, const brew_tensor *const *parts,
                                 const brew_tensor *const *biases, size_t n_parts,
                                 enum brew_weight_form form, brew_err *err) {
    int64_t n, c;
    enum brew_dtype scheme = BREW_F32;
    if (brew_host_weight_check(parts, biases, n_parts, form, &n, &c, err) < 0 ||
        brew_host_weight_scheme(parts, n_parts, &scheme, err) < 0)
        return NULL;
    brew_weight *weight = brew_calloc(1, sizeof *weight);
    weight->scheme = scheme;
    weight->n = n;
    weight->c = c;
    if (brew_host_floats(&weight->w, n, c, 1, "a weight", err) < 0 ||
        brew_host_floats(&weight->bias, n, 1, 1, "a bias", err) < 0) {
        brew_ref_weight_free(be, weight);
        return NULL;
    }
    if (weight->scheme != BREW_F32) weight->scales = brew_calloc((size_t)n, sizeof(float));
    int64_t row = 0;
    for (size_t i = 0; i < n_parts; i++) {
        int64_t rows = brew_tensor_n_rows(parts[i]);
        read_part(weight, parts[i], row);
        if (biases && biases[i])
            brew_tensor_rows(biases[i], 0, brew_tensor_n_rows(biases[i]), weight->bias + row);
        row += rows;
    }
    for (int64_t i = 0; !weight->scales && i < n * c; i++)
        weight->w[i] = brew_ref_round(be, weight->w[i]);
    return weight;
}

void brew_ref_weight_free(brew_backend *be, brew_weight *weight) {
    if (!weight) return;
    brew_host_free(be, weight->w);
    brew_host_free(be, weight->bias);
    free(weight->scales);
    free(weight);
}

int brew_ref_operand_init(brew_backend *be, brew_operand *operand, int64_t rows, int64_t width,
                          brew_err *err) {
    (void)be;
    float *data;
    *operand = (brew_operand){0};
    if (brew_host_floats(&data, rows, width, 1, "an operand", err) < 0) return -1;
    *operand = (brew_operand){data, rows, width, brew_calloc((size_t)rows + 1, sizeof(float))};
    return 0;
}

void brew_ref_operand_release(brew_backend *be, brew_operand *operand) {
    brew_host_free(be, operand->data);
    free(operand->scales);
    *operand = (brew_operand){0};
}

void brew_ref_gather_operand(brew_backend *be, const brew_operand *a, const int64_t *rows,
                             int64_t n, brew_operand *out) {
    brew_host_gather(be, a->data, a->width, rows, n, out->data);
}

double brew_ref_rms_scale(const float *x, int64_t c, double eps) {
    double sum = 0;
    for (int64_t i = 0; i < c; i++) sum += (double)x[i] * x[i];
    return 1 / sqrt(sum / (double)c + eps);
}

void brew_ref_norm_rows(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                        double eps, float *out) {
    (void)be;
    for (int64_t row = 0; row < m; row++) {
        double scale = brew_ref_rms_scale(x + row * c, c, eps);
        for (int64_t i = 0; i < c; i++)
            out[row * c + i] = (float)(x[row * c + i] * scale * gain[i]);
    }
}

void brew_ref_norm(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                   double eps, brew_operand *out) {
    float *rows = out->data;
    brew_ref_norm_rows(be, x, m, c, gain, eps, rows);
    for (int64_t i = 0; i < m * c; i++) rows[i] = brew_ref_round(be, rows[i]);
}

void brew_ref_quantise(brew_backend *be, brew_operand *a, int64_t m, const brew_weight *w) {
    (void)be;
    if (!w->scales) return;
    bool f8 = w->scheme == BREW_F8_E4M3;
    for (int64_t row = 0; row < m; row++) {
        float *x = (float *)a->data + row * a->width, most = 0;
        for (int64_t i = 0; i < a->width; i++)
            if (!(fabsf(x[i]) <= most)) most = fabsf(x[i]); // NaN stays
        float scale = a->scales[row] = brew_row_scale(most, f8 ? BREW_F8_LIMIT : BREW_I8_LIMIT);
        for (int64_t i = 0; i < a->width; i++)
            x[i] = f8 ? brew_f32_from_f8(brew_f8_from_f32(x[i] / scale))
                      : fminf(fmaxf(rintf(x[i] / scale), -128), 127);
    }
}

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

struct product {
    const brew_backend *be;
    const float *a, *scales;
    const brew_weight *w;
    float *y;
    bool add;
};

// What a product is multiplied with: the scales of its row and column.
static double product_scale(const struct product *job, int64_t row, int64_t n) {
    return job->w->scales ? (double)job->scales[row] * job->w->scales[n] : 1;
}

static void matmul_row(void *arg, size_t row, int worker) {
    (void)worker;
    const struct product *job = arg;
    const brew_weight *w = job->w;
    const float *a = job->a + (int64_t)row * w->c;
    float *y = job->y + (int64_t)row * w->n;
    for (int64_t n = 0; n < w->n; n++) {
        double sum =
            dot(a, w->w + n * w->c, w->c) * product_scale(job, (int64_t)row, n) + w->bias[n];
        y[n] = (float)(job->add ? y[n] + sum : sum);
    }
}

void brew_ref_matmul(brew_backend *be, const brew_operand *a, int64_t m, const brew_weight *w,
                     float *y, bool add) {
    struct product job = {be, a->data, a->scales, w, y, add};
    brew_pool_run(be->pool, (size_t)m, matmul_row, &job);
}

static void swiglu_row(void *arg, size_t row, int worker) {
    (void)worker;
    const struct product *job = arg;
    const brew_weight *w = job->w;
    int64_t f = w->n / 2;
    const float *a = job->a + (int64_t)row * w->c;
    for (int64_t n = 0; n < f; n++) {
        double gate = dot(a, w->w + n * w->c, w->c) * product_scale(job, (int64_t)row, n);
        double up = dot(a, w->w + (f + n) * w->c, w->c) * product_scale(job, (int64_t)row, f + n);
        job->y[(int64_t)row * f + n] = brew_ref_round(job->be, gate / (1 + exp(-gate)) * up);
    }
}

void brew_ref_matmul_swiglu(brew_backend *be, const brew_operand *a, int64_t m,
                            const brew_weight *w, brew_operand *out) {
    struct product job = {be, a->data, a->scales, w, out->data, false};
    brew_pool_run(be->pool, (size_t)m, swiglu_row, &job);
}
