#include "text/prompt/event_items.h"

#include <stdlib.h>

#include "base/hash.h"
#include "text/prompt/sortkey.h"
#include "text/prompt/stretch.h"

enum { AHEAD = 8 }; // strings called for in advance

// What is known of an item while its events pass: those before the last one's time, and all.
typedef struct passing {
    uint64_t before, events;
} passing;

// Strings in order, the first of which may be of the item of the last one before them.
typedef struct stretch {
    const brew_stretch *in;
    // Of `members` the first ones that are still of that item; of these, the first that are at its time, too.
    size_t same_item, same_time;
    bool all_same_item, all_same_time; // whether the whole stretch is
    passing end;                       // behind the stretch, as if nothing was before
    uint64_t duplicates, events, items;
    brew_strings members, times; // for the next sorts
} stretch;

typedef struct run {
    brew_item_pass *pass;
    brew_round round;
    stretch *stretches; // [round.most]
    passing passing;    // behind the last string that has passed
} run;

static bool begin_alike(const unsigned char *a, const unsigned char *b, size_t len) {
    return brew_sort_len(a) >= len && brew_sort_len(b) >= len && !memcmp(a + 4, b + 4, len);
}

// Writes the event for the next sorts. Whether it is kept.
static bool emit(const brew_item_pass *pass, stretch *s, const brew_row *row) {
    if (pass->by_time && row->action >= 0) {
        size_t begin = brew_strings_begin(&s->times);
        brew_key_time(&s->times.bytes, row->time);
        brew_strings_end(&s->times, begin);
    }
    uint64_t hash = brew_hash64(row->member.ptr, row->member.len, 0);
    if (!brew_shard_holds(pass->shard, pass->shards, hash)) return false;
    size_t begin = brew_strings_begin(&s->members);
    brew_row_by_member(row, hash, s->end.before, &s->members.bytes);
    brew_strings_end(&s->members, begin);
    return true;
}

// Counts as if nothing was before the stretch.
static void pass_stretch(void *arg, size_t task, int worker) {
    const run *r = arg;
    const brew_item_pass *pass = r->pass;
    stretch *s = &r->stretches[task];
    const unsigned char *last = s->in->last;
    brew_row row;
    brew_item_lens lens = {0, 0};
    (void)worker;
    brew_strings_reset(&s->members);
    brew_strings_reset(&s->times);
    s->same_item = s->same_time = 0;
    s->duplicates = s->events = s->items = 0;
    s->all_same_item = s->all_same_time = last != NULL;
    s->end = (passing){0, 0};
    if (last) lens = brew_row_of_item(pass->task, last, &row);
    for (size_t k = 0; k < s->in->n; last = s->in->strings[k++]) {
        const unsigned char *now = s->in->strings[k];
        if (k + AHEAD < s->in->n) __builtin_prefetch(s->in->strings[k + AHEAD]);
        bool same = last && begin_alike(last, now, lens.item);
        bool same_time = same && begin_alike(last, now, lens.item + 8);
        lens = brew_row_of_item(pass->task, now, &row);
        if (same_time && begin_alike(last, now, lens.event)) {
            s->duplicates++;
            continue;
        }
        bool event = row.action >= 0;
        s->all_same_item &= same;
        s->all_same_time &= same_time;
        if (!same) s->end.events = 0;
        if (!same_time) s->end.before = s->end.events;
        s->items += !same && event;
        s->events += event;
        s->end.events += event;
        bool kept = emit(pass, s, &row);
        s->same_item += kept && s->all_same_item;
        s->same_time += kept && s->all_same_time;
    }
}

// Puts what was before the stretch into it, and what is behind it into *p.
static void settle(passing *p, stretch *s) {
    char *at = s->members.bytes.ptr;
    for (size_t k = 0; k < s->same_item; k++) {
        at += 4 + brew_sort_len((const unsigned char *)at);
        uint64_t before = p->before;
        if (k >= s->same_time) before = p->events + brew_key_load(at - 8);
        brew_key_store(at - 8, before);
    }
    if (!s->all_same_item)
        *p = s->end;
    else
        *p = (passing){s->all_same_time ? p->before : p->events + s->end.before,
                       p->events + s->end.events};
}

// One round: 1, 0 when no string is left, -1 on error.
static int pass_round(run *r, const brew_strings **lists, brew_err *err) {
    const brew_item_pass *pass = r->pass;
    int got = brew_round_next(&r->round, pass->by_item, err);
    if (got <= 0) return got;
    size_t n = r->round.n;
    brew_pool_run(pass->pool, n, pass_stretch, r);
    for (size_t i = 0; i < n; i++) {
        stretch *s = &r->stretches[i];
        settle(&r->passing, s);
        pass->counts->duplicates += s->duplicates;
        pass->counts->events += s->events;
        pass->counts->items += s->items;
    }
    for (size_t i = 0; i < n; i++) lists[i] = &r->stretches[i].members;
    if (brew_sorter_add_lists(pass->by_member, lists, n, err)) return -1;
    for (size_t i = 0; i < n; i++) lists[i] = &r->stretches[i].times;
    if (pass->by_time && brew_sorter_add_lists(pass->by_time, lists, n, err)) return -1;
    return 1;
}

int brew_item_pass_run(brew_item_pass *pass, brew_err *err) {
    run r = {.pass = pass};
    brew_round_init(&r.round, brew_pool_threads(pass->pool));
    size_t most = r.round.most;
    const brew_strings **lists = brew_calloc(most, sizeof *lists);
    int status = 1;
    r.stretches = brew_calloc(most, sizeof *r.stretches);
    for (size_t i = 0; i < most; i++) r.stretches[i].in = &r.round.stretches[i];
    while (status > 0) status = pass_round(&r, lists, err);
    for (size_t i = 0; i < most; i++) {
        brew_buf_release(&r.stretches[i].members.bytes);
        brew_buf_release(&r.stretches[i].times.bytes);
    }
    free(r.stretches);
    free(lists);
    brew_round_release(&r.round);
    return status;
}
