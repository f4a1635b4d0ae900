#include "shrink/latency.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"

enum { VOCAB = 256, ROWS = 1024, ROUNDS = 7, FEW = 1, MORE = 3 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// ---- what is run ----

static void add_tokens(brew_star *star, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        int32_t id = (int32_t)brew_rand_below(1, 0, star->n_ids, VOCAB);
        brew_star_add_ids(star, &id, 1);
    }
}

static void invent(brew_star *to) {
    enum { QUERY = 512, ITEMS = 16, LENGTH = 16 };
    static const int32_t labels[2] = {1, 2};
    brew_star_add_request(to);
    add_tokens(to, QUERY);
    for (int i = 0; i < ITEMS; i++) {
        brew_star_add_item(to);
        add_tokens(to, LENGTH);
    }
    int32_t set = brew_star_add_set(to, labels, 2);
    for (int64_t i = 1; i <= ITEMS; i++)
        brew_star_add_answer(to, QUERY + i * LENGTH - 1, set, -1, 1, 0);
    brew_star_add_meta(to, "{}", 2);
}

// Requests of the lengths there are, over a small vocabulary; all answers read the same two labels.
static void sample(brew_star *to, const brew_star *from) {
    static const int32_t labels[2] = {1, 2};
    for (size_t r = 0; r < from->n_requests && to->n_ids < ROWS; r++) {
        int64_t s = from->requests[r], start = from->segments[s];
        int64_t shift = (int64_t)to->n_ids - start;
        brew_star_add_request(to);
        add_tokens(to, from->segments[s + 1] - start);
        while (++s < from->requests[r + 1]) {
            brew_star_add_item(to);
            add_tokens(to, from->segments[s + 1] - from->segments[s]);
        }
        int32_t set = brew_star_add_set(to, labels, 2);
        for (int64_t a = from->answer_splits[r]; a < from->answer_splits[r + 1]; a++)
            brew_star_add_answer(to, from->answers[a] + shift, set, -1, 1, 0);
        brew_star_add_meta(to, "{}", 2);
    }
}

// ---- timing ----

struct clock {
    const brew_config *config;
    brew_backend *be;
    brew_star star;
    brew_model *whole[2]; // of FEW and of MORE layers
};

// A sketch of so many layers. Those of one with windows have them in the same parts.
static brew_model *sketch(const struct clock *clock, const brew_config *shape, int64_t layers,
                          brew_err *err) {
    bool windowed[MORE];
    brew_config config = *shape;
    config.vocab = VOCAB;
    config.tied = true;
    for (int64_t l = 0; l < layers; l++)
        windowed[l] = shape->layer_windowed[l * shape->layers / layers];
    config.layers = layers;
    config.layer_windowed = windowed;
    return brew_model_sketch(&config, clock->be, err);
}

static int time_once(const struct clock *clock, brew_model *model, double *least, brew_err *err) {
    brew_forward_result result = {0};
    double start = now();
    int status = brew_model_forward(model, &clock->star, NULL, &result, err);
    *least = fmin(*least, now() - start);
    brew_forward_result_release(&result);
    return status;
}

// Seconds of what is no layer, and of a layer, of this shape and of the whole, by turns.
struct pace {
    double rest, layer;
};

static int time_shape(struct clock *clock, const brew_config *shape, struct pace *whole,
                      struct pace *pace, brew_err *err) {
    brew_model *models[4] = {clock->whole[0], clock->whole[1], sketch(clock, shape, FEW, err),
                             sketch(clock, shape, MORE, err)};
    double least[4] = {INFINITY, INFINITY, INFINITY, INFINITY}, first[4] = {0};
    int status = models[2] && models[3] ? 0 : -1;
    for (int m = 0; m < 4 && !status; m++) // the first time makes room
        status = time_once(clock, models[m], (first[m] = INFINITY, &first[m]), err);
    for (int round = 0; round < ROUNDS && !status; round++)
        for (int m = 0; m < 4 && !status; m++) status = time_once(clock, models[m], &least[m], err);
    brew_model_free(models[2]);
    brew_model_free(models[3]);
    for (int m = 0; m < 2; m++) {
        struct pace *to = m ? pace : whole;
        double few = least[2 * m], more = least[2 * m + 1];
        to->layer = fmax(more - few, 1e-9) / (MORE - FEW);
        to->rest = fmax(few - FEW * to->layer, 0);
    }
    return status;
}

static int start(struct clock *clock, const brew_config *config, brew_backend *be,
                 const brew_star *star, brew_err *err) {
    *clock = (struct clock){.config = config, .be = be};
    if (star && star->n_requests)
        sample(&clock->star, star);
    else
        invent(&clock->star);
    clock->whole[0] = sketch(clock, config, FEW, err);
    clock->whole[1] = clock->whole[0] ? sketch(clock, config, MORE, err) : NULL;
    return clock->whole[1] ? 0 : -1;
}

static void stop(struct clock *clock) {
    brew_model_free(clock->whole[0]);
    brew_model_free(clock->whole[1]);
    brew_star_release(&clock->star);
}

int brew_latency_compare(const brew_config *whole, const brew_config *small, brew_backend *be,
                         const brew_star *star, double *share, brew_err *err) {
    struct clock clock;
    struct pace all = {0}, some = {0};
    int status = start(&clock, whole, be, star, err);
    if (!status) status = time_shape(&clock, small, &all, &some, err);
    if (!status)
        *share = (some.rest + (double)small->layers * some.layer) /
                 (all.rest + (double)whole->layers * all.layer);
    stop(&clock);
    return status;
}

// A layer of another shape, in the whole's seconds: as many times the whole's as was measured by turns.
static int time_layer(struct clock *clock, int64_t kv, int64_t group, int64_t mlp,
                      const brew_latency *latency, double *seconds, brew_err *err) {
    brew_config shape = *clock->config;
    struct pace whole = {0}, pace = {0};
    shape.kv_heads = kv;
    shape.heads = kv * group;
    shape.mlp = mlp;
    if (time_shape(clock, &shape, &whole, &pace, err)) return -1;
    *seconds = latency->layer * pace.layer / whole.layer;
    return 0;
}

static int measure(struct clock *clock, int64_t multiple, brew_latency *latency, brew_err *err) {
    const brew_config *c = clock->config;
    brew_shape *whole = &latency->whole;
    struct pace pace = {0}, again = {0};
    int status = time_shape(clock, c, &pace, &again, err);
    *whole = (brew_shape){c->layers, c->kv_heads, c->heads / c->kv_heads, c->mlp};
    latency->rest = fmin(pace.rest, again.rest);
    latency->layer = fmin(pace.layer, again.layer);
    for (int i = 0; i < 3 && !status; i++) {
        int64_t neurons = brew_prune_neurons(c, i == 2 ? 1 : (i + 1) * 0.25, multiple);
        latency->neurons[i] = neurons;
        latency->mlp[i] = latency->layer;
        if (neurons < c->mlp)
            status =
                time_layer(clock, whole->kv, whole->group, neurons, latency, &latency->mlp[i], err);
    }
    for (int i = 0; i < 4 && !status; i++) {
        int64_t kv = i & 2 ? whole->kv : 1, group = i & 1 ? whole->group : 1;
        double *to = &latency->corners[i / 2][i % 2];
        *to = latency->layer;
        if (kv < whole->kv || group < whole->group)
            status = time_layer(clock, kv, group, c->mlp, latency, to, err);
    }
    return status;
}

int brew_latency_of(const brew_config *config, brew_backend *be, const brew_star *star,
                    int64_t multiple, brew_latency *latency, brew_err *err) {
    struct clock clock;
    *latency = (brew_latency){0};
    int status = start(&clock, config, be, star, err);
    if (!status) status = measure(&clock, multiple, latency, err);
    stop(&clock);
    return status;
}

// ---- reckoning ----

static double between(double at, double x0, double x1, double y0, double y1) {
    return x1 > x0 ? y0 + (y1 - y0) * (at - x0) / (x1 - x0) : y1;
}

double brew_latency_share(const void *arg, const brew_shape *shape) {
    const brew_latency *t = arg;
    double kv = (double)shape->kv, group = (double)shape->group;
    double all_kv = (double)t->whole.kv, all_group = (double)t->whole.group, low, high;
    low = between(group, 1, all_group, t->corners[0][0], t->corners[0][1]);
    high = between(group, 1, all_group, t->corners[1][0], t->corners[1][1]);
    double heads = between(kv, 1, all_kv, low, high);
    int i = shape->mlp > t->neurons[1] ? 1 : 0; // below a quarter: on along the first line
    double mlp = between((double)shape->mlp, (double)t->neurons[i], (double)t->neurons[i + 1],
                         t->mlp[i], t->mlp[i + 1]);
    double layer = fmax(heads + mlp - t->layer, 0.01 * t->layer);
    return (t->rest + (double)shape->layers * layer) /
           (t->rest + (double)t->whole.layers * t->layer);
}
