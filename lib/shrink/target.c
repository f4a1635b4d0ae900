#include "shrink/target.h"

#include <math.h>
#include <stdbool.h>

static const double NEAR = 0.01, FAR = 0.1;

double brew_cost_parameters(const void *arg, const brew_shape *shape) {
    brew_config small = *(const brew_config *)arg;
    small.layers = shape->layers;
    small.kv_heads = shape->kv;
    small.heads = shape->kv * shape->group;
    small.mlp = shape->mlp;
    return (double)brew_config_parameters(&small);
}

struct search {
    const brew_config *config;
    const brew_wish *wish;
    brew_cost_fn *cost;
    const void *arg;
    double nearest_heads; // of the shapes that a share of heads allows: how far off they are
    brew_shape best;
    double off, uneven; // of the best
};

static double heads_off(const struct search *s, int64_t kv, int64_t group) {
    if (!brew_cut_heads_fit(s->config, s->config->width, kv * group)) return INFINITY;
    if (s->wish->heads <= 0) return 0;
    return fabs((double)(kv * group) - s->wish->heads * (double)s->config->heads);
}

// The logarithm of the largest kept share over the smallest, of what is open.
static double unevenness(const struct search *s, const brew_shape *shape) {
    const brew_config *c = s->config;
    double shares[3], low = INFINITY, high = 0;
    int n = 0;
    if (!s->wish->layers) shares[n++] = (double)shape->layers / (double)c->layers;
    if (s->wish->heads <= 0) shares[n++] = (double)(shape->kv * shape->group) / (double)c->heads;
    if (s->wish->mlp <= 0) shares[n++] = (double)shape->mlp / (double)c->mlp;
    for (int i = 0; i < n; i++) {
        low = fmin(low, shares[i]);
        high = fmax(high, shares[i]);
    }
    return n ? log(high / low) : 0;
}

static void consider(struct search *s, const brew_shape *shape) {
    double off = fabs(s->cost(s->arg, shape) / s->wish->target - 1);
    double uneven = unevenness(s, shape);
    bool near = off <= NEAR, better = off < s->off;
    if (near && s->off <= NEAR)
        better = uneven < s->uneven || (uneven == s->uneven && off < s->off);
    if (!better) return;
    s->best = *shape;
    s->off = off;
    s->uneven = uneven;
}

// The numbers of neurons on both sides of the target, of those that may be had.
static void consider_neurons(struct search *s, brew_shape *shape) {
    const brew_config *c = s->config;
    int64_t multiple = s->wish->multiple, low = 0, high = (c->mlp + multiple - 1) / multiple;
    if (s->wish->mlp > 0) {
        shape->mlp = brew_prune_neurons(c, s->wish->mlp, multiple);
        consider(s, shape);
        return;
    }
    // [low, high]: low costs less than the target or is none, high costs as much or is all there are
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        shape->mlp = middle * multiple;
        *(s->cost(s->arg, shape) < s->wish->target ? &low : &high) = middle;
    }
    shape->mlp = high * multiple < c->mlp ? high * multiple : c->mlp;
    consider(s, shape);
    shape->mlp = low * multiple;
    if (low) consider(s, shape);
}

int brew_target_shape(const brew_config *config, const brew_wish *wish, brew_cost_fn *cost,
                      const void *arg, brew_shape *shape, brew_err *err) {
    int64_t group = config->heads / config->kv_heads;
    const brew_shape whole = {config->layers, config->kv_heads, group, config->mlp};
    struct search s = {.config = config, .wish = wish, .cost = cost, .arg = arg, .off = INFINITY};
    double all = cost(arg, &whole);
    if (all <= wish->target)
        return brew_fail(err, BREW_USAGE,
                         "nothing would be cut: the model has %.6g, %.6g is asked for", all,
                         wish->target);
    s.nearest_heads = INFINITY;
    for (int64_t kv = 1; kv <= config->kv_heads; kv++)
        for (int64_t g = 1; g <= group; g++)
            s.nearest_heads = fmin(s.nearest_heads, heads_off(&s, kv, g));
    for (int64_t l = config->layers; l >= 1; l--)
        for (int64_t kv = config->kv_heads; kv >= 1; kv--)
            for (int64_t g = group; g >= 1; g--) {
                if (wish->layers && l != wish->layers) continue;
                if (!(heads_off(&s, kv, g) <= s.nearest_heads)) continue;
                brew_shape open = {l, kv, g, 0};
                consider_neurons(&s, &open);
            }
    if (s.off > FAR)
        return brew_fail(err, BREW_USAGE,
                         "the nearest that can be had is %.6g, not %.6g: leave more of it open",
                         cost(arg, &s.best), wish->target);
    *shape = s.best;
    return 0;
}
