// Exchanges and the repair behind a cut: one projection of one layer after another.
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shrink/prune_parts.h"
#include "shrink/repair.h"
#include "shrink/swap.h"

// A projection on its way: n columns in structures of `block`, of which some stay.
struct projection {
    enum brew_role role;
    int64_t n, block;
    bool *kept;       // [n / block]
    int64_t *classes; // [n / block], or NULL
    int64_t *columns; // [n] those that stay
    int64_t n_columns;
    const float *gram;
    float *w, *small; // [C, n]; the repaired one
    brew_repair error;
};

// Heads of a layer change places with heads of their group; where groups go whole, groups with groups.
static void lay_out_heads(const struct brew_prune_job *job, int64_t i, struct projection *p) {
    const brew_config *c = job->config;
    const brew_cut *cut = &job->out->cut;
    int64_t group = c->heads / c->kv_heads, heads = cut->n_kv * cut->n_group;
    const int64_t *kept = cut->heads + i * heads;
    bool whole = cut->n_group == group;
    int64_t each = whole ? group : 1; // heads of a structure
    p->n = c->heads * c->head_dim;
    p->block = each * c->head_dim;
    p->kept = brew_calloc((size_t)(c->heads / each), sizeof *p->kept);
    for (int64_t h = 0; h < heads; h++) p->kept[kept[h] / each] = true;
    if (whole) return;
    p->classes = brew_calloc((size_t)c->heads, sizeof *p->classes);
    for (int64_t h = 0; h < c->heads; h++) p->classes[h] = -1;
    for (int64_t k = 0; k < cut->n_kv; k++)
        for (int64_t h = 0; h < group; h++) {
            int64_t of = cut->kv[i * cut->n_kv + k];
            p->classes[of * group + h] = of;
        }
}

static void take_heads(const struct brew_prune_job *job, int64_t i, const struct projection *p) {
    const brew_config *c = job->config;
    brew_cut *cut = &job->out->cut;
    int64_t group = c->heads / c->kv_heads, n = 0, last = -1, n_kv = 0;
    for (int64_t h = 0; h < c->heads; h++) {
        if (!p->kept[h * c->head_dim / p->block]) continue;
        cut->heads[i * cut->n_kv * cut->n_group + n++] = h;
        if (h / group != last) cut->kv[i * cut->n_kv + n_kv++] = last = h / group;
    }
}

static void lay_out_neurons(const struct brew_prune_job *job, int64_t i, struct projection *p) {
    const brew_cut *cut = &job->out->cut;
    p->n = job->config->mlp;
    p->block = 1;
    p->kept = brew_calloc((size_t)p->n, sizeof *p->kept);
    for (int64_t f = 0; f < cut->n_mlp; f++) p->kept[cut->mlp[i * cut->n_mlp + f]] = true;
}

static void take_neurons(const struct brew_prune_job *job, int64_t i, const struct projection *p) {
    int64_t *to = job->out->cut.mlp + i * job->out->cut.n_mlp;
    for (int64_t f = 0; f < p->n; f++)
        if (p->kept[f]) *to++ = f;
}

static void repair_projection(const struct brew_prune_job *job, struct projection *p) {
    int64_t c = job->config->width;
    p->n_columns = 0;
    for (int64_t j = 0; j < p->n; j++)
        if (p->kept[j / p->block]) p->columns[p->n_columns++] = j;
    p->error = brew_repair_columns(p->w, c, p->n, p->gram, p->columns, p->n_columns,
                                   job->options->ridge, p->small);
}

// Exchanges, kept if the error that the repair then leaves is lower indeed.
static void exchange(struct brew_prune_job *job, struct projection *p) {
    int64_t c = job->config->width, blocks = p->n / p->block;
    struct projection other = *p;
    brew_swap_options how = {.block = p->block,
                             .classes = p->classes,
                             .most = job->options->swaps,
                             .ridge = job->options->ridge,
                             .pool = brew_model_backend(job->model)->pool};
    other.kept = brew_calloc((size_t)blocks, sizeof *other.kept);
    memcpy(other.kept, p->kept, (size_t)blocks * sizeof *other.kept);
    int64_t made = brew_swap(p->w, c, p->n, p->gram, &how, other.kept);
    if (made) {
        other.small = brew_realloc_array(NULL, (size_t)(c * p->n_columns), sizeof *other.small);
        repair_projection(job, &other);
        if (other.error.after < p->error.after) {
            memcpy(p->kept, other.kept, (size_t)blocks * sizeof *p->kept);
            memcpy(p->small, other.small, (size_t)(c * p->n_columns) * sizeof *p->small);
            p->error.after = other.error.after;
            job->out->swaps += made;
        }
        free(other.small);
    }
    free(other.kept);
}

static int repair_layer(struct brew_prune_job *job, enum brew_role role, int64_t i, float **to,
                        brew_err *err) {
    int64_t layer = job->out->cut.layers[i];
    struct projection p = {.role = role};
    if (!(p.w = brew_prune_load(job, role, layer, err))) return -1;
    if (role == BREW_OUT)
        lay_out_heads(job, i, &p);
    else
        lay_out_neurons(job, i, &p);
    p.gram = role == BREW_OUT ? brew_importance_attended(job->importance, layer)
                              : brew_importance_mlp(job->importance, layer);
    p.columns = brew_calloc((size_t)p.n, sizeof *p.columns);
    *to = p.small = brew_realloc_array(NULL, (size_t)(job->config->width * p.n), sizeof *p.small);
    repair_projection(job, &p);
    job->out->error_before += p.error.before;
    job->out->error_after += p.error.after;
    if (job->options->swaps) exchange(job, &p);
    job->out->error_swapped += p.error.after;
    if (role == BREW_OUT)
        take_heads(job, i, &p);
    else
        take_neurons(job, i, &p);
    free(p.w);
    free(p.kept);
    free(p.classes);
    free(p.columns);
    return 0;
}

int brew_prune_repair(struct brew_prune_job *job, brew_err *err) {
    const brew_config *c = job->config;
    const brew_cut *cut = &job->out->cut;
    brew_repaired *to = &job->out->repaired;
    int status = 0;
    to->out = brew_calloc((size_t)cut->n_layers, sizeof *to->out);
    to->down = brew_calloc((size_t)cut->n_layers, sizeof *to->down);
    for (int64_t i = 0; i < cut->n_layers && !status; i++) {
        if (cut->n_kv * cut->n_group < c->heads)
            status = repair_layer(job, BREW_OUT, i, &to->out[i], err);
        if (!status && cut->n_mlp < c->mlp)
            status = repair_layer(job, BREW_DOWN, i, &to->down[i], err);
    }
    return status;
}
