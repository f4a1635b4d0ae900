// One sweep over events and questions in the order of time.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rank/auc.h"
#include "rank/baseline.h"
#include "rank/past_parts.h"

static const int64_t DAY_MS = 86400000;

enum column {
    RATE,
    ITEM,
    MEMBER,
    MEMBER_ITEM,
    LIKE_RATIO,
    POPULAR_7D,
    POPULAR_30D,
    REPEAT,
    ITEM_KNN,
    COLUMNS
};

static const struct {
    const char *name;
    bool probability;
} columns[COLUMNS] = {{"rate", true},         {"item", true},       {"member", true},
                      {"member_item", false}, {"like_ratio", true}, {"popular_7d", false},
                      {"popular_30d", false}, {"repeat", false},    {"item_knn", false}};

brew_past *brew_past_new(void) {
    return brew_calloc(1, sizeof(brew_past));
}

void brew_past_free(brew_past *p) {
    if (!p) return;
    brew_intern_release(&p->members);
    brew_intern_release(&p->items);
    free(p->member);
    free(p->item);
    free(p->known_ms);
    free(p->positive);
    free(p);
}

void brew_past_add(brew_past *p, const char *member, size_t member_len, const char *item,
                   size_t item_len, int64_t known_ms, bool positive) {
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 1024;
        p->member = brew_realloc_array(p->member, p->cap, sizeof *p->member);
        p->item = brew_realloc_array(p->item, p->cap, sizeof *p->item);
        p->known_ms = brew_realloc_array(p->known_ms, p->cap, sizeof *p->known_ms);
        p->positive = brew_realloc_array(p->positive, p->cap, sizeof *p->positive);
    }
    p->member[p->n] = (uint32_t)brew_intern_put(&p->members, member, member_len);
    p->item[p->n] = (uint32_t)brew_intern_put(&p->items, item, item_len);
    p->known_ms[p->n] = known_ms;
    p->positive[p->n++] = positive;
}

// What is known so far.
struct sweep {
    const brew_past *past;
    struct brew_tally all, *members, *items;
    uint32_t *recent[2]; // [items] positive events of the last 7 and 30 days
    size_t expired[2];   // events before the two windows
    uint8_t *last;       // [members] outcome of the last event
    uint64_t *pair;      // an open table of (member, item), + 1
    uint8_t *last_with;  // of the pair in the same slot
    size_t mask;
};

static size_t pair_slot(const struct sweep *s, uint32_t member, uint32_t item) {
    uint64_t key = ((uint64_t)member << 32 | item) + 1;
    size_t at = brew_hash64(&key, sizeof key, 0) & s->mask;
    while (s->pair[at] && s->pair[at] != key) at = (at + 1) & s->mask;
    return at;
}

static void start(struct sweep *s, const brew_past *p) {
    size_t slots = 16;
    while (slots < 2 * p->n) slots *= 2;
    *s = (struct sweep){.past = p, .mask = slots - 1};
    s->members = brew_calloc(p->members.count + 1, sizeof *s->members);
    s->items = brew_calloc(p->items.count + 1, sizeof *s->items);
    s->last = brew_calloc(p->members.count + 1, 1);
    for (int w = 0; w < 2; w++) s->recent[w] = brew_calloc(p->items.count + 1, sizeof **s->recent);
    s->pair = brew_calloc(slots, sizeof *s->pair);
    s->last_with = brew_calloc(slots, 1);
}

static void release(struct sweep *s) {
    free(s->members);
    free(s->items);
    free(s->last);
    free(s->recent[0]);
    free(s->recent[1]);
    free(s->pair);
    free(s->last_with);
}

static void learn(struct sweep *s, uint32_t event) {
    const brew_past *p = s->past;
    uint32_t member = p->member[event], item = p->item[event], y = p->positive[event];
    struct brew_tally *tallies[] = {&s->all, &s->members[member], &s->items[item]};
    for (int i = 0; i < 3; i++) {
        tallies[i]->n++;
        tallies[i]->positives += y;
    }
    s->recent[0][item] += y;
    s->recent[1][item] += y;
    s->last[member] = (uint8_t)y;
    size_t at = pair_slot(s, member, item);
    s->pair[at] = ((uint64_t)member << 32 | item) + 1;
    s->last_with[at] = (uint8_t)y;
}

static void forget(struct sweep *s, const uint32_t *order, size_t known, int64_t asked_ms) {
    static const int64_t days[] = {7, 30};
    const brew_past *p = s->past;
    for (int w = 0; w < 2; w++)
        for (size_t *i = &s->expired[w]; *i < known; ++*i) {
            if (p->known_ms[order[*i]] >= asked_ms - days[w] * DAY_MS) break;
            s->recent[w][p->item[order[*i]]] -= p->positive[order[*i]];
        }
}

static double deviation(const struct brew_tally *t, double mean) {
    return ((double)t->positives - (double)t->n * mean) / ((double)t->n + 5);
}

static void answer(const struct sweep *s, uint32_t member, uint32_t item, size_t row,
                   brew_system *of) {
    static const struct brew_tally none;
    const struct brew_tally *m = member == UINT32_MAX ? &none : &s->members[member];
    const struct brew_tally *i = item == UINT32_MAX ? &none : &s->items[item];
    double mean = s->all.n ? (double)s->all.positives / (double)s->all.n : .5, repeat = mean;
    if (m->n) repeat = s->last[member];
    if (m->n && i->n) {
        size_t at = pair_slot(s, member, item);
        if (s->pair[at]) repeat = s->last_with[at];
    }
    of[RATE].score[row] = mean;
    of[ITEM].score[row] = mean + deviation(i, mean);
    of[MEMBER].score[row] = mean + deviation(m, mean);
    of[MEMBER_ITEM].score[row] = mean + deviation(i, mean) + deviation(m, mean);
    of[LIKE_RATIO].score[row] = ((double)m->positives + 1) / ((double)m->n + 2);
    of[POPULAR_7D].score[row] = item == UINT32_MAX ? 0 : s->recent[0][item];
    of[POPULAR_30D].score[row] = item == UINT32_MAX ? 0 : s->recent[1][item];
    of[REPEAT].score[row] = repeat;
}

static int by_time(const int64_t *ms, size_t n, brew_pool *pool, uint32_t **order, brew_err *err) {
    double *time = brew_realloc_array(NULL, n + 1, sizeof *time);
    *order = brew_realloc_array(NULL, n + 1, sizeof **order);
    for (size_t i = 0; i < n; i++) time[i] = (double)ms[i];
    int status = brew_order(time, n, pool, *order, err);
    free(time);
    return status;
}

static void sweep(const brew_past *p, const uint32_t *order, const struct brew_questions *q,
                  const uint32_t *asked, brew_system *of) {
    struct sweep s;
    size_t known = 0;
    start(&s, p);
    for (size_t i = 0; i < q->n; i++) {
        uint32_t row = asked[i];
        while (known < p->n && p->known_ms[order[known]] < q->asked_ms[row])
            learn(&s, order[known++]);
        forget(&s, order, known, q->asked_ms[row]);
        answer(&s, q->member[row], q->item[row], row, of);
    }
    release(&s);
}

// The numbers that the reader's names have in the past; the reader puts a '=' before them.
static uint32_t *translate(const brew_intern *from, const brew_intern *to) {
    uint32_t *number = brew_realloc_array(NULL, from->count + 1, sizeof *number);
    for (size_t i = 0; i < from->count; i++) {
        const char *name = from->entries[i].ptr;
        size_t found = SIZE_MAX;
        if (*name == '=') found = brew_intern_get(to, name + 1, from->entries[i].len - 1);
        number[i] = found == SIZE_MAX ? UINT32_MAX : (uint32_t)found;
    }
    return number;
}

static uint32_t *numbers_of(const brew_intern *from, const brew_intern *to, const uint32_t *rows,
                            size_t n) {
    uint32_t *number = translate(from, to), *out = brew_realloc_array(NULL, n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) out[i] = number[rows[i]];
    free(number);
    return out;
}

int64_t brew_past_list(brew_past *p, const brew_reader *r, brew_pool *pool, brew_systems *systems,
                       brew_err *err) {
    size_t n = r->answers.n, first = systems->n;
    int64_t unknown = 0;
    for (size_t i = 0; i < n; i++) unknown += r->asked_ms[i] == BREW_ASKED_UNKNOWN;
    if (unknown) return unknown;
    for (int c = 0; c < COLUMNS; c++)
        brew_systems_add(systems, "as_of", columns[c].name, columns[c].probability, n);
    brew_system *of = systems->list + first;
    uint32_t *member = numbers_of(&r->members, &p->members, r->answers.member, n);
    uint32_t *item = numbers_of(&r->items, &p->items, r->answers.item, n);
    uint32_t *order = NULL, *asked = NULL;
    struct brew_questions q = {member, item, r->asked_ms, n};
    int status = by_time(p->known_ms, p->n, pool, &order, err);
    if (status == 0) status = by_time(r->asked_ms, n, pool, &asked, err);
    if (status == 0) sweep(p, order, &q, asked, of);
    if (status == 0) status = brew_past_neighbours(p, order, &q, pool, of[ITEM_KNN].score, err);
    free(member);
    free(item);
    free(order);
    free(asked);
    return status;
}
