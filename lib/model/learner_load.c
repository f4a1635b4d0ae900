// Where each parameter lies, and its first value.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "io/json.h"
#include "model/learner_parts.h"

enum { CHUNK_ROWS = 256 };

static void lay_out_vectors(brew_learner *learner, int64_t *top) {
    const brew_config *c = &learner->config;
    learner->final_gain = brew_learner_take(top, c->width);
    for (int64_t l = 0; l < c->layers; l++) {
        brew_learner_layer *layer = &learner->layers[l];
        layer->attn_gain = brew_learner_take(top, c->width);
        layer->mlp_gain = brew_learner_take(top, c->width);
        layer->q_gain = c->qk_norm ? brew_learner_take(top, c->head_dim) : -1;
        layer->k_gain = c->qk_norm ? brew_learner_take(top, c->head_dim) : -1;
        layer->qkv_bias = c->qkv_bias ? brew_learner_take(top, brew_learner_qkv(c)) : -1;
        layer->out_bias = c->out_bias ? brew_learner_take(top, c->width) : -1;
    }
}

static void lay_out_weights(brew_learner *learner, brew_weight_floats_fn *floats, int64_t *top) {
    const brew_config *c = &learner->config;
    int64_t C = c->width, F = c->mlp, HD = c->heads * c->head_dim, largest = 0;
    for (int64_t l = 0; l < c->layers; l++) {
        brew_learner_layer *layer = &learner->layers[l];
        layer->qkv = (brew_learner_weight){.n = brew_learner_qkv(c), .c = C};
        layer->out = (brew_learner_weight){.n = C, .c = HD};
        layer->gate_up = (brew_learner_weight){.n = 2 * F, .c = C};
        layer->down = (brew_learner_weight){.n = C, .c = F};
        brew_learner_weight *weights[] = {&layer->qkv, &layer->out, &layer->gate_up, &layer->down};
        for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) weights[i]->at = *top;
        for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
            int64_t n = floats(learner->be, weights[i]->n, weights[i]->c);
            if (!learner->lean)
                weights[i]->at = brew_learner_take(top, n);
            else if (n > largest)
                largest = n;
        }
    }
    brew_learner_take(top, largest);
}

// Where a role's values lie.
static void place(const brew_learner *learner, brew_learner_slot *slot) {
    const brew_config *c = &learner->config;
    const brew_learner_layer *layer = &learner->layers[slot->layer];
    int64_t q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    switch (slot->role) {
    case BREW_EMBEDDING:
        slot->at = learner->embedding_at;
        break;
    case BREW_HEAD:
        slot->at = learner->head_at;
        break;
    case BREW_FINAL_NORM:
        slot->at = learner->final_gain;
        break;
    case BREW_ATTN_NORM:
        slot->at = layer->attn_gain;
        break;
    case BREW_MLP_NORM:
        slot->at = layer->mlp_gain;
        break;
    case BREW_Q_NORM:
        slot->at = layer->q_gain;
        break;
    case BREW_K_NORM:
        slot->at = layer->k_gain;
        break;
    case BREW_Q_BIAS:
        slot->at = layer->qkv_bias;
        break;
    case BREW_K_BIAS:
        slot->at = layer->qkv_bias + q;
        break;
    case BREW_V_BIAS:
        slot->at = layer->qkv_bias + q + kv;
        break;
    case BREW_OUT_BIAS:
        slot->at = layer->out_bias;
        break;
    case BREW_Q:
    case BREW_K:
    case BREW_V:
        slot->weight = &layer->qkv;
        slot->row = slot->role == BREW_Q ? 0 : slot->role == BREW_K ? q : q + kv;
        break;
    case BREW_OUT:
        slot->weight = &layer->out;
        break;
    case BREW_GATE:
    case BREW_UP:
        slot->weight = &layer->gate_up;
        slot->row = slot->role == BREW_GATE ? 0 : c->mlp;
        break;
    case BREW_DOWN:
        slot->weight = &layer->down;
        break;
    case BREW_ROLES:
        brew_bug("a parameter without a role");
    }
}

static void add_slot(brew_learner *learner, enum brew_role role, int64_t l) {
    const brew_config *c = &learner->config;
    if (!brew_role_used(c, role)) return;
    brew_learner_slot *slot = &learner->slots[learner->n_slots++];
    int64_t shape[2];
    brew_role_shape(c, role, shape);
    brew_role_name(slot->name, sizeof slot->name, false, role, l);
    slot->role = role;
    slot->layer = l;
    slot->as.name = slot->name;
    slot->as.n_dims = brew_role_matrix(role) ? 2 : 1;
    slot->as.rows = slot->as.n_dims == 2 ? shape[0] : 1;
    slot->as.cols = slot->as.n_dims == 2 ? shape[1] : shape[0];
    bool table = role == BREW_EMBEDDING || role == BREW_HEAD;
    slot->as.frozen =
        learner->options.lora.rank > 0 || (learner->options.freeze_embedding && table);
    place(learner, slot);
}

void brew_learner_lay_out(brew_learner *learner, brew_weight_floats_fn *floats) {
    const brew_config *c = &learner->config;
    int64_t top = 0, table = c->vocab * c->width;
    learner->shape = (brew_attention_shape){c->heads, c->kv_heads, c->head_dim};
    learner->layers = brew_calloc((size_t)c->layers, sizeof *learner->layers);
    bool adapters = learner->options.lora.rank > 0;
    if (adapters) brew_learner_lay_out_adapters(learner, &top);
    int64_t n_adapters = top;
    lay_out_vectors(learner, &top);
    learner->n_vectors = adapters ? 0 : top;
    lay_out_weights(learner, floats, &top);
    learner->n_learning = top;
    learner->embedding_at = adapters ? -1 : brew_learner_take(&top, table);
    learner->head_at = c->tied || adapters ? learner->embedding_at : brew_learner_take(&top, table);
    learner->n_values = top;
    if (!learner->options.freeze_embedding) learner->n_learning = top;
    if (adapters) learner->n_learning = n_adapters;

    size_t most = (size_t)(c->layers * (BREW_ROLES - BREW_FIRST_OF_LAYER) + BREW_FIRST_OF_LAYER) +
                  2 * learner->n_adapters;
    learner->slots = brew_calloc(most, sizeof *learner->slots);
    add_slot(learner, BREW_EMBEDDING, 0);
    for (int64_t l = 0; l < c->layers; l++)
        for (int role = BREW_FIRST_OF_LAYER; role < BREW_ROLES; role++)
            add_slot(learner, (enum brew_role)role, l);
    add_slot(learner, BREW_FINAL_NORM, 0);
    add_slot(learner, BREW_HEAD, 0);
    brew_learner_add_adapters(learner);
}

// ---- values from tensors ----

static int load_slot(brew_learner *learner, const brew_modeldir *dir, size_t index, float *host,
                     brew_err *err) {
    const brew_learner_slot *slot = &learner->slots[index];
    brew_tensor tensor;
    if (brew_role_find(&learner->config, dir, slot->role, slot->layer, &tensor, err) < 0) return -1;
    bool stays = learner->n_adapters && (slot->weight ? learner->lean : slot->at < 0);
    for (int64_t row = 0; row < slot->as.rows && !stays; row += CHUNK_ROWS) {
        int64_t n = slot->as.rows - row < CHUNK_ROWS ? slot->as.rows - row : CHUNK_ROWS;
        brew_tensor_rows(&tensor, row, n, host);
        brew_learner_set(learner, BREW_VALUES, index, row, n, host);
    }
    brew_modeldir_forget(dir, &tensor);
    brew_role_release(&tensor);
    return 0;
}

// ---- values drawn ----

struct draw {
    uint64_t seed, stream;
    double deviation;
    int64_t first, cols;
    float *rows;
};

// Box and Muller (1958): a pair of normals from a pair of uniforms.
static void draw_row(void *arg, size_t task, int worker) {
    (void)worker;
    const struct draw *d = arg;
    const double two_pi = 6.283185307179586;
    float *out = d->rows + (int64_t)task * d->cols;
    uint64_t pair = (uint64_t)(d->first + (int64_t)task) * (uint64_t)((d->cols + 1) / 2);
    for (int64_t i = 0; i < d->cols; i += 2, pair++) {
        double length = sqrt(-2 * log(1 - brew_rand_unit(d->seed, d->stream, 2 * pair)));
        double angle = two_pi * brew_rand_unit(d->seed, d->stream, 2 * pair + 1);
        out[i] = (float)(d->deviation * length * cos(angle));
        if (i + 1 < d->cols) out[i + 1] = (float)(d->deviation * length * sin(angle));
    }
}

static void draw_slot(brew_learner *learner, size_t index, double deviation, float *host) {
    const brew_learner_slot *slot = &learner->slots[index];
    if (slot->as.n_dims == 1) {
        bool bias = slot->role == BREW_Q_BIAS || slot->role == BREW_K_BIAS ||
                    slot->role == BREW_V_BIAS || slot->role == BREW_OUT_BIAS;
        for (int64_t i = 0; i < slot->as.cols; i++) host[i] = bias ? 0 : 1;
        brew_learner_set(learner, BREW_VALUES, index, 0, 1, host);
        return;
    }
    struct draw d = {.seed = learner->options.seed,
                     .stream = brew_hash64(slot->name, strlen(slot->name), 0),
                     .deviation = deviation,
                     .cols = slot->as.cols,
                     .rows = host};
    for (d.first = 0; d.first < slot->as.rows; d.first += CHUNK_ROWS) {
        int64_t left = slot->as.rows - d.first, n = left < CHUNK_ROWS ? left : CHUNK_ROWS;
        brew_pool_run(learner->be->pool, (size_t)n, draw_row, &d);
        brew_learner_set(learner, BREW_VALUES, index, d.first, n, host);
    }
}

static int initializer_range(const brew_modeldir *dir, double *range, brew_err *err) {
    size_t len;
    const char *text = brew_modeldir_file(dir, "config.json", &len);
    *range = 0.02;
    if (!text) return 0;
    brew_json *config = brew_json_parse_settings(text, len, err);
    if (!config) return -1;
    int status = brew_json_want_real(config, "initializer_range", range, err);
    brew_json_free(config);
    if (status >= 0 && !(*range > 0 && *range <= 1))
        return brew_fail(err, BREW_DATA, "initializer_range is %g; it must be in (0, 1]", *range);
    return status < 0 ? -1 : 0;
}

int brew_learner_load(brew_learner *learner, const brew_modeldir *dir, brew_err *err) {
    double range = 0;
    if (learner->options.random ? initializer_range(dir, &range, err) < 0
                                : brew_role_refuse_others(&learner->config, dir, err) < 0)
        return -1;
    int64_t widest = 0;
    for (size_t i = 0; i < learner->n_slots; i++)
        if (learner->slots[i].as.cols > widest) widest = learner->slots[i].as.cols;
    float *host = brew_calloc((size_t)widest * CHUNK_ROWS, sizeof *host);
    int status = 0;
    size_t of_model = learner->n_slots - 2 * learner->n_adapters;
    for (size_t i = 0; i < of_model && status == 0; i++)
        if (learner->options.random)
            draw_slot(learner, i, range, host);
        else
            status = load_slot(learner, dir, i, host, err);
    free(host);
    return status ? status : brew_learner_load_adapters(learner, err);
}
