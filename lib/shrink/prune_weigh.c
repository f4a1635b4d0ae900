// What heads and neurons are worth, and the activations that a repair will want.
#include <stdlib.h>

#include "base/mem.h"
#include "shrink/prune_parts.h"
#include "shrink/taylor.h"

float *brew_prune_load(const struct brew_prune_job *job, enum brew_role role, int64_t layer,
                       brew_err *err) {
    brew_tensor tensor;
    if (brew_role_find(job->config, job->dir, role, layer, &tensor, err) < 0) return NULL;
    float *values =
        brew_realloc_array(NULL, (size_t)(tensor.shape[0] * tensor.shape[1]), sizeof *values);
    brew_tensor_rows(&tensor, 0, tensor.shape[0], values);
    brew_role_release(&tensor);
    return values;
}

static int weigh_by_activations(struct brew_prune_job *job, brew_err *err) {
    const brew_config *c = job->config;
    const brew_cut *cut = &job->out->cut;
    job->heads = brew_calloc((size_t)(c->layers * c->heads), sizeof *job->heads);
    job->neurons = brew_calloc((size_t)(c->layers * c->mlp), sizeof *job->neurons);
    for (int64_t i = 0; i < cut->n_layers; i++) {
        int64_t l = cut->layers[i];
        float *out = brew_prune_load(job, BREW_OUT, l, err);
        float *down = out ? brew_prune_load(job, BREW_DOWN, l, err) : NULL;
        if (down) {
            brew_importance_heads(job->importance, l, out, job->heads + l * c->heads);
            brew_importance_neurons(job->importance, l, down, job->neurons + l * c->mlp);
        }
        free(out);
        free(down);
        if (!down) return -1;
    }
    return 0;
}

static int weigh_by_slopes(struct brew_prune_job *job, brew_err *err) {
    brew_taylor taylor;
    int status = brew_taylor_of(job->dir, brew_model_backend(job->model), job->star, job->skip,
                                &taylor, err);
    job->heads = taylor.heads; // taken
    job->neurons = taylor.neurons;
    return status;
}

int brew_prune_weigh(struct brew_prune_job *job, bool mlp, brew_err *err) {
    const brew_prune_options *o = job->options;
    const brew_config *c = job->config;
    bool slopes = o->importance == BREW_TAYLOR;
    int64_t hd = c->heads * c->head_dim, rows = o->rows;
    if (!rows) rows = BREW_ROWS_PER_COLUMN * (hd > c->mlp ? hd : c->mlp);
    brew_importance_options how = {.skip = job->skip, .rows = rows, .grams = o->repair && mlp};
    if (o->repair || !slopes) {
        job->importance = brew_importance_of(job->model, job->star, &how, err);
        if (!job->importance) return -1;
    }
    return slopes ? weigh_by_slopes(job, err) : weigh_by_activations(job, err);
}
