#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/ref/ref.h"

// Whom a row sees: keys at positions [first, pos], of the query below `split`, its own from there on.
struct place {
    int64_t pos, first, split, query; // query: the request's first row
};

struct star_job {
    const brew_backend *be;
    int64_t heads, kv_heads, d, width;
    double scale;
    const uint8_t *wanted;
    const struct place *places;
    const float *x; // qkv as products see it
    int64_t rows;
    // forward
    float *new_out, *new_lse;
    // backward
    const float *out, *lse, *dout;
    float *dqkv;
};

static struct place *find_places(const brew_layout *layout, int64_t rows, int64_t window) {
    struct place *places = brew_calloc((size_t)rows + 1, sizeof *places);
    for (size_t r = 0; r < layout->n_requests; r++) {
        int64_t first = layout->requests[r], query = layout->segments[first];
        for (int64_t s = first; s < layout->requests[r + 1]; s++) {
            int64_t split = s == first ? 0 : layout->segments[first + 1] - query;
            for (int64_t row = layout->segments[s]; row < layout->segments[s + 1]; row++) {
                int64_t pos = split + row - layout->segments[s], low = pos - window + 1;
                places[row] = (struct place){pos, window > 0 && low > 0 ? low : 0, split, query};
            }
        }
    }
    return places;
}

static int64_t key_row(const struct star_job *job, int64_t row, int64_t j) {
    const struct place *place = &job->places[row];
    return j < place->split ? place->query + j : row - place->pos + j;
}

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

// The head h's query, and the key and the value that it reads, of a row.
static const float *query_of(const struct star_job *job, int64_t row, int64_t h) {
    return job->x + row * job->width + h * job->d;
}
static const float *key_of(const struct star_job *job, int64_t row, int64_t h) {
    return job->x + row * job->width + (job->heads + h * job->kv_heads / job->heads) * job->d;
}
static const float *value_of(const struct star_job *job, int64_t row, int64_t h) {
    return key_of(job, row, h) + job->kv_heads * job->d;
}

static struct star_job new_job(const brew_backend *be, const brew_attention_shape *shape,
                               const brew_layout *layout, double scale, int64_t window,
                               const uint8_t *wanted, const float *qkv) {
    int64_t rows = layout->segments[layout->requests[layout->n_requests]];
    int64_t width = (shape->heads + 2 * shape->kv_heads) * shape->head_dim;
    float *x = brew_alloc((size_t)(rows * width) * sizeof *x + 1);
    for (int64_t i = 0; i < rows * width; i++) x[i] = brew_ref_round(be, qkv[i]);
    return (struct star_job){.be = be,
                             .heads = shape->heads,
                             .kv_heads = shape->kv_heads,
                             .d = shape->head_dim,
                             .width = width,
                             .scale = scale,
                             .wanted = wanted,
                             .places = find_places(layout, rows, window),
                             .x = x,
                             .rows = rows};
}

static void free_job(const struct star_job *job) {
    free((void *)job->places);
    free((void *)job->x);
}

static void keep_row(void *arg, size_t index, int worker) {
    (void)worker;
    const struct star_job *job = arg;
    int64_t row = (int64_t)index, d = job->d;
    const struct place *place = &job->places[row];
    float *out = job->new_out + row * job->heads * d;
    memset(out, 0, (size_t)(job->heads * d) * sizeof *out);
    if (job->wanted && !job->wanted[row]) return;
    double *score = brew_alloc((size_t)(place->pos + 1 + d) * sizeof *score);
    double *sum = score + place->pos + 1;
    for (int64_t h = 0; h < job->heads; h++, out += d) {
        double most = -INFINITY, total = 0;
        for (int64_t j = place->first; j <= place->pos; j++) {
            const float *key = key_of(job, key_row(job, row, j), h);
            score[j] = job->scale * dot(query_of(job, row, h), key, d);
            if (!(score[j] <= most)) most = score[j];
        }
        for (int64_t e = 0; e < d; e++) sum[e] = 0;
        for (int64_t j = place->first; j <= place->pos; j++) {
            const float *value = value_of(job, key_row(job, row, j), h);
            double p = exp(score[j] - most), rounded = brew_ref_round(job->be, p);
            total += p;
            for (int64_t e = 0; e < d; e++) sum[e] += rounded * value[e];
        }
        for (int64_t e = 0; e < d; e++) out[e] = brew_ref_round(job->be, sum[e] / total);
        job->new_lse[row * job->heads + h] = (float)(most + log(total));
    }
    free(score);
}

void brew_ref_attend_keep(brew_backend *be, const brew_attention_shape *shape,
                          const brew_layout *layout, double scale, int64_t window,
                          const uint8_t *wanted, const float *qkv, brew_operand *out, float *lse) {
    struct star_job job = new_job(be, shape, layout, scale, window, wanted, qkv);
    job.new_out = out->data;
    job.new_lse = lse;
    brew_pool_run(be->pool, (size_t)job.rows, keep_row, &job);
    free_job(&job);
}

// One row of one head. With p_j = exp(s_j - lse) and delta = sum of p_j (dout . v_j) = dout . out:
//     dv_j += p_j dout;  ds_j = p_j (dout . v_j - delta);  dq = scale sum of ds_j k_j;
//     dk_j += scale ds_j q.  The factor `scale` of dk is left to the caller.
static void back_row(const struct star_job *job, int64_t row, int64_t h, double *dq, double *dk,
                     double *dv) {
    int64_t d = job->d;
    const struct place *place = &job->places[row];
    const float *q = query_of(job, row, h);
    const float *out = job->out + (row * job->heads + h) * d;
    float dout[BREW_MAX_HEAD_DIM];
    for (int64_t e = 0; e < d; e++) {
        dout[e] = brew_ref_round(job->be, job->dout[(row * job->heads + h) * d + e]);
        dq[e] = 0;
    }
    double delta = dot(dout, out, d), lse = job->lse[row * job->heads + h];
    for (int64_t j = place->first; j <= place->pos; j++) {
        int64_t at = key_row(job, row, j);
        const float *key = key_of(job, at, h), *value = value_of(job, at, h);
        double p = exp(job->scale * dot(q, key, d) - lse);
        double ds = brew_ref_round(job->be, p * (dot(dout, value, d) - delta));
        double rounded = brew_ref_round(job->be, p);
        for (int64_t e = 0; e < d; e++) {
            dv[at * d + e] += rounded * dout[e];
            dk[at * d + e] += ds * q[e];
            dq[e] += ds * key[e];
        }
    }
    float *to = job->dqkv + row * job->width + h * d;
    for (int64_t e = 0; e < d; e++) to[e] = (float)(job->scale * dq[e]);
}

// One kv head: its heads in order, of each its rows in order.
static void back_head(void *arg, size_t kv_head, int worker) {
    (void)worker;
    const struct star_job *job = arg;
    int64_t d = job->d, group = job->heads / job->kv_heads, n = job->rows * d;
    double *dk = brew_calloc((size_t)(2 * n + d), sizeof *dk), *dv = dk + n, *dq = dv + n;
    for (int64_t h = (int64_t)kv_head * group; h < ((int64_t)kv_head + 1) * group; h++)
        for (int64_t row = 0; row < job->rows; row++)
            if (!job->wanted || job->wanted[row])
                back_row(job, row, h, dq, dk, dv);
            else
                memset(job->dqkv + row * job->width + h * d, 0, (size_t)d * sizeof(float));
    for (int64_t row = 0; row < job->rows; row++) {
        float *to = job->dqkv + row * job->width + (job->heads + (int64_t)kv_head) * d;
        for (int64_t e = 0; e < d; e++) {
            to[e] = (float)(job->scale * dk[row * d + e]);
            to[job->kv_heads * d + e] = (float)dv[row * d + e];
        }
    }
    free(dk);
}

void brew_ref_attend_back(brew_backend *be, const brew_attention_shape *shape,
                          const brew_layout *layout, double scale, int64_t window,
                          const uint8_t *wanted, const float *qkv, const float *out,
                          const float *lse, const float *dout, float *dqkv) {
    struct star_job job = new_job(be, shape, layout, scale, window, wanted, qkv);
    job.out = out;
    job.lse = lse;
    job.dout = dout;
    job.dqkv = dqkv;
    brew_pool_run(be->pool, (size_t)shape->kv_heads, back_head, &job);
    free_job(&job);
}
