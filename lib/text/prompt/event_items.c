#include "text/prompt/event_items.h"

#include <stdlib.h>

#include "base/hash.h"
#include "text/prompt/sortkey.h"

enum { STRETCH = 2048 }; // strings

static const uint64_t DUPLICATE = UINT64_MAX;

typedef struct stretch {
    brew_sorted strings[STRETCH];
    uint64_t before[STRETCH]; // events of the item before this one's time, or DUPLICATE
    size_t n;
    brew_buf copies, members, times; // the last two: strings for the next sorts
} stretch;

// The item whose events are passing.
typedef struct passing {
    brew_buf last;           // the last string
    size_t item_len;         // of it: table, item, NUL; 0: there is none
    uint64_t before, events; // strictly before its time, and in all
} passing;

typedef struct run {
    brew_item_pass *pass;
    stretch *stretches; // [n]
    size_t n;
    passing passing;
} run;

static bool begins_alike(brew_sorted a, brew_sorted b, size_t len) {
    return a.len >= len && b.len >= len && !memcmp(a.bytes, b.bytes, len);
}

// What is before the string, of which the last one is known.
static uint64_t count(const brew_item_pass *pass, passing *p, brew_sorted last, brew_sorted now) {
    bool same = p->item_len && begins_alike(last, now, p->item_len), event = true;
    bool same_time = same && begins_alike(last, now, p->item_len + 8);
    if (same_time || pass->candidates) {
        brew_row row;
        size_t unit_len = brew_row_of_item(pass->task, (const char *)now.bytes, now.len, &row);
        if (same_time && begins_alike(last, now, unit_len)) return DUPLICATE;
        event = row.action >= 0;
    }
    if (!same) {
        p->item_len = 1 + strlen((const char *)now.bytes + 1) + 1;
        p->events = 0;
        pass->counts->items += event;
    }
    if (!same_time) p->before = p->events;
    p->events += event;
    pass->counts->events += event;
    return p->before;
}

static void count_all(run *r, size_t n_stretches) {
    passing *p = &r->passing;
    brew_sorted last = {(const unsigned char *)p->last.ptr, p->last.len};
    for (size_t i = 0; i < n_stretches; i++)
        for (size_t k = 0; k < r->stretches[i].n; k++) {
            stretch *s = &r->stretches[i];
            s->before[k] = count(r->pass, p, last, s->strings[k]);
            if (s->before[k] == DUPLICATE)
                r->pass->counts->duplicates++;
            else
                last = s->strings[k];
        }
    if (last.bytes == (const unsigned char *)p->last.ptr) return;
    brew_buf_reset(&p->last);
    brew_buf_add(&p->last, last.bytes, last.len);
}

static void rewrite(void *arg, size_t task, int worker) {
    const run *r = arg;
    const brew_item_pass *pass = r->pass;
    stretch *s = &r->stretches[task];
    (void)worker;
    brew_buf_reset(&s->members);
    brew_buf_reset(&s->times);
    for (size_t k = 0; k < s->n; k++) {
        brew_row row;
        if (s->before[k] == DUPLICATE) continue;
        brew_row_of_item(pass->task, (const char *)s->strings[k].bytes, s->strings[k].len, &row);
        if (pass->by_time && row.action >= 0) {
            size_t begin = brew_sorter_begin(&s->times);
            brew_key_time(&s->times, row.time);
            brew_sorter_end(&s->times, begin);
        }
        uint64_t hash = brew_hash64(row.member.ptr, row.member.len, 0);
        if (!brew_shard_holds(pass->shard, pass->shards, hash)) continue;
        size_t begin = brew_sorter_begin(&s->members);
        brew_row_by_member(&row, hash, s->before[k], &s->members);
        brew_sorter_end(&s->members, begin);
    }
}

// One round: 1, 0 when no string is left, -1 on error.
static int pass_round(run *r, brew_err *err) {
    const brew_item_pass *pass = r->pass;
    size_t n = 0;
    for (; n < r->n; n++) {
        stretch *s = &r->stretches[n];
        ptrdiff_t got = brew_sorter_next_many(pass->by_item, s->strings, STRETCH, &s->copies, err);
        if (got < 0) return -1;
        if (!got) break;
        s->n = (size_t)got;
    }
    count_all(r, n);
    brew_pool_run(pass->pool, n, rewrite, r);
    for (size_t i = 0; i < n; i++) {
        const stretch *s = &r->stretches[i];
        if (brew_sorter_add_all(pass->by_member, &s->members, err)) return -1;
        if (pass->by_time && brew_sorter_add_all(pass->by_time, &s->times, err)) return -1;
    }
    return n > 0;
}

int brew_item_pass_run(brew_item_pass *pass, brew_err *err) {
    size_t threads = (size_t)brew_pool_threads(pass->pool);
    run r = {.pass = pass, .n = threads > 1 ? 2 * threads : 1};
    int status = 1;
    r.stretches = brew_calloc(r.n, sizeof *r.stretches);
    while (status > 0) status = pass_round(&r, err);
    for (size_t i = 0; i < r.n; i++) {
        brew_buf_release(&r.stretches[i].copies);
        brew_buf_release(&r.stretches[i].members);
        brew_buf_release(&r.stretches[i].times);
    }
    free(r.stretches);
    brew_buf_release(&r.passing.last);
    return status;
}
