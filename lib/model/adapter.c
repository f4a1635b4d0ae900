#include "model/adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/map.h"
#include "io/safetensors.h"
#include "model/lora.h"

// The factors of a matrix, F32.
struct factors {
    float *a, *b; // [r, cols], [rows, r]
};

struct brew_adapter {
    brew_map map;
    brew_safetensors *file;
    int64_t rank, layers;
    float scale;
    struct factors *factors; // [L][BREW_ROLES]
};

static const char config_name[] = "adapter_config.json",
                  weights_name[] = "adapter_model.safetensors";

static struct factors *at(const brew_adapter *adapter, enum brew_role role, int64_t layer) {
    return adapter->factors + layer * BREW_ROLES + role;
}

// ---- the configuration ----

static bool is_off(const brew_json *value) {
    brew_json_iter none = {0};
    if (brew_json_is(value, BREW_JSON_OBJECT)) return !brew_json_next(value, &none);
    if (brew_json_is(value, BREW_JSON_ARRAY)) return !brew_json_length(value);
    return !value || brew_json_is(value, BREW_JSON_NULL) ||
           (brew_json_is(value, BREW_JSON_BOOL) && !brew_json_bool(value));
}

static int read_config(brew_adapter *adapter, const brew_json *config, brew_err *err) {
    static const char *const refused[] = {"use_dora",
                                          "fan_in_fan_out",
                                          "rank_pattern",
                                          "alpha_pattern",
                                          "modules_to_save",
                                          "megatron_config",
                                          "trainable_token_indices",
                                          "lora_bias"};
    const char *type = NULL, *bias = "none";
    double alpha = 0;
    bool root = false;
    if (!brew_json_is(config, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "it must hold an object, not %s",
                         brew_json_type_name(config));
    if (brew_json_want_string(config, "peft_type", &type, err) < 0 ||
        brew_json_want_string(config, "bias", &bias, err) < 0 ||
        brew_json_want_bool(config, "use_rslora", &root, err) < 0 ||
        brew_json_want_int(config, "r", 1, 65536, &adapter->rank, err) < 0 ||
        brew_json_want_real(config, "lora_alpha", &alpha, err) < 0)
        return -1;
    if (!type || strcmp(type, "LORA"))
        return brew_fail(err, BREW_DATA, "\"peft_type\" is %s, only LORA is known",
                         type ? type : "not there");
    if (strcmp(bias, "none"))
        return brew_fail(err, BREW_DATA, "\"bias\" is %s, only none is known", bias);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (!is_off(brew_json_get(config, refused[i])))
            return brew_fail(err, BREW_DATA, "\"%s\" is not supported", refused[i]);
    if (!adapter->rank || !isfinite(alpha) || alpha == 0)
        return brew_fail(err, BREW_DATA, "\"r\" or \"lora_alpha\" is missing");
    double rank = (double)adapter->rank;
    adapter->scale = (float)(alpha / (root ? sqrt(rank) : rank));
    return 0;
}

// ---- the factors ----

// "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": role, layer, and 'A' or 'B'; 0 if it is
// nothing of the kind.
static char parse_name(const char *name, enum brew_role *role, int64_t *layer) {
    static const char before[] = "base_model.model.",
                      ends[][16] = {".lora_A.weight", ".lora_B.weight"};
    size_t len = strlen(name), first = strlen(before), end = strlen(ends[0]);
    char matrix[160];
    if (len <= first + end || len - first - end > 128 || memcmp(name, before, first)) return 0;
    for (int i = 0; i < 2; i++) {
        if (strcmp(name + len - end, ends[i])) continue;
        snprintf(matrix, sizeof matrix, "%.*s.weight", (int)(len - first - end), name + first);
        return brew_role_parse(false, matrix, role, layer) && *role >= BREW_FIRST_OF_LAYER &&
                       brew_role_matrix(*role)
                   ? "AB"[i]
                   : 0;
    }
    return 0;
}

static int take_tensor(brew_adapter *adapter, const brew_config *config, const char *name,
                       const brew_tensor *tensor, brew_err *err) {
    enum brew_role role;
    int64_t layer = 0, shape[2];
    char factor = parse_name(name, &role, &layer);
    if (!factor || layer < 0 || layer >= adapter->layers)
        return brew_fail(err, BREW_DATA, "%s: is no factor of a matrix of this model", name);
    brew_role_shape(config, role, shape);
    int64_t rows = factor == 'A' ? adapter->rank : shape[0],
            cols = factor == 'A' ? shape[1] : adapter->rank;
    if (tensor->n_dims != 2 || tensor->shape[0] != rows || tensor->shape[1] != cols)
        return brew_fail(err, BREW_DATA, "%s: has not the shape [%lld, %lld]", name,
                         (long long)rows, (long long)cols);
    if (tensor->dtype != BREW_F32 && tensor->dtype != BREW_BF16 && tensor->dtype != BREW_F16)
        return brew_fail(err, BREW_DATA, "%s: is neither F32 nor BF16 nor F16", name);
    float *values = brew_realloc_array(NULL, (size_t)(rows * cols), sizeof *values);
    brew_tensor_rows(tensor, 0, rows, values);
    struct factors *place = at(adapter, role, layer);
    *(factor == 'A' ? &place->a : &place->b) = values;
    for (int64_t i = 0; i < rows * cols; i++)
        if (!isfinite(values[i])) return brew_fail(err, BREW_DATA, "%s: is not finite", name);
    return 0;
}

static int read_factors(brew_adapter *adapter, const brew_config *config, brew_err *err) {
    size_t n = brew_safetensors_n(adapter->file);
    adapter->layers = config->layers;
    adapter->factors = brew_calloc((size_t)config->layers * BREW_ROLES, sizeof *adapter->factors);
    for (size_t i = 0; i < n; i++) {
        const char *name;
        const brew_tensor *tensor = brew_safetensors_at(adapter->file, i, &name);
        if (take_tensor(adapter, config, name, tensor, err)) return -1;
    }
    for (int64_t i = 0; i < config->layers * BREW_ROLES; i++)
        if (!adapter->factors[i].a != !adapter->factors[i].b)
            return brew_fail(err, BREW_DATA, "of layer %lld one factor of a matrix is missing",
                             (long long)(i / BREW_ROLES));
    return n ? 0 : brew_fail(err, BREW_DATA, "holds no factors");
}

// ---- life ----

static int open_in(brew_adapter *adapter, const char *path, const brew_config *config,
                   brew_err *err) {
    brew_buf name = {0};
    brew_buf_addf(&name, "%s/%s", path, config_name);
    brew_json *json = brew_json_load(name.ptr, err);
    int rc = json ? read_config(adapter, json, err) : -1;
    if (json && rc) brew_err_context(err, "%s", name.ptr);
    brew_json_free(json);
    brew_buf_reset(&name);
    brew_buf_addf(&name, "%s/%s", path, weights_name);
    if (!rc) rc = brew_map_open(&adapter->map, name.ptr, err);
    if (!rc) {
        adapter->file = brew_safetensors_parse(adapter->map.ptr, adapter->map.len, name.ptr, err);
        rc = adapter->file ? 0 : -1;
    }
    if (!rc && (rc = read_factors(adapter, config, err))) brew_err_context(err, "%s", name.ptr);
    brew_buf_release(&name);
    return rc;
}

brew_adapter *brew_adapter_open(const char *path, const brew_config *config, brew_err *err) {
    brew_adapter *adapter = brew_calloc(1, sizeof *adapter);
    if (!open_in(adapter, path, config, err)) return adapter;
    brew_adapter_free(adapter);
    return NULL;
}

void brew_adapter_free(brew_adapter *adapter) {
    if (!adapter) return;
    for (int64_t i = 0; adapter->factors && i < adapter->layers * BREW_ROLES; i++) {
        free(adapter->factors[i].a);
        free(adapter->factors[i].b);
    }
    free(adapter->factors);
    brew_safetensors_free(adapter->file);
    brew_map_close(&adapter->map);
    free(adapter);
}

// ---- use ----

bool brew_adapter_has(const brew_adapter *adapter, enum brew_role role, int64_t layer) {
    return at(adapter, role, layer)->a != NULL;
}

struct merge_job {
    const brew_tensor *stored;
    const struct factors *factors;
    int64_t rank, cols;
    float scale, *out;
};

static void merge_row(void *arg, size_t row, int worker) {
    (void)worker;
    const struct merge_job *job = arg;
    brew_lora_row(job->stored, (int64_t)row, job->factors->a,
                  job->factors->b ? job->factors->b + (int64_t)row * job->rank : NULL,
                  job->factors->a ? job->rank : 0, job->scale, job->out + (int64_t)row * job->cols);
}

float *brew_adapter_merge(const brew_adapter *adapter, enum brew_role role, int64_t layer,
                          const brew_tensor *stored, brew_pool *pool) {
    int64_t rows = brew_tensor_n_rows(stored), cols = brew_tensor_row_len(stored);
    struct merge_job job = {.stored = stored,
                            .factors = at(adapter, role, layer),
                            .rank = adapter->rank,
                            .cols = cols,
                            .scale = adapter->scale,
                            .out = brew_realloc_array(NULL, (size_t)(rows * cols), sizeof(float))};
    brew_pool_run(pool, (size_t)rows, merge_row, &job);
    return job.out;
}
