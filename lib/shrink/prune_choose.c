// From importance to a choice: which heads and neurons of each layer stay.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shrink/prune_parts.h"

static int compare_values(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Marks the `keep` largest of n values, of equals the first; returns the sum of the others.
static double mark_largest(const double *values, int64_t n, int64_t keep, bool *mark) {
    double lost = 0, *sorted = brew_calloc((size_t)n, sizeof *sorted);
    memcpy(sorted, values, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_values);
    double edge = sorted[n - keep];
    int64_t equal = keep;
    for (int64_t i = 0; i < n; i++) equal -= values[i] > edge;
    for (int64_t i = 0; i < n; i++) {
        mark[i] = values[i] > edge || (values[i] == edge && equal-- > 0);
        lost += mark[i] ? 0 : values[i];
    }
    free(sorted);
    return lost;
}

// The heads of a layer that stay, kv groups and heads in each; returns the importance that goes.
static double choose_layer(const brew_config *config, const double *importance, int64_t keep_kv,
                           int64_t keep_group, int64_t *kv, int64_t *heads) {
    int64_t group = config->heads / config->kv_heads, n_heads = 0, n_kv = 0;
    double *groups = brew_calloc((size_t)config->kv_heads, sizeof *groups), lost = 0;
    bool *mark = brew_calloc((size_t)config->heads, sizeof *mark);
    bool *inside = brew_calloc((size_t)group, sizeof *inside);
    for (int64_t h = 0; h < config->heads; h++) groups[h / group] += importance[h];
    lost = mark_largest(groups, config->kv_heads, keep_kv, mark);
    for (int64_t k = 0; k < config->kv_heads; k++) {
        if (!mark[k]) continue;
        lost += mark_largest(importance + k * group, group, keep_group, inside);
        kv[n_kv++] = k;
        for (int64_t h = 0; h < group; h++)
            if (inside[h]) heads[n_heads++] = k * group + h;
    }
    free(groups);
    free(mark);
    free(inside);
    return lost;
}

// Fills the cut's lists; returns the importance lost.
static double apply(struct brew_prune_job *job, int64_t kv, int64_t group) {
    brew_cut *cut = &job->out->cut;
    double lost = 0;
    cut->n_kv = kv;
    cut->n_group = group;
    for (int64_t i = 0; i < cut->n_layers; i++)
        lost += choose_layer(job->config, job->heads + cut->layers[i] * job->config->heads, kv,
                             group, cut->kv + i * kv, cut->heads + i * kv * group);
    return lost;
}

void brew_prune_choose_heads(struct brew_prune_job *job) {
    const brew_config *c = job->config;
    const brew_cut *cut = &job->out->cut;
    const brew_shape *shape = job->options->shape;
    int64_t group = c->heads / c->kv_heads, best_kv = c->kv_heads, best_group = group;
    double total = 0, nearest = INFINITY, least = INFINITY;
    double want = job->options->heads * (double)c->heads;
    for (int64_t i = 0; i < cut->n_layers; i++)
        for (int64_t h = 0; h < c->heads; h++) total += job->heads[cut->layers[i] * c->heads + h];
    // of the shapes nearest to the share the one that loses least
    for (int64_t kv = 1; kv <= c->kv_heads && !shape; kv++)
        for (int64_t g = 1; g <= group; g++) {
            double off = fabs((double)(kv * g) - want);
            if (off > nearest || !brew_cut_heads_fit(c, cut->n_width, kv * g)) continue;
            double lost = apply(job, kv, g);
            if (off == nearest && lost >= least) continue;
            nearest = off;
            least = lost;
            best_kv = kv;
            best_group = g;
        }
    least = shape ? apply(job, shape->kv, shape->group) : apply(job, best_kv, best_group);
    job->out->heads_lost = total > 0 ? least / total : 0;
}

void brew_prune_choose_neurons(struct brew_prune_job *job, int64_t keep) {
    const brew_config *c = job->config;
    brew_cut *cut = &job->out->cut;
    double total = 0, lost = 0;
    bool *mark = brew_calloc((size_t)c->mlp, sizeof *mark);
    for (int64_t i = 0, n = 0; i < cut->n_layers; i++) {
        const double *values = job->neurons + cut->layers[i] * c->mlp;
        lost += mark_largest(values, c->mlp, keep, mark);
        for (int64_t f = 0; f < c->mlp; f++) {
            total += values[f];
            if (mark[f]) cut->mlp[n++] = f; // `keep` of each layer
        }
    }
    cut->n_mlp = keep;
    job->out->mlp_lost = total > 0 ? lost / total : 0;
    free(mark);
}
