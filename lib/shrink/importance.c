#include "shrink/importance.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "kernel/train_ops.h"

enum { COLUMNS = 64, SEED = 7 };

struct brew_importance {
    const brew_config *config;
    brew_backend *be;
    int64_t rows[2];         // looked at, in the last layer
    double *squares;         // [L][F]
    brew_slab attended, mlp; // Gram matrices in the layout of a weight's gradient
    int64_t attended_floats, mlp_floats;
    float *gram; // one of them by rows
};

static bool needs_slabs(brew_importance *imp, bool grams, brew_err *err) {
    const brew_config *c = imp->config;
    const brew_train_ops *train = imp->be->ops->train;
    int64_t hd = c->heads * c->head_dim, widest = grams && c->mlp > hd ? c->mlp : hd;
    imp->gram = brew_realloc_array(NULL, (size_t)(widest * widest), sizeof *imp->gram);
    imp->attended_floats = train->weight_floats(imp->be, hd, hd);
    imp->mlp_floats = grams ? train->weight_floats(imp->be, c->mlp, c->mlp) : 0;
    return !brew_slab_init(&imp->attended, (size_t)(c->layers * imp->attended_floats) * 4,
                           "Gram matrices", err) &&
           (!grams || !brew_slab_init(&imp->mlp, (size_t)(c->layers * imp->mlp_floats) * 4,
                                      "Gram matrices", err));
}

void brew_importance_free(brew_importance *imp) {
    if (!imp) return;
    brew_slab_release(&imp->attended);
    brew_slab_release(&imp->mlp);
    free(imp->gram);
    free(imp->squares);
    free(imp);
}

// ---- one pass ----

// Sets `bit` in `want` of the n bytes rows[i], or at[i] of them: each is drawn with the chance that as many as
// are wanted come out.
static int64_t draw(uint8_t *rows, const int64_t *at, int64_t n, int64_t want, uint8_t bit) {
    int64_t left = want > 0 && want < n ? want : n, drawn = left;
    for (int64_t i = 0; i < n && left; i++)
        if (brew_rand_unit(SEED, bit, (uint64_t)i) * (double)(n - i) < (double)left) {
            rows[at ? at[i] : i] |= bit;
            left--;
        }
    return drawn;
}

struct squares_job {
    double *squares; // of a layer
    const float *rows;
    int64_t m, width;
};

static void squares_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct squares_job *job = arg;
    int64_t first = (int64_t)task * COLUMNS;
    int64_t end = first + COLUMNS < job->width ? first + COLUMNS : job->width;
    for (int64_t row = 0; row < job->m; row++) {
        const float *x = job->rows + row * job->width;
        for (int64_t j = first; j < end; j++) job->squares[j] += (double)x[j] * x[j];
    }
}

static void take(void *arg, const brew_probed *seen) {
    brew_importance *imp = arg;
    bool mlp = seen->what == BREW_PROBE_MLP;
    int64_t width = seen->width, layer = seen->layer;
    if (mlp) {
        struct squares_job job = {imp->squares + layer * width, seen->values, seen->m, width};
        brew_pool_run(imp->be->pool, (size_t)((width + COLUMNS - 1) / COLUMNS), squares_task, &job);
        if (!imp->mlp_floats) return;
    }
    float *gram = mlp ? (float *)imp->mlp.ptr + layer * imp->mlp_floats
                      : (float *)imp->attended.ptr + layer * imp->attended_floats;
    imp->be->ops->train->gram(imp->be, seen->values, seen->m, width, gram,
                              true); // slabs are 0 at first
}

brew_importance *brew_importance_of(brew_model *model, const brew_star *star,
                                    const brew_importance_options *options, brew_err *err) {
    brew_importance *imp = brew_calloc(1, sizeof *imp);
    const brew_config *c = imp->config = brew_model_config(model);
    brew_forward_result result = {0};
    imp->be = brew_model_backend(model);
    imp->squares = brew_calloc((size_t)(c->layers * c->mlp), sizeof *imp->squares);
    uint8_t *rows = brew_calloc(star->n_ids + 1, 1);
    imp->rows[0] = draw(rows, NULL, (int64_t)star->n_ids, options->rows, 1);
    imp->rows[1] = draw(rows, star->answers, (int64_t)star->n_answers, options->rows, 2);
    brew_forward_options forward = {.skip = options->skip,
                                    .probe = take,
                                    .probe_arg = imp,
                                    .probes = BREW_PROBE_ATTENDED | BREW_PROBE_MLP,
                                    .probe_rows = rows};
    int status = needs_slabs(imp, options->grams, err)
                     ? brew_model_forward(model, star, &forward, &result, err)
                     : -1;
    brew_forward_result_release(&result);
    free(rows);
    if (!status) return imp;
    brew_importance_free(imp);
    return NULL;
}

int64_t brew_importance_rows(const brew_importance *imp, bool last) {
    return imp->rows[last];
}

// ---- reading ----

// The triangle that was summed, and the other one.
static const float *unpack(brew_importance *imp, const brew_slab *slab, int64_t floats,
                           int64_t layer, int64_t n) {
    float *g = imp->gram;
    imp->be->ops->train->weight_unpack(imp->be, n, n, 0, n,
                                       (const float *)slab->ptr + layer * floats, g);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < i; j++) g[j * n + i] = g[i * n + j];
    return g;
}

const float *brew_importance_attended(brew_importance *imp, int64_t layer) {
    return unpack(imp, &imp->attended, imp->attended_floats, layer,
                  imp->config->heads * imp->config->head_dim);
}

const float *brew_importance_mlp(brew_importance *imp, int64_t layer) {
    if (!imp->mlp_floats) return NULL;
    return unpack(imp, &imp->mlp, imp->mlp_floats, layer, imp->config->mlp);
}

void brew_importance_heads(brew_importance *imp, int64_t layer, const float *w, double *out) {
    const brew_config *c = imp->config;
    int64_t d = c->head_dim, hd = c->heads * d;
    const float *gram = brew_importance_attended(imp, layer);
    for (int64_t h = 0; h < c->heads; h++) {
        const float *g = gram + h * d * (hd + 1);
        out[h] = 0;
        for (int64_t row = 0; row < c->width; row++) { // w_h^T G w_h of each output
            const float *x = w + row * hd + h * d;
            for (int64_t i = 0; i < d; i++) {
                double sum = 0;
                for (int64_t j = 0; j < d; j++) sum += (double)g[i * hd + j] * x[j];
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
