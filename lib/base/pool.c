#define _GNU_SOURCE // sched_getaffinity
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

struct brew_pool {
    int threads;
    pthread_t *workers; // [threads - 1]
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    _Atomic unsigned long round; // odd or even alike: a change means a new run
    _Atomic size_t next;
    _Atomic int busy; // workers that have not finished this round
    bool quit;
    size_t tasks;
    brew_task_fn *fn;
    void *arg;
};

struct worker {
    brew_pool *pool;
    int index;
};

enum { SPINS = 4000 }; // about 20 microseconds: the gap between two products of a forward pass

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void take_tasks(brew_pool *pool, int index) {
    size_t task;
    while ((task = atomic_fetch_add(&pool->next, 1)) < pool->tasks)
        pool->fn(pool->arg, task, index);
}

static void *work(void *arg) {
    struct worker self = *(struct worker *)arg;
    free(arg);
    brew_pool *pool = self.pool;
    unsigned long seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS && atomic_load(&pool->round) == seen; i++) relax();
        if (atomic_load(&pool->round) == seen) {
            pthread_mutex_lock(&pool->lock);
            while (atomic_load(&pool->round) == seen) pthread_cond_wait(&pool->wake, &pool->lock);
            pthread_mutex_unlock(&pool->lock);
        }
        seen = atomic_load(&pool->round);
        if (pool->quit) return NULL;
        take_tasks(pool, self.index);
        if (atomic_fetch_sub(&pool->busy, 1) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->idle);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

static void start_round(brew_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->busy, pool->threads - 1);
    atomic_fetch_add(&pool->round, 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

brew_pool *brew_pool_new(int threads) {
    if (threads <= 0) {
        cpu_set_t set;
        threads = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    }
    brew_pool *pool = brew_calloc(1, sizeof *pool);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->idle, NULL);
    pool->workers = brew_calloc((size_t)threads, sizeof *pool->workers);
    pool->threads = 1;
    for (int i = 1; i < threads; i++) {
        struct worker *self = brew_alloc(sizeof *self);
        *self = (struct worker){pool, i};
        if (pthread_create(&pool->workers[i - 1], NULL, work, self)) {
            free(self); // fewer threads give the same results
            break;
        }
        pool->threads++;
    }
    return pool;
}

void brew_pool_free(brew_pool *pool) {
    if (!pool) return;
    pool->quit = true;
    start_round(pool);
    for (int i = 1; i < pool->threads; i++) pthread_join(pool->workers[i - 1], NULL);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->wake);
    pthread_cond_destroy(&pool->idle);
    free(pool->workers);
    free(pool);
}

int brew_pool_threads(const brew_pool *pool) {
    return pool ? pool->threads : 1;
}

void brew_pool_run(brew_pool *pool, size_t tasks, brew_task_fn *fn, void *arg) {
    if (!pool || pool->threads == 1 || tasks <= 1) {
        for (size_t i = 0; i < tasks; i++) fn(arg, i, 0);
        return;
    }
    pool->tasks = tasks;
    pool->fn = fn;
    pool->arg = arg;
    atomic_store(&pool->next, 0);
    start_round(pool);
    take_tasks(pool, 0);
    for (int i = 0; i < SPINS && atomic_load(&pool->busy); i++) relax();
    if (!atomic_load(&pool->busy)) return;
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->busy)) pthread_cond_wait(&pool->idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
