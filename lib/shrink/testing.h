// For tests only: models written with other weights, and what two models score. Include base/tap.h first, and
// define _XOPEN_SOURCE 700 before that (mkdtemp).
#ifndef BREW_SHRINK_TESTING_H
#define BREW_SHRINK_TESTING_H

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "model/export.h"
#include "model/testing.h"
#include "shrink/cut.h"

static void make_folder(char path[64]) {
    snprintf(path, 64, "shrink_test.XXXXXX");
    if (!mkdtemp(path)) brew_bug("no temporary directory");
}

static void remove_folder(const char *path) {
    char file[512];
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        snprintf(file, sizeof file, "%s/%s", path, e->d_name);
        if (*e->d_name != '.') unlink(file);
    }
    if (dir) closedir(dir);
    rmdir(path);
}

struct source {
    brew_modeldir *dir;
    brew_config config;
    char path[256];
};

static struct source source_of(const char *path) {
    struct source s = {0};
    brew_err err = {0};
    snprintf(s.path, sizeof s.path, "%s", path);
    s.dir = brew_modeldir_open(path, &err);
    if (!s.dir || brew_config_read(&s.config, s.dir, &err)) brew_bug("%s", err.text);
    return s;
}

static void close_source(struct source *s) {
    brew_config_release(&s->config);
    brew_modeldir_close(s->dir);
}

// The largest difference of scores (three labels each) of two models on the goldens' requests; `skip` for the first.
static double difference(const char *a, const bool *skip, const char *b, const golden *g) {
    struct opened models_of[2];
    brew_forward_result results[2] = {{0}, {0}};
    double most = 0, worst = 0;
    for (int i = 0; i < 2; i++) {
        brew_err err = {0};
        brew_forward_options options = {.skip = i ? NULL : skip};
        if (!open_model(&models_of[i], i ? b : a, "ref", BREW_PRECISION_F32, 2) ||
            brew_model_forward(models_of[i].model, &g->star, &options, &results[i], &err) < 0) {
            printf("# %s\n", err.text);
            most = INFINITY;
        }
        close_model(&models_of[i]);
    }
    for (size_t i = 0; most == 0 && i < g->star.n_answers; i++) {
        double p[2][3], sum[2] = {0, 0};
        int64_t at = results[0].logit_splits[i];
        for (int m = 0; m < 2; m++) {
            for (int k = 0; k < 3; k++) sum[m] += p[m][k] = exp(results[m].label_logits[at + k]);
            for (int k = 0; k < 3; k++) p[m][k] /= sum[m];
        }
        for (int k = 0; k < 3; k++) worst = fmax(worst, fabs(p[0][k] - p[1][k]));
    }
    for (int i = 0; i < 2; i++) brew_forward_result_release(&results[i]);
    return most + worst;
}

static bool write_cut(const struct source *s, const brew_cut *cut, const brew_repaired *repaired,
                      char path[64]) {
    brew_err err = {0};
    make_folder(path);
    if (!brew_cut_write(cut, s->dir, &s->config, repaired, NULL, path, &err)) return true;
    printf("# %s\n", err.text);
    return false;
}

// The model of s in F32 with rows as they are changed, and members of its config. names: those of its tensors, by
// the index that rows is called with; the caller frees them.
static bool write_changed(const struct source *s, const brew_json *config, brew_rows_fn *rows,
                          void *arg, const char *const **names, char path[64]) {
    brew_err err = {0};
    size_t n = brew_modeldir_n_tensors(s->dir);
    const char **list = brew_calloc(n, sizeof *list);
    brew_export_tensor *tensors = brew_calloc(n, sizeof *tensors);
    for (size_t i = 0; i < n; i++) {
        const brew_tensor *t = brew_modeldir_tensor_at(s->dir, i, &list[i]);
        tensors[i] = (brew_export_tensor){list[i], t->n_dims, brew_tensor_n_rows(t),
                                          brew_tensor_row_len(t), BREW_F32};
    }
    *names = list;
    make_folder(path);
    brew_export job = {.from = s->dir, .config = config, .tensors = tensors, .n_tensors = n};
    job.rows = rows;
    job.arg = arg;
    bool good = !brew_export_write(&job, path, &err);
    if (!good) printf("# %s\n", err.text);
    free(tensors);
    return good;
}

#endif
