#include "shrink/cut.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/solve.h"
#include "model/export.h"
#include "model/names.h"
#include "shrink/vocabulary.h"

static int64_t *all_of(int64_t times, int64_t n) {
    int64_t *list = brew_alloc((size_t)(times * n) * sizeof *list);
    for (int64_t i = 0; i < times * n; i++) list[i] = i % n;
    return list;
}

void brew_cut_init(brew_cut *cut, const brew_config *config) {
    int64_t layers = config->layers;
    *cut = (brew_cut){.n_layers = layers,
                      .n_kv = config->kv_heads,
                      .n_group = config->heads / config->kv_heads,
                      .n_mlp = config->mlp,
                      .n_width = config->width,
                      .n_vocab = config->vocab};
    cut->layers = all_of(1, layers);
    cut->kv = all_of(layers, cut->n_kv);
    cut->heads = all_of(layers, config->heads);
    cut->mlp = all_of(layers, cut->n_mlp);
    cut->width = all_of(1, cut->n_width);
    cut->vocab = all_of(1, cut->n_vocab);
}

void brew_cut_release(brew_cut *cut) {
    free(cut->layers);
    free(cut->kv);
    free(cut->heads);
    free(cut->mlp);
    free(cut->width);
    free(cut->vocab);
    *cut = (brew_cut){0};
}

void brew_repaired_release(brew_repaired *repaired, int64_t n_layers) {
    for (int64_t i = 0; i < n_layers; i++) {
        if (repaired->out) free(repaired->out[i]);
        if (repaired->down) free(repaired->down[i]);
        if (repaired->attn_in) free(repaired->attn_in[i]);
        if (repaired->mlp_in) free(repaired->mlp_in[i]);
    }
    free(repaired->out);
    free(repaired->down);
    free(repaired->attn_in);
    free(repaired->mlp_in);
    free(repaired->head);
    free(repaired->final_gain);
    *repaired = (brew_repaired){0};
}

void brew_cut_keep_tokens(brew_cut *cut, const struct brew_vocabulary *vocabulary) {
    memcpy(cut->vocab, vocabulary->ids, (size_t)vocabulary->n * sizeof *cut->vocab);
    cut->n_vocab = vocabulary->n;
    cut->vocabulary = vocabulary;
}

void brew_cut_keep_layers(brew_cut *cut, const brew_config *config, const int64_t *layers,
                          int64_t n) {
    if (cut->n_layers != config->layers) brew_bug("layers were cut twice");
    memcpy(cut->layers, layers, (size_t)n * sizeof *layers);
    cut->n_layers = n; // all layers still have equal lists
}

bool brew_cut_heads_fit(const brew_config *config, int64_t width, int64_t heads) {
    return strcmp(config->family, "llama") || width % heads == 0 ||
           config->width % config->heads != 0;
}

brew_config brew_cut_config(const brew_cut *cut, const brew_config *config) {
    brew_config small = *config;
    small.layers = cut->n_layers;
    small.kv_heads = cut->n_kv;
    small.heads = cut->n_kv * cut->n_group;
    small.mlp = cut->n_mlp;
    small.width = cut->n_width;
    small.vocab = cut->n_vocab;
    return small;
}

brew_size brew_cut_size(const brew_cut *cut, const brew_config *config) {
    brew_config small = brew_cut_config(cut, config);
    int64_t all = brew_config_parameters(&small);
    return (brew_size){all - small.vocab * small.width * (small.tied ? 1 : 2), all};
}

// ---- writing ----

// One tensor of the new file, and where its rows and columns were.
struct part {
    brew_tensor from;
    enum brew_role role;
    int64_t layer; // among the kept
    enum brew_dtype dtype;
    char name[128];
    int64_t *rows, *cols; // [n_rows], [n_cols]
    int64_t n_rows, n_cols;
};

struct job {
    const brew_cut *cut;
    const brew_config *config;
    const brew_repaired *repaired;
    struct part *parts;
    size_t n;
    float *row; // [longest]
};

// The heads' indices as indices of their values.
static int64_t *expand(const int64_t *list, int64_t n, int64_t width) {
    int64_t *out = brew_alloc((size_t)(n * width) * sizeof *out);
    for (int64_t i = 0; i < n * width; i++) out[i] = list[i / width] * width + i % width;
    return out;
}

static int64_t *kept(const struct job *job, enum brew_dim dim, int64_t layer, int64_t *n) {
    const brew_cut *cut = job->cut;
    int64_t d = job->config->head_dim, heads = cut->n_kv * cut->n_group;
    static const int64_t one[1] = {0};
    switch (dim) {
    case BREW_DIM_V:
        *n = cut->n_vocab;
        return expand(cut->vocab, *n, 1);
    case BREW_DIM_C:
        *n = cut->n_width;
        return expand(cut->width, *n, 1);
    case BREW_DIM_Q:
        *n = heads * d;
        return expand(cut->heads + layer * heads, heads, d);
    case BREW_DIM_KV:
        *n = cut->n_kv * d;
        return expand(cut->kv + layer * cut->n_kv, cut->n_kv, d);
    case BREW_DIM_F:
        *n = cut->n_mlp;
        return expand(cut->mlp + layer * cut->n_mlp, *n, 1);
    case BREW_DIM_D:
        *n = d;
        return expand(one, 1, d);
    default:
        *n = 1;
        return expand(one, 1, 1);
    }
}

static const float *repaired_of(const struct job *job, const struct part *part) {
    if (!job->repaired) return NULL;
    float **list = part->role == BREW_OUT    ? job->repaired->out
                   : part->role == BREW_DOWN ? job->repaired->down
                                             : NULL;
    return list ? list[part->layer] : NULL;
}

static const double *mix_of(const struct job *job, const struct part *part) {
    const brew_repaired *repaired = job->repaired;
    double **list = NULL;
    if (!repaired) return NULL;
    if (part->role == BREW_Q || part->role == BREW_K || part->role == BREW_V)
        list = repaired->attn_in;
    if (part->role == BREW_GATE || part->role == BREW_UP) list = repaired->mlp_in;
    return part->role == BREW_HEAD ? repaired->head : list ? list[part->layer] : NULL;
}

static bool over_width(enum brew_role role) {
    return role == BREW_FINAL_NORM || role == BREW_ATTN_NORM || role == BREW_MLP_NORM;
}

// See brew_cut_write.
static float scale_of(const struct job *job, const struct part *part) {
    bool q_or_k = part->role == BREW_Q || part->role == BREW_K || part->role == BREW_Q_BIAS ||
                  part->role == BREW_K_BIAS;
    bool grows =
        over_width(part->role) || (q_or_k && job->config->qk_norm && part->dtype == BREW_F32);
    if (!grows || job->cut->n_width == job->config->width) return 1;
    return (float)sqrt((double)job->config->width / (double)job->cut->n_width);
}

// Rows of a matrix times what its input is mended with.
static void mixed_rows(const struct job *job, const struct part *part, const double *mix,
                       int64_t first, int64_t count, float *rows) {
    int64_t c = job->config->width, k = job->cut->n_width;
    double *from = brew_realloc_array(NULL, (size_t)(count * c), sizeof *from);
    double *to = brew_realloc_array(NULL, (size_t)(count * k), sizeof *to);
    for (int64_t i = 0; i < count; i++) {
        brew_tensor_rows(&part->from, part->rows[first + i], 1, job->row);
        for (int64_t j = 0; j < c; j++) from[i * c + j] = job->row[j];
    }
    brew_multiply(count, k, c, from, mix, to);
    for (int64_t i = 0; i < count * k; i++) rows[i] = (float)to[i];
    free(from);
    free(to);
}

static void kept_rows(const struct job *job, const struct part *part, int64_t first, int64_t count,
                      float *rows) {
    bool vector = part->from.n_dims == 1;
    const int64_t *cols = vector ? part->rows : part->cols;
    int64_t n_cols = vector ? part->n_rows : part->n_cols;
    const float *values = repaired_of(job, part);
    for (int64_t i = 0; i < count; i++, rows += n_cols) {
        int64_t row = vector ? 0 : part->rows[first + i];
        if (values) {
            memcpy(rows, values + row * n_cols, (size_t)n_cols * sizeof *rows);
        } else {
            brew_tensor_rows(&part->from, row, 1, job->row);
            for (int64_t j = 0; j < n_cols; j++) rows[j] = job->row[cols[j]];
        }
    }
}

static void part_rows(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    struct job *job = arg;
    const struct part *part = &job->parts[index];
    int64_t n_cols = part->from.n_dims == 1 ? part->n_rows : part->n_cols;
    const double *mix = mix_of(job, part), *gain = NULL;
    float scale = scale_of(job, part);
    if (job->repaired && part->role == BREW_FINAL_NORM) gain = job->repaired->final_gain;
    if (mix)
        mixed_rows(job, part, mix, first, count, rows);
    else
        kept_rows(job, part, first, count, rows);
    for (int64_t i = 0; i < count * n_cols && scale != 1; i++) rows[i] *= scale;
    for (int64_t j = 0; j < n_cols && gain; j++) rows[j] = (float)(rows[j] * gain[j]);
}

static int add_part(struct job *job, const brew_modeldir *dir, enum brew_role role, int64_t layer,
                    brew_err *err) {
    struct part *part = &job->parts[job->n];
    int64_t source = layer < 0 ? 0 : job->cut->layers[layer];
    if (brew_role_find(job->config, dir, role, source, &part->from, err) < 0) return -1;
    part->role = role;
    part->layer = layer;
    part->dtype = brew_dtype_block(part->from.dtype) > 1 ? BREW_BF16 : part->from.dtype;
    if (over_width(role) && job->cut->n_width < job->config->width) part->dtype = BREW_F32;
    brew_role_name(part->name, sizeof part->name, false, role, layer);
    enum brew_dim dims[2];
    brew_role_dims(role, dims);
    part->rows = kept(job, dims[0], layer, &part->n_rows);
    part->cols = kept(job, dims[1], layer, &part->n_cols);
    job->n++;
    return 0;
}

static int collect(struct job *job, const brew_modeldir *dir, brew_err *err) {
    const brew_config *config = job->config;
    job->parts = brew_calloc((size_t)(BREW_ROLES * (job->cut->n_layers + 1)), sizeof *job->parts);
    for (int64_t l = -1; l < job->cut->n_layers; l++)
        for (int role = 0; role < BREW_ROLES; role++) {
            if ((l < 0) != (role < BREW_FIRST_OF_LAYER)) continue;
            if (brew_role_used(config, (enum brew_role)role) &&
                add_part(job, dir, (enum brew_role)role, l, err))
                return -1;
        }
    int64_t longest = 1;
    for (size_t i = 0; i < job->n; i++)
        if (brew_tensor_row_len(&job->parts[i].from) > longest)
            longest = brew_tensor_row_len(&job->parts[i].from);
    job->row = brew_alloc((size_t)longest * sizeof *job->row);
    return 0;
}

// The members of config.json that the cut changes.
static brew_json *changes(const struct job *job) {
    const brew_cut *cut = job->cut;
    const brew_config *config = job->config;
    brew_json *out =
        cut->vocabulary ? brew_json_copy(cut->vocabulary->config) : brew_json_new_object();
    brew_json_set(out, "num_hidden_layers", brew_json_new_int(cut->n_layers));
    brew_json_set(out, "num_key_value_heads", brew_json_new_int(cut->n_kv));
    brew_json_set(out, "num_attention_heads", brew_json_new_int(cut->n_kv * cut->n_group));
    brew_json_set(out, "head_dim", brew_json_new_int(config->head_dim));
    brew_json_set(out, "intermediate_size", brew_json_new_int(cut->n_mlp));
    brew_json_set(out, "hidden_size", brew_json_new_int(cut->n_width));
    brew_json_set(out, "vocab_size", brew_json_new_int(cut->n_vocab));
    if (cut->n_width != config->width)
        brew_json_set(
            out, "rms_norm_eps",
            brew_json_new_real(config->norm_eps * (double)config->width / (double)cut->n_width));
    if (strncmp(config->family, "qwen", 4) || cut->n_layers == config->layers) return out;
    brew_json *types = brew_json_new_array();
    for (int64_t l = 0; l < cut->n_layers; l++) {
        const char *type =
            config->layer_windowed[cut->layers[l]] ? "sliding_attention" : "full_attention";
        brew_json_push(types, brew_json_new_string(type, strlen(type)));
    }
    brew_json_set(out, "layer_types", types);
    brew_json_set(out, "max_window_layers", brew_json_new_int(cut->n_layers));
    return out;
}

static int write_model(struct job *job, const brew_modeldir *dir, const brew_json *provenance,
                       const char *path, brew_err *err) {
    brew_export_tensor *tensors = brew_calloc(job->n, sizeof *tensors);
    for (size_t i = 0; i < job->n; i++) {
        const struct part *part = &job->parts[i];
        bool vector = part->from.n_dims == 1;
        tensors[i] = (brew_export_tensor){.name = part->name,
                                          .n_dims = part->from.n_dims,
                                          .rows = vector ? 1 : part->n_rows,
                                          .cols = vector ? part->n_rows : part->n_cols,
                                          .dtype = part->dtype};
    }
    brew_json *config = changes(job);
    brew_export export = {.from = dir,
                          .config = config,
                          .provenance = provenance,
                          .tensors = tensors,
                          .n_tensors = job->n,
                          .rows = part_rows,
                          .arg = job};
    if (job->cut->vocabulary) {
        export.files = job->cut->vocabulary->files;
        export.n_files = job->cut->vocabulary->n_files;
    }
    int status = brew_export_write(&export, path, err);
    brew_json_free(config);
    free(tensors);
    return status;
}

int brew_cut_write(const brew_cut *cut, const brew_modeldir *dir, const brew_config *config,
                   const brew_repaired *repaired, const brew_json *provenance, const char *path,
                   brew_err *err) {
    if (config->scheme != BREW_F32)
        return brew_fail(err, BREW_DATA, "%s: is quantised (%s): prune first, then quantise",
                         brew_modeldir_name(dir), brew_dtype_name(config->scheme));
    struct job job = {.cut = cut, .config = config, .repaired = repaired};
    int status = brew_role_refuse_others(config, dir, err);
    if (!status) status = collect(&job, dir, err);
    if (!status) status = write_model(&job, dir, provenance, path, err);
    for (size_t i = 0; i < job.n; i++) free(job.parts[i].rows), free(job.parts[i].cols);
    free(job.parts);
    free(job.row);
    return status;
}
