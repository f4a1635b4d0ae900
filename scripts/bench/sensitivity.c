// What ranking all groups by sensitivity takes, in scorings of the same requests: processor time of both.
//
//     usage: sensitivity MODEL THREADS REQUESTS     MODEL: a directory or .gguf; requests of 20 items x 12 tokens on 256
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/rng.h"
#include "shrink/convert.h"
#include "shrink/quality.h"
#include "shrink/sensitivity.h"

enum { QUERY = 256, ITEMS = 20, LENGTH = 12 };

static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void add_tokens(brew_star *star, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        int32_t id = (int32_t)brew_rand_below(1, 0, star->n_ids, 1000);
        brew_star_add_ids(star, &id, 1);
    }
}

static void add_request(brew_star *star) {
    const int32_t labels[2] = {1, 2};
    int64_t first = (int64_t)star->n_ids;
    brew_star_add_request(star);
    add_tokens(star, QUERY);
    for (int i = 0; i < ITEMS; i++) {
        brew_star_add_item(star);
        add_tokens(star, LENGTH);
    }
    int32_t set = brew_star_add_set(star, labels, 2);
    for (int i = 0; i < ITEMS; i++)
        brew_star_add_answer(star, first + QUERY + (i + 1) * LENGTH - 1, set, i % 2, 1, 0);
    brew_star_add_meta(star, "{}", 2);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: sensitivity MODEL THREADS REQUESTS\n");
        return 2;
    }
    brew_err err = {0};
    brew_star star = {0};
    for (int i = atoi(argv[3]); i > 0; i--) add_request(&star);
    brew_pool *pool = brew_pool_new(atoi(argv[2]));
    brew_backend *be = brew_backend_open(NULL, BREW_PRECISION_BF16, pool, &err);
    brew_modeldir *dir = be ? brew_modeldir_open(argv[1], &err) : NULL;
    brew_model *model = dir ? brew_model_open(dir, be, &err) : NULL;
    brew_quality quality = {0};
    double start = cpu();
    int failed = model ? brew_quality_of(model, &star, &quality, NULL, &err) : -1;
    double scoring = cpu() - start;
    size_t groups = failed ? 0 : (size_t)brew_model_config(model)->layers * BREW_GROUPS;
    double *values = brew_calloc(groups + 1, sizeof *values);
    start = cpu();
    if (!failed) failed = brew_sensitivity(dir, be, &star, BREW_F8_E4M3, 7, values, &err);
    double ranking = cpu() - start;
    if (failed)
        fprintf(stderr, "sensitivity: %s\n", err.text);
    else
        printf("{\"groups\":%zu,\"scoring\":%.6f,\"sensitivity\":%.6f,\"scorings\":%.3f}\n", groups,
               scoring, ranking, ranking / scoring);
    free(values);
    brew_quality_release(&quality);
    brew_model_free(model);
    if (dir) brew_modeldir_close(dir);
    if (be) brew_backend_close(be);
    brew_pool_free(pool);
    brew_star_release(&star);
    return failed != 0;
}
