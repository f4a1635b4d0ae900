#include "shrink/sensitivity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "io/json.h"
#include "model/learner.h"
#include "model/names.h"
#include "rank/score.h"
#include "text/request.h"

enum { BATCH_TOKENS = 2048, CHUNK_ROWS = 64 };

// A matrix of some group: where its weights and its gradient are.
struct matrix {
    brew_tensor tensor;
    size_t parameter; // of the learner
    size_t group;     // layer * BREW_GROUPS + group
    double sum;       // <gradient, W' - W> of the batch
};

struct job {
    brew_learner *learner;
    const brew_star *star;
    enum brew_dtype scheme;
    uint64_t seed, answers; // answers so far
    struct matrix *matrices;
    size_t n;
    double *sums; // [groups] of a batch
    size_t groups;
    double *values;
    float *rows;    // [threads][3 CHUNK_ROWS widest]
    int64_t widest; // row
    brew_star batch;
    brew_reads reads;
    brew_read_result result;
    float *slopes; // of the batch's logits
    size_t slopes_cap;
};

static int find_matrices(struct job *job, const brew_modeldir *dir, brew_err *err) {
    const brew_config *c = brew_learner_config(job->learner);
    job->groups = (size_t)c->layers * BREW_GROUPS;
    job->matrices = brew_calloc((size_t)c->layers * BREW_ROLES, sizeof *job->matrices);
    job->sums = brew_calloc(job->groups, sizeof *job->sums);
    for (int64_t l = 0; l < c->layers; l++)
        for (int r = BREW_FIRST_OF_LAYER; r < BREW_ROLES; r++) {
            enum brew_role role = (enum brew_role)r;
            if (brew_group_of(role) == BREW_GROUPS) continue;
            struct matrix *m = &job->matrices[job->n];
            char name[128];
            brew_role_name(name, sizeof name, false, role, l);
            while (strcmp(brew_learner_parameter(job->learner, m->parameter)->name, name))
                if (++m->parameter == brew_learner_n(job->learner))
                    brew_bug("the learner has no %s", name);
            m->group = (size_t)l * BREW_GROUPS + brew_group_of(role);
            if (brew_role_find(c, dir, role, l, &m->tensor, err) < 0) return -1;
            if (m->tensor.shape[1] > job->widest) job->widest = m->tensor.shape[1];
            job->n++;
        }
    return 0;
}

// ---- one batch ----

static void matrix_task(void *arg, size_t index, int worker) {
    const struct job *job = arg;
    struct matrix *m = &job->matrices[index];
    int64_t cols = m->tensor.shape[1], most = CHUNK_ROWS * job->widest;
    float *w = job->rows + worker * 3 * most, *rounded = w + most, *slope = w + 2 * most;
    m->sum = 0;
    for (int64_t row = 0, n; row < m->tensor.shape[0]; row += n) {
        n = m->tensor.shape[0] - row < CHUNK_ROWS ? m->tensor.shape[0] - row : CHUNK_ROWS;
        brew_tensor_rows(&m->tensor, row, n, w);
        memcpy(rounded, w, (size_t)(n * cols) * sizeof *w);
        brew_learner_get(job->learner, BREW_GRADIENTS, m->parameter, row, n, slope);
        for (int64_t i = 0; i < n; i++) {
            float scale;
            const float *from = w + i * cols, *to = rounded + i * cols, *d = slope + i * cols;
            double sum = 0;
            brew_round_row(job->scheme, rounded + i * cols, cols, &scale);
            for (int64_t j = 0; j < cols; j++) sum += (double)(d[j] * (to[j] * scale - from[j]));
            m->sum += sum;
        }
    }
}

// The slopes of the log-odds of answer a at its labels: those of the log-sum-exp of the positive ones,
// less those of the others.
static int answer_slopes(struct job *job, const brew_star *star, size_t a, size_t item,
                         const brew_json *meta, const float *logits, float *slopes, brew_err *err) {
    size_t k = (size_t)brew_star_labels(star, a);
    uint8_t *positive = brew_calloc(k, 1);
    double *p = brew_calloc(k, sizeof *p), sums[2] = {0, 0};
    int status = brew_request_positive(meta, item, k, positive, err);
    if (!status) {
        brew_score_softmax(logits, k, positive, star->offsets[a], p);
        for (size_t i = 0; i < k; i++) sums[positive[i] != 0] += p[i];
        double sign = brew_rand_u64(job->seed, 0, job->answers++) & 1 ? 1 : -1;
        sign *= sqrt((double)star->weights[a]);
        for (size_t i = 0; i < k; i++) {
            double share = p[i] / sums[positive[i] != 0];
            slopes[i] = sums[0] > 0 && sums[1] > 0
                            ? (float)(positive[i] ? sign * share : -sign * share)
                            : 0;
        }
    }
    free(positive);
    free(p);
    return status;
}

static int batch_slopes(struct job *job, brew_err *err) {
    const brew_star *star = &job->batch;
    size_t read = 0;
    int status = 0;
    BREW_GROW(job->slopes, (size_t)job->reads.splits[job->reads.n], job->slopes_cap);
    for (size_t r = 0; r < star->n_requests && !status; r++) {
        size_t len, first = (size_t)star->answer_splits[r];
        const char *line = brew_star_meta(star, r, &len);
        brew_json *meta = line ? brew_json_parse(line, len, err) : NULL;
        if (line && !meta) return -1;
        for (size_t i = 0; i < brew_star_items(star, r) && !status; i++, read++) {
            int64_t at = job->reads.splits[read];
            status = answer_slopes(job, star, first + i, i, meta, job->result.logits + at,
                                   job->slopes + at, err);
        }
        brew_json_free(meta);
    }
    return status;
}

static int run_batch(struct job *job, brew_pool *pool, brew_err *err) {
    const brew_star *star = &job->batch;
    brew_reads_reset(&job->reads);
    for (size_t r = 0; r < star->n_requests; r++)
        for (size_t i = 0; i < brew_star_items(star, r); i++) {
            size_t a = (size_t)star->answer_splits[r] + i;
            int32_t set = star->answer_set[a];
            brew_reads_add(&job->reads, star->answers[a], star->label_ids + star->label_splits[set],
                           (size_t)brew_star_labels(star, a));
        }
    if (!job->reads.n) return 0;
    if (brew_learner_forward(job->learner, star, &job->reads, true, &job->result, err) ||
        batch_slopes(job, err) || brew_learner_backward(job->learner, job->slopes, NULL, NULL, err))
        return -1;
    brew_pool_run(pool, job->n, matrix_task, job);
    brew_learner_drop(job->learner);
    memset(job->sums, 0, job->groups * sizeof *job->sums);
    for (size_t i = 0; i < job->n; i++) job->sums[job->matrices[i].group] += job->matrices[i].sum;
    for (size_t g = 0; g < job->groups; g++) job->values[g] += job->sums[g] * job->sums[g];
    return 0;
}

static int run(struct job *job, brew_pool *pool, brew_err *err) {
    size_t rows = (size_t)brew_pool_threads(pool) * 3 * CHUNK_ROWS * (size_t)job->widest;
    job->rows = brew_realloc_array(NULL, rows, sizeof *job->rows);
    for (size_t r = 0; r < job->star->n_requests; r++) {
        brew_star_append(&job->batch, job->star, r);
        if (job->batch.n_ids < BATCH_TOKENS && r + 1 < job->star->n_requests) continue;
        if (run_batch(job, pool, err)) return -1;
        brew_star_reset(&job->batch);
    }
    return 0;
}

int brew_sensitivity(const brew_modeldir *dir, brew_backend *be, const brew_star *star,
                     enum brew_dtype scheme, uint64_t seed, double *values, brew_err *err) {
    brew_learner_options options = {.recompute = BREW_RECOMPUTE_MLP, .freeze_embedding = true};
    struct job job = {.star = star, .scheme = scheme, .seed = seed, .values = values};
    if (!(job.learner = brew_learner_open(dir, be, &options, err))) return -1;
    int status = find_matrices(&job, dir, err);
    memset(values, 0, job.groups * sizeof *values);
    if (!status) status = run(&job, be->pool, err);
    brew_star_release(&job.batch);
    brew_reads_release(&job.reads);
    brew_read_result_release(&job.result);
    brew_learner_free(job.learner);
    for (size_t i = 0; i < job.n; i++) brew_role_release(&job.matrices[i].tensor);
    free(job.matrices);
    free(job.sums);
    free(job.rows);
    free(job.slopes);
    return status;
}
