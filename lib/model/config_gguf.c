// What a GGUF file says about its model: metadata under "<architecture>.", as llama.cpp's converter
// writes it. Mistral models come as "llama" there.
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "io/gguf.h"
#include "model/config.h"

struct meta {
    const brew_gguf *gguf;
    const char *arch;
    char key[128];
};

static const char *key_of(struct meta *meta, const char *name) {
    snprintf(meta->key, sizeof meta->key, "%s.%s", meta->arch, name);
    return meta->key;
}

// An integer under the architecture's name: 1 set, 0 absent, negative wrong.
static int get_int(struct meta *meta, const char *name, int64_t min, int64_t max, int64_t *out,
                   brew_err *err) {
    const char *key = key_of(meta, name);
    if (!brew_gguf_has(meta->gguf, key)) return 0;
    int64_t value;
    if (!brew_gguf_int(meta->gguf, key, &value))
        return brew_fail(err, BREW_DATA, "%s is not an integer", key);
    if (value < min || value > max)
        return brew_fail(err, BREW_DATA, "%s is %lld, which is out of range (%lld to %lld)", key,
                         (long long)value, (long long)min, (long long)max);
    *out = value;
    return 1;
}

static int need_int(struct meta *meta, const char *name, int64_t max, int64_t *out, brew_err *err) {
    int got = get_int(meta, name, 1, max, out, err);
    return got ? got : brew_fail(err, BREW_DATA, "%s is missing", key_of(meta, name));
}

static int get_real(struct meta *meta, const char *name, double min, double max, double *out,
                    brew_err *err) {
    const char *key = key_of(meta, name);
    if (!brew_gguf_has(meta->gguf, key)) return 0;
    double value;
    if (!brew_gguf_real(meta->gguf, key, &value))
        return brew_fail(err, BREW_DATA, "%s is not a number", key);
    if (!(value >= min && value <= max))
        return brew_fail(err, BREW_DATA, "%s is %g, which is out of range (%g to %g)", key, value,
                         min, max);
    *out = value;
    return 1;
}

static int read_sizes(brew_config *config, struct meta *meta, brew_err *err) {
    if (need_int(meta, "embedding_length", BREW_MAX_WIDTH, &config->width, err) < 0 ||
        need_int(meta, "block_count", BREW_MAX_LAYERS, &config->layers, err) < 0 ||
        need_int(meta, "attention.head_count", BREW_MAX_HEADS, &config->heads, err) < 0 ||
        need_int(meta, "feed_forward_length", BREW_MAX_WIDTH, &config->mlp, err) < 0 ||
        need_int(meta, "context_length", BREW_MAX_CONTEXT, &config->context, err) < 0)
        return -1;
    config->kv_heads = config->heads;
    config->head_dim = config->width / config->heads;
    if (get_int(meta, "attention.head_count_kv", 1, BREW_MAX_HEADS, &config->kv_heads, err) < 0)
        return -1;
    int given = get_int(meta, "attention.key_length", 1, BREW_MAX_HEAD_DIM, &config->head_dim, err);
    if (given < 0) return -1;
    if (!given && config->width % config->heads)
        return brew_fail(err, BREW_DATA, "width %lld is not a multiple of %lld heads",
                         (long long)config->width, (long long)config->heads);
    int64_t values = config->head_dim, rotary = config->head_dim;
    if (get_int(meta, "attention.value_length", 1, BREW_MAX_HEAD_DIM, &values, err) < 0 ||
        get_int(meta, "rope.dimension_count", 1, BREW_MAX_HEAD_DIM, &rotary, err) < 0)
        return -1;
    if (values != config->head_dim || rotary != config->head_dim)
        return brew_fail(err, BREW_DATA,
                         "heads with keys of %lld, values of %lld and RoPE over %lld are not "
                         "supported (all equal)",
                         (long long)config->head_dim, (long long)values, (long long)rotary);
    size_t tokens;
    enum brew_gguf_type type;
    if (brew_gguf_array(meta->gguf, "tokenizer.ggml.tokens", &type, &tokens))
        config->vocab = (int64_t)tokens;
    else if (need_int(meta, "vocab_size", BREW_MAX_VOCAB, &config->vocab, err) < 0)
        return -1;
    if (config->vocab < 1 || config->vocab > BREW_MAX_VOCAB)
        return brew_fail(err, BREW_DATA, "a vocabulary of %lld tokens is out of range (1 to %d)",
                         (long long)config->vocab, BREW_MAX_VOCAB);
    return 0;
}

// Divisors of the frequencies, as the converter works them out for llama3 scaling.
static int read_freq_factors(brew_config *config, const brew_modeldir *dir, brew_err *err) {
    const brew_tensor *t = brew_modeldir_tensor(dir, "rope_freqs.weight");
    if (!t) return 0;
    int64_t half = config->head_dim / 2;
    if (t->dtype != BREW_F32 || t->n_dims != 1 || t->shape[0] != half)
        return brew_fail(err, BREW_DATA,
                         "rope_freqs.weight is %s with %lld values where F32 [%lld] "
                         "belongs",
                         brew_dtype_name(t->dtype), (long long)(t->n_dims ? t->shape[0] : 1),
                         (long long)half);
    config->rope_freq_factors = brew_calloc((size_t)half, sizeof(float));
    brew_tensor_rows(t, 0, 1, config->rope_freq_factors);
    for (int64_t i = 0; i < half; i++)
        if (!(config->rope_freq_factors[i] > 0 && config->rope_freq_factors[i] < 1e6f))
            return brew_fail(err, BREW_DATA, "rope_freqs.weight[%lld] is %g, which is out of range",
                             (long long)i, (double)config->rope_freq_factors[i]);
    return 0;
}

static int read_rope(brew_config *config, struct meta *meta, brew_err *err) {
    config->rope_theta = 10000;
    if (get_real(meta, "rope.freq_base", 1, 1e12, &config->rope_theta, err) < 0) return -1;
    const char *text;
    size_t len;
    if (brew_gguf_string(meta->gguf, key_of(meta, "rope.scaling.type"), &text, &len) &&
        !(len == 4 && !memcmp(text, "none", 4)))
        return brew_fail(err, BREW_DATA, "%s \"%.*s\" is not supported", meta->key,
                         (int)(len < 40 ? len : 40), text);
    double linear = 1;
    if (get_real(meta, "rope.scale_linear", 0, 1e6, &linear, err) < 0) return -1;
    if (linear != 1) return brew_fail(err, BREW_DATA, "%s is not supported", meta->key);
    return 0;
}

static int read_window(brew_config *config, struct meta *meta, brew_err *err) {
    config->layer_windowed = brew_calloc((size_t)config->layers, sizeof(bool));
    if (brew_gguf_has(meta->gguf, key_of(meta, "attention.sliding_window_pattern")))
        return brew_fail(err, BREW_DATA, "%s is not supported", meta->key);
    int64_t window = 0;
    if (get_int(meta, "attention.sliding_window", 0, INT32_MAX, &window, err) < 0) return -1;
    config->window = window;
    for (int64_t i = 0; i < config->layers && window; i++) config->layer_windowed[i] = true;
    return 0;
}

int brew_config_read_gguf(brew_config *config, const brew_modeldir *dir, brew_err *err) {
    static const char *const known[] = {"llama", "qwen2", "qwen3"};
    struct meta meta = {.gguf = brew_modeldir_gguf(dir)};
    const char *arch;
    size_t len;
    if (!brew_gguf_string(meta.gguf, "general.architecture", &arch, &len))
        return brew_fail(err, BREW_DATA, "general.architecture is missing");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i]) == len && !memcmp(known[i], arch, len)) meta.arch = known[i];
    if (!meta.arch)
        return brew_fail(err, BREW_DATA,
                         "architecture \"%.*s\" is not supported (llama, qwen2, qwen3)",
                         (int)(len < 60 ? len : 60), arch);
    memcpy(config->family, meta.arch, len);
    bool llama = !strcmp(meta.arch, "llama");
    int64_t experts = 0;
    if (get_int(&meta, "expert_count", 0, INT32_MAX, &experts, err) < 0) return -1;
    if (experts)
        return brew_fail(err, BREW_DATA, "%s is not supported", key_of(&meta, "expert_count"));
    config->out_bias = llama && brew_modeldir_tensor(dir, "blk.0.attn_output.bias");
    config->qkv_bias = config->out_bias || !strcmp(meta.arch, "qwen2");
    config->qk_norm = !strcmp(meta.arch, "qwen3");
    config->tied = !brew_modeldir_tensor(dir, "output.weight");
    config->norm_eps = 1e-6;
    if (read_sizes(config, &meta, err) < 0 ||
        get_real(&meta, "attention.layer_norm_rms_epsilon", 0, 1, &config->norm_eps, err) < 0 ||
        read_rope(config, &meta, err) < 0 || read_window(config, &meta, err) < 0)
        return -1;
    return brew_config_check(config, err) < 0 ? -1 : read_freq_factors(config, dir, err);
}
