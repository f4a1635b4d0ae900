// Channels cut: those that are zero go first and are not missed; those that others tell are made up for.
#define _XOPEN_SOURCE 700 // mkdtemp
#include "shrink/width.h"

#include "base/tap.h"
#include "shrink/testing.h"

// A model whose stream holds nothing in every third channel, or in its second half what the first half holds,
// times FACTOR.
struct changed {
    const struct source *s;
    const char *const *names;
    bool doubled;
};
static const float FACTOR = 0.5f;

static bool gone(const struct changed *z, int64_t channel) {
    return z->doubled ? channel >= z->s->config.width / 2 : channel % 3 == 1;
}

// A value of what writes into a channel. `first`: the same of the channel in the first half.
static float written(const struct changed *z, int64_t channel, float value, float first) {
    if (!gone(z, channel)) return value;
    return z->doubled ? FACTOR * first : 0;
}

static void changed_rows(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    const struct changed *z = arg;
    const char *name = z->names[index];
    const brew_tensor *tensor = brew_modeldir_tensor(z->s->dir, name);
    int64_t cols = brew_tensor_row_len(tensor), half = z->s->config.width / 2;
    brew_tensor_rows(tensor, first, count, rows);
    if (strstr(name, "embed_tokens")) {
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = 0; j < cols; j++)
                rows[i * cols + j] = written(z, j, rows[i * cols + j], rows[i * cols + j % half]);
    } else if (strstr(name, "o_proj") || strstr(name, "down_proj")) {
        float *other = brew_calloc((size_t)cols, sizeof *other);
        bool vector = tensor->n_dims == 1;
        for (int64_t i = 0; i < count; i++) {
            if (!vector) brew_tensor_rows(tensor, (first + i) % half, 1, other);
            for (int64_t j = 0; j < cols; j++)
                rows[i * cols + j] = written(z, vector ? j : first + i, rows[i * cols + j],
                                             vector ? rows[j % half] : other[j]);
        }
        free(other);
    } else if (z->doubled && strstr(name, "norm") && cols == 2 * half) {
        for (int64_t j = half; j < cols; j++)
            rows[j] *= 0.05f;                    // so that the first half counts more
    } else if (z->doubled && cols == 2 * half) { // and yet is not all there is
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = half; j < cols; j++) rows[i * cols + j] *= 10;
    }
}

static void test_model(const char *name, bool doubled, bool repair) {
    char path[256], whole[64], small[64];
    brew_err err = {0};
    golden g = {0};
    snprintf(path, sizeof path, "testdata/models/%s", name);
    struct source s = source_of(path);
    snprintf(path, sizeof path, "testdata/models/%s/golden.json", name);
    if (golden_load(&g, path, SIZE_MAX, &err) < 0) brew_bug("%s", err.text);
    struct changed z = {.s = &s, .doubled = doubled};
    bool good = write_changed(&s, NULL, changed_rows, &z, &z.names, whole);
    free((void *)(uintptr_t)z.names);
    struct source from = source_of(whole);
    struct opened opened;
    brew_cut cut;
    brew_repaired repaired = {0};
    brew_width_facts facts;
    brew_width_options options = {.repair = repair, .ridge = 1e-6};
    for (int64_t c = 0; c < s.config.width; c++) options.keep += !gone(&z, c);
    brew_cut_init(&cut, &from.config);
    good =
        good && open_model(&opened, whole, "ref", BREW_PRECISION_F32, 2) &&
        !brew_width_cut(opened.model, from.dir, &g.star, &options, &cut, &repaired, &facts, &err);
    for (int64_t i = 0; i < cut.n_width; i++) good = good && !gone(&z, cut.width[i]);
    ok(good && cut.n_width == options.keep, "%s: the channels that %s go", name,
       doubled ? "others tell" : "hold nothing");
    good = write_cut(&from, &cut, &repaired, small) && good;
    double most = good ? difference(whole, NULL, small, &g) : INFINITY;
    if (!doubled)
        ok(most < 1e-5 && facts.lost < 1e-12, "and are not missed%s (%.2g)",
           repair ? ", repaired or not" : "", most);
    else if (repair)
        ok(most < 1e-4 && facts.error_after < 1e-4 * facts.error_before,
           "and are made up for (%.2g, of an error of %.3g %.3g is left)", most, facts.error_before,
           facts.error_after);
    else
        ok(most > 0.01, "and are missed (%.2g)", most);
    close_model(&opened);
    brew_repaired_release(&repaired, cut.n_layers);
    brew_cut_release(&cut);
    close_source(&from);
    close_source(&s);
    remove_folder(whole);
    remove_folder(small);
    golden_release(&g);
}

// What a repair leaves is less than what there was, whatever goes.
static void test_repair(const char *name) {
    char path[256];
    brew_err err = {0};
    golden g = {0};
    struct opened opened;
    snprintf(path, sizeof path, "testdata/models/%s", name);
    struct source s = source_of(path);
    bool good = open_model(&opened, path, "ref", BREW_PRECISION_F32, 2);
    snprintf(path, sizeof path, "testdata/models/%s/golden.json", name);
    if (golden_load(&g, path, SIZE_MAX, &err) < 0) brew_bug("%s", err.text);
    double left[3] = {0};
    for (int i = 0; i < 3; i++) {
        brew_cut cut;
        brew_repaired repaired = {0};
        brew_width_facts facts = {0};
        brew_width_options options = {.repair = true, .ridge = 1e-3, .keep = 8 + 8 * i};
        brew_cut_init(&cut, &s.config);
        good = good && !brew_width_cut(opened.model, s.dir, &g.star, &options, &cut, &repaired,
                                       &facts, &err);
        good = good && facts.error_after <= facts.error_before && facts.error_after > 0;
        left[i] = facts.lost;
        brew_repaired_release(&repaired, s.config.layers);
        brew_cut_release(&cut);
    }
    ok(good && left[0] > left[1] && left[1] > left[2], "%s: a repair makes no error larger", name);
    close_model(&opened);
    close_source(&s);
    golden_release(&g);
}

int main(void) {
    static const char *const models[] = {"llama-scaled", "llama-tied", "llama-bias",
                                         "qwen2",        "qwen3",      "mistral"};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        test_model(models[i], false, false);
        test_model(models[i], false, true);
        test_repair(models[i]);
    }
    // untied ones: the head has a part of its own
    static const char *const untied[] = {"llama-scaled", "llama-bias", "qwen3", "mistral"};
    for (size_t i = 0; i < sizeof untied / sizeof *untied; i++) {
        test_model(untied[i], true, true);
        test_model(untied[i], true, false);
    }
    brew_config c = {.width = 108, .heads = 9, .family = "qwen3"};
    is_int(brew_width_channels(&c, 0.5, 16, 9), 48, "the nearest multiple");
    is_int(brew_width_channels(&c, 0.01, 16, 9), 16, "at least one");
    is_int(brew_width_channels(&c, 0.99, 16, 9), 108, "or all of them");
    is_int(brew_width_channels(&c, 1, 4, 9), 108, "all of them");
    snprintf(c.family, sizeof c.family, "llama");
    is_int(brew_width_channels(&c, 0.5, 4, 9), 72, "a Llama's width is a multiple of its heads");
    is_int(brew_width_channels(&c, 0.5, 4, 3), 60, "of those it will have");
    is_int(brew_width_channels(&c, 0.5, 5, 7), 70, "whichever these are");
    is_int(brew_width_channels(&c, 0.5, 16, 9), 108, "or stays");
    return tap_done();
}
