#include <math.h>
#include <string.h>

#include "model/inspect.h"

// Whole numbers in groups of three; names of files and keys without control characters.
static void add_int(brew_buf *out, int64_t value) {
    brew_buf digits = {0};
    brew_buf_add_i64(&digits, value);
    size_t sign = value < 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (i > sign && (digits.len - i) % 3 == 0) brew_buf_addc(out, ',');
        brew_buf_addc(out, digits.ptr[i]);
    }
    brew_buf_release(&digits);
}

static void add_string(brew_buf *out, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        brew_buf_addc(out, (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i]);
}

static void add_value(brew_buf *out, const brew_json *value) {
    size_t len;
    const char *text;
    switch (brew_json_type(value)) {
    case BREW_JSON_INT:
        add_int(out, brew_json_int(value));
        break;
    case BREW_JSON_REAL:
        brew_buf_addf(out, "%.6g", brew_json_real(value));
        break;
    case BREW_JSON_BOOL:
        brew_buf_adds(out, brew_json_bool(value) ? "yes" : "no");
        break;
    case BREW_JSON_STRING:
        text = brew_json_string(value, &len);
        add_string(out, text, len);
        break;
    case BREW_JSON_ARRAY:
        for (size_t i = 0; i < brew_json_length(value); i++) {
            if (i) brew_buf_adds(out, ", ");
            add_value(out, brew_json_at(value, i));
        }
        break;
    case BREW_JSON_OBJECT: // in a cell of a table
        brew_json_write(out, value);
        break;
    default:
        brew_buf_addc(out, '-');
    }
}

static void add_key(brew_buf *out, const char *key) {
    for (; *key; key++) {
        char c = *key == '_' ? ' ' : *key;
        add_string(out, &c, 1);
    }
}

// Columns are counted in characters, so that names beyond ASCII do not break a table.
static size_t width_of(const char *text, size_t len) {
    size_t width = 0;
    for (size_t i = 0; i < len; i++) width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

static void pad(brew_buf *out, size_t n) {
    while (n-- > 0) brew_buf_addc(out, ' ');
}

static bool is_number(const brew_json *value) {
    return brew_json_is(value, BREW_JSON_INT) || brew_json_is(value, BREW_JSON_REAL);
}

enum { MAX_COLUMNS = 12 };

static size_t cell_width(const brew_json *value) {
    brew_buf cell = {0};
    if (value) add_value(&cell, value);
    size_t width = cell.ptr ? width_of(cell.ptr, cell.len) : 0;
    brew_buf_release(&cell);
    return width;
}

typedef struct column {
    const char *key;
    size_t width;
    bool right; // holds numbers
} column;

static void widen(column *c, const brew_json *value) {
    size_t width = cell_width(value);
    if (width > c->width) c->width = width;
    c->right |= is_number(value);
}

// The keys of all rows, in the order in which they first appear.
static size_t find_columns(const brew_json *rows, column *columns) {
    size_t n = 0, c;
    for (size_t r = 0; r < brew_json_length(rows); r++)
        for (brew_json_iter it = {0}; brew_json_next(brew_json_at(rows, r), &it);) {
            for (c = 0; c < n && strcmp(columns[c].key, it.key); c++) continue;
            if (c == MAX_COLUMNS) continue;
            if (c == n) columns[n++] = (column){it.key, strlen(it.key), false};
            widen(&columns[c], it.value);
        }
    return n;
}

// An array of objects: the keys, then a row each, numbers to the right.
static void add_table(brew_buf *out, const brew_json *rows, size_t indent) {
    column columns[MAX_COLUMNS] = {0};
    size_t n = find_columns(rows, columns);
    for (size_t line = 0; line <= brew_json_length(rows); line++) { // line 0: the keys
        pad(out, indent);
        for (size_t c = 0; c < n; c++) {
            const brew_json *row = brew_json_at(rows, line - 1);
            const brew_json *value = line ? brew_json_get(row, columns[c].key) : NULL;
            size_t width = line ? cell_width(value) : strlen(columns[c].key);
            if (columns[c].right) pad(out, columns[c].width - width);
            if (value) add_value(out, value);
            if (!line) add_key(out, columns[c].key);
            if (c + 1 < n) pad(out, 2 + (columns[c].right ? 0 : columns[c].width - width));
        }
        while (out->ptr[out->len - 1] == ' ') out->ptr[--out->len] = 0;
        brew_buf_addc(out, '\n');
    }
}

static bool is_table(const brew_json *value) {
    return brew_json_is(value, BREW_JSON_ARRAY) && brew_json_length(value) &&
           brew_json_is(brew_json_at(value, 0), BREW_JSON_OBJECT);
}

static void add_object(brew_buf *out, const brew_json *object, size_t indent, bool all) {
    size_t widest = 0;
    for (brew_json_iter it = {0}; brew_json_next(object, &it);) {
        size_t width = width_of(it.key, strlen(it.key));
        if (width > widest) widest = width;
    }
    for (brew_json_iter it = {0}; brew_json_next(object, &it);) {
        bool nested = brew_json_is(it.value, BREW_JSON_OBJECT);
        bool list = brew_json_is(it.value, BREW_JSON_ARRAY);
        if (list && (!brew_json_length(it.value) || (!all && !strcmp(it.key, "tensors")))) continue;
        pad(out, indent);
        add_key(out, it.key);
        if (nested || is_table(it.value)) {
            brew_buf_addc(out, '\n');
            if (nested)
                add_object(out, it.value, indent + 2, all);
            else
                add_table(out, it.value, indent + 2);
            continue;
        }
        pad(out, widest + 2 - width_of(it.key, strlen(it.key)));
        add_value(out, it.value);
        brew_buf_addc(out, '\n');
    }
}

void brew_inspect_text(brew_buf *out, const brew_json *report, bool all) {
    add_object(out, report, 0, all);
}
