#define _GNU_SOURCE // sched_getaffinity
#include "train/ranks.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"

enum { ROUND = 1 << 20 }; // floats added at a time

struct brew_ranks {
    brew_wire *wire;
    bool failed, lost;
    char *gathered; // [ranks] of what gather is asked for
    size_t gathered_cap;
    float *to, *from, *sum; // of a round: [ranks][block], the same, [block]
};

brew_ranks *brew_ranks_new(brew_wire *wire) {
    brew_ranks *ranks = brew_calloc(1, sizeof *ranks);
    ranks->wire = wire;
    return ranks;
}

void brew_ranks_close(brew_ranks *ranks) {
    if (!ranks) return;
    ranks->wire->close(ranks->wire, !ranks->lost);
    free(ranks->gathered);
    free(ranks->to);
    free(ranks->from);
    free(ranks->sum);
    free(ranks);
}

int brew_ranks_me(const brew_ranks *ranks) {
    return ranks ? ranks->wire->rank : 0;
}

int brew_ranks_n(const brew_ranks *ranks) {
    return ranks ? ranks->wire->ranks : 1;
}

bool brew_ranks_lost(const brew_ranks *ranks) {
    return ranks && ranks->lost;
}

// ---- what is done together ----

static int lose(brew_ranks *ranks, int rc) {
    if (rc) ranks->failed = ranks->lost = true;
    return rc;
}

// The bytes of every rank, until the next call.
static void *gather(brew_ranks *ranks, const void *mine, size_t bytes, brew_err *err) {
    BREW_GROW(ranks->gathered, bytes * (size_t)ranks->wire->ranks, ranks->gathered_cap);
    int rc = lose(ranks, ranks->wire->gather(ranks->wire, mine, bytes, ranks->gathered, err));
    return rc ? NULL : ranks->gathered;
}

static int share_error(brew_ranks *ranks, const brew_err *mine, brew_err *err) {
    const brew_err *all = gather(ranks, mine, sizeof *mine, err);
    int first = 0;
    if (!all) return -1;
    ranks->failed = true;
    while (!all[first].code) first++;
    *err = all[first];
    return first ? brew_err_context(err, "rank %d", first) : -1;
}

int brew_ranks_agree(brew_ranks *ranks, int rc, brew_err *err) {
    if (!ranks) return rc;
    if (ranks->failed) return -1;
    const int *all = gather(ranks, &rc, sizeof rc, err);
    if (!all) return -1;
    int least = 0, most = 0;
    for (int r = 0; r < ranks->wire->ranks; r++) {
        if (all[r] < least) least = all[r];
        if (all[r] > most) most = all[r];
    }
    if (!least) return most;
    brew_err mine = {BREW_OK, ""};
    if (rc < 0) mine = *err;
    if (rc < 0 && !mine.code) mine.code = BREW_INTERNAL;
    return share_error(ranks, &mine, err);
}

int brew_ranks_tell(brew_ranks *ranks, void *bytes, size_t n, brew_err *err) {
    if (!ranks || !n) return 0;
    if (ranks->failed) return -1;
    const char *all = gather(ranks, bytes, n, err);
    if (all) memcpy(bytes, all, n);
    return all ? 0 : -1;
}

int brew_ranks_compare(brew_ranks *ranks, const void *bytes, size_t n, const char *what,
                       brew_err *err) {
    if (!ranks) return 0;
    if (ranks->failed) return -1;
    const char *all = gather(ranks, bytes, n, err);
    if (!all) return -1;
    for (int r = 1; r < ranks->wire->ranks; r++) {
        if (!memcmp(all, all + (size_t)r * n, n)) continue;
        ranks->failed = true;
        return brew_fail(err, BREW_INTERNAL, "rank %d has other %s than rank 0", r, what);
    }
    return 0;
}

int brew_ranks_add(brew_ranks *ranks, double *values, size_t n, brew_err *err) {
    if (!ranks || !n) return 0;
    if (ranks->failed) return -1;
    const double *all = gather(ranks, values, n * sizeof *values, err);
    if (!all) return -1;
    for (size_t i = 0; i < n; i++) {
        values[i] = all[i];
        for (int r = 1; r < ranks->wire->ranks; r++) values[i] += all[(size_t)r * n + i];
    }
    return 0;
}

// Each rank adds up one block of a round, those of the others to its own, and hands it round.
//
//     to    | for rank 0 | for rank 1 | for rank 2 |       mine
//     from  | of rank 0  | of rank 1  | of rank 2  |       my block, by each rank
static int add_round(brew_ranks *ranks, float *values, size_t n, brew_err *err) {
    brew_wire *wire = ranks->wire;
    size_t count = (size_t)wire->ranks, block = (n + count - 1) / count;
    size_t bytes = block * sizeof *values;
    memcpy(ranks->to, values, n * sizeof *values);
    memset(ranks->to + n, 0, (block * count - n) * sizeof *values);
    if (wire->exchange(wire, ranks->to, bytes, ranks->from, err)) return -1;
    memcpy(ranks->sum, ranks->from, bytes);
    for (size_t r = 1; r < count; r++)
        for (size_t i = 0; i < block; i++) ranks->sum[i] += ranks->from[r * block + i];
    if (wire->gather(wire, ranks->sum, bytes, ranks->to, err)) return -1;
    memcpy(values, ranks->to, n * sizeof *values);
    return 0;
}

int brew_ranks_add_floats(brew_ranks *ranks, float *values, size_t n, brew_err *err) {
    if (!ranks) return 0;
    if (ranks->failed) return -1;
    size_t count = (size_t)ranks->wire->ranks;
    if (!ranks->to) {
        ranks->to = brew_alloc((ROUND + count) * sizeof(float));
        ranks->from = brew_alloc((ROUND + count) * sizeof(float));
        ranks->sum = brew_alloc((ROUND / count + 1) * sizeof(float));
    }
    for (size_t at = 0; at < n; at += ROUND)
        if (lose(ranks, add_round(ranks, values + at, n - at < ROUND ? n - at : ROUND, err)))
            return -1;
    return 0;
}

// ---- where they run ----

struct place {
    char machine[64];
    uint64_t cpus; // a hash of those that the process may run on
};

// Processes of one machine know its boot by one name, whatever they call the machine.
static struct place find_place(void) {
    struct place place = {0};
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (!file || !fgets(place.machine, sizeof place.machine, file))
        gethostname(place.machine, sizeof place.machine - 1);
    if (file) fclose(file);
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    place.cpus = brew_hash64(&set, sizeof set, 0);
    return place;
}

int brew_ranks_places(brew_ranks *ranks, int *machine, int *cpus, brew_err *err) {
    *machine = *cpus = 1;
    if (!ranks) return 0;
    struct place mine = find_place();
    const struct place *all = gather(ranks, &mine, sizeof mine, err);
    if (!all) return -1;
    *machine = *cpus = 0;
    for (int r = 0; r < ranks->wire->ranks; r++) {
        bool here = !memcmp(all[r].machine, mine.machine, sizeof mine.machine);
        *machine += here;
        *cpus += here && all[r].cpus == mine.cpus;
    }
    return 0;
}
