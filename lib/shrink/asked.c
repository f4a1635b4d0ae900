#include "shrink/asked.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shrink/latency.h"
#include "shrink/target.h"

enum { MOST_LAYERS = 4096 };

static bool read_number(const char **at, long long *number) {
    char *end;
    bool digit = **at >= '0' && **at <= '9'; // strtoll would take blanks and signs, too
    *number = digit ? strtoll(*at, &end, 10) : 0;
    if (digit) *at = end;
    return digit && *number <= MOST_LAYERS;
}

static bool read_list(brew_asked_layers *layers, const char *at) {
    size_t cap = 0;
    for (;; at++) {
        long long first, last;
        if (!read_number(&at, &first)) return false;
        last = first;
        if (*at == '-' && (at++, !read_number(&at, &last))) return false;
        if (last < first) return false;
        for (; first <= last; first++) {
            BREW_GROW(layers->gone, (size_t)layers->n_gone + 1, cap);
            layers->gone[layers->n_gone++] = first;
        }
        if (*at != ',') return !*at;
    }
}

int brew_asked_layers_parse(brew_asked_layers *layers, const char *text, brew_err *err) {
    *layers = (brew_asked_layers){.share = 1};
    if (!text) return 0;
    if (!strncmp(text, "attention:", 10) || !strncmp(text, "mlp:", 4)) {
        layers->parts = text;
        return 0;
    }
    if (strchr(text, '.')) {
        char *end;
        layers->share = strtod(text, &end);
        if (!*end && layers->share > 0 && layers->share <= 1) return 0;
        return brew_fail(err, BREW_USAGE, "%s: a share is above 0 and at most 1", text);
    }
    if (read_list(layers, text)) return 0;
    return brew_fail(err, BREW_USAGE, "%s is neither a share nor a list like 3,7-9", text);
}

void brew_asked_layers_release(brew_asked_layers *layers) {
    free(layers->gone);
    *layers = (brew_asked_layers){0};
}

int brew_asked_refuse_parts(const char *parts, const brew_config *config, brew_err *err) {
    static const char *const families[][2] = {{"llama", "LlamaForCausalLM"},
                                              {"qwen2", "Qwen2ForCausalLM"},
                                              {"qwen3", "Qwen3ForCausalLM"},
                                              {"mistral", "MistralForCausalLM"}};
    const char *class = "this family";
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (!strcmp(families[i][0], config->family)) class = families[i][1];
    return brew_fail(
        err, BREW_USAGE,
        "--layers %s: %s has attention and mlp in every layer, and no way to write one "
        "without the other: remove whole layers",
        parts, class);
}

int brew_asked_count_parse(double *count, const char *text, brew_err *err) {
    char *end;
    *count = strtod(text, &end);
    const char *unit = *end ? strchr("kMG", *end) : NULL;
    if (unit) *count *= *unit == 'k' ? 1e3 : *unit == 'M' ? 1e6 : 1e9;
    if (end > text && !end[unit != NULL] && *count >= 1 && *count < 1e15) return 0;
    return brew_fail(err, BREW_USAGE, "%s is no number like 60M", text);
}

// ---- a target's shape ----

static int64_t layers_left(const brew_asked_layers *layers, const brew_config *config) {
    if (!layers->gone) return brew_prune_layers(config, layers->share);
    int64_t left = 0;
    for (int64_t l = 0; l < config->layers; l++) {
        bool gone = false;
        for (int64_t i = 0; i < layers->n_gone; i++) gone |= layers->gone[i] == l;
        left += !gone;
    }
    return left;
}

// How wide the residual stream is, with so many heads.
static int64_t width_left(const brew_asked_target *t, const brew_config *config, int64_t heads) {
    return t->hidden < 1 ? brew_width_channels(config, t->hidden, t->multiple, heads)
                         : config->width;
}

struct sized {
    const brew_asked_target *target;
    const brew_config *config;
};

static double parameters_of(const void *arg, const brew_shape *shape) {
    const struct sized *s = arg;
    brew_config small = *s->config;
    small.width = width_left(s->target, s->config, shape->kv * shape->group);
    small.vocab = s->target->vocab;
    return brew_cost_parameters(&small, shape);
}

int brew_asked_shape(const brew_asked_target *target, const brew_config *config, brew_shape *shape,
                     double *reckoned, brew_err *err) {
    brew_wish wish = {.layers = target->layers_given ? layers_left(target->layers, config) : 0,
                      .heads = target->heads,
                      .mlp = target->mlp,
                      .multiple = target->multiple,
                      .target = target->parameters};
    if (target->parameters > 0) {
        struct sized sized = {target, config};
        return brew_target_shape(config, &wish, parameters_of, &sized, shape, err);
    }
    brew_config narrow = *config;
    brew_latency costs;
    double share = 1; // of the time, that channels alone leave
    narrow.width = width_left(target, config, config->heads);
    if (narrow.width < config->width &&
        brew_latency_compare(config, &narrow, target->be, target->star, &share, err))
        return -1;
    if (brew_latency_of(&narrow, target->be, target->star, target->multiple, &costs, err))
        return -1;
    wish.target = target->latency / share;
    int status = brew_target_shape(&narrow, &wish, brew_latency_share, &costs, shape, err);
    *reckoned = status ? 0 : share * brew_latency_share(&costs, shape);
    return status;
}
