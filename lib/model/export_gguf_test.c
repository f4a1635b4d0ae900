// What a GGUF file becomes as a directory: the config of the model it was made from, and its logits.
#define _XOPEN_SOURCE 700 // mkdtemp
#include <math.h>
#include <unistd.h>

#include "base/tap.h"
#include "model/export.h"
#include "model/names.h"
#include "model/testing.h"

static brew_err err;

static bool close_enough(double a, double b) {
    return fabs(a - b) <= 1e-6 * fabs(b); // GGUF holds F32
}

// The types are the caller's; the others say nothing where there is no scaling and no window.
static bool left_open(const char *key) {
    return !strcmp(key, "torch_dtype") || !strcmp(key, "dtype") || !strcmp(key, "rope_type") ||
           !strcmp(key, "max_window_layers") || !strcmp(key, "layer_types");
}

// Every member of want is in got; numbers within an F32's rounding.
static bool holds(const brew_json *got, const brew_json *want, const char *key) {
    bool same = got && brew_json_type(got) == brew_json_type(want);
    bool real = brew_json_is(want, BREW_JSON_REAL);
    if (brew_json_is(want, BREW_JSON_OBJECT)) {
        same = got;
        for (brew_json_iter it = {0}; same && brew_json_next(want, &it);)
            if (!strcmp(it.key, "rope_parameters")) // written as older files have it
                same = holds(got, it.value, it.key);
            else if (!left_open(it.key) && !brew_json_is(it.value, BREW_JSON_NULL))
                same = holds(brew_json_get(got, it.key), it.value, it.key);
    } else if (real && got) {
        same = close_enough(brew_json_real(got), brew_json_real(want));
    } else if (same) {
        brew_buf a = {0}, b = {0};
        brew_json_write(&a, got);
        brew_json_write(&b, want);
        same = a.len == b.len && !memcmp(a.ptr, b.ptr, a.len);
        brew_buf_release(&a);
        brew_buf_release(&b);
    }
    if (!same) printf("# \"%s\" is another\n", key);
    return same;
}

static void test_config(const char *name) {
    char path[100];
    snprintf(path, sizeof path, "testdata/models/%s.gguf", name);
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    snprintf(path, sizeof path, "testdata/models/%s/config.json", name);
    brew_json *got = dir ? brew_export_config(dir, &err) : NULL, *want = brew_json_load(path, &err);
    ok(got && want && holds(got, want, "config.json"), "%s.gguf has the config it came from", name);
    if (!got) printf("# %s\n", err.text);
    brew_json_free(got);
    brew_json_free(want);
    brew_modeldir_close(dir);
}

// ---- Written and read again

enum { MOST = 200 };
struct source {
    brew_export_tensor list[MOST];
    brew_tensor tensors[MOST];
    char names[MOST][100];
    size_t n;
};

static void give_rows(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    brew_tensor_rows(&((const struct source *)arg)->tensors[index], first, count, rows);
}

static void list_tensors(struct source *s, const brew_modeldir *dir, const brew_config *config) {
    for (int64_t l = -1; l < config->layers; l++) {
        for (int role = 0; role < BREW_ROLES; role++) {
            if ((l < 0) != (role < BREW_FIRST_OF_LAYER)) continue;
            if (!brew_role_used(config, (enum brew_role)role)) continue;
            brew_tensor *t = &s->tensors[s->n];
            if (brew_role_find(config, dir, (enum brew_role)role, l, t, &err)) exit(1);
            brew_role_name(s->names[s->n], sizeof *s->names, false, (enum brew_role)role, l);
            s->list[s->n] = (brew_export_tensor){.name = s->names[s->n],
                                                 .n_dims = t->n_dims,
                                                 .rows = brew_tensor_n_rows(t),
                                                 .cols = brew_tensor_row_len(t),
                                                 .dtype = BREW_F32};
            s->n++;
        }
    }
}

static void test_logits(const char *name) {
    char gguf[100], golden_path[100], path[] = "/tmp/brew-export-XXXXXX", command[64];
    snprintf(gguf, sizeof gguf, "testdata/models/%s.gguf", name);
    snprintf(golden_path, sizeof golden_path, "testdata/models/%s/golden.json", name);
    golden g = {0};
    struct opened a, b;
    if (!mkdtemp(path) || golden_load(&g, golden_path, SIZE_MAX, &err) < 0 ||
        !open_model(&a, gguf, "ref", BREW_PRECISION_F32, 2)) {
        ok(false, "%s opens: %s", gguf, err.text);
        return;
    }
    static struct source source;
    source.n = 0;
    list_tensors(&source, a.dir, brew_model_config(a.model));
    brew_export job = {.from = a.dir,
                       .tensors = source.list,
                       .n_tensors = source.n,
                       .rows = give_rows,
                       .arg = &source};
    ok(!brew_export_write(&job, path, &err), "%s is written", gguf);
    brew_forward_result x = {0}, y = {0};
    if (ok(open_model(&b, path, "ref", BREW_PRECISION_F32, 2), "and opened") &&
        run(&a, &g.star, 0, true, &x) && run(&b, &g.star, 0, true, &y)) {
        double most = 0;
        for (int64_t i = 0; i < x.logit_splits[g.star.n_answers]; i++)
            most = fmax(most, fabs((double)x.label_logits[i] - (double)y.label_logits[i]));
        // llama3's divisors are worked out again: a rounding of F32 in an angle
        bool scaled = brew_model_config(a.model)->rope_freq_factors;
        ok(most <= (scaled ? 1e-5 : 0), "with the same logits (%.1g)", most);
    }
    brew_forward_result_release(&x);
    brew_forward_result_release(&y);
    close_model(&a);
    close_model(&b);
    golden_release(&g);
    snprintf(command, sizeof command, "rm -r %s", path);
    ok(!system(command), "removed");
}

// Divisors that are no scaling of llama3's cannot be said in a config.json.
static void test_refused(void) {
    static char bytes[1 << 20];
    char path[] = "/tmp/brew-export-XXXXXX";
    const float odd = 1.5f;
    brew_modeldir *dir = brew_modeldir_open("testdata/models/llama-scaled.gguf", &err);
    const brew_tensor *t = brew_modeldir_tensor(dir, "rope_freqs.weight");
    size_t width = (size_t)brew_tensor_row_len(t) * sizeof(float), at = 0;
    FILE *file = fopen("testdata/models/llama-scaled.gguf", "rb");
    size_t n = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    while (at + width < n && memcmp(bytes + at, t->data, width)) at++;
    memcpy(bytes + at, &odd, sizeof odd); // the shortest wave is never stretched
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, bytes, n) != (ssize_t)n || close(fd) || fclose(file)) exit(1);
    brew_modeldir_close(dir);
    char named[64];
    snprintf(named, sizeof named, "%s.gguf", path);
    if (rename(path, named)) exit(1);
    dir = brew_modeldir_open(named, &err);
    brew_json *config = dir ? brew_export_config(dir, &err) : NULL;
    ok(dir && !config && strstr(err.text, "rope_freqs.weight is no llama3 scaling"), "%s",
       err.text);
    brew_json_free(config);
    brew_modeldir_close(dir);
    unlink(named);
}

int main(void) {
    static const char *const models[] = {"llama-scaled", "mistral", "qwen3"};
    for (int i = 0; i < 3; i++) {
        test_config(models[i]);
        test_logits(models[i]);
    }
    test_refused();
    return tap_done();
}
