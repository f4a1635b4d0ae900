// Cut models score here as transformers has them score: testdata/prune, made by scripts/peers/prune_goldens.py.
#define _XOPEN_SOURCE 700
#include "shrink/prune.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/tap.h"
#include "io/out.h"
#include "model/testing.h"

static double number(const brew_json *json, const char *key) {
    return brew_json_real(brew_json_get(json, key));
}

// Prunes as the golden says and writes; true if the shape is the golden's.
static bool prune(const struct opened *o, const brew_star *calibration, const brew_json *gold,
                  brew_outdir *folder) {
    const brew_json *options = brew_json_get(gold, "options"),
                    *shape = brew_json_get(gold, "shape");
    int64_t layer = brew_json_int(brew_json_get(options, "layer"));
    bool taylor = !strcmp(brew_json_string(brew_json_get(options, "importance"), NULL), "taylor");
    brew_prune_options how = {.layers = 1,
                              .heads = number(options, "heads"),
                              .mlp = number(options, "mlp"),
                              .gone_layers = layer < 0 ? NULL : &layer,
                              .n_gone_layers = layer >= 0,
                              .multiple = brew_json_int(brew_json_get(options, "multiple")),
                              .importance = taylor ? BREW_TAYLOR : BREW_ACTIVATION,
                              .repair = true,
                              .swaps = 32,
                              .ridge = 1e-3};
    const brew_config *config = brew_model_config(o->model);
    brew_pruned pruned;
    brew_err err = {0};
    if (brew_prune(o->model, o->dir, config, calibration, &how, &pruned, &err) ||
        brew_cut_write(&pruned.cut, o->dir, config, &pruned.repaired, NULL,
                       brew_outdir_path(folder), &err))
        brew_bug("%s", err.text);
    const brew_cut *cut = &pruned.cut;
    bool same = cut->n_layers == brew_json_int(brew_json_get(shape, "layers")) &&
                cut->n_kv == brew_json_int(brew_json_get(shape, "kv_heads")) &&
                cut->n_kv * cut->n_group == brew_json_int(brew_json_get(shape, "heads")) &&
                cut->n_mlp == brew_json_int(brew_json_get(shape, "mlp"));
    ok(pruned.error_after <= pruned.error_before && pruned.error_swapped <= pruned.error_after,
       "the error never rises: %.4g, repaired %.4g, after %lld exchanges %.4g", pruned.error_before,
       pruned.error_after, (long long)pruned.swaps, pruned.error_swapped);
    brew_pruned_release(&pruned);
    return same;
}

// The requests of a golden with targets, without what is read in their queries.
static void make_calibration(brew_star *star, const char *path) {
    golden g = {0};
    brew_err err = {0};
    if (golden_load(&g, path, SIZE_MAX, &err) < 0) brew_bug("%s", err.text);
    for (size_t a = 0; a < g.star.n_answers; a++) g.star.targets[a] = (int32_t)(a % 3);
    for (size_t i = 0; i < g.star.n_requests; i++) {
        brew_star_append(star, &g.star, i);
        brew_star_drop_history(star);
    }
    golden_release(&g);
}

static void test_model(const char *name) {
    char path[128];
    brew_err err = {0};
    brew_star calibration = {0};
    golden gold = {0};
    struct opened whole, small;
    snprintf(path, sizeof path, "testdata/models/%s/golden.json", name);
    make_calibration(&calibration, path);
    snprintf(path, sizeof path, "testdata/prune/%s.json", name);
    brew_json *json = brew_json_load(path, &err);
    if (!json || golden_load(&gold, path, SIZE_MAX, &err) < 0) brew_bug("%s", err.text);
    snprintf(path, sizeof path, "testdata/models/%s", name);
    brew_outdir *folder = brew_outdir_open("prune_test.model", &err);
    if (!folder || !open_model(&whole, path, "ref", BREW_PRECISION_F32, 2))
        brew_bug("%s", err.text);
    ok(prune(&whole, &calibration, json, folder), "%s is cut to the shape of the golden", name);
    brew_forward_result result = {0};
    if (!open_model(&small, brew_outdir_path(folder), NULL, BREW_PRECISION_F32, 2) ||
        !run(&small, &gold.star, 0, true, &result))
        brew_bug("the smaller model does not run");
    struct deviation d = compare(&gold, &result);
    ok(d.most < 1e-4, "%s, cut, scores as in transformers (%.2g)", name, d.most);
    brew_forward_result_release(&result);
    close_model(&small);
    close_model(&whole);
    brew_outdir_abandon(folder);
    brew_json_free(json);
    brew_star_release(&calibration);
    golden_release(&gold);
}

int main(void) {
    static const char *const names[] = {"llama-scaled", "llama-tied", "llama-bias",
                                        "qwen2",        "qwen3",      "mistral"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) test_model(names[i]);
    return tap_done();
}
