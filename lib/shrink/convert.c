#include "shrink/convert.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/export.h"
#include "model/names.h"

static bool quantised(enum brew_dtype dtype) {
    return dtype == BREW_F8_E4M3 || dtype == BREW_I8;
}

static bool block_type(enum brew_dtype dtype) {
    return brew_dtype_block(dtype) > 1;
}

enum brew_group brew_group_of(enum brew_role role) {
    switch (role) {
    case BREW_Q:
    case BREW_K:
    case BREW_V:
        return BREW_GROUP_QKV;
    case BREW_OUT:
        return BREW_GROUP_OUT;
    case BREW_GATE:
    case BREW_UP:
        return BREW_GROUP_GATE_UP;
    case BREW_DOWN:
        return BREW_GROUP_DOWN;
    default:
        return BREW_GROUPS;
    }
}

void brew_group_name(char *out, size_t cap, size_t group) {
    static const char *const names[BREW_GROUPS] = {"qkv", "out", "gate_up", "down"};
    snprintf(out, cap, "%zu.%s", group / BREW_GROUPS, names[group % BREW_GROUPS]);
}

void brew_types_init(brew_types *types, const brew_config *config, const brew_modeldir *dir,
                     enum brew_dtype scheme) {
    brew_tensor embedding;
    brew_err err;
    enum brew_dtype stored = BREW_BF16;
    if (!brew_role_find(config, dir, BREW_EMBEDDING, 0, &embedding, &err) &&
        !block_type(embedding.dtype))
        stored = embedding.dtype;
    size_t n = (size_t)config->layers * BREW_GROUPS;
    types->groups = brew_calloc(n, sizeof *types->groups);
    for (size_t i = 0; i < n; i++) types->groups[i] = scheme;
    types->embedding = quantised(scheme) ? stored : scheme;
    types->head = quantised(scheme) ? BREW_F32 : scheme;
    types->tied = config->tied && !quantised(scheme);
}

void brew_types_release(brew_types *types) {
    free(types->groups);
    *types = (brew_types){0};
}

static enum brew_dtype type_of(const brew_types *types, enum brew_role role, int64_t layer,
                               enum brew_dtype stored) {
    enum brew_group group = brew_group_of(role);
    if (group != BREW_GROUPS) return types->groups[layer * BREW_GROUPS + group];
    return role == BREW_EMBEDDING ? types->embedding : role == BREW_HEAD ? types->head : stored;
}

static float scale_of(enum brew_dtype dtype, const float *row, int64_t n) {
    float most = 0;
    for (int64_t i = 0; i < n; i++) most = fabsf(row[i]) > most ? fabsf(row[i]) : most;
    return brew_row_scale(most, dtype == BREW_F8_E4M3 ? BREW_F8_LIMIT : BREW_I8_LIMIT);
}

void brew_round_row(enum brew_dtype dtype, float *row, int64_t n, float *scale) {
    *scale = 1;
    if (!quantised(dtype)) {
        for (int64_t i = 0; i < n; i++)
            if (dtype != BREW_F32)
                row[i] = dtype == BREW_BF16 ? brew_f32_from_bf16(brew_bf16_from_f32(row[i]))
                                            : brew_f32_from_f16(brew_f16_from_f32(row[i]));
        return;
    }
    *scale = scale_of(dtype, row, n);
    for (int64_t i = 0; i < n; i++) {
        float q = row[i] / *scale;
        if (dtype == BREW_F8_E4M3)
            row[i] = brew_f32_from_f8(brew_f8_from_f32(q));
        else
            row[i] = q > 127 ? 127 : q < -128 ? -128 : rintf(q); // NaN stays
    }
}

// ---- writing ----

// One tensor of the new file: a stored one in its new type, or the scales of one.
struct part {
    brew_tensor from;
    enum brew_dtype dtype;
    bool scales;
    char name[128];
};

struct job {
    struct part *parts;
    size_t n;
    float *row; // [longest]
};

static void part_rows(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    struct job *job = arg;
    const struct part *part = &job->parts[index];
    int64_t cols = brew_tensor_row_len(&part->from);
    for (int64_t i = 0; i < count; i++) {
        float scale, *row = part->scales ? job->row : rows + i * cols;
        brew_tensor_rows(&part->from, first + i, 1, row);
        if (part->scales)
            rows[i] = scale_of(part->dtype, row, cols);
        else if (quantised(part->dtype))
            brew_round_row(part->dtype, row, cols, &scale);
    }
}

static int add_part(struct job *job, const brew_modeldir *dir, const brew_config *config,
                    const brew_types *types, enum brew_role role, int64_t layer, brew_err *err) {
    struct part *part = &job->parts[job->n];
    // a head of its own beside a tied embedding is a copy of it
    enum brew_role source = role == BREW_HEAD && config->tied ? BREW_EMBEDDING : role;
    if (brew_role_find(config, dir, source, layer, &part->from, err) < 0) return -1;
    part->dtype =
        type_of(types, role, layer, block_type(part->from.dtype) ? BREW_F32 : part->from.dtype);
    brew_role_name(part->name, sizeof part->name, false, role, layer);
    job->n++;
    if (!quantised(part->dtype)) return 0;
    job->n++;
    part[1] = part[0];
    part[1].scales = true;
    size_t len = strlen(part->name);
    snprintf(part[1].name + len, sizeof part->name - len, "_scale");
    return 0;
}

static int collect(struct job *job, const brew_modeldir *dir, const brew_config *config,
                   const brew_types *types, brew_err *err) {
    job->parts = brew_calloc((size_t)(2 * BREW_ROLES * (config->layers + 1)), sizeof *job->parts);
    for (int64_t l = -1; l < config->layers; l++)
        for (int role = 0; role < BREW_ROLES; role++) {
            if ((l < 0) != (role < BREW_FIRST_OF_LAYER)) continue;
            bool used =
                role == BREW_HEAD ? !types->tied : brew_role_used(config, (enum brew_role)role);
            if (used && add_part(job, dir, config, types, (enum brew_role)role, l, err)) return -1;
        }
    int64_t longest = 1;
    for (size_t i = 0; i < job->n; i++)
        if (brew_tensor_row_len(&job->parts[i].from) > longest)
            longest = brew_tensor_row_len(&job->parts[i].from);
    job->row = brew_alloc((size_t)longest * sizeof *job->row);
    return 0;
}

static brew_json *string(const char *text) {
    return brew_json_new_string(text, strlen(text));
}

static brew_json *args(bool f8, const char *strategy, bool dynamic) {
    brew_json *args = brew_json_new_object();
    brew_json_set(args, "num_bits", brew_json_new_int(8));
    brew_json_set(args, "type", string(f8 ? "float" : "int"));
    brew_json_set(args, "strategy", string(strategy));
    brew_json_set(args, "symmetric", brew_json_new_bool(true));
    brew_json_set(args, "dynamic", brew_json_new_bool(dynamic));
    return args;
}

// The modules that stay as they are: matrices of groups that are not quantised, and the head.
static brew_json *ignored(const struct job *job) {
    brew_json *list = brew_json_new_array();
    for (size_t i = 0; i < job->n; i++) {
        const struct part *part = &job->parts[i];
        static const char tail[] = ".weight";
        size_t len = strlen(part->name), end = sizeof tail - 1;
        bool linear = strstr(part->name, "_proj.weight") || !strncmp(part->name, "lm_head", 7);
        if (!linear || part->scales || quantised(part->dtype)) continue;
        brew_json_push(list, brew_json_new_string(part->name, len - end));
    }
    return list;
}

static brew_json *quantisation(const struct job *job, enum brew_dtype scheme) {
    bool f8 = scheme == BREW_F8_E4M3;
    brew_json *quant = brew_json_new_object(), *groups = brew_json_new_object();
    brew_json *group = brew_json_new_object(), *targets = brew_json_new_array();
    brew_json_push(targets, string("Linear"));
    brew_json_set(group, "targets", targets);
    brew_json_set(group, "weights", args(f8, "channel", false));
    brew_json_set(group, "input_activations", args(f8, "token", true));
    brew_json_set(groups, "group_0", group);
    brew_json_set(quant, "quant_method", string("compressed-tensors"));
    brew_json_set(quant, "format", string(f8 ? "float-quantized" : "int-quantized"));
    brew_json_set(quant, "quantization_status", string("compressed"));
    brew_json_set(quant, "config_groups", groups);
    brew_json_set(quant, "ignore", ignored(job));
    return quant;
}

static brew_json *changes(const struct job *job, const brew_types *types) {
    brew_json *out = brew_json_new_object();
    enum brew_dtype scheme = BREW_F32;
    for (size_t i = 0; i < job->n; i++)
        if (quantised(job->parts[i].dtype)) scheme = job->parts[i].dtype;
    brew_json_set(out, "tie_word_embeddings", brew_json_new_bool(types->tied));
    if (scheme != BREW_F32) {
        brew_json_set(out, "quantization_config", quantisation(job, scheme));
    } else {
        const char *type = types->groups[0] == BREW_F32    ? "float32"
                           : types->groups[0] == BREW_BF16 ? "bfloat16"
                                                           : "float16";
        brew_json_set(out, "torch_dtype", string(type));
        brew_json_set(out, "dtype", string(type)); // its name since transformers 5
    }
    return out;
}

static int write_model(struct job *job, const brew_modeldir *dir, const brew_types *types,
                       const brew_json *provenance, const char *path, brew_err *err) {
    brew_export_tensor *tensors = brew_calloc(job->n, sizeof *tensors);
    for (size_t i = 0; i < job->n; i++) {
        const struct part *part = &job->parts[i];
        int64_t rows = brew_tensor_n_rows(&part->from);
        tensors[i] = (brew_export_tensor){.name = part->name,
                                          .n_dims = part->from.n_dims,
                                          .rows = rows,
                                          .cols = brew_tensor_row_len(&part->from),
                                          .dtype = part->scales ? BREW_F32 : part->dtype};
        if (part->scales) tensors[i].cols = 1;
    }
    brew_json *config = changes(job, types);
    brew_export export = {.from = dir,
                          .config = config,
                          .provenance = provenance,
                          .tensors = tensors,
                          .n_tensors = job->n,
                          .rows = part_rows,
                          .arg = job};
    int status = (types->gguf ? brew_export_gguf : brew_export_write)(&export, path, err);
    brew_json_free(config);
    free(tensors);
    return status;
}

int brew_convert(const brew_modeldir *dir, const brew_config *config, const brew_types *types,
                 const brew_json *provenance, const char *path, brew_err *err) {
    if (config->scheme != BREW_F32)
        return brew_fail(err, BREW_DATA, "%s: is quantised already (%s)", brew_modeldir_name(dir),
                         brew_dtype_name(config->scheme));
    struct job job = {0};
    int status = brew_role_refuse_others(config, dir, err);
    if (!status) status = collect(&job, dir, config, types, err);
    if (!status) status = write_model(&job, dir, types, provenance, path, err);
    free(job.parts);
    free(job.row);
    return status;
}
