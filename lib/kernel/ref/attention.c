#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/ref/ref.h"

brew_kv *brew_ref_kv_new(brew_backend *be, const brew_attention_shape *shape, int64_t layers,
                         int64_t cap, brew_err *err) {
    if (brew_host_shape_check(shape, err) < 0) return NULL;
    brew_kv *kv = brew_calloc(1, sizeof *kv);
    kv->shape = *shape;
    kv->cap = cap;
    int64_t width = shape->kv_heads * shape->head_dim;
    if (brew_host_floats(&kv->k, layers, cap, width, "keys", err) < 0 ||
        brew_host_floats(&kv->v, layers, cap, width, "values", err) < 0) {
        brew_ref_kv_free(be, kv);
        return NULL;
    }
    return kv;
}

void brew_ref_kv_free(brew_backend *be, brew_kv *kv) {
    if (!kv) return;
    brew_host_free(be, kv->k);
    brew_host_free(be, kv->v);
    free(kv);
}

size_t brew_ref_kv_bytes(brew_backend *be, const brew_attention_shape *shape, int64_t layers,
                         int64_t cap) {
    (void)be;
    return (size_t)(layers * cap * shape->kv_heads * shape->head_dim) * 2 * sizeof(float);
}

brew_attention *brew_ref_attention_new(brew_backend *be, const brew_attention_shape *shape,
                                       int64_t rows_cap, int64_t spans_cap, brew_err *err) {
    (void)spans_cap;
    if (brew_host_shape_check(shape, err) < 0) return NULL;
    brew_attention *at = brew_calloc(1, sizeof *at);
    at->shape = *shape;
    int64_t d = shape->head_dim;
    if (brew_host_floats(&at->q, rows_cap, shape->heads, d, "queries", err) < 0 ||
        brew_host_floats(&at->k, rows_cap, shape->kv_heads, d, "keys", err) < 0 ||
        brew_host_floats(&at->v, rows_cap, shape->kv_heads, d, "values", err) < 0) {
        brew_ref_attention_free(be, at);
        return NULL;
    }
    return at;
}

void brew_ref_attention_free(brew_backend *be, brew_attention *at) {
    if (!at) return;
    brew_host_free(be, at->q);
    brew_host_free(be, at->k);
    brew_host_free(be, at->v);
    free(at);
}

void brew_ref_turn(const float *in, int64_t d, const float *gain, double eps, const brew_rope *rope,
                   int64_t pos, double *out) {
    double x[BREW_MAX_HEAD_DIM], scale = gain ? brew_ref_rms_scale(in, d, eps) : 1;
    for (int64_t i = 0; i < d; i++) x[i] = gain ? in[i] * scale * gain[i] : in[i];
    int64_t half = d / 2;
    const float *cosines = rope->cos + pos * half, *sines = rope->sin + pos * half;
    for (int64_t i = 0; i < half; i++) {
        out[i] = x[i] * cosines[i] - x[half + i] * sines[i];
        out[half + i] = x[half + i] * cosines[i] + x[i] * sines[i];
    }
}

// One head of one row, rounded.
static void turn(const brew_backend *be, const float *in, int64_t d, const float *gain, double eps,
                 const brew_rope *rope, int64_t pos, float *out) {
    double turned[BREW_MAX_HEAD_DIM];
    brew_ref_turn(in, d, gain, eps, rope, pos, turned);
    for (int64_t i = 0; i < d; i++) out[i] = brew_ref_round(be, turned[i]);
}

void brew_ref_heads(brew_backend *be, brew_attention *at, const brew_span *spans, size_t n_spans,
                    int64_t layer, const float *qkv, const float *q_gain, const float *k_gain,
                    double eps, const brew_rope *rope) {
    int64_t d = at->shape.head_dim, q_width = at->shape.heads * d,
            kv_width = at->shape.kv_heads * d;
    for (size_t s = 0; s < n_spans; s++) {
        const brew_span *span = &spans[s];
        for (int64_t i = 0; i < span->rows; i++) {
            int64_t row = span->row + i, pos = span->pos + i;
            const float *in = qkv + row * (q_width + 2 * kv_width);
            int64_t at_key = span->is_item ? row : layer * span->query->cap + pos;
            float *k = (span->is_item ? at->k : span->query->k) + at_key * kv_width;
            float *v = (span->is_item ? at->v : span->query->v) + at_key * kv_width;
            for (int64_t h = 0; h < at->shape.heads; h++)
                turn(be, in + h * d, d, q_gain, eps, rope, pos, at->q + row * q_width + h * d);
            for (int64_t h = 0; h < at->shape.kv_heads; h++)
                turn(be, in + q_width + h * d, d, k_gain, eps, rope, pos, k + h * d);
            for (int64_t j = 0; j < kv_width; j++)
                v[j] = brew_ref_round(be, in[q_width + kv_width + j]);
        }
    }
}

struct attend_job {
    const brew_backend *be;
    const brew_attention *at;
    const brew_span *span;
    int64_t layer, window;
    double scale;
    const uint8_t *wanted;
    float *out;
};

// Key j of a span's row: the query's own keys first, then, for an item, the item's.
static const float *key_row(const struct attend_job *job, int64_t j, bool value) {
    const brew_span *span = job->span;
    int64_t width = job->at->shape.kv_heads * job->at->shape.head_dim;
    if (span->is_item && j >= span->pos)
        return (value ? job->at->v : job->at->k) + (span->row + j - span->pos) * width;
    const brew_kv *kv = span->query;
    return (value ? kv->v : kv->k) + (job->layer * kv->cap + j) * width;
}

static void attend_row(void *arg, size_t i, int worker) {
    (void)worker;
    const struct attend_job *job = arg;
    int64_t row = job->span->row + (int64_t)i, pos = job->span->pos + (int64_t)i;
    if (job->wanted && !job->wanted[row]) return;
    const brew_attention_shape *shape = &job->at->shape;
    int64_t d = shape->head_dim, group = shape->heads / shape->kv_heads;
    int64_t first = job->window > 0 && pos - job->window + 1 > 0 ? pos - job->window + 1 : 0;
    double *score = brew_alloc((size_t)(pos + 1 + d) * sizeof *score), *sum = score + pos + 1;
    for (int64_t h = 0; h < shape->heads; h++) {
        const float *q = job->at->q + (row * shape->heads + h) * d;
        int64_t column = h / group * d;
        double most = -INFINITY, total = 0;
        for (int64_t j = first; j <= pos; j++) {
            const float *k = key_row(job, j, false) + column;
            score[j] = 0;
            for (int64_t e = 0; e < d; e++) score[j] += (double)q[e] * k[e];
            score[j] *= job->scale;
            if (!(score[j] <= most)) most = score[j];
        }
        for (int64_t e = 0; e < d; e++) sum[e] = 0;
        for (int64_t j = first; j <= pos; j++) {
            double p = exp(score[j] - most), rounded = brew_ref_round(job->be, p);
            const float *v = key_row(job, j, true) + column;
            total += p;
            for (int64_t e = 0; e < d; e++) sum[e] += rounded * v[e];
        }
        for (int64_t e = 0; e < d; e++)
            job->out[(row * shape->heads + h) * d + e] = brew_ref_round(job->be, sum[e] / total);
    }
    free(score);
}

void brew_ref_attend(brew_backend *be, brew_attention *at, const brew_span *spans, size_t n_spans,
                     int64_t layer, double scale, int64_t window, const uint8_t *wanted,
                     brew_operand *out) {
    for (size_t s = 0; s < n_spans; s++) {
        struct attend_job job = {be, at, &spans[s], layer, window, scale, wanted, out->data};
        brew_pool_run(be->pool, (size_t)spans[s].rows, attend_row, &job);
    }
}
