#include "model/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/config.h"

// Names in Hugging Face files and in GGUF; those of a layer follow "model.layers.N." and "blk.N.".
// Rows and columns; vectors have no columns.
static const struct tensor_name {
    const char *hf, *gguf;
    enum brew_dim rows, cols;
} names[BREW_ROLES] = {
    [BREW_EMBEDDING] = {"model.embed_tokens.weight", "token_embd.weight", BREW_DIM_V, BREW_DIM_C},
    [BREW_HEAD] = {"lm_head.weight", "output.weight", BREW_DIM_V, BREW_DIM_C},
    [BREW_FINAL_NORM] = {"model.norm.weight", "output_norm.weight", BREW_DIM_C, BREW_DIM_NONE},
    [BREW_ATTN_NORM] = {"input_layernorm.weight", "attn_norm.weight", BREW_DIM_C, BREW_DIM_NONE},
    [BREW_Q] = {"self_attn.q_proj.weight", "attn_q.weight", BREW_DIM_Q, BREW_DIM_C},
    [BREW_K] = {"self_attn.k_proj.weight", "attn_k.weight", BREW_DIM_KV, BREW_DIM_C},
    [BREW_V] = {"self_attn.v_proj.weight", "attn_v.weight", BREW_DIM_KV, BREW_DIM_C},
    [BREW_Q_BIAS] = {"self_attn.q_proj.bias", "attn_q.bias", BREW_DIM_Q, BREW_DIM_NONE},
    [BREW_K_BIAS] = {"self_attn.k_proj.bias", "attn_k.bias", BREW_DIM_KV, BREW_DIM_NONE},
    [BREW_V_BIAS] = {"self_attn.v_proj.bias", "attn_v.bias", BREW_DIM_KV, BREW_DIM_NONE},
    [BREW_Q_NORM] = {"self_attn.q_norm.weight", "attn_q_norm.weight", BREW_DIM_D, BREW_DIM_NONE},
    [BREW_K_NORM] = {"self_attn.k_norm.weight", "attn_k_norm.weight", BREW_DIM_D, BREW_DIM_NONE},
    [BREW_OUT] = {"self_attn.o_proj.weight", "attn_output.weight", BREW_DIM_C, BREW_DIM_Q},
    [BREW_OUT_BIAS] = {"self_attn.o_proj.bias", "attn_output.bias", BREW_DIM_C, BREW_DIM_NONE},
    [BREW_MLP_NORM] = {"post_attention_layernorm.weight", "ffn_norm.weight", BREW_DIM_C,
                       BREW_DIM_NONE},
    [BREW_GATE] = {"mlp.gate_proj.weight", "ffn_gate.weight", BREW_DIM_F, BREW_DIM_C},
    [BREW_UP] = {"mlp.up_proj.weight", "ffn_up.weight", BREW_DIM_F, BREW_DIM_C},
    [BREW_DOWN] = {"mlp.down_proj.weight", "ffn_down.weight", BREW_DIM_C, BREW_DIM_F},
};

static int64_t dim_size(const brew_config *config, enum brew_dim dim) {
    switch (dim) {
    case BREW_DIM_V:
        return config->vocab;
    case BREW_DIM_C:
        return config->width;
    case BREW_DIM_Q:
        return config->heads * config->head_dim;
    case BREW_DIM_KV:
        return config->kv_heads * config->head_dim;
    case BREW_DIM_D:
        return config->head_dim;
    case BREW_DIM_F:
        return config->mlp;
    default:
        return 1;
    }
}

bool brew_role_used(const brew_config *config, enum brew_role role) {
    switch (role) {
    case BREW_HEAD:
        return !config->tied;
    case BREW_Q_BIAS:
    case BREW_K_BIAS:
    case BREW_V_BIAS:
        return config->qkv_bias;
    case BREW_OUT_BIAS:
        return config->out_bias;
    case BREW_Q_NORM:
    case BREW_K_NORM:
        return config->qk_norm;
    default:
        return true;
    }
}

bool brew_role_matrix(enum brew_role role) {
    return names[role].cols != BREW_DIM_NONE;
}

void brew_role_dims(enum brew_role role, enum brew_dim dims[2]) {
    dims[0] = names[role].rows;
    dims[1] = names[role].cols;
}

void brew_role_shape(const brew_config *config, enum brew_role role, int64_t shape[2]) {
    shape[0] = dim_size(config, names[role].rows);
    shape[1] = dim_size(config, names[role].cols);
}

void brew_role_name(char *out, size_t cap, bool gguf, enum brew_role role, int64_t layer) {
    const char *name = gguf ? names[role].gguf : names[role].hf;
    if (role < BREW_FIRST_OF_LAYER)
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

// The scales of a quantised matrix, one for each row, F32: NAME_scale [rows, 1].
static int find_scales(const brew_modeldir *dir, const char *name, brew_tensor *tensor,
                       brew_err *err) {
    char scale_name[160];
    snprintf(scale_name, sizeof scale_name, "%s_scale", name);
    const brew_tensor *stored = brew_modeldir_tensor(dir, scale_name);
    int64_t rows = tensor->shape[0];
    if (!stored) return brew_fail(err, BREW_DATA, "tensor %s is missing", scale_name);
    bool real =
        stored->dtype == BREW_F32 || stored->dtype == BREW_BF16 || stored->dtype == BREW_F16;
    if (!real || stored->n_dims < 1 || stored->n_dims > 2 || stored->shape[0] != rows ||
        (stored->n_dims == 2 && stored->shape[1] != 1))
        return brew_fail(err, BREW_DATA, "tensor %s is not %lld scales", scale_name,
                         (long long)rows);
    brew_tensor column = *stored;
    column.n_dims = 1;
    float *scales = brew_alloc((size_t)rows * sizeof *scales);
    brew_tensor_rows(&column, 0, 1, scales);
    tensor->row_scales = scales;
    return 0;
}

// Is a matrix of this model stored quantised? The configuration says so, and the file must agree.
static int check_scheme(const brew_config *config, const char *name, bool linear,
                        enum brew_dtype dtype, brew_err *err) {
    char module[160];
    snprintf(module, sizeof module, "%s", name);
    char *end = strstr(module, ".weight");
    if (end) *end = 0;
    bool want = linear && brew_config_quantised(config, module);
    if (want == (dtype == BREW_F8_E4M3 || dtype == BREW_I8) && (!want || dtype == config->scheme))
        return want;
    return brew_fail(err, BREW_DATA, "tensor %s is %s where config.json says %s", name,
                     brew_dtype_name(dtype), want ? brew_dtype_name(config->scheme) : "plain");
}

int brew_role_find(const brew_config *config, const brew_modeldir *dir, enum brew_role role,
                   int64_t layer, brew_tensor *out, brew_err *err) {
    bool gguf = brew_modeldir_gguf(dir) != NULL;
    char name[128], want_text[64], got_text[128];
    brew_role_name(name, sizeof name, gguf, role, layer);
    const brew_tensor *tensor = brew_modeldir_tensor(dir, name);
    if (!tensor) return brew_fail(err, BREW_DATA, "tensor %s is missing", name);
    bool matrix = brew_role_matrix(role);
    int64_t want[2];
    brew_role_shape(config, role, want);
    int n_dims = matrix ? 2 : 1;
    if (tensor->n_dims != n_dims || memcmp(tensor->shape, want, (size_t)n_dims * sizeof *want)) {
        shape_text(want_text, sizeof want_text, n_dims, want);
        shape_text(got_text, sizeof got_text, tensor->n_dims, tensor->shape);
        return brew_fail(err, BREW_DATA, "tensor %s has shape %s where %s belongs", name, got_text,
                         want_text);
    }
    *out = *tensor;
    int quantised =
        check_scheme(config, name, matrix && role != BREW_EMBEDDING, tensor->dtype, err);
    if (quantised) return quantised < 0 ? -1 : find_scales(dir, name, out, err);
    bool plain =
        tensor->dtype == BREW_F32 || tensor->dtype == BREW_BF16 || tensor->dtype == BREW_F16;
    bool block = tensor->dtype == BREW_Q8_0 || tensor->dtype == BREW_Q4_0 ||
                 tensor->dtype == BREW_Q4_1 || tensor->dtype == BREW_Q4_K ||
                 tensor->dtype == BREW_Q6_K;
    if (!plain && !(block && matrix))
        return brew_fail(err, BREW_DATA, "tensor %s is %s where %s belongs", name,
                         brew_dtype_name(tensor->dtype),
                         matrix ? "F32, BF16, F16 or a block type of GGUF" : "F32, BF16 or F16");
    if (gguf) out->interleaved_heads = brew_role_interleaved(config, role);
    return 0;
}

void brew_role_release(brew_tensor *tensor) {
    free((float *)(uintptr_t)tensor->row_scales);
    tensor->row_scales = NULL;
}

static bool ends_with(const char *text, const char *tail) {
    size_t n = strlen(text), m = strlen(tail);
    return n >= m && !strcmp(text + n - m, tail);
}

bool brew_role_parse(bool gguf, const char *name, enum brew_role *role, int64_t *layer) {
    const char *prefix = gguf ? "blk." : "model.layers.";
    bool in_layer = !strncmp(name, prefix, strlen(prefix));
    *layer = 0;
    if (in_layer) {
        const char *digits = name + strlen(prefix);
        char *rest;
        if (*digits < '0' || *digits > '9') return false;
        *layer = strtoll(digits, &rest, 10);
        if (*rest != '.') return false;
        name = rest + 1;
    }
    for (int r = 0; r < BREW_ROLES; r++) {
        *role = (enum brew_role)r;
        if (in_layer == (r >= BREW_FIRST_OF_LAYER) &&
            !strcmp(name, gguf ? names[r].gguf : names[r].hf))
            return true;
    }
    return false;
}

int64_t brew_role_interleaved(const brew_config *config, enum brew_role role) {
    if (strcmp(config->family, "llama") && strcmp(config->family, "mistral")) return 0;
    if (role == BREW_Q || role == BREW_Q_BIAS) return config->heads;
    return role == BREW_K || role == BREW_K_BIAS ? config->kv_heads : 0;
}

static bool tensor_expected(const brew_config *config, bool gguf, const char *name) {
    enum brew_role role;
    int64_t layer;
    if (gguf ? !strcmp(name, "rope_freqs.weight") : ends_with(name, ".rotary_emb.inv_freq"))
        return true;
    if (!brew_role_parse(gguf, name, &role, &layer) || layer >= config->layers) return false;
    return brew_role_used(config, role) || (role == BREW_HEAD && !gguf);
}

// The scales of a matrix that is quantised.
static bool scale_expected(const brew_config *config, const char *name) {
    char module[160];
    static const char tail[] = ".weight_scale";
    if (strlen(name) >= sizeof module || !ends_with(name, tail)) return false;
    snprintf(module, sizeof module, "%.*s", (int)(strlen(name) - strlen("_scale")), name);
    if (!tensor_expected(config, false, module)) return false;
    module[strlen(name) - strlen(tail)] = 0;
    return brew_config_quantised(config, module);
}

bool brew_role_gguf_name(const brew_config *config, const char *gguf, char *hf, size_t cap,
                         int64_t *interleaved_heads) {
    enum brew_role role;
    int64_t layer;
    if (!brew_role_parse(true, gguf, &role, &layer)) return false;
    brew_role_name(hf, cap, false, role, layer);
    *interleaved_heads = brew_role_interleaved(config, role);
    return true;
}

int brew_role_refuse_others(const brew_config *config, const brew_modeldir *dir, brew_err *err) {
    bool gguf = brew_modeldir_gguf(dir) != NULL;
    for (size_t i = 0; i < brew_modeldir_n_tensors(dir); i++) {
        const char *name;
        brew_modeldir_tensor_at(dir, i, &name);
        if (!tensor_expected(config, gguf, name) && (gguf || !scale_expected(config, name)))
            return brew_fail(err, BREW_DATA,
                             "tensor %.120s has no place in a %s model of %lld layers", name,
                             config->family, (long long)config->layers);
    }
    return 0;
}
