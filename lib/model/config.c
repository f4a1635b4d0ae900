// What a model says about itself: config.json of the families in model.h.
//
// Keys and defaults are those of transformers' configuration classes; where old and new spellings
// exist, both are read. Whatever would change the arithmetic and is not built here is refused by name.
#include "model/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/json.h"

static const struct family {
    const char *name, *architecture; // model_type, and the class that computes it
    bool qkv_bias, qk_norm;
    int64_t default_kv_heads, default_head_dim; // 0: the heads, and width / heads
    bool gguf;                                  // GGUF files of this architecture exist
} families[] = {
    {"llama", "LlamaForCausalLM", false, false, 0, 0, true},
    {"qwen2", "Qwen2ForCausalLM", true, false, 32, 0, true},
    {"qwen3", "Qwen3ForCausalLM", false, true, 32, 128, true},
    {"mistral", "MistralForCausalLM", false, false, 8, 0, false},
};
enum { N_FAMILIES = sizeof families / sizeof *families };

static const struct family *family_by_name(const char *name, size_t len) {
    for (size_t i = 0; i < N_FAMILIES; i++)
        if (strlen(families[i].name) == len && !memcmp(families[i].name, name, len))
            return &families[i];
    return NULL;
}

static const struct family *family_find(const brew_json *json, brew_err *err) {
    const char *type = NULL;
    if (brew_json_want_string(json, "model_type", &type, err) < 0) return NULL;
    const struct family *found = type ? family_by_name(type, strlen(type)) : NULL;
    const brew_json *list = brew_json_get(json, "architectures");
    if (list && !brew_json_is(list, BREW_JSON_ARRAY) && !brew_json_is(list, BREW_JSON_NULL)) {
        brew_fail(err, BREW_DATA, "\"architectures\" is %s where an array belongs",
                  brew_json_type_name(list));
        return NULL;
    }
    if (brew_json_length(list) > 0) {
        const brew_json *first = brew_json_at(list, 0);
        if (!brew_json_is(first, BREW_JSON_STRING)) {
            brew_fail(err, BREW_DATA, "\"architectures\" holds %s where a string belongs",
                      brew_json_type_name(first));
            return NULL;
        }
        const char *name = brew_json_string(first, NULL);
        const struct family *by_class = NULL;
        for (size_t i = 0; i < N_FAMILIES; i++)
            if (!strcmp(families[i].architecture, name)) by_class = &families[i];
        if (!by_class) {
            brew_fail(err, BREW_DATA, "architecture %.60s is not supported (%s)", name,
                      "LlamaForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, MistralForCausalLM");
            return NULL;
        }
        if (type && found != by_class) {
            brew_fail(err, BREW_DATA, "model_type \"%.60s\" does not go with architecture %s", type,
                      by_class->architecture);
            return NULL;
        }
        return by_class;
    }
    if (!found)
        brew_fail(err, BREW_DATA,
                  "model_type \"%.60s\" is not supported (llama, qwen2, qwen3, mistral)",
                  type ? type : "");
    return found;
}

// A present null counts as absent: transformers writes both.
static const brew_json *get(const brew_json *json, const char *key) {
    const brew_json *value = brew_json_get(json, key);
    return brew_json_is(value, BREW_JSON_NULL) ? NULL : value;
}

static int get_int(const brew_json *json, const char *key, int64_t min, int64_t max, int64_t *out,
                   brew_err *err) {
    return get(json, key) ? brew_json_want_int(json, key, min, max, out, err) : 0;
}

static int get_real(const brew_json *json, const char *key, double min, double max, double *out,
                    brew_err *err) {
    if (!get(json, key)) return 0;
    int got = brew_json_want_real(json, key, out, err);
    if (got > 0 && !(*out >= min && *out <= max))
        return brew_fail(err, BREW_DATA, "\"%s\" is %g, which is out of range (%g to %g)", key,
                         *out, min, max);
    return got;
}

static int get_bool(const brew_json *json, const char *key, bool *out, brew_err *err) {
    return get(json, key) ? brew_json_want_bool(json, key, out, err) : 0;
}

static int need_int(const brew_json *json, const char *key, int64_t max, int64_t *out,
                    brew_err *err) {
    int got = get_int(json, key, 1, max, out, err);
    return got ? got : brew_fail(err, BREW_DATA, "\"%s\" is missing", key);
}

static int read_sizes(brew_config *config, const struct family *family, const brew_json *json,
                      brew_err *err) {
    if (need_int(json, "vocab_size", BREW_MAX_VOCAB, &config->vocab, err) < 0 ||
        need_int(json, "hidden_size", BREW_MAX_WIDTH, &config->width, err) < 0 ||
        need_int(json, "num_hidden_layers", BREW_MAX_LAYERS, &config->layers, err) < 0 ||
        need_int(json, "num_attention_heads", BREW_MAX_HEADS, &config->heads, err) < 0 ||
        need_int(json, "intermediate_size", BREW_MAX_WIDTH, &config->mlp, err) < 0 ||
        need_int(json, "max_position_embeddings", BREW_MAX_CONTEXT, &config->context, err) < 0)
        return -1;
    config->kv_heads = family->default_kv_heads ? family->default_kv_heads : config->heads;
    if (brew_json_is(brew_json_get(json, "num_key_value_heads"), BREW_JSON_NULL))
        config->kv_heads = config->heads;
    config->head_dim =
        family->default_head_dim ? family->default_head_dim : config->width / config->heads;
    if (get_int(json, "num_key_value_heads", 1, BREW_MAX_HEADS, &config->kv_heads, err) < 0)
        return -1;
    int given = get_int(json, "head_dim", 1, BREW_MAX_HEAD_DIM, &config->head_dim, err);
    if (given < 0) return -1;
    if (!given && !family->default_head_dim && config->width % config->heads)
        return brew_fail(
            err, BREW_DATA,
            "hidden_size %lld is not a multiple of num_attention_heads %lld, and there "
            "is no head_dim",
            (long long)config->width, (long long)config->heads);
    return 0;
}

// Keys that change the arithmetic in ways that are not built.
static int refuse_unsupported(const brew_json *json, brew_err *err) {
    static const char *const keys[] = {"compression_config",      "attention_multiplier",
                                       "logits_scaling",          "residual_multiplier",
                                       "embedding_multiplier",    "logit_scale",
                                       "final_logit_softcapping", "attn_logit_softcapping",
                                       "num_local_experts",       "num_experts"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (get(json, keys[i]))
            return brew_fail(err, BREW_DATA, "\"%s\" is not supported", keys[i]);
    const char *act = "silu";
    if (get(json, "hidden_act") && brew_json_want_string(json, "hidden_act", &act, err) < 0)
        return -1;
    if (strcmp(act, "silu") && strcmp(act, "swish"))
        return brew_fail(err, BREW_DATA, "hidden_act \"%.40s\" is not supported (silu)", act);
    bool mlp_bias = false;
    if (get_bool(json, "mlp_bias", &mlp_bias, err) < 0) return -1;
    if (mlp_bias) return brew_fail(err, BREW_DATA, "mlp_bias is not supported");
    double partial = 1;
    if (get_real(json, "partial_rotary_factor", 0, 1, &partial, err) < 0) return -1;
    if (partial != 1)
        return brew_fail(err, BREW_DATA, "partial_rotary_factor %g is not supported (1)", partial);
    return 0;
}

static int read_llama3(brew_config *config, const brew_json *rope, brew_err *err) {
    int64_t original = 0;
    if (get_real(rope, "factor", 1, 1e6, &config->rope_factor, err) < 0 ||
        get_real(rope, "low_freq_factor", 1e-6, 1e6, &config->rope_low, err) < 0 ||
        get_real(rope, "high_freq_factor", 1e-6, 1e6, &config->rope_high, err) < 0 ||
        get_int(rope, "original_max_position_embeddings", 1, BREW_MAX_CONTEXT, &original, err) < 0)
        return -1;
    config->rope_original_context = original;
    if (config->rope_factor == 0 || config->rope_low == 0 || config->rope_high == 0 || !original)
        return brew_fail(err, BREW_DATA,
                         "llama3 RoPE scaling needs factor, low_freq_factor, high_freq_factor and "
                         "original_max_position_embeddings");
    if (config->rope_high <= config->rope_low)
        return brew_fail(err, BREW_DATA, "high_freq_factor %g is not above low_freq_factor %g",
                         config->rope_high, config->rope_low);
    return 0;
}

// New files hold all of it in rope_parameters; old ones have rope_theta outside and rope_scaling.
static int read_rope(brew_config *config, const brew_json *json, brew_err *err) {
    config->rope_theta = 10000;
    if (get_real(json, "rope_theta", 1, 1e12, &config->rope_theta, err) < 0) return -1;
    const char *key = get(json, "rope_scaling") ? "rope_scaling" : "rope_parameters";
    const brew_json *rope = get(json, key);
    if (!rope) return 0;
    if (!brew_json_is(rope, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "\"%s\" is %s where an object belongs", key,
                         brew_json_type_name(rope));
    brew_json_iter it = {0};
    while (brew_json_next(rope, &it))
        if (brew_json_is(it.value, BREW_JSON_OBJECT))
            return brew_fail(err, BREW_DATA, "\"%s\" by layer type is not supported", key);
    double partial = 1;
    if (get_real(rope, "rope_theta", 1, 1e12, &config->rope_theta, err) < 0 ||
        get_real(rope, "partial_rotary_factor", 0, 1, &partial, err) < 0)
        return brew_err_context(err, "%s", key);
    if (partial != 1)
        return brew_fail(err, BREW_DATA, "partial_rotary_factor %g is not supported (1)", partial);
    const char *type = "default";
    const char *type_key = get(rope, "rope_type") ? "rope_type" : "type";
    if (get(rope, type_key) && brew_json_want_string(rope, type_key, &type, err) < 0)
        return brew_err_context(err, "%s", key);
    if (!strcmp(type, "default")) return 0;
    if (strcmp(type, "llama3"))
        return brew_fail(err, BREW_DATA, "RoPE type \"%.40s\" is not supported (default, llama3)",
                         type);
    return read_llama3(config, rope, err) < 0 ? brew_err_context(err, "%s", key) : 0;
}

static int read_layer_types(brew_config *config, const brew_json *types, bool can_mix,
                            brew_err *err) {
    if (!brew_json_is(types, BREW_JSON_ARRAY))
        return brew_fail(err, BREW_DATA, "\"layer_types\" is %s where an array belongs",
                         brew_json_type_name(types));
    if ((int64_t)brew_json_length(types) != config->layers)
        return brew_fail(err, BREW_DATA, "\"layer_types\" has %zu entries for %lld layers",
                         brew_json_length(types), (long long)config->layers);
    for (int64_t i = 0; i < config->layers; i++) {
        const brew_json *entry = brew_json_at(types, (size_t)i);
        const char *type =
            brew_json_is(entry, BREW_JSON_STRING) ? brew_json_string(entry, NULL) : "";
        bool windowed = !strcmp(type, "sliding_attention");
        if (!windowed && strcmp(type, "full_attention"))
            return brew_fail(err, BREW_DATA,
                             "layer type \"%.40s\" is not supported (full_attention, "
                             "sliding_attention)",
                             type);
        if (windowed && !config->window)
            return brew_fail(
                err, BREW_DATA,
                "\"layer_types\" asks for sliding_attention in a model without a window");
        // transformers' Mistral windows every layer, whatever this list says.
        if (!can_mix && windowed != config->layer_windowed[i])
            return brew_fail(err, BREW_DATA, "\"layer_types\" contradicts \"sliding_window\" of %s",
                             config->family);
        config->layer_windowed[i] = windowed;
    }
    return 0;
}

static int read_window(brew_config *config, const brew_json *json, brew_err *err) {
    config->layer_windowed = brew_calloc((size_t)config->layers, sizeof(bool));
    bool mistral = !strcmp(config->family, "mistral"), llama = !strcmp(config->family, "llama");
    bool use = mistral;
    int64_t window = 4096, from = mistral ? 0 : 28;
    if (mistral && brew_json_is(brew_json_get(json, "sliding_window"), BREW_JSON_NULL)) use = false;
    if (llama && get(json, "sliding_window"))
        return brew_fail(err, BREW_DATA, "\"sliding_window\" is not supported for llama");
    if (!mistral && !llama) {
        if (get_bool(json, "use_sliding_window", &use, err) < 0 ||
            get_int(json, "max_window_layers", 0, BREW_MAX_LAYERS, &from, err) < 0)
            return -1;
        if (brew_json_is(brew_json_get(json, "sliding_window"), BREW_JSON_NULL)) use = false;
    }
    if (!llama && get_int(json, "sliding_window", 1, INT32_MAX, &window, err) < 0) return -1;
    config->window = use ? window : 0;
    for (int64_t i = from; i < config->layers && use; i++) config->layer_windowed[i] = true;
    const brew_json *types = get(json, "layer_types");
    return types ? read_layer_types(config, types, !mistral && !llama, err) : 0;
}

static int read_json(brew_config *config, const brew_json *json, brew_err *err) {
    if (!brew_json_is(json, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "the file is %s where an object belongs",
                         brew_json_type_name(json));
    const struct family *family = family_find(json, err);
    if (!family) return -1;
    memcpy(config->family, family->name, strlen(family->name) + 1);
    config->norm_eps = 1e-6;
    if (refuse_unsupported(json, err) < 0 || read_sizes(config, family, json, err) < 0 ||
        get_real(json, "rms_norm_eps", 0, 1, &config->norm_eps, err) < 0 ||
        get_bool(json, "tie_word_embeddings", &config->tied, err) < 0 ||
        get_bool(json, "attention_bias", &config->qkv_bias, err) < 0)
        return -1;
    config->out_bias = config->qkv_bias; // attention_bias covers the output projection
    if (config->qkv_bias && strcmp(family->name, "llama") && strcmp(family->name, "qwen3"))
        return brew_fail(err, BREW_DATA, "attention_bias is not supported for %s", family->name);
    if (family->qkv_bias) config->qkv_bias = true;
    config->qk_norm = family->qk_norm;
    if (read_rope(config, json, err) < 0 || read_window(config, json, err) < 0) return -1;
    if (brew_config_read_quantisation(config, json, err) < 0)
        return brew_err_context(err, "quantization_config");
    return 0;
}

int brew_config_check(const brew_config *config, brew_err *err) {
    if (config->heads % config->kv_heads)
        return brew_fail(err, BREW_DATA, "%lld attention heads are not a multiple of %lld kv heads",
                         (long long)config->heads, (long long)config->kv_heads);
    if (config->head_dim < 2 || config->head_dim % 2)
        return brew_fail(err, BREW_DATA, "a head width of %lld is not even, as RoPE needs it",
                         (long long)config->head_dim);
    if (config->head_dim > BREW_MAX_HEAD_DIM || config->heads * config->head_dim > BREW_MAX_WIDTH)
        return brew_fail(err, BREW_DATA, "%lld heads of width %lld are too many",
                         (long long)config->heads, (long long)config->head_dim);
    return 0;
}

// How most weights are stored, by number of values.
static enum brew_dtype stored_dtype(const brew_modeldir *dir) {
    double counts[BREW_DTYPES] = {0};
    for (size_t i = 0; i < brew_modeldir_n_tensors(dir); i++) {
        const brew_tensor *t = brew_modeldir_tensor_at(dir, i, NULL);
        if (t && t->n_dims >= 2)
            counts[t->dtype] += (double)brew_tensor_n_rows(t) * (double)brew_tensor_row_len(t);
    }
    int best = BREW_F32;
    for (int i = 0; i < BREW_DTYPES; i++)
        if (counts[i] > counts[best]) best = i;
    return (enum brew_dtype)best;
}

int brew_config_read(brew_config *config, const brew_modeldir *dir, brew_err *err) {
    *config = (brew_config){0};
    int status;
    const char *where = "metadata";
    if (brew_modeldir_gguf(dir)) {
        status = brew_config_read_gguf(config, dir, err);
    } else {
        where = "config.json";
        size_t len = 0;
        const char *text = brew_modeldir_file(dir, where, &len);
        if (!text)
            return brew_fail(err, BREW_DATA, "%s: there is no config.json",
                             brew_modeldir_name(dir));
        brew_json *json = brew_json_parse(text, len, err);
        status = json ? read_json(config, json, err) : -1;
        if (!brew_modeldir_tensor(dir, "lm_head.weight")) config->tied = true;
        brew_json_free(json);
    }
    if (status == 0) status = brew_config_check(config, err);
    if (status < 0) {
        brew_config_release(config);
        return brew_err_context(err, "%s: %s", brew_modeldir_name(dir), where);
    }
    config->dtype = stored_dtype(dir);
    return 0;
}

void brew_config_release(brew_config *config) {
    free(config->layer_windowed);
    free(config->rope_freq_factors);
    for (size_t i = 0; i < config->n_unquantised; i++) free(config->unquantised[i]);
    free(config->unquantised);
    *config = (brew_config){0};
}

int64_t brew_config_parameters(const brew_config *config) {
    int64_t C = config->width, F = config->mlp, D = config->head_dim;
    int64_t q = config->heads * D, kv = config->kv_heads * D;
    int64_t layer = C * (q + 2 * kv) + q * C + 3 * C * F + 2 * C;
    if (config->qkv_bias) layer += q + 2 * kv;
    if (config->out_bias) layer += C;
    if (config->qk_norm) layer += 2 * D;
    return config->layers * layer + C + config->vocab * C * (config->tied ? 1 : 2);
}

void brew_config_inv_freq(const brew_config *config, float *inv_freq) {
    const double two_pi = 6.283185307179586;
    float low = (float)((double)config->rope_original_context / config->rope_low);
    float high = (float)((double)config->rope_original_context / config->rope_high);
    for (int64_t i = 0; i < config->head_dim / 2; i++) {
        float exponent = (float)(2 * i) / (float)config->head_dim;
        float f = 1.0f / (float)pow((double)(float)config->rope_theta, (double)exponent);
        if (config->rope_freq_factors) f /= config->rope_freq_factors[i];
        if (config->rope_factor > 0) {
            float wavelength = (float)two_pi / f;
            float factor = (float)config->rope_factor;
            if (wavelength > low) {
                f /= factor;
            } else if (wavelength >= high) {
                float smooth =
                    ((float)config->rope_original_context / wavelength - (float)config->rope_low) /
                    (float)(config->rope_high - config->rope_low);
                f = (1 - smooth) * f / factor + smooth * f;
            }
        }
        inv_freq[i] = f;
    }
}

enum brew_precision brew_model_precision(int choice, const brew_config *config,
                                         const brew_modeldir *dir) {
    bool f32 = choice ? choice == 1 : config->dtype == BREW_F32 && !brew_modeldir_gguf(dir);
    return f32 ? BREW_PRECISION_F32 : BREW_PRECISION_BF16;
}
