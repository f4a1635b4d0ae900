#include "text/prompt/event_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "text/prompt/sorter.h"
#include "text/prompt/sortkey.h"

enum { MAX_COLUMNS = 512, ABSENT = 0xffff, CANDIDATE = 0xff, HASH = 4 };
// CANDIDATE: instead of a log; HASH: its bytes before what is hashed

int brew_row_bad(brew_err *err, const char *why) {
    brew_fail(err, BREW_DATA, "%s", why);
    return 1;
}

// ---- strings in the order wanted ----

// Room for a row's pieces and what stands between them; then its end is told.
static char *begin_row(const brew_row *row, brew_buf *out) {
    enum { BETWEEN = 64 };
    brew_buf_reserve(out, row->member.len + row->item.len + row->key.len + row->rest.len + BETWEEN);
    return out->ptr + out->len;
}

static void end_row(char *at, brew_buf *out) {
    *at = 0;
    out->len = (size_t)(at - out->ptr);
}

static char *put_u8(char *at, size_t value) {
    *at = (char)(unsigned char)value;
    return at + 1;
}

static char *put_u16(char *at, size_t value) {
    return put_u8(put_u8(at, value >> 8), value & 0xff);
}

static char *put_time(char *at, int64_t time) {
    return brew_key_store(at, brew_key_of_time(time));
}

static char *put_field(char *at, brew_field field) {
    if (field.len) memcpy(at, field.ptr, field.len);
    return at + field.len;
}

static char *put_id(char *at, brew_field id) {
    return put_u8(put_field(at, id), 0);
}

static char *put_action(char *at, const brew_row *row) {
    return put_u16(at, (size_t)(row->action + 1));
}

static brew_field get_id(brew_key_cursor *c) {
    brew_field id;
    id.ptr = brew_key_take_id(c, &id.len);
    return id;
}

static int get_action(brew_key_cursor *c) {
    return brew_key_take_u16(c) - 1;
}

static brew_field get_key(brew_key_cursor *c, const brew_log *log) {
    brew_field key = {c->at, 0};
    if (!log->units) return key;
    for (size_t n = log->key.n + (log->request_column != NULL); n; n--) get_id(c);
    key.len = (size_t)(c->at - key.ptr);
    return key;
}

// The log, or that it is a candidate, whose key is its request. Returns whether it is.
static bool get_log(const brew_task *task, brew_key_cursor *c, brew_row *out) {
    size_t log = brew_key_take_u8(c);
    bool candidate = log == CANDIDATE;
    out->log = candidate ? task->candidates.log : log;
    out->key = (brew_field){c->at, 0};
    if (candidate)
        out->key.len = get_id(c).len + 1;
    else
        out->key = get_key(c, &task->logs[log]);
    return candidate;
}

static size_t log_number(const brew_row *row) {
    return row->action < 0 ? CANDIDATE : row->log;
}

// Sorting by a hash first is quick; only that equal ids stand together matters.
static char *put_hash(char *at, uint64_t hash) {
    return put_u16(put_u16(at, hash >> 48), hash >> 32 & 0xffff);
}

void brew_row_by_unit(const brew_row *row, brew_buf *out) {
    uint64_t hash = brew_hash64(row->member.ptr, row->member.len, 0);
    hash = brew_hash64(row->item.ptr, row->item.len, hash);
    char *at = put_u8(put_hash(begin_row(row, out), hash), row->log);
    at = put_field(put_id(put_id(at, row->member), row->item), row->key);
    at = put_action(put_time(at, row->time), row);
    end_row(put_field(at, row->rest), out);
}

// By how many bytes a row by member is longer: by the rest of the hash and the count before, less the table; and by
// a second time.
static size_t room_of(int action) {
    return (8 - HASH) + 8 - 1 + (action < 0 ? 8 : 0);
}

void brew_row_by_item(const brew_task *task, const brew_row *row, brew_buf *out) {
    uint64_t hash = brew_hash64(row->item.ptr, row->item.len, 0);
    char *at = put_u8(put_hash(begin_row(row, out), hash), task->logs[row->log].items);
    at = put_id(put_time(put_id(at, row->item), row->time), row->member);
    at = put_action(put_field(put_u8(at, log_number(row)), row->key), row);
    at = put_field(at, row->rest);
    size_t room = room_of(row->action);
    memset(at, 0, room);
    end_row(at + room, out);
}

// Candidates stand behind all events, whatever their time.
void brew_row_by_member(const brew_row *row, uint64_t member_hash, uint64_t before, brew_buf *out) {
    char *at = put_id(brew_key_store(begin_row(row, out), member_hash), row->member);
    at = put_time(at, row->action < 0 ? BREW_TIME_NEVER : row->time);
    at = put_field(put_u8(at, log_number(row)), row->key);
    if (row->action < 0) at = put_time(at, row->time);
    at = put_action(put_id(at, row->item), row);
    end_row(brew_key_store(put_field(at, row->rest), before), out);
}

brew_row brew_row_of_unit(const brew_task *task, const char *key) {
    brew_key_cursor c = {key + HASH};
    brew_row row = {.log = brew_key_take_u8(&c)};
    row.member = get_id(&c);
    row.item = get_id(&c);
    row.key = get_key(&c, &task->logs[row.log]);
    return row;
}

brew_item_lens brew_row_of_item(const brew_task *task, const unsigned char *string, brew_row *out) {
    const char *bytes = (const char *)string + 4;
    size_t len = brew_sort_len(string);
    brew_key_cursor c = {bytes + HASH + 1};
    brew_item_lens lens;
    out->item = get_id(&c);
    lens.item = (size_t)(c.at - bytes);
    out->time = brew_key_take_time(&c);
    out->member = get_id(&c);
    get_log(task, &c, out);
    lens.event = (size_t)(c.at - bytes);
    out->action = get_action(&c);
    out->rest = (brew_field){c.at, len - room_of(out->action) - (size_t)(c.at - bytes)};
    return lens;
}

uint64_t brew_row_of_member(const brew_task *task, const char *bytes, size_t len, brew_row *out) {
    brew_key_cursor c = {bytes + 8};
    out->member = get_id(&c);
    out->time = brew_key_take_time(&c);
    if (get_log(task, &c, out)) out->time = brew_key_take_time(&c);
    out->item = get_id(&c);
    out->action = get_action(&c);
    out->rest = (brew_field){c.at, len - 8 - (size_t)(c.at - bytes)};
    return brew_key_load(bytes + len - 8);
}

int brew_row_rest(const brew_log *log, brew_field rest, brew_member *member, brew_event *event) {
    brew_key_cursor c = {rest.ptr};
    int split = log->split;
    bool candidate = event->action < 0;
    if (!rest.len) return split; // a candidate without a context
    if (log->weight_column && !candidate) {
        uint64_t bits = brew_key_take_u64(&c);
        memcpy(&event->weight, &bits, sizeof bits);
    }
    if (log->split_column && !candidate) split = brew_key_take_u8(&c);
    if (!log->context.n) return split;
    brew_field *context = brew_arena_alloc(&member->arena, log->context.n * sizeof *context);
    for (size_t i = 0; i < log->context.n; i++) {
        size_t len = brew_key_take_u16(&c);
        context[i] = (brew_field){NULL, 0};
        if (len == ABSENT) continue;
        context[i] = (brew_field){c.at, len};
        c.at += len;
    }
    event->context = context;
    return split;
}

// ---- rows of a file ----

// Where in the fields of a row each column stands; -1: not read.
typedef struct places {
    const char *names[MAX_COLUMNS];
    size_t n;
    int time, value, weight, split;
    size_t key, n_key, context;
} places;

static int place(places *p, const char *name) {
    if (!name || p->n == MAX_COLUMNS) return -1;
    p->names[p->n] = name;
    return (int)p->n++;
}

// Candidates have their own columns of time and request.
static places places_of_candidates(const brew_log *log, const brew_candidates *how) {
    places p = {0};
    place(&p, log->member_column);
    place(&p, how->item_column ? how->item_column : log->slate ? "item" : log->item_column);
    p.time = place(&p, how->time_column);
    p.key = p.n;
    place(&p, how->request_column);
    p.n_key = p.n - p.key;
    p.context = p.n;
    for (size_t i = 0; how->context && i < log->context.n; i++) place(&p, log->context.names[i]);
    return p;
}

static places places_of(const brew_log *log) {
    places p = {0};
    place(&p, log->member_column);
    place(&p, log->item_column);
    p.time = place(&p, log->time_column);
    p.value = place(&p, log->value_column);
    p.weight = place(&p, log->weight_column);
    p.split = place(&p, log->split_column);
    p.key = p.n;
    place(&p, log->request_column);
    for (size_t i = 0; i < log->key.n; i++) place(&p, log->key.names[i]);
    p.n_key = p.n - p.key;
    p.context = p.n;
    for (size_t i = 0; i < log->context.n; i++) place(&p, log->context.names[i]);
    return p;
}

// What fills one sink.
typedef struct reading {
    brew_rows_of *reader;
    const brew_log *log;
    const places *at;
    void *sink;
    brew_buf key, rest;
} reading;

static int split_named(brew_field name) {
    static const char *const names[] = {"train", "valid", "test", "dev", "validation", "val"};
    static const int splits[] = {0, 1, 2, 1, 1, 1};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == name.len && !memcmp(names[i], name.ptr, name.len)) return splits[i];
    return -1;
}

static int take_context(reading *r, const brew_field *fields, brew_err *err) {
    brew_buf *rest = &r->rest;
    for (size_t i = 0; i < r->log->context.n; i++) {
        brew_field field = fields[r->at->context + i];
        if (field.len >= ABSENT)
            return brew_row_bad(err, "a field of more than 65534 bytes in an event's context");
        size_t len = field.ptr ? field.len : ABSENT;
        brew_buf_addc(rest, (char)(unsigned char)(len >> 8));
        brew_buf_addc(rest, (char)(unsigned char)(len & 0xff));
        brew_buf_add(rest, field.ptr, field.len);
    }
    return 0;
}

// Weight, split and context of the row into r->rest.
static int take_rest(reading *r, const brew_field *fields, brew_err *err) {
    const brew_log *log = r->log;
    brew_buf *rest = &r->rest;
    brew_buf_reset(rest);
    if (log->weight_column) {
        brew_field text = fields[r->at->weight];
        double weight;
        if (!text.ptr || !brew_parse_double(text.ptr, text.len, &weight) || weight < 0 ||
            weight > 1e30)
            return brew_row_bad(err, "the weight is not a number from 0 to 1e30");
        uint64_t bits;
        weight += 0; // no negative zero
        memcpy(&bits, &weight, sizeof bits);
        brew_key_u64(rest, bits);
    }
    if (log->split_column) {
        brew_field name = fields[r->at->split];
        int split = name.ptr ? split_named(name) : -1;
        if (split < 0) return brew_row_bad(err, "the split is not train, valid or test");
        brew_buf_addc(rest, (char)split);
    }
    return take_context(r, fields, err);
}

static int take_key(reading *r, const brew_field *fields, brew_err *err) {
    brew_buf *key = &r->key;
    brew_buf_reset(key);
    for (size_t i = 0; i < r->at->n_key; i++) {
        brew_field field = fields[r->at->key + i];
        if (field.ptr && memchr(field.ptr, 0, field.len))
            return brew_row_bad(err, "a NUL character in a column of the key");
        brew_key_id(key, field.ptr, field.len);
    }
    if (!key->ptr) brew_buf_reserve(key, 1);
    return 0;
}

static int take_one(reading *r, brew_row *row, brew_field item, brew_field value, brew_err *err) {
    row->item = item;
    if (!brew_is_id(item)) return brew_row_bad(err, "no item");
    row->action = value.ptr ? brew_actions_find(brew_log_actions(r->reader->task, row->log),
                                                value.ptr, value.len)
                            : -1;
    if (row->action < 0) return brew_row_bad(err, "the value fits no action");
    return r->reader->take(r->sink, row, err);
}

// The items of a slate, ITEM-VALUE between blanks. Checked as a whole before the first is taken.
static int take_slate(reading *r, brew_row *row, brew_field cell, brew_err *err) {
    if (!cell.len) return brew_row_bad(err, "an empty slate");
    for (int pass = 0; pass < 2; pass++) {
        row->only_check = !pass;
        int status = 0;
        for (size_t i = 0; i < cell.len && !status;) {
            size_t end = i;
            while (end < cell.len && cell.ptr[end] != ' ') end++;
            const char *dash = NULL;
            for (const char *at = cell.ptr + end; !dash && at > cell.ptr + i; at--)
                if (at[-1] == '-') dash = at - 1;
            brew_field item = {cell.ptr + i, dash ? (size_t)(dash - cell.ptr) - i : 0};
            brew_field value = {dash ? dash + 1 : NULL,
                                dash ? (size_t)(cell.ptr + end - dash) - 1 : 0};
            status = dash ? take_one(r, row, item, value, err)
                          : brew_row_bad(err, "an item of the slate without \"-\" and a value");
            i = end + (end < cell.len);
        }
        if (status) return status;
    }
    return 0;
}

// Takes the first item off a slate of items between single blanks.
static brew_field first_item(brew_field *slate) {
    const char *blank = memchr(slate->ptr, ' ', slate->len);
    brew_field item = {slate->ptr, blank ? (size_t)(blank - slate->ptr) : slate->len};
    size_t passed = item.len + (blank != NULL);
    *slate = (brew_field){slate->ptr + passed, slate->len - passed};
    return item;
}

static bool is_slate_of_ids(brew_field slate) {
    bool ends = slate.ptr[slate.len - 1] == ' ';
    while (slate.len)
        if (!first_item(&slate).len) return false;
    return !ends;
}

static int take_candidate(reading *r, const brew_field *fields, brew_err *err) {
    brew_rows_of *reader = r->reader;
    const brew_candidates *how = &reader->task->candidates;
    brew_row row = {.log = reader->log, .member = fields[0], .item = fields[1], .action = -1};
    if (!brew_is_id(fields[0])) return brew_row_bad(err, "no member");
    if (!brew_is_id(fields[1])) return brew_row_bad(err, "no item");
    if (how->slate && !is_slate_of_ids(fields[1]))
        return brew_row_bad(err, "an item of the slate is empty");
    row.time = reader->at;
    brew_field time = {0};
    if (r->at->time >= 0) time = fields[r->at->time];
    if (r->at->time >= 0 && reader->at == BREW_TIME_NEVER &&
        (!time.ptr || !brew_time_parse(time.ptr, time.len, how->time_unit, &row.time)))
        return brew_row_bad(err, "the time is not one in the task's unit");
    if (take_key(r, fields, err)) return 1;
    if (!how->request_column) brew_buf_addc(&r->key, 0);
    if (how->request_column && r->key.len == 1) return brew_row_bad(err, "no request");
    brew_buf_reset(&r->rest);
    if (how->context && take_context(r, fields, err)) return 1;
    row.key = (brew_field){r->key.ptr, r->key.len};
    row.rest = (brew_field){r->rest.ptr ? r->rest.ptr : "", r->rest.len};
    if (!how->slate) return reader->take(r->sink, &row, err);
    int status = 0;
    for (int pass = 0; pass < 2 && !status; pass++) {
        row.only_check = !pass;
        for (brew_field left = fields[1]; left.len && !status;) {
            row.item = first_item(&left);
            status = reader->take(r->sink, &row, err);
        }
    }
    return status;
}

static int take_row(void *state, const brew_field *fields, brew_err *err) {
    reading *r = state;
    brew_rows_of *reader = r->reader;
    brew_row row = {.log = reader->log, .member = fields[0], .action = -1};
    if (reader->candidates) return take_candidate(r, fields, err);
    if (r->at->time < 0) reader->n++;
    if (!brew_is_id(fields[0])) return brew_row_bad(err, "no member");
    if (!r->log->slate && !brew_is_id(fields[1])) return brew_row_bad(err, "no item");
    brew_field time = {0};
    if (r->at->time >= 0) time = fields[r->at->time];
    if (r->at->time < 0)
        row.time = (int64_t)reader->n * 1000;
    else if (!time.ptr || !brew_time_parse(time.ptr, time.len, r->log->time_unit, &row.time))
        return brew_row_bad(err, "the time is not one in the task's unit");
    int status = take_key(r, fields, err);
    if (!status) status = take_rest(r, fields, err);
    if (status) return status;
    row.key = (brew_field){r->key.ptr, r->key.len};
    row.rest = (brew_field){r->rest.ptr ? r->rest.ptr : "", r->rest.len};
    if (r->log->slate) return take_slate(r, &row, fields[1], err);
    return take_one(r, &row, fields[1],
                    r->at->value < 0 ? (brew_field){"", 0} : fields[r->at->value], err);
}

static void begin_sink(void *state) {
    const reading *r = state;
    r->reader->begin(r->sink);
}

static int end_sinks(void **states, size_t n, brew_err *err) {
    const reading *first = states[0];
    return first->reader->end(first->reader->sinks, n, err);
}

int brew_rows_of_log(brew_rows_of *reader, const char *path, brew_reject_fn *reject, void *arg,
                     brew_events_counts *counts, brew_err *err) {
    const brew_log *log = &reader->task->logs[reader->log];
    const places at =
        reader->candidates ? places_of_candidates(log, &reader->task->candidates) : places_of(log);
    // Where rows are numbered one thread counts them.
    size_t n = at.time < 0 && !reader->candidates ? 1 : reader->n_sinks;
    reading *readings = brew_calloc(n, sizeof *readings);
    void **states = brew_calloc(n, sizeof *states);
    for (size_t i = 0; i < n; i++) {
        readings[i] = (reading){.reader = reader, .log = log, .at = &at, .sink = reader->sinks[i]};
        states[i] = &readings[i];
    }
    const brew_rows_taker taker = {.take = take_row,
                                   .begin = begin_sink,
                                   .end = end_sinks,
                                   .states = states,
                                   .n_states = n,
                                   .pool = reader->pool,
                                   .reject = reject,
                                   .arg = arg};
    int status =
        brew_rows_read(path, reader->candidates ? &reader->task->candidates.form : &log->events,
                       at.names, at.n, &taker, counts, err);
    for (size_t i = 0; i < n; i++) {
        brew_buf_release(&readings[i].key);
        brew_buf_release(&readings[i].rest);
    }
    free(readings);
    free(states);
    return status;
}
