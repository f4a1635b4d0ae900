#include "shrink/prune.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "shrink/prune_parts.h"

int64_t brew_prune_layers(const brew_config *config, double share) {
    return (int64_t)fmax(1, floor(share * (double)config->layers + 0.5));
}

int64_t brew_prune_neurons(const brew_config *config, double share, int64_t multiple) {
    int64_t n = (int64_t)floor(share * (double)config->mlp / (double)multiple + 0.5) * multiple;
    if (n < multiple) n = multiple;
    return share >= 1 || n > config->mlp ? config->mlp : n;
}

// ---- layers ----

static int cut_layers(struct brew_prune_job *job, brew_err *err) {
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
    int64_t keep = o->shape ? o->shape->layers : brew_prune_layers(job->config, o->layers);
    if (!status && !o->gone_layers && keep < n)
        status =
            brew_layers_choose(job->model, job->star, n - keep, job->skip, &job->out->absence, err);
    for (int64_t l = 0; l < n; l++)
        if (!job->skip[l]) list[kept++] = l;
    if (!status && !kept) status = brew_fail(err, BREW_USAGE, "no layer would stay");
    if (!status) brew_cut_keep_layers(&job->out->cut, job->config, list, kept);
    free(list);
    return status;
}

// ---- all of it ----

// The number of heads that a share will come to, where the width allows it.
static int64_t heads_near(const brew_prune_options *o, const brew_config *c) {
    int64_t group = c->heads / c->kv_heads, best = c->heads;
    double want = o->heads * (double)c->heads;
    if (o->shape) return o->shape->kv * o->shape->group;
    for (int64_t kv = 1; kv <= c->kv_heads; kv++)
        for (int64_t g = 1; g <= group; g++)
            if (fabs((double)(kv * g) - want) < fabs((double)best - want)) best = kv * g;
    return best;
}

static int cut_width(struct brew_prune_job *job, brew_err *err) {
    const brew_prune_options *o = job->options;
    const brew_config *c = job->config;
    brew_width_options how = {.skip = job->skip, .repair = o->repair, .ridge = o->ridge};
    if (o->hidden <= 0) return 0;
    how.keep = brew_width_channels(c, o->hidden, o->multiple, heads_near(o, c));
    if (how.keep == c->width) return 0;
    return brew_width_cut(job->model, job->dir, job->star, &how, &job->out->cut,
                          &job->out->repaired, &job->out->width, err);
}

static int run(struct brew_prune_job *job, brew_err *err) {
    const brew_prune_options *o = job->options;
    const brew_config *c = job->config;
    const brew_shape *shape = o->shape;
    int64_t keep = shape ? shape->mlp : brew_prune_neurons(c, o->mlp, o->multiple);
    bool heads = shape ? shape->kv * shape->group < c->heads : o->heads < 1, mlp = keep < c->mlp;
    if (cut_layers(job, err) || cut_width(job, err)) return -1;
    if ((heads || mlp) && brew_prune_weigh(job, mlp, err)) return -1;
    if (heads) brew_prune_choose_heads(job);
    if (mlp) brew_prune_choose_neurons(job, keep);
    const brew_cut *cut = &job->out->cut;
    if (o->vocabulary) brew_cut_keep_tokens(&job->out->cut, o->vocabulary);
    if (cut->n_layers == c->layers && cut->n_kv * cut->n_group == c->heads &&
        cut->n_mlp == c->mlp && cut->n_vocab == c->vocab && cut->n_width == c->width)
        return brew_fail(err, BREW_USAGE,
                         "nothing would be cut: %lld layers, %lld heads and %lld neurons stay",
                         (long long)c->layers, (long long)c->heads, (long long)c->mlp);
    if (!brew_cut_heads_fit(c, cut->n_width, cut->n_kv * cut->n_group))
        return brew_fail(err, BREW_USAGE,
                         "a width of %lld is no multiple of %lld heads, which transformers' "
                         "LlamaForCausalLM asks for",
                         (long long)cut->n_width, (long long)(cut->n_kv * cut->n_group));
    return o->repair && (heads || mlp) ? brew_prune_repair(job, err) : 0;
}

int brew_prune(brew_model *model, const brew_modeldir *dir, const brew_config *config,
               const brew_star *star, const brew_prune_options *options, brew_pruned *out,
               brew_err *err) {
    struct brew_prune_job job = {
        .model = model, .dir = dir, .config = config, .star = star, .options = options, .out = out};
    *out = (brew_pruned){0};
    brew_cut_init(&out->cut, job.config);
    job.skip = brew_calloc((size_t)job.config->layers, sizeof *job.skip);
    int status = run(&job, err);
    brew_importance_free(job.importance);
    free(job.heads);
    free(job.neurons);
    free(job.skip);
    if (status) brew_pruned_release(out);
    return status;
}

void brew_pruned_release(brew_pruned *pruned) {
    brew_repaired_release(&pruned->repaired, pruned->cut.n_layers);
    brew_absence_release(&pruned->absence);
    brew_cut_release(&pruned->cut);
    *pruned = (brew_pruned){0};
}
