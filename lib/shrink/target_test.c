// Targets: what is nearest, what is most even, what is kept to, and what cannot be had; and the reckoning of time.
#include "shrink/target.h"

#include <math.h>
#include <string.h>

#include "base/tap.h"
#include "shrink/latency.h"

// Costs that are a closed form of the shape.
static double linear(const void *arg, const brew_shape *shape) {
    (void)arg;
    return (double)(shape->layers * (100 * shape->kv * shape->group + 50 * shape->kv + shape->mlp));
}

static const brew_config config = {.layers = 10,
                                   .heads = 8,
                                   .kv_heads = 2,
                                   .head_dim = 8,
                                   .mlp = 1000,
                                   .width = 64,
                                   .vocab = 100,
                                   .tied = true};

// The nearest that brute force finds, of what a wish allows.
static double brute(const brew_wish *wish) {
    double nearest = INFINITY;
    for (int64_t l = 1; l <= 10; l++)
        for (int64_t kv = 1; kv <= 2; kv++)
            for (int64_t g = 1; g <= 4; g++)
                for (int64_t f = wish->multiple; f <= 1000; f += wish->multiple) {
                    if (wish->layers && wish->layers != l) continue;
                    if (wish->heads > 0 && fabs((double)(kv * g) - 8 * wish->heads) > 1e-9)
                        continue;
                    if (wish->mlp > 0 &&
                        f != brew_prune_neurons(&config, wish->mlp, wish->multiple))
                        continue;
                    brew_shape shape = {l, kv, g, f};
                    nearest = fmin(nearest, fabs(linear(NULL, &shape) / wish->target - 1));
                }
    return nearest;
}

static void test_nearest(void) {
    static const brew_wish wishes[] = {{0, 0, 0, 8, 9000},     {10, 1, 0, 8, 11111},
                                       {10, 1, 0, 200, 12345}, {0, 0.5, 0.5, 8, 5000},
                                       {7, 0, 0.4, 8, 6000},   {0, 0, 0, 250, 3333}};
    bool near = true, kept = true;
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        const brew_wish *w = &wishes[i];
        brew_shape s;
        brew_err err = {0};
        if (brew_target_shape(&config, w, linear, NULL, &s, &err)) {
            near = false;
            printf("# %s\n", err.text);
            continue;
        }
        double off = fabs(linear(NULL, &s) / w->target - 1);
        near &= off <= 0.01 || off <= brute(w) * (1 + 1e-9);
        kept &= !w->layers || s.layers == w->layers;
        kept &= w->heads <= 0 || (double)(s.kv * s.group) == w->heads * 8;
        kept &= w->mlp <= 0 || s.mlp == brew_prune_neurons(&config, w->mlp, w->multiple);
        kept &= s.mlp % w->multiple == 0 && s.mlp <= 1000 && s.kv <= 2 && s.group <= 4;
    }
    ok(near, "a hundredth off at most, or the nearest that brute force finds");
    ok(kept, "shares that are given are kept to");
}

static void test_even(void) {
    brew_err err = {0};
    brew_shape s, half = {5, 2, 2, 504};
    brew_wish wish = {0, 0, 0, 8, linear(NULL, &half)};
    int status = brew_target_shape(&config, &wish, linear, NULL, &s, &err);
    ok(!status && s.layers == 5 && s.kv * s.group == 4 && fabs((double)s.mlp - 500) < 60,
       "half of everything, rather than all of some (%lld layers, %lld heads, %lld neurons)",
       (long long)s.layers, (long long)(s.kv * s.group), (long long)s.mlp);
}

static void test_refused(void) {
    brew_err err = {0};
    brew_shape s;
    brew_wish wish = {0, 0, 0, 8, 19000};
    ok(brew_target_shape(&config, &wish, linear, NULL, &s, &err) < 0 && err.code == BREW_USAGE &&
           strstr(err.text, "nothing would be cut"),
       "what the model has already: nothing to cut");
    wish = (brew_wish){10, 1, 0, 8, 5000};
    ok(brew_target_shape(&config, &wish, linear, NULL, &s, &err) < 0 && err.code == BREW_USAGE &&
           strstr(err.text, "nearest that can be had is 9080"),
       "what cannot be had: the nearest is told (%s)", err.text);
}

static void test_parameters(void) {
    brew_shape whole = {10, 2, 4, 1000}, s;
    brew_config small = config;
    brew_err err = {0};
    ok(brew_cost_parameters(&config, &whole) == (double)brew_config_parameters(&config),
       "parameters are those of the model");
    brew_wish wish = {10, 1, 0, 8, 1500000};
    int status = brew_target_shape(&config, &wish, brew_cost_parameters, &config, &s, &err);
    small.mlp = s.mlp;
    ok(!status && fabs((double)brew_config_parameters(&small) - 1500000) <= 10 * 3 * 64 * 8 / 2,
       "and the nearest multiple of neurons is found");
}

// transformers' Llama takes no number of heads that does not divide the width.
static void test_heads(void) {
    brew_config llama = config;
    brew_err err = {0};
    brew_shape s;
    snprintf(llama.family, sizeof llama.family, "llama");
    llama.kv_heads = 1; // 1 to 8 heads, of which 3, 5, 6 and 7 do not divide 64
    bool fit = true;
    for (int i = 1; i < 12; i++) {
        brew_wish wish = {10, 0, 0.5, 8, 7000 + 500 * i};
        if (!brew_target_shape(&llama, &wish, linear, NULL, &s, &err)) fit &= 64 % s.group == 0;
    }
    ok(fit && !brew_cut_heads_fit(&llama, 64, 3), "heads of a Llama divide its width");
    llama.width = 60; // which 8 heads do not divide either
    ok(brew_cut_heads_fit(&llama, 60, 7) && brew_cut_heads_fit(&config, 64, 3),
       "unless those of the larger model do not, and in other families");
}

// Bilinear and piecewise linear, through what was measured.
static void test_reckoning(void) {
    brew_latency t = {.whole = {10, 2, 4, 1000},
                      .rest = 2,
                      .layer = 4,
                      .corners = {{1.5, 2.5}, {2, 4}},
                      .mlp = {1.5, 2, 4},
                      .neurons = {248, 504, 1000}};
    const struct {
        brew_shape shape;
        double seconds;
    } cases[] = {{{10, 2, 4, 1000}, 42},  {{5, 2, 4, 1000}, 22}, {{10, 1, 4, 1000}, 27},
                 {{10, 2, 1, 1000}, 22},  {{10, 2, 4, 504}, 22}, {{10, 2, 4, 752}, 32},
                 {{10, 2, 4, 376}, 19.5}, {{10, 1, 4, 504}, 7},  {{10, 2, 4, 120}, 14.5}};
    bool good = true;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double got = brew_latency_share(&t, &cases[i].shape) * 42;
        good &= fabs(got - cases[i].seconds) < 1e-9;
        if (fabs(got - cases[i].seconds) >= 1e-9) printf("# %zu: %g\n", i, got);
    }
    ok(good, "time is reckoned along straight lines between what was measured");
}

int main(void) {
    test_nearest();
    test_even();
    test_refused();
    test_parameters();
    test_heads();
    test_reckoning();
    return tap_done();
}
