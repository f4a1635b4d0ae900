#include "text/draft/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "io/json.h"

enum { MAX_KEYS = 256, MAX_COLUMNS = 400 };

// ITEM-0 or ITEM-1, one or more between blanks.
static bool is_slate(const char *text, size_t len) {
    for (size_t i = 0; i < len;) {
        size_t end = i;
        while (end < len && text[end] != ' ') end++;
        if (end < i + 3 || text[end - 2] != '-' || (text[end - 1] != '0' && text[end - 1] != '1'))
            return false;
        i = end + 1;
    }
    return len > 0;
}

static int looks_of(const char *text, size_t len, double *number) {
    int64_t ms;
    int looks = 0;
    if (brew_parse_double(text, len, number)) {
        looks = BREW_LOOKS_NUMBER;
        if (!memchr(text, '.', len) && !memchr(text, 'e', len) && !memchr(text, 'E', len))
            looks |= BREW_LOOKS_WHOLE;
        if (*number >= 1e8 && *number < 5e9 && brew_time_parse(text, len, BREW_TIME_S, &ms))
            looks |= BREW_LOOKS_SECONDS;
        if (*number >= 1e11 && *number < 5e12 && brew_time_parse(text, len, BREW_TIME_MS, &ms))
            looks |= BREW_LOOKS_MS;
        return looks;
    }
    if (brew_time_parse(text, len, BREW_TIME_ISO, &ms)) looks |= BREW_LOOKS_ISO;
    if (brew_time_parse(text, len, BREW_TIME_MDY, &ms)) looks |= BREW_LOOKS_MDY;
    if (is_slate(text, len)) looks |= BREW_LOOKS_SLATE;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c | 32) >= 'a' && (c | 32) <= 'z') looks |= BREW_LOOKS_WORDS;
        if (c >= 0x80) looks |= BREW_LOOKS_WORDS;
    }
    return looks;
}

static brew_sample_column *add_column(brew_sample *s, const char *name, size_t len) {
    BREW_GROW(s->columns, s->n + 1, s->columns_cap);
    brew_sample_column *column = &s->columns[s->n++];
    *column = (brew_sample_column){.name = brew_strndup(name, len)};
    for (size_t i = 0; i + 1 < s->n; i++)
        if (!strcmp(s->columns[i].name, column->name))
            column->ambiguous = s->columns[i].ambiguous = true;
    return column;
}

// The cell of the row that is being read.
static void put(brew_sample *s, brew_sample_column *c, const char *text, size_t len) {
    size_t row = s->n_rows, had = c->values.count;
    BREW_GROW(c->cells, row + 1, c->cells_cap);
    c->cells[row] = BREW_SAMPLE_NONE;
    if (!len) return;
    size_t value = brew_intern_put(&c->values, text, len);
    if (value == had) {
        double number = 0;
        BREW_GROW(c->looks, value + 1, c->looks_cap);
        BREW_GROW(c->counts, value + 1, c->counts_cap);
        c->looks[value] = (uint8_t)looks_of(text, len, &number);
        c->counts[value] = 0;
        if (c->looks[value] & BREW_LOOKS_NUMBER) {
            if (!c->numbers || number < c->min) c->min = number;
            if (!c->numbers || number > c->max) c->max = number;
            c->numbers++;
        }
    }
    c->cells[row] = (uint32_t)value;
    c->counts[value]++;
    c->chars += len;
    c->n++;
}

static void end_row(brew_sample *s) {
    for (size_t i = 0; i < s->n;
         i++) { // keys that this row lacks, and those that earlier rows lacked
        brew_sample_column *c = &s->columns[i];
        BREW_GROW(c->cells, s->n_rows + 1, c->cells_cap);
    }
    s->n_rows++;
}

static bool is_row(const brew_field *fields, size_t n, const brew_intern *known) {
    const int telling = BREW_LOOKS_NUMBER | BREW_LOOKS_ISO | BREW_LOOKS_MDY | BREW_LOOKS_SLATE;
    double number;
    for (size_t i = 0; i < n; i++)
        if (fields[i].len &&
            ((looks_of(fields[i].ptr, fields[i].len, &number) & telling) ||
             (known && brew_intern_get(known, fields[i].ptr, fields[i].len) != SIZE_MAX)))
            return true;
    return false;
}

// The first line: names, or a row.
static int take_header(brew_sample *s, brew_table *table, const brew_intern *known, brew_err *err) {
    size_t n;
    const brew_field *fields = brew_table_row(table, &n);
    if (n > MAX_COLUMNS)
        return brew_fail(err, BREW_DATA, "%s: more than %d columns", brew_table_name(table),
                         MAX_COLUMNS);
    s->headless = s->format != BREW_TABLE_ATOMIC && is_row(fields, n, known);
    for (size_t i = 0; i < n; i++) {
        char made[32];
        int len = snprintf(made, sizeof made, "column%zu", i + 1);
        const char *colon = memchr(fields[i].ptr, ':', fields[i].len);
        if (s->headless)
            add_column(s, made, (size_t)len);
        else if (s->format == BREW_TABLE_ATOMIC && colon)
            add_column(s, fields[i].ptr, (size_t)(colon - fields[i].ptr));
        else
            add_column(s, fields[i].ptr, fields[i].len);
    }
    if (!s->headless) return 0;
    for (size_t i = 0; i < n; i++) put(s, &s->columns[i], fields[i].ptr, fields[i].len);
    end_row(s);
    return 0;
}

static void take_json(brew_sample *s, brew_table *table) {
    brew_json_slice slices[MAX_KEYS];
    brew_buf text = {0};
    const char *raw;
    size_t len;
    brew_table_raw(table, &raw, &len);
    size_t n = brew_json_slices(raw, len, slices, MAX_KEYS);
    for (size_t c = 0; c < s->n; c++) put(s, &s->columns[c], NULL, 0);
    for (size_t i = 0; i < n; i++) {
        const brew_json_slice *slice = &slices[i];
        char first = slice->value[0];
        brew_buf_reset(&text);
        brew_buf_reserve(&text, slice->key_len + slice->value_len);
        size_t key_len = brew_json_unescape(slice->key, slice->key_len, text.ptr), c = 0;
        while (c < s->n && (strlen(s->columns[c].name) != key_len ||
                            memcmp(s->columns[c].name, text.ptr, key_len)))
            c++;
        if (c == s->n && c == MAX_COLUMNS) continue;
        if (c == s->n) {
            brew_sample_column *column = add_column(s, text.ptr, key_len);
            column->cells = brew_realloc_array(NULL, s->n_rows + 1, sizeof *column->cells);
            column->cells_cap = s->n_rows + 1;
            for (size_t row = 0; row <= s->n_rows; row++) column->cells[row] = BREW_SAMPLE_NONE;
        }
        brew_sample_column *column = &s->columns[c];
        if (first == '[' || first == '{') column->nested = true;
        if (first == '[' || first == '{' || first == 'n') continue;
        bool quoted = first == '"';
        size_t value_len =
            quoted ? brew_json_unescape(slice->value + 1, slice->value_len - 2, text.ptr)
                   : slice->value_len;
        put(s, column, quoted ? text.ptr : slice->value, value_len);
    }
    brew_buf_release(&text);
    end_row(s);
}

static void take_fields(brew_sample *s, brew_table *table) {
    size_t n;
    const brew_field *fields = brew_table_row(table, &n);
    for (size_t i = 0; i < s->n; i++) put(s, &s->columns[i], fields[i].ptr, fields[i].len);
    end_row(s);
}

int brew_sample_read(brew_sample *out, const char *path, const brew_intern *known, brew_err *err) {
    *out = (brew_sample){0};
    brew_table *table = brew_table_open(path, BREW_TABLE_AUTO, NULL, 0, err);
    if (!table) return -1;
    out->format = brew_table_form(table);
    int got = out->format == BREW_TABLE_JSONL ? 0 : take_header(out, table, known, err);
    const brew_field *fields;
    while (!got && out->n_rows < BREW_SAMPLE_ROWS) {
        int status = brew_table_next(table, &fields, err);
        if (!status) out->whole = true;
        if (!status) break;
        if (status < 0 && brew_table_failed(table)) got = -1;
        if (status < 0) out->bad++;
        if (status > 0 && out->format == BREW_TABLE_JSONL) take_json(out, table);
        if (status > 0 && out->format != BREW_TABLE_JSONL) take_fields(out, table);
    }
    if (!got && !out->n_rows)
        got = brew_fail(err, BREW_DATA, "%s: holds no rows%s", brew_table_name(table),
                        out->bad ? " that can be read" : "");
    brew_table_close(table);
    if (got) brew_sample_release(out);
    return got ? -1 : 0;
}

void brew_sample_release(brew_sample *sample) {
    for (size_t i = 0; i < sample->n; i++) {
        brew_sample_column *column = &sample->columns[i];
        free(column->name);
        brew_intern_release(&column->values);
        free(column->looks);
        free(column->counts);
        free(column->cells);
    }
    free(sample->columns);
    *sample = (brew_sample){0};
}

double brew_sample_share(const brew_sample_column *column, int looks) {
    size_t n = 0;
    for (size_t v = 0; v < column->values.count; v++)
        if ((column->looks[v] & looks) == looks) n += column->counts[v];
    return column->n ? (double)n / (double)column->n : 0;
}

bool brew_sample_repeats(const brew_sample_column *column) {
    return column->n > column->values.count;
}

bool brew_sample_depends(const brew_sample *sample, const brew_sample_column *column,
                         const brew_sample_column *of) {
    uint32_t *first = brew_realloc_array(NULL, of->values.count + 1, sizeof *first);
    bool same = true;
    for (size_t v = 0; v < of->values.count; v++) first[v] = BREW_SAMPLE_NONE;
    for (size_t row = 0; row < sample->n_rows && same; row++) {
        uint32_t key = of->cells[row], value = column->cells[row];
        if (key == BREW_SAMPLE_NONE || value == BREW_SAMPLE_NONE) continue;
        if (first[key] == BREW_SAMPLE_NONE) first[key] = value;
        same = first[key] == value;
    }
    free(first);
    return same;
}

const char *brew_sample_text(const brew_sample_column *column, size_t row, size_t *len) {
    uint32_t value = column->cells[row];
    if (value == BREW_SAMPLE_NONE) return NULL;
    *len = column->values.entries[value].len;
    return column->values.entries[value].ptr;
}

void brew_sample_names(const brew_sample *sample, brew_buf *out) {
    for (size_t i = 0; i < sample->n; i++)
        brew_buf_addf(out, "%s\"%.60s\"",
                      !i                  ? ""
                      : i + 1 < sample->n ? ", "
                                          : " and ",
                      sample->columns[i].name);
}
