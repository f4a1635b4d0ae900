#include "io/modeldir.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/gguf.h"
#include "io/in.h"
#include "io/json.h"
#include "io/map.h"
#include "io/modeltar.h"
#include "io/name.h"
#include "io/out.h"
#include "io/safetensors.h"
#include "io/tarstream.h"

typedef struct file {
    char *name;
    brew_map map; // of a directory's file
    const char *bytes;
    size_t len;
} file;

typedef struct named {
    const char *name;
    const brew_tensor *tensor;
} named;

typedef struct shard {
    const char *name; // of the file
    brew_safetensors *tensors;
} shard;

struct brew_modeldir {
    char *name;
    file *files; // [n_files] by name
    size_t n_files, files_cap;
    brew_tar_file *tar; // owns the bytes of a tar's files
    size_t n_tar;
    shard *shards;
    size_t n_shards, shards_cap;
    brew_map gguf_map;
    brew_gguf *gguf;
    named *tensors; // [n_tensors] by name
    size_t n_tensors, tensors_cap;
};

static int by_file_name(const void *a, const void *b) {
    return strcmp(((const file *)a)->name, ((const file *)b)->name);
}

static int by_tensor_name(const void *a, const void *b) {
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

static const file *find_file(const brew_modeldir *dir, const char *name) {
    file key = {.name = (char *)(uintptr_t)name};
    return dir->n_files ? bsearch(&key, dir->files, dir->n_files, sizeof key, by_file_name) : NULL;
}

static bool ends_in(const char *name, const char *suffix) {
    size_t len = strlen(name), end = strlen(suffix);
    return len >= end && !strcmp(name + len - end, suffix);
}

static const char *first_ending_in(const brew_modeldir *dir, const char *suffix) {
    for (size_t i = 0; i < dir->n_files; i++)
        if (ends_in(dir->files[i].name, suffix)) return dir->files[i].name;
    return NULL;
}

// ---- weights ----

// The shard of this name, opened on first use.
static brew_safetensors *shard_named(brew_modeldir *dir, const char *name, brew_err *err) {
    for (size_t i = 0; i < dir->n_shards; i++)
        if (!strcmp(dir->shards[i].name, name)) return dir->shards[i].tensors;
    const file *f = find_file(dir, name);
    if (!f) {
        brew_fail(err, BREW_DATA, "%s: a shard that the index names is missing: %s", dir->name,
                  name);
        return NULL;
    }
    brew_safetensors *tensors = brew_safetensors_parse(f->bytes, f->len, name, err);
    if (!tensors) {
        brew_err_context(err, "%s", dir->name);
        return NULL;
    }
    BREW_GROW(dir->shards, dir->n_shards + 1, dir->shards_cap);
    dir->shards[dir->n_shards++] = (shard){f->name, tensors};
    return tensors;
}

// Adds the tensors of a shard; with a weight_map, only if that puts each of them here.
static int add_shard(brew_modeldir *dir, const shard *from, const brew_json *map, brew_err *err) {
    for (size_t i = 0; i < brew_safetensors_n(from->tensors); i++) {
        named t;
        t.tensor = brew_safetensors_at(from->tensors, i, &t.name);
        const brew_json *place = map ? brew_json_get(map, t.name) : NULL;
        if (map && (!place || strcmp(brew_json_string(place, NULL), from->name)))
            return brew_fail(err, BREW_DATA,
                             "%s: tensor %s is in %s, where the index does not put it", dir->name,
                             t.name, from->name);
        BREW_GROW(dir->tensors, dir->n_tensors + 1, dir->tensors_cap);
        dir->tensors[dir->n_tensors++] = t;
    }
    return 0;
}

static int open_indexed(brew_modeldir *dir, const brew_json *map, brew_err *err) {
    for (brew_json_iter it = {0}; brew_json_next(map, &it);) {
        if (!brew_json_is(it.value, BREW_JSON_STRING))
            return brew_fail(err, BREW_DATA, "%s: the index's weight_map holds more than strings",
                             dir->name);
        size_t len;
        const char *name = brew_json_string(it.value, &len);
        if (!brew_name_is_plain(name, len) || !brew_name_is_plain(it.key, strlen(it.key)))
            return brew_fail(err, BREW_DATA, "%s: a name in the index is empty or not plain text",
                             dir->name);
        const brew_safetensors *tensors = shard_named(dir, name, err);
        if (!tensors) return -1;
        if (!brew_safetensors_get(tensors, it.key))
            return brew_fail(err, BREW_DATA, "%s: tensor %s is not in %s, where the index puts it",
                             dir->name, it.key, name);
    }
    for (size_t i = 0; i < dir->n_shards; i++)
        if (add_shard(dir, &dir->shards[i], map, err)) return -1;
    return 0;
}

static int open_index(brew_modeldir *dir, const file *index, brew_err *err) {
    brew_json *json = brew_json_parse(index->bytes, index->len, err);
    if (!json) return brew_err_context(err, "%s: %s", dir->name, index->name);
    const brew_json *map = brew_json_get(json, "weight_map");
    int rc = brew_json_is(map, BREW_JSON_OBJECT)
                 ? open_indexed(dir, map, err)
                 : brew_fail(err, BREW_DATA, "%s: %s has no weight_map", dir->name, index->name);
    brew_json_free(json);
    return rc;
}

// What transformers would load, in its order of preference; pickled weights are refused by name.
static int open_weights(brew_modeldir *dir, brew_err *err) {
    const file *index = find_file(dir, "model.safetensors.index.json");
    if (find_file(dir, "model.safetensors")) {
        if (!shard_named(dir, "model.safetensors", err)) return -1;
        return add_shard(dir, &dir->shards[0], NULL, err);
    }
    if (index) return open_index(dir, index, err);
    const char *other = first_ending_in(dir, ".safetensors");
    if (other)
        return brew_fail(
            err, BREW_DATA,
            "%s: has %s, but neither model.safetensors nor model.safetensors.index.json", dir->name,
            other);
    other = first_ending_in(dir, ".bin");
    if (!other) other = first_ending_in(dir, ".pt");
    if (!other) other = first_ending_in(dir, ".pth");
    if (other)
        return brew_fail(
            err, BREW_DATA,
            "%s: the weights in %s are pickled, which is not supported: convert them to "
            "safetensors",
            dir->name, other);
    return 0;
}

// ---- containers ----

static int open_files(brew_modeldir *dir, brew_err *err) {
    if (dir->n_files) qsort(dir->files, dir->n_files, sizeof *dir->files, by_file_name);
    if (find_file(dir, "adapter_config.json") && !find_file(dir, "config.json"))
        return brew_fail(err, BREW_DATA,
                         "%s: holds an adapter, no model: give its base, or train with --merge",
                         dir->name);
    if (open_weights(dir, err)) return -1;
    // A tokenizer alone is enough for those who need no weights.
    if (!find_file(dir, "config.json") && (dir->n_tensors || !find_file(dir, "tokenizer.json"))) {
        const char *gguf = first_ending_in(dir, ".gguf");
        return brew_fail(err, BREW_DATA, "%s: no model: there is no config.json%s%s", dir->name,
                         gguf ? ", but a GGUF file: " : "", gguf ? gguf : "");
    }
    return 0;
}

static int add_directory_file(brew_modeldir *dir, const char *name, brew_err *err) {
    brew_buf path = {0};
    brew_buf_addf(&path, "%s/%s", dir->name, name);
    struct stat st;
    int rc = 0;
    // Subdirectories (checkpoints) and special files are no part of a model; links are followed.
    if (name[0] != '.' && !stat(path.ptr, &st) && S_ISREG(st.st_mode)) {
        file f = {.name = brew_strdup(name)};
        rc = brew_map_open(&f.map, path.ptr, err);
        f.bytes = f.map.ptr ? f.map.ptr : "";
        f.len = f.map.len;
        BREW_GROW(dir->files, dir->n_files + 1, dir->files_cap);
        dir->files[dir->n_files++] = f;
    }
    brew_buf_release(&path);
    return rc;
}

static int open_directory(brew_modeldir *dir, brew_err *err) {
    DIR *entries = opendir(dir->name);
    if (!entries) return brew_fail_errno(err, BREW_NOINPUT, "%s: cannot open", dir->name);
    struct dirent *entry;
    int rc = 0;
    while (!rc && (errno = 0, entry = readdir(entries)))
        rc = add_directory_file(dir, entry->d_name, err);
    if (!rc && errno) rc = brew_fail_errno(err, BREW_IO, "%s: cannot read", dir->name);
    closedir(entries);
    return rc ? rc : open_files(dir, err);
}

// The directory all names of a tar stand in ("model/", its length), if there is one: 0 if not.
static size_t common_directory(const brew_tar_file *files, size_t n) {
    const char *slash = n ? strchr(files[0].name, '/') : NULL;
    size_t len = slash ? (size_t)(slash - files[0].name) + 1 : 0;
    for (size_t i = 1; i < n && len; i++)
        if (strncmp(files[i].name, files[0].name, len)) len = 0;
    return len;
}

static int open_tar(brew_modeldir *dir, brew_in *in, brew_err *err) {
    if (brew_modeltar_read(in, &dir->tar, &dir->n_tar, err)) return -1;
    size_t prefix = common_directory(dir->tar, dir->n_tar);
    for (size_t i = 0; i < dir->n_tar; i++) {
        const char *name = dir->tar[i].name + prefix;
        if (strchr(name, '/') || name[0] == '.') continue; // as in a directory
        BREW_GROW(dir->files, dir->n_files + 1, dir->files_cap);
        dir->files[dir->n_files++] =
            (file){.name = brew_strdup(name),
                   .bytes = dir->tar[i].slab.bytes ? dir->tar[i].slab.ptr : "",
                   .len = dir->tar[i].slab.bytes};
    }
    return open_files(dir, err);
}

static int open_gguf(brew_modeldir *dir, brew_err *err) {
    if (brew_map_open(&dir->gguf_map, dir->name, err)) return -1;
    dir->gguf = brew_gguf_parse(dir->gguf_map.ptr, dir->gguf_map.len, dir->name, err);
    if (!dir->gguf) return -1;
    dir->n_tensors = brew_gguf_n_tensors(dir->gguf);
    dir->tensors = brew_calloc(dir->n_tensors, sizeof *dir->tensors);
    for (size_t i = 0; i < dir->n_tensors; i++)
        dir->tensors[i].tensor = brew_gguf_tensor_at(dir->gguf, i, &dir->tensors[i].name);
    return 0;
}

static int open_stream(brew_modeldir *dir, const char *path, bool regular, brew_err *err) {
    brew_in *in = brew_in_open(path, err);
    if (!in) return -1;
    free(dir->name);
    dir->name = brew_strdup(brew_in_name(in));
    const char *head;
    ssize_t seen = brew_in_peek(in, &head, 16, err);
    bool is_gguf = seen >= 4 && !memcmp(head, "GGUF", 4);
    int rc;
    if (seen < 0)
        rc = -1;
    else if (is_gguf && !regular)
        rc = brew_fail(err, BREW_DATA,
                       "%s: a GGUF file is mapped, not read from a pipe: give its path", dir->name);
    else if (is_gguf)
        rc = open_gguf(dir, err);
    else if (seen >= 9 && head[8] == '{' && !head[7])
        rc = brew_fail(err, BREW_DATA,
                       "%s: a safetensors file alone is no model: give its directory", dir->name);
    else
        rc = open_tar(dir, in, err);
    brew_in_close(in);
    return rc;
}

static brew_modeldir *finish(brew_modeldir *dir, int rc) {
    if (rc) {
        brew_modeldir_close(dir);
        return NULL;
    }
    if (dir->n_tensors) qsort(dir->tensors, dir->n_tensors, sizeof *dir->tensors, by_tensor_name);
    return dir;
}

brew_modeldir *brew_modeldir_open(const char *path, brew_err *err) {
    brew_modeldir *dir = brew_calloc(1, sizeof *dir);
    dir->name = brew_strdup(path);
    struct stat st = {0};
    bool exists = strcmp(path, "-") && !stat(path, &st);
    return finish(dir, exists && S_ISDIR(st.st_mode)
                           ? open_directory(dir, err)
                           : open_stream(dir, path, S_ISREG(st.st_mode), err));
}

brew_modeldir *brew_modeldir_read(brew_in *in, brew_err *err) {
    brew_modeldir *dir = brew_calloc(1, sizeof *dir);
    dir->name = brew_strdup(brew_in_name(in));
    return finish(dir, open_tar(dir, in, err));
}

void brew_modeldir_close(brew_modeldir *dir) {
    if (!dir) return;
    for (size_t i = 0; i < dir->n_shards; i++) brew_safetensors_free(dir->shards[i].tensors);
    brew_gguf_free(dir->gguf);
    for (size_t i = 0; i < dir->n_files; i++) {
        free(dir->files[i].name);
        brew_map_close(&dir->files[i].map);
    }
    brew_modeltar_release(dir->tar, dir->n_tar);
    brew_map_close(&dir->gguf_map);
    free(dir->files);
    free(dir->shards);
    free(dir->tensors);
    free(dir->name);
    free(dir);
}

// ---- looking ----

const char *brew_modeldir_name(const brew_modeldir *dir) {
    return dir->name;
}

uint64_t brew_modeldir_digest(const brew_modeldir *dir, char hex[65]) {
    brew_sha256 sha;
    uint64_t bytes = dir->gguf_map.len;
    brew_sha256_init(&sha);
    brew_sha256_add(&sha, dir->gguf_map.ptr, dir->gguf_map.len);
    for (size_t i = 0; i < dir->n_files; i++) {
        const file *f = &dir->files[i];
        if (strcmp(f->name, "config.json") && !ends_in(f->name, ".safetensors")) continue;
        uint8_t len[8]; // the same on every machine
        for (int k = 0; k < 8; k++) len[k] = (uint8_t)((uint64_t)f->len >> 8 * k);
        brew_sha256_add(&sha, f->name, strlen(f->name) + 1);
        brew_sha256_add(&sha, len, sizeof len);
        brew_sha256_add(&sha, f->bytes, f->len);
        bytes += f->len;
    }
    brew_sha256_hex(&sha, hex);
    return bytes;
}

const brew_gguf *brew_modeldir_gguf(const brew_modeldir *dir) {
    return dir->gguf;
}

const char *brew_modeldir_file(const brew_modeldir *dir, const char *name, size_t *len) {
    const file *f = find_file(dir, name);
    if (f) *len = f->len;
    return f ? f->bytes : NULL;
}

size_t brew_modeldir_n_files(const brew_modeldir *dir) {
    return dir->n_files;
}

const char *brew_modeldir_file_name(const brew_modeldir *dir, size_t index) {
    return dir->files[index].name;
}

const brew_tensor *brew_modeldir_tensor(const brew_modeldir *dir, const char *name) {
    named key = {.name = name};
    const named *found =
        dir->n_tensors ? bsearch(&key, dir->tensors, dir->n_tensors, sizeof key, by_tensor_name)
                       : NULL;
    return found ? found->tensor : NULL;
}

size_t brew_modeldir_n_tensors(const brew_modeldir *dir) {
    return dir->n_tensors;
}

const brew_tensor *brew_modeldir_tensor_at(const brew_modeldir *dir, size_t index,
                                           const char **name) {
    if (name) *name = dir->tensors[index].name;
    return dir->tensors[index].tensor;
}

void brew_modeldir_forget(const brew_modeldir *dir, const brew_tensor *tensor) {
    size_t bytes;
    if (!brew_tensor_bytes(tensor, &bytes) || !bytes) return;
    uintptr_t at = (uintptr_t)tensor->data, start = (uintptr_t)dir->gguf_map.ptr;
    const brew_map *map = at - start < dir->gguf_map.len ? &dir->gguf_map : NULL;
    for (size_t i = 0; !map && i < dir->n_files; i++) {
        start = (uintptr_t)dir->files[i].map.ptr;
        if (at - start < dir->files[i].map.len) map = &dir->files[i].map;
    }
    if (map) brew_map_forget(map, tensor->data, bytes);
}

int brew_modeldir_send(const brew_modeldir *dir, brew_out *out, brew_err *err) {
    if (dir->gguf) return brew_out_write(out, dir->gguf_map.ptr, dir->gguf_map.len, err);
    brew_tar_writer *tar = brew_tar_write_start(out);
    for (size_t i = 0; i < dir->n_files; i++) {
        const file *f = &dir->files[i];
        if (!brew_tar_write(tar, f->name, NULL, 0, f->bytes, f->len, err)) continue;
        brew_tar_write_abandon(tar);
        return -1;
    }
    return brew_tar_write_end(tar, err);
}
