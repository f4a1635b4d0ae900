#include "base/pool.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"

enum { TASKS = 1000 };

struct work {
    _Atomic int runs[TASKS];
    uint64_t results[TASKS];
    _Atomic int bad_workers;
    int threads;
};

static void run(void *arg, size_t task, int worker) {
    struct work *work = arg;
    work->runs[task]++;
    if (worker < 0 || worker >= work->threads) work->bad_workers++;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 100; i++) sum += brew_rand_u64(1, task, i);
    work->results[task] = sum;
}

int main(void) {
    struct work *first = brew_calloc(1, sizeof *first), *work = brew_calloc(1, sizeof *work);
    for (int threads = 1; threads <= 3; threads++) {
        brew_pool *pool = brew_pool_new(threads);
        struct work *here = threads == 1 ? first : work;
        here->threads = brew_pool_threads(pool);
        is_int(here->threads, threads, "threads");
        int wrong = 0, once = 0;
        for (int round = 1; round <= 200; round++) { // many runs of one pool, of many sizes
            size_t tasks = round == 200 ? TASKS : (size_t)(round * round) % 50;
            for (int i = 0; i < TASKS; i++) here->runs[i] = 0;
            brew_pool_run(pool, tasks, run, here);
            for (size_t i = 0; i < TASKS; i++) wrong += here->runs[i] != (i < tasks);
        }
        for (int i = 0; i < TASKS; i++) once += here->results[i] == first->results[i];
        is_int(wrong, 0, "each task runs once, none else");
        is_int(here->bad_workers, 0, "workers are numbered from 0");
        is_int(once, TASKS, "the same results at any number of threads");
        brew_pool_free(pool);
    }
    is_int(brew_pool_threads(NULL), 1, "no pool is a pool of one");
    first->threads = 1;
    for (int i = 0; i < TASKS; i++) first->runs[i] = 0;
    brew_pool_run(NULL, 10, run, first);
    is_int(first->runs[9], 1, "which runs");
    brew_pool *all = brew_pool_new(0);
    ok(brew_pool_threads(all) >= 1, "one thread for each CPU: %d", brew_pool_threads(all));
    brew_pool_free(all);
    brew_pool_free(NULL);
    free(first);
    free(work);
    return tap_done();
}
