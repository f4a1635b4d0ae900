// Whether a quantised directory keeps compressed-tensors' rules. What the configuration says in general has
// been read by brew_config_read; here stand the rules that a tensor or a module can break, by name.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/config.h"
#include "model/inspect_parts.h"
#include "model/names.h"

typedef struct check {
    const brew_modeldir *dir;
    const brew_config *config;
    brew_json *broken; // [{"rule":..., "name":...}]
    int64_t quantised, plain;
} check;

static void rule(check *c, bool kept, const char *rule, const char *name) {
    if (kept) return;
    brew_json *entry = brew_json_new_object();
    brew_report_string(entry, "rule", rule);
    brew_report_string(entry, "name", name);
    brew_json_push(c->broken, entry);
}

static bool ends_in(const char *name, const char *tail) {
    size_t n = strlen(name), len = strlen(tail);
    return n >= len && !strcmp(name + n - len, tail);
}

// The module that holds a tensor: its name without the last part.
static void module_of(char out[256], const char *name) {
    const char *dot = strrchr(name, '.');
    snprintf(out, 256, "%.*s", dot ? (int)(dot - name) : 0, name);
}

static bool positive(const brew_tensor *scales) {
    int64_t len = brew_tensor_row_len(scales);
    bool good = len == 1;
    for (int64_t row = 0; good && row < brew_tensor_n_rows(scales); row++) {
        float value;
        brew_tensor_rows(scales, row, 1, &value);
        good = isfinite(value) && value > 0;
    }
    return good;
}

static bool without_nan(const brew_tensor *weight) {
    const uint8_t *codes = weight->data;
    int64_t n = brew_tensor_n_rows(weight) * brew_tensor_row_len(weight);
    for (int64_t i = 0; i < n; i++)
        if ((codes[i] & 0x7f) == 0x7f) return false;
    return true;
}

static void check_scales(check *c, const brew_tensor *weight, const char *name) {
    char scale[256];
    snprintf(scale, sizeof scale, "%s_scale", name);
    const brew_tensor *s = brew_modeldir_tensor(c->dir, scale);
    rule(c, s, "a quantised weight has scales", name);
    if (!s) return;
    bool real = s->dtype == BREW_F32 || s->dtype == BREW_BF16 || s->dtype == BREW_F16;
    bool column = s->n_dims == 2 && s->shape[0] == weight->shape[0] && s->shape[1] == 1;
    rule(c, real, "scales are F32, BF16 or F16", scale);
    rule(c, column, "scales are a column, one for each row", scale);
    if (real && column) rule(c, positive(s), "scales are positive and finite", scale);
}

static void check_matrix(check *c, enum brew_role role, int64_t layer) {
    char name[128], module[256];
    brew_role_name(name, sizeof name, false, role, layer);
    module_of(module, name);
    const brew_tensor *t = brew_modeldir_tensor(c->dir, name);
    int64_t shape[2];
    brew_role_shape(c->config, role, shape);
    rule(c, t, "the weight is there", name);
    if (!t) return;
    rule(c, t->n_dims == 2 && t->shape[0] == shape[0] && t->shape[1] == shape[1],
         "the weight has the shape of config.json", name);
    bool eight = t->dtype == BREW_F8_E4M3 || t->dtype == BREW_I8;
    bool want = role != BREW_EMBEDDING && brew_config_quantised(c->config, module);
    *(want ? &c->quantised : &c->plain) += 1;
    rule(c, want || !eight, "what is ignored is not quantised", name);
    rule(c, !want || t->dtype == c->config->scheme,
         "what is not ignored has the type of the scheme", name);
    if (want && eight && t->n_dims == 2) check_scales(c, t, name);
    if (t->dtype == BREW_F8_E4M3) rule(c, without_nan(t), "no E4M3 code is NaN", name);
}

// Engines read q, k and v, and gate and up, as one matrix each.
static void check_alike(check *c, const enum brew_role *roles, int n, int64_t layer) {
    int quantised = 0;
    char name[128], module[256];
    for (int i = 0; i < n; i++) {
        brew_role_name(name, sizeof name, false, roles[i], layer);
        module_of(module, name);
        quantised += brew_config_quantised(c->config, module);
    }
    rule(c, quantised == 0 || quantised == n, "q, k and v, gate and up share a scheme", module);
}

static void check_names(check *c) {
    const brew_config *config = c->config;
    for (size_t i = 0; i < config->n_unquantised; i++) {
        char name[256];
        snprintf(name, sizeof name, "%s.weight", config->unquantised[i]);
        bool tied_head = config->tied && !strcmp(config->unquantised[i], "lm_head");
        rule(c, tied_head || brew_modeldir_tensor(c->dir, name), "what is ignored is a module",
             config->unquantised[i]);
    }
    for (size_t i = 0; i < brew_modeldir_n_tensors(c->dir); i++) {
        const char *name;
        char module[256];
        brew_modeldir_tensor_at(c->dir, i, &name);
        module_of(module, name);
        if (ends_in(name, ".weight_scale"))
            rule(c, brew_config_quantised(config, module), "scales belong to a quantised weight",
                 name);
        rule(c, !ends_in(name, "_zero_point"), "a symmetric scheme has no zero points", name);
    }
    rule(c, !config->tied || !brew_config_quantised(config, "lm_head"), "a tied head is ignored",
         "lm_head");
}

void brew_inspect_quantised(brew_json *report, const brew_subject *subject, bool *sound) {
    static const enum brew_role qkv[] = {BREW_Q, BREW_K, BREW_V}, mlp[] = {BREW_GATE, BREW_UP};
    brew_config config;
    if (brew_config_read(&config, subject->dir, NULL)) return; // said already
    if (config.scheme != BREW_F32) {
        check c = {.dir = subject->dir, .config = &config, .broken = brew_json_new_array()};
        for (int64_t l = -1; l < config.layers; l++) {
            for (int r = 0; r < BREW_ROLES; r++) {
                enum brew_role role = (enum brew_role)r;
                if ((l < 0) == (r < BREW_FIRST_OF_LAYER) && brew_role_matrix(role) &&
                    brew_role_used(&config, role))
                    check_matrix(&c, role, l);
            }
            if (l < 0) continue;
            check_alike(&c, qkv, 3, l);
            check_alike(&c, mlp, 2, l);
        }
        check_names(&c);
        brew_json *quantised = brew_json_new_object();
        brew_report_string(quantised, "scheme", brew_dtype_name(config.scheme));
        brew_report_int(quantised, "matrices", c.quantised);
        brew_report_int(quantised, "others", c.plain);
        brew_report_bool(quantised, "sound", !brew_json_length(c.broken));
        if (brew_json_length(c.broken)) *sound = false;
        brew_json_set(quantised, "rules_broken", c.broken);
        brew_json_set(report, "quantised", quantised);
    }
    brew_config_release(&config);
}
