// A pool of threads that take numbered tasks from one atomic counter.
//
// brew_pool_run returns when all tasks are done. Which thread runs a task is not fixed, so a task
// must write only what belongs to its number: results then do not depend on the thread count.
// The caller's thread takes part, as worker 0. Runs do not nest. Between runs the workers spin for a
// moment, then sleep.
#ifndef BREW_BASE_POOL_H
#define BREW_BASE_POOL_H

#include <stddef.h>

typedef struct brew_pool brew_pool;

// threads >= 1, or 0 for one per CPU this process may run on.
brew_pool *brew_pool_new(int threads);
int brew_pool_cpus(void); // that this process may run on
void brew_pool_free(brew_pool *pool);
int brew_pool_threads(const brew_pool *pool); // at least 1; also for NULL, which is a pool of one

// Calls fn(arg, task, worker) for task = 0..tasks-1; worker is in [0, threads), for scratch memory.
typedef void brew_task_fn(void *arg, size_t task, int worker);
void brew_pool_run(brew_pool *pool, size_t tasks, brew_task_fn *fn, void *arg);

#endif
