#include "model/lora.h"

#include <string.h>

#include "model/learner_parts.h"

static const struct {
    const char *name;
    enum brew_role role;
} modules[] = {{"q_proj", BREW_Q},      {"k_proj", BREW_K},       {"v_proj", BREW_V},
               {"o_proj", BREW_OUT},    {"gate_proj", BREW_GATE}, {"up_proj", BREW_UP},
               {"down_proj", BREW_DOWN}};
enum { MODULES = sizeof modules / sizeof *modules };

static unsigned find(const char *word, size_t len) {
    for (unsigned i = 0; i < MODULES; i++)
        if (strlen(modules[i].name) == len && !memcmp(modules[i].name, word, len)) return 1u << i;
    return 0;
}

int brew_lora_parse_targets(const char *text, unsigned *targets, brew_err *err) {
    *targets = text ? 0 : (1u << MODULES) - 1;
    while (text) {
        size_t len = strcspn(text, ",");
        unsigned found = find(text, len);
        if (!found) {
            brew_buf known = {0};
            brew_lora_write_targets((1u << MODULES) - 1, &known);
            brew_fail(err, BREW_USAGE, "\"%.*s\" is no target of adapters; those are %s",
                      len < 40 ? (int)len : 40, text, known.ptr);
            brew_buf_release(&known);
            return -1;
        }
        *targets |= found;
        text = text[len] ? text + len + 1 : NULL;
    }
    return 0;
}

void brew_lora_write_targets(unsigned targets, brew_buf *out) {
    const char *comma = "";
    for (unsigned i = 0; i < MODULES; i++) {
        if (!(targets >> i & 1)) continue;
        brew_buf_addf(out, "%s%s", comma, modules[i].name);
        comma = ",";
    }
}

bool brew_lora_targets(const brew_lora *lora, enum brew_role role) {
    for (unsigned i = 0; i < MODULES; i++)
        if (modules[i].role == role) return lora->targets >> i & 1;
    return false;
}

void brew_lora_row(const brew_tensor *stored, int64_t row, const float *a, const float *b,
                   int64_t rank, float scale, float *out) {
    int64_t cols = brew_tensor_row_len(stored);
    brew_tensor_rows(stored, row, 1, out);
    for (int64_t k = 0; k < rank; k++, a += cols) {
        float factor = scale * b[k];
        for (int64_t i = 0; i < cols; i++) out[i] += factor * a[i];
    }
}

static void put_string(brew_json *to, const char *key, const char *text) {
    brew_json_set(to, key, brew_json_new_string(text, strlen(text)));
}

brew_json *brew_lora_config(const brew_lora *lora, const char *base) {
    brew_json *config = brew_json_new_object(), *targets = brew_json_new_array();
    for (unsigned i = 0; i < MODULES; i++)
        if (lora->targets >> i & 1)
            brew_json_push(targets, brew_json_new_string(modules[i].name, strlen(modules[i].name)));
    put_string(config, "peft_type", "LORA");
    put_string(config, "task_type", "CAUSAL_LM");
    put_string(config, "base_model_name_or_path", base);
    brew_json_set(config, "r", brew_json_new_int(lora->rank));
    brew_json_set(config, "lora_alpha", brew_json_new_real(lora->alpha));
    brew_json_set(config, "lora_dropout", brew_json_new_real(0));
    brew_json_set(config, "target_modules", targets);
    put_string(config, "bias", "none");
    brew_json_set(config, "fan_in_fan_out", brew_json_new_bool(false));
    brew_json_set(config, "use_rslora", brew_json_new_bool(false));
    brew_json_set(config, "use_dora", brew_json_new_bool(false));
    brew_json_set(config, "inference_mode", brew_json_new_bool(true));
    return config;
}
