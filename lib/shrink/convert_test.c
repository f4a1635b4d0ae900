// Converting: the tensors compressed-tensors writes of the same weights, byte for byte; tied heads; what is
// refused.
#define _XOPEN_SOURCE 700 // mkdtemp
#include "shrink/convert.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tap.h"

static char made[256];

static void remove_made(void) {
    static const char *const names[] = {"config.json",
                                        "model.safetensors",
                                        "golden.json",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "brew.json",
                                        "model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors"};
    char path[512];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", made, names[i]);
        unlink(path);
    }
    rmdir(made);
}

// Converts testdata/models/SOURCE; the result is open, or NULL and err says why.
static brew_modeldir *convert(const char *source, enum brew_dtype scheme, brew_err *err) {
    char path[256];
    brew_config config = {0};
    brew_types types = {0};
    snprintf(path, sizeof path, "testdata/models/%s", source);
    snprintf(made, sizeof made, "convert_test.XXXXXX");
    if (!mkdtemp(made)) brew_bug("no temporary directory");
    brew_modeldir *dir = brew_modeldir_open(path, err);
    int status = dir ? brew_config_read(&config, dir, err) : -1;
    if (!status) {
        brew_types_init(&types, &config, dir, scheme);
        status = brew_convert(dir, &config, &types, NULL, made, err);
    }
    brew_modeldir *result = status ? NULL : brew_modeldir_open(made, err);
    brew_types_release(&types);
    brew_config_release(&config);
    if (dir) brew_modeldir_close(dir);
    return result;
}

static bool same(const brew_tensor *a, const brew_tensor *b) {
    size_t n, m;
    return a && b && a->dtype == b->dtype && a->n_dims == b->n_dims &&
           !memcmp(a->shape, b->shape, (size_t)a->n_dims * sizeof *a->shape) &&
           brew_tensor_bytes(a, &n) && brew_tensor_bytes(b, &m) && n == m &&
           !memcmp(a->data, b->data, n);
}

static void test_golden(const char *source, const char *golden, enum brew_dtype scheme) {
    char path[256];
    brew_err err = {0};
    brew_modeldir *got = convert(source, scheme, &err);
    snprintf(path, sizeof path, "testdata/models/%s", golden);
    brew_modeldir *want = brew_modeldir_open(path, &err);
    if (!ok(got && want, "%s becomes %s", source, golden)) printf("# %s\n", err.text);
    size_t n = want ? brew_modeldir_n_tensors(want) : 0, wrong = 0;
    for (size_t i = 0; got && i < n; i++) {
        const char *name;
        const brew_tensor *tensor = brew_modeldir_tensor_at(want, i, &name);
        if (same(tensor, brew_modeldir_tensor(got, name))) continue;
        printf("# %s differs\n", name);
        wrong++;
    }
    ok(got && !wrong && brew_modeldir_n_tensors(got) == n,
       "with the tensors that compressed-tensors writes");
    brew_config config = {0};
    ok(got && !brew_config_read(&config, got, &err) && config.scheme == scheme && !config.tied,
       "and a configuration that says so");
    brew_config_release(&config);
    if (got) brew_modeldir_close(got);
    if (want) brew_modeldir_close(want);
    remove_made();
}

// A tied model gets a head of its own, F32, with the embedding's values.
static void test_tied(void) {
    brew_err err = {0};
    brew_modeldir *got = convert("llama-tied", BREW_F8_E4M3, &err);
    if (!ok(got != NULL, "a tied model is quantised")) printf("# %s\n", err.text);
    const brew_tensor *head = got ? brew_modeldir_tensor(got, "lm_head.weight") : NULL;
    const brew_tensor *embedding =
        got ? brew_modeldir_tensor(got, "model.embed_tokens.weight") : NULL;
    bool equal = head && embedding && head->dtype == BREW_F32 && embedding->dtype == BREW_BF16;
    for (int64_t row = 0; equal && row < head->shape[0]; row++) {
        float a[64], b[64];
        brew_tensor_rows(head, row, 1, a);
        brew_tensor_rows(embedding, row, 1, b);
        equal = !memcmp(a, b, (size_t)head->shape[1] * sizeof *a);
    }
    ok(equal, "its head stands alone, F32, and holds the embedding's values");
    if (got) brew_modeldir_close(got);
    remove_made();
}

// Plain types keep a tie, and every value that fits.
static void test_plain(const char *source, enum brew_dtype dtype) {
    brew_err err = {0};
    char path[256];
    brew_modeldir *got = convert(source, dtype, &err);
    snprintf(path, sizeof path, "testdata/models/%s", source);
    brew_modeldir *from = brew_modeldir_open(path, &err);
    if (!ok(got && from, "%s as %s", source, brew_dtype_name(dtype))) printf("# %s\n", err.text);
    const brew_tensor *down =
        got ? brew_modeldir_tensor(got, "model.layers.0.mlp.down_proj.weight") : NULL;
    ok(down && down->dtype == dtype &&
           !!brew_modeldir_tensor(got, "lm_head.weight") ==
               !!brew_modeldir_tensor(from, "lm_head.weight"),
       "has the type asked for, and a head where there was one");
    if (got) brew_modeldir_close(got);
    if (from) brew_modeldir_close(from);
    remove_made();
}

static void test_refused(const char *source, const char *want) {
    brew_err err = {0};
    brew_modeldir *got = convert(source, BREW_F8_E4M3, &err);
    if (!ok(!got && strstr(err.text, want), "%s: %s", source, want)) printf("# %s\n", err.text);
    if (got) brew_modeldir_close(got);
    remove_made();
}

int main(void) {
    test_golden("llama-scaled", "llama-scaled-fp8", BREW_F8_E4M3);
    test_golden("llama-scaled", "llama-scaled-int8", BREW_I8);
    test_golden("qwen3", "qwen3-fp8", BREW_F8_E4M3);
    test_golden("qwen3", "qwen3-int8", BREW_I8);
    test_tied();
    test_plain("llama-tied", BREW_BF16);
    test_plain("qwen2", BREW_F32);
    test_plain("mistral", BREW_F16);
    test_refused("qwen3-fp8", "is quantised already (F8_E4M3)");
    return tap_done();
}
