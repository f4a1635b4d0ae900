#include "text/prompt/event_items.h"

#include <stdlib.h>

#include "base/hash.h"
#include "text/prompt/sortkey.h"

enum { STRETCH = 4096, AHEAD = 8 }; // strings of a round's part; called for in advance

static const uint64_t DUPLICATE = UINT64_MAX;

// What is known of an item while its events pass: those before the last one's time, and all.
typedef struct passing {
    uint64_t before, events;
} passing;

// Strings in order, the first of which may be of the item of the last one before them.
typedef struct stretch {
    const unsigned char *last;             // that one, or NULL
    const unsigned char *strings[STRETCH]; // [n]
    uint64_t before[STRETCH]; // events of the item before this one's time, or DUPLICATE
    size_t n;
    size_t same_item, same_time; // so many are still of the last one's item, and at its time, too
    passing end;                 // behind the stretch, as far as it knows
    uint64_t duplicates, events, items;
    brew_buf copies;
    brew_strings members, times; // for the next sorts
} stretch;

typedef struct run {
    brew_item_pass *pass;
    stretch *stretches; // [n]
    size_t n;
    brew_buf last;   // string that has passed
    passing passing; // behind it
} run;

static bool begin_alike(const unsigned char *a, const unsigned char *b, size_t len) {
    return brew_sort_len(a) >= len && brew_sort_len(b) >= len && !memcmp(a + 4, b + 4, len);
}

// Counts as if nothing was before the stretch.
static void count(void *arg, size_t task, int worker) {
    const run *r = arg;
    const brew_item_pass *pass = r->pass;
    stretch *s = &r->stretches[task];
    const unsigned char *last = s->last;
    size_t item_len = 0; // of `last`, up to the time
    brew_row row;
    bool first_item = last != NULL, first_time = last != NULL;
    (void)worker;
    s->same_item = s->same_time = 0;
    s->duplicates = s->events = s->items = 0;
    s->end = (passing){0, 0};
    if (last) item_len = brew_row_of_item(pass->task, last, &row).item;
    for (size_t k = 0; k < s->n; k++) {
        const unsigned char *now = s->strings[k];
        if (k + AHEAD < s->n) __builtin_prefetch(s->strings[k + AHEAD]);
        bool same = last && begin_alike(last, now, item_len), event = true;
        bool same_time = same && begin_alike(last, now, item_len + 8);
        s->before[k] = DUPLICATE;
        if (!same || same_time || pass->candidates) {
            brew_item_lens lens = brew_row_of_item(pass->task, now, &row);
            event = row.action >= 0;
            item_len = lens.item;
            if (same_time && begin_alike(last, now, lens.event)) {
                s->duplicates++;
                s->same_item += first_item;
                s->same_time += first_time;
                continue;
            }
        }
        first_item &= same;
        first_time &= same_time;
        s->same_item += first_item;
        s->same_time += first_time;
        if (!same) s->end.events = 0;
        if (!same_time) s->end.before = s->end.events;
        s->items += !same && event;
        s->events += event;
        s->end.events += event;
        s->before[k] = s->end.before;
        last = now;
    }
}

// Puts what was before the stretch into it, and what is behind it into *p.
static void settle(passing *p, stretch *s) {
    for (size_t k = 0; k < s->same_item; k++)
        if (s->before[k] != DUPLICATE)
            s->before[k] = k < s->same_time ? p->before : p->events + s->before[k];
    if (s->same_item < s->n)
        *p = s->end;
    else
        *p = (passing){s->same_time < s->n ? p->events + s->end.before : p->before,
                       p->events + s->end.events};
}

static void rewrite(void *arg, size_t task, int worker) {
    const run *r = arg;
    const brew_item_pass *pass = r->pass;
    stretch *s = &r->stretches[task];
    (void)worker;
    brew_strings_reset(&s->members);
    brew_strings_reset(&s->times);
    for (size_t k = 0; k < s->n; k++) {
        brew_row row;
        if (s->before[k] == DUPLICATE) continue;
        brew_row_of_item(pass->task, s->strings[k], &row);
        if (pass->by_time && row.action >= 0) {
            size_t begin = brew_strings_begin(&s->times);
            brew_key_time(&s->times.bytes, row.time);
            brew_strings_end(&s->times, begin);
        }
        uint64_t hash = brew_hash64(row.member.ptr, row.member.len, 0);
        if (!brew_shard_holds(pass->shard, pass->shards, hash)) continue;
        size_t begin = brew_strings_begin(&s->members);
        brew_row_by_member(&row, hash, s->before[k], &s->members.bytes);
        brew_strings_end(&s->members, begin);
    }
}

// Takes the strings of a round: the number of stretches, 0 when no string is left, -1 on error.
static ptrdiff_t take(run *r, brew_err *err) {
    size_t n = 0;
    for (; n < r->n; n++) {
        stretch *s = &r->stretches[n];
        ptrdiff_t got =
            brew_sorter_next_many(r->pass->by_item, s->strings, STRETCH, &s->copies, err);
        if (got < 0) return -1;
        if (!got) break;
        s->n = (size_t)got;
        if (n)
            s->last = s[-1].strings[s[-1].n - 1];
        else
            s->last = r->last.len ? (const unsigned char *)r->last.ptr : NULL;
    }
    return (ptrdiff_t)n;
}

// One round: 1, 0 when no string is left, -1 on error.
static int pass_round(run *r, const brew_strings **lists, brew_err *err) {
    const brew_item_pass *pass = r->pass;
    ptrdiff_t got = take(r, err);
    if (got <= 0) return (int)got;
    size_t n = (size_t)got;
    brew_pool_run(pass->pool, n, count, r);
    for (size_t i = 0; i < n; i++) {
        stretch *s = &r->stretches[i];
        settle(&r->passing, s);
        pass->counts->duplicates += s->duplicates;
        pass->counts->events += s->events;
        pass->counts->items += s->items;
    }
    brew_pool_run(pass->pool, n, rewrite, r);
    for (size_t i = 0; i < n; i++) lists[i] = &r->stretches[i].members;
    if (brew_sorter_add_lists(pass->by_member, lists, n, err)) return -1;
    for (size_t i = 0; i < n; i++) lists[i] = &r->stretches[i].times;
    if (pass->by_time && brew_sorter_add_lists(pass->by_time, lists, n, err)) return -1;
    const unsigned char *last = r->stretches[n - 1].strings[r->stretches[n - 1].n - 1];
    brew_buf_reset(&r->last);
    brew_buf_add(&r->last, last, 4 + brew_sort_len(last));
    return 1;
}

int brew_item_pass_run(brew_item_pass *pass, brew_err *err) {
    size_t threads = (size_t)brew_pool_threads(pass->pool);
    run r = {.pass = pass, .n = threads > 1 ? 2 * threads : 1};
    const brew_strings **lists = brew_calloc(r.n, sizeof *lists);
    int status = 1;
    r.stretches = brew_calloc(r.n, sizeof *r.stretches);
    while (status > 0) status = pass_round(&r, lists, err);
    for (size_t i = 0; i < r.n; i++) {
        brew_buf_release(&r.stretches[i].copies);
        brew_buf_release(&r.stretches[i].members.bytes);
        brew_buf_release(&r.stretches[i].times.bytes);
    }
    free(r.stretches);
    free(lists);
    brew_buf_release(&r.last);
    return status;
}
