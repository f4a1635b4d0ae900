#include "rank/slice.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/num.h"

static bool ends_in(const char *text, size_t len, const char *end) {
    size_t n = strlen(end);
    return len >= n && !memcmp(text + len - n, end, n);
}

static int parse_edges(brew_by_part *part, const char *at, const char *end, brew_err *err) {
    part->kind = BREW_BY_EDGES;
    part->edges = brew_alloc((size_t)(end - at + 1) * sizeof *part->edges);
    while (at <= end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        if (!comma) comma = end;
        double *edge = &part->edges[part->n_edges];
        if (!brew_parse_double(at, (size_t)(comma - at), edge) ||
            (part->n_edges && *edge <= edge[-1]))
            return brew_fail(err, BREW_USAGE, "the edges of \"%s\" are not ascending numbers",
                             part->field);
        part->n_edges++;
        at = comma + 1;
    }
    return 0;
}

static int parse_part(brew_by_part *part, const char *at, const char *end, brew_err *err) {
    const char *colon = memchr(at, ':', (size_t)(end - at));
    size_t len = (size_t)((colon ? colon : end) - at);
    part->field = brew_strndup(at, len);
    part->of_item = !strncmp(part->field, "item.", 5);
    part->in = part->field + (part->of_item ? 5 : 0);
    if (!*part->in) return brew_fail(err, BREW_USAGE, "a slice needs the name of a field");
    part->kind = strcmp(part->field, "history") ? BREW_BY_VALUES : BREW_BY_HISTORY;
    if (!colon) return 0;
    size_t rest = (size_t)(end - colon - 1);
    if (ends_in(part->field, len, "time") && rest == 5) {
        part->kind = !strncmp(colon + 1, "month", 5) ? BREW_BY_MONTH : BREW_BY_AHEAD;
        if (part->kind == BREW_BY_MONTH || !strncmp(colon + 1, "ahead", 5)) return 0;
    }
    return parse_edges(part, colon + 1, end, err);
}

int brew_by_parse(brew_by *by, const char *spec, brew_err *err) {
    brew_buf name = {0};
    int status = 0;
    *by = (brew_by){0};
    for (const char *at = spec, *end; status == 0; at = end + 1) {
        end = at + strcspn(at, "*");
        if (by->n_parts == BREW_BY_MAX_PARTS) {
            status = brew_fail(err, BREW_USAGE, "\"%s\" crosses more than %d fields", spec,
                               BREW_BY_MAX_PARTS);
            break;
        }
        brew_by_part *part = &by->part[by->n_parts++];
        status = parse_part(part, at, end, err);
        const char *months = part->kind == BREW_BY_MONTH   ? ":month"
                             : part->kind == BREW_BY_AHEAD ? ":ahead"
                                                           : "";
        brew_buf_addf(&name, "%s%s%s", by->n_parts > 1 ? "*" : "", part->field, months);
        if (!*end) break;
    }
    by->name = brew_strdup(name.ptr ? name.ptr : "");
    brew_buf_release(&name);
    return status;
}

void brew_by_release(brew_by *by) {
    for (size_t i = 0; i < by->n_parts; i++) {
        free(by->part[i].field);
        free(by->part[i].edges);
    }
    free(by->name);
    free(by->place);
    free(by->value);
    brew_intern_release(&by->values);
    *by = (brew_by){0};
}

static int want_number(const brew_by_part *part, const brew_json *value, double *x, brew_err *err) {
    if (!brew_json_is(value, BREW_JSON_INT) && !brew_json_is(value, BREW_JSON_REAL))
        return brew_fail(err, BREW_DATA, "\"%s\" is %s, not a number", part->field,
                         brew_json_type_name(value));
    *x = brew_json_real(value);
    return 0;
}

static void add_range(const brew_by_part *part, double x, brew_buf *out, double *place) {
    size_t i = 0;
    while (i < part->n_edges && x >= part->edges[i]) i++;
    *place = (double)i;
    brew_buf_addc(out, i ? '[' : '<');
    brew_buf_add_double(out, part->edges[i ? i - 1 : 0]);
    if (i && i < part->n_edges) {
        brew_buf_addc(out, ',');
        brew_buf_add_double(out, part->edges[i]);
    }
    if (i) brew_buf_adds(out, i < part->n_edges ? ")" : ",inf)");
}

static void add_month(double seconds, brew_buf *out, double *place) {
    time_t time = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&time, &tm)) tm = (struct tm){0};
    *place = 12. * tm.tm_year + tm.tm_mon;
    brew_buf_addf(out, "%04d-%02d", tm.tm_year + 1900, tm.tm_mon + 1);
}

static void add_ahead(double seconds, int64_t since_ms, brew_buf *out, double *place) {
    const double month = 30.4375 * 86400;
    *place = floor((seconds - (double)since_ms / 1000) / month) + 1;
    brew_buf_addf(out, "%.0f", *place);
}

static void add_history(double history, brew_buf *out, double *place) {
    static const char *const ranges[] = {"0-5", "6-10", "11-100", "101+"};
    int i = history <= 5 ? 0 : history <= 10 ? 1 : history <= 100 ? 2 : 3;
    *place = i;
    brew_buf_adds(out, ranges[i]);
}

static int add_part(const brew_by_part *part, const brew_json *value, int64_t since_ms,
                    brew_buf *out, double *place, brew_err *err) {
    double x = 0;
    if (brew_json_is(value, BREW_JSON_ARRAY) || brew_json_is(value, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "\"%s\" is %s, which cannot name a slice", part->field,
                         brew_json_type_name(value));
    if (part->kind == BREW_BY_HISTORY &&
        (!brew_json_is(value, BREW_JSON_INT) || brew_json_int(value) < 0))
        return brew_fail(err, BREW_DATA, "\"meta.history\" is not a count");
    if (part->kind != BREW_BY_VALUES && want_number(part, value, &x, err) < 0) return -1;
    *place = NAN;
    if ((part->kind == BREW_BY_MONTH || part->kind == BREW_BY_AHEAD) && fabs(x) > 1e11)
        return brew_fail(err, BREW_DATA, "\"%s\" is no time in seconds", part->field);
    if (part->kind == BREW_BY_HISTORY)
        add_history(x, out, place);
    else if (part->kind == BREW_BY_EDGES)
        add_range(part, x, out, place);
    else if (part->kind == BREW_BY_MONTH)
        add_month(x, out, place);
    else if (part->kind == BREW_BY_AHEAD)
        add_ahead(x, since_ms, out, place);
    else if (!brew_json_is(value, BREW_JSON_STRING))
        brew_json_write(out, value);
    else
        brew_buf_adds(out, brew_json_string(value, NULL));
    if (brew_json_is(value, BREW_JSON_INT) && part->kind == BREW_BY_VALUES)
        *place = brew_json_real(value);
    if (brew_json_is(value, BREW_JSON_STRING)) {
        size_t len;
        const char *number = brew_json_string(value, &len);
        if (!brew_parse_double(number, len, place)) *place = NAN;
    }
    return 0;
}

int brew_by_number(brew_by *by, const brew_json *const *values, int64_t since_ms, brew_buf *text,
                   uint32_t *out, brew_err *err) {
    double place[BREW_BY_MAX_PARTS] = {0};
    *out = BREW_BY_MISSING;
    brew_buf_reset(text);
    for (size_t i = 0; i < by->n_parts; i++)
        if (!values[i] || brew_json_is(values[i], BREW_JSON_NULL)) return 0;
    for (size_t i = 0; i < by->n_parts; i++) {
        if (i) brew_buf_adds(text, " * ");
        if (add_part(&by->part[i], values[i], since_ms, text, &place[i], err) < 0) return -1;
    }
    size_t known = by->values.count;
    *out = (uint32_t)brew_intern_put(&by->values, text->ptr ? text->ptr : "", text->len);
    if (*out >= BREW_BY_MAX_VALUES)
        return brew_fail(err, BREW_USAGE, "\"%s\" has more than %d values to slice by", by->name,
                         BREW_BY_MAX_VALUES);
    if (by->values.count > known) {
        BREW_GROW(by->place, by->values.count, by->place_cap);
        memcpy(by->place[*out], place, sizeof place);
    }
    return 0;
}

const char *brew_by_text(const brew_by *by, uint32_t value) {
    return value == BREW_BY_MISSING ? NULL : by->values.entries[value].ptr;
}

struct listed {
    const double *place;
    const char *text;
    uint32_t value;
};

static int by_place(const void *left, const void *right) {
    const struct listed *a = left, *b = right;
    for (int i = 0; i < BREW_BY_MAX_PARTS; i++) {
        if (isnan(a->place[i]) != isnan(b->place[i])) return isnan(a->place[i]) ? 1 : -1;
        if (a->place[i] != b->place[i] && !isnan(a->place[i]))
            return a->place[i] < b->place[i] ? -1 : 1;
    }
    return strcmp(a->text, b->text);
}

void brew_by_order(const brew_by *by, uint32_t *order) {
    size_t n = by->values.count;
    struct listed *list = brew_alloc((n + 1) * sizeof *list);
    for (size_t v = 0; v < n; v++)
        list[v] = (struct listed){by->place[v], by->values.entries[v].ptr, (uint32_t)v};
    qsort(list, n, sizeof *list, by_place);
    for (size_t v = 0; v < n; v++) order[v] = list[v].value;
    order[n] = BREW_BY_MISSING;
    free(list);
}
