// item_knn of past.h: similarity by the members who liked both, counted as of each question.
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "rank/auc.h"
#include "rank/past_parts.h"

enum { RECENT = 50, MEMBERS = 20000, QUESTIONS = 256 };

struct knn {
    const brew_past *past;
    const struct brew_questions *q;
    const uint32_t *order;
    uint32_t *by_member; // events of a member in the order of time: [member_split[m]..)
    size_t *member_split;
    uint32_t *fans; // positive events of an item, of members that are kept, in the order of members
    size_t *fan_split;
    double *rate; // [n + 1] positive rate of the first events in the order of time
    double *score;
};

static bool kept(const brew_past *p, uint32_t member) {
    if (p->members.count <= MEMBERS) return true;
    const struct brew_intern_entry *e = &p->members.entries[member];
    return (double)brew_hash64(e->ptr, e->len, 1) < 0x1p64 * MEMBERS / (double)p->members.count;
}

// Events that come before a time, of a list in the order of time.
static size_t known_before(const brew_past *p, const uint32_t *list, size_t n, int64_t ms) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (p->known_ms[list[mid]] < ms)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

// Members with a positive event of i, of j, and of both, before ms, but for one. An event of a member who
// has several of an item counts once: the first.
static double similarity(const struct knn *k, uint32_t i, uint32_t j, uint32_t but, int64_t ms) {
    const brew_past *p = k->past;
    const uint32_t *a = k->fans + k->fan_split[i], *a_end = k->fans + k->fan_split[i + 1];
    const uint32_t *b = k->fans + k->fan_split[j], *b_end = k->fans + k->fan_split[j + 1];
    double of_a = 0, of_b = 0, both = 0;
    while (a < a_end || b < b_end) {
        uint32_t of = UINT32_MAX;
        bool in_a = false, in_b = false;
        if (a < a_end) of = p->member[*a];
        if (b < b_end && p->member[*b] < of) of = p->member[*b];
        for (; a < a_end && p->member[*a] == of; a++) in_a |= p->known_ms[*a] < ms;
        for (; b < b_end && p->member[*b] == of; b++) in_b |= p->known_ms[*b] < ms;
        if (of == but) continue;
        of_a += in_a;
        of_b += in_b;
        both += in_a && in_b;
    }
    return both / sqrt((of_a + 5) * (of_b + 5));
}

static void ask(void *arg, size_t task, int worker) {
    (void)worker;
    struct knn *k = arg;
    const brew_past *p = k->past;
    size_t end = (task + 1) * QUESTIONS < k->q->n ? (task + 1) * QUESTIONS : k->q->n;
    for (size_t row = task * QUESTIONS; row < end; row++) {
        uint32_t member = k->q->member[row], item = k->q->item[row];
        int64_t ms = k->q->asked_ms[row];
        k->score[row] = 0;
        if (member == UINT32_MAX || item == UINT32_MAX) continue;
        const uint32_t *history = k->by_member + k->member_split[member];
        size_t n = k->member_split[member + 1] - k->member_split[member];
        n = known_before(p, history, n, ms);
        double rate = k->rate[known_before(p, k->order, p->n, ms)];
        for (size_t h = n > RECENT ? n - RECENT : 0; h < n; h++) {
            double y = p->positive[history[h]] ? 1 : rate < 1 ? -rate / (1 - rate) : 0;
            k->score[row] += y * similarity(k, item, p->item[history[h]], member, ms);
        }
    }
}

// Positive events of members that are kept, gathered by item, each item's in the order of members.
static void find_fans(struct knn *k) {
    const brew_past *p = k->past;
    uint32_t *order = brew_realloc_array(NULL, p->n + 1, sizeof *order);
    uint32_t *rows = brew_realloc_array(NULL, p->n + 1, sizeof *rows);
    size_t n = 0;
    for (size_t m = 0; m < p->members.count; m++)
        for (size_t i = k->member_split[m]; i < k->member_split[m + 1]; i++)
            if (p->positive[k->by_member[i]] && kept(p, (uint32_t)m)) order[n++] = k->by_member[i];
    uint32_t *item = brew_realloc_array(NULL, n + 1, sizeof *item);
    uint32_t *place = brew_realloc_array(NULL, n + 1, sizeof *place);
    for (size_t i = 0; i < n; i++) {
        item[i] = p->item[order[i]];
        place[i] = (uint32_t)i;
    }
    brew_gather(place, item, n, p->items.count, rows, k->fan_split);
    for (size_t i = 0; i < n; i++) k->fans[i] = order[rows[i]];
    free(order);
    free(rows);
    free(item);
    free(place);
}

int brew_past_neighbours(const brew_past *p, const uint32_t *order, const struct brew_questions *q,
                         brew_pool *pool, double *score, brew_err *err) {
    struct knn k = {.past = p, .q = q, .order = order, .score = score};
    (void)err;
    k.by_member = brew_realloc_array(NULL, p->n + 1, sizeof *k.by_member);
    k.fans = brew_realloc_array(NULL, p->n + 1, sizeof *k.fans);
    k.member_split = brew_realloc_array(NULL, p->members.count + 1, sizeof *k.member_split);
    k.fan_split = brew_realloc_array(NULL, p->items.count + 1, sizeof *k.fan_split);
    k.rate = brew_realloc_array(NULL, p->n + 1, sizeof *k.rate);
    brew_gather(order, p->member, p->n, p->members.count, k.by_member, k.member_split);
    double positives = 0;
    k.rate[0] = .5;
    for (size_t i = 0; i < p->n; i++) {
        positives += p->positive[order[i]];
        k.rate[i + 1] = positives / (double)(i + 1);
    }
    find_fans(&k);
    brew_pool_run(pool, (q->n + QUESTIONS - 1) / QUESTIONS, ask, &k);
    free(k.by_member);
    free(k.fans);
    free(k.member_split);
    free(k.fan_split);
    free(k.rate);
    return 0;
}
