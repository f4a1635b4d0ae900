// Training under the stopwatch, for scripts/bench/train.py: opens a model, then makes one step of AdamW per
// line of standard input and answers each with a line of JSON.
//
//     usage: train MODEL f32|bf16 THREADS [LEVEL [none|mlp|layer]]
//     stdin: QUERY ITEMS LENGTH REQUESTS     that many stars of that shape, each a micro-batch, random ids:
//         {"seconds":...,"forward":...,"backward":...,"update":...,"cpu":...,"cpu_update":...,
//         "bytes":...,"planned":...,"level":...}
//
// Items are read at their last rows over two labels; ITEMS 0: every row of the query learns the next token.
// cpu is processor time, of all threads together, cpu_update AdamW's share; bytes is the most memory that was resident so far.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/learner.h"
#include "train/loss.h"

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
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

struct bench {
    brew_backend *be;
    brew_learner *learner;
    brew_learner_options options;
    brew_star star;
    brew_reads reads;
    brew_read_result result;
    float *d_logits, *d_rest;
    size_t d_logits_cap, d_rest_cap;
    int64_t step;
    uint64_t drawn;
};

static void add_tokens(struct bench *b, long n) {
    uint64_t vocab = (uint64_t)brew_learner_config(b->learner)->vocab;
    for (long i = 0; i < n; i++) {
        int32_t id = (int32_t)brew_rand_below(1, 0, b->drawn++, vocab);
        brew_star_add_ids(&b->star, &id, 1);
    }
}

static void draw(struct bench *b, long query, long items, long length) {
    int32_t labels[2] = {1, 2};
    brew_star_reset(&b->star);
    brew_reads_reset(&b->reads);
    brew_star_add_request(&b->star);
    add_tokens(b, query);
    for (long i = 0; i < items; i++) {
        brew_star_add_item(&b->star);
        add_tokens(b, length);
    }
    int32_t set = brew_star_add_set(&b->star, labels, 2);
    for (long i = 0; i < items; i++) {
        int64_t row = query + (i + 1) * length - 1;
        brew_star_add_answer(&b->star, row, set, 0, 1, 0);
        brew_reads_add(&b->reads, row, labels, 2);
    }
    for (long row = 0; !items && row + 1 < query; row++)
        brew_reads_add(&b->reads, row, &b->star.ids[row + 1], 1);
    b->reads.rest = !items;
    brew_star_add_meta(&b->star, "{}", 2);
}

// Adds the loss of every read, with its gradients.
static double loss_of(struct bench *b, double share) {
    const brew_reads *reads = &b->reads;
    size_t labels = (size_t)reads->splits[reads->n];
    BREW_GROW(b->d_logits, labels, b->d_logits_cap);
    BREW_GROW(b->d_rest, reads->n, b->d_rest_cap);
    memset(b->d_logits, 0, labels * sizeof *b->d_logits);
    memset(b->d_rest, 0, reads->n * sizeof *b->d_rest);
    double loss = 0;
    for (size_t i = 0; i < reads->n; i++) {
        int64_t at = reads->splits[i];
        brew_logits row = {(size_t)(reads->splits[i + 1] - at), b->result.logits + at, 0};
        if (reads->rest) {
            row.rest = b->result.rest[i];
            loss += brew_loss_vocab(&row, 0, share, b->d_logits + at, &b->d_rest[i]);
        } else {
            loss += brew_loss_labels(&row, (int32_t)(i % 2), NULL, 0, share, b->d_logits + at);
        }
    }
    return share * loss;
}

static int measure(struct bench *b, long query, long items, long length, long requests,
                   brew_err *err) {
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    double forward = 0, backward = 0, loss = 0;
    for (long r = 0; r < requests; r++) {
        draw(b, query, items, length);
        double begun = seconds(CLOCK_MONOTONIC);
        if (brew_learner_forward(b->learner, &b->star, &b->reads, true, &b->result, err) < 0)
            return -1;
        loss += loss_of(b, 1 / (double)((int64_t)b->reads.n * requests));
        double between = seconds(CLOCK_MONOTONIC);
        if (brew_learner_backward(b->learner, b->d_logits, b->d_rest, NULL, err) < 0) return -1;
        forward += between - begun;
        backward += seconds(CLOCK_MONOTONIC) - between;
    }
    double begun = seconds(CLOCK_MONOTONIC), cpu_begun = seconds(CLOCK_PROCESS_CPUTIME_ID);
    double norm = brew_learner_norm(b->learner);
    brew_adamw step = {.lr = 1e-5,
                       .beta1 = 0.9,
                       .beta2 = 0.999,
                       .eps = 1e-8,
                       .decay = 0.01,
                       .scale = norm > 1 ? 1 / norm : 1,
                       .step = ++b->step};
    brew_learner_update(b->learner, &step);
    double end = seconds(CLOCK_MONOTONIC), cpu_end = seconds(CLOCK_PROCESS_CPUTIME_ID);
    brew_learner_plan plan;
    brew_learner_plan_bytes(brew_learner_config(b->learner), b->be->precision, &b->options,
                            (int64_t)b->star.n_ids, (int64_t)b->reads.n, (int64_t)b->reads.n * 2,
                            &plan);
    printf("{\"seconds\":%.6f,\"forward\":%.6f,\"backward\":%.6f,\"update\":%.6f,\"cpu\":%.6f,"
           "\"cpu_update\":%.6f,\"bytes\":%lld,\"planned\":%zu,\"loss\":%.6f,\"level\":\"%s\"}\n",
           end - start, forward, backward, end - begun, cpu_end - cpu, cpu_end - cpu_begun,
           peak_bytes(), plan.total, loss, b->be->level);
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: train MODEL f32|bf16 THREADS [LEVEL [none|mlp|layer]]\n");
        return 2;
    }
    brew_err err = {0};
    struct bench b = {0};
    const char *recompute = argc > 5 ? argv[5] : "none";
    b.options.recompute = !strcmp(recompute, "layer") ? BREW_RECOMPUTE_LAYER
                          : !strcmp(recompute, "mlp") ? BREW_RECOMPUTE_MLP
                                                      : BREW_RECOMPUTE_NONE;
    brew_pool *pool = brew_pool_new(atoi(argv[3]));
    b.be =
        brew_backend_open(argc > 4 && *argv[4] ? argv[4] : NULL,
                          argv[2][0] == 'f' ? BREW_PRECISION_F32 : BREW_PRECISION_BF16, pool, &err);
    brew_modeldir *dir = b.be ? brew_modeldir_open(argv[1], &err) : NULL;
    b.learner = dir ? brew_learner_open(dir, b.be, &b.options, &err) : NULL;
    if (dir) brew_modeldir_close(dir);
    int status = b.learner ? 0 : -1;
    long query, items, length, requests;
    while (status == 0 && scanf("%ld %ld %ld %ld", &query, &items, &length, &requests) == 4)
        status = measure(&b, query, items, length, requests, &err);
    if (status < 0) fprintf(stderr, "train: %s\n", err.text);
    brew_learner_free(b.learner);
    if (b.be) brew_backend_close(b.be);
    brew_pool_free(pool);
    brew_star_release(&b.star);
    brew_reads_release(&b.reads);
    brew_read_result_release(&b.result);
    free(b.d_logits);
    free(b.d_rest);
    return status < 0;
}
