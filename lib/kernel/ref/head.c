#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "kernel/ref/ref.h"

static double logit(const brew_tensor *table, int64_t id, const float *h, int64_t c, float *row) {
    brew_tensor_rows(table, id, 1, row);
    double sum = 0;
    for (int64_t i = 0; i < c; i++) sum += (double)h[i] * row[i];
    return sum;
}

void brew_ref_label_logits(brew_backend *be, const brew_table *table, const float *h, int64_t c,
                           const int64_t *rows, const int32_t *ids, int64_t n, float *logits) {
    (void)be;
    float *row = brew_alloc((size_t)c * sizeof *row);
    for (int64_t i = 0; i < n; i++)
        logits[i] = (float)logit(&table->tensor, ids[i], h + rows[i] * c, c, row);
    free(row);
}

struct lse_job {
    const brew_tensor *table;
    const float *h;
    int64_t c;
    const int64_t *skip_splits; // NULL: none
    const int32_t *skip_ids;
    float *lse;
};

static void lse_row(void *arg, size_t r, int worker) {
    (void)worker;
    const struct lse_job *job = arg;
    int64_t vocab = brew_tensor_n_rows(job->table);
    double *logits = brew_alloc((size_t)vocab * sizeof *logits), most = -INFINITY, sum = 0;
    float *row = brew_alloc((size_t)job->c * sizeof *row);
    for (int64_t v = 0; v < vocab; v++) {
        logits[v] = logit(job->table, v, job->h + (int64_t)r * job->c, job->c, row);
    }
    for (int64_t i = job->skip_splits ? job->skip_splits[r] : 0,
                 end = job->skip_splits ? job->skip_splits[r + 1] : 0;
         i < end; i++)
        logits[job->skip_ids[i]] = -INFINITY;
    for (int64_t v = 0; v < vocab; v++)
        if (!(logits[v] <= most)) most = logits[v];
    for (int64_t v = 0; v < vocab; v++) sum += exp(logits[v] - most);
    job->lse[r] = (float)(most + log(sum));
    free(row);
    free(logits);
}

void brew_ref_head_lse(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                       int64_t c, const int64_t *skip_splits, const int32_t *skip_ids, float *lse) {
    struct lse_job job = {&table->tensor, h, c, skip_splits, skip_ids, lse};
    brew_pool_run(be->pool, (size_t)r, lse_row, &job);
}
