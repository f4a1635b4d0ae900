// Two sorts. By item, to drop duplicates and count each item's earlier events; then by member, for the
// reader. Rows travel as byte strings whose order is the order wanted:
//
//     by item:    item NUL | time | member NUL | action + 1
//     by member:  hash of member | member NUL | time | item NUL | action + 1 | item_history
//
// with numbers big-endian and the sign of a time flipped. So ties are decided by contents alone.
#include "text/prompt/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "text/prompt/rows.h"
#include "text/prompt/sorter.h"

struct brew_events {
    const brew_task *task;
    brew_events_options options;
    brew_events_counts counts;
    brew_datasplit split;
    brew_sorter *by_item, *by_member,
        *by_time;        // by_time: only where the split's boundaries are shares
    brew_buf key, ahead; // ahead: the next member's first event, if any
    uint64_t n_events;   // distinct, without candidates
    bool candidates;     // reading them
    bool rewound;
};

static void put_be64(brew_buf *out, uint64_t value) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(value >> (56 - 8 * i));
    brew_buf_add(out, bytes, 8);
}

static void put_time(brew_buf *out, int64_t time) {
    put_be64(out, (uint64_t)time ^ (uint64_t)1 << 63);
}

static void put_id(brew_buf *out, const char *id, size_t len) {
    brew_buf_add(out, id, len);
    brew_buf_addc(out, 0);
}

// A cursor over a key; what it reads was written by the functions above.
typedef struct cursor {
    const char *at;
} cursor;

static uint64_t get_be64(cursor *c) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | (unsigned char)*c->at++;
    return value;
}

static int64_t get_time(cursor *c) {
    return (int64_t)(get_be64(c) ^ (uint64_t)1 << 63);
}

static const char *get_id(cursor *c, size_t *len) {
    const char *id = c->at;
    *len = strlen(id);
    c->at += *len + 1;
    return id;
}

static int bad(brew_err *err, const char *why) {
    brew_fail(err, BREW_DATA, "%s", why);
    return 1;
}

// fields: member, item, time, value; candidates have the first two.
static int take_row(void *state, const brew_field *fields, brew_err *err) {
    brew_events *events = state;
    const brew_events_options *options = &events->options;
    brew_field member = fields[0], item = fields[1];
    int64_t time = BREW_TIME_NEVER;
    int action = -1;
    if (!brew_is_id(member)) return bad(err, "no member");
    if (!brew_is_id(item)) return bad(err, "no item");
    if (!events->candidates) {
        brew_field value = events->task->value_column ? fields[3] : (brew_field){"", 0};
        if (!fields[2].ptr ||
            !brew_time_parse(fields[2].ptr, fields[2].len, events->task->time_unit, &time))
            return bad(err, "the time is not one in the task's unit");
        action = value.ptr ? brew_task_action(events->task, value.ptr, value.len) : -1;
        if (action < 0) return bad(err, "the value fits no action");
    }
    if (options->member_known && !options->member_known(options->arg, member.ptr, member.len))
        return bad(err, "the member is not in the member table");
    if (options->item_known && !options->item_known(options->arg, item.ptr, item.len))
        return bad(err, "the item is not in the item table");
    brew_buf *key = &events->key;
    brew_buf_reset(key);
    put_id(key, item.ptr, item.len);
    put_time(key, time);
    put_id(key, member.ptr, member.len);
    put_be64(key, (uint64_t)(action + 1));
    return brew_sorter_add(events->by_item, key->ptr, key->len, err);
}

static int read_rows(brew_events *events, brew_err *err) {
    const brew_task *task = events->task;
    const brew_events_options *options = &events->options;
    const char *columns[] = {task->member_column, task->item_column, task->time_column,
                             task->value_column};
    size_t n_columns = task->value_column ? 4 : 3;
    char input[] = "-", *own[] = {task->events.path ? task->events.path : input};
    char **files = options->n_files ? options->files : own;
    size_t n_files = options->n_files ? options->n_files : 1;
    for (size_t i = 0; i < n_files; i++)
        if (brew_rows_read(files[i], task->events.format, columns, n_columns, take_row, events,
                           options->reject, options->arg, &events->counts, err))
            return -1;
    if (!options->candidates) return 0;
    events->candidates = true;
    return brew_rows_read(options->candidates, BREW_TABLE_AUTO, columns, 2, take_row, events,
                          options->reject, options->arg, &events->counts, err);
}

// Shard i of n holds the i-th of n equal ranges of the hash: one after the other they are the whole.
static bool in_shard(const brew_events_options *options, uint64_t hash) {
    if (options->shards <= 1) return true;
    return (uint64_t)((unsigned __int128)hash * options->shards >> 64) == options->shard - 1;
}

// What is known of the item whose events are passing.
typedef struct passing {
    brew_buf item, unit; // unit: (item, time, member), to see duplicates
    int64_t time;
    uint64_t before, events; // strictly before `time`, and in all
} passing;

static int pass_on(brew_events *events, passing *p, const char *bytes, size_t len, brew_err *err) {
    cursor c = {bytes};
    size_t item_len, member_len;
    const char *item = get_id(&c, &item_len);
    int64_t time = get_time(&c);
    const char *member = get_id(&c, &member_len);
    if (p->unit.len == len - 8 && !memcmp(p->unit.ptr, bytes, len - 8)) {
        events->counts.duplicates++;
        return 0;
    }
    brew_buf_reset(&p->unit);
    brew_buf_add(&p->unit, bytes, len - 8);
    bool candidate = time == BREW_TIME_NEVER;
    if (p->item.len != item_len || memcmp(p->item.ptr, item, item_len)) {
        brew_buf_reset(&p->item);
        brew_buf_add(&p->item, item, item_len);
        p->events = 0;
        events->counts.items += !candidate;
    }
    if (!p->events || p->time != time) p->before = p->events;
    p->time = time;
    p->events++;
    events->n_events += !candidate;
    if (events->by_time && !candidate) {
        brew_buf_reset(&events->key);
        put_time(&events->key, time);
        if (brew_sorter_add(events->by_time, events->key.ptr, events->key.len, err)) return -1;
    }
    uint64_t hash = brew_hash64(member, member_len, 0);
    if (!events->options.all_first && !in_shard(&events->options, hash)) return 0;
    brew_buf *key = &events->key;
    brew_buf_reset(key);
    put_be64(key, hash);
    put_id(key, member, member_len);
    put_time(key, time);
    put_id(key, item, item_len);
    brew_buf_add(key, c.at, 8); // the action
    put_be64(key, p->before);
    return brew_sorter_add(events->by_member, key->ptr, key->len, err);
}

static int count_items(brew_events *events, brew_err *err) {
    passing p = {0};
    const unsigned char *bytes;
    size_t len;
    int status = brew_sorter_finish(events->by_item, err) ? -1 : 1;
    while (status > 0 && (status = brew_sorter_next(events->by_item, &bytes, &len, err)) > 0)
        if (pass_on(events, &p, (const char *)bytes, len, err)) status = -1;
    brew_buf_release(&p.item);
    brew_buf_release(&p.unit);
    brew_sorter_free(events->by_item);
    events->by_item = NULL;
    return status;
}

// The boundaries of a split by shares of all events in order of time.
static int find_boundaries(brew_events *events, brew_err *err) {
    brew_datasplit *split = &events->split;
    uint64_t valid, test;
    split->valid_from = split->test_from = INT64_MAX;
    brew_datasplit_ranks(split, events->n_events, &valid, &test);
    if (brew_sorter_finish(events->by_time, err)) return -1;
    const unsigned char *bytes;
    size_t len;
    int status;
    for (uint64_t rank = 0; (status = brew_sorter_next(events->by_time, &bytes, &len, err)) > 0;
         rank++) {
        cursor c = {(const char *)bytes};
        int64_t time = get_time(&c);
        if (rank == valid) split->valid_from = time;
        if (rank == test) split->test_from = time;
    }
    brew_sorter_free(events->by_time);
    events->by_time = NULL;
    return status;
}

// Takes the next event off by_member into `ahead`; empty at the end.
static int look_ahead(brew_events *events, brew_err *err) {
    const unsigned char *bytes;
    size_t len;
    int got;
    do {
        got = brew_sorter_next(events->by_member, &bytes, &len, err);
    } while (got > 0 && events->rewound &&
             !in_shard(&events->options, get_be64(&(cursor){(const char *)bytes})));
    brew_buf_reset(&events->ahead);
    if (got > 0) brew_buf_add(&events->ahead, bytes, len);
    return got < 0 ? -1 : 0;
}

brew_events *brew_events_open(const brew_task *task, const brew_events_options *options,
                              brew_err *err) {
    brew_events *events = brew_calloc(1, sizeof *events);
    events->task = task;
    if (options) events->options = *options;
    events->split = task->split;
    size_t memory = events->options.memory_bytes ? events->options.memory_bytes : (size_t)512 << 20;
    bool timed = task->split.by == BREW_SPLIT_BY_SHARE;
    if (!(events->by_item = brew_sorter_new(memory / 3, err)) ||
        !(events->by_member = brew_sorter_new(memory / 3, err)) ||
        (timed && !(events->by_time = brew_sorter_new(memory / 3, err))) ||
        read_rows(events, err) || count_items(events, err) ||
        (timed && find_boundaries(events, err)) || brew_sorter_finish(events->by_member, err) ||
        look_ahead(events, err)) {
        brew_events_close(events);
        return NULL;
    }
    return events;
}

static void add_event(const brew_events *events, brew_member *member, cursor c) {
    BREW_GROW(member->events, member->n + 1, member->cap);
    brew_event *event = &member->events[member->n++];
    event->time = get_time(&c);
    const char *item = get_id(&c, &event->item_len);
    event->item = brew_arena_strndup(&member->arena, item, event->item_len);
    event->action = (int32_t)get_be64(&c) - 1;
    event->positive = event->action >= 0 && events->task->actions[event->action].positive;
    event->item_history = get_be64(&c);
    event->split = event->action < 0 ? BREW_SPLIT_TRAIN
                                     : (uint8_t)brew_datasplit_of_time(&events->split, event->time);
}

static void split_member(const brew_datasplit *split, brew_member *member) {
    size_t n = member->n, valid, test;
    while (n && member->events[n - 1].action < 0) n--;
    if (split->by != BREW_SPLIT_BY_LAST || !n) return;
    brew_datasplit_of_member(split, n, &valid, &test);
    for (size_t i = valid; i < n; i++)
        member->events[i].split = i < test ? BREW_SPLIT_VALID : BREW_SPLIT_TEST;
}

int brew_events_next(brew_events *events, brew_member *member, brew_err *err) {
    brew_arena_reset(&member->arena);
    member->n = 0;
    if (!events->ahead.len) return 0;
    size_t head = 8 + strlen(events->ahead.ptr + 8) + 1;
    member->id_len = head - 9;
    member->id = brew_arena_strndup(&member->arena, events->ahead.ptr + 8, member->id_len);
    do {
        add_event(events, member, (cursor){events->ahead.ptr + head});
        if (look_ahead(events, err)) return -1;
    } while (events->ahead.len > head && !memcmp(events->ahead.ptr + 8, member->id, head - 8));
    split_member(&events->split, member);
    return 1;
}

int brew_events_rewind(brew_events *events, brew_err *err) {
    events->rewound = true;
    return brew_sorter_rewind(events->by_member, err) ? -1 : look_ahead(events, err);
}

bool brew_events_in_shard(const brew_events *events, const char *member, size_t len) {
    return in_shard(&events->options, brew_hash64(member, len, 0));
}

const brew_events_counts *brew_events_counted(const brew_events *events) {
    return &events->counts;
}

const brew_datasplit *brew_events_split(const brew_events *events) {
    return &events->split;
}

void brew_events_close(brew_events *events) {
    if (!events) return;
    brew_sorter_free(events->by_item);
    brew_sorter_free(events->by_member);
    brew_sorter_free(events->by_time);
    brew_buf_release(&events->key);
    brew_buf_release(&events->ahead);
    free(events);
}

void brew_member_release(brew_member *member) {
    free(member->events);
    free(member->values);
    brew_arena_release(&member->arena);
    *member = (brew_member){0};
}
