// Whether this process is one of several, and the plug-in that then connects them.
#define _XOPEN_SOURCE 700 // readlink
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/num.h"
#include "train/ranks.h"

static int64_t number(const char *name) {
    const char *text = getenv(name);
    int64_t value;
    return text && brew_parse_i64(text, strlen(text), &value) ? value : 0;
}

// How many processes an MPI launcher says that it started; 0 if none has, -1 if it does not say.
static int64_t launched(void) {
    int64_t n = number("OMPI_COMM_WORLD_SIZE"); // Open MPI
    if (!n) n = number("PMI_SIZE");             // MPICH and its kin, Slurm's PMI-2
    if (!n && getenv("PMIX_RANK")) n = number("SLURM_STEP_NUM_TASKS");
    if (!n && getenv("PMIX_RANK")) n = -1;
    return n;
}

// BIN/../lib/brew/brew-mpi.so, unless the environment names another.
static void find_plugin(brew_buf *path) {
    const char *named = getenv("BREW_MPI");
    char program[4096];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    program[len > 0 ? len : 0] = 0;
    char *slash = strrchr(program, '/');
    if (slash) *slash = 0;
    if (named && *named)
        brew_buf_adds(path, named);
    else
        brew_buf_addf(path, "%s/../lib/brew/brew-mpi.so", program);
}

// The MPI looks for its own parts by name, so what is loaded must be seen by all.
static brew_wire *open_wire(const char *path, brew_err *err) {
    void *plugin = dlopen(path, RTLD_NOW | RTLD_GLOBAL), *symbol;
    if (!plugin) {
        brew_fail(err, BREW_USAGE, "the plug-in for MPI cannot be loaded: %s", dlerror());
        return NULL;
    }
    brew_wire_open_fn *open;
    if (!(symbol = dlsym(plugin, BREW_WIRE_OPEN))) {
        brew_fail(err, BREW_USAGE, "%s: is no plug-in for MPI", path);
        return NULL;
    }
    memcpy(&open, &symbol, sizeof open); // a function, as POSIX has it
    return open(BREW_WIRE_VERSION, err);
}

int brew_ranks_open(enum brew_ranks_wanted wanted, brew_ranks **ranks, brew_err *err) {
    int64_t n = launched();
    *ranks = NULL;
    if (wanted == BREW_RANKS_OFF || (wanted == BREW_RANKS_AUTO && (!n || n == 1))) return 0;
    brew_buf path = {0};
    find_plugin(&path);
    brew_wire *wire = open_wire(path.ptr, err);
    brew_buf_release(&path);
    if (!wire && n > 1)
        return brew_err_context(err, "an MPI launcher started %lld processes", (long long)n);
    if (!wire) return -1;
    *ranks = brew_ranks_new(wire);
    if (n <= 0 || n == wire->ranks) return 0;
    brew_fail(err, BREW_USAGE,
              "the launcher started %lld processes, this MPI knows of %d: the plug-in was built "
              "with another MPI",
              (long long)n, wire->ranks);
    brew_ranks_close(*ranks);
    *ranks = NULL;
    return -1;
}
