// Models written as GGUF: byte for byte the tensors that gguf's own package writes, as llama.cpp's converter
// arranges them (scripts/peers/model_goldens.py); the same logits; and what GGUF cannot say.
#include <math.h>
#include <unistd.h>

#include "base/tap.h"
#include "io/gguf.h"
#include "model/export.h"
#include "model/names.h"
#include "model/testing.h"

static brew_err err;
static const char path[] = "export_to_gguf_test.gguf";

enum { MOST = 200 };
static struct source {
    brew_export_tensor list[MOST];
    brew_tensor tensors[MOST];
    char names[MOST][100];
    size_t n;
} source;

static void give_rows(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    brew_tensor_rows(&((const struct source *)arg)->tensors[index], first, count, rows);
}

static void list_tensors(const brew_modeldir *dir, const brew_config *config,
                         enum brew_dtype dtype) {
    source.n = 0;
    for (int64_t l = -1; l < config->layers; l++) {
        for (int role = 0; role < BREW_ROLES; role++) {
            if ((l < 0) != (role < BREW_FIRST_OF_LAYER)) continue;
            if (!brew_role_used(config, (enum brew_role)role)) continue;
            brew_tensor *t = &source.tensors[source.n];
            if (brew_role_find(config, dir, (enum brew_role)role, l, t, &err)) exit(1);
            brew_role_name(source.names[source.n], sizeof *source.names, false,
                           (enum brew_role)role, l);
            source.list[source.n] = (brew_export_tensor){.name = source.names[source.n],
                                                         .n_dims = t->n_dims,
                                                         .rows = brew_tensor_n_rows(t),
                                                         .cols = brew_tensor_row_len(t),
                                                         .dtype = dtype};
            source.n++;
        }
    }
}

static int write_model(const brew_modeldir *dir, const brew_config *config, enum brew_dtype dtype) {
    list_tensors(dir, config, dtype);
    brew_export job = {.from = dir,
                       .tensors = source.list,
                       .n_tensors = source.n,
                       .rows = give_rows,
                       .arg = &source};
    return brew_export_gguf(&job, path, &err);
}

// Every tensor of the package's file is ours, and every key that it has says the same.
static void compare_files(const brew_modeldir *got_dir, const char *reference) {
    brew_modeldir *want_dir = brew_modeldir_open(reference, &err);
    const brew_gguf *got = brew_modeldir_gguf(got_dir), *want = brew_modeldir_gguf(want_dir);
    int differ = 0;
    for (size_t i = 0; i < brew_gguf_n_tensors(want); i++) {
        const char *name;
        const brew_tensor *a = brew_gguf_tensor_at(want, i, &name);
        const brew_tensor *b = brew_gguf_tensor(got, name);
        size_t x = 0, y = 0;
        brew_tensor_bytes(a, &x);
        bool same = b && a->dtype == b->dtype && brew_tensor_bytes(b, &y) && x == y &&
                    !memcmp(a->data, b->data, x);
        if (!same) printf("# %s differs\n", name);
        differ += !same;
    }
    ok(!differ && brew_gguf_n_tensors(got) == brew_gguf_n_tensors(want), "with the tensors of %s",
       reference);
    for (size_t i = 0; i < brew_gguf_n_keys(want); i++) {
        size_t len;
        enum brew_gguf_type type;
        const char *key = brew_gguf_key(want, i, &len, &type);
        double x = 0, y = 1;
        const char *a, *b;
        size_t a_len, b_len;
        bool same = type == BREW_GGUF_STRING
                        ? brew_gguf_string(want, key, &a, &a_len) &&
                              brew_gguf_string(got, key, &b, &b_len) && a_len == b_len &&
                              !memcmp(a, b, a_len)
                        : brew_gguf_real(want, key, &x) && brew_gguf_real(got, key, &y) && x == y;
        if (!same) printf("# key %s differs\n", key);
        differ += !same;
    }
    ok(!differ, "and its keys");
    brew_modeldir_close(want_dir);
}

static void test_model(const char *name, const char *golden_gguf) {
    char from[100], golden_path[100];
    snprintf(from, sizeof from, "testdata/models/%s", name);
    snprintf(golden_path, sizeof golden_path, "testdata/models/%s/golden.json", name);
    golden g = {0};
    struct opened a, b;
    if (golden_load(&g, golden_path, SIZE_MAX, &err) < 0 ||
        !open_model(&a, from, "ref", BREW_PRECISION_F32, 2)) {
        ok(false, "%s opens: %s", from, err.text);
        return;
    }
    if (!ok(!write_model(a.dir, brew_model_config(a.model), BREW_F32), "%s is written", from))
        printf("# %s\n", err.text);
    brew_forward_result x = {0}, y = {0};
    if (ok(open_model(&b, path, "ref", BREW_PRECISION_F32, 2), "and opened")) {
        if (run(&a, &g.star, 0, true, &x) && run(&b, &g.star, 0, true, &y)) {
            double most = 0;
            for (int64_t i = 0; i < x.logit_splits[g.star.n_answers]; i++)
                most = fmax(most, fabs((double)x.label_logits[i] - (double)y.label_logits[i]));
            // llama3's divisors are worked out: a rounding of F32 in an angle. The base is F32 there, too.
            bool exact = !brew_model_config(b.model)->rope_freq_factors;
            ok(most <= (exact ? 0 : 1e-5), "with the same logits (%.1g)", most);
        }
        if (golden_gguf) compare_files(b.dir, golden_gguf);
        close_model(&b);
    }
    brew_forward_result_release(&x);
    brew_forward_result_release(&y);
    close_model(&a);
    golden_release(&g);
    unlink(path);
}

static void test_refused(const char *from, enum brew_dtype dtype, const char *want) {
    brew_modeldir *dir = brew_modeldir_open(from, &err);
    brew_config config = {0};
    if (!dir || brew_config_read(&config, dir, &err)) exit(1);
    ok(write_model(dir, &config, dtype) && strstr(err.text, want) && access(path, F_OK), "%s",
       err.text);
    brew_config_release(&config);
    brew_modeldir_close(dir);
}

int main(void) {
    test_model("llama-scaled", "testdata/models/llama-scaled.gguf");
    test_model("qwen3", "testdata/models/qwen3.gguf");
    test_model("mistral", "testdata/models/mistral.gguf");
    test_model("llama-tied", NULL);
    test_model("llama-bias", NULL);
    test_refused("testdata/models/qwen2", BREW_F32, "some layers have a window and others none");
    test_refused("testdata/models/qwen3", BREW_Q8_0, "rows of 40 values, which Q8_0 cannot hold");
    test_refused("testdata/models/qwen3", BREW_F8_E4M3, "GGUF has no type F8_E4M3");
    return tap_done();
}
