// Scores cut into ranges that fit the buffer, each gathered, sorted and walked in ascending order.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rank/bulk_parts.h"

enum {
    BUCKETS = 2048,
    LARGE = 4
}; // more than the LARGEth part of the buffer is not sorted as a whole

// What a part of the rows has in each bucket, by outcome.
struct tally {
    uint32_t rows[BUCKETS][2];
    double weight[BUCKETS][2]; // untouched without weights
};

struct sorted {
    struct brew_bulk_state *state;
    struct brew_rows buffer;
    struct brew_room *room;       // [threads]
    struct tally *tally;          // [BREW_BULK_PARTS]
    size_t (*place)[BUCKETS];     // [BREW_BULK_PARTS]
    struct brew_stretch *stretch; // [BUCKETS]
    struct brew_span span;
    size_t from, to; // buckets at hand
    uint64_t negatives_below, wins2;
    double weight_below[2];
    struct { // of a bucket
        double least[BREW_BULK_PARTS], most[BREW_BULK_PARTS];
    } * ends;
};

struct brew_span brew_span_of(double least, double most, size_t buckets) {
    struct brew_span s = {least, most, 1, 0, buckets};
    if (most - least < 0x1p-900) s.up = 0x1p900;
    double width = s.up * most - s.up * least;
    if (!isfinite(width)) { // halves and quarters are exact, too, but for the tiniest numbers
        s.up = .25;
        width = most / 4 - least / 4;
    }
    s.scale = (double)(buckets - 1) / width;
    return s;
}

// The rows of a block in the span, without branches: the place of each, and its bucket.
struct chosen {
    size_t n;
    uint16_t at[BREW_FOLDER_BLOCK], bucket[BREW_FOLDER_BLOCK];
};

static void choose(const struct sorted *s, const brew_folder_block *b, size_t from, size_t to,
                   struct chosen *out) {
    const struct brew_span span = s->span;
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        double score = b->score[i];
        bool in = (b->target[i] >= 0) & (score >= span.least) & (score <= span.most);
        size_t k = brew_span_bucket(&span, in ? score : span.least);
        out->at[n] = (uint16_t)i;
        out->bucket[n] = (uint16_t)k;
        n += in & (k - from < to - from);
    }
    out->n = n;
}

static void count_part(void *arg, size_t part, int worker) {
    (void)worker;
    struct sorted *s = arg;
    const struct brew_bulk_state *t = s->state;
    struct tally *tally = &s->tally[part];
    bool weighted = s->buffer.weight != NULL;
    brew_folder_block *b = brew_alloc(sizeof *b);
    struct chosen in;
    size_t end = brew_bulk_begin(t, part + 1);
    memset(tally->rows, 0, sizeof tally->rows);
    if (weighted) memset(tally->weight, 0, sizeof tally->weight);
    for (size_t at = brew_bulk_begin(t, part); at < end; at += b->n) {
        brew_folder_read_scores(t->folder, at, end, b);
        choose(s, b, 0, BUCKETS, &in);
        for (size_t i = 0; i < in.n; i++) tally->rows[in.bucket[i]][b->target[in.at[i]]]++;
        for (size_t i = 0; weighted && i < in.n; i++)
            tally->weight[in.bucket[i]][b->target[in.at[i]]] +=
                brew_folder_weight(t->folder, at + in.at[i]);
    }
    free(b);
}

static void gather_part(void *arg, size_t part, int worker) {
    (void)worker;
    struct sorted *s = arg;
    const struct brew_bulk_state *t = s->state;
    const struct brew_rows to = s->buffer;
    size_t *place = s->place[part], end = brew_bulk_begin(t, part + 1);
    brew_folder_block *b = brew_alloc(sizeof *b);
    struct chosen in;
    for (size_t at = brew_bulk_begin(t, part); at < end; at += b->n) {
        brew_folder_read_scores(t->folder, at, end, b);
        choose(s, b, s->from, s->to, &in);
        for (size_t i = 0; i < in.n; i++) {
            size_t row = in.at[i], where = place[in.bucket[i]]++;
            to.key[where] = brew_row_key(b->score[row], b->target[row]);
            if (to.weight) to.weight[where] = brew_folder_weight(t->folder, at + row);
        }
    }
    free(b);
}

static void walk_bucket(void *arg, size_t task, int worker) {
    struct sorted *s = arg;
    brew_stretch_walk(s->state, &s->stretch[s->from + task], s->buffer, s->span.least < 0,
                      &s->room[worker]);
}

// Where bucket k begins, among the rows and in their order; adds its own to what is below the next.
static void start_stretch(struct sorted *s, size_t k, size_t *at) {
    struct brew_stretch *x = &s->stretch[k];
    bool weighted = s->buffer.weight != NULL;
    *x = (struct brew_stretch){.begin = *at};
    x->negatives_below = s->negatives_below;
    memcpy(x->weight_below, s->weight_below, sizeof x->weight_below);
    for (size_t p = 0; p < BREW_BULK_PARTS; p++) {
        const struct tally *tally = &s->tally[p];
        s->place[p][k] = *at;
        s->negatives_below += tally->rows[k][0];
        for (int y = 0; y < 2; y++) {
            *at += tally->rows[k][y];
            s->weight_below[y] += weighted ? tally->weight[k][y] : tally->rows[k][y];
        }
    }
    x->n = *at - x->begin;
}

static void add_stretch(struct sorted *s, struct brew_stretch *x) {
    struct brew_bulk_state *t = s->state;
    struct brew_bulk_cells *cells = &t->cells;
    s->wins2 += x->wins2;
    t->auc += x->wins;
    t->precision += x->precision;
    for (int i = 0; i < BREW_ECE_BINS; i++) t->ece[i] += x->ece[i];
    BREW_GROW(cells->cell, cells->n + x->cells.n, cells->cap);
    if (x->cells.n) memcpy(cells->cell + cells->n, x->cells.cell, x->cells.n * sizeof *cells->cell);
    cells->n += x->cells.n;
    free(x->cells.cell);
}

// The buckets at hand fit the buffer: gathers, sorts and walks them.
static void do_buckets(struct sorted *s) {
    brew_pool *pool = s->state->pool;
    size_t at = 0;
    for (size_t k = s->from; k < s->to; k++) start_stretch(s, k, &at);
    brew_pool_run(pool, BREW_BULK_PARTS, gather_part, s);
    brew_pool_run(pool, s->to - s->from, walk_bucket, s);
    for (size_t k = s->from; k < s->to; k++) add_stretch(s, &s->stretch[k]);
}

static void find_ends(void *arg, size_t part, int worker) {
    (void)worker;
    struct sorted *s = arg;
    const struct brew_bulk_state *t = s->state;
    brew_folder_block *b = brew_alloc(sizeof *b);
    struct chosen in;
    size_t end = brew_bulk_begin(t, part + 1);
    double least = INFINITY, most = -INFINITY;
    for (size_t at = brew_bulk_begin(t, part); at < end; at += b->n) {
        brew_folder_read_scores(t->folder, at, end, b);
        choose(s, b, s->from, s->to, &in);
        for (size_t i = 0; i < in.n; i++) {
            least = fmin(least, b->score[in.at[i]]);
            most = fmax(most, b->score[in.at[i]]);
        }
    }
    s->ends->least[part] = least;
    s->ends->most[part] = most;
    free(b);
}

static void do_span(struct sorted *s, double least, double most);

// A bucket of too many rows: a span of its own, or one score.
static void do_large(struct sorted *s, size_t k) {
    struct brew_span span = s->span;
    double least = INFINITY, most = -INFINITY;
    s->from = k;
    s->to = k + 1;
    brew_pool_run(s->state->pool, BREW_BULK_PARTS, find_ends, s);
    for (size_t p = 0; p < BREW_BULK_PARTS; p++) {
        least = fmin(least, s->ends->least[p]);
        most = fmax(most, s->ends->most[p]);
    }
    if (least < most) {
        do_span(s, least, most);
        s->span = span;
        brew_pool_run(s->state->pool, BREW_BULK_PARTS, count_part, s);
        return;
    }
    size_t at = 0;
    struct brew_stretch *x = &s->stretch[k];
    start_stretch(s, k, &at);
    uint64_t negatives = s->negatives_below - x->negatives_below;
    const uint64_t rows[2] = {negatives, x->n - negatives};
    double weight[2];
    for (int y = 0; y < 2; y++) weight[y] = s->weight_below[y] - x->weight_below[y];
    brew_stretch_one(s->state, x, least, rows, weight);
    add_stretch(s, x);
}

// All rows from least to most, which have one sign.
static void do_span(struct sorted *s, double least, double most) {
    size_t room = s->state->buffer_rows, large = room / LARGE, rows;
    size_t *total = brew_calloc(BUCKETS, sizeof *total);
    s->span = brew_span_of(least, most, BUCKETS);
    brew_pool_run(s->state->pool, BREW_BULK_PARTS, count_part, s);
    for (size_t p = 0; p < BREW_BULK_PARTS; p++)
        for (size_t k = 0; k < BUCKETS; k++)
            total[k] += s->tally[p].rows[k][0] + s->tally[p].rows[k][1];
    for (size_t from = 0, to; from < BUCKETS; from = to) {
        to = from + 1;
        if (total[from] > large) {
            do_large(s, from);
            continue;
        }
        for (rows = total[from]; to < BUCKETS && total[to] <= large && rows + total[to] <= room;)
            rows += total[to++];
        if (!rows) continue;
        s->from = from;
        s->to = to;
        do_buckets(s);
    }
    free(total);
}

static void release(struct sorted *s, int threads) {
    for (int i = 0; i < threads; i++) {
        free(s->room[i].rows.key);
        free(s->room[i].rows.weight);
    }
    free(s->room);
    free(s->tally);
    free(s->place);
    free(s->stretch);
    free(s->ends);
}

int brew_bulk_sorted(struct brew_bulk_state *t, brew_err *err) {
    int threads = brew_pool_threads(t->pool);
    size_t all = (size_t)(t->rows[0] + t->rows[1]), weighted = t->folder->weights.data != NULL;
    if (all < t->buffer_rows) t->buffer_rows = all;
    brew_slab slab;
    if (all == 0) return 0;
    if (t->weight[0] > 0 && t->weight[1] > 0) t->pair = 0x1p61 / (t->weight[0] * t->weight[1]);
    if (brew_slab_init(&slab, t->buffer_rows * (8 + 4 * weighted), "the rows to sort", err) < 0)
        return -1;
    struct sorted s = {.state = t, .buffer = {.key = slab.ptr}};
    if (weighted) s.buffer.weight = (float *)(void *)(s.buffer.key + t->buffer_rows);
    s.room = brew_calloc((size_t)threads, sizeof *s.room);
    s.tally = brew_calloc(BREW_BULK_PARTS, sizeof *s.tally);
    s.place = brew_calloc(BREW_BULK_PARTS, sizeof *s.place);
    s.stretch = brew_calloc(BUCKETS, sizeof *s.stretch);
    s.ends = brew_calloc(1, sizeof *s.ends);
    if (t->least < 0) do_span(&s, t->least, fmin(t->most, -0x1p-1074));
    if (t->most >= 0) do_span(&s, fmax(t->least, 0), t->most);
    release(&s, threads);
    brew_slab_release(&slab);
    if (!weighted) t->auc = (double)s.wins2 / 2;
    return 0;
}
