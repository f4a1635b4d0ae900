// What the files of the bulk measure share. Only lib/rank/bulk*.c includes it.
#ifndef BREW_RANK_BULK_PARTS_H
#define BREW_RANK_BULK_PARTS_H

#include "base/mem.h"
#include "rank/bulk.h"
#include "rank/metrics.h"

enum { BREW_BULK_PARTS = 64 }; // of the rows, whatever the number of threads

// Member ids to numbers: less the least one if they are dense, else by a table.
struct brew_ids {
    int64_t least;
    uint64_t *key; // [mask + 1] id + 1 by hash, 0: empty; NULL: dense
    uint32_t *number;
    uint64_t mask;
    size_t n;           // numbers are below
    bool least_present; // of the one id whose key would be 0
};

static inline uint64_t brew_ids_mix(uint64_t key) {
    key *= 0x9e3779b97f4a7c15u;
    return key ^ key >> 32;
}

static inline uint32_t brew_ids_of(const struct brew_ids *ids, int64_t id) {
    if (!ids->key) return (uint32_t)((uint64_t)id - (uint64_t)ids->least);
    uint64_t key = (uint64_t)id + 1;
    if (key == 0) return 0;
    uint64_t at = brew_ids_mix(key) & ids->mask;
    while (ids->key[at] != key) at = (at + 1) & ids->mask;
    return ids->number[at];
}

// Of a member, in units of 2^-61 of the whole: weights, and what is at most as large; logloss is at most 35
// times as large.
struct brew_bulk_sums {
    int64_t w, wy, wp, logloss, brier;
};

struct brew_bulk_state {
    const brew_folder *folder;
    brew_pool *pool;
    struct brew_ids ids;
    struct brew_bulk_sums *sums; // [ids.n]
    int64_t
        *won; // [ids.n] the share of all pairs that the member's rows win or let win: 2^61 is all
    brew_slab slab;
    size_t buffer_rows;
    // totals
    uint64_t rows[2], unknown;
    double weight[2]; // of negatives, of positives
    double wp, logloss, brier, ece[BREW_ECE_BINS];
    double least, most;    // scores
    double pair;           // 2^61 over all pairs, 0 without any
    double auc, precision; // of the sorted passes
};

// Part p of the rows is [begin(p), begin(p + 1)).
static inline size_t brew_bulk_begin(const struct brew_bulk_state *s, size_t part) {
    return (size_t)((unsigned __int128)s->folder->n * part / BREW_BULK_PARTS);
}

// Checks all values; sets totals, least and most, and the numbers of members.
int brew_bulk_check(struct brew_bulk_state *s, brew_err *err);
// Sets auc, precision, ece, and the auc of the members' sums.
int brew_bulk_sorted(struct brew_bulk_state *s, brew_err *err);

#endif
