#define _GNU_SOURCE // sched_getaffinity
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

// The ticket holds the number of the run (high half) and of the next task (low half). A task is taken by
// advancing the ticket, which fails if the run has changed meanwhile: so a worker that wakes late, with the
// fields of an old run in hand, can do no harm, and a run need not wait for workers that never woke.
struct brew_pool {
    int threads;
    pthread_t *workers; // [threads - 1]
    pthread_mutex_t lock;
    pthread_cond_t wake, idle;
    _Atomic uint64_t ticket;
    _Atomic size_t done; // tasks of this run that are finished
    _Atomic bool quit;
    // Of the current run; written only while the ticket is closed.
    _Atomic size_t tasks;
    brew_task_fn *_Atomic fn;
    void *_Atomic arg;
};

struct worker {
    brew_pool *pool;
    int index;
};

enum { SPINS = 4000 }; // about 20 microseconds: the gap between two products of a forward pass
#define CLOSED UINT32_MAX

static uint32_t run_of(uint64_t ticket) {
    return (uint32_t)(ticket >> 32);
}

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void take_tasks(brew_pool *pool, int index) {
    uint64_t ticket = atomic_load(&pool->ticket);
    uint32_t run = run_of(ticket);
    // Read after the ticket: if the ticket then advances within this run, they are this run's.
    brew_task_fn *fn = atomic_load(&pool->fn);
    void *arg = atomic_load(&pool->arg);
    size_t tasks = atomic_load(&pool->tasks);
    while (run_of(ticket) == run && (uint32_t)ticket < tasks) {
        if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket + 1)) continue;
        fn(arg, (uint32_t)ticket, index);
        if (atomic_fetch_add(&pool->done, 1) + 1 == tasks && index) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->idle);
            pthread_mutex_unlock(&pool->lock);
        }
        ticket = atomic_load(&pool->ticket);
    }
}

static void *work(void *arg) {
    struct worker self = *(struct worker *)arg;
    free(arg);
    brew_pool *pool = self.pool;
    uint32_t seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS && run_of(atomic_load(&pool->ticket)) == seen; i++) relax();
        if (run_of(atomic_load(&pool->ticket)) == seen) {
            pthread_mutex_lock(&pool->lock);
            while (run_of(atomic_load(&pool->ticket)) == seen)
                pthread_cond_wait(&pool->wake, &pool->lock);
            pthread_mutex_unlock(&pool->lock);
        }
        if (atomic_load(&pool->quit)) return NULL;
        seen = run_of(atomic_load(&pool->ticket));
        take_tasks(pool, self.index);
    }
}

// Opens the next run: the fields are set, the last run is over and its ticket closed.
static void start_run(brew_pool *pool) {
    uint64_t next = (uint64_t)(run_of(atomic_load(&pool->ticket)) + 1) << 32;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->ticket, next);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

int brew_pool_cpus(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
}

brew_pool *brew_pool_new(int threads) {
    if (threads <= 0) threads = brew_pool_cpus();
    brew_pool *pool = brew_calloc(1, sizeof *pool);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->idle, NULL);
    pool->workers = brew_calloc((size_t)threads, sizeof *pool->workers);
    pool->threads = 1;
    // Workers inherit this: handlers run in the thread whose data they look at, the main one.
    sigset_t fatal, old;
    sigemptyset(&fatal);
    sigaddset(&fatal, SIGINT);
    sigaddset(&fatal, SIGTERM);
    sigaddset(&fatal, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &fatal, &old);
    for (int i = 1; i < threads; i++) {
        struct worker *self = brew_alloc(sizeof *self);
        *self = (struct worker){pool, i};
        if (pthread_create(&pool->workers[i - 1], NULL, work, self)) {
            free(self); // fewer threads give the same results
            break;
        }
        pool->threads++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return pool;
}

void brew_pool_free(brew_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->quit, true);
    atomic_fetch_or(&pool->ticket, CLOSED);
    atomic_store(&pool->tasks, 0); // for a worker that wakes only now
    start_run(pool);
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
    if (tasks >= CLOSED) brew_bug("a run of %zu tasks", tasks);
    atomic_fetch_or(&pool->ticket, CLOSED);
    atomic_store(&pool->tasks, tasks);
    atomic_store(&pool->fn, fn);
    atomic_store(&pool->arg, arg);
    atomic_store(&pool->done, 0);
    start_run(pool);
    take_tasks(pool, 0);
    for (int i = 0; i < SPINS && atomic_load(&pool->done) < tasks; i++) relax();
    if (atomic_load(&pool->done) == tasks) return;
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->done) < tasks) pthread_cond_wait(&pool->idle, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}
