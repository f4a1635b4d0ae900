#include "text/prompt/rows.h"

#include <stdlib.h>

#include "base/buf.h"

typedef struct bad_row {
    uint64_t line; // in its part
    const char *raw;
    size_t len;
    enum brew_code code;
    size_t why; // where its text begins in `texts`
} bad_row;

// What is left of a part when its rows have been taken.
typedef struct passed {
    uint64_t n;
    bad_row *bad; // [n_bad]
    size_t n_bad, bad_cap;
    brew_buf texts;
    brew_err failure; // a lasting error of `take`
} passed;

typedef struct reading {
    const brew_rows_taker *taker;
    passed *parts; // [n_states]
} reading;

static void add_bad(passed *p, const brew_table_part *rows, const brew_err *why) {
    BREW_GROW(p->bad, p->n_bad + 1, p->bad_cap);
    bad_row *bad = &p->bad[p->n_bad++];
    *bad = (bad_row){.line = brew_part_line(rows), .code = why->code, .why = p->texts.len};
    brew_part_raw(rows, &bad->raw, &bad->len);
    brew_buf_add(&p->texts, why->text, strlen(why->text) + 1);
}

static void read_part(void *arg, size_t i, brew_table_part *rows) {
    const reading *r = arg;
    const brew_rows_taker *taker = r->taker;
    passed *p = &r->parts[i];
    const brew_field *fields;
    int got;
    p->n = p->n_bad = 0;
    p->failure.code = BREW_OK;
    brew_buf_reset(&p->texts);
    if (taker->begin) taker->begin(taker->states[i]);
    brew_err why;
    while ((got = brew_part_next(rows, &fields, &why))) {
        int taken = got > 0 ? taker->take(taker->states[i], fields, &why) : 1;
        if (taken < 0) {
            p->failure = why;
            return;
        }
        p->n++;
        if (taken) add_bad(p, rows, &why);
    }
}

static int end_part(const reading *r, size_t i, const brew_table *table, brew_events_counts *counts,
                    brew_err *err) {
    const brew_rows_taker *taker = r->taker;
    const passed *p = &r->parts[i];
    counts->read += p->n;
    counts->accepted += p->n - p->n_bad;
    for (size_t k = 0; k < p->n_bad; k++) {
        const bad_row *bad = &p->bad[k];
        uint64_t line = brew_table_part_line(table, i) + bad->line;
        counts->rejected++;
        brew_fail(err, bad->code, "%s", p->texts.ptr + bad->why);
        if (!taker->reject)
            return brew_err_context(err, "%s:%llu", brew_table_name(table),
                                    (unsigned long long)line);
        if (taker->reject(taker->arg, brew_table_name(table), line, bad->raw, bad->len, err))
            return -1;
    }
    if (p->failure.code && err) *err = p->failure;
    return p->failure.code ? -1 : 0;
}

int brew_rows_read(const char *path, const brew_source *as, const char *const *columns,
                   size_t n_columns, const brew_rows_taker *taker, brew_events_counts *counts,
                   brew_err *err) {
    brew_table *table = brew_table_open_headed(path, as ? as->format : BREW_TABLE_AUTO,
                                               as ? (const char *const *)as->header : NULL,
                                               as ? as->n_header : 0, columns, n_columns, err);
    if (!table) return -1;
    size_t n = taker->n_states;
    reading r = {taker, brew_calloc(n, sizeof *r.parts)};
    ptrdiff_t got;
    int status = 0;
    while (!status && (got = brew_table_round(table, taker->pool, n, read_part, &r, err))) {
        if (got < 0) status = -1;
        for (ptrdiff_t i = 0; i < got && !status; i++)
            status = end_part(&r, (size_t)i, table, counts, err);
        if (!status && taker->end) status = taker->end(taker->states, (size_t)got, err);
    }
    for (size_t i = 0; i < n; i++) {
        free(r.parts[i].bad);
        brew_buf_release(&r.parts[i].texts);
    }
    free(r.parts);
    brew_table_close(table);
    return status;
}
