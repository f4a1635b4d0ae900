// Importance against its definition, summed in double over the rows themselves; rows that are drawn.
#include "shrink/importance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"
#include "model/testing.h"

struct sums {
    int64_t heads, head_dim, width, mlp;
    const float *w[2];  // [C, HD], [C, F], of every layer
    double *squares[2]; // [L][H], [L][F]: of what heads and neurons give
    double *gram;       // [F][F] of layer 0
    int64_t rows[8];
};

static void take(void *arg, const brew_probed *seen) {
    struct sums *s = arg;
    bool mlp = seen->what == BREW_PROBE_MLP;
    const float *rows = seen->values;
    int64_t layer = seen->layer, m = seen->m, width = seen->width;
    int64_t n = mlp ? s->mlp : s->heads, d = width / n;
    if (mlp) s->rows[layer] += m;
    for (int64_t row = 0; row < m; row++) {
        const float *x = rows + row * width;
        for (int64_t i = 0; i < n; i++)
            for (int64_t c = 0; c < s->width; c++) {
                double sum = 0;
                for (int64_t j = i * d; j < (i + 1) * d; j++)
                    sum += (double)s->w[mlp][c * width + j] * x[j];
                s->squares[mlp][layer * n + i] += sum * sum;
            }
        for (int64_t i = 0; mlp && layer == 0 && i < n; i++)
            for (int64_t j = 0; j < n; j++) s->gram[i * n + j] += (double)x[i] * x[j];
    }
}

static float *random_floats(uint64_t stream, int64_t n) {
    float *x = brew_alloc((size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(2 * brew_rand_unit(3, stream, (uint64_t)i) - 1);
    return x;
}

static double off(double got, double want) {
    return fabs(got - want) / fmax(fabs(want), 1e-6);
}

// The sum of all diagonals.
static double trace(brew_importance *imp, int64_t layer, int64_t n) {
    const float *gram = brew_importance_mlp(imp, layer);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)gram[i * (n + 1)];
    return sum;
}

int main(void) {
    struct opened o, three;
    golden g = {0};
    brew_err err = {0};
    const char *path = "testdata/models/qwen3";
    if (!open_model(&o, path, NULL, BREW_PRECISION_F32, 1) ||
        !open_model(&three, path, NULL, BREW_PRECISION_F32, 3) ||
        golden_load(&g, "testdata/models/qwen3/golden.json", SIZE_MAX, &err) < 0)
        brew_bug("%s", err.text);
    const brew_config *c = brew_model_config(o.model);
    int64_t hd = c->heads * c->head_dim, L = c->layers, n = (int64_t)g.star.n_ids;
    struct sums s = {c->heads, c->head_dim, c->width, c->mlp, {NULL}, {NULL}, NULL, {0}};
    float *w[2] = {random_floats(1, c->width * hd), random_floats(2, c->width * c->mlp)};
    s.w[0] = w[0], s.w[1] = w[1];
    s.squares[0] = brew_calloc((size_t)(L * c->heads), sizeof(double));
    s.squares[1] = brew_calloc((size_t)(L * c->mlp), sizeof(double));
    s.gram = brew_calloc((size_t)(c->mlp * c->mlp), sizeof(double));
    brew_forward_options forward = {
        .probe = take, .probe_arg = &s, .probes = BREW_PROBE_ATTENDED | BREW_PROBE_MLP};
    brew_forward_result result = {0};
    if (brew_model_forward(o.model, &g.star, &forward, &result, &err) < 0) brew_bug("%s", err.text);

    brew_importance_options how = {.grams = true};
    brew_importance *imp = brew_importance_of(o.model, &g.star, &how, &err);
    double *heads = brew_calloc((size_t)c->heads, sizeof *heads), worst[3] = {0};
    double *neurons = brew_calloc((size_t)c->mlp, sizeof *neurons);
    for (int64_t l = 0; imp && l < L; l++) {
        brew_importance_heads(imp, l, w[0], heads);
        brew_importance_neurons(imp, l, w[1], neurons);
        for (int64_t h = 0; h < c->heads; h++)
            worst[0] = fmax(worst[0], off(heads[h], s.squares[0][l * c->heads + h]));
        for (int64_t f = 0; f < c->mlp; f++)
            worst[1] = fmax(worst[1], off(neurons[f], s.squares[1][l * c->mlp + f]));
    }
    const float *gram = brew_importance_mlp(imp, 0);
    for (int64_t i = 0; i < c->mlp; i++)
        for (int64_t j = 0; j < c->mlp; j++)
            worst[2] =
                fmax(worst[2], fabs((double)gram[i * c->mlp + j] - s.gram[i * c->mlp + j]) /
                                   sqrt(s.gram[i * (c->mlp + 1)] * s.gram[j * (c->mlp + 1)]));
    // F32 chains over n rows
    ok(worst[0] < 1e-4 && worst[1] < 1e-4, "importance is what it says (%.2g, %.2g)", worst[0],
       worst[1]);
    ok(worst[2] < 1e-5, "and so are Gram matrices, both triangles (%.2g)", worst[2]);
    is_int(brew_importance_rows(imp, false), n, "all rows are looked at");
    is_int(brew_importance_rows(imp, true), (int64_t)g.star.n_answers,
           "in the last layer, answers'");
    double all = trace(imp, 0, c->mlp), last = trace(imp, L - 1, c->mlp);

    how.rows = n / 2;
    brew_importance *half = brew_importance_of(o.model, &g.star, &how, &err);
    brew_importance *again = brew_importance_of(three.model, &g.star, &how, &err);
    is_int(brew_importance_rows(half, false), n / 2, "half of the rows, exactly");
    double share = trace(half, 0, c->mlp) / all;
    ok(fabs(share - 0.5) < 0.1, "hold half of the squares (%.3f)", share);
    ok(trace(half, L - 1, c->mlp) == last, "answers' rows, which are fewer, are all looked at");
    float *one = brew_alloc((size_t)(c->mlp * c->mlp) * sizeof *one);
    memcpy(one, brew_importance_mlp(half, 1), (size_t)(c->mlp * c->mlp) * sizeof *one);
    ok(!memcmp(one, brew_importance_mlp(again, 1), (size_t)(c->mlp * c->mlp) * sizeof *one),
       "the same bits on one thread and on three");
    brew_importance_free(imp);
    brew_importance_free(half);
    brew_importance_free(again);

    bool skip[8] = {true};
    how = (brew_importance_options){.skip = skip, .grams = false};
    imp = brew_importance_of(o.model, &g.star, &how, &err);
    ok(!brew_importance_mlp(imp, 1) && brew_importance_attended(imp, 1)[0] > 0 &&
           brew_importance_attended(imp, 0)[0] == 0,
       "a layer that is left out shows no rows; without grams there are none of the mlp");
    brew_importance_free(imp);
    brew_forward_result_release(&result);
    golden_release(&g);
    close_model(&o);
    close_model(&three);
    free(w[0]), free(w[1]), free(s.squares[0]), free(s.squares[1]), free(s.gram);
    free(heads), free(neurons), free(one);
    return tap_done();
}
