// Up to three sorts: by unit, to make one event of its rows (only logs with units); by item, to drop
// duplicates and count each item's earlier events; by member, for the reader. Rows travel as byte strings
// whose order is the order wanted:
//
//     by unit:    log | member NUL | item NUL | key | time | action + 1 | rest
//     by item:    table | item NUL | time | member NUL | log | key | action + 1 | rest
//     by member:  hash of member | member NUL | time | log | key | item NUL | action + 1 | rest | history
//
// with numbers big-endian and the sign of a time flipped. So ties are decided by contents alone. The key
// is the request and the further key columns, each ended by NUL, and empty for logs without units; the
// rest is the weight, the split and the context, as far as the log has them (event_rows.h).
#include "text/prompt/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "text/prompt/event_rows.h"
#include "text/prompt/sorter.h"

struct brew_events {
    const brew_task *task;
    brew_events_options options;
    brew_events_counts counts;
    brew_datasplit split;
    brew_sorter *by_unit, *by_item, *by_member,
        *by_time; // by_unit: only with units; by_time: only where the split's boundaries are shares
    brew_buf key, ahead; // ahead: the next member's first event, if any
    bool rewound;
    int64_t *ends; // [n_logs] where each log ends: its units are known up to there
};

static int add_row(void *arg, const brew_row *row, brew_err *err) {
    brew_events *events = arg;
    const brew_events_options *options = &events->options;
    size_t log = row->log;
    if (options->member_known &&
        !options->member_known(options->arg, log, row->member.ptr, row->member.len))
        return brew_row_bad(err, "the member is not in the member table");
    if (options->item_known &&
        !options->item_known(options->arg, log, row->item.ptr, row->item.len))
        return brew_row_bad(err, "the item is not in the item table");
    if (row->action >= 0 && row->time > events->ends[log]) events->ends[log] = row->time;
    bool unit = events->task->logs[log].units && row->action >= 0;
    brew_buf_reset(&events->key);
    if (unit)
        brew_row_by_unit(row, &events->key);
    else
        brew_row_by_item(events->task, row, &events->key);
    return brew_sorter_add(unit ? events->by_unit : events->by_item, events->key.ptr,
                           events->key.len, err);
}

static int read_all(brew_events *events, brew_err *err) {
    const brew_task *task = events->task;
    const brew_events_options *options = &events->options;
    if (options->n_files && task->n_logs > 1)
        return brew_fail(err, BREW_USAGE, "%s has %zu sources, which name their files themselves",
                         task->path, task->n_logs);
    for (size_t i = 0; i < task->n_logs; i++) {
        brew_rows_of reader = {.task = task, .log = i, .take = add_row, .arg = events};
        char input[] = "-", *own[] = {task->logs[i].events.path};
        if (!own[0]) own[0] = input;
        char **files = options->n_files ? options->files : own;
        size_t n_files = options->n_files ? options->n_files : 1;
        for (size_t k = 0; k < n_files; k++)
            if (brew_rows_of_log(&reader, files[k], options->reject, options->arg, &events->counts,
                                 err))
                return -1;
    }
    if (!options->candidates) return 0;
    brew_rows_of reader = {.task = task,
                           .log = brew_task_candidates_log(task),
                           .take = add_row,
                           .arg = events,
                           .candidates = true,
                           .at = options->at ? options->at : BREW_TIME_NEVER};
    return brew_rows_of_log(&reader, options->candidates, options->reject, options->arg,
                            &events->counts, err);
}

// The unit whose rows are passing.
typedef struct unit {
    brew_buf key;  // its rows begin with this; empty: none is passing
    brew_buf rest; // of the first row
    int64_t time;  // of the first row
    uint64_t action;
} unit;

// Hands the unit that has passed to by_item, unless it is too young to be judged.
static int end_unit(brew_events *events, unit *u, brew_err *err) {
    if (!u->key.len) return 0;
    brew_row row = brew_row_of_unit(events->task, u->key.ptr);
    const brew_log *log = &events->task->logs[row.log];
    row.time = u->time;
    row.action = (int)u->action - 1;
    row.rest = (brew_field){u->rest.ptr, u->rest.len};
    brew_buf_reset(&u->key);
    if (u->time + log->window_ms > events->ends[row.log]) {
        events->counts.young++;
        return 0;
    }
    brew_buf_reset(&events->key);
    brew_row_by_item(events->task, &row, &events->key);
    return brew_sorter_add(events->by_item, events->key.ptr, events->key.len, err);
}

static int pass_unit_row(brew_events *events, unit *u, const char *bytes, size_t len,
                         brew_err *err) {
    size_t key_len = brew_row_unit_key(events->task, bytes);
    const brew_log *log = &events->task->logs[(unsigned char)*bytes];
    brew_cursor c = {bytes + key_len};
    int64_t time = brew_get_time(&c);
    uint64_t action = brew_get_be16(&c);
    if (u->key.len == key_len && !memcmp(u->key.ptr, bytes, key_len)) {
        if (time - u->time <= log->window_ms) {
            events->counts.duplicates++;
            if (action < u->action) u->action = action;
            return 0;
        }
        if (log->request_column || log->key.n) {
            events->counts.late++;
            return 0;
        }
    }
    if (end_unit(events, u, err)) return -1;
    brew_buf_add(&u->key, bytes, key_len);
    brew_buf_reset(&u->rest);
    brew_buf_add(&u->rest, c.at, len - (size_t)(c.at - bytes));
    u->time = time;
    u->action = action;
    return 0;
}

static int make_units(brew_events *events, brew_err *err) {
    unit u = {0};
    const unsigned char *bytes;
    size_t len;
    for (size_t i = 0; i < events->task->n_logs; i++)
        if (events->task->logs[i].until != INT64_MAX) events->ends[i] = events->task->logs[i].until;
    int status = brew_sorter_finish(events->by_unit, err) ? -1 : 1;
    while (status > 0 && (status = brew_sorter_next(events->by_unit, &bytes, &len, err)) > 0)
        if (pass_unit_row(events, &u, (const char *)bytes, len, err)) status = -1;
    if (!status && end_unit(events, &u, err)) status = -1;
    brew_buf_release(&u.key);
    brew_buf_release(&u.rest);
    brew_sorter_free(events->by_unit);
    events->by_unit = NULL;
    return status;
}

// Shard i of n holds the i-th of n equal ranges of the hash: one after the other they are the whole.
static bool in_shard(const brew_events_options *options, uint64_t hash) {
    if (options->shards <= 1) return true;
    return (uint64_t)((unsigned __int128)hash * options->shards >> 64) == options->shard - 1;
}

// What is known of the item whose events are passing.
typedef struct passing {
    brew_buf item, unit; // table and item; what makes the last event one, to see duplicates
    int64_t time;
    uint64_t before, events; // strictly before `time`, and in all
} passing;

static int pass_on(brew_events *events, passing *p, const char *bytes, size_t len, brew_err *err) {
    brew_row row;
    size_t unit_len = brew_row_of_item(events->task, bytes, len, &row);
    if (p->unit.len == unit_len && !memcmp(p->unit.ptr, bytes, unit_len)) {
        events->counts.duplicates++;
        return 0;
    }
    brew_buf_reset(&p->unit);
    brew_buf_add(&p->unit, bytes, unit_len);
    bool candidate = row.action < 0;
    if (p->item.len != row.item.len + 2 || memcmp(p->item.ptr, bytes, row.item.len + 2)) {
        brew_buf_reset(&p->item);
        brew_buf_add(&p->item, bytes, row.item.len + 2);
        p->events = 0;
        events->counts.items += !candidate;
    }
    if (!p->events || p->time != row.time) p->before = p->events;
    p->time = row.time;
    p->events += !candidate;
    events->counts.events += !candidate;
    if (events->by_time && !candidate) {
        brew_buf_reset(&events->key);
        brew_put_time(&events->key, row.time);
        if (brew_sorter_add(events->by_time, events->key.ptr, events->key.len, err)) return -1;
    }
    uint64_t hash = brew_hash64(row.member.ptr, row.member.len, 0);
    if (!events->options.all_first && !in_shard(&events->options, hash)) return 0;
    brew_buf_reset(&events->key);
    brew_put_be64(&events->key, hash);
    brew_row_by_member(&row, &events->key);
    brew_put_be64(&events->key, p->before);
    return brew_sorter_add(events->by_member, events->key.ptr, events->key.len, err);
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
    brew_datasplit_ranks(split, events->counts.events, &valid, &test);
    if (brew_sorter_finish(events->by_time, err)) return -1;
    const unsigned char *bytes;
    size_t len;
    int status;
    for (uint64_t rank = 0; (status = brew_sorter_next(events->by_time, &bytes, &len, err)) > 0;
         rank++) {
        brew_cursor c = {(const char *)bytes};
        int64_t time = brew_get_time(&c);
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
             !in_shard(&events->options, brew_get_be64(&(brew_cursor){(const char *)bytes})));
    brew_buf_reset(&events->ahead);
    if (got > 0) brew_buf_add(&events->ahead, bytes, len);
    return got < 0 ? -1 : 0;
}

// At most three sorters hold memory at a time; by_unit is gone when by_member begins to fill.
static int open_sorters(brew_events *events, brew_err *err) {
    const brew_task *task = events->task;
    size_t memory = events->options.memory_bytes ? events->options.memory_bytes : (size_t)512 << 20;
    bool timed = task->split.by == BREW_SPLIT_BY_SHARE, units = false;
    for (size_t i = 0; i < task->n_logs; i++) units |= task->logs[i].units;
    size_t share = memory / (units ? 4 : 3);
    return (units && !(events->by_unit = brew_sorter_new(share, events->options.pool, err))) ||
           !(events->by_item = brew_sorter_new(share, events->options.pool, err)) ||
           !(events->by_member = brew_sorter_new(share, events->options.pool, err)) ||
           (timed && !(events->by_time = brew_sorter_new(share, events->options.pool, err)));
}

brew_events *brew_events_open(const brew_task *task, const brew_events_options *options,
                              brew_err *err) {
    brew_events *events = brew_calloc(1, sizeof *events);
    events->task = task;
    if (options) events->options = *options;
    events->split = task->split;
    events->ends = brew_calloc(task->n_logs, sizeof *events->ends);
    for (size_t i = 0; i < task->n_logs; i++) events->ends[i] = INT64_MIN;
    if (open_sorters(events, err) || read_all(events, err) ||
        (events->by_unit && make_units(events, err)) || count_items(events, err) ||
        (events->by_time && find_boundaries(events, err)) ||
        brew_sorter_finish(events->by_member, err) || look_ahead(events, err)) {
        brew_events_close(events);
        return NULL;
    }
    return events;
}

static void add_event(const brew_events *events, brew_member *member, const char *bytes,
                      size_t len) {
    const brew_task *task = events->task;
    BREW_GROW(member->events, member->n + 1, member->cap);
    brew_event *event = &member->events[member->n++];
    brew_row row;
    brew_row_of_member(task, bytes, len - 8, &row);
    const brew_log *log = &task->logs[row.log];
    brew_cursor c = {bytes + len - 8};
    *event = (brew_event){.item = brew_arena_strndup(&member->arena, row.item.ptr, row.item.len),
                          .item_len = row.item.len,
                          .request = "",
                          .time = row.time,
                          .known = row.time,
                          .action = row.action,
                          .at_once = !log->units,
                          .log = (uint8_t)row.log,
                          .weight = 1,
                          .rate = 1,
                          .item_history = brew_get_be64(&c)};
    if (log->request_column || row.action < 0) {
        event->request_len = strlen(row.key.ptr);
        event->request = brew_arena_strndup(&member->arena, row.key.ptr, event->request_len);
    }
    int split = brew_row_rest(log, row.rest, member, event);
    if (event->action < 0) return;
    if (log->units) event->known += log->window_ms + log->lag_ms;
    event->positive = brew_log_actions(task, row.log)->list[event->action].positive;
    event->split = (uint8_t)split;
    if (split >= 0) return;
    event->split = (uint8_t)brew_datasplit_of_time(&events->split, event->time);
    event->gap = brew_datasplit_in_gap(&events->split, event->time);
    event->window = brew_datasplit_window(&events->split, event->time);
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
        add_event(events, member, events->ahead.ptr + head, events->ahead.len - head);
        if (look_ahead(events, err)) return -1;
    } while (events->ahead.len > head && !memcmp(events->ahead.ptr + 8, member->id, head - 8));
    split_member(&events->split, member);
    return 1;
}

int brew_events_compare(const brew_events *a, const brew_events *b) {
    if (!a->ahead.len || !b->ahead.len) return (a->ahead.len == 0) - (b->ahead.len == 0);
    int order = memcmp(a->ahead.ptr, b->ahead.ptr, 8);
    return order ? order : strcmp(a->ahead.ptr + 8, b->ahead.ptr + 8);
}

int brew_events_rewind(brew_events *events, bool all, brew_err *err) {
    events->rewound = !all;
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

brew_pool *brew_events_pool(const brew_events *events) {
    return events->options.pool;
}

void brew_events_close(brew_events *events) {
    if (!events) return;
    brew_sorter_free(events->by_unit);
    brew_sorter_free(events->by_item);
    brew_sorter_free(events->by_member);
    brew_sorter_free(events->by_time);
    brew_buf_release(&events->key);
    brew_buf_release(&events->ahead);
    free(events->ends);
    free(events);
}

void brew_member_release(brew_member *member) {
    free(member->events);
    free(member->values);
    brew_arena_release(&member->arena);
    *member = (brew_member){0};
}
