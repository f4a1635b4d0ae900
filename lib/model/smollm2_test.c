// SmolLM2-135M-Instruct on many-shot prompts of hundreds of tokens against transformers in float32.
// Skipped where the model is not in the cache folder; scripts/peers/smollm2_goldens.py made the values.
// BREW_KERNEL chooses the kernels (default: the best this machine has); ref is slow and runs the short
// prompts only.
#include "model/model.h"

#include <sys/stat.h>

#include "base/hash.h"
#include "base/tap.h"
#include "model/testing.h"

static const char *cached_model(char *path, size_t cap) {
    const char *cache = getenv("BREW_CACHE"), *xdg = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    const char *file = "SmolLM2-135M-Instruct.gguf";
    if (cache && *cache)
        snprintf(path, cap, "%s/%s", cache, file);
    else if (xdg && *xdg)
        snprintf(path, cap, "%s/brew/%s", xdg, file);
    else
        snprintf(path, cap, "%s/.cache/brew/%s", home ? home : "", file);
    struct stat st;
    return stat(path, &st) == 0 ? path : NULL;
}

static bool is_the_model(const char *path, const char *golden_path) {
    brew_err err = {0};
    char hex[65] = "";
    brew_json *json = brew_json_load(golden_path, &err);
    bool same = json && brew_sha256_file(path, hex, &err) == 0 &&
                !strcmp(brew_json_string(brew_json_get(json, "sha256"), NULL), hex);
    brew_json_free(json);
    return same;
}

// f32 is held to 1e-3 (truth 1). In bf16, weights (4 bits in this file) and operands are rounded to 8
// bits; the bounds are about twice what was measured.
static void test_precision(const golden *g, const char *path, const char *level, bool bf16) {
    struct opened o;
    brew_forward_result result = {0};
    double most = bf16 ? 0.12 : 1e-3, mean = bf16 ? 0.025 : 2e-5;
    if (open_model(&o, path, level, bf16 ? BREW_PRECISION_BF16 : BREW_PRECISION_F32, 2) &&
        run(&o, &g->star, 0, true, &result)) {
        struct deviation d = compare(g, &result);
        ok(d.n > 0 && d.most <= most && d.sum / (double)d.n <= mean,
           "%s, %s: log-probabilities within %g, %g on average (are %.3g, %.3g)", o.be->level,
           bf16 ? "bf16" : "f32", most, mean, d.most, d.sum / (double)d.n);
    } else {
        ok(false, "%s runs", bf16 ? "bf16" : "f32");
    }
    brew_forward_result_release(&result);
    close_model(&o);
}

int main(void) {
    const char *golden_path = "testdata/models/smollm2.golden.json";
    char buf[4096];
    const char *path = cached_model(buf, sizeof buf);
    if (!path || !is_the_model(path, golden_path)) {
        printf("1..0 # SKIP SmolLM2-135M-Instruct.gguf is not in the cache folder\n");
        return 0;
    }
    brew_err err = {0};
    golden g = {0};
    const char *level = getenv("BREW_KERNEL");
    if (level && !*level) level = NULL;
    bool slow = !strcmp(level ? level : brew_backend_levels()[0], "ref");
    if (!ok(golden_load(&g, golden_path, slow ? 2 : SIZE_MAX, &err) == 0, "goldens are read"))
        printf("# %s\n", err.text);
    test_precision(&g, path, level, false);
    test_precision(&g, path, level, true);
    golden_release(&g);
    return tap_done();
}
