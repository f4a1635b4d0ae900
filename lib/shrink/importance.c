#include "shrink/importance.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/train_ops.h"

struct brew_importance {
    brew_model *model;
    const brew_config *config;
    brew_backend *be;
    const bool *skip;
    int64_t rows, first; // seen by layer `first`
    double *blocks;      // [L][H][D][D] Gram matrices of the heads
    double *squares;     // [L][F]
    // Whole Gram matrices in the layout of a weight's gradient, and one of them by rows.
    brew_slab attended, mlp;
    int64_t attended_floats, mlp_floats;
    float *gram;
    brew_forward_result result;
};

static bool needs_slabs(brew_importance *imp, brew_err *err) {
    const brew_config *c = imp->config;
    const brew_train_ops *train = imp->be->ops->train;
    int64_t hd = c->heads * c->head_dim, widest = hd > c->mlp ? hd : c->mlp;
    imp->attended_floats = train->weight_floats(imp->be, hd, hd);
    imp->mlp_floats = train->weight_floats(imp->be, c->mlp, c->mlp);
    imp->gram = brew_realloc_array(NULL, (size_t)(widest * widest), sizeof *imp->gram);
    return !brew_slab_init(&imp->attended, (size_t)(c->layers * imp->attended_floats) * 4,
                           "Gram matrices", err) &&
           !brew_slab_init(&imp->mlp, (size_t)(c->layers * imp->mlp_floats) * 4, "Gram matrices",
                           err);
}

brew_importance *brew_importance_new(brew_model *model, bool grams, brew_err *err) {
    brew_importance *imp = brew_calloc(1, sizeof *imp);
    const brew_config *c = imp->config = brew_model_config(model);
    imp->model = model;
    imp->be = brew_model_backend(model);
    imp->blocks = brew_calloc((size_t)(c->layers * c->heads * c->head_dim * c->head_dim),
                              sizeof *imp->blocks);
    imp->squares = brew_calloc((size_t)(c->layers * c->mlp), sizeof *imp->squares);
    if (!grams || needs_slabs(imp, err)) return imp;
    brew_importance_free(imp);
    return NULL;
}

void brew_importance_free(brew_importance *imp) {
    if (!imp) return;
    brew_forward_result_release(&imp->result);
    brew_slab_release(&imp->attended);
    brew_slab_release(&imp->mlp);
    free(imp->gram);
    free(imp->blocks);
    free(imp->squares);
    free(imp);
}

size_t brew_importance_bytes(const brew_config *c, bool grams) {
    size_t hd = (size_t)(c->heads * c->head_dim), f = (size_t)c->mlp, layers = (size_t)c->layers;
    size_t bytes = 8 * layers * (hd * (size_t)c->head_dim + f);
    return bytes + (grams ? 4 * layers * (hd * hd + f * f) : 0);
}

// ---- one pass ----

struct head_job {
    double *blocks; // of a layer
    const float *rows;
    int64_t m, width, d;
};

static void head_task(void *arg, size_t head, int worker) {
    (void)worker;
    const struct head_job *job = arg;
    int64_t d = job->d;
    double *block = job->blocks + (int64_t)head * d * d;
    float *sum = brew_calloc((size_t)(d * d), sizeof *sum);
    for (int64_t row = 0; row < job->m; row++) {
        const float *x = job->rows + row * job->width + (int64_t)head * d;
        for (int64_t i = 0; i < d; i++)
            for (int64_t j = 0; j < d; j++) sum[i * d + j] += x[i] * x[j];
    }
    for (int64_t i = 0; i < d * d; i++) block[i] += sum[i];
    free(sum);
}

static void take_attended(brew_importance *imp, int64_t layer, const float *rows, int64_t m,
                          int64_t width) {
    const brew_config *c = imp->config;
    struct head_job job = {imp->blocks + layer * c->heads * c->head_dim * c->head_dim, rows, m,
                           width, c->head_dim};
    brew_pool_run(imp->be->pool, (size_t)c->heads, head_task, &job);
    if (imp->gram)
        imp->be->ops->train->matmul_dw(imp->be, rows, rows, m, width, width,
                                       (float *)imp->attended.ptr + layer * imp->attended_floats,
                                       true);
}

static void take_mlp(brew_importance *imp, int64_t layer, const float *rows, int64_t m,
                     int64_t width) {
    double *squares = imp->squares + layer * width;
    for (int64_t row = 0; row < m; row++)
        for (int64_t j = 0; j < width; j++)
            squares[j] += (double)rows[row * width + j] * rows[row * width + j];
    if (imp->gram)
        imp->be->ops->train->matmul_dw(imp->be, rows, rows, m, width, width,
                                       (float *)imp->mlp.ptr + layer * imp->mlp_floats, true);
}

static void take(void *arg, const brew_probed *seen) {
    brew_importance *imp = arg;
    if (seen->what == BREW_PROBE_MLP) {
        take_mlp(imp, seen->layer, seen->values, seen->m, seen->width);
        return;
    }
    if (seen->layer == imp->first) imp->rows += seen->m;
    take_attended(imp, seen->layer, seen->values, seen->m, seen->width);
}

void brew_importance_skip(brew_importance *imp, const bool *skip) {
    imp->skip = skip;
    imp->first = 0;
    while (skip && skip[imp->first]) imp->first++;
}

int brew_importance_add(brew_importance *imp, const brew_star *star, brew_err *err) {
    brew_forward_options options = {.skip = imp->skip,
                                    .probe = take,
                                    .probe_arg = imp,
                                    .probes = BREW_PROBE_ATTENDED | BREW_PROBE_MLP};
    return brew_model_forward(imp->model, star, &options, &imp->result, err);
}

int64_t brew_importance_rows(const brew_importance *imp) {
    return imp->rows;
}

// ---- reading ----

void brew_importance_heads(const brew_importance *imp, int64_t layer, const float *w, double *out) {
    const brew_config *c = imp->config;
    int64_t d = c->head_dim, hd = c->heads * d;
    for (int64_t h = 0; h < c->heads; h++) {
        const double *g = imp->blocks + (layer * c->heads + h) * d * d;
        out[h] = 0;
        for (int64_t row = 0; row < c->width; row++) { // w_h^T G w_h of each output
            const float *x = w + row * hd + h * d;
            for (int64_t i = 0; i < d; i++) {
                double sum = 0;
                for (int64_t j = 0; j < d; j++) sum += g[i * d + j] * x[j];
                out[h] += x[i] * sum;
            }
        }
    }
}

void brew_importance_neurons(const brew_importance *imp, int64_t layer, const float *w,
                             double *out) {
    const brew_config *c = imp->config;
    for (int64_t f = 0; f < c->mlp; f++) out[f] = 0;
    for (int64_t row = 0; row < c->width; row++)
        for (int64_t f = 0; f < c->mlp; f++)
            out[f] += (double)w[row * c->mlp + f] * w[row * c->mlp + f];
    for (int64_t f = 0; f < c->mlp; f++) out[f] *= imp->squares[layer * c->mlp + f];
}

static const float *unpack(brew_importance *imp, const float *from, int64_t n) {
    if (!imp->gram) return NULL;
    imp->be->ops->train->weight_unpack(imp->be, n, n, 0, n, from, imp->gram);
    return imp->gram;
}

const float *brew_importance_attended(brew_importance *imp, int64_t layer) {
    return unpack(imp, (const float *)imp->attended.ptr + layer * imp->attended_floats,
                  imp->config->heads * imp->config->head_dim);
}

const float *brew_importance_mlp(brew_importance *imp, int64_t layer) {
    return unpack(imp, (const float *)imp->mlp.ptr + layer * imp->mlp_floats, imp->config->mlp);
}
