// Up to three sorts: by unit, to make one event of its rows (only logs with units); by item, to drop
// duplicates and count each item's earlier events; by member, for the reader. Rows travel as byte strings
// whose order is the order wanted:
//
//     by unit:    hash | log | member NUL | item NUL | key | time | action + 1 | rest
//     by item:    hash of item | table | item NUL | time | member NUL | log | key | action + 1 | rest | room
//     by member:  hash of member | member NUL | time | log | key | item NUL | action + 1 | rest | history
//
// A row by member is written over the same row by item, whose room makes it long enough: between these two
// sorts nothing is copied as long as it is in memory. Numbers are big-endian, the sign of a time flipped, so
// that ties are decided by contents alone. The key is the request and the further key columns, each ended
// by NUL, and empty for logs without units; the rest is the weight, the split and the context, as far as
// the log has them (event_rows.h).
#include "text/prompt/events.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "text/prompt/event_items.h"
#include "text/prompt/event_rows.h"
#include "text/prompt/sortkey.h"
#include "text/prompt/sorter.h"

struct brew_events {
    const brew_task *task;
    brew_events_options options;
    brew_events_counts counts;
    brew_datasplit split;
    brew_sorter *by_unit,
        *by_item,             // by_unit: only with units; by_item: its memory is by_member's, too
        *by_member, *by_time; // by_time: only where the split's boundaries are shares
    brew_buf key;
    brew_field ahead; // the next member's first event, as it came off by_member
    bool rewound;
    int64_t *ends; // [n_logs] where each log ends: its units are known up to there
};

// What one thread takes of a file: strings for by_unit or by_item.
typedef struct sink {
    const brew_events *events;
    size_t log;
    bool units;
    brew_strings strings;
    int64_t end; // the latest time
} sink;

static int add_row(void *arg, const brew_row *row, brew_err *err) {
    sink *s = arg;
    const brew_events_options *options = &s->events->options;
    size_t log = row->log;
    if (options->member_known &&
        !options->member_known(options->arg, log, row->member.ptr, row->member.len))
        return brew_row_bad(err, "the member is not in the member table");
    if (options->item_known &&
        !options->item_known(options->arg, log, row->item.ptr, row->item.len))
        return brew_row_bad(err, "the item is not in the item table");
    if (row->only_check) return 0;
    if (row->action >= 0 && row->time > s->end) s->end = row->time;
    size_t begin = brew_strings_begin(&s->strings);
    if (s->units)
        brew_row_by_unit(row, &s->strings.bytes);
    else
        brew_row_by_item(s->events->task, row, &s->strings.bytes);
    brew_strings_end(&s->strings, begin);
    return 0;
}

static void begin_sink(void *arg) {
    sink *s = arg;
    brew_strings_reset(&s->strings);
    s->end = INT64_MIN;
}

static int end_sinks(void **sinks, size_t n, brew_err *err) {
    const sink *first = sinks[0];
    const brew_events *events = first->events;
    const brew_strings **lists = brew_calloc(n, sizeof *lists);
    for (size_t i = 0; i < n; i++) {
        const sink *s = sinks[i];
        lists[i] = &s->strings;
        if (s->end > events->ends[s->log]) events->ends[s->log] = s->end;
    }
    int status =
        brew_sorter_add_lists(first->units ? events->by_unit : events->by_item, lists, n, err);
    free(lists);
    return status;
}

// All rows of a log's files, or the candidates.
static int read_log(brew_events *events, size_t log, char **files, size_t n_files, bool candidates,
                    brew_err *err) {
    const brew_events_options *options = &events->options;
    size_t threads = (size_t)brew_pool_threads(options->pool), n = threads > 1 ? 4 * threads : 1;
    sink *sinks = brew_calloc(n, sizeof *sinks);
    void **all = brew_calloc(n, sizeof *all);
    for (size_t i = 0; i < n; i++) {
        sinks[i] = (sink){
            .events = events, .log = log, .units = events->task->logs[log].units && !candidates};
        all[i] = &sinks[i];
    }
    brew_rows_of reader = {.task = events->task,
                           .log = log,
                           .candidates = candidates,
                           .at = options->at ? options->at : BREW_TIME_NEVER,
                           .take = add_row,
                           .begin = begin_sink,
                           .end = end_sinks,
                           .sinks = all,
                           .n_sinks = n,
                           .pool = options->pool};
    int status = 0;
    for (size_t k = 0; k < n_files && !status; k++)
        status = brew_rows_of_log(&reader, files[k], options->reject, options->arg, &events->counts,
                                  err);
    for (size_t i = 0; i < n; i++) brew_buf_release(&sinks[i].strings.bytes);
    free(sinks);
    free(all);
    return status;
}

static int read_all(brew_events *events, brew_err *err) {
    const brew_task *task = events->task;
    const brew_events_options *options = &events->options;
    if (options->n_files && task->n_logs > 1)
        return brew_fail(err, BREW_USAGE, "%s has %zu sources, which name their files themselves",
                         task->path, task->n_logs);
    for (size_t i = 0; i < task->n_logs; i++) {
        char input[] = "-", *own[] = {task->logs[i].events.path};
        if (!own[0]) own[0] = input;
        bool given = options->n_files > 0;
        if (read_log(events, i, given ? options->files : own, given ? options->n_files : 1, false,
                     err))
            return -1;
    }
    if (!options->candidates) return 0;
    char *candidates[] = {(char *)(uintptr_t)options->candidates};
    return read_log(events, task->candidates.log, candidates, 1, true, err);
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
    brew_row row = brew_row_of_unit(events->task, bytes);
    const brew_log *log = &events->task->logs[row.log];
    brew_key_cursor c = {row.key.ptr + row.key.len};
    size_t key_len = (size_t)(c.at - bytes);
    int64_t time = brew_key_take_time(&c);
    uint64_t action = brew_key_take_u16(&c);
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
    brew_buf_reserve(&u->key, 8); // behind an id
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

static int count_items(brew_events *events, brew_err *err) {
    const brew_events_options *options = &events->options;
    brew_item_pass pass = {.task = events->task,
                           .pool = options->pool,
                           .by_item = events->by_item,
                           .by_member = events->by_member,
                           .by_time = events->by_time,
                           .candidates = options->candidates != NULL,
                           .shard = options->shard,
                           .shards = options->all_first ? 0 : options->shards,
                           .counts = &events->counts};
    int status =
        brew_sorter_finish(events->by_item, err) || brew_item_pass_run(&pass, err) ? -1 : 0;
    if (pass.stay) return status;
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
        brew_key_cursor c = {(const char *)bytes};
        int64_t time = brew_key_take_time(&c);
        if (rank == valid) split->valid_from = time;
        if (rank == test) split->test_from = time;
    }
    brew_sorter_free(events->by_time);
    events->by_time = NULL;
    return status;
}

static bool in_shard(const brew_events *events, uint64_t member_hash) {
    return brew_shard_holds(events->options.shard, events->options.shards, member_hash);
}

// Takes the next event off by_member; without bytes at the end.
static int look_ahead(brew_events *events, brew_err *err) {
    const unsigned char *bytes;
    size_t len;
    int got;
    do {
        got = brew_sorter_next(events->by_member, &bytes, &len, err);
    } while (got > 0 && events->rewound && !in_shard(events, brew_key_load((const char *)bytes)));
    events->ahead = (brew_field){got > 0 ? (const char *)bytes : NULL, got > 0 ? len : 0};
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

// Adds the event ahead.
static void add_event(const brew_events *events, brew_member *member) {
    const brew_task *task = events->task;
    const char *bytes = events->ahead.ptr;
    size_t len = events->ahead.len;
    bytes =
        brew_arena_strndup(&member->arena, bytes, len); // one after the other, as they will be used
    if (!member->n) {
        member->id = bytes + 8;
        member->id_len = brew_key_id_len(member->id);
    }
    BREW_GROW(member->events, member->n + 1, member->cap);
    brew_event *event = &member->events[member->n++];
    brew_row row;
    uint64_t before = brew_row_of_member(task, bytes, len, &row);
    const brew_log *log = &task->logs[row.log];
    *event = (brew_event){.item = row.item.ptr,
                          .item_len = row.item.len,
                          .request = "",
                          .time = row.time,
                          .known = row.time,
                          .action = row.action,
                          .at_once = !log->units,
                          .log = (uint8_t)row.log,
                          .weight = 1,
                          .rate = 1,
                          .item_history = before};
    if (log->request_column || row.action < 0) {
        event->request_len = strlen(row.key.ptr);
        event->request = row.key.ptr;
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
    do {
        add_event(events, member);
        if (look_ahead(events, err)) return -1;
    } while (events->ahead.len > 8 + member->id_len &&
             !memcmp(events->ahead.ptr + 8, member->id, member->id_len + 1));
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
    return in_shard(events, brew_hash64(member, len, 0));
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
    brew_sorter_free(events->by_member);
    brew_sorter_free(events->by_item);
    brew_sorter_free(events->by_time);
    brew_buf_release(&events->key);
    free(events->ends);
    free(events);
}

void brew_member_release(brew_member *member) {
    free(member->events);
    free(member->values);
    brew_arena_release(&member->arena);
    *member = (brew_member){0};
}
