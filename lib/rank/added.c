#include "rank/added.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "io/in.h"
#include "io/table.h"
#include "rank/compare.h"

enum { MAX_LINE = 256 << 20 };

int brew_added_parse(brew_added *a, const char *text, brew_err *err) {
    static const char *const defaults[] = {"id", "item_id", "score"};
    const char *equals = strchr(text, '='), *colon = strrchr(text, ':');
    *a = (brew_added){0};
    if (!equals || equals == text || !equals[1])
        return brew_fail(err, BREW_USAGE, "\"%s\" is not NAME=FILE[:ID,ITEM,SCORE]", text);
    a->name = brew_strndup(text, (size_t)(equals - text));
    if (colon && (colon < equals || !strchr(colon, ',') || strchr(colon, '/'))) colon = NULL;
    a->path =
        colon ? brew_strndup(equals + 1, (size_t)(colon - equals - 1)) : brew_strdup(equals + 1);
    const char *at = colon ? colon + 1 : NULL;
    for (int i = 0; i < 3; i++) {
        size_t len = at ? strcspn(at, ",") : 0;
        if (at && (len == 0 || (at[len] == ',') != (i < 2)))
            return brew_fail(err, BREW_USAGE, "\"%s\" does not name three columns", text);
        a->columns[i] = at ? brew_strndup(at, len) : brew_strdup(defaults[i]);
        if (at) at += len + 1;
    }
    return 0;
}

void brew_added_release(brew_added *a) {
    free(a->name);
    free(a->path);
    for (int i = 0; i < 3; i++) free(a->columns[i]);
    *a = (brew_added){0};
}

// What a reader of one of the formats fills.
struct filling {
    brew_reader *reader;
    brew_index index;
    double *score;
    uint64_t extra;
    bool outside; // some score is none of a probability
};

static int put(struct filling *f, const brew_field *id, const brew_field *item,
               const brew_field *score, brew_err *err) {
    double x;
    if (!id->ptr || !item->ptr || !score->ptr)
        return brew_fail(err, BREW_DATA, "the row lacks a field");
    if (!brew_parse_double(score->ptr, score->len, &x))
        return brew_fail(err, BREW_DATA, "the score is not a number");
    size_t request = brew_reader_request(f->reader, id->ptr, id->len), row = SIZE_MAX;
    size_t number = brew_reader_item(f->reader, item->ptr, item->len);
    if (request != SIZE_MAX && number != SIZE_MAX)
        row = brew_index_find(&f->index, (uint32_t)request, (uint32_t)number);
    if (row == SIZE_MAX) {
        f->extra++;
        return 0;
    }
    if (!isnan(f->score[row]))
        return brew_fail(err, BREW_DATA, "the same id and item stood in an earlier row");
    f->score[row] = x;
    f->outside |= x < 0 || x > 1;
    return 0;
}

static int read_table(struct filling *f, const brew_added *a, brew_err *err) {
    const char *const columns[] = {a->columns[0], a->columns[1], a->columns[2]};
    const brew_field *field;
    int got;
    brew_table *table = brew_table_open(a->path, BREW_TABLE_AUTO, columns, 3, err);
    if (!table) return -1;
    while ((got = brew_table_next(table, &field, err)) > 0)
        if (put(f, &field[0], &field[1], &field[2], err) < 0) {
            got = -1;
            break;
        }
    if (got < 0 && !brew_table_failed(table))
        brew_err_context(err, "%s:%" PRIu64, brew_table_name(table), brew_table_line_number(table));
    brew_table_close(table);
    return got;
}

// Up to six fields between blanks; more give 7.
static size_t split_run(const char *line, size_t len, brew_field field[6]) {
    size_t n = 0;
    for (size_t at = 0; at < len;) {
        if (strchr(" \t\r", line[at])) {
            at++;
            continue;
        }
        size_t begin = at;
        while (at < len && !strchr(" \t\r", line[at])) at++;
        if (n == 6) return 7;
        field[n++] = (brew_field){line + begin, at - begin};
    }
    return n;
}

static int read_run(struct filling *f, brew_in *in, brew_err *err) {
    const char *line;
    brew_field field[6];
    size_t len;
    int got;
    f->outside = true;
    while ((got = brew_in_line(in, &line, &len, MAX_LINE, err)) > 0) {
        if (split_run(line, len, field) != 6)
            got = brew_fail(err, BREW_DATA, "the line has not six fields, as a run has");
        else
            got = put(f, &field[0], &field[2], &field[4], err);
        if (got < 0)
            return brew_err_context(err, "%s:%" PRIu64, brew_in_name(in), brew_in_line_number(in));
    }
    return got;
}

// Score records, whose outcomes, if they have any, are not looked at: joined as in a comparison.
static int read_records(struct filling *f, brew_in *in, brew_err *err) {
    brew_reader other = {0};
    brew_join join = {0};
    const char *line;
    size_t len;
    int got = brew_reader_init(&other, NULL, NULL, 0, false, err);
    other.blind = true;
    while (got == 0 && (got = brew_in_line(in, &line, &len, MAX_LINE, err)) > 0) {
        got = brew_reader_add(&other, line, len, err);
        if (got < 0)
            brew_err_context(err, "%s:%" PRIu64, brew_in_name(in), brew_in_line_number(in));
    }
    if (got == 0) got = brew_join_init(&join, f->reader, &other, true, err);
    for (size_t i = 0; got == 0 && i < join.n; i++)
        f->score[join.row_a[i]] = other.answers.score[join.row_b[i]];
    f->extra = join.only_b;
    brew_join_release(&join);
    brew_reader_release(&other);
    return got;
}

enum form { TABLE, RUN, RECORDS };

// By the first line: a run has six fields, the second of which is Q0; records have "scores".
static int sniff(brew_in *in, enum form *form, brew_err *err) {
    const char *bytes, *end;
    brew_field field[6];
    ssize_t n = brew_in_peek(in, &bytes, 65536, err);
    if (n < 0) return -1;
    end = n ? memchr(bytes, '\n', (size_t)n) : NULL;
    size_t len = end ? (size_t)(end - bytes) : (size_t)n;
    *form = TABLE;
    if (len && *bytes == '{') {
        for (size_t i = 0; i + 9 <= len; i++)
            if (!memcmp(bytes + i, "\"scores\":", 9)) *form = RECORDS;
    } else if (split_run(bytes, len, field) == 6 && field[1].len == 2) {
        if (!memcmp(field[1].ptr, "Q0", 2) || !memcmp(field[1].ptr, "q0", 2)) *form = RUN;
    }
    return 0;
}

static int read_any(struct filling *f, const brew_added *a, brew_err *err) {
    enum form form;
    brew_in *in = brew_in_open(a->path, err);
    if (!in) return -1;
    int status = sniff(in, &form, err);
    if (status == 0 && form == RUN) status = read_run(f, in, err);
    if (status == 0 && form == RECORDS) status = read_records(f, in, err);
    brew_in_close(in);
    return status == 0 && form == TABLE ? read_table(f, a, err) : status;
}

int brew_added_read(const brew_added *a, brew_reader *reader, bool allow_missing,
                    brew_systems *systems, uint64_t *extra, brew_err *err) {
    size_t n = reader->answers.n, missing = 0;
    for (size_t i = 0; i < systems->n; i++)
        if (!strcmp(systems->list[i].name, a->name) && !strcmp(systems->list[i].kind, "systems"))
            return brew_fail(err, BREW_USAGE, "two systems have the name %s", a->name);
    brew_system *system = brew_systems_add(systems, "systems", a->name, true, n);
    struct filling f = {.reader = reader, .score = system->score};
    for (size_t i = 0; i < n; i++) f.score[i] = NAN;
    int status = brew_index_init(&f.index, reader, "the input", err);
    if (status == 0) status = read_any(&f, a, err);
    brew_index_release(&f.index);
    system->probability = !f.outside;
    *extra = f.extra;
    if (status < 0) return -1;
    for (size_t i = 0; i < n; i++) missing += isnan(f.score[i]) != 0;
    if (missing && !allow_missing)
        return brew_fail(
            err, BREW_DATA,
            "%s: %zu of %zu answers have no score (--allow-missing leaves them out for all)",
            a->path, missing, n);
    return 0;
}
