#include "model/export.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "io/out.h"
#include "io/safetensors.h"
#include "model/export_parts.h"

static const size_t shard_max = 5000000000u; // what transformers takes, too

static int write_file(const char *path, const char *name, const void *bytes, size_t len,
                      brew_err *err) {
    brew_buf full = {0};
    brew_buf_addf(&full, "%s/%s", path, name);
    int rc = brew_out_whole(full.ptr, BREW_OUT_BINARY, bytes, len, err);
    brew_buf_release(&full);
    return rc;
}

static int write_json(const char *path, const char *name, const brew_json *value, brew_err *err) {
    brew_buf text = {0};
    brew_json_write(&text, value);
    brew_buf_addc(&text, '\n');
    int rc = write_file(path, name, text.ptr, text.len, err);
    brew_buf_release(&text);
    return rc;
}

// ---- tensors ----

static size_t tensor_bytes(const brew_export_tensor *t) {
    size_t n, bytes;
    if (!brew_mul((size_t)t->rows, (size_t)t->cols, &n) ||
        !brew_mul(n, brew_dtype_block_bytes(t->dtype), &bytes))
        brew_bug("a tensor of an impossible size");
    return bytes;
}

// Which tensors [first, next) go into the same file as the first.
static size_t shard_end(const brew_export *job, size_t first) {
    size_t max = job->shard_bytes ? job->shard_bytes : shard_max, sum = 0, i = first;
    for (; i < job->n_tensors; i++) {
        size_t bytes = tensor_bytes(job->tensors + i);
        if (i > first && sum + bytes > max) break;
        sum += bytes;
    }
    return i;
}

struct shard_rows {
    const brew_export *job;
    size_t first;
    brew_export_check check;
};

// Magnitudes from here on have become infinities when they are rounded.
static float infinite(enum brew_dtype dtype) {
    switch (dtype) {
    case BREW_BF16:
        return 0x1.ffp127f;
    case BREW_F16:
        return 65520;
    case BREW_Q8_0: // its scale is F16
        return 65520.0f * 127;
    default:
        return INFINITY;
    }
}

void brew_export_look(brew_export_check *check, const char *name, enum brew_dtype dtype,
                      const float *values, int64_t n) {
    float beyond = infinite(dtype);
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(values[i]) < beyond)) *check = (brew_export_check){name, dtype};
}

int brew_export_checked(const brew_export_check *check, brew_err *err) {
    if (!check->name) return 0;
    return brew_fail(err, BREW_DATA, "tensor %s holds what is not a finite number in %s",
                     check->name, brew_dtype_name(check->dtype));
}

static void rows_of_shard(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    struct shard_rows *shard = arg;
    const brew_export_tensor *t = shard->job->tensors + shard->first + index;
    shard->job->rows(shard->job->arg, shard->first + index, first, count, rows);
    brew_export_look(&shard->check, t->name, t->dtype, rows, count * t->cols);
}

static int write_shard(const brew_export *job, size_t first, size_t end, const char *path,
                       const char *name, brew_err *err) {
    brew_named_tensor *tensors = brew_calloc(end - first, sizeof *tensors);
    for (size_t i = first; i < end; i++) {
        const brew_export_tensor *t = job->tensors + i;
        tensors[i - first].name = t->name;
        tensors[i - first].tensor = (brew_tensor){.dtype = t->dtype, .n_dims = t->n_dims};
        int64_t *shape = tensors[i - first].tensor.shape;
        shape[0] = t->n_dims == 1 ? t->cols : t->rows;
        if (t->n_dims == 2) shape[1] = t->cols;
    }
    brew_buf full = {0};
    brew_buf_addf(&full, "%s/%s", path, name);
    struct shard_rows rows = {.job = job, .first = first};
    brew_json *metadata = brew_json_new_object(); // transformers asks for it
    brew_json_set(metadata, "format", brew_json_new_string("pt", 2));
    brew_out *out = brew_out_open(full.ptr, BREW_OUT_BINARY, err);
    int rc = out ? brew_safetensors_write_rows(out, tensors, end - first, metadata, rows_of_shard,
                                               &rows, NULL, err)
                 : -1;
    if (!rc) rc = brew_export_checked(&rows.check, err);
    if (!rc)
        rc = brew_out_commit(out, err);
    else
        brew_out_abandon(out);
    brew_json_free(metadata);
    brew_buf_release(&full);
    free(tensors);
    return rc;
}

static int write_index(const brew_json *map, size_t total, const char *path, brew_err *err) {
    brew_json *index = brew_json_new_object(), *metadata = brew_json_new_object();
    brew_json_set(metadata, "total_size", brew_json_new_int((int64_t)total));
    brew_json_set(index, "metadata", metadata);
    brew_json_set(index, "weight_map", brew_json_copy(map));
    int rc = write_json(path, "model.safetensors.index.json", index, err);
    brew_json_free(index);
    return rc;
}

static int write_tensors(const brew_export *job, const char *path, brew_err *err) {
    size_t shards = 0, number = 0, total = 0;
    for (size_t at = 0; at < job->n_tensors; at = shard_end(job, at)) shards++;
    if (shards <= 1) return write_shard(job, 0, job->n_tensors, path, "model.safetensors", err);
    brew_json *map = brew_json_new_object();
    int rc = 0;
    for (size_t at = 0, end; !rc && at < job->n_tensors; at = end) {
        char name[64];
        snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", ++number, shards);
        end = shard_end(job, at);
        for (size_t i = at; i < end; i++) {
            total += tensor_bytes(job->tensors + i);
            brew_json_set(map, job->tensors[i].name, brew_json_new_string(name, strlen(name)));
        }
        rc = write_shard(job, at, end, path, name, err);
    }
    if (!rc) rc = write_index(map, total, path, err);
    brew_json_free(map);
    return rc;
}

// ---- the other files ----

static bool ends_in(const char *name, const char *suffix) {
    size_t len = strlen(name), end = strlen(suffix);
    return len >= end && !strcmp(name + len - end, suffix);
}

// Written anew, or weights that are no longer these.
static bool left_out(const char *name) {
    static const char *const names[] = {"config.json", "brew.json", "metrics.jsonl"};
    static const char *const ends[] = {".safetensors", ".safetensors.index.json",
                                       ".bin",         ".bin.index.json",
                                       ".pt",          ".pth",
                                       ".gguf",        ".h5",
                                       ".msgpack",     ".onnx"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i])) return true;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (ends_in(name, ends[i])) return true;
    return false;
}

static bool replaced(const brew_export *job, const char *name) {
    for (size_t i = 0; i < job->n_files; i++)
        if (!strcmp(job->files[i].name, name)) return true;
    return false;
}

static int write_files(const brew_export *job, const char *path, brew_err *err) {
    for (size_t i = 0; i < job->n_files; i++) {
        const brew_export_file *file = job->files + i;
        if (file->bytes && write_file(path, file->name, file->bytes, file->len, err)) return -1;
    }
    return 0;
}

static int copy_files(const brew_export *job, const char *path, brew_err *err) {
    for (size_t i = 0; i < brew_modeldir_n_files(job->from); i++) {
        const char *name = brew_modeldir_file_name(job->from, i);
        size_t len;
        const char *bytes = brew_modeldir_file(job->from, name, &len);
        if (!left_out(name) && !replaced(job, name) && write_file(path, name, bytes, len, err))
            return -1;
    }
    return 0;
}

// tokenizer.json and tokenizer_config.json, where a GGUF file holds a tokenizer.
static int make_tokenizer(const brew_export *job, const char *path, brew_err *err) {
    brew_buf text = {0};
    brew_json *settings = NULL;
    int rc = brew_export_tokenizer_gguf(job->from, &text, &settings, err);
    if (rc > 0) {
        rc = replaced(job, "tokenizer.json")
                 ? 0
                 : write_file(path, "tokenizer.json", text.ptr, text.len, err);
        if (!rc && !replaced(job, "tokenizer_config.json"))
            rc = write_json(path, "tokenizer_config.json", settings, err);
    }
    brew_json_free(settings);
    brew_buf_release(&text);
    return rc;
}

int brew_export_tokenizer(const brew_modeldir *from, brew_buf *tokenizer, brew_json **settings,
                          brew_err *err) {
    size_t len;
    *settings = NULL;
    if (brew_modeldir_gguf(from)) return brew_export_tokenizer_gguf(from, tokenizer, settings, err);
    const char *bytes = brew_modeldir_file(from, "tokenizer.json", &len);
    if (!bytes) return 0;
    brew_buf_add(tokenizer, bytes, len);
    bytes = brew_modeldir_file(from, "tokenizer_config.json", &len);
    if (!bytes) return 1;
    *settings = brew_json_parse_settings(bytes, len, err);
    return *settings ? 1
                     : brew_err_context(err, "%s: tokenizer_config.json", brew_modeldir_name(from));
}

brew_json *brew_export_config(const brew_modeldir *from, brew_err *err) {
    if (brew_modeldir_gguf(from)) return brew_export_config_gguf(from, err);
    size_t len;
    const char *bytes = brew_modeldir_file(from, "config.json", &len);
    if (!bytes) {
        brew_fail(err, BREW_DATA, "%s: there is no config.json", brew_modeldir_name(from));
        return NULL;
    }
    brew_json *config = brew_json_parse_settings(bytes, len, err);
    if (!config) brew_err_context(err, "%s: config.json", brew_modeldir_name(from));
    return config;
}

static int write_config(const brew_export *job, const char *path, brew_err *err) {
    brew_json *config = brew_export_config(job->from, err);
    if (!config) return -1;
    for (brew_json_iter it = {0}; brew_json_next(job->config, &it);)
        brew_json_set(config, it.key, brew_json_copy(it.value));
    int rc = write_json(path, "config.json", config, err);
    brew_json_free(config);
    return rc;
}

static int write_adapter(const brew_export *job, const char *path, brew_err *err) {
    if (write_shard(job, 0, job->n_tensors, path, "adapter_model.safetensors", err)) return -1;
    if (job->provenance && write_json(path, "brew.json", job->provenance, err)) return -1;
    return write_json(path, "adapter_config.json", job->adapter, err);
}

int brew_export_write(const brew_export *job, const char *path, brew_err *err) {
    if (job->adapter) return write_adapter(job, path, err);
    if (write_tensors(job, path, err) || copy_files(job, path, err) || write_files(job, path, err))
        return -1;
    if (brew_modeldir_gguf(job->from) && make_tokenizer(job, path, err)) return -1;
    if (job->provenance && write_json(path, "brew.json", job->provenance, err)) return -1;
    return write_config(job, path, err);
}
