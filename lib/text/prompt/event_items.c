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
    // For the next sorts.
    brew_places members;
    brew_strings times;
    brew_buf text; // of the member's string that waits for its place to be free
} stretch;

typedef struct run {
    brew_item_pass *pass;
    brew_round round;
    stretch *stretches;          // [round.most]
    const brew_places **members; // of these
    const brew_strings **times;
    passing passing; // behind the last string that has passed
} run;

// Readies the event at `place` for the next sorts. Whether it is kept.
static bool emit(const brew_item_pass *pass, stretch *s, const brew_row *row,
                 unsigned char *place) {
    if (pass->by_time && row->action >= 0) {
        size_t begin = brew_strings_begin(&s->times);
        brew_key_time(&s->times.bytes, row->time);
        brew_strings_end(&s->times, begin);
    }
    uint64_t hash = brew_hash64(row->member.ptr, row->member.len, 0);
    if (!brew_shard_holds(pass->shard, pass->shards, hash)) return false;
    brew_row_by_member(row, hash, s->end.before, &s->text);
    s->members.at[s->members.n++] = place;
    return true;
}

// Writes what waits over the string by item, which nobody asks for any more.
static void write_over(stretch *s) {
    if (!s->text.len) return;
    unsigned char *at = s->members.at[s->members.n - 1];
    uint32_t len = (uint32_t)s->text.len;
    if (len > brew_sort_len(at)) brew_bug("a row by member is longer than by item");
    memcpy(at, &len, sizeof len);
    memcpy(at + 4, s->text.ptr, len);
    s->members.bytes += 4 + (size_t)len;
    if (len > s->members.longest) s->members.longest = len;
    brew_buf_reset(&s->text);
}

// Counts as if nothing was before the stretch.
static void pass_stretch(void *arg, size_t task, int worker) {
    const run *r = arg;
    const brew_item_pass *pass = r->pass;
    stretch *s = &r->stretches[task];
    const unsigned char *last = s->in->last;
    brew_row row;
    (void)worker;
    s->members.n = s->members.bytes = s->members.longest = 0;
    brew_strings_reset(&s->times);
    s->same_item = s->same_time = 0;
    s->duplicates = s->events = s->items = 0;
    s->all_same_item = s->all_same_time = last != NULL;
    s->end = (passing){0, 0};
    for (size_t k = 0; k < s->in->n; last = s->in->strings[k++]) {
        unsigned char *now = s->in->strings[k];
        if (k + AHEAD < s->in->n) __builtin_prefetch(s->in->strings[k + AHEAD]);
        size_t common = last ? brew_stretch_alike(last, now) : 0;
        brew_item_lens lens = brew_row_of_item(pass->task, now, &row);
        bool same = common >= lens.item, same_time = common >= lens.item + 8,
             duplicate = common >= lens.event;
        write_over(s); // `last`, if it is not a copy
        if (duplicate) {
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
        bool kept = emit(pass, s, &row, now);
        s->same_item += kept && s->all_same_item;
        s->same_time += kept && s->all_same_time;
    }
    write_over(s);
}

// Puts what was before the stretch into it, and what is behind it into *p.
static void settle(passing *p, stretch *s) {
    for (size_t k = 0; k < s->same_item; k++) {
        char *at = (char *)s->members.at[k];
        at += 4 + brew_sort_len(s->members.at[k]);
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
static int pass_round(run *r, brew_err *err) {
    brew_item_pass *pass = r->pass;
    int got = brew_round_next(&r->round, pass->by_item, err);
    if (got <= 0) return got;
    size_t n = r->round.n;
    brew_pool_run(pass->pool, n, pass_stretch, r);
    bool stay = true;
    for (size_t i = 0; i < n; i++) {
        stretch *s = &r->stretches[i];
        settle(&r->passing, s);
        stay &= !s->in->copies.len;
        pass->counts->duplicates += s->duplicates;
        pass->counts->events += s->events;
        pass->counts->items += s->items;
    }
    pass->stay |= stay;
    if (brew_sorter_add_places(pass->by_member, r->members, n, stay, err)) return -1;
    if (pass->by_time && brew_sorter_add_lists(pass->by_time, r->times, n, err)) return -1;
    return 1;
}

int brew_item_pass_run(brew_item_pass *pass, brew_err *err) {
    run r = {.pass = pass};
    brew_round_init(&r.round, brew_pool_threads(pass->pool));
    size_t most = r.round.most;
    int status = 1;
    r.stretches = brew_calloc(most, sizeof *r.stretches);
    r.members = brew_calloc(most, sizeof *r.members);
    r.times = brew_calloc(most, sizeof *r.times);
    for (size_t i = 0; i < most; i++) {
        stretch *s = &r.stretches[i];
        s->in = &r.round.stretches[i];
        s->members.at = brew_calloc(BREW_STRETCH, sizeof *s->members.at);
        r.members[i] = &s->members;
        r.times[i] = &s->times;
    }
    while (status > 0) status = pass_round(&r, err);
    for (size_t i = 0; i < most; i++) {
        free(r.stretches[i].members.at);
        brew_buf_release(&r.stretches[i].times.bytes);
        brew_buf_release(&r.stretches[i].text);
    }
    free(r.stretches);
    free(r.members);
    free(r.times);
    brew_round_release(&r.round);
    return status;
}
