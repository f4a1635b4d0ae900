// Cuts: what is left out of a file is what is left out of the computation, and what was zero is not
// missed.
#define _XOPEN_SOURCE 700 // mkdtemp
#include "shrink/cut.h"

#include "base/tap.h"
#include "model/export.h"
#include "model/names.h"
#include "shrink/testing.h"

static const char *const models[] = {"llama-scaled", "llama-tied", "llama-bias",
                                     "qwen2",        "qwen3",      "mistral"};
enum { N_MODELS = sizeof models / sizeof *models };

// Without a layer: the same bits as the whole model that skips it.
static void test_layers(const char *name, int64_t gone) {
    char path[64], whole[256];
    brew_err err = {0};
    golden g = {0};
    brew_cut cut;
    snprintf(whole, sizeof whole, "testdata/models/%s", name);
    struct source s = source_of(whole);
    snprintf(whole, sizeof whole, "testdata/models/%s/golden.json", name);
    if (golden_load(&g, whole, SIZE_MAX, &err) < 0) brew_bug("%s", err.text);
    bool *skip = brew_calloc((size_t)s.config.layers, sizeof *skip);
    int64_t kept[8], n = 0;
    skip[gone] = true;
    for (int64_t l = 0; l < s.config.layers; l++)
        if (l != gone) kept[n++] = l;
    brew_cut_init(&cut, &s.config);
    brew_cut_keep_layers(&cut, &s.config, kept, n);
    bool good = write_cut(&s, &cut, NULL, path) && difference(s.path, skip, path, &g) == 0;
    ok(good, "%s without layer %lld is the model that skips it", name, (long long)gone);
    ok(difference(s.path, NULL, path, &g) > 1e-3, "which is another model");
    free(skip);
    remove_folder(path);
    brew_cut_release(&cut);
    golden_release(&g);
    close_source(&s);
}

// ---- zeroed structures ----

// Zeroed: the last query heads' group (or the last of each group), every third neuron, every fifth channel.
struct zeroed {
    const struct source *s;
    const char *const *names;
    bool groups; // whole kv groups; else the last query head in each
    bool eps;    // the model's eps is large, and q and k are small
};

static bool zero_head(const struct zeroed *z, int64_t head) {
    int64_t group = z->s->config.heads / z->s->config.kv_heads;
    return z->groups ? head / group == z->s->config.kv_heads - 1
                     : group > 1 && head % group == group - 1;
}

static void zeroed_rows(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    const struct zeroed *z = arg;
    const brew_config *config = &z->s->config;
    const char *name = z->names[index];
    const brew_tensor *tensor = brew_modeldir_tensor(z->s->dir, name);
    int64_t cols = brew_tensor_row_len(tensor);
    brew_tensor_rows(tensor, first, count, rows);
    bool embedding = strstr(name, "embed_tokens"), head = strstr(name, "lm_head");
    bool out = strstr(name, "o_proj"), down = strstr(name, "down_proj");
    for (int64_t i = 0; i < count; i++)
        for (int64_t j = 0; j < cols; j++) {
            float *value = &rows[i * cols + j];
            int64_t channel = strstr(name, "bias") ? j : first + i;
            if ((embedding || (head && config->tied)) && j % 5 == 4) *value = 0;
            if ((out || down) && channel % 5 == 4) *value = 0;
            if (out && !strstr(name, "bias") && zero_head(z, j / config->head_dim)) *value = 0;
            if (down && j % 3 == 2) *value = 0;
            if (z->eps && (strstr(name, "q_proj") || strstr(name, "k_proj"))) *value *= 0.1f;
        }
}

static bool write_zeroed(struct zeroed *z, char path[64]) {
    brew_json *config = brew_json_new_object();
    if (z->eps) brew_json_set(config, "rms_norm_eps", brew_json_new_real(0.05));
    bool good = write_changed(z->s, config, zeroed_rows, z, &z->names, path);
    brew_json_free(config);
    free((void *)(uintptr_t)z->names);
    return good;
}

// Takes every list's indices for which `gone` is false.
static void cut_zeroed(brew_cut *cut, const struct zeroed *z) {
    const brew_config *config = &z->s->config;
    int64_t group = config->heads / config->kv_heads, kv = 0, heads = 0, mlp = 0;
    for (int64_t l = 0; l < config->layers; l++) {
        for (int64_t k = 0; k < config->kv_heads; k++) {
            if (!z->groups || k != config->kv_heads - 1) cut->kv[kv++] = k;
            for (int64_t h = k * group; h < (k + 1) * group; h++)
                if (!zero_head(z, h)) cut->heads[heads++] = h;
        }
        for (int64_t f = 0; f < config->mlp; f++)
            if (f % 3 != 2) cut->mlp[mlp++] = f;
    }
    cut->n_kv = kv / config->layers;
    cut->n_group = heads / kv;
    cut->n_mlp = mlp / config->layers;
    int64_t width = 0;
    for (int64_t c = 0; c < config->width; c++)
        if (c % 5 != 4) cut->width[width++] = c;
    cut->n_width = width;
}

static void test_zeroed(const char *name, bool groups, bool eps) {
    char path[256], whole[64], small[64];
    brew_err err = {0};
    golden g = {0};
    brew_cut cut;
    snprintf(path, sizeof path, "testdata/models/%s", name);
    struct source s = source_of(path);
    groups = groups && s.config.kv_heads > 1;
    snprintf(path, sizeof path, "testdata/models/%s/golden.json", name);
    if (golden_load(&g, path, SIZE_MAX, &err) < 0) brew_bug("%s", err.text);
    struct zeroed z = {.s = &s, .groups = groups, .eps = eps};
    bool good = write_zeroed(&z, whole);
    struct source zero = source_of(whole);
    brew_cut_init(&cut, &zero.config);
    cut_zeroed(&cut, &z);
    good = good && write_cut(&zero, &cut, NULL, small);
    double most = good ? difference(whole, NULL, small, &g) : INFINITY;
    ok(most <= 1e-5, "%s without zeroed %s, neurons and channels scores as before (%.2g)", name,
       groups ? "groups" : "heads", most);
    brew_size before = {brew_config_parameters(&s.config), 0},
              after = brew_cut_size(&cut, &s.config);
    ok(after.all < before.body, "and is smaller");
    struct source read = source_of(small);
    is_int(brew_config_parameters(&read.config), after.all, "by as much as was said");
    close_source(&read);
    remove_folder(small);
    remove_folder(whole);
    brew_cut_release(&cut);
    close_source(&zero);
    golden_release(&g);
    close_source(&s);
}

int main(void) {
    for (int m = 0; m < N_MODELS; m++) {
        test_zeroed(models[m], true, false);
        test_zeroed(models[m], false, true);
        test_layers(models[m], 0);
        test_layers(models[m], 1);
    }
    test_layers("qwen2", 2); // the last one
    return tap_done();
}
