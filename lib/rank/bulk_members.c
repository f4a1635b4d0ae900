// What each member's rows add up to, in one pass: of the intervals, and of what needs no order.
#include <math.h>
#include <stdlib.h>

#include "rank/bulk_parts.h"
#include "rank/odds.h"

enum { INDEX = 32768, AHEAD = 16, FACTORS = 16 };

// Where to look for the cell of a score: those whose least score lies in the span's buckets below k are the
// first `below[k]`. `steps` halve the most that any bucket leaves to choose from.
struct cell_index {
    const struct brew_bulk_cell *cell;
    struct brew_span span;
    int steps;
    uint32_t below[INDEX + 1];
};

// The first cell that a score of bucket k may be in, and how many there are.
static size_t candidates(const struct cell_index *index, size_t k, size_t *n) {
    size_t first = index->below[k] - (index->below[k] > 0);
    *n = index->below[k + 1] - first;
    return first;
}

static void index_cells(struct cell_index *index, const struct brew_bulk_state *s) {
    size_t n, most = 1;
    index->cell = s->cells.cell;
    index->span = brew_span_of(s->least, s->most, INDEX);
    for (size_t i = 0; i < s->cells.n; i++)
        index->below[brew_span_bucket(&index->span, s->cells.cell[i].from) + 1]++;
    for (size_t k = 0; k < INDEX; k++) index->below[k + 1] += index->below[k];
    for (size_t k = 0; k < INDEX; k++) {
        candidates(index, k, &n);
        most = n > most ? n : most;
    }
    while ((size_t)1 << index->steps < most) index->steps++;
}

// As many steps for every score, without branches: where it lies is not to be foreseen.
static const struct brew_bulk_cell *find_cell(const struct cell_index *index, double score) {
    size_t n, at = candidates(index, brew_span_bucket(&index->span, score), &n);
    for (int i = 0; i < index->steps; i++) {
        size_t half = n / 2;
        at += half & -(size_t)(index->cell[at + half].from <= score);
        n -= half;
    }
    return &index->cell[at];
}

// Sums over rows of one member that stand together, or of all.
struct run {
    double w, wy, wp, logloss, brier, won;
    double product; // of what is still to go into logloss: a logarithm for FACTORS rows
    int factors;
};

struct adding {
    struct brew_bulk_state *state;
    struct cell_index index;
    struct run total[BREW_BULK_PARTS];
};

static void add_losses(struct run *r) {
    if (r->factors) r->logloss -= log(r->product);
    r->product = 1;
    r->factors = 0;
}

// What happened had probability p; FACTORS of these are far from underflow.
static void add_loss(struct run *r, double p, double weight, bool weighted) {
    if (weighted) {
        r->logloss -= weight * log(p);
        return;
    }
    r->product *= p;
    if (++r->factors == FACTORS) add_losses(r);
}

static void flush(const struct brew_bulk_state *s, uint32_t member, struct run *r,
                  struct run *total) {
    struct brew_bulk_sums *to = &s->sums[member];
    double unit = 0x1p61 / (s->weight[0] + s->weight[1]);
    add_losses(r);
    if (r->w > 0) {
        __atomic_fetch_add(&to->w, (int64_t)(r->w * unit + .5), __ATOMIC_RELAXED);
        __atomic_fetch_add(&to->wy, (int64_t)(r->wy * unit + .5), __ATOMIC_RELAXED);
        __atomic_fetch_add(&to->wp, (int64_t)(r->wp * unit + .5), __ATOMIC_RELAXED);
        __atomic_fetch_add(&to->logloss, (int64_t)(r->logloss * unit / 35 + .5), __ATOMIC_RELAXED);
        __atomic_fetch_add(&to->brier, (int64_t)(r->brier * unit + .5), __ATOMIC_RELAXED);
        __atomic_fetch_add(&to->won, (int64_t)(r->won + .5), __ATOMIC_RELAXED);
    }
    total->wp += r->wp;
    total->logloss += r->logloss;
    total->brier += r->brier;
    *r = (struct run){.product = 1};
}

static void add_part(void *arg, size_t part, int worker) {
    (void)worker;
    struct adding *a = arg;
    const struct brew_bulk_state *s = a->state;
    bool probabilities = s->least >= 0 && s->most <= 1, weighted = s->folder->weights.data;
    size_t end = brew_bulk_begin(s, part + 1);
    struct run run = {.product = 1};
    uint32_t member = 0, who[BREW_FOLDER_BLOCK];
    brew_folder_block *b = brew_alloc(sizeof *b);
    for (size_t at = brew_bulk_begin(s, part); at < end; at += b->n) {
        brew_folder_read(s->folder, at, end, b);
        for (size_t i = 0; i < b->n; i++) {
            if (i + AHEAD < b->n) brew_ids_expect(&s->ids, b->member[i + AHEAD]);
            who[i] = b->target[i] < 0 ? 0 : brew_ids_of(&s->ids, b->member[i]);
        }
        for (size_t i = 0; i < b->n; i++) {
            if (b->target[i] < 0) continue;
            if (who[i] != member) { // its sums are seldom near
                flush(s, member, &run, &a->total[part]);
                member = who[i];
            }
            if (i + AHEAD < b->n) __builtin_prefetch(&s->sums[who[i + AHEAD]], 1);
            int y = b->target[i];
            double w = b->weight[i], p = b->score[i];
            run.w += w;
            run.wy += w * y;
            run.won += w * find_cell(&a->index, p)->win[y];
            if (!probabilities) continue;
            double cut = brew_cut_probability(p);
            const double happened[2] = {1 - cut, cut};
            run.wp += w * p;
            run.brier += w * (p - y) * (p - y);
            add_loss(&run, happened[y], w, weighted);
        }
    }
    flush(s, member, &run, &a->total[part]);
    free(b);
}

void brew_bulk_members(struct brew_bulk_state *s) {
    struct adding *a = brew_calloc(1, sizeof *a);
    if (s->cells.n == 0) return free(a);
    a->state = s;
    index_cells(&a->index, s);
    brew_pool_run(s->pool, BREW_BULK_PARTS, add_part, a);
    for (size_t i = 0; i < BREW_BULK_PARTS; i++) {
        s->wp += a->total[i].wp;
        s->logloss += a->total[i].logloss;
        s->brier += a->total[i].brier;
    }
    free(a);
}
