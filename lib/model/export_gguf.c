#include "model/export_parts.h"

#include <math.h>
#include <string.h>

#include "io/gguf.h"
#include "model/config.h"
#include "text/token/tokenizer.h"

static void set_text(brew_json *object, const char *key, const char *text) {
    brew_json_set(object, key, brew_json_new_string(text, strlen(text)));
}

static void set_int(brew_json *object, const char *key, int64_t value) {
    brew_json_set(object, key, brew_json_new_int(value));
}

static void set_real(brew_json *object, const char *key, double value) {
    brew_json_set(object, key, brew_json_new_real(value));
}

static void set_bool(brew_json *object, const char *key, bool value) {
    brew_json_set(object, key, brew_json_new_bool(value));
}

// ---- RoPE

// GGUF holds llama3's scaling worked out, as a divisor of each frequency. With s = 0 for long waves, 1
// for short ones and (context / wave - low) / (high - low) between, the divisor is the reciprocal of
// (1 - s) / factor + s. low may be taken for 1: only ratios count.
struct llama3 {
    double factor, high, context;
};

static double inverse_wave(const brew_config *config, int64_t i) {
    double exponent = (double)(2 * i) / (double)config->head_dim;
    return pow(config->rope_theta, -exponent) / 6.283185307179586;
}

static double divisor(const brew_config *config, const struct llama3 *rope, int64_t i) {
    double s = (rope->context * inverse_wave(config, i) - 1) / (rope->high - 1);
    s = fmin(fmax(s, 0), 1);
    return 1 / ((1 - s) / rope->factor + s);
}

// To a round number, where that is what was meant.
static double rounded(double x, double unit) {
    double near = nearbyint(x / unit) * unit;
    return fabs(near - x) <= 1e-3 * fabs(x) ? near : x;
}

// The divisors' scaling; false if they have none.
static bool find_llama3(const brew_config *config, struct llama3 *rope) {
    const float *d = config->rope_freq_factors;
    int64_t half = config->head_dim / 2, n = 0;
    *rope = (struct llama3){d[half - 1], 4, 8192}; // as in all of Llama's, where nothing tells
    if (!(rope->factor > 1)) return false;
    double x[2] = {0}, s[2] = {0}; // the first and the last wave between
    for (int64_t i = 0; i < half; i++) {
        if (!(d[i] > 1 + 1e-5) || !(d[i] < rope->factor * (1 - 1e-5))) continue;
        int to = n++ > 0;
        x[to] = inverse_wave(config, i);
        s[to] = (1 / (double)d[i] - 1 / rope->factor) / (1 - 1 / rope->factor);
    }
    if (n >= 2) {
        double slope = (s[1] - s[0]) / (x[1] - x[0]); // context / (high - 1)
        rope->high = rounded(1 - 1 / (s[0] - slope * x[0]), 0.5);
        rope->context = rounded(slope * (rope->high - 1), 1);
    } else if (n) {
        rope->context = rounded((s[0] * (rope->high - 1) + 1) / x[0], 1);
    }
    if (!(rope->high > 1) || !(rope->context >= 1)) return false;
    for (int64_t i = 0; i < half; i++)
        if (!(fabs(divisor(config, rope, i) / d[i] - 1) < 1e-5)) return false;
    return true;
}

static int set_rope(brew_json *out, const brew_config *config, brew_err *err) {
    set_real(out, "rope_theta", config->rope_theta);
    if (!config->rope_freq_factors) return 0;
    struct llama3 rope;
    if (!find_llama3(config, &rope))
        return brew_fail(err, BREW_DATA,
                         "rope_freqs.weight is no llama3 scaling, the only one that config.json is "
                         "written with");
    brew_json *scaling = brew_json_new_object();
    set_text(scaling, "rope_type", "llama3");
    set_real(scaling, "factor", rope.factor);
    set_real(scaling, "low_freq_factor", 1);
    set_real(scaling, "high_freq_factor", rope.high);
    set_int(scaling, "original_max_position_embeddings", (int64_t)nearbyint(rope.context));
    brew_json_set(out, "rope_scaling", scaling);
    return 0;
}

// ---- config.json

// Where there is a window, it is every layer's.
static void set_window(brew_json *out, const brew_config *config, const char *family) {
    if (config->window) set_int(out, "sliding_window", config->window);
    if (strncmp(family, "qwen", 4) != 0) return;
    set_bool(out, "use_sliding_window", config->window > 0);
    if (config->window) set_int(out, "max_window_layers", 0);
}

static void set_token_ids(brew_json *out, const brew_gguf *gguf, int64_t vocab) {
    static const char *const keys[][2] = {{"bos_token_id", "tokenizer.ggml.bos_token_id"},
                                          {"eos_token_id", "tokenizer.ggml.eos_token_id"},
                                          {"pad_token_id", "tokenizer.ggml.padding_token_id"}};
    for (int i = 0; i < 3; i++) {
        int64_t id;
        if (brew_gguf_int(gguf, keys[i][1], &id) && id >= 0 && id < vocab)
            set_int(out, keys[i][0], id);
    }
}

static brew_json *config_of(const brew_config *config, const brew_gguf *gguf, brew_err *err) {
    static const char *const classes[][2] = {{"llama", "LlamaForCausalLM"},
                                             {"mistral", "MistralForCausalLM"},
                                             {"qwen2", "Qwen2ForCausalLM"},
                                             {"qwen3", "Qwen3ForCausalLM"}};
    // Mistral models with a window come as "llama" in GGUF
    bool mistral = !strcmp(config->family, "llama") && config->window;
    const char *family = mistral ? "mistral" : config->family, *class = "";
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (!strcmp(classes[i][0], family)) class = classes[i][1];
    brew_json *out = brew_json_new_object(), *list = brew_json_new_array();
    brew_json_push(list, brew_json_new_string(class, strlen(class)));
    brew_json_set(out, "architectures", list);
    set_text(out, "model_type", family);
    set_int(out, "vocab_size", config->vocab);
    set_int(out, "hidden_size", config->width);
    set_int(out, "intermediate_size", config->mlp);
    set_int(out, "num_hidden_layers", config->layers);
    set_int(out, "num_attention_heads", config->heads);
    set_int(out, "num_key_value_heads", config->kv_heads);
    set_int(out, "head_dim", config->head_dim);
    set_int(out, "max_position_embeddings", config->context);
    set_real(out, "rms_norm_eps", config->norm_eps);
    set_text(out, "hidden_act", "silu");
    set_bool(out, "tie_word_embeddings", config->tied);
    if (!strcmp(family, "llama") || !strcmp(family, "qwen3"))
        set_bool(out, "attention_bias", config->qkv_bias);
    if (!strcmp(family, "llama")) set_bool(out, "mlp_bias", false);
    set_window(out, config, family);
    set_token_ids(out, gguf, config->vocab);
    if (!set_rope(out, config, err)) return out;
    brew_json_free(out);
    return NULL;
}

brew_json *brew_export_config_gguf(const brew_modeldir *from, brew_err *err) {
    brew_config config;
    if (brew_config_read(&config, from, err)) return NULL;
    brew_json *out = config_of(&config, brew_modeldir_gguf(from), err);
    if (!out) brew_err_context(err, "%s", brew_modeldir_name(from));
    brew_config_release(&config);
    return out;
}

// ---- The tokenizer

static void set_token(brew_json *out, const char *key, const brew_tokenizer *tok,
                      const brew_gguf *gguf, const char *source) {
    int64_t id;
    size_t len;
    if (!brew_gguf_int(gguf, source, &id) || id < 0 || id > INT32_MAX) return;
    const char *text = brew_tokenizer_entry(tok, (int32_t)id, &len);
    if (text) brew_json_set(out, key, brew_json_new_string(text, len));
}

static brew_json *settings_of(const brew_tokenizer *tok, const brew_gguf *gguf, int64_t context) {
    brew_json *out = brew_json_new_object();
    set_text(out, "tokenizer_class", "PreTrainedTokenizerFast"); // tokenizer.json, as it stands
    set_token(out, "bos_token", tok, gguf, "tokenizer.ggml.bos_token_id");
    set_token(out, "eos_token", tok, gguf, "tokenizer.ggml.eos_token_id");
    set_token(out, "unk_token", tok, gguf, "tokenizer.ggml.unknown_token_id");
    set_token(out, "pad_token", tok, gguf, "tokenizer.ggml.padding_token_id");
    set_bool(out, "clean_up_tokenization_spaces", false);
    set_int(out, "model_max_length", context);
    const char *text;
    size_t len;
    if (brew_gguf_string(gguf, "tokenizer.chat_template", &text, &len))
        brew_json_set(out, "chat_template", brew_json_new_string(text, len));
    return out;
}

int brew_export_tokenizer_gguf(const brew_modeldir *from, brew_buf *tokenizer, brew_json **settings,
                               brew_err *err) {
    const brew_gguf *gguf = brew_modeldir_gguf(from);
    brew_config config;
    if (!brew_tokenizer_present(from)) return 0;
    brew_tokenizer *tok = brew_tokenizer_open(from, err);
    int status = tok ? brew_config_read(&config, from, err) : -1;
    if (!status) {
        brew_tokenizer_write(tok, tokenizer);
        *settings = settings_of(tok, gguf, config.context);
        brew_config_release(&config);
    }
    brew_tokenizer_free(tok);
    return status ? status : 1;
}
