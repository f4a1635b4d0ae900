// One range of rows: sorted, then walked with the exact weights below and above.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rank/bulk_parts.h"

enum { SMALL = 16, FEW = 130, CELLS = 2048 };

// ---- sorting ----

static void move_row(struct brew_rows to, size_t at, struct brew_rows from, size_t i) {
    to.key[at] = from.key[i];
    if (to.weight) to.weight[at] = from.weight[i];
}

static struct brew_rows rows_from(struct brew_rows rows, size_t first) {
    return (struct brew_rows){rows.key + first, rows.weight ? rows.weight + first : NULL};
}

// Rows that are near their places, sorted from one place into another.
static void insert_rows(struct brew_rows to, struct brew_rows from, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint64_t key = from.key[i];
        size_t k = i;
        for (; k > 0 && to.key[k - 1] > key; k--) move_row(to, k, to, k - 1);
        move_row(to, k, from, i);
    }
}

static int bits_of(uint64_t x) {
    return x ? 64 - __builtin_clzll(x) : 0;
}

static void copy_rows(struct brew_rows to, struct brew_rows from, size_t n) {
    memcpy(to.key, from.key, n * sizeof *to.key);
    if (to.weight) memcpy(to.weight, from.weight, n * sizeof *to.weight);
}

static void sort_rows(struct brew_rows a, struct brew_rows to, size_t n);

// Rows that lie in their buckets, which end at place[b]: of few rows each, or sorted one by one.
static void sort_buckets(struct brew_rows a, struct brew_rows to, size_t n, const uint32_t *place,
                         size_t buckets) {
    uint32_t most = 0;
    for (size_t b = 0, first = 0; b < buckets; first = place[b++])
        if (place[b] - first > most) most = (uint32_t)(place[b] - first);
    if (most <= SMALL) {
        insert_rows(a, to, n);
        return;
    }
    for (size_t b = 0, first = 0; b < buckets; first = place[b++]) {
        size_t len = place[b] - first;
        struct brew_rows sorted = rows_from(a, first), bucket = rows_from(to, first);
        if (len <= SMALL) {
            insert_rows(sorted, bucket, len);
        } else {
            copy_rows(sorted, bucket, len);
            sort_rows(sorted, bucket, len);
        }
    }
}

// Ascending by score; rows of one score in any order. to: room for as many.
static void sort_rows(struct brew_rows a, struct brew_rows to, size_t n) {
    uint64_t least = a.key[0], most = a.key[0];
    for (size_t i = 1; i < n; i++) {
        least = a.key[i] < least ? a.key[i] : least;
        most = a.key[i] > most ? a.key[i] : most;
    }
    if (least >> 1 == most >> 1) return;
    // buckets of equal width, one to three rows in each if they lie evenly
    int shift = bits_of(most - least) - (bits_of(n) - 1);
    if (shift < 0) shift = 0;
    size_t buckets = (size_t)((most - least) >> shift) + 1;
    uint32_t few[FEW] = {0}, *place = few;
    if (buckets + 1 > FEW) place = brew_calloc(buckets + 1, sizeof *place);
    for (size_t i = 0; i < n; i++) place[((a.key[i] - least) >> shift) + 1]++;
    for (size_t b = 0; b < buckets; b++) place[b + 1] += place[b];
    for (size_t i = 0; i < n; i++) move_row(to, place[(a.key[i] - least) >> shift]++, a, i);
    sort_buckets(a, to, n, place, buckets);
    if (place != few) free(place);
}

// ---- walking ----

// Nothing but numbers, which inlined functions alone touch: so they stay in registers.
struct walk {
    double negatives, positives; // weights of all rows of lower score
    uint64_t negative_rows, wins2;
    double wins, precision;
    double gap, bin_until; // the bin of ece at hand: what is added to it; where the next begins
    int bin;
    double cell_from, cell_until, cell_negatives,
        cell_positives; // the cell at hand: where it begins
};

static struct walk start(const struct brew_stretch *x) {
    return (struct walk){.negatives = x->weight_below[0],
                         .positives = x->weight_below[1],
                         .negative_rows = x->negatives_below,
                         .bin_until = -INFINITY,
                         .cell_until = -INFINITY};
}

static int bin_of(double all, double middle) {
    int bin = (int)(BREW_ECE_BINS * middle / all);
    return bin < BREW_ECE_BINS ? bin : BREW_ECE_BINS - 1;
}

// A positive beats what is below the middle of the cell; a negative is beaten likewise.
static void end_cell(const struct brew_bulk_state *s, struct brew_stretch *x, double from,
                     double negatives2, double positives2) {
    struct brew_bulk_cells *cells = &x->cells;
    BREW_GROW(cells->cell, cells->n + 1, cells->cap);
    cells->cell[cells->n++] = (struct brew_bulk_cell){
        from, {s->pair * (s->weight[1] - positives2 / 2), s->pair * negatives2 / 2}};
}

// A block of equal scores: its part of each sum.
static inline __attribute__((always_inline)) void
add_tie(const struct brew_bulk_state *s, struct brew_stretch *x, struct walk *w, double score,
        uint64_t negative_rows, uint64_t positive_rows, double negatives, double positives) {
    double all = s->weight[0] + s->weight[1], mass = negatives + positives;
    double reached = w->negatives + w->positives, middle = reached + mass / 2;
    if (!(reached < w->cell_until) || mass * CELLS >= all) {
        if (w->cell_until >= 0)
            end_cell(s, x, w->cell_from, w->cell_negatives + w->negatives,
                     w->cell_positives + w->positives);
        w->cell_from = score;
        w->cell_negatives = w->negatives;
        w->cell_positives = w->positives;
        w->cell_until = reached + all / CELLS;
    }
    if (!(middle < w->bin_until)) { // as long as the middle of the mass stays below, it is the same
        x->ece[w->bin] += w->gap;
        w->gap = 0;
        w->bin = bin_of(all, middle);
        w->bin_until = (w->bin + 1) * all / BREW_ECE_BINS * (1 - 1e-12);
    }
    double above = s->weight[1] - w->positives, all_above = above + (s->weight[0] - w->negatives);
    w->gap += positives - mass * score;
    w->precision += positives * (above / (all_above > 0 ? all_above : 1));
    w->wins += positives * (w->negatives + negatives / 2);
    w->wins2 += positive_rows * (2 * w->negative_rows + negative_rows);
    w->negative_rows += negative_rows;
    w->negatives += negatives;
    w->positives += positives;
}

static inline void finish(const struct brew_bulk_state *s, struct brew_stretch *x,
                          const struct walk *w) {
    end_cell(s, x, w->cell_from, w->cell_negatives + w->negatives,
             w->cell_positives + w->positives);
    x->ece[w->bin] += w->gap;
    x->wins2 = w->wins2;
    x->wins = w->wins;
    x->precision = w->precision;
}

void brew_stretch_one(const struct brew_bulk_state *s, struct brew_stretch *x, double score,
                      const uint64_t rows[2], const double weight[2]) {
    struct walk w = start(x);
    add_tie(s, x, &w, score, rows[0], rows[1], weight[0], weight[1]);
    finish(s, x, &w);
}

static double score_of(uint64_t key, bool negative) {
    uint64_t bits = negative ? ~(key >> 1) : key >> 1;
    double score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

static inline __attribute__((always_inline)) void walk_rows(const struct brew_bulk_state *s,
                                                            struct brew_stretch *x,
                                                            const uint64_t *key,
                                                            const float *weights, bool negative) {
    struct walk w = start(x);
    for (size_t i = 0, n = x->n; i < n;) {
        uint64_t first = key[i], begin = i, positives = 0;
        double weight[2] = {0, 0};
        do {
            positives += key[i] & 1;
            if (weights) weight[key[i] & 1] += weights[i];
        } while (++i < n && key[i] >> 1 == first >> 1);
        uint64_t negatives = i - begin - positives;
        if (!weights) {
            weight[0] = (double)negatives;
            weight[1] = (double)positives;
        }
        add_tie(s, x, &w, score_of(first, negative), negatives, positives, weight[0], weight[1]);
    }
    finish(s, x, &w);
}

static void make_room(struct brew_room *room, size_t n, bool weighted) {
    if (n <= room->n) return;
    room->n = n + n / 4;
    free(room->rows.key);
    free(room->rows.weight);
    room->rows.key = brew_realloc_array(NULL, room->n, sizeof *room->rows.key);
    room->rows.weight =
        weighted ? brew_realloc_array(NULL, room->n, sizeof *room->rows.weight) : NULL;
}

void brew_stretch_walk(const struct brew_bulk_state *s, struct brew_stretch *x,
                       struct brew_rows all, bool negative, struct brew_room *room) {
    struct brew_rows rows = rows_from(all, x->begin);
    if (x->n == 0) return;
    make_room(room, x->n, rows.weight != NULL);
    sort_rows(rows, room->rows, x->n);
    if (rows.weight)
        walk_rows(s, x, rows.key, rows.weight, negative);
    else
        walk_rows(s, x, rows.key, NULL, negative);
}
