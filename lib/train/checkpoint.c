#include "train/checkpoint.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "io/map.h"

enum { MAX_FILES = 8, NAME = 64 };

static void step_path(brew_buf *path, const char *dir, int64_t step) {
    brew_buf_reset(path);
    brew_buf_addf(path, "%s/step-%08" PRId64, dir, step);
}

// ---- saving ----

struct saving {
    const brew_checkpoint_file *files;
    brew_out *outs[MAX_FILES];
    char digests[MAX_FILES][65];
    brew_err errs[MAX_FILES];
};

static void save_file(void *arg, size_t task, int worker) {
    (void)worker;
    struct saving *s = arg;
    const brew_checkpoint_file *file = s->files + task;
    brew_sha256 sha;
    brew_sha256_init(&sha);
    if (!brew_safetensors_write_rows(s->outs[task], file->tensors, file->n, NULL, file->rows,
                                     file->arg, &sha, &s->errs[task]))
        brew_out_flush(s->outs[task], &s->errs[task]);
    brew_sha256_hex(&sha, s->digests[task]);
}

static brew_out *open_in(const char *path, const char *name, brew_err *err) {
    brew_buf full = {0};
    brew_buf_addf(&full, "%s/%s", path, name);
    brew_out *out = brew_out_open(full.ptr, BREW_OUT_BINARY, err);
    brew_buf_release(&full);
    return out;
}

static void describe(brew_json *files, const char *name, uint64_t bytes, const char *sha256) {
    brew_json *entry = brew_json_new_object();
    brew_json_set(entry, "bytes", brew_json_new_int((int64_t)bytes));
    brew_json_set(entry, "sha256", brew_json_new_string(sha256, 64));
    brew_json_set(files, name, entry);
}

static int save_json(const char *path, const char *name, const brew_json *value, brew_json *files,
                     brew_err *err) {
    brew_buf text = {0};
    brew_json_write(&text, value);
    brew_buf_addc(&text, '\n');
    brew_out *out = open_in(path, name, err);
    int rc = out ? brew_out_write(out, text.ptr, text.len, err) : -1;
    if (rc)
        brew_out_abandon(out);
    else
        rc = brew_out_commit(out, err);
    if (!rc && files) {
        brew_sha256 sha;
        char hex[65];
        brew_sha256_init(&sha);
        brew_sha256_add(&sha, text.ptr, text.len);
        brew_sha256_hex(&sha, hex);
        describe(files, name, text.len, hex);
    }
    brew_buf_release(&text);
    return rc;
}

static int save_tensors(struct saving *s, size_t n, const char *path, brew_json *files,
                        brew_pool *pool, brew_err *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        if (!(s->outs[i] = open_in(path, s->files[i].name, err))) rc = -1;
    if (!rc) brew_pool_run(pool, n, save_file, s);
    for (size_t i = 0; !rc && i < n; i++) {
        uint64_t bytes = brew_out_bytes(s->outs[i]);
        if (s->errs[i].code) {
            *err = s->errs[i];
            rc = -1;
            continue;
        }
        rc = brew_out_commit(s->outs[i], err);
        s->outs[i] = NULL;
        describe(files, s->files[i].name, bytes, s->digests[i]);
    }
    for (size_t i = 0; i < n; i++) brew_out_abandon(s->outs[i]);
    return rc;
}

static int save_into(const char *path, int64_t step, const brew_checkpoint_file *files,
                     size_t n_files, const brew_json *state, brew_pool *pool, brew_err *err) {
    struct saving *s = brew_calloc(1, sizeof *s);
    s->files = files;
    brew_json *manifest = brew_json_new_object(), *entries = brew_json_new_object();
    brew_json_set(manifest, "format", brew_json_new_string("brew-checkpoint", 15));
    brew_json_set(manifest, "version", brew_json_new_int(1));
    brew_json_set(manifest, "step", brew_json_new_int(step));
    brew_json_set(manifest, "files", entries);
    int rc = save_tensors(s, n_files, path, entries, pool, err);
    if (!rc) rc = save_json(path, "state.json", state, entries, err);
    if (!rc) rc = save_json(path, "manifest.json", manifest, NULL, err);
    brew_json_free(manifest);
    free(s);
    return rc;
}

int brew_checkpoint_save(const char *dir, int64_t step, const brew_checkpoint_file *files,
                         size_t n_files, const brew_json *state, brew_pool *pool, brew_err *err) {
    if (n_files > MAX_FILES) brew_bug("a checkpoint of %zu files", n_files);
    brew_buf path = {0};
    step_path(&path, dir, step);
    brew_outdir *out = brew_outdir_open(path.ptr, err);
    brew_buf_release(&path);
    if (!out) return -1;
    int rc = save_into(brew_outdir_path(out), step, files, n_files, state, pool, err);
    if (!rc) return brew_outdir_commit(out, err);
    brew_outdir_abandon(out);
    return rc;
}

// ---- what there is ----

static int by_step(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int64_t *brew_checkpoint_list(const char *dir, size_t *n) {
    int64_t *steps = NULL, step;
    size_t cap = 0;
    *n = 0;
    DIR *entries = opendir(dir);
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        const char *name = entry->d_name;
        if (strncmp(name, "step-", 5) || !brew_parse_i64(name + 5, strlen(name + 5), &step))
            continue;
        BREW_GROW(steps, *n + 1, cap);
        steps[(*n)++] = step;
    }
    if (entries) closedir(entries);
    if (*n) qsort(steps, *n, sizeof *steps, by_step);
    return steps;
}

int brew_checkpoint_remove(const char *dir, int64_t step, brew_err *err) {
    brew_buf path = {0};
    step_path(&path, dir, step);
    int rc = brew_outdir_remove(path.ptr, err);
    brew_buf_release(&path);
    return rc;
}

int brew_checkpoint_prune(const char *dir, size_t keep, int64_t pinned, brew_err *err) {
    size_t n;
    int rc = 0;
    int64_t *steps = brew_checkpoint_list(dir, &n);
    for (size_t i = 0; !rc && i + keep < n; i++)
        if (steps[i] != pinned) rc = brew_checkpoint_remove(dir, steps[i], err);
    free(steps);
    return rc;
}

// ---- opening ----

struct opened {
    char name[NAME];
    const char *sha256; // as the manifest says
    brew_map map;
    brew_safetensors *tensors;
    bool same; // as its digest
};

struct brew_checkpoint {
    brew_buf path;
    brew_json *manifest, *state;
    struct opened files[MAX_FILES + 1];
    size_t n;
};

static void check_file(void *arg, size_t task, int worker) {
    (void)worker;
    brew_checkpoint *c = arg;
    struct opened *file = c->files + task;
    brew_sha256 sha;
    char hex[65];
    brew_sha256_init(&sha);
    brew_sha256_add(&sha, file->map.ptr, file->map.len);
    brew_sha256_hex(&sha, hex);
    file->same = !strcmp(hex, file->sha256);
}

static int read_manifest(brew_checkpoint *c, int64_t step, brew_err *err) {
    brew_buf path = {0};
    brew_buf_addf(&path, "%s/manifest.json", c->path.ptr);
    c->manifest = brew_json_load(path.ptr, err);
    brew_buf_release(&path);
    if (!c->manifest) return -1;
    int64_t version = 0, its_step = -1;
    const char *format = "";
    if (brew_json_want_string(c->manifest, "format", &format, err) < 0 ||
        brew_json_want_int(c->manifest, "version", 0, INT32_MAX, &version, err) < 0 ||
        brew_json_want_int(c->manifest, "step", 0, INT64_MAX, &its_step, err) < 0)
        return -1;
    if (strcmp(format, "brew-checkpoint") || version != 1)
        return brew_fail(err, BREW_DATA, "manifest.json is not that of a checkpoint of version 1");
    if (its_step != step)
        return brew_fail(err, BREW_DATA, "manifest.json is that of step %" PRId64, its_step);
    return 0;
}

static int open_file(brew_checkpoint *c, const char *name, const brew_json *entry, brew_err *err) {
    int64_t bytes = -1;
    const char *sha256 = NULL;
    if (c->n > MAX_FILES || strlen(name) >= NAME || strchr(name, '/'))
        return brew_fail(err, BREW_DATA, "manifest.json lists files that are no checkpoint's");
    if (!brew_json_is(entry, BREW_JSON_OBJECT) ||
        brew_json_want_int(entry, "bytes", 0, INT64_MAX, &bytes, err) <= 0 ||
        brew_json_want_string(entry, "sha256", &sha256, err) <= 0)
        return brew_fail(err, BREW_DATA, "manifest.json lacks the size or digest of %s", name);
    struct opened *file = c->files + c->n++;
    strcpy(file->name, name);
    file->sha256 = sha256;
    brew_buf path = {0};
    brew_buf_addf(&path, "%s/%s", c->path.ptr, name);
    int rc = brew_map_open(&file->map, path.ptr, err);
    brew_buf_release(&path);
    if (rc) return -1;
    if (file->map.len != (uint64_t)bytes)
        return brew_fail(err, BREW_DATA, "%s has %zu bytes, its manifest says %" PRId64, name,
                         file->map.len, bytes);
    return 0;
}

static int parse_file(brew_checkpoint *c, struct opened *file, brew_err *err) {
    if (!file->same)
        return brew_fail(err, BREW_DATA, "%s is damaged: its SHA-256 is not the manifest's",
                         file->name);
    if (!strcmp(file->name, "state.json"))
        return (c->state = brew_json_parse(file->map.ptr, file->map.len, err)) ? 0 : -1;
    file->tensors = brew_safetensors_parse(file->map.ptr, file->map.len, file->name, err);
    return file->tensors ? 0 : -1;
}

static int open_all(brew_checkpoint *c, int64_t step, brew_pool *pool, brew_err *err) {
    if (read_manifest(c, step, err)) return -1;
    const brew_json *files = brew_json_get(c->manifest, "files");
    for (brew_json_iter it = {0}; brew_json_next(files, &it);)
        if (open_file(c, it.key, it.value, err)) return -1;
    brew_pool_run(pool, c->n, check_file, c);
    for (size_t i = 0; i < c->n; i++)
        if (parse_file(c, c->files + i, err)) return -1;
    if (!c->state) return brew_fail(err, BREW_DATA, "manifest.json lists no state.json");
    return 0;
}

brew_checkpoint *brew_checkpoint_open(const char *dir, int64_t step, brew_pool *pool,
                                      brew_err *err) {
    brew_checkpoint *c = brew_calloc(1, sizeof *c);
    step_path(&c->path, dir, step);
    if (!open_all(c, step, pool, err)) return c;
    brew_err_context(err, "%s", c->path.ptr);
    brew_checkpoint_close(c);
    return NULL;
}

void brew_checkpoint_close(brew_checkpoint *c) {
    if (!c) return;
    for (size_t i = 0; i < c->n; i++) {
        brew_safetensors_free(c->files[i].tensors);
        brew_map_close(&c->files[i].map);
    }
    brew_json_free(c->manifest);
    brew_json_free(c->state);
    brew_buf_release(&c->path);
    free(c);
}

const char *brew_checkpoint_path(const brew_checkpoint *c) {
    return c->path.ptr;
}

const brew_json *brew_checkpoint_state(const brew_checkpoint *c) {
    return c->state;
}

const brew_safetensors *brew_checkpoint_tensors(const brew_checkpoint *c, const char *name) {
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->files[i].name, name)) return c->files[i].tensors;
    return NULL;
}
