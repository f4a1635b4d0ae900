// The layers that go, against the damage of every set there is.
#include "shrink/layers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/tap.h"
#include "model/testing.h"

enum { LAYERS = 3 };

// The mean divergence of the labels without some layers, in double from the probabilities.
static double divergence(const struct opened *o, const brew_star *star, const bool *skip) {
    brew_forward_result x = {0}, y = {0};
    brew_err err = {0};
    double kl = 0;
    if (brew_model_forward(o->model, star, NULL, &x, &err) ||
        brew_model_forward(o->model, star, &(brew_forward_options){.skip = skip}, &y, &err))
        brew_bug("%s", err.text);
    for (size_t a = 0; a < star->n_answers; a++) {
        double sum_x = 0, sum_y = 0;
        for (int64_t i = x.logit_splits[a]; i < x.logit_splits[a + 1]; i++) {
            sum_x += exp((double)x.label_logits[i]);
            sum_y += exp((double)y.label_logits[i]);
        }
        for (int64_t i = x.logit_splits[a]; i < x.logit_splits[a + 1]; i++) {
            double p = exp((double)x.label_logits[i]) / sum_x;
            kl += p * log(p / (exp((double)y.label_logits[i]) / sum_y));
        }
    }
    brew_forward_result_release(&x);
    brew_forward_result_release(&y);
    return kl / (double)star->n_answers;
}

static bool near(double x, double y) {
    return fabs(x - y) <= 1e-9 + 1e-6 * fabs(y);
}

static void test_choice(const char *name) {
    char path[256], golden_path[256];
    struct opened o;
    golden g = {0};
    brew_err err = {0};
    snprintf(path, sizeof path, "testdata/models/%s", name);
    if (!ok(open_model(&o, path, "ref", BREW_PRECISION_F32, 2), "%s opens", name)) return;
    snprintf(golden_path, sizeof golden_path, "testdata/models/%s/golden.json", name);
    if (golden_load(&g, golden_path, SIZE_MAX, &err) < 0) brew_bug("%s", err.text);
    for (size_t a = 0; a < g.star.n_answers; a++) g.star.targets[a] = (int32_t)(a % 3);
    double alone[LAYERS], together[LAYERS][LAYERS];
    int64_t first = LAYERS - 1;
    for (int i = 0; i < LAYERS; i++)
        for (int j = 0; j < LAYERS; j++) {
            bool skip[LAYERS] = {false};
            skip[i] = skip[j] = true;
            together[i][j] = divergence(&o, &g.star, skip);
        }
    for (int i = 0; i < LAYERS; i++) alone[i] = together[i][i];
    for (int64_t i = LAYERS - 1; i >= 0; i--)
        if (alone[i] < alone[first]) first = i;

    bool skip[LAYERS] = {false};
    brew_absence absence = {0};
    ok(!brew_layers_choose(o.model, &g.star, 1, skip, &absence, &err), "  one layer is chosen");
    bool same = absence.n == LAYERS && !absence.asked;
    for (int i = 0; i < LAYERS; i++) same = same && near(absence.alone[i].divergence, alone[i]);
    ok(same, "  each alone does the damage that it does");
    ok(skip[first] && skip[0] + skip[1] + skip[2] == 1, "  the one that does least goes");
    ok(near(absence.together.divergence, alone[first]), "  which is told");
    brew_absence_release(&absence);

    memset(skip, 0, sizeof skip);
    ok(!brew_layers_choose(o.model, &g.star, 2, skip, &absence, &err), "  two layers are chosen");
    int64_t second = -1, other = -1;
    for (int64_t i = 0; i < LAYERS; i++)
        if (i != first) *(skip[i] ? &second : &other) = i;
    if (!ok(skip[first] && second >= 0 && other >= 0, "  the first one is among them")) return;
    double cost = together[first][second] - alone[first];
    ok(near(absence.together.divergence, together[first][second]), "  their damage is told");
    ok(cost <= together[first][other] - alone[first] + 1e-9 || cost <= alone[other] + 1e-9,
       "  the second one costs less beside it than the other does, or did alone");
    ok(absence.asked >= 1 && absence.asked <= 2, "  for %lld scorings", (long long)absence.asked);
    brew_absence_release(&absence);
    golden_release(&g);
    close_model(&o);
}

// Of many answers a part is asked, and none need be known.
static void test_many(void) {
    struct opened o;
    golden g = {0};
    brew_star one = {0}, many = {0};
    brew_err err = {0};
    brew_absence of_one = {0}, of_many = {0};
    bool skip[LAYERS] = {false}, too[LAYERS] = {false}, same = true;
    if (!ok(open_model(&o, "testdata/models/qwen3", "ref", BREW_PRECISION_F32, 2), "qwen3 opens") ||
        golden_load(&g, "testdata/models/qwen3/golden.json", SIZE_MAX, &err) < 0)
        return;
    brew_star_append(&one, &g.star, 0);
    while (many.n_answers < 1200) brew_star_append(&many, &g.star, 0);
    ok(!brew_layers_choose(o.model, &one, 1, skip, &of_one, &err) &&
           !brew_layers_choose(o.model, &many, 1, too, &of_many, &err),
       "  layers are chosen without known answers");
    ok(isnan(of_one.together.logloss) && isnan(of_one.together.auc), "  whose log loss is unknown");
    for (int l = 0; l < LAYERS; l++)
        same = same && near(of_one.alone[l].divergence, of_many.alone[l].divergence);
    ok(same, "  a part of %zu answers says what one request of %zu does", many.n_answers,
       one.n_answers);
    brew_absence_release(&of_one);
    brew_absence_release(&of_many);
    brew_star_release(&one);
    brew_star_release(&many);
    golden_release(&g);
    close_model(&o);
}

int main(void) {
    test_choice("llama-scaled");
    test_choice("mistral");
    test_choice("qwen2");
    test_choice("qwen3");
    test_many();
    return tap_done();
}
