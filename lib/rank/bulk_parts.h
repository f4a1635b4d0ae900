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
    size_t n; // numbers are below; 0 is kept for the one id whose key would be 0
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

// A table of many members is seldom near: asks for the place where the id will be looked for.
static inline void brew_ids_expect(const struct brew_ids *ids, int64_t id) {
    if (ids->key) __builtin_prefetch(&ids->key[brew_ids_mix((uint64_t)id + 1) & ids->mask]);
}

// Of a member, in units of 2^-61 of the whole: weights, and what is at most as large; logloss is at most 35
// times as large; won is the share of all pairs that the member's rows win, or let win.
struct brew_bulk_sums {
    int64_t w, wy, wp, logloss, brier, won;
};

// Scores side by side, some thousandth of the mass or one score: what a row there wins, or lets win, per
// unit of its weight, by outcome, 2^61 being all pairs; within the cell scores are taken for equal.
struct brew_bulk_cell {
    double from; // the least score
    double win[2];
};

struct brew_bulk_cells {
    struct brew_bulk_cell *cell; // ascending
    size_t n, cap;
};

struct brew_bulk_state {
    const brew_folder *folder;
    brew_pool *pool;
    struct brew_ids ids;
    struct brew_bulk_sums *sums; // [ids.n]
    brew_slab slab;
    size_t buffer_rows;
    // totals
    uint64_t rows[2], unknown;
    double weight[2]; // of negatives, of positives
    double wp, logloss, brier, ece[BREW_ECE_BINS];
    double least, most;    // scores
    double pair;           // 2^61 over all pairs, 0 without any
    double auc, precision; // of the sorted passes
    struct brew_bulk_cells cells;
};

// Part p of the rows is [begin(p), begin(p + 1)).
static inline size_t brew_bulk_begin(const struct brew_bulk_state *s, size_t part) {
    return (size_t)((unsigned __int128)s->folder->n * part / BREW_BULK_PARTS);
}

// Checks all values; sets totals, least and most, and the numbers of members.
int brew_bulk_check(struct brew_bulk_state *s, brew_err *err);
// Sets auc, precision, ece and cells.
int brew_bulk_sorted(struct brew_bulk_state *s, brew_err *err);
// Sets wp, logloss, brier, and the members' sums.
void brew_bulk_members(struct brew_bulk_state *s);

// ---- ranges of scores ----

// Scores from least to most, in buckets of equal width. Products with `up`, a power of two, are exact:
// it lifts a span that is too small to divide by.
struct brew_span {
    double least, most, up, scale;
    size_t buckets;
};

struct brew_span brew_span_of(double least, double most, size_t buckets);
// Rises with the score.
static inline size_t brew_span_bucket(const struct brew_span *s, double score) {
    double at = (s->up * score - s->up * s->least) * s->scale;
    return at < (double)s->buckets ? (size_t)at : s->buckets - 1;
}

// ---- one range of rows, gathered ----

// A row is its score's bits, which order scores of one sign, shifted up over its outcome; its weight
// stands apart, and nowhere if all are 1.
struct brew_rows {
    uint64_t *key;
    float *weight;
};

static inline uint64_t brew_row_key(double score, int outcome) {
    uint64_t bits;
    score += 0.; // -0 becomes 0
    __builtin_memcpy(&bits, &score, sizeof bits);
    return (bits >> 63 ? ~bits : bits) << 1 | (uint64_t)outcome;
}

struct brew_stretch {
    size_t begin, n;          // in the buffer
    uint64_t negatives_below; // of all rows of lower score
    double weight_below[2];
    // what it adds
    uint64_t wins2; // twice the pairs won, ties one, without weights
    double wins, precision, ece[BREW_ECE_BINS];
    struct brew_bulk_cells cells;
};

// Scratch of a thread: zero-initialise, free the pointers.
struct brew_room {
    struct brew_rows rows;
    size_t n;
};

// Sorts the rows of the stretch (negative: its scores are below 0), and adds up what they are worth.
void brew_stretch_walk(const struct brew_bulk_state *s, struct brew_stretch *x,
                       struct brew_rows rows, bool negative, struct brew_room *room);
// A block of rows with one score; win[outcome] as in brew_bulk_cell.
void brew_stretch_one(const struct brew_bulk_state *s, struct brew_stretch *x, double score,
                      const uint64_t rows[2], const double weight[2]);

#endif
