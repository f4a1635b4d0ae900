// A model under the stopwatch, for scripts/bench/score.py: opens it, says how long that took, then runs one
// measurement per line of standard input and answers each with a line of JSON.
//
//     usage: forward MODEL f32|bf16 THREADS [LEVEL]
//     stdin: QUERY ITEMS LENGTH     one request of that shape, random ids: {"seconds":...,"cpu":...,
//                               "bytes":...,"level":...}
//
// cpu is processor time, of all threads together; bytes is the most memory that was resident so far. ITEMS 0 reads the query's last row (prefill).
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/num.h"
#include "base/rng.h"
#include "model/model.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Not getrusage's: that remembers the memory of the process that started this one.
static long long peak_bytes(void) {
    long long kib = 0;
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %lld", &kib) == 1) break;
    if (status) fclose(status);
    return kib * 1024;
}

static void answer(const brew_backend *be, double start, double cpu_start) {
    printf("{\"seconds\":%.6f,\"cpu\":%.6f,\"bytes\":%lld,\"level\":\"%s\"}\n", now() - start,
           cpu() - cpu_start, peak_bytes(), be->level);
    fflush(stdout);
}

static void add_tokens(brew_star *star, int64_t vocab, long n) {
    for (long i = 0; i < n; i++) {
        int32_t id = (int32_t)brew_rand_below(1, 0, star->n_ids, (uint64_t)vocab);
        brew_star_add_ids(star, &id, 1);
    }
}

static int measure(brew_model *model, brew_backend *be, long query, long items, long length,
                   brew_err *err) {
    int64_t vocab = brew_model_config(model)->vocab;
    brew_star star = {0};
    brew_forward_result result = {0};
    int32_t labels[2] = {1, 2};
    brew_star_add_request(&star);
    add_tokens(&star, vocab, query);
    for (long i = 0; i < items; i++) {
        brew_star_add_item(&star);
        add_tokens(&star, vocab, length);
    }
    int32_t set = brew_star_add_set(&star, labels, 2);
    for (long i = 0; i < items; i++)
        brew_star_add_answer(&star, query + (i + 1) * length - 1, set, -1, 1, 0);
    if (!items) brew_star_add_answer(&star, query - 1, set, -1, 1, 0);
    brew_star_add_meta(&star, "{}", 2);
    double start = now(), cpu_start = cpu();
    int status = brew_model_forward(model, &star, NULL, &result, err);
    if (status == 0) answer(be, start, cpu_start);
    brew_forward_result_release(&result);
    brew_star_release(&star);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: forward MODEL f32|bf16 THREADS [LEVEL]\n");
        return 2;
    }
    brew_err err = {0};
    double start = now();
    brew_pool *pool = brew_pool_new(atoi(argv[3]));
    brew_backend *be =
        brew_backend_open(argc > 4 ? argv[4] : NULL,
                          argv[2][0] == 'f' ? BREW_PRECISION_F32 : BREW_PRECISION_BF16, pool, &err);
    brew_modeldir *dir = be ? brew_modeldir_open(argv[1], &err) : NULL;
    brew_model *model = dir ? brew_model_open(dir, be, &err) : NULL;
    int status = model ? 0 : -1;
    if (model) answer(be, start, 0);
    long query, items, length;
    while (status == 0 && scanf("%ld %ld %ld", &query, &items, &length) == 3)
        status = measure(model, be, query, items, length, &err);
    if (status < 0) fprintf(stderr, "forward: %s\n", err.text);
    brew_model_free(model);
    if (dir) brew_modeldir_close(dir);
    if (be) brew_backend_close(be);
    brew_pool_free(pool);
    return status < 0;
}
