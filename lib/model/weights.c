#include "model/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config.h"

// What a tensor's dimensions are.
enum dim { NONE, DIM_V, DIM_C, DIM_Q, DIM_KV, DIM_D, DIM_F };

enum role {
    EMBEDDING,
    HEAD,
    FINAL_NORM, // once
    ATTN_NORM,
    Q,
    K,
    V,
    Q_BIAS,
    K_BIAS,
    V_BIAS,
    Q_NORM,
    K_NORM,
    OUT,
    OUT_BIAS, // in every layer
    MLP_NORM,
    GATE,
    UP,
    DOWN,
    N_ROLES,
    FIRST_OF_LAYER = ATTN_NORM
};

// Names in Hugging Face files and in GGUF; those of a layer follow "model.layers.N." and "blk.N.".
// Rows and columns; vectors have no columns.
static const struct tensor_name {
    const char *hf, *gguf;
    enum dim rows, cols;
} names[N_ROLES] = {
    [EMBEDDING] = {"model.embed_tokens.weight", "token_embd.weight", DIM_V, DIM_C},
    [HEAD] = {"lm_head.weight", "output.weight", DIM_V, DIM_C},
    [FINAL_NORM] = {"model.norm.weight", "output_norm.weight", DIM_C, NONE},
    [ATTN_NORM] = {"input_layernorm.weight", "attn_norm.weight", DIM_C, NONE},
    [Q] = {"self_attn.q_proj.weight", "attn_q.weight", DIM_Q, DIM_C},
    [K] = {"self_attn.k_proj.weight", "attn_k.weight", DIM_KV, DIM_C},
    [V] = {"self_attn.v_proj.weight", "attn_v.weight", DIM_KV, DIM_C},
    [Q_BIAS] = {"self_attn.q_proj.bias", "attn_q.bias", DIM_Q, NONE},
    [K_BIAS] = {"self_attn.k_proj.bias", "attn_k.bias", DIM_KV, NONE},
    [V_BIAS] = {"self_attn.v_proj.bias", "attn_v.bias", DIM_KV, NONE},
    [Q_NORM] = {"self_attn.q_norm.weight", "attn_q_norm.weight", DIM_D, NONE},
    [K_NORM] = {"self_attn.k_norm.weight", "attn_k_norm.weight", DIM_D, NONE},
    [OUT] = {"self_attn.o_proj.weight", "attn_output.weight", DIM_C, DIM_Q},
    [OUT_BIAS] = {"self_attn.o_proj.bias", "attn_output.bias", DIM_C, NONE},
    [MLP_NORM] = {"post_attention_layernorm.weight", "ffn_norm.weight", DIM_C, NONE},
    [GATE] = {"mlp.gate_proj.weight", "ffn_gate.weight", DIM_F, DIM_C},
    [UP] = {"mlp.up_proj.weight", "ffn_up.weight", DIM_F, DIM_C},
    [DOWN] = {"mlp.down_proj.weight", "ffn_down.weight", DIM_C, DIM_F},
};

static int64_t dim_size(const brew_config *config, enum dim dim) {
    switch (dim) {
    case DIM_V:
        return config->vocab;
    case DIM_C:
        return config->width;
    case DIM_Q:
        return config->heads * config->head_dim;
    case DIM_KV:
        return config->kv_heads * config->head_dim;
    case DIM_D:
        return config->head_dim;
    case DIM_F:
        return config->mlp;
    default:
        return 1;
    }
}

static bool role_used(const brew_config *config, enum role role) {
    switch (role) {
    case HEAD:
        return !config->tied;
    case Q_BIAS:
    case K_BIAS:
    case V_BIAS:
        return config->qkv_bias;
    case OUT_BIAS:
        return config->out_bias;
    case Q_NORM:
    case K_NORM:
        return config->qk_norm;
    default:
        return true;
    }
}

static void tensor_name(char *out, size_t cap, bool gguf, enum role role, int64_t layer) {
    const char *name = gguf ? names[role].gguf : names[role].hf;
    if (role < FIRST_OF_LAYER)
        snprintf(out, cap, "%s", name);
    else
        snprintf(out, cap, "%s%lld.%s", gguf ? "blk." : "model.layers.", (long long)layer, name);
}

static void shape_text(char *out, size_t cap, int n_dims, const int64_t *shape) {
    size_t used = (size_t)snprintf(out, cap, "[");
    for (int i = 0; i < n_dims && used < cap; i++)
        used +=
            (size_t)snprintf(out + used, cap - used, "%s%lld", i ? ", " : "", (long long)shape[i]);
    if (used < cap) snprintf(out + used, cap - used, "]");
}

// The tensor of a role, its type and shape checked, q and k of GGUF's llama marked as interleaved.
static int find(const brew_model *model, enum role role, int64_t layer, brew_tensor *out,
                brew_err *err) {
    const brew_config *config = &model->config;
    bool gguf = brew_modeldir_gguf(model->dir) != NULL;
    char name[128], want_text[64], got_text[128];
    tensor_name(name, sizeof name, gguf, role, layer);
    const brew_tensor *tensor = brew_modeldir_tensor(model->dir, name);
    if (!tensor) return brew_fail(err, BREW_DATA, "tensor %s is missing", name);
    bool matrix = names[role].cols != NONE;
    int64_t want[2] = {dim_size(config, names[role].rows), dim_size(config, names[role].cols)};
    int n_dims = matrix ? 2 : 1;
    if (tensor->n_dims != n_dims || memcmp(tensor->shape, want, (size_t)n_dims * sizeof *want)) {
        shape_text(want_text, sizeof want_text, n_dims, want);
        shape_text(got_text, sizeof got_text, tensor->n_dims, tensor->shape);
        return brew_fail(err, BREW_DATA, "tensor %s has shape %s where %s belongs", name, got_text,
                         want_text);
    }
    bool plain =
        tensor->dtype == BREW_F32 || tensor->dtype == BREW_BF16 || tensor->dtype == BREW_F16;
    bool block = tensor->dtype == BREW_Q8_0 || tensor->dtype == BREW_Q4_0 ||
                 tensor->dtype == BREW_Q4_1 || tensor->dtype == BREW_Q4_K ||
                 tensor->dtype == BREW_Q6_K;
    if (!plain && !(block && matrix))
        return brew_fail(err, BREW_DATA, "tensor %s is %s where %s belongs", name,
                         brew_dtype_name(tensor->dtype),
                         matrix ? "F32, BF16, F16 or a block type of GGUF" : "F32, BF16 or F16");
    *out = *tensor;
    if (gguf && !strcmp(config->family, "llama")) {
        if (role == Q) out->interleaved_heads = config->heads;
        if (role == K) out->interleaved_heads = config->kv_heads;
    }
    return 0;
}

// A weight of one to three parts, with biases if `bias` is a role.
static brew_weight *pack(const brew_model *model, const enum role *roles, size_t n, enum role bias,
                         enum brew_weight_form form, int64_t layer, brew_err *err) {
    brew_tensor parts[3], biases[3];
    const brew_tensor *part_ptrs[3], *bias_ptrs[3];
    bool biased = bias != N_ROLES && role_used(&model->config, bias);
    for (size_t i = 0; i < n; i++) {
        if (find(model, roles[i], layer, &parts[i], err) < 0) return NULL;
        if (biased && find(model, (enum role)(bias + i), layer, &biases[i], err) < 0) return NULL;
        part_ptrs[i] = &parts[i];
        bias_ptrs[i] = &biases[i];
    }
    brew_backend *be = model->be;
    brew_weight *weight =
        be->ops->weight_new(be, part_ptrs, biased ? bias_ptrs : NULL, n, form, err);
    for (size_t i = 0; i < n; i++) brew_modeldir_forget(model->dir, &parts[i]);
    return weight;
}

// Reads a norm's gain to its place among the gains.
static int load_gain(brew_model *model, enum role role, int64_t layer, float **place, float *host,
                     float **out, brew_err *err) {
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
    int status = load_gain(model, FINAL_NORM, 0, &place, host, &model->final_gain, err);
    for (int64_t l = 0; l < config->layers && status == 0; l++) {
        brew_layer *layer = &model->layers[l];
        status = load_gain(model, ATTN_NORM, l, &place, host, &layer->attn_gain, err);
        if (status == 0)
            status = load_gain(model, MLP_NORM, l, &place, host, &layer->mlp_gain, err);
        if (status == 0 && config->qk_norm)
            status = load_gain(model, Q_NORM, l, &place, host, &layer->q_gain, err);
        if (status == 0 && config->qk_norm)
            status = load_gain(model, K_NORM, l, &place, host, &layer->k_gain, err);
    }
    free(host);
    return status;
}

static int load_layer(brew_model *model, int64_t l, brew_err *err) {
    static const enum role qkv[] = {Q, K, V}, out[] = {OUT}, gate_up[] = {GATE, UP},
                           down[] = {DOWN};
    brew_layer *layer = &model->layers[l];
    layer->qkv = pack(model, qkv, 3, Q_BIAS, BREW_WEIGHT_STACK, l, err);
    if (!layer->qkv) return -1;
    layer->out = pack(model, out, 1, OUT_BIAS, BREW_WEIGHT_STACK, l, err);
    if (!layer->out) return -1;
    layer->gate_up = pack(model, gate_up, 2, N_ROLES, BREW_WEIGHT_GATE_UP, l, err);
    if (!layer->gate_up) return -1;
    layer->down = pack(model, down, 1, N_ROLES, BREW_WEIGHT_STACK, l, err);
    return layer->down ? 0 : -1;
}

static int load_tables(brew_model *model, brew_err *err) {
    brew_tensor tensor;
    if (find(model, EMBEDDING, 0, &tensor, err) < 0) return -1;
    model->embedding = model->be->ops->table_new(model->be, &tensor, err);
    if (!model->embedding) return -1;
    if (model->config.tied) {
        model->head = model->embedding;
        return 0;
    }
    if (find(model, HEAD, 0, &tensor, err) < 0) return -1;
    model->head = model->be->ops->table_new(model->be, &tensor, err);
    return model->head ? 0 : -1;
}

static bool ends_with(const char *text, const char *tail) {
    size_t n = strlen(text), m = strlen(tail);
    return n >= m && !strcmp(text + n - m, tail);
}

static bool tensor_expected(const brew_config *config, bool gguf, const char *name) {
    if (gguf ? !strcmp(name, "rope_freqs.weight") : ends_with(name, ".rotary_emb.inv_freq"))
        return true;
    if (!gguf && config->tied && !strcmp(name, names[HEAD].hf)) return true;
    for (int role = 0; role < FIRST_OF_LAYER; role++)
        if (!strcmp(name, gguf ? names[role].gguf : names[role].hf))
            return role_used(config, (enum role)role);
    const char *prefix = gguf ? "blk." : "model.layers.";
    if (strncmp(name, prefix, strlen(prefix))) return false;
    const char *digits = name + strlen(prefix);
    char *rest;
    long long layer = strtoll(digits, &rest, 10);
    if (*digits < '0' || *digits > '9' || *rest != '.' || layer >= config->layers) return false;
    for (int role = FIRST_OF_LAYER; role < N_ROLES; role++)
        if (!strcmp(rest + 1, gguf ? names[role].gguf : names[role].hf))
            return role_used(config, (enum role)role);
    return false;
}

bool brew_weight_gguf_name(const brew_config *config, const char *gguf, char *hf, size_t cap,
                           int64_t *interleaved_heads) {
    long long layer = 0;
    int prefix = 0;
    bool in_layer = sscanf(gguf, "blk.%5lld.%n", &layer, &prefix) == 1 && prefix && layer >= 0;
    for (int role = 0; role < N_ROLES; role++) {
        if (in_layer != (role >= FIRST_OF_LAYER) || strcmp(gguf + prefix, names[role].gguf))
            continue;
        tensor_name(hf, cap, false, (enum role)role, layer);
        bool interleaves = !strcmp(config->family, "llama");
        *interleaved_heads = !interleaves                  ? 0
                             : role == Q || role == Q_BIAS ? config->heads
                             : role == K || role == K_BIAS ? config->kv_heads
                                                           : 0;
        return true;
    }
    return false;
}

// A tensor nobody reads (a bias, a scale, a layer too many) would make the scores silently wrong.
static int refuse_unread(const brew_model *model, brew_err *err) {
    bool gguf = brew_modeldir_gguf(model->dir) != NULL;
    for (size_t i = 0; i < brew_modeldir_n_tensors(model->dir); i++) {
        const char *name;
        brew_modeldir_tensor_at(model->dir, i, &name);
        if (!tensor_expected(&model->config, gguf, name))
            return brew_fail(err, BREW_DATA,
                             "tensor %.120s has no place in a %s model of %lld layers", name,
                             model->config.family, (long long)model->config.layers);
    }
    return 0;
}

int brew_model_rope(brew_model *model, int64_t positions, brew_err *err) {
    if (positions <= model->rope_positions) return 0;
    int64_t n = 4096;
    while (n < positions) n *= 2;
    if (n > model->config.context) n = model->config.context;
    float *inv_freq = brew_calloc((size_t)model->config.head_dim / 2, sizeof(float));
    brew_config_inv_freq(&model->config, inv_freq);
    brew_rope *rope =
        model->be->ops->rope_new(model->be, inv_freq, model->config.head_dim, n, 1.0, err);
    free(inv_freq);
    if (!rope) return -1;
    if (model->rope) model->be->ops->rope_free(model->be, model->rope);
    model->rope = rope;
    model->rope_positions = n;
    return 0;
}

brew_model *brew_model_open(const brew_modeldir *dir, brew_backend *be, brew_err *err) {
    brew_model *model = brew_calloc(1, sizeof *model);
    model->dir = dir;
    model->be = be;
    if (brew_config_read(&model->config, dir, err) < 0) {
        free(model);
        return NULL;
    }
    model->layers = brew_calloc((size_t)model->config.layers, sizeof *model->layers);
    int status = refuse_unread(model, err);
    if (status == 0) status = load_tables(model, err);
    if (status == 0) status = load_gains(model, err);
    for (int64_t l = 0; l < model->config.layers && status == 0; l++)
        status = load_layer(model, l, err);
    if (status == 0) return model;
    brew_err_context(err, "%s", brew_modeldir_name(dir));
    brew_model_free(model);
    return NULL;
}

void brew_model_free(brew_model *model) {
    if (!model) return;
    brew_backend *be = model->be;
    brew_workspace_release(&model->workspace, be);
    for (int64_t l = 0; l < model->config.layers; l++) {
        brew_weight *weights[] = {model->layers[l].qkv, model->layers[l].out,
                                  model->layers[l].gate_up, model->layers[l].down};
        for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
            if (weights[i]) be->ops->weight_free(be, weights[i]);
    }
    free(model->layers);
    if (model->head && model->head != model->embedding) be->ops->table_free(be, model->head);
    if (model->embedding) be->ops->table_free(be, model->embedding);
    if (model->rope) be->ops->rope_free(be, model->rope);
    if (model->gains) be->ops->free(be, model->gains);
    brew_config_release(&model->config);
    free(model);
}

const brew_config *brew_model_config(const brew_model *model) {
    return &model->config;
}
