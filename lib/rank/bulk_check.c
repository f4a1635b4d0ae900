// The first pass over a column folder: are all values what they should be, and who are the members?
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rank/bulk_parts.h"

enum { DENSE = 1 << 24 };

struct part {
    uint64_t rows[2], unknown;
    double weight[2], least, most;
    int64_t first_id, last_id; // the least and the greatest
    size_t bad;                // the first bad row, SIZE_MAX: none
    const char *why;
};

struct check {
    const struct brew_bulk_state *state;
    struct part part[BREW_BULK_PARTS];
};

static const char *bad_row(const brew_folder_block *b, size_t i) {
    if (b->target[i] > 1) return "the target is not 1, 0 or -1";
    if (!isfinite(b->score[i])) return "the score is not finite";
    return b->weight[i] >= 0 && b->weight[i] <= 1e30 ? NULL : "the weight is not in 0 to 1e30";
}

static void check_part(void *arg, size_t number, int worker) {
    (void)worker;
    struct check *c = arg;
    struct part *p = &c->part[number];
    brew_folder_block *b = brew_alloc(sizeof *b);
    size_t end = brew_bulk_begin(c->state, number + 1);
    *p = (struct part){.least = INFINITY,
                       .most = -INFINITY,
                       .first_id = INT64_MAX,
                       .last_id = INT64_MIN,
                       .bad = SIZE_MAX};
    for (size_t at = brew_bulk_begin(c->state, number); at < end && !p->why; at += b->n) {
        brew_folder_read(c->state->folder, at, end, b);
        for (size_t i = 0; i < b->n; i++) {
            const char *why = bad_row(b, i);
            if (why) {
                p->why = why;
                p->bad = at + i;
                break;
            }
            if (b->target[i] < 0) {
                p->unknown++;
                continue;
            }
            p->rows[b->target[i]]++;
            p->weight[b->target[i]] += b->weight[i];
            if (b->score[i] < p->least) p->least = b->score[i];
            if (b->score[i] > p->most) p->most = b->score[i];
            if (b->member[i] < p->first_id) p->first_id = b->member[i];
            if (b->member[i] > p->last_id) p->last_id = b->member[i];
        }
    }
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
