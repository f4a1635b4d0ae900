// Times brew_auc on scores and outcomes in two raw files (float64, uint8): for scripts/bench/auc.py.
// usage: auc SCORES OUTCOMES ROWS THREADS TIMES; prints the auc and the seconds of the best run.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "rank/auc.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *load(const char *path, size_t count, size_t size) {
    void *bytes = brew_calloc(count, size);
    FILE *file = fopen(path, "rb");
    if (!file || fread(bytes, size, count, file) != count) {
        fprintf(stderr, "auc: cannot read %s\n", path);
        exit(74);
    }
    fclose(file);
    return bytes;
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    size_t n = strtoul(argv[3], NULL, 10);
    double *score = load(argv[1], n, sizeof *score), auc = 0, best = 1e9;
    uint8_t *positive = load(argv[2], n, 1);
    brew_pool *pool = brew_pool_new(atoi(argv[4]));
    for (int i = 0; i < atoi(argv[5]); i++) {
        double begin = now();
        if (brew_auc(score, positive, n, pool, &auc, NULL) < 0) return 70;
        double seconds = now() - begin;
        if (seconds < best) best = seconds;
    }
    printf("%.17g %.9f\n", auc, best);
    brew_pool_free(pool);
    free(score);
    free(positive);
    return 0;
}
