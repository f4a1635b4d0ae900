// The first pass over a column folder: are all values what they should be, and who are the members?
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rank/bulk_parts.h"

enum { DENSE = 1 << 24, AHEAD = 16 };

struct part {
    uint64_t rows[2], unknown;
    double weight[2], least, most;
    int64_t first_id, last_id; // the least and the greatest
    const char *why;           // NULL: no bad row
    size_t bad;                // the first one
};

struct check {
    const struct brew_bulk_state *state;
    struct part part[BREW_BULK_PARTS];
};

// Why some row of the block is bad; sets its place in it.
static const char *find_bad(const brew_folder_block *b, size_t *at) {
    for (size_t i = 0; i < b->n; i++) {
        *at = i;
        if (b->target[i] > 1) return "the target is not 1, 0 or -1";
        if (!isfinite(b->score[i])) return "the score is not finite";
        if (!(b->weight[i] >= 0 && b->weight[i] <= 1e30)) return "the weight is not in 0 to 1e30";
    }
    return NULL;
}

// Without branches: rows of unknown outcome count as what changes nothing.
static void add_block(struct part *p, const brew_folder_block *b, bool weighted) {
    size_t known = 0, positives = 0;
    double least = p->least, most = p->most;
    int64_t first = p->first_id, last = p->last_id;
    for (size_t i = 0; i < b->n; i++) {
        known += b->target[i] >= 0;
        positives += b->target[i] > 0;
    }
    for (size_t i = 0; i < b->n; i++) {
        double low = b->target[i] < 0 ? INFINITY : b->score[i];
        double high = b->target[i] < 0 ? -INFINITY : b->score[i];
        least = low < least ? low : least;
        most = high > most ? high : most;
    }
    for (size_t i = 0; i < b->n; i++) {
        int64_t low = b->target[i] < 0 ? INT64_MAX : b->member[i];
        int64_t high = b->target[i] < 0 ? INT64_MIN : b->member[i];
        first = low < first ? low : first;
        last = high > last ? high : last;
    }
    p->rows[0] += known - positives;
    p->rows[1] += positives;
    p->unknown += b->n - known;
    p->least = least;
    p->most = most;
    p->first_id = first;
    p->last_id = last;
    for (size_t i = 0; weighted && i < b->n; i++)
        if (b->target[i] >= 0) p->weight[b->target[i]] += b->weight[i];
}

static bool is_bad(const brew_folder_block *b, bool weighted) {
    int bad = 0;
    for (size_t i = 0; i < b->n; i++) bad |= b->target[i] > 1;
    for (size_t i = 0; i < b->n; i++) bad |= !(fabs(b->score[i]) < INFINITY);
    for (size_t i = 0; weighted && i < b->n; i++)
        bad |= !(b->weight[i] >= 0) | !(b->weight[i] <= 1e30);
    return bad;
}

static void check_part(void *arg, size_t number, int worker) {
    (void)worker;
    struct check *c = arg;
    struct part *p = &c->part[number];
    bool weighted = c->state->folder->weights.data;
    brew_folder_block *b = brew_alloc(sizeof *b);
    size_t end = brew_bulk_begin(c->state, number + 1);
    *p = (struct part){
        .least = INFINITY, .most = -INFINITY, .first_id = INT64_MAX, .last_id = INT64_MIN};
    for (size_t at = brew_bulk_begin(c->state, number); at < end && !p->why; at += b->n) {
        brew_folder_read(c->state->folder, at, end, b);
        if (is_bad(b, weighted)) {
            p->why = find_bad(b, &p->bad);
            p->bad += at;
        } else {
            add_block(p, b, weighted);
        }
    }
    for (int y = 0; !weighted && y < 2; y++) p->weight[y] = (double)p->rows[y];
    free(b);
}

static void grow(struct brew_ids *ids) {
    struct brew_ids old = *ids;
    ids->mask = old.key ? 2 * old.mask + 1 : ((uint64_t)1 << 16) - 1;
    ids->key = brew_calloc(ids->mask + 1, sizeof *ids->key);
    ids->number = brew_realloc_array(NULL, ids->mask + 1, sizeof *ids->number);
    for (uint64_t i = 0; old.key && i <= old.mask; i++) {
        if (!old.key[i]) continue;
        uint64_t at = brew_ids_mix(old.key[i]) & ids->mask;
        while (ids->key[at]) at = (at + 1) & ids->mask;
        ids->key[at] = old.key[i];
        ids->number[at] = old.number[i];
    }
    free(old.key);
    free(old.number);
}

// Numbers in the order of first appearance; number 0 is kept for the id whose key would be empty.
static void number_members(struct brew_bulk_state *s) {
    struct brew_ids *ids = &s->ids;
    brew_folder_block *b = brew_alloc(sizeof *b);
    bool any = false;
    int64_t last = 0;
    ids->n = 1;
    grow(ids);
    for (size_t at = 0; at < s->folder->n; at += b->n) {
        brew_folder_read(s->folder, at, s->folder->n, b);
        for (size_t i = 0; i < b->n; i++) {
            if (i + AHEAD < b->n) brew_ids_expect(ids, b->member[i + AHEAD]);
            if (b->target[i] < 0 || (any && b->member[i] == last)) continue;
            any = true;
            last = b->member[i];
            uint64_t key = (uint64_t)last + 1, slot = brew_ids_mix(key) & ids->mask;
            if (key == 0) continue;
            while (ids->key[slot] && ids->key[slot] != key) slot = (slot + 1) & ids->mask;
            if (ids->key[slot]) continue;
            ids->key[slot] = key;
            ids->number[slot] = (uint32_t)ids->n++;
            if (ids->n > ids->mask / 2) grow(ids);
        }
    }
    free(b);
}

int brew_bulk_check(struct brew_bulk_state *s, brew_err *err) {
    struct check *c = brew_alloc(sizeof *c);
    int64_t first = INT64_MAX, last = INT64_MIN;
    int status = 0;
    c->state = s;
    brew_pool_run(s->pool, BREW_BULK_PARTS, check_part, c);
    s->least = INFINITY;
    s->most = -INFINITY;
    for (size_t i = 0; status == 0 && i < BREW_BULK_PARTS; i++) {
        const struct part *p = &c->part[i];
        if (p->why) status = brew_fail(err, BREW_DATA, "row %zu: %s", p->bad, p->why);
        for (int y = 0; y < 2; y++) {
            s->rows[y] += p->rows[y];
            s->weight[y] += p->weight[y];
        }
        s->unknown += p->unknown;
        s->least = fmin(s->least, p->least);
        s->most = fmax(s->most, p->most);
        if (p->first_id < first) first = p->first_id;
        if (p->last_id > last) last = p->last_id;
    }
    free(c);
    if (status < 0) return -1;
    s->ids.least = first;
    if (first > last) return 0;
    if ((uint64_t)last - (uint64_t)first < DENSE)
        s->ids.n = (size_t)((uint64_t)last - (uint64_t)first) + 1;
    else
        number_members(s);
    if (s->ids.n >= (size_t)1 << 31)
        return brew_fail(err, BREW_DATA, "%zu members are too many", s->ids.n);
    return 0;
}
