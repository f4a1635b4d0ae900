// A model as one GGUF file: names, order of rows and metadata as llama.cpp's converter writes them.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/gguf_write.h"
#include "model/export.h"
#include "model/export_parts.h"
#include "model/names.h"
#include "text/token/tokenizer.h"

struct job {
    const brew_export *export;
    brew_config config;
    const char *arch;
    brew_gguf_keys keys;
    brew_named_tensor *tensors; // the export's, and the divisors of RoPE's frequencies
    char (*names)[128];
    int64_t *heads; // whose rows are interleaved, or 0
    size_t n;
    float *factors, *vector; // [D/2]; [longest vector]
    brew_export_check check;
};

// ---- tensors

// Row `row` of a file's interleaved head, in halves: (half s, i) lies at 2i + s.
static int64_t halves_row(int64_t row, int64_t head_rows) {
    int64_t in_head = row % head_rows;
    return row - in_head + in_head % 2 * (head_rows / 2) + in_head / 2;
}

static void make_rows(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    struct job *job = arg;
    const brew_export *export = job->export;
    const brew_tensor *t = &job->tensors[index].tensor;
    int64_t cols = brew_tensor_row_len(t), d = job->config.head_dim;
    if (index == export->n_tensors) {
        memcpy(rows, job->factors, (size_t)cols * sizeof *rows);
    } else if (!job->heads[index]) {
        export->rows(export->arg, index, first, count, rows);
    } else if (t->n_dims == 1) {
        export->rows(export->arg, index, first, count, job->vector);
        for (int64_t i = 0; i < cols; i++) rows[i] = job->vector[halves_row(i, d)];
    } else {
        for (int64_t i = 0; i < count; i++)
            export->rows(export->arg, index, halves_row(first + i, d), 1, rows + i * cols);
    }
    brew_export_look(&job->check, job->names[index], t->dtype, rows, count * cols);
}

static int add_tensor(struct job *job, const brew_export_tensor *from, brew_err *err) {
    enum brew_role role;
    int64_t layer;
    brew_named_tensor *to = &job->tensors[job->n];
    if (!brew_role_parse(false, from->name, &role, &layer))
        brew_bug("tensor %s has no role", from->name);
    brew_role_name(job->names[job->n], sizeof *job->names, true, role, layer);
    job->heads[job->n] = brew_role_interleaved(&job->config, role);
    to->name = job->names[job->n++];
    to->tensor = (brew_tensor){.dtype = from->dtype, .n_dims = from->n_dims};
    to->tensor.shape[0] = from->n_dims == 1 ? from->cols : from->rows;
    if (from->n_dims == 1)
        to->tensor.dtype = BREW_F32; // llama.cpp takes no other
    else
        to->tensor.shape[1] = from->cols;
    int64_t block = (int64_t)brew_dtype_block(to->tensor.dtype);
    if (from->cols % block == 0) return 0;
    return brew_fail(
        err, BREW_DATA,
        "tensor %s has rows of %lld values, which %s cannot hold in its blocks of %lld", from->name,
        (long long)from->cols, brew_dtype_name(to->tensor.dtype), (long long)block);
}

// llama3 scaling worked out, as divisors of the frequencies.
static void add_factors(struct job *job) {
    const brew_config *c = &job->config;
    int64_t half = c->head_dim / 2;
    if (!c->rope_freq_factors && c->rope_factor == 0) return;
    job->factors = brew_calloc((size_t)half, sizeof *job->factors);
    for (int64_t i = 0; i < half; i++) {
        double exponent = (double)(2 * i) / (double)c->head_dim;
        double turns =
            (double)c->rope_original_context * pow(c->rope_theta, -exponent) / 6.283185307179586;
        double s = (turns - c->rope_low) / (c->rope_high - c->rope_low);
        s = fmin(fmax(s, 0), 1);
        job->factors[i] = c->rope_freq_factors ? c->rope_freq_factors[i]
                                               : (float)(1 / ((1 - s) / c->rope_factor + s));
    }
    snprintf(job->names[job->n], sizeof *job->names, "rope_freqs.weight");
    job->tensors[job->n] =
        (brew_named_tensor){job->names[job->n], {.dtype = BREW_F32, .n_dims = 1, .shape = {half}}};
    job->n++;
}

static int add_tensors(struct job *job, brew_err *err) {
    const brew_export *export = job->export;
    int64_t longest = 1;
    job->tensors = brew_calloc(export->n_tensors + 1, sizeof *job->tensors);
    job->names = brew_calloc(export->n_tensors + 1, sizeof *job->names);
    job->heads = brew_calloc(export->n_tensors + 1, sizeof *job->heads);
    for (size_t i = 0; i < export->n_tensors; i++) {
        if (add_tensor(job, &export->tensors[i], err)) return -1;
        if (export->tensors[i].n_dims == 1 && export->tensors[i].cols > longest)
            longest = export->tensors[i].cols;
    }
    job->vector = brew_alloc((size_t)longest * sizeof *job->vector);
    add_factors(job);
    return 0;
}

// What brew computes and GGUF has no word for.
static int refuse_unsaid(const struct job *job, brew_err *err) {
    const brew_config *c = &job->config;
    bool llama = !strcmp(job->arch, "llama");
    for (int64_t l = 1; l < c->layers; l++)
        if (c->layer_windowed[l] != c->layer_windowed[0])
            return brew_fail(err, BREW_DATA,
                             "GGUF cannot say that some layers have a window and others none");
    if (!llama && c->rope_factor > 0)
        return brew_fail(err, BREW_DATA, "GGUF has no RoPE scaling for %s", job->arch);
    if (!llama && c->out_bias)
        return brew_fail(err, BREW_DATA, "GGUF has no attention_bias for %s", job->arch);
    return 0;
}

// ---- metadata of the model

static const char *key_of(const struct job *job, const char *name, char key[64]) {
    snprintf(key, 64, "%s.%s", job->arch, name);
    return key;
}

static void add_size(struct job *job, const char *name, int64_t value) {
    char key[64];
    brew_gguf_add_u32(&job->keys, key_of(job, name, key), (uint32_t)value);
}

static void add_real(struct job *job, const char *name, double value) {
    char key[64];
    brew_gguf_add_f32(&job->keys, key_of(job, name, key), (float)value);
}

static void add_config(struct job *job) {
    const brew_config *c = &job->config;
    brew_gguf_add_text(&job->keys, "general.architecture", job->arch);
    brew_gguf_add_text(&job->keys, "general.type", "model");
    add_size(job, "vocab_size", c->vocab);
    add_size(job, "context_length", c->context);
    add_size(job, "embedding_length", c->width);
    add_size(job, "block_count", c->layers);
    add_size(job, "feed_forward_length", c->mlp);
    add_size(job, "attention.head_count", c->heads);
    add_size(job, "attention.head_count_kv", c->kv_heads);
    add_size(job, "attention.key_length", c->head_dim);
    add_size(job, "attention.value_length", c->head_dim);
    add_size(job, "rope.dimension_count", c->head_dim);
    add_real(job, "rope.freq_base", c->rope_theta);
    add_real(job, "attention.layer_norm_rms_epsilon", c->norm_eps);
    if (c->layer_windowed[0]) add_size(job, "attention.sliding_window", c->window);
}

// llama.cpp's number for the type of most tensors: that of the layers' matrices.
static uint32_t file_type(const struct job *job) {
    enum brew_dtype dtype = BREW_F32;
    for (size_t i = 0; i < job->n; i++)
        if (!strncmp(job->names[i], "blk.", 4) && job->tensors[i].tensor.n_dims == 2)
            dtype = job->tensors[i].tensor.dtype;
    return dtype == BREW_F16 ? 1 : dtype == BREW_Q8_0 ? 7 : dtype == BREW_BF16 ? 32 : 0;
}

// All keys of a GGUF file but those of how it is stored, which are written anew.
static void copy_keys(struct job *job, const brew_gguf *gguf) {
    static const char *const anew[] = {"general.file_type", "general.quantization_version",
                                       "general.alignment", "brew.provenance"};
    for (size_t i = 0; i < brew_gguf_n_keys(gguf); i++) {
        size_t len;
        enum brew_gguf_type type;
        const char *key = brew_gguf_key(gguf, i, &len, &type);
        bool copied = true;
        for (size_t k = 0; k < sizeof anew / sizeof *anew; k++)
            copied &= strlen(anew[k]) != len || memcmp(anew[k], key, len) != 0;
        if (copied) brew_gguf_add_copy(&job->keys, gguf, i);
    }
}

// ---- and of the tokenizer

static brew_json *settings_of(const brew_modeldir *from, brew_err *err) {
    size_t len;
    const char *text = brew_modeldir_file(from, "tokenizer_config.json", &len);
    return text ? brew_json_parse_settings(text, len, err) : brew_json_new_object();
}

// The id of "bos_token" and its like: by name in the tokenizer's settings, else by number in the
// model's; -1: none.
static int64_t special_id(const brew_tokenizer *tok, const brew_json *settings,
                          const brew_json *config, const char *name) {
    const brew_json *value = brew_json_get(settings, name);
    if (brew_json_is(value, BREW_JSON_OBJECT)) value = brew_json_get(value, "content");
    size_t want, len;
    const char *text =
        brew_json_is(value, BREW_JSON_STRING) ? brew_json_string(value, &want) : NULL;
    for (size_t id = 0; text && id < brew_tokenizer_vocab(tok); id++) {
        const char *entry = brew_tokenizer_entry(tok, (int32_t)id, &len);
        if (entry && len == want && !memcmp(entry, text, len)) return (int64_t)id;
    }
    char key[40];
    snprintf(key, sizeof key, "%s_id", name);
    value = brew_json_get(config, key);
    if (brew_json_is(value, BREW_JSON_ARRAY)) value = brew_json_at(value, 0);
    return brew_json_is(value, BREW_JSON_INT) ? brew_json_int(value) : -1;
}

static void add_specials(struct job *job, const brew_tokenizer *tok, const brew_json *settings,
                         const brew_json *config) {
    static const char *const names[][2] = {{"bos_token", "tokenizer.ggml.bos_token_id"},
                                           {"eos_token", "tokenizer.ggml.eos_token_id"},
                                           {"pad_token", "tokenizer.ggml.padding_token_id"}};
    for (int i = brew_tokenizer_bos(tok) >= 0; i < 3; i++) { // a BOS that is added is there already
        int64_t id = special_id(tok, settings, config, names[i][0]);
        if (id >= 0 && id < job->config.vocab)
            brew_gguf_add_u32(&job->keys, names[i][1], (uint32_t)id);
    }
    size_t len;
    const brew_json *template = brew_json_get(settings, "chat_template");
    const char *text = brew_modeldir_file(job->export->from, "chat_template.jinja", &len);
    if (!text && brew_json_is(template, BREW_JSON_STRING)) text = brew_json_string(template, &len);
    if (text) brew_gguf_add_string(&job->keys, "tokenizer.chat_template", text, len);
}

static int add_tokenizer(struct job *job, brew_err *err) {
    static const char *const others[] = {"tokenizer.model", "vocab.json", "spiece.model"};
    const brew_modeldir *from = job->export->from;
    size_t len;
    if (!brew_modeldir_file(from, "tokenizer.json", &len)) {
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            if (brew_modeldir_file(from, others[i], &len))
                return brew_fail(err, BREW_DATA,
                                 "the tokenizer is in %s, which is not read (tokenizer.json is)",
                                 others[i]);
        brew_gguf_add_text(&job->keys, "tokenizer.ggml.model", "none");
        return 0;
    }
    brew_tokenizer *tok = brew_tokenizer_open(from, err);
    brew_json *settings = tok ? settings_of(from, err) : NULL;
    brew_json *config = settings ? brew_export_config(from, err) : NULL;
    int status =
        config ? brew_tokenizer_write_gguf(tok, (size_t)job->config.vocab, &job->keys, err) : -1;
    if (!status) add_specials(job, tok, settings, config);
    brew_json_free(config);
    brew_json_free(settings);
    brew_tokenizer_free(tok);
    return status;
}

static int add_keys(struct job *job, brew_err *err) {
    const brew_gguf *gguf = brew_modeldir_gguf(job->export->from);
    if (gguf) copy_keys(job, gguf);
    if (!gguf) add_config(job);
    if (!gguf && add_tokenizer(job, err)) return -1;
    brew_gguf_add_u32(&job->keys, "general.file_type", file_type(job));
    brew_gguf_add_u32(&job->keys, "general.quantization_version", 2);
    if (!job->export->provenance) return 0;
    brew_buf text = {0};
    brew_json_write(&text, job->export->provenance);
    brew_gguf_add_string(&job->keys, "brew.provenance", text.ptr, text.len);
    brew_buf_release(&text);
    return 0;
}

static int write_file(struct job *job, const char *path, brew_err *err) {
    brew_out *out = brew_out_open(path, BREW_OUT_BINARY, err);
    int status =
        out ? brew_gguf_write_rows(out, &job->keys, job->tensors, job->n, make_rows, job, err) : -1;
    if (!status) status = brew_export_checked(&job->check, err);
    if (!status) return brew_out_commit(out, err);
    brew_out_abandon(out);
    return status;
}

int brew_export_gguf(const brew_export *export, const char *path, brew_err *err) {
    struct job job = {.export = export};
    int status = brew_config_read(&job.config, export->from, err);
    if (status) return status;
    job.arch = !strcmp(job.config.family, "mistral") ? "llama" : job.config.family;
    status = refuse_unsaid(&job, err);
    if (!status) status = add_tensors(&job, err);
    if (!status) status = add_keys(&job, err);
    if (!status) status = write_file(&job, path, err);
    if (status) brew_err_context(err, "%s", brew_modeldir_name(export->from));
    brew_gguf_keys_release(&job.keys);
    brew_config_release(&job.config);
    free(job.tensors);
    free(job.names);
    free(job.heads);
    free(job.factors);
    free(job.vector);
    return status;
}
