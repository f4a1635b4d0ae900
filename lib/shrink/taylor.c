#include "shrink/taylor.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/json.h"
#include "model/learner.h"
#include "model/names.h"
#include "text/request.h"
#include "train/loss.h"

enum { CHUNK_ROWS = 64 };

struct job {
    brew_learner *learner;
    const brew_config *config;
    const brew_star *star;
    const bool *skip;
    brew_taylor *taylor;
    size_t (*at)[2]; // [L] parameters: output projection, down projection
    double *slopes;  // [L][H D + F] of a request: w dl/dw, summed over the rows of a column
    int64_t columns; // H D + F
    float *rows;     // [threads][2 CHUNK_ROWS widest]
    int64_t widest;
    brew_star batch; // one request
    brew_reads reads;
    brew_read_result result;
    float *d_logits;
    size_t d_logits_cap;
};

static size_t parameter(const brew_learner *learner, enum brew_role role, int64_t layer) {
    char name[128];
    brew_role_name(name, sizeof name, false, role, layer);
    for (size_t i = 0; i < brew_learner_n(learner); i++)
        if (!strcmp(brew_learner_parameter(learner, i)->name, name)) return i;
    brew_bug("the learner has no %s", name);
}

// A layer without these adds nothing: it is as if it were not there.
static void silence(const struct job *job, enum brew_role role, int64_t layer) {
    size_t at = parameter(job->learner, role, layer);
    const brew_parameter *p = brew_learner_parameter(job->learner, at);
    float *zeros = brew_calloc((size_t)(p->rows * p->cols), sizeof *zeros);
    brew_learner_set(job->learner, BREW_VALUES, at, 0, p->rows, zeros);
    free(zeros);
}

static void find_parameters(struct job *job) {
    const brew_config *c = job->config;
    job->at = brew_calloc((size_t)c->layers, sizeof *job->at);
    for (int64_t l = 0; l < c->layers; l++) {
        job->at[l][0] = parameter(job->learner, BREW_OUT, l);
        job->at[l][1] = parameter(job->learner, BREW_DOWN, l);
        if (!job->skip || !job->skip[l]) continue;
        silence(job, BREW_OUT, l);
        silence(job, BREW_DOWN, l);
        if (c->out_bias) silence(job, BREW_OUT_BIAS, l);
    }
    brew_learner_refresh(job->learner);
}

// ---- one request ----

// Column sums of w dl/dw of one matrix.
static void matrix_task(void *arg, size_t index, int worker) {
    const struct job *job = arg;
    size_t layer = index / 2, at = job->at[layer][index % 2];
    const brew_parameter *p = brew_learner_parameter(job->learner, at);
    float *w = job->rows + worker * 2 * CHUNK_ROWS * job->widest,
          *slope = w + CHUNK_ROWS * job->widest;
    double *sums = job->slopes + (int64_t)layer * job->columns +
                   (index % 2 ? job->columns - job->config->mlp : 0);
    memset(sums, 0, (size_t)p->cols * sizeof *sums);
    if (job->skip && job->skip[layer]) return;
    for (int64_t row = 0, n; row < p->rows; row += n) {
        n = p->rows - row < CHUNK_ROWS ? p->rows - row : CHUNK_ROWS;
        brew_learner_get(job->learner, BREW_VALUES, at, row, n, w);
        brew_learner_get(job->learner, BREW_GRADIENTS, at, row, n, slope);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j < p->cols; j++)
                sums[j] += (double)w[i * p->cols + j] * slope[i * p->cols + j];
    }
}

static void add_squares(struct job *job) {
    const brew_config *c = job->config;
    brew_taylor *t = job->taylor;
    for (int64_t l = 0; l < c->layers; l++) {
        const double *slopes = job->slopes + l * job->columns;
        for (int64_t h = 0; h < c->heads; h++) {
            double sum = 0;
            for (int64_t i = 0; i < c->head_dim; i++) sum += slopes[h * c->head_dim + i];
            t->heads[l * c->heads + h] += sum * sum;
        }
        slopes += c->heads * c->head_dim;
        for (int64_t f = 0; f < c->mlp; f++) t->neurons[l * c->mlp + f] += slopes[f] * slopes[f];
    }
    t->requests++;
}

// The known answers of the request's items.
static void list_reads(struct job *job) {
    const brew_star *star = &job->batch;
    brew_reads_reset(&job->reads);
    for (size_t a = 0; a < brew_star_items(star, 0); a++) {
        int32_t set = star->answer_set[a];
        if (star->targets[a] >= 0)
            brew_reads_add(&job->reads, star->answers[a], star->label_ids + star->label_splits[set],
                           (size_t)brew_star_labels(star, a));
    }
}

static int loss_slopes(struct job *job, brew_err *err) {
    const brew_star *star = &job->batch;
    const brew_reads *reads = &job->reads;
    size_t len, read = 0;
    const char *line = brew_star_meta(star, 0, &len);
    brew_json *meta = line ? brew_json_parse(line, len, err) : NULL;
    if (line && !meta) return -1;
    int status = 0;
    BREW_GROW(job->d_logits, (size_t)reads->splits[reads->n] + 1, job->d_logits_cap);
    memset(job->d_logits, 0, (size_t)reads->splits[reads->n] * sizeof *job->d_logits);
    for (size_t a = 0; a < brew_star_items(star, 0) && !status; a++) {
        if (star->targets[a] < 0) continue;
        int64_t at = reads->splits[read++];
        size_t k = (size_t)brew_star_labels(star, a);
        uint8_t *positive = brew_calloc(k, 1);
        status = brew_request_positive(meta, a, k, positive, err);
        brew_logits row = {.k = k, .z = job->result.logits + at};
        if (!status)
            brew_loss_labels(&row, star->targets[a], positive, star->offsets[a], star->weights[a],
                             job->d_logits + at);
        free(positive);
    }
    brew_json_free(meta);
    return status;
}

static int run_request(struct job *job, brew_pool *pool, size_t r, brew_err *err) {
    brew_star_reset(&job->batch);
    brew_star_append(&job->batch, job->star, r);
    list_reads(job);
    if (!job->reads.n) return 0;
    if (brew_learner_forward(job->learner, &job->batch, &job->reads, true, &job->result, err) ||
        loss_slopes(job, err) ||
        brew_learner_backward(job->learner, job->d_logits, NULL, NULL, err))
        return -1;
    brew_pool_run(pool, (size_t)(2 * job->config->layers), matrix_task, job);
    brew_learner_drop(job->learner);
    add_squares(job);
    return 0;
}

static int run(struct job *job, brew_pool *pool, brew_err *err) {
    const brew_config *c = job->config;
    int64_t hd = c->heads * c->head_dim;
    int status = 0;
    job->columns = hd + c->mlp;
    job->widest = hd > c->mlp ? hd : c->mlp;
    job->rows = brew_realloc_array(
        NULL, (size_t)brew_pool_threads(pool) * 2 * CHUNK_ROWS * (size_t)job->widest,
        sizeof *job->rows);
    job->slopes = brew_calloc((size_t)(c->layers * job->columns), sizeof *job->slopes);
    job->taylor->heads = brew_calloc((size_t)(c->layers * c->heads), sizeof(double));
    job->taylor->neurons = brew_calloc((size_t)(c->layers * c->mlp), sizeof(double));
    find_parameters(job);
    for (size_t r = 0; r < job->star->n_requests && !status; r++)
        status = run_request(job, pool, r, err);
    if (!status && !job->taylor->requests)
        status = brew_fail(err, BREW_DATA, "no calibration request has a known answer");
    return status;
}

int brew_taylor_of(const brew_modeldir *dir, brew_backend *be, const brew_star *star,
                   const bool *skip, brew_taylor *taylor, brew_err *err) {
    brew_learner_options options = {.recompute = BREW_RECOMPUTE_MLP, .freeze_embedding = true};
    struct job job = {.star = star, .skip = skip, .taylor = taylor};
    *taylor = (brew_taylor){0};
    if (!(job.learner = brew_learner_open(dir, be, &options, err))) return -1;
    job.config = brew_learner_config(job.learner);
    int status = run(&job, be->pool, err);
    brew_star_release(&job.batch);
    brew_reads_release(&job.reads);
    brew_read_result_release(&job.result);
    brew_learner_free(job.learner);
    free(job.at);
    free(job.slopes);
    free(job.rows);
    free(job.d_logits);
    return status;
}

void brew_taylor_release(brew_taylor *taylor) {
    free(taylor->heads);
    free(taylor->neurons);
    *taylor = (brew_taylor){0};
}
