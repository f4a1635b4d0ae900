#include "kernel/host.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

// A buffer is a slab with its size in front, so that it can be given back without saying the size.
enum { HEAD_BYTES = 64 };

void *brew_host_alloc(brew_backend *be, size_t bytes, const char *what, brew_err *err) {
    (void)be;
    size_t whole;
    brew_slab slab;
    if (!brew_add(bytes, HEAD_BYTES, &whole)) {
        brew_fail(err, BREW_INTERNAL, "no memory for %s (%zu bytes)", what, bytes);
        return NULL;
    }
    if (brew_slab_init(&slab, whole, what, err) < 0) return NULL;
    memcpy(slab.ptr, &slab, sizeof slab);
    return (char *)slab.ptr + HEAD_BYTES;
}

void brew_host_free(brew_backend *be, void *ptr) {
    (void)be;
    if (!ptr) return;
    brew_slab slab;
    memcpy(&slab, (char *)ptr - HEAD_BYTES, sizeof slab);
    brew_slab_release(&slab);
}

void brew_host_upload(brew_backend *be, void *to, const void *from, size_t bytes) {
    (void)be;
    if (bytes) memcpy(to, from, bytes);
}

void brew_host_download(brew_backend *be, void *to, const void *from, size_t bytes) {
    (void)be;
    if (bytes) memcpy(to, from, bytes);
}

int brew_host_floats(float **out, int64_t a, int64_t b, int64_t c, const char *what,
                     brew_err *err) {
    size_t n;
    *out = NULL;
    if (a < 0 || b < 0 || c < 0 || !brew_mul((size_t)a, (size_t)b, &n) ||
        !brew_mul(n, (size_t)c, &n) || !brew_mul(n, sizeof(float), &n))
        return brew_fail(err, BREW_DATA, "%s is too large: %lld x %lld x %lld values", what,
                         (long long)a, (long long)b, (long long)c);
    *out = brew_host_alloc(NULL, n, what, err);
    return *out ? 0 : -1;
}

brew_table *brew_host_table_new(brew_backend *be, const brew_tensor *tensor, brew_err *err) {
    (void)be;
    size_t bytes;
    if (tensor->n_dims != 2 || tensor->dtype >= BREW_I8 || !brew_tensor_bytes(tensor, &bytes)) {
        brew_fail(err, BREW_DATA,
                  "a table must be a matrix of real numbers, not %s with %d dimensions",
                  brew_dtype_name(tensor->dtype), tensor->n_dims);
        return NULL;
    }
    brew_table *table = brew_calloc(1, sizeof *table);
    table->tensor = *tensor;
    return table;
}

void brew_host_table_free(brew_backend *be, brew_table *table) {
    (void)be;
    free(table);
}

brew_rope *brew_host_rope_new(brew_backend *be, const float *inv_freq, int64_t head_dim,
                              int64_t positions, double scale, brew_err *err) {
    brew_rope *rope = brew_calloc(1, sizeof *rope);
    rope->half = head_dim / 2;
    rope->positions = positions;
    if (brew_host_floats(&rope->cos, positions, rope->half, 1, "rotary cosines", err) < 0 ||
        brew_host_floats(&rope->sin, positions, rope->half, 1, "rotary sines", err) < 0) {
        brew_host_rope_free(be, rope);
        return NULL;
    }
    for (int64_t pos = 0; pos < positions; pos++) {
        for (int64_t i = 0; i < rope->half; i++) {
            float angle = (float)pos * inv_freq[i];
            rope->cos[pos * rope->half + i] = (float)(cos((double)angle) * scale);
            rope->sin[pos * rope->half + i] = (float)(sin((double)angle) * scale);
        }
    }
    return rope;
}

void brew_host_rope_free(brew_backend *be, brew_rope *rope) {
    if (!rope) return;
    brew_host_free(be, rope->cos);
    brew_host_free(be, rope->sin);
    free(rope);
}

struct embed_job {
    const brew_tensor *tensor;
    const int32_t *ids;
    int64_t m, c;
    float *x;
};

enum { EMBED_ROWS = 64 };

static void embed_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct embed_job *job = arg;
    int64_t end = ((int64_t)task + 1) * EMBED_ROWS;
    if (end > job->m) end = job->m;
    for (int64_t m = (int64_t)task * EMBED_ROWS; m < end; m++)
        brew_tensor_rows(job->tensor, job->ids[m], 1, job->x + m * job->c);
}

void brew_host_embed(brew_backend *be, const brew_table *table, const int32_t *ids, int64_t m,
                     float *x) {
    struct embed_job job = {&table->tensor, ids, m, brew_tensor_row_len(&table->tensor), x};
    brew_pool_run(be->pool, (size_t)((m + EMBED_ROWS - 1) / EMBED_ROWS), embed_task, &job);
}

void brew_host_gather(brew_backend *be, const float *x, int64_t c, const int64_t *rows, int64_t n,
                      float *out) {
    (void)be;
    for (int64_t i = 0; i < n; i++) memcpy(out + i * c, x + rows[i] * c, (size_t)c * sizeof *out);
}

void brew_host_zero(brew_backend *be, void *ptr, size_t bytes) {
    (void)be;
    if (bytes) memset(ptr, 0, bytes);
}

void brew_host_scatter(brew_backend *be, const float *from, int64_t c, const int64_t *rows,
                       int64_t n, float *x) {
    (void)be;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < c; j++) x[rows[i] * c + j] += from[i * c + j];
}

void brew_host_embed_back(brew_backend *be, const int32_t *ids, int64_t m, int64_t c,
                          const float *dx, float *dtable) {
    (void)be;
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < c; j++) dtable[ids[i] * c + j] += dx[i * c + j];
}

int brew_host_weight_check(const brew_tensor *const *parts, const brew_tensor *const *biases,
                           size_t n_parts, enum brew_weight_form form, int64_t *n_out,
                           int64_t *width, brew_err *err) {
    *n_out = 0;
    *width = n_parts ? brew_tensor_row_len(parts[0]) : 0;
    if (!n_parts) return brew_fail(err, BREW_INTERNAL, "a weight without parts");
    if (form == BREW_WEIGHT_GATE_UP && (n_parts != 2 || biases))
        return brew_fail(err, BREW_INTERNAL,
                         "a gate and up weight must have two parts and no bias");
    for (size_t i = 0; i < n_parts; i++) {
        const brew_tensor *part = parts[i];
        size_t bytes;
        if (part->n_dims != 2 || part->dtype > BREW_I8 ||
            (part->dtype == BREW_I8 && !part->row_scales) || !brew_tensor_bytes(part, &bytes))
            return brew_fail(err, BREW_DATA,
                             "a weight must be a matrix of real numbers, not %s with %d dimensions",
                             brew_dtype_name(part->dtype), part->n_dims);
        if (part->shape[1] != *width || part->shape[0] < 1 || part->shape[1] < 1)
            return brew_fail(
                err, BREW_DATA, "a weight has shape %lld x %lld where the width is %lld",
                (long long)part->shape[0], (long long)part->shape[1], (long long)*width);
        if (form == BREW_WEIGHT_GATE_UP && part->shape[0] != parts[0]->shape[0])
            return brew_fail(err, BREW_DATA, "gate has %lld outputs and up has %lld",
                             (long long)parts[0]->shape[0], (long long)part->shape[0]);
        if (biases && biases[i] &&
            brew_tensor_row_len(biases[i]) * brew_tensor_n_rows(biases[i]) != part->shape[0])
            return brew_fail(
                err, BREW_DATA, "a bias has %lld values for %lld outputs",
                (long long)(brew_tensor_row_len(biases[i]) * brew_tensor_n_rows(biases[i])),
                (long long)part->shape[0]);
        *n_out += part->shape[0];
    }
    return 0;
}

int brew_host_weight_scheme(const brew_tensor *const *parts, size_t n_parts,
                            enum brew_dtype *scheme, brew_err *err) {
    for (size_t i = 0; i < n_parts; i++) {
        enum brew_dtype own = parts[i]->row_scales ? parts[i]->dtype : BREW_F32;
        if (i && own != *scheme)
            return brew_fail(err, BREW_DATA, "parts of one weight are quantised differently");
        *scheme = own;
        for (int64_t n = 0; own != BREW_F32 && n < parts[i]->shape[0]; n++)
            if (!(parts[i]->row_scales[n] > 0 && isfinite(parts[i]->row_scales[n])))
                return brew_fail(err, BREW_DATA, "scale %lld of a quantised weight is not positive",
                                 (long long)n);
    }
    return 0;
}

int brew_host_shape_check(const brew_attention_shape *shape, brew_err *err) {
    if (shape->kv_heads < 1 || shape->heads < 1 || shape->heads % shape->kv_heads)
        return brew_fail(err, BREW_DATA,
                         "%lld heads are not a multiple of %lld key and value heads",
                         (long long)shape->heads, (long long)shape->kv_heads);
    if (shape->head_dim < 2 || shape->head_dim % 2 || shape->head_dim > BREW_MAX_HEAD_DIM)
        return brew_fail(err, BREW_DATA, "heads are %lld wide; they must be even and at most %d",
                         (long long)shape->head_dim, BREW_MAX_HEAD_DIM);
    return 0;
}
