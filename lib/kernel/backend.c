#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "kernel/host.h"

static const char *levels[6];

// What this machine can run, best first. A name listed here is a level that open accepts.
static void list_levels(void) {
    size_t n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("fma");
    if (avx512 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni"))
        levels[n++] = "avx512bf16";
    if (avx512) levels[n++] = "avx512";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) levels[n++] = "avx2";
#endif
    levels[n++] = "generic";
    levels[n] = "ref";
}

const char *const *brew_backend_levels(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, list_levels);
    return levels;
}

static const char *choose_level(const char *level, brew_err *err) {
    brew_backend_levels();
    if (!level) return levels[0];
    brew_buf names = {0};
    for (size_t i = 0; levels[i]; i++) {
        if (!strcmp(levels[i], level)) {
            brew_buf_release(&names);
            return levels[i];
        }
        brew_buf_addf(&names, "%s%s", i ? ", " : "", levels[i]);
    }
    brew_fail(err, BREW_USAGE, "no kernel level '%s' on this machine; there are %s", level,
              names.ptr);
    brew_buf_release(&names);
    return NULL;
}

brew_backend *brew_backend_open(const char *level, enum brew_precision precision, brew_pool *pool,
                                brew_err *err) {
    level = choose_level(level, err);
    if (!level) return NULL;
    brew_backend *be = brew_calloc(1, sizeof *be);
    be->level = level;
    be->precision = precision;
    be->pool = pool;
    if ((strcmp(level, "ref") ? brew_cpu_open(be, err) : brew_ref_open(be, err)) < 0) {
        free(be);
        return NULL;
    }
    return be;
}

void brew_backend_close(brew_backend *be) {
    if (!be) return;
    if (strcmp(be->level, "ref"))
        brew_cpu_close(be);
    else
        brew_ref_close(be);
    free(be);
}
