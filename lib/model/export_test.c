// Export: a model written as a directory, in one file or in shards, reads as the one it came from.
#define _XOPEN_SOURCE 700 // mkdtemp
#include "model/export.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tap.h"
#include "model/model.h"

static const char source[] = "testdata/models/tiny";

struct store {
    brew_modeldir *dir;
    brew_export_tensor *tensors;
    size_t n;
};

static void give_rows(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    const struct store *store = arg;
    const brew_tensor *t = brew_modeldir_tensor(store->dir, store->tensors[index].name);
    brew_tensor_rows(t, first, count, rows);
}

static void list_tensors(struct store *store, enum brew_dtype dtype) {
    store->n = brew_modeldir_n_tensors(store->dir);
    store->tensors = brew_calloc(store->n, sizeof *store->tensors);
    for (size_t i = 0; i < store->n; i++) {
        brew_export_tensor *to = store->tensors + i;
        const brew_tensor *t = brew_modeldir_tensor_at(store->dir, i, &to->name);
        to->n_dims = t->n_dims;
        to->rows = brew_tensor_n_rows(t);
        to->cols = brew_tensor_row_len(t);
        to->dtype = dtype;
    }
}

// Rounded to dtype and read back, a tensor holds what reading and rounding the source gives.
static bool same_tensor(const brew_tensor *a, const brew_tensor *b, enum brew_dtype dtype) {
    if (!a || !b || a->n_dims != b->n_dims || b->dtype != dtype) return false;
    int64_t n = brew_tensor_n_rows(a) * brew_tensor_row_len(a);
    if (n != brew_tensor_n_rows(b) * brew_tensor_row_len(b)) return false;
    float *x = brew_alloc((size_t)n * 4), *y = brew_alloc((size_t)n * 4);
    brew_tensor_rows(a, 0, brew_tensor_n_rows(a), x);
    brew_tensor_rows(b, 0, brew_tensor_n_rows(b), y);
    bool same = true;
    for (int64_t i = 0; i < n; i++) {
        float want = dtype == BREW_BF16  ? brew_f32_from_bf16(brew_bf16_from_f32(x[i]))
                     : dtype == BREW_F16 ? brew_f32_from_f16(brew_f16_from_f32(x[i]))
                                         : x[i];
        same = same && want == y[i];
    }
    free(x);
    free(y);
    return same;
}

static void test_export(enum brew_dtype dtype, size_t shard_bytes) {
    char path[] = "export_test.XXXXXX";
    brew_err err = {0};
    struct store store = {.dir = brew_modeldir_open(source, &err)};
    list_tensors(&store, dtype);
    brew_json *changes = brew_json_new_object(), *chain = brew_json_new_array();
    const char *name = dtype == BREW_BF16 ? "bfloat16" : "float32";
    brew_json_set(changes, "torch_dtype", brew_json_new_string(name, strlen(name)));
    brew_export job = {.from = store.dir,
                       .config = changes,
                       .provenance = chain,
                       .tensors = store.tensors,
                       .n_tensors = store.n,
                       .rows = give_rows,
                       .arg = &store,
                       .shard_bytes = shard_bytes};
    ok(mkdtemp(path) && !brew_export_write(&job, path, &err), "%s is written in %s", source,
       brew_dtype_name(dtype));
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    if (ok(dir, "and opened")) {
        bool same = brew_modeldir_n_tensors(dir) == store.n;
        for (size_t i = 0; same && i < store.n; i++) {
            const char *tensor = store.tensors[i].name;
            same = same_tensor(brew_modeldir_tensor(store.dir, tensor),
                               brew_modeldir_tensor(dir, tensor), dtype);
        }
        ok(same, "its tensors are those of the source, rounded");
        size_t len, want;
        const char *text = brew_modeldir_file(dir, "tokenizer.json", &len);
        const char *from = brew_modeldir_file(store.dir, "tokenizer.json", &want);
        ok(text && len == want && !memcmp(text, from, len), "the tokenizer is copied");
        ok(brew_modeldir_file(dir, "brew.json", &len), "there is a provenance");
        ok(!!brew_modeldir_file(dir, "model.safetensors.index.json", &len) == (shard_bytes > 0),
           "an index where there are shards");
        brew_config config = {0};
        ok(!brew_config_read(&config, dir, &err), "the config is read");
        brew_config_release(&config);
        brew_json *json = brew_export_config(dir, &err);
        is_str(brew_json_string(brew_json_get(json, "torch_dtype"), NULL), name, "as changed");
        brew_json_free(json);
    }
    brew_modeldir_close(dir);
    brew_json_free(changes);
    brew_json_free(chain);
    free(store.tensors);
    brew_modeldir_close(store.dir);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", path);
    ok(!system(command), "removed");
}

int main(void) {
    test_export(BREW_F32, 0);
    test_export(BREW_BF16, 0);
    test_export(BREW_F16, 20000);
    return tap_done();
}
