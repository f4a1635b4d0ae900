// Scores cut into ranges, each gathered, sorted and walked with the exact weights below and above.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rank/bulk_parts.h"

enum { BUCKETS = 1024, SMALL = 24, AHEAD = 16 };

struct row {
    double score;
    uint32_t who; // member * 2 + outcome
    float weight;
};

// Scores from least to most, in buckets of equal width. Products with `up`, a power of two, are exact:
// it lifts a span that is too small to divide by.
struct span {
    double least, most, up, scale;
    size_t buckets;
};

static struct span span_of(double least, double most, size_t buckets) {
    struct span s = {least, most, 1, 0, buckets};
    if (most - least < 0x1p-900) s.up = 0x1p900;
    double width = s.up * most - s.up * least;
    if (!isfinite(width)) { // halves and quarters are exact, too, but for the tiniest numbers
        s.up = .25;
        width = most / 4 - least / 4;
    }
    s.scale = (double)(buckets - 1) / width;
    return s;
}

static size_t bucket_of(const struct span *s, double score) {
    double at = (s->up * score - s->up * s->least) * s->scale;
    return at < (double)s->buckets ? (size_t)at : s->buckets - 1;
}

// ---- sorting ----

// Ascending by score; to is room for n rows.
static void sort_rows(struct row *a, struct row *to, size_t n) {
    if (n <= SMALL) {
        for (size_t i = 1; i < n; i++) {
            struct row row = a[i];
            size_t k = i;
            for (; k > 0 && a[k - 1].score > row.score; k--) a[k] = a[k - 1];
            a[k] = row;
        }
        return;
    }
    double least = a[0].score, most = a[0].score;
    for (size_t i = 1; i < n; i++) {
        if (a[i].score < least) least = a[i].score;
        if (a[i].score > most) most = a[i].score;
    }
    if (!(least < most)) return;
    size_t buckets = BUCKETS, place[BUCKETS + 1], first = 0;
    while (buckets > n / 4) buckets /= 2;
    struct span span = span_of(least, most, buckets);
    memset(place, 0, (buckets + 1) * sizeof *place);
    for (size_t i = 0; i < n; i++) place[bucket_of(&span, a[i].score) + 1]++;
    for (size_t b = 0; b < buckets; b++) place[b + 1] += place[b];
    for (size_t i = 0; i < n; i++) to[place[bucket_of(&span, a[i].score)]++] = a[i];
    memcpy(a, to, n * sizeof *a);
    for (size_t b = 0; b < buckets; b++) { // place[b] is now the end of bucket b
        if (place[b] - first > 1) sort_rows(a + first, to, place[b] - first);
        first = place[b];
    }
}

// ---- what a sorted stretch adds ----

struct stretch {
    size_t begin, n;  // in the buffer
    uint64_t rows[2]; // by outcome
    double weight[2];
    uint64_t rows_below[2]; // all rows of lower score
    double weight_below[2];
    uint64_t wins2; // twice the pairs won, ties one, without weights
    double wins, precision, ece[BREW_ECE_BINS], until;
    int bin;
};

struct sorted {
    struct brew_bulk_state *state;
    struct row *buffer, **room; // room [threads]
    size_t room_rows;
    struct stretch *stretch;    // [BUCKETS]
    uint32_t (*count)[BUCKETS]; // [BREW_BULK_PARTS]
    size_t (*place)[BUCKETS];
    struct span span;
    double (*least)[BUCKETS], (*most)[BUCKETS]; // [BREW_BULK_PARTS]
    size_t from, to;                            // buckets at hand
    uint64_t rows_below[2];
    double weight_below[2];
};

// The bin of ece; as long as the middle of the mass stays below `until`, it is the same as before.
static double *bin_of(const struct brew_bulk_state *s, struct stretch *x, double middle) {
    double all = s->weight[0] + s->weight[1];
    if (!(middle < x->until)) {
        int bin = (int)(BREW_ECE_BINS * middle / all);
        x->bin = bin < BREW_ECE_BINS ? bin : BREW_ECE_BINS - 1;
        x->until = (x->bin + 1) * all / BREW_ECE_BINS * (1 - 1e-12);
    }
    return &x->ece[x->bin];
}

// A block of equal scores: its part of each sum. The shares of its members are win[outcome] by weight: a
// positive beats the negatives below, and half of those in the block; a negative is beaten likewise.
static void add_tie(const struct brew_bulk_state *s, struct stretch *x, double score,
                    const uint64_t rows[2], const double weight[2], double win[2]) {
    const double *all = s->weight, *below = x->weight_below, mass = weight[0] + weight[1];
    win[1] = s->pair * (below[0] + weight[0] / 2);
    win[0] = s->pair * (all[1] - below[1] - weight[1] / 2);
    if (weight[1] > 0)
        x->precision += weight[1] * ((all[1] - below[1]) / (all[0] + all[1] - below[0] - below[1]));
    x->wins += weight[1] * (below[0] + weight[0] / 2);
    x->wins2 += rows[1] * (2 * x->rows_below[0] + rows[0]);
    *bin_of(s, x, below[0] + below[1] + mass / 2) += weight[1] - mass * score;
    for (int y = 0; y < 2; y++) {
        x->rows_below[y] += rows[y];
        x->weight_below[y] += weight[y];
    }
}

static void add_shares(const struct brew_bulk_state *s, const struct row *row, size_t n,
                       const double win[2]) {
    for (size_t i = 0; i < n; i++) {
        int64_t add = (int64_t)(row[i].weight * win[row[i].who & 1] + .5);
        __atomic_fetch_add(&s->won[row[i].who >> 1], add, __ATOMIC_RELAXED);
    }
}

static void walk_bucket(void *arg, size_t task, int worker) {
    (void)worker;
    struct sorted *s = arg;
    struct stretch *x = &s->stretch[s->from + task];
    const struct row *row = s->buffer + x->begin;
    for (size_t begin = 0, end; begin < x->n; begin = end) {
        uint64_t rows[2] = {0, 0};
        double weight[2] = {0, 0}, win[2];
        for (end = begin; end < x->n && row[end].score == row[begin].score; end++) {
            rows[row[end].who & 1]++;
            weight[row[end].who & 1] += row[end].weight;
        }
        add_tie(s->state, x, row[begin].score, rows, weight, win);
        if (begin + AHEAD < x->n) // a member's sum is seldom near
            __builtin_prefetch(&s->state->won[row[begin + AHEAD].who >> 1], 1);
        add_shares(s->state, row + begin, end - begin, win);
    }
}

static void sort_bucket(void *arg, size_t task, int worker) {
    struct sorted *s = arg;
    struct stretch *x = &s->stretch[s->from + task];
    struct row *row = s->buffer + x->begin;
    sort_rows(row, s->room[worker], x->n);
    for (size_t i = 0; i < x->n; i++) {
        x->rows[row[i].who & 1]++;
        x->weight[row[i].who & 1] += row[i].weight;
    }
}

// ---- gathering ----

static void count_part(void *arg, size_t part, int worker) {
    (void)worker;
    struct sorted *s = arg;
    const struct brew_bulk_state *t = s->state;
    struct span span = s->span;
    uint32_t *count = s->count[part];
    brew_folder_block *b = brew_alloc(sizeof *b);
    size_t end = brew_bulk_begin(t, part + 1);
    memset(count, 0, sizeof s->count[part]);
    for (int i = 0; i < BUCKETS; i++) {
        s->least[part][i] = INFINITY;
        s->most[part][i] = -INFINITY;
    }
    for (size_t at = brew_bulk_begin(t, part); at < end; at += b->n) {
        brew_folder_read_scores(t->folder, at, end, b);
        for (size_t i = 0; i < b->n; i++) {
            double score = b->score[i];
            if (b->target[i] < 0 || score < span.least || score > span.most) continue;
            size_t k = bucket_of(&span, score);
            count[k]++;
            if (score < s->least[part][k]) s->least[part][k] = score;
            if (score > s->most[part][k]) s->most[part][k] = score;
        }
    }
    free(b);
}

static void gather_part(void *arg, size_t part, int worker) {
    (void)worker;
    struct sorted *s = arg;
    const struct brew_bulk_state *t = s->state;
    struct span span = s->span;
    bool weighted = t->folder->weights.data != NULL;
    size_t *place = s->place[part], end = brew_bulk_begin(t, part + 1);
    brew_folder_block *b = brew_alloc(sizeof *b);
    for (size_t at = brew_bulk_begin(t, part); at < end; at += b->n) {
        brew_folder_read_scores(t->folder, at, end, b);
        for (size_t i = 0; i < b->n; i++) {
            double score = b->score[i];
            if (b->target[i] < 0 || score < span.least || score > span.most) continue;
            size_t k = bucket_of(&span, score);
            if (k < s->from || k >= s->to) continue;
            uint32_t who = brew_ids_of(&t->ids, brew_folder_member(t->folder, at + i)) << 1;
            float weight = weighted ? brew_folder_weight(t->folder, at + i) : 1;
            s->buffer[place[k]++] = (struct row){score, who | (uint32_t)b->target[i], weight};
        }
    }
    free(b);
}

static void make_room(struct sorted *s, size_t rows) {
    if (rows <= s->room_rows) return;
    s->room_rows = rows + rows / 4;
    for (int i = 0; i < brew_pool_threads(s->state->pool); i++) {
        free(s->room[i]);
        s->room[i] = brew_realloc_array(NULL, s->room_rows, sizeof **s->room);
    }
}

// The buckets at hand fit the buffer: gathers, sorts and walks them.
static void do_buckets(struct sorted *s) {
    struct brew_bulk_state *t = s->state;
    size_t at = 0, most = 0;
    for (size_t k = s->from; k < s->to; k++) {
        s->stretch[k] = (struct stretch){.begin = at};
        for (size_t p = 0; p < BREW_BULK_PARTS; p++) {
            s->place[p][k] = at;
            at += s->count[p][k];
        }
        s->stretch[k].n = at - s->stretch[k].begin;
        if (s->stretch[k].n > most) most = s->stretch[k].n;
    }
    make_room(s, most);
    brew_pool_run(t->pool, BREW_BULK_PARTS, gather_part, s);
    brew_pool_run(t->pool, s->to - s->from, sort_bucket, s);
    for (size_t k = s->from; k < s->to; k++)
        for (int y = 0; y < 2; y++) {
            struct stretch *x = &s->stretch[k];
            x->rows_below[y] = s->rows_below[y];
            x->weight_below[y] = s->weight_below[y];
            s->rows_below[y] += x->rows[y];
            s->weight_below[y] += x->weight[y];
        }
    brew_pool_run(t->pool, s->to - s->from, walk_bucket, s);
}

static void add_stretch(struct brew_bulk_state *t, const struct stretch *x, uint64_t *wins2) {
    *wins2 += x->wins2;
    t->auc += x->wins;
    t->precision += x->precision;
    for (int i = 0; i < BREW_ECE_BINS; i++) t->ece[i] += x->ece[i];
}

// More rows of one score than fit the buffer: one block, whose sums come first and then the shares.
static void one_score(struct sorted *s, double score, uint64_t *wins2) {
    struct brew_bulk_state *t = s->state;
    brew_folder_block *b = brew_alloc(sizeof *b);
    struct stretch x = {0};
    double win[2] = {0, 0};
    for (int pass = 0; pass < 2; pass++) {
        for (size_t at = 0; at < t->folder->n; at += b->n) {
            brew_folder_read(t->folder, at, t->folder->n, b);
            for (size_t i = 0; i < b->n; i++) {
                if (b->target[i] < 0 || b->score[i] != score) continue;
                uint32_t who = brew_ids_of(&t->ids, b->member[i]) << 1 | (uint32_t)b->target[i];
                struct row row = {score, who, (float)b->weight[i]};
                x.rows[who & 1] += pass == 0;
                x.weight[who & 1] += pass == 0 ? row.weight : 0;
                if (pass == 1) add_shares(t, &row, 1, win);
            }
        }
        if (pass == 1) break;
        for (int y = 0; y < 2; y++) {
            x.rows_below[y] = s->rows_below[y];
            x.weight_below[y] = s->weight_below[y];
            s->rows_below[y] += x.rows[y];
            s->weight_below[y] += x.weight[y];
        }
        add_tie(t, &x, score, x.rows, x.weight, win);
    }
    add_stretch(t, &x, wins2);
    free(b);
}

static void do_span(struct sorted *s, double least, double most, uint64_t *wins2) {
    struct brew_bulk_state *t = s->state;
    size_t total[BUCKETS];
    double low[BUCKETS], high[BUCKETS];
    s->span = span_of(least, most, BUCKETS);
    brew_pool_run(t->pool, BREW_BULK_PARTS, count_part, s);
    for (size_t k = 0; k < BUCKETS; k++) {
        total[k] = 0;
        low[k] = INFINITY;
        high[k] = -INFINITY;
        for (size_t p = 0; p < BREW_BULK_PARTS; p++) {
            total[k] += s->count[p][k];
            low[k] = fmin(low[k], s->least[p][k]);
            high[k] = fmax(high[k], s->most[p][k]);
        }
    }
    struct span span = s->span;
    for (size_t from = 0, to; from < BUCKETS; from = to) {
        size_t rows = total[from];
        for (to = from + 1; to < BUCKETS && rows + total[to] <= t->buffer_rows; to++)
            rows += total[to];
        if (rows == 0) continue;
        if (rows > t->buffer_rows) { // one bucket, more than the buffer
            if (low[from] < high[from])
                do_span(s, low[from], high[from], wins2);
            else
                one_score(s, low[from], wins2);
            s->span = span;
            brew_pool_run(t->pool, BREW_BULK_PARTS, count_part, s);
            continue;
        }
        s->from = from;
        s->to = to;
        do_buckets(s);
        for (size_t k = from; k < to; k++) add_stretch(t, &s->stretch[k], wins2);
    }
}

int brew_bulk_sorted(struct brew_bulk_state *t, brew_err *err) {
    int threads = brew_pool_threads(t->pool);
    size_t all = (size_t)(t->rows[0] + t->rows[1]);
    if (all < t->buffer_rows) t->buffer_rows = all;
    brew_slab slab;
    if (all == 0) return 0;
    if (t->weight[0] > 0 && t->weight[1] > 0) t->pair = 0x1p61 / (t->weight[0] * t->weight[1]);
    if (brew_slab_init(&slab, t->buffer_rows * sizeof(struct row), "the rows to sort", err) < 0)
        return -1;
    struct sorted s = {.state = t, .buffer = slab.ptr};
    uint64_t wins2 = 0;
    s.room = brew_calloc((size_t)threads, sizeof *s.room);
    s.stretch = brew_calloc(BUCKETS, sizeof *s.stretch);
    s.count = brew_calloc(BREW_BULK_PARTS, sizeof *s.count);
    s.place = brew_calloc(BREW_BULK_PARTS, sizeof *s.place);
    s.least = brew_calloc(BREW_BULK_PARTS, sizeof *s.least);
    s.most = brew_calloc(BREW_BULK_PARTS, sizeof *s.most);
    do_span(&s, t->least, t->most, &wins2);
    for (int i = 0; i < threads; i++) free(s.room[i]);
    free(s.room);
    free(s.stretch);
    free(s.count);
    free(s.place);
    free(s.least);
    free(s.most);
    brew_slab_release(&slab);
    if (!t->folder->weights.data) t->auc = (double)wins2 / 2;
    return 0;
}
