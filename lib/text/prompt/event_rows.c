#include "text/prompt/event_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"

enum { MAX_COLUMNS = 512, ABSENT = 0xffff, CANDIDATE = 0xff }; // CANDIDATE: instead of a log

int brew_row_bad(brew_err *err, const char *why) {
    brew_fail(err, BREW_DATA, "%s", why);
    return 1;
}

// ---- strings in the order wanted ----

static void put_be(brew_buf *out, uint64_t value, int bytes) {
    while (bytes-- > 0) brew_buf_addc(out, (char)(unsigned char)(value >> 8 * bytes));
}

static uint64_t get_be(brew_cursor *c, int bytes) {
    uint64_t value = 0;
    while (bytes-- > 0) value = value << 8 | (unsigned char)*c->at++;
    return value;
}

void brew_put_be64(brew_buf *out, uint64_t value) {
    put_be(out, value, 8);
}

void brew_put_time(brew_buf *out, int64_t time) {
    put_be(out, (uint64_t)time ^ (uint64_t)1 << 63, 8);
}

uint64_t brew_get_be64(brew_cursor *c) {
    return get_be(c, 8);
}

uint64_t brew_get_be16(brew_cursor *c) {
    return get_be(c, 2);
}

int64_t brew_get_time(brew_cursor *c) {
    return (int64_t)(get_be(c, 8) ^ (uint64_t)1 << 63);
}

static void put_id(brew_buf *out, brew_field id) {
    brew_buf_add(out, id.ptr, id.len);
    brew_buf_addc(out, 0);
}

static void put_field(brew_buf *out, brew_field field) {
    brew_buf_add(out, field.ptr, field.len);
}

static brew_field get_id(brew_cursor *c) {
    brew_field id = {c->at, strlen(c->at)};
    c->at += id.len + 1;
    return id;
}

static brew_field get_key(brew_cursor *c, const brew_log *log) {
    brew_field key = {c->at, 0};
    if (!log->units) return key;
    for (size_t n = log->key.n + (log->request_column != NULL); n; n--) get_id(c);
    key.len = (size_t)(c->at - key.ptr);
    return key;
}

void brew_row_by_unit(const brew_row *row, brew_buf *out) {
    put_be(out, row->log, 1);
    put_id(out, row->member);
    put_id(out, row->item);
    put_field(out, row->key);
    brew_put_time(out, row->time);
    put_be(out, (uint64_t)(row->action + 1), 2);
    put_field(out, row->rest);
}

size_t brew_task_candidates_log(const brew_task *task) {
    size_t log = 0;
    while (log + 1 < task->n_logs && task->asked && !task->asked[log]) log++;
    return log;
}

// The log, or that it is a candidate, whose key is its request. Returns whether it is.
static bool get_log(const brew_task *task, brew_cursor *c, brew_row *out) {
    uint64_t log = get_be(c, 1);
    bool candidate = log == CANDIDATE;
    out->log = candidate ? brew_task_candidates_log(task) : (size_t)log;
    out->key = (brew_field){c->at, 0};
    if (candidate)
        out->key.len = get_id(c).len + 1;
    else
        out->key = get_key(c, &task->logs[log]);
    return candidate;
}

static uint64_t log_number(const brew_row *row) {
    return row->action < 0 ? CANDIDATE : row->log;
}

void brew_row_by_item(const brew_task *task, const brew_row *row, brew_buf *out) {
    put_be(out, task->logs[row->log].items, 1);
    put_id(out, row->item);
    brew_put_time(out, row->time);
    put_id(out, row->member);
    put_be(out, log_number(row), 1);
    put_field(out, row->key);
    put_be(out, (uint64_t)(row->action + 1), 2);
    put_field(out, row->rest);
}

// Candidates stand behind all events, whatever their time.
void brew_row_by_member(const brew_row *row, brew_buf *out) {
    put_id(out, row->member);
    brew_put_time(out, row->action < 0 ? BREW_TIME_NEVER : row->time);
    put_be(out, log_number(row), 1);
    put_field(out, row->key);
    if (row->action < 0) brew_put_time(out, row->time);
    put_id(out, row->item);
    put_be(out, (uint64_t)(row->action + 1), 2);
    put_field(out, row->rest);
}

brew_row brew_row_of_unit(const brew_task *task, const char *key) {
    brew_cursor c = {key};
    brew_row row = {.log = (size_t)get_be(&c, 1)};
    row.member = get_id(&c);
    row.item = get_id(&c);
    row.key = get_key(&c, &task->logs[row.log]);
    return row;
}

size_t brew_row_unit_key(const brew_task *task, const char *bytes) {
    brew_row row = brew_row_of_unit(task, bytes);
    return (size_t)(row.key.ptr + row.key.len - bytes);
}

size_t brew_row_of_item(const brew_task *task, const char *bytes, size_t len, brew_row *out) {
    brew_cursor c = {bytes + 1};
    out->item = get_id(&c);
    out->time = brew_get_time(&c);
    out->member = get_id(&c);
    get_log(task, &c, out);
    size_t unit_len = (size_t)(c.at - bytes);
    out->action = (int)get_be(&c, 2) - 1;
    out->rest = (brew_field){c.at, len - (size_t)(c.at - bytes)};
    return unit_len;
}

void brew_row_of_member(const brew_task *task, const char *bytes, size_t len, brew_row *out) {
    brew_cursor c = {bytes};
    *out = (brew_row){.time = brew_get_time(&c)};
    if (get_log(task, &c, out)) out->time = brew_get_time(&c);
    out->item = get_id(&c);
    out->action = (int)get_be(&c, 2) - 1;
    out->rest = (brew_field){c.at, len - (size_t)(c.at - bytes)};
}

int brew_row_rest(const brew_log *log, brew_field rest, brew_member *member, brew_event *event) {
    brew_cursor c = {rest.ptr};
    int split = log->split;
    bool candidate = event->action < 0;
    if (!rest.len) return split; // a candidate without a context
    if (log->weight_column && !candidate) {
        uint64_t bits = get_be(&c, 8);
        memcpy(&event->weight, &bits, sizeof bits);
    }
    if (log->split_column && !candidate) split = (int)get_be(&c, 1);
    if (!log->context.n) return split;
    brew_field *context = brew_arena_alloc(&member->arena, log->context.n * sizeof *context);
    for (size_t i = 0; i < log->context.n; i++) {
        size_t len = (size_t)get_be(&c, 2);
        context[i] = (brew_field){NULL, 0};
        if (len == ABSENT) continue;
        context[i] = (brew_field){brew_arena_strndup(&member->arena, c.at, len), len};
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
    place(&p, log->slate ? "item" : log->item_column);
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

typedef struct reading {
    brew_rows_of *reader;
    const brew_log *log;
    places at;
} reading;

static int split_named(brew_field name) {
    static const char *const names[] = {"train", "valid", "test", "dev", "validation", "val"};
    static const int splits[] = {0, 1, 2, 1, 1, 1};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == name.len && !memcmp(names[i], name.ptr, name.len)) return splits[i];
    return -1;
}

static int take_context(const reading *r, const brew_field *fields, brew_err *err) {
    brew_buf *rest = &r->reader->rest;
    for (size_t i = 0; i < r->log->context.n; i++) {
        brew_field field = fields[r->at.context + i];
        if (field.len >= ABSENT)
            return brew_row_bad(err, "a field of more than 65534 bytes in an event's context");
        put_be(rest, field.ptr ? field.len : ABSENT, 2);
        put_field(rest, field);
    }
    return 0;
}

// Weight, split and context of the row into reader->rest.
static int take_rest(const reading *r, const brew_field *fields, brew_err *err) {
    const brew_log *log = r->log;
    brew_buf *rest = &r->reader->rest;
    brew_buf_reset(rest);
    if (log->weight_column) {
        brew_field text = fields[r->at.weight];
        double weight;
        if (!text.ptr || !brew_parse_double(text.ptr, text.len, &weight) || weight < 0 ||
            weight > 1e30)
            return brew_row_bad(err, "the weight is not a number from 0 to 1e30");
        uint64_t bits;
        weight += 0; // no negative zero
        memcpy(&bits, &weight, sizeof bits);
        put_be(rest, bits, 8);
    }
    if (log->split_column) {
        brew_field name = fields[r->at.split];
        int split = name.ptr ? split_named(name) : -1;
        if (split < 0) return brew_row_bad(err, "the split is not train, valid or test");
        put_be(rest, (uint64_t)split, 1);
    }
    return take_context(r, fields, err);
}

static int take_key(const reading *r, const brew_field *fields, brew_err *err) {
    brew_buf *key = &r->reader->key;
    brew_buf_reset(key);
    for (size_t i = 0; i < r->at.n_key; i++) {
        brew_field field = fields[r->at.key + i];
        if (field.ptr && memchr(field.ptr, 0, field.len))
            return brew_row_bad(err, "a NUL character in a column of the key");
        put_id(key, field);
    }
    if (!key->ptr) brew_buf_reserve(key, 1);
    return 0;
}

static int take_one(const reading *r, brew_row *row, brew_field item, brew_field value,
                    brew_err *err) {
    row->item = item;
    if (!brew_is_id(item)) return brew_row_bad(err, "no item");
    row->action = value.ptr ? brew_actions_find(brew_log_actions(r->reader->task, row->log),
                                                value.ptr, value.len)
                            : -1;
    if (row->action < 0) return brew_row_bad(err, "the value fits no action");
    return r->reader->take ? r->reader->take(r->reader->arg, row, err) : 0;
}

// The items of a slate, ITEM-VALUE between blanks. Checked as a whole before the first is taken.
static int take_slate(const reading *r, brew_row *row, brew_field cell, brew_err *err) {
    if (!cell.len) return brew_row_bad(err, "an empty slate");
    for (int pass = 0; pass < 2; pass++) {
        brew_take_row_fn *take = r->reader->take;
        if (!pass) r->reader->take = NULL;
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
        r->reader->take = take;
        if (status) return status;
    }
    return 0;
}

static int take_candidate(const reading *r, const brew_field *fields, brew_err *err) {
    brew_rows_of *reader = r->reader;
    const brew_candidates *how = &reader->task->candidates;
    brew_row row = {.log = reader->log, .member = fields[0], .item = fields[1], .action = -1};
    if (!brew_is_id(fields[0])) return brew_row_bad(err, "no member");
    if (!brew_is_id(fields[1])) return brew_row_bad(err, "no item");
    row.time = reader->at;
    brew_field time = {0};
    if (r->at.time >= 0) time = fields[r->at.time];
    if (r->at.time >= 0 && reader->at == BREW_TIME_NEVER &&
        (!time.ptr || !brew_time_parse(time.ptr, time.len, how->time_unit, &row.time)))
        return brew_row_bad(err, "the time is not one in the task's unit");
    if (take_key(r, fields, err)) return 1;
    if (!how->request_column) brew_buf_addc(&reader->key, 0);
    if (how->request_column && reader->key.len == 1) return brew_row_bad(err, "no request");
    brew_buf_reset(&reader->rest);
    if (how->context && take_context(r, fields, err)) return 1;
    row.key = (brew_field){reader->key.ptr, reader->key.len};
    row.rest = (brew_field){reader->rest.ptr ? reader->rest.ptr : "", reader->rest.len};
    return reader->take(reader->arg, &row, err);
}

static int take_row(void *state, const brew_field *fields, brew_err *err) {
    const reading *r = state;
    brew_rows_of *reader = r->reader;
    brew_row row = {.log = reader->log, .member = fields[0], .action = -1};
    reader->n++;
    if (reader->candidates) return take_candidate(r, fields, err);
    if (!brew_is_id(fields[0])) return brew_row_bad(err, "no member");
    if (!r->log->slate && !brew_is_id(fields[1])) return brew_row_bad(err, "no item");
    brew_field time = {0};
    if (r->at.time >= 0) time = fields[r->at.time];
    if (r->at.time < 0)
        row.time = (int64_t)reader->n * 1000;
    else if (!time.ptr || !brew_time_parse(time.ptr, time.len, r->log->time_unit, &row.time))
        return brew_row_bad(err, "the time is not one in the task's unit");
    int status = take_key(r, fields, err);
    if (!status) status = take_rest(r, fields, err);
    if (status) return status;
    row.key = (brew_field){reader->key.ptr, reader->key.len};
    row.rest = (brew_field){reader->rest.ptr ? reader->rest.ptr : "", reader->rest.len};
    if (r->log->slate) return take_slate(r, &row, fields[1], err);
    return take_one(r, &row, fields[1], r->at.value < 0 ? (brew_field){"", 0} : fields[r->at.value],
                    err);
}

int brew_rows_of_log(brew_rows_of *reader, const char *path, brew_reject_fn *reject, void *arg,
                     brew_events_counts *counts, brew_err *err) {
    const brew_log *log = &reader->task->logs[reader->log];
    reading r = {reader, log,
                 reader->candidates ? places_of_candidates(log, &reader->task->candidates)
                                    : places_of(log)};
    int status = brew_rows_read(path, reader->candidates ? NULL : &log->events, r.at.names, r.at.n,
                                take_row, &r, reject, arg, counts, err);
    brew_buf_release(&reader->key);
    brew_buf_release(&reader->rest);
    reader->key = reader->rest = (brew_buf){0};
    return status;
}
