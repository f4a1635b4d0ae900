#include "shrink/prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/names.h"
#include "shrink/importance.h"
#include "shrink/quality.h"
#include "shrink/repair.h"

// How many query heads stay: kv groups, and heads in each.
struct shape {
    int64_t kv, group;
};

struct job {
    brew_model *model;
    const brew_modeldir *dir;
    const brew_config *config;
    const brew_star *star;
    const brew_prune_options *options;
    brew_pruned *out;
    brew_importance *importance;
    bool *skip; // [L]
};

int64_t brew_prune_neurons(const brew_config *config, double share, int64_t multiple) {
    int64_t n = (int64_t)floor(share * (double)config->mlp / (double)multiple + 0.5) * multiple;
    if (n < multiple) n = multiple;
    return share >= 1 || n > config->mlp ? config->mlp : n;
}

// ---- layers ----

static int rank_layers(struct job *job, brew_err *err) {
    int64_t n = job->config->layers;
    brew_quality quality;
    int status = brew_quality_of(job->model, job->star, NULL, &quality, NULL, err);
    job->out->whole_logloss = quality.logloss;
    job->out->whole_auc = quality.auc;
    brew_quality_release(&quality);
    job->out->damage = brew_calloc((size_t)n, sizeof(double));
    for (int64_t l = 0; l < n && !status; l++) {
        memset(job->skip, 0, (size_t)n * sizeof *job->skip);
        job->skip[l] = true;
        status = brew_quality_of(job->model, job->star, job->skip, &quality, NULL, err);
        job->out->damage[l] = quality.logloss - job->out->whole_logloss;
        brew_quality_release(&quality);
    }
    return status;
}

// The layers whose damage is least are skipped; of equals the later one.
static void skip_least(struct job *job, int64_t gone) {
    int64_t n = job->config->layers;
    memset(job->skip, 0, (size_t)n * sizeof *job->skip);
    for (; gone > 0; gone--) {
        int64_t least = -1;
        for (int64_t l = n - 1; l >= 0; l--)
            if (!job->skip[l] && (least < 0 || job->out->damage[l] < job->out->damage[least]))
                least = l;
        job->skip[least] = true;
    }
}

static int cut_layers(struct job *job, brew_err *err) {
    const brew_prune_options *o = job->options;
    int64_t n = job->config->layers, kept = 0;
    int64_t *list = brew_calloc((size_t)n, sizeof *list);
    int status = 0;
    for (int64_t i = 0; i < o->n_gone_layers && !status; i++) {
        int64_t l = o->gone_layers[i];
        if (l < 0 || l >= n)
            status = brew_fail(err, BREW_USAGE, "there is no layer %lld among %lld", (long long)l,
                               (long long)n);
        else
            job->skip[l] = true;
    }
    if (!status && !o->gone_layers && o->layers < 1) {
        int64_t keep = (int64_t)floor(o->layers * (double)n + 0.5);
        status = rank_layers(job, err);
        if (!status) skip_least(job, n - (keep < 1 ? 1 : keep));
    }
    for (int64_t l = 0; l < n; l++)
        if (!job->skip[l]) list[kept++] = l;
    if (!status && !kept) status = brew_fail(err, BREW_USAGE, "no layer would stay");
    if (!status) brew_cut_keep_layers(&job->out->cut, job->config, list, kept);
    free(list);
    return status;
}

// ---- heads and neurons ----

// A layer's matrix as F32 [rows, cols]; NULL on failure.
static float *load(const struct job *job, enum brew_role role, int64_t layer, brew_err *err) {
    brew_tensor tensor;
    if (brew_role_find(job->config, job->dir, role, layer, &tensor, err) < 0) return NULL;
    float *values =
        brew_realloc_array(NULL, (size_t)(tensor.shape[0] * tensor.shape[1]), sizeof *values);
    brew_tensor_rows(&tensor, 0, tensor.shape[0], values);
    brew_role_release(&tensor);
    return values;
}

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

// The heads of a layer that stay in this shape; returns the importance that goes.
static double choose_heads(const brew_config *config, const double *importance, struct shape shape,
                           int64_t *kv, int64_t *heads) {
    int64_t group = config->heads / config->kv_heads, n_heads = 0, n_kv = 0;
    double *groups = brew_calloc((size_t)config->kv_heads, sizeof *groups), lost = 0;
    bool *mark = brew_calloc((size_t)config->heads, sizeof *mark);
    bool *inside = brew_calloc((size_t)group, sizeof *inside);
    for (int64_t h = 0; h < config->heads; h++) groups[h / group] += importance[h];
    lost = mark_largest(groups, config->kv_heads, shape.kv, mark);
    for (int64_t k = 0; k < config->kv_heads; k++) {
        if (!mark[k]) continue;
        lost += mark_largest(importance + k * group, group, shape.group, inside);
        kv[n_kv++] = k;
        for (int64_t h = 0; h < group; h++)
            if (inside[h]) heads[n_heads++] = k * group + h;
    }
    free(groups);
    free(mark);
    free(inside);
    return lost;
}

// Importance of all kept layers' heads [L'][H], and their total.
static double *all_heads(const struct job *job, double *total, brew_err *err) {
    const brew_config *c = job->config;
    const brew_cut *cut = &job->out->cut;
    double *all = brew_calloc((size_t)(cut->n_layers * c->heads), sizeof *all);
    *total = 0;
    for (int64_t i = 0; i < cut->n_layers; i++) {
        float *w = load(job, BREW_OUT, cut->layers[i], err);
        if (!w) {
            free(all);
            return NULL;
        }
        brew_importance_heads(job->importance, cut->layers[i], w, all + i * c->heads);
        for (int64_t h = 0; h < c->heads; h++) *total += all[i * c->heads + h];
        free(w);
    }
    return all;
}

// Fills the cut's lists for a shape; returns the importance lost.
static double apply_shape(struct job *job, const double *all, struct shape shape) {
    const brew_config *c = job->config;
    brew_cut *cut = &job->out->cut;
    double lost = 0;
    cut->n_kv = shape.kv;
    cut->n_group = shape.group;
    for (int64_t i = 0; i < cut->n_layers; i++)
        lost += choose_heads(c, all + i * c->heads, shape, cut->kv + i * shape.kv,
                             cut->heads + i * shape.kv * shape.group);
    return lost;
}

// Of the shapes nearest to the share (the whole one is none), the one that loses least.
static int cut_heads(struct job *job, brew_err *err) {
    const brew_config *c = job->config;
    int64_t group = c->heads / c->kv_heads;
    double total, nearest = INFINITY, least = INFINITY,
                  want = job->options->heads * (double)c->heads;
    double *all = all_heads(job, &total, err);
    if (!all) return -1;
    struct shape best = {c->kv_heads, group};
    for (int64_t kv = 1; kv <= c->kv_heads; kv++)
        for (int64_t g = 1; g <= group; g++) {
            double off = fabs((double)(kv * g) - want);
            if (off > nearest) continue;
            double lost = apply_shape(job, all, (struct shape){kv, g});
            if (off == nearest && lost >= least) continue;
            nearest = off;
            least = lost;
            best = (struct shape){kv, g};
        }
    least = apply_shape(job, all, best);
    job->out->heads_lost = total > 0 ? least / total : 0;
    free(all);
    return 0;
}

static int cut_neurons(struct job *job, brew_err *err) {
    const brew_config *c = job->config;
    brew_cut *cut = &job->out->cut;
    int64_t keep = brew_prune_neurons(c, job->options->mlp, job->options->multiple);
    double *values = brew_calloc((size_t)c->mlp, sizeof *values), total = 0, lost = 0;
    bool *mark = brew_calloc((size_t)c->mlp, sizeof *mark);
    int status = 0;
    for (int64_t i = 0, n = 0; i < cut->n_layers && !status; i++) {
        float *w = load(job, BREW_DOWN, cut->layers[i], err);
        status = w ? 0 : -1;
        if (status) break;
        brew_importance_neurons(job->importance, cut->layers[i], w, values);
        lost += mark_largest(values, c->mlp, keep, mark);
        for (int64_t f = 0; f < c->mlp; f++) {
            total += values[f];
            if (mark[f]) cut->mlp[n++] = f; // `keep` of each layer
        }
        free(w);
    }
    cut->n_mlp = keep;
    job->out->mlp_lost = total > 0 ? lost / total : 0;
    free(values);
    free(mark);
    return status;
}

// ---- repair ----

static int repair_one(struct job *job, enum brew_role role, int64_t i, const int64_t *kept,
                      int64_t k, float **to, brew_err *err) {
    const brew_config *c = job->config;
    int64_t layer = job->out->cut.layers[i], n = role == BREW_OUT ? c->heads * c->head_dim : c->mlp;
    const float *gram = role == BREW_OUT ? brew_importance_attended(job->importance, layer)
                                         : brew_importance_mlp(job->importance, layer);
    float *w = load(job, role, layer, err);
    if (!w) return -1;
    *to = brew_realloc_array(NULL, (size_t)(c->width * k), sizeof **to);
    brew_repair r = brew_repair_columns(w, c->width, n, gram, kept, k, job->options->ridge, *to);
    job->out->error_before += r.before;
    job->out->error_after += r.after;
    free(w);
    return 0;
}

static int repair(struct job *job, brew_err *err) {
    const brew_config *c = job->config;
    brew_cut *cut = &job->out->cut;
    brew_repaired *to = &job->out->repaired;
    int64_t heads = cut->n_kv * cut->n_group, d = c->head_dim;
    int status = 0;
    to->out = brew_calloc((size_t)cut->n_layers, sizeof *to->out);
    to->down = brew_calloc((size_t)cut->n_layers, sizeof *to->down);
    int64_t *columns = brew_calloc((size_t)(heads * d), sizeof *columns);
    for (int64_t i = 0; i < cut->n_layers && !status; i++) {
        for (int64_t j = 0; j < heads * d; j++)
            columns[j] = cut->heads[i * heads + j / d] * d + j % d;
        if (heads < c->heads)
            status = repair_one(job, BREW_OUT, i, columns, heads * d, &to->out[i], err);
        if (!status && cut->n_mlp < c->mlp)
            status = repair_one(job, BREW_DOWN, i, cut->mlp + i * cut->n_mlp, cut->n_mlp,
                                &to->down[i], err);
    }
    free(columns);
    return status;
}

// ---- all of it ----

static int measure(struct job *job, brew_err *err) {
    job->importance = brew_importance_new(job->model, job->options->repair, err);
    if (!job->importance) return -1;
    brew_importance_skip(job->importance, job->skip);
    return brew_importance_add(job->importance, job->star, err);
}

static int run(struct job *job, brew_err *err) {
    const brew_prune_options *o = job->options;
    const brew_config *c = job->config;
    bool heads = o->heads < 1, mlp = brew_prune_neurons(c, o->mlp, o->multiple) < c->mlp;
    if (cut_layers(job, err)) return -1;
    if (heads || mlp) {
        if (measure(job, err) || (heads && cut_heads(job, err)) || (mlp && cut_neurons(job, err)))
            return -1;
    }
    const brew_cut *cut = &job->out->cut;
    if (o->vocabulary) brew_cut_keep_tokens(&job->out->cut, o->vocabulary);
    if (cut->n_layers == c->layers && cut->n_kv * cut->n_group == c->heads &&
        cut->n_mlp == c->mlp && cut->n_vocab == c->vocab)
        return brew_fail(err, BREW_USAGE,
                         "nothing would be cut: %lld layers, %lld heads and %lld neurons stay",
                         (long long)c->layers, (long long)c->heads, (long long)c->mlp);
    return o->repair && (heads || mlp) ? repair(job, err) : 0;
}

int brew_prune(brew_model *model, const brew_modeldir *dir, const brew_config *config,
               const brew_star *star, const brew_prune_options *options, brew_pruned *out,
               brew_err *err) {
    struct job job = {
        .model = model, .dir = dir, .config = config, .star = star, .options = options, .out = out};
    *out = (brew_pruned){0};
    brew_cut_init(&out->cut, job.config);
    job.skip = brew_calloc((size_t)job.config->layers, sizeof *job.skip);
    int status = run(&job, err);
    brew_importance_free(job.importance);
    free(job.skip);
    if (status) brew_pruned_release(out);
    return status;
}

void brew_pruned_release(brew_pruned *pruned) {
    for (int64_t i = 0; i < pruned->cut.n_layers; i++) {
        if (pruned->repaired.out) free(pruned->repaired.out[i]);
        if (pruned->repaired.down) free(pruned->repaired.down[i]);
    }
    free(pruned->repaired.out);
    free(pruned->repaired.down);
    free(pruned->damage);
    brew_cut_release(&pruned->cut);
    *pruned = (brew_pruned){0};
}
