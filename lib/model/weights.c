#include "model/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/adapter.h"
#include "model/config.h"
#include "model/names.h"

// The tensor of a role in the directory; a sketch's is a view of what was drawn for all of them.
static int find(const brew_model *model, enum brew_role role, int64_t layer, brew_tensor *out,
                brew_err *err) {
    if (model->dir) return brew_role_find(&model->config, model->dir, role, layer, out, err);
    int64_t shape[2];
    brew_role_shape(&model->config, role, shape);
    *out = (brew_tensor){.data = model->drawn,
                         .dtype = BREW_F32,
                         .n_dims = brew_role_matrix(role) ? 2 : 1,
                         .shape = {shape[0], shape[1]}};
    return 0;
}

// Where one of a weight's parts is adapted, all become F32; returns their values, to be freed: [n].
static float **adapt(const brew_model *model, const enum brew_role *roles, size_t n, int64_t layer,
                     brew_tensor *parts) {
    float **values = brew_calloc(n, sizeof *values);
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any |= model->adapter && brew_adapter_has(model->adapter, roles[i], layer);
    for (size_t i = 0; i < n && any; i++) {
        values[i] = brew_adapter_merge(model->adapter, roles[i], layer, &parts[i], model->be->pool);
        brew_modeldir_forget(model->dir, &parts[i]);
        brew_role_release(&parts[i]);
        parts[i] = (brew_tensor){.data = values[i],
                                 .dtype = BREW_F32,
                                 .n_dims = 2,
                                 .shape = {parts[i].shape[0], parts[i].shape[1]}};
    }
    return values;
}

// A weight of one to three parts, with biases if `bias` is a role.
static brew_weight *pack(const brew_model *model, const enum brew_role *roles, size_t n,
                         enum brew_role bias, enum brew_weight_form form, int64_t layer,
                         brew_err *err) {
    brew_tensor parts[3] = {0}, biases[3];
    const brew_tensor *part_ptrs[3], *bias_ptrs[3];
    bool biased = bias != BREW_ROLES && brew_role_used(&model->config, bias);
    int status = 0;
    for (size_t i = 0; i < n && status == 0; i++) {
        status = find(model, roles[i], layer, &parts[i], err);
        if (status == 0 && biased)
            status = find(model, (enum brew_role)(bias + i), layer, &biases[i], err);
        part_ptrs[i] = &parts[i];
        bias_ptrs[i] = &biases[i];
    }
    brew_backend *be = model->be;
    brew_weight *weight = NULL;
    float **values = status ? NULL : adapt(model, roles, n, layer, parts);
    if (status == 0)
        weight = be->ops->weight_new(be, part_ptrs, biased ? bias_ptrs : NULL, n, form, err);
    for (size_t i = 0; i < n; i++) {
        if (values && values[i]) {
            free(values[i]);
            continue;
        }
        if (model->dir && parts[i].data) brew_modeldir_forget(model->dir, &parts[i]);
        brew_role_release(&parts[i]);
    }
    free(values);
    return weight;
}

// Reads a norm's gain to its place among the gains.
static int load_gain(brew_model *model, enum brew_role role, int64_t layer, float **place,
                     float *host, float **out, brew_err *err) {
    brew_tensor tensor;
    if (find(model, role, layer, &tensor, err) < 0) return -1;
    brew_tensor_rows(&tensor, 0, 1, host);
    *out = *place;
    model->be->ops->upload(model->be, *place, host, (size_t)tensor.shape[0] * sizeof(float));
    *place += (tensor.shape[0] + 15) / 16 * 16;
    return 0;
}

static int load_gains(brew_model *model, brew_err *err) {
    const brew_config *config = &model->config;
    size_t C = (size_t)(config->width + 15) / 16 * 16,
           D = (size_t)(config->head_dim + 15) / 16 * 16;
    size_t floats = C + (size_t)config->layers * (2 * C + (config->qk_norm ? 2 * D : 0));
    model->gains = model->be->ops->alloc(model->be, floats * sizeof(float), "norms", err);
    if (!model->gains) return -1;
    int64_t longest = config->width > config->head_dim ? config->width : config->head_dim;
    float *place = model->gains, *host = brew_realloc_array(NULL, (size_t)longest, sizeof(float));
    int status = load_gain(model, BREW_FINAL_NORM, 0, &place, host, &model->final_gain, err);
    for (int64_t l = 0; l < config->layers && status == 0; l++) {
        brew_layer *layer = &model->layers[l];
        status = load_gain(model, BREW_ATTN_NORM, l, &place, host, &layer->attn_gain, err);
        if (status == 0)
            status = load_gain(model, BREW_MLP_NORM, l, &place, host, &layer->mlp_gain, err);
        if (status == 0 && config->qk_norm)
            status = load_gain(model, BREW_Q_NORM, l, &place, host, &layer->q_gain, err);
        if (status == 0 && config->qk_norm)
            status = load_gain(model, BREW_K_NORM, l, &place, host, &layer->k_gain, err);
    }
    free(host);
    return status;
}

static int load_layer(brew_model *model, int64_t l, brew_err *err) {
    static const enum brew_role qkv[] = {BREW_Q, BREW_K, BREW_V}, out[] = {BREW_OUT},
                                gate_up[] = {BREW_GATE, BREW_UP}, down[] = {BREW_DOWN};
    brew_layer *layer = &model->layers[l];
    layer->qkv = pack(model, qkv, 3, BREW_Q_BIAS, BREW_WEIGHT_STACK, l, err);
    if (!layer->qkv) return -1;
    layer->out = pack(model, out, 1, BREW_OUT_BIAS, BREW_WEIGHT_STACK, l, err);
    if (!layer->out) return -1;
    layer->gate_up = pack(model, gate_up, 2, BREW_ROLES, BREW_WEIGHT_GATE_UP, l, err);
    if (!layer->gate_up) return -1;
    layer->down = pack(model, down, 1, BREW_ROLES, BREW_WEIGHT_STACK, l, err);
    return layer->down ? 0 : -1;
}

static int load_tables(brew_model *model, brew_err *err) {
    brew_tensor tensor;
    if (find(model, BREW_EMBEDDING, 0, &tensor, err) < 0) return -1;
    model->embedding = model->be->ops->table_new(model->be, &tensor, err);
    if (!model->embedding) return -1;
    if (model->config.tied) {
        model->head = model->embedding;
        return 0;
    }
    if (find(model, BREW_HEAD, 0, &tensor, err) < 0) return -1;
    model->head_scales = tensor.row_scales;
    model->head = model->be->ops->table_new(model->be, &tensor, err);
    return model->head ? 0 : -1;
}

int brew_rope_reserve(brew_backend *be, const brew_config *config, int64_t positions,
                      brew_rope **rope, int64_t *held, brew_err *err) {
    if (positions <= *held) return 0;
    int64_t n = 4096;
    while (n < positions) n *= 2;
    if (n > config->context) n = config->context;
    float *inv_freq = brew_calloc((size_t)config->head_dim / 2, sizeof(float));
    brew_config_inv_freq(config, inv_freq);
    brew_rope *larger = be->ops->rope_new(be, inv_freq, config->head_dim, n, 1.0, err);
    free(inv_freq);
    if (!larger) return -1;
    if (*rope) be->ops->rope_free(be, *rope);
    *rope = larger;
    *held = n;
    return 0;
}

static int load(brew_model *model, brew_err *err) {
    model->layers = brew_calloc((size_t)model->config.layers, sizeof *model->layers);
    if (load_tables(model, err) < 0 || load_gains(model, err) < 0) return -1;
    for (int64_t l = 0; l < model->config.layers; l++)
        if (load_layer(model, l, err) < 0) return -1;
    return 0;
}

brew_model *brew_model_open(const brew_modeldir *dir, brew_backend *be, brew_err *err) {
    return brew_model_open_adapted(dir, NULL, be, err);
}

brew_model *brew_model_open_adapted(const brew_modeldir *dir, const brew_adapter *adapter,
                                    brew_backend *be, brew_err *err) {
    brew_model *model = brew_calloc(1, sizeof *model);
    model->dir = dir;
    model->adapter = adapter;
    model->be = be;
    if (brew_config_read(&model->config, dir, err) < 0) {
        free(model);
        return NULL;
    }
    int status = brew_role_refuse_others(&model->config, dir, err);
    if (status == 0) status = load(model, err);
    model->adapter = NULL;
    if (status == 0) return model;
    brew_err_context(err, "%s", brew_modeldir_name(dir));
    brew_model_free(model);
    return NULL;
}

// Values of a size that norms and softmax do not mind.
static float *draw(const brew_config *config) {
    enum { PERIOD = 4093 };
    int64_t most = 1;
    for (int role = 0; role < BREW_ROLES; role++) {
        int64_t shape[2];
        if (!brew_role_used(config, (enum brew_role)role)) continue;
        brew_role_shape(config, (enum brew_role)role, shape);
        if (shape[0] * shape[1] > most) most = shape[0] * shape[1];
    }
    float *drawn = brew_realloc_array(NULL, (size_t)most, sizeof *drawn);
    for (int64_t i = 0; i < most; i++)
        drawn[i] = i < PERIOD ? (float)(0.1 * brew_rand_unit(1, 0, (uint64_t)i) - 0.05)
                              : drawn[i - PERIOD];
    return drawn;
}

brew_model *brew_model_sketch(const brew_config *config, brew_backend *be, brew_err *err) {
    brew_model *model = brew_calloc(1, sizeof *model);
    size_t layers = (size_t)config->layers;
    model->be = be;
    model->config = *config;
    model->config.scheme = BREW_F32;
    model->config.unquantised = NULL;
    model->config.n_unquantised = 0;
    model->config.rope_freq_factors = NULL; // they change no timing
    model->config.layer_windowed = brew_calloc(layers, sizeof *config->layer_windowed);
    memcpy(model->config.layer_windowed, config->layer_windowed,
           layers * sizeof *config->layer_windowed);
    model->drawn = draw(&model->config);
    if (load(model, err) == 0) return model;
    brew_model_free(model);
    return NULL;
}

void brew_model_free(brew_model *model) {
    if (!model) return;
    brew_backend *be = model->be;
    brew_workspace_release(&model->workspace, be);
    for (int64_t l = 0; l < model->config.layers && model->layers; l++) {
        brew_weight *weights[] = {model->layers[l].qkv, model->layers[l].out,
                                  model->layers[l].gate_up, model->layers[l].down};
        for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
            if (weights[i]) be->ops->weight_free(be, weights[i]);
    }
    free(model->layers);
    if (model->head && model->head != model->embedding) be->ops->table_free(be, model->head);
    if (model->embedding) be->ops->table_free(be, model->embedding);
    free((float *)(uintptr_t)model->head_scales);
    if (model->rope) be->ops->rope_free(be, model->rope);
    if (model->gains) be->ops->free(be, model->gains);
    free(model->drawn);
    brew_config_release(&model->config);
    free(model);
}

brew_head brew_model_head(const brew_model *model) {
    return (brew_head){.be = model->be,
                       .table = model->head,
                       .vocab = model->config.vocab,
                       .width = model->config.width,
                       .gain = model->final_gain,
                       .eps = model->config.norm_eps};
}

brew_backend *brew_model_backend(const brew_model *model) {
    return model->be;
}

const brew_config *brew_model_config(const brew_model *model) {
    return &model->config;
}
