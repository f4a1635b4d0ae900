#include "io/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/in.h"
#include "io/table_rows.h"

enum { CHUNK = 256 << 10, PART = 128 << 10 };

struct brew_table_part {
    brew_cutter cutter;
    const char *begin, *stop; // rows that begin in between are the part's
    uint64_t first_line;      // of the table, from 0
    brew_err failure;
};

struct brew_table {
    brew_in *in;
    brew_row_shape shape;
    brew_cutter cutter; // at what is not cut yet: [at, end) of buf
    char *buf;
    size_t cap; // and BREW_ROWS_SLACK
    brew_table_part *parts;
    size_t n_parts, max_parts;
    brew_part_fn *work;
    void *arg;
    brew_err failure;
};

// Reads more, `room` bytes if there are as many, behind what is not cut yet: 0, also at the end of the
// file, or -1. Pointers do not stay good.
static int fill(brew_table *t, size_t room) {
    brew_cutter *c = &t->cutter;
    size_t held = (size_t)(c->end - c->at);
    if (held) memmove(t->buf, c->at, held);
    if (held + room > t->cap) {
        t->cap = held + room > 2 * t->cap ? held + room : 2 * t->cap;
        t->buf = brew_realloc(t->buf, t->cap + BREW_ROWS_SLACK);
    }
    ssize_t got = brew_in_read(t->in, t->buf + held, t->cap - held, &t->failure);
    held += got > 0 ? (size_t)got : 0;
    c->at = t->buf;
    c->end = t->buf + held;
    c->whole = !got;
    c->marked = NULL;
    memset(t->buf + held, 0, BREW_ROWS_SLACK);
    return got < 0 ? -1 : 0;
}

// A cutter has failed for good, at a line counted from 0.
static int fail_for_good(brew_table *t, uint64_t line, const brew_err *why) {
    t->cutter.line = line;
    return brew_fail(&t->failure, BREW_DATA, "%s:%llu: %s", brew_in_name(t->in),
                     (unsigned long long)line + 1, why->text);
}

static int give_failure(const brew_table *t, brew_err *err) {
    if (err) *err = t->failure;
    return -1;
}

int brew_table_next(brew_table *t, const brew_field **fields, brew_err *err) {
    brew_err why;
    while (!t->failure.code) {
        switch (brew_cut_row(&t->cutter, &why)) {
        case BREW_CUT_ROW:
            *fields = t->cutter.fields;
            return 1;
        case BREW_CUT_END:
            return 0;
        case BREW_CUT_BAD:
            if (err) *err = why;
            return -1;
        case BREW_CUT_MORE:
            fill(t, CHUNK);
            break;
        case BREW_CUT_BROKEN:
            fail_for_good(t, t->cutter.line, &why);
        }
    }
    return give_failure(t, err);
}

// ---- rounds ----

int brew_part_next(brew_table_part *part, const brew_field **fields, brew_err *err) {
    if (part->cutter.at >= part->stop) return 0;
    switch (brew_cut_row(&part->cutter, err)) {
    case BREW_CUT_ROW:
        *fields = part->cutter.fields;
        return 1;
    case BREW_CUT_BAD:
        return -1;
    case BREW_CUT_BROKEN:
        part->failure = *err;
        break;
    case BREW_CUT_END:
    case BREW_CUT_MORE:
        break;
    }
    part->stop = part->cutter.at; // no further
    return 0;
}

void brew_part_raw(const brew_table_part *part, const char **bytes, size_t *len) {
    *bytes = part->cutter.raw;
    *len = part->cutter.raw_len;
}

uint64_t brew_part_line(const brew_table_part *part) {
    return part->cutter.line;
}

static void begin_part(const brew_table *t, size_t i, const char *at) {
    brew_table_part *part = &t->parts[i];
    part->begin = part->cutter.at = at;
    part->cutter.end = t->cutter.end;
    part->cutter.whole = t->cutter.whole;
    part->cutter.lines = 0;
    part->cutter.marked = NULL;
    part->failure.code = BREW_OK;
}

static void work_part(void *arg, size_t i, int worker) {
    const brew_table *t = arg;
    (void)worker;
    t->work(t->arg, i, &t->parts[i]);
}

// Divides what is there into parts that begin behind a line's end.
static void divide(brew_table *t, size_t max_parts) {
    const char *from = t->cutter.at, *end = t->cutter.end;
    size_t width = (size_t)(end - from) / max_parts;
    t->n_parts = 0;
    for (size_t i = 1; i <= max_parts; i++) {
        const char *stop = i < max_parts ? t->cutter.at + width * i : end, *newline;
        if (stop < from) continue; // a long line reaches behind it
        newline = memchr(stop, '\n', (size_t)(end - stop));
        stop = newline ? newline + 1 : end;
        t->parts[t->n_parts].stop = stop;
        begin_part(t, t->n_parts++, from);
        from = stop;
    }
}

// Where a part does not begin behind the last row of the one before, it is read again.
static void settle(brew_table *t) {
    const char *at = t->cutter.at;
    for (size_t i = 0; i < t->n_parts; i++) {
        brew_table_part *part = &t->parts[i];
        if (part->begin != at) {
            begin_part(t, i, at);
            t->work(t->arg, i, part);
        }
        part->first_line = t->cutter.lines;
        if (part->failure.code && !t->failure.code)
            fail_for_good(t, part->first_line + part->cutter.line, &part->failure);
        t->cutter.lines += part->cutter.lines;
        at = part->cutter.at;
    }
    t->cutter.at = at;
    t->cutter.marked = NULL;
}

ptrdiff_t brew_table_round(brew_table *t, brew_pool *pool, size_t max_parts, brew_part_fn *work,
                           void *arg, brew_err *err) {
    size_t want = PART * max_parts;
    if (max_parts > t->max_parts) {
        t->parts = brew_realloc_array(t->parts, max_parts, sizeof *t->parts);
        for (size_t i = t->max_parts; i < max_parts; i++)
            t->parts[i] = (brew_table_part){.cutter.shape = &t->shape};
        t->max_parts = max_parts;
    }
    if (t->failure.code) return give_failure(t, err);
    for (size_t held = 0; !t->cutter.whole && held < want;) {
        if (fill(t, want > CHUNK ? want : CHUNK)) break; // what is held comes first
        held = (size_t)(t->cutter.end - t->cutter.at);
    }
    if (t->cutter.at == t->cutter.end) return t->failure.code ? give_failure(t, err) : 0;
    divide(t, max_parts);
    t->work = work;
    t->arg = arg;
    brew_pool_run(pool, t->n_parts, work_part, t);
    settle(t);
    return (ptrdiff_t)t->n_parts;
}

uint64_t brew_table_part_line(const brew_table *t, size_t part) {
    return t->parts[part].first_line + 1;
}

// ---- opening ----

static enum brew_table_format format_of(const char *path) {
    static const struct {
        const char *ending;
        enum brew_table_format format;
    } endings[] = {{".csv", BREW_TABLE_CSV},     {".tsv", BREW_TABLE_TSV},
                   {".jsonl", BREW_TABLE_JSONL}, {".ndjson", BREW_TABLE_JSONL},
                   {".json", BREW_TABLE_JSONL},  {".inter", BREW_TABLE_ATOMIC},
                   {".user", BREW_TABLE_ATOMIC}, {".item", BREW_TABLE_ATOMIC}};
    static const char *const packed[] = {".gz", ".zst", ".xz"};
    size_t len = strlen(path);
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++) {
        size_t n = strlen(packed[i]);
        if (len > n && !strcmp(path + len - n, packed[i])) {
            len -= n;
            break;
        }
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i].ending);
        if (len > n && !memcmp(path + len - n, endings[i].ending, n)) return endings[i].format;
    }
    return BREW_TABLE_AUTO;
}

// Skips a byte order mark and, where the path said nothing, lets the first line decide.
static int start(brew_table *t) {
    brew_cutter *c = &t->cutter;
    const char *newline = NULL;
    do {
        if (fill(t, CHUNK)) return -1;
        newline = memchr(c->at, '\n', (size_t)(c->end - c->at));
    } while (!c->whole && !newline && c->end - c->at <= BREW_TABLE_MAX_ROW);
    if (c->end - c->at >= 3 && !memcmp(c->at, "\xef\xbb\xbf", 3)) c->at += 3;
    size_t len = (size_t)((newline ? newline : c->end) - c->at);
    if (t->shape.format == BREW_TABLE_AUTO) {
        t->shape.format = BREW_TABLE_CSV;
        if (len && *c->at == '{')
            t->shape.format = BREW_TABLE_JSONL;
        else if (memchr(c->at, '\t', len))
            t->shape.format = BREW_TABLE_TSV;
    }
    t->shape.separator = t->shape.format == BREW_TABLE_CSV ? ',' : '\t';
    return 0;
}

// The header line's fields into the cutter: 0, or -1.
static int read_header(brew_table *t, brew_err *err) {
    const brew_field *fields;
    int got = brew_table_next(t, &fields, err);
    if (got < 0 && t->failure.code) return -1;
    if (got < 0) return brew_err_context(err, "%s:1", brew_in_name(t->in));
    if (got == 0)
        return brew_fail(err, BREW_DATA, "%s: empty where a header line was expected",
                         brew_in_name(t->in));
    return 0;
}

static int find_columns(brew_table *t, const char *const *header, size_t n_header, brew_err *err) {
    brew_row_shape *shape = &t->shape;
    brew_field *names = brew_calloc(n_header, sizeof *names);
    int status = n_header ? 0 : read_header(t, err);
    for (size_t i = 0; i < n_header; i++) names[i] = (brew_field){header[i], strlen(header[i])};
    const brew_field *all = n_header ? names : t->cutter.all;
    if (!status) shape->n = n_header ? n_header : t->cutter.n_all;
    shape->places = brew_calloc(shape->n_wanted, sizeof *shape->places);
    for (size_t w = 0; w < shape->n_wanted && !status; w++) {
        size_t found = 0, len = shape->wanted_len[w];
        for (size_t i = 0; i < shape->n; i++) {
            size_t name_len = all[i].len;
            const char *colon = memchr(all[i].ptr, ':', name_len);
            if (shape->format == BREW_TABLE_ATOMIC && colon)
                name_len = (size_t)(colon - all[i].ptr);
            if (name_len != len || memcmp(all[i].ptr, shape->wanted[w], len)) continue;
            shape->places[w] = i;
            found++;
        }
        if (found != 1)
            status =
                brew_fail(err, BREW_DATA, "%s:1: %s column \"%s\" in the header",
                          brew_in_name(t->in), found ? "more than one" : "no", shape->wanted[w]);
    }
    free(names);
    return status;
}

brew_table *brew_table_open(const char *path, enum brew_table_format format,
                            const char *const *columns, size_t n_columns, brew_err *err) {
    return brew_table_open_headed(path, format, NULL, 0, columns, n_columns, err);
}

brew_table *brew_table_open_headed(const char *path, enum brew_table_format format,
                                   const char *const *header, size_t n_header,
                                   const char *const *columns, size_t n_columns, brew_err *err) {
    brew_in *in = brew_in_open(path, err);
    if (!in) return NULL;
    brew_table *t = brew_calloc(1, sizeof *t);
    t->in = in;
    t->cutter.shape = &t->shape;
    t->shape.format = format ? format : format_of(path);
    t->shape.n_wanted = n_columns;
    t->shape.wanted = brew_calloc(n_columns, sizeof *t->shape.wanted);
    t->shape.wanted_len = brew_calloc(n_columns, sizeof *t->shape.wanted_len);
    for (size_t w = 0; w < n_columns; w++) {
        t->shape.wanted[w] = brew_strdup(columns[w]);
        t->shape.wanted_len[w] = strlen(columns[w]);
    }
    int status = start(t);
    if (status && err) *err = t->failure;
    if (!status && t->shape.format == BREW_TABLE_JSONL && n_header)
        status = brew_fail(err, BREW_DATA, "%s: JSON lines name their columns themselves",
                           brew_in_name(in));
    else if (!status && t->shape.format != BREW_TABLE_JSONL)
        status = find_columns(t, header, n_header, err);
    if (!status) return t;
    brew_table_close(t);
    return NULL;
}

void brew_table_close(brew_table *t) {
    if (!t) return;
    brew_in_close(t->in);
    for (size_t w = 0; w < t->shape.n_wanted; w++) free(t->shape.wanted[w]);
    free(t->shape.wanted);
    free(t->shape.wanted_len);
    free(t->shape.places);
    for (size_t i = 0; i < t->max_parts; i++) brew_cutter_release(&t->parts[i].cutter);
    brew_cutter_release(&t->cutter);
    free(t->parts);
    free(t->buf);
    free(t);
}

const char *brew_table_name(const brew_table *t) {
    return brew_in_name(t->in);
}

bool brew_table_failed(const brew_table *t) {
    return t->failure.code != BREW_OK;
}

uint64_t brew_table_line_number(const brew_table *t) {
    return t->cutter.line + 1;
}

void brew_table_raw(const brew_table *t, const char **bytes, size_t *len) {
    *bytes = t->cutter.raw;
    *len = t->cutter.raw_len;
}

enum brew_table_format brew_table_form(const brew_table *t) {
    return t->shape.format;
}

const brew_field *brew_table_row(const brew_table *t, size_t *n) {
    *n = t->cutter.n_all;
    return t->cutter.all;
}
