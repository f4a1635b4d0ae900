// The statistics of a pruning under the stopwatch, beside scoring the same requests: for scripts/bench/prune.sh.
//
//     usage: prune MODEL CALIBRATION.tar ROUNDS THREADS
//
// Scoring and statistics (Gram matrices of both projections of every layer) take turns; processor seconds of all threads
// together, so that a busy machine says the same; the median of the rounds' ratios counts.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "shrink/importance.h"
#include "shrink/sample.h"

static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static int measure(brew_model *model, const brew_star *star, int rounds, brew_err *err) {
    const brew_config *c = brew_model_config(model);
    int64_t hd = c->heads * c->head_dim;
    brew_importance_options how = {.rows = BREW_ROWS_PER_COLUMN * (hd > c->mlp ? hd : c->mlp),
                                   .grams = true};
    double *score = brew_calloc((size_t)rounds, sizeof *score), *statistics, *ratio;
    statistics = brew_calloc((size_t)rounds, sizeof *statistics);
    ratio = brew_calloc((size_t)rounds, sizeof *ratio);
    int64_t looked = 0;
    int status = 0;
    brew_star one = {0};
    brew_forward_result first = {0};
    brew_star_append(&one, star, 0);
    status = brew_model_forward(model, &one, NULL, &first, err); // pages and workers
    brew_forward_result_release(&first);
    brew_star_release(&one);
    for (int i = 0; i < rounds && !status; i++) {
        brew_forward_result result = {0};
        double start = cpu();
        status = brew_model_forward(model, star, NULL, &result, err);
        brew_forward_result_release(&result);
        double half = cpu();
        brew_importance *imp = status ? NULL : brew_importance_of(model, star, &how, err);
        double end = cpu();
        if (!imp) {
            status = -1;
            break;
        }
        looked = brew_importance_rows(imp, false);
        brew_importance_free(imp);
        score[i] = half - start;
        statistics[i] = end - half;
        ratio[i] = statistics[i] / score[i];
    }
    if (!status)
        printf(
            "%zu requests, %zu tokens, %lld of them looked at: scoring %.1f s, statistics %.1f s "
            "of processor, %.2f times (aim 1.3)\n",
            star->n_requests, star->n_ids, (long long)looked, median(score, rounds),
            median(statistics, rounds), median(ratio, rounds));
    free(score), free(statistics), free(ratio);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 5 || atoi(argv[3]) < 1) {
        fprintf(stderr, "usage: prune MODEL CALIBRATION.tar ROUNDS THREADS\n");
        return 2;
    }
    brew_err err = {0};
    brew_config config = {0};
    brew_sample sample = {0};
    brew_pool *pool = brew_pool_new(atoi(argv[4]));
    brew_backend *be = brew_backend_open(NULL, BREW_PRECISION_BF16, pool, &err);
    brew_modeldir *dir = be ? brew_modeldir_open(argv[1], &err) : NULL;
    int status = dir ? brew_config_read(&config, dir, &err) : -1;
    brew_sample_options reading = {.dir = dir, .config = &config, .pool = pool, .bos = true};
    if (!status) status = brew_sample_read(&sample, argv[2], &reading, &err);
    brew_model *model = status ? NULL : brew_model_open(dir, be, &err);
    status = model ? measure(model, &sample.star, atoi(argv[3]), &err) : -1;
    if (status) fprintf(stderr, "prune: %s\n", err.text);
    brew_sample_release(&sample);
    brew_model_free(model);
    brew_config_release(&config);
    if (dir) brew_modeldir_close(dir);
    if (be) brew_backend_close(be);
    brew_pool_free(pool);
    return status != 0;
}
