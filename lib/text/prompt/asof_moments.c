// Members' events as questions and changes: read by one thread, written by all.
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "text/prompt/asof_parts.h"
#include "text/prompt/sortkey.h"

enum { MEMBERS = 64 };

typedef struct taken { // one member
    brew_member member;
    uint64_t first; // ordinal of its first event; UINT64_MAX: of another shard
    brew_strings moments;
} taken;

typedef struct taking {
    brew_asof *asof;
    brew_events *events;
    struct bank {
        taken list[MEMBERS];
        size_t n;
    } banks[2], *now, *ahead;
    int status; // of reading ahead
    brew_err err;
} taking;

// Begins a row of `moments`, which brew_strings_end ends.
static size_t begin(const brew_asof *asof, taken *t, enum brew_feature_of of,
                    const brew_event *event, int64_t time, int kind) {
    size_t at = brew_strings_begin(&t->moments);
    brew_buf *key = &t->moments.bytes;
    bool item = of == BREW_OF_ITEM; // one of its table
    const char *id = item ? event->item : t->member.id;
    size_t len = item ? event->item_len : t->member.id_len;
    char table = item ? (char)(asof->task->logs[event->log].items + 1) : 0;
    uint64_t hash = brew_hash64(id, len, (uint64_t)(unsigned char)table);
    for (int shift = 56; shift >= 32; shift -= 8)
        brew_buf_addc(key, (char)(unsigned char)(hash >> shift & 0xff));
    brew_buf_addc(key, table);
    brew_key_id(key, id, len);
    brew_key_time(key, time);
    brew_buf_addc(key, (char)(unsigned char)kind);
    return at;
}

static void add_questions(const brew_asof *asof, taken *t) {
    brew_buf *key = &t->moments.bytes;
    bool ours = t->first != UINT64_MAX;
    for (size_t i = 0; i < t->member.n; i++) {
        const brew_event *event = &t->member.events[i];
        int side = brew_asof_side(event);
        if (!ours && (asof->given || side != BREW_SPLIT_TRAIN)) continue;
        for (int of = 0; of < BREW_OF; of++)
            for (int at_split = 0; at_split < 2; at_split++) {
                if (!asof->asks[of][at_split][side]) continue;
                size_t at = begin(asof, t, (enum brew_feature_of)of, event,
                                  at_split ? BREW_TIME_NEVER : event->time, 2 * side + at_split);
                brew_key_u64(key, ours ? t->first + i : UINT64_MAX);
                brew_strings_end(&t->moments, at);
            }
    }
}

static void add_change(const brew_asof *asof, taken *t, const brew_event *event, size_t s,
                       bool leaves) {
    const struct span *span = &asof->spans[s];
    int64_t time = event->known + span->lag + (leaves ? span->window : 0);
    size_t at = begin(asof, t, span->of, event, time, BREW_ASOF_CHANGE + 2 * event->split + leaves);
    brew_buf *key = &t->moments.bytes;
    size_t action = brew_log_actions(asof->task, event->log)->first + (size_t)event->action;
    brew_buf_addc(key, (char)s);
    for (int shift = 16; shift >= 0; shift -= 8)
        brew_buf_addc(key, (char)(unsigned char)(action >> shift & 0xff));
    brew_strings_end(&t->moments, at);
}

static void add_changes(const brew_asof *asof, taken *t) {
    for (size_t i = 0; i < t->member.n; i++) {
        const brew_event *event = &t->member.events[i];
        if (event->action < 0) continue;
        for (size_t s = 0; s < asof->n_spans; s++) {
            add_change(asof, t, event, s, false);
            if (asof->spans[s].window) add_change(asof, t, event, s, true);
        }
    }
}

// Negatives change the member's events: what is counted is taken before.
static int read_member(taking *all, taken *t) {
    brew_asof *asof = all->asof;
    brew_member *member = &t->member;
    int got = brew_events_next(all->events, member, &all->err);
    if (got <= 0) return got;
    brew_strings_reset(&t->moments);
    for (size_t i = 0; i < member->n; i++) {
        const brew_event *e = &member->events[i];
        if (e->action >= 0 && e->split == BREW_SPLIT_TRAIN)
            asof->trained[brew_log_actions(asof->task, e->log)->first + (size_t)e->action]++;
    }
    if (asof->negatives) {
        add_changes(asof, t);
        brew_negatives_apply(asof->negatives, member);
    }
    bool ours = brew_events_in_shard(all->events, member->id, member->id_len);
    t->first = ours ? asof->n_asked : UINT64_MAX;
    if (ours) asof->n_asked += member->n;
    return 1;
}

static void read_ahead(taking *all) {
    struct bank *bank = all->ahead;
    for (bank->n = 0; bank->n < MEMBERS; bank->n++) {
        all->status = read_member(all, &bank->list[bank->n]);
        if (all->status <= 0) break;
    }
}

// Task 0 reads the next members, the others write what one of them asks and changes.
static void work(void *arg, size_t task, int worker) {
    taking *all = arg;
    (void)worker;
    if (!task) {
        read_ahead(all);
        return;
    }
    taken *t = &all->now->list[task - 1];
    if (!all->asof->negatives) add_changes(all->asof, t);
    add_questions(all->asof, t);
}

// One bank: 1, 0 when no member is left, -1 on error.
static int take_bank(taking *all, brew_err *err) {
    const brew_strings *lists[MEMBERS];
    struct bank *now = all->ahead;
    all->ahead = all->now;
    all->now = now;
    if (all->status < 0 && err) *err = all->err;
    if (all->status < 0) return -1;
    if (!now->n) return 0;
    brew_pool_run(all->asof->pool, now->n + 1, work, all);
    for (size_t i = 0; i < now->n; i++) lists[i] = &now->list[i].moments;
    return brew_sorter_add_lists(all->asof->moments, lists, now->n, err) ? -1 : 1;
}

int brew_asof_take_members(brew_asof *asof, brew_events *events, brew_err *err) {
    taking *all = brew_calloc(1, sizeof *all);
    all->asof = asof;
    all->events = events;
    all->now = &all->banks[0];
    all->ahead = &all->banks[1];
    read_ahead(all);
    int got;
    while ((got = take_bank(all, err)) > 0) {
    }
    for (size_t i = 0; i < 2 * (size_t)MEMBERS; i++) {
        taken *t = &all->banks[i % 2].list[i / 2];
        brew_member_release(&t->member);
        brew_buf_release(&t->moments.bytes);
    }
    free(all);
    return got;
}
