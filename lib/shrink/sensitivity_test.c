// Sensitivity against its definition: log-odds of models with a group moved a little along W' - W and
// against it; and its mean over seeds against the sum over answers.
#define _XOPEN_SOURCE 700 // mkdtemp
#include "shrink/sensitivity.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tap.h"
#include "io/out.h"
#include "model/export.h"
#include "model/testing.h"

static const double step = 0.02; // of W' - W
enum { SEEDS = 200, MOST_GROUPS = 3 * BREW_GROUPS };

// A model whose group `group` is W + move (W' - W).
struct moved {
    brew_modeldir *dir;
    brew_config config;
    const char **names;
    size_t group;
    double move;
};

static bool in_group(const struct moved *m, const char *name) {
    for (int role = 0; role < BREW_ROLES; role++) {
        char text[128];
        if (brew_group_of((enum brew_role)role) != m->group % BREW_GROUPS) continue;
        brew_role_name(text, sizeof text, false, (enum brew_role)role,
                       (int64_t)(m->group / BREW_GROUPS));
        if (!strcmp(name, text)) return true;
    }
    return false;
}

static void moved_rows(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    const struct moved *m = arg;
    const brew_tensor *tensor = brew_modeldir_tensor(m->dir, m->names[index]);
    int64_t cols = brew_tensor_row_len(tensor);
    float rounded[512], scale;
    brew_tensor_rows(tensor, first, count, rows);
    for (int64_t i = 0; in_group(m, m->names[index]) && i < count; i++) {
        float *row = rows + i * cols;
        memcpy(rounded, row, (size_t)cols * sizeof *row);
        brew_round_row(BREW_F8_E4M3, rounded, cols, &scale);
        for (int64_t j = 0; j < cols; j++)
            row[j] += (float)(m->move * (double)(rounded[j] * scale - row[j]));
    }
}

// The log-odds of the first label of each item's answer: out[n].
static size_t log_odds(struct moved *m, const brew_star *star, double *out) {
    brew_err err = {0};
    size_t n = brew_modeldir_n_tensors(m->dir), answers = 0;
    brew_outdir *folder = brew_outdir_open("sensitivity_test.model", &err);
    brew_export_tensor *tensors = brew_calloc(n, sizeof *tensors);
    m->names = brew_calloc(n, sizeof *m->names);
    for (size_t i = 0; i < n; i++) {
        const brew_tensor *t = brew_modeldir_tensor_at(m->dir, i, &m->names[i]);
        tensors[i] = (brew_export_tensor){m->names[i], t->n_dims, brew_tensor_n_rows(t),
                                          brew_tensor_row_len(t), BREW_F32};
    }
    brew_export job = {.from = m->dir, .tensors = tensors, .n_tensors = n};
    job.rows = moved_rows;
    job.arg = m;
    struct opened o;
    brew_forward_result result = {0};
    if (!folder || brew_export_write(&job, brew_outdir_path(folder), &err) ||
        !open_model(&o, brew_outdir_path(folder), "ref", BREW_PRECISION_F32, 1) ||
        !run(&o, star, 0, false, &result))
        brew_bug("%s", err.text);
    for (size_t r = 0; r < star->n_requests; r++)
        for (size_t i = 0; i < brew_star_items(star, r); i++) {
            int64_t at = result.logit_splits[star->answer_splits[r] + (int64_t)i], k = at + 1;
            double rest = 0;
            for (; k < result.logit_splits[star->answer_splits[r] + (int64_t)i + 1]; k++)
                rest += exp((double)result.label_logits[k]);
            out[answers++] = (double)result.label_logits[at] - log(rest);
        }
    brew_forward_result_release(&result);
    close_model(&o);
    brew_outdir_abandon(folder);
    free(tensors);
    free(m->names);
    return answers;
}

// Requests [from, to) of the golden's star.
static void test_model(const char *name, size_t from, size_t to, int seeds, double tolerance) {
    char path[256];
    brew_err err = {0};
    golden g = {0};
    brew_star star = {0};
    struct moved m = {0};
    snprintf(path, sizeof path, "testdata/models/%s/golden.json", name);
    if (golden_load(&g, path, to, &err) < 0) brew_bug("%s", err.text);
    for (size_t r = from; r < to; r++) brew_star_append(&star, &g.star, r);
    snprintf(path, sizeof path, "testdata/models/%s", name);
    m.dir = brew_modeldir_open(path, &err);
    if (!m.dir || brew_config_read(&m.config, m.dir, &err)) brew_bug("%s", err.text);
    brew_pool *pool = brew_pool_new(2);
    brew_backend *be = brew_backend_open("ref", BREW_PRECISION_F32, pool, &err);
    double got[MOST_GROUPS], mean[MOST_GROUPS] = {0}, up[16], down[16], worst = 0;
    size_t groups = (size_t)m.config.layers * BREW_GROUPS;
    bool good = true;
    for (int s = 0; s < seeds && good; s++) {
        good = !brew_sensitivity(m.dir, be, &star, BREW_F8_E4M3, (uint64_t)s, got, &err);
        for (size_t i = 0; i < groups; i++) mean[i] += got[i] / seeds;
    }
    for (m.group = 0; m.group < groups; m.group++) {
        double want = 0;
        m.move = step;
        size_t n = log_odds(&m, &star, up);
        m.move = -step;
        log_odds(&m, &star, down);
        for (size_t a = 0; a < n; a++) want += pow((up[a] - down[a]) / (2 * step), 2);
        double off = fabs(mean[m.group] / want - 1);
        if (off > worst) worst = off;
        if (off > tolerance)
            printf("# group %zu: %g, by differences %g\n", m.group, mean[m.group], want);
    }
    ok(good && worst <= tolerance, "%s: sensitivity is what differences say (off by %.2g)", name,
       worst);
    brew_backend_close(be);
    brew_pool_free(pool);
    brew_config_release(&m.config);
    brew_modeldir_close(m.dir);
    brew_star_release(&star);
    golden_release(&g);
}

int main(void) {
    test_model("qwen3", 2, 3, 1, 0.02);      // one answer: no chance in it
    test_model("llama-bias", 2, 3, 1, 0.02); // stored as F16
    test_model("llama-tied", 2, 3, 1, 0.02);
    test_model("qwen3", 0, 3, SEEDS, 0.3); // several
    return tap_done();
}
