#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kernel/ref/ref.h"

// The logits' gradients reach dh by rows and dtable by columns: two passes, each of which computes the
// coefficients dz[r, v] that it needs anew.

struct back_job {
    const brew_tensor *table;
    const float *h;
    int64_t r, c, first, n; // columns: table rows [first, first + n)
    const int64_t *skip_splits;
    const int32_t *skip_ids;
    const float *lse, *g; // of head_lse
    const float *dz;      // [R, N] of head_logits, or NULL
    float *dh, *dtable;
};

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

static bool skipped(const struct back_job *job, int64_t r, int64_t v) {
    if (!job->skip_splits) return false;
    for (int64_t i = job->skip_splits[r]; i < job->skip_splits[r + 1]; i++)
        if (job->skip_ids[i] == v) return true;
    return false;
}

// The gradient of the logit of row r and table row v, whose values are `row`.
static double coefficient(const struct back_job *job, int64_t r, int64_t v, const float *row) {
    if (job->dz) return job->dz[r * job->n + v - job->first];
    if (job->g[r] == 0 || skipped(job, r, v)) return 0;
    return job->g[r] * exp(dot(job->h + r * job->c, row, job->c) - job->lse[r]);
}

static void add_scaled(double *sum, double scale, const float *row, int64_t c) {
    for (int64_t i = 0; i < c; i++) sum[i] += scale * row[i];
}

static void add_sum(float *to, const double *sum, int64_t c) {
    for (int64_t i = 0; i < c; i++) to[i] = (float)(to[i] + sum[i]);
}

static void back_row(void *arg, size_t task, int worker) {
    (void)worker;
    const struct back_job *job = arg;
    int64_t r = (int64_t)task;
    if (!job->dz && job->g[r] == 0) return;
    double *sum = brew_calloc((size_t)job->c, sizeof *sum);
    float *row = brew_alloc((size_t)job->c * sizeof *row);
    for (int64_t v = job->first; v < job->first + job->n; v++) {
        brew_tensor_rows(job->table, v, 1, row);
        add_scaled(sum, coefficient(job, r, v, row), row, job->c);
    }
    add_sum(job->dh + r * job->c, sum, job->c);
    free(row);
    free(sum);
}

static void back_column(void *arg, size_t task, int worker) {
    (void)worker;
    const struct back_job *job = arg;
    int64_t v = job->first + (int64_t)task;
    double *sum = brew_calloc((size_t)job->c, sizeof *sum);
    float *row = brew_alloc((size_t)job->c * sizeof *row);
    brew_tensor_rows(job->table, v, 1, row);
    for (int64_t r = 0; r < job->r; r++)
        add_scaled(sum, coefficient(job, r, v, row), job->h + r * job->c, job->c);
    add_sum(job->dtable + v * job->c, sum, job->c);
    free(row);
    free(sum);
}

static void run_back(brew_backend *be, struct back_job *job) {
    brew_pool_run(be->pool, (size_t)job->r, back_row, job);
    if (job->dtable) brew_pool_run(be->pool, (size_t)job->n, back_column, job);
}

void brew_ref_label_logits_back(brew_backend *be, const brew_table *table, const float *h,
                                int64_t c, const int64_t *rows, const int32_t *ids, int64_t n,
                                const float *dlogits, float *dh, float *dtable) {
    (void)be;
    float *row = brew_alloc((size_t)c * sizeof *row);
    for (int64_t i = 0; i < n; i++) {
        brew_tensor_rows(&table->tensor, ids[i], 1, row);
        for (int64_t j = 0; j < c; j++) {
            float *to = dh + rows[i] * c + j;
            *to = (float)(*to + (double)dlogits[i] * row[j]);
            if (!dtable) continue;
            to = dtable + ids[i] * c + j;
            *to = (float)(*to + (double)dlogits[i] * h[rows[i] * c + j]);
        }
    }
    free(row);
}

void brew_ref_head_lse_back(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                            int64_t c, const int64_t *skip_splits, const int32_t *skip_ids,
                            const float *lse, const float *g, float *dh, float *dtable) {
    struct back_job job = {.table = &table->tensor,
                           .h = h,
                           .r = r,
                           .c = c,
                           .n = brew_tensor_n_rows(&table->tensor),
                           .skip_splits = skip_splits,
                           .skip_ids = skip_ids,
                           .lse = lse,
                           .g = g,
                           .dh = dh,
                           .dtable = dtable};
    run_back(be, &job);
}

void brew_ref_head_logits(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                          int64_t c, int64_t first, int64_t n, float *z) {
    (void)be;
    float *row = brew_alloc((size_t)c * sizeof *row);
    for (int64_t v = 0; v < n; v++) {
        brew_tensor_rows(&table->tensor, first + v, 1, row);
        for (int64_t i = 0; i < r; i++) z[i * n + v] = (float)dot(h + i * c, row, c);
    }
    free(row);
}

void brew_ref_head_logits_back(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                               int64_t c, int64_t first, int64_t n, const float *dz, float *dh,
                               float *dtable) {
    struct back_job job = {.table = &table->tensor,
                           .h = h,
                           .r = r,
                           .c = c,
                           .first = first,
                           .n = n,
                           .dz = dz,
                           .dh = dh,
                           .dtable = dtable};
    run_back(be, &job);
}
