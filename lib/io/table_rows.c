#include "io/table_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/marks.h"
#include "base/mem.h"
#include "base/utf8.h"

enum { MAX_KEYS = 256 };

// Takes the row of len bytes, and the newline behind it if there is one.
static void take(brew_cutter *c, size_t len, size_t newlines) {
    c->raw = c->at;
    c->raw_len = len && c->raw[len - 1] == '\r' ? len - 1 : len;
    c->line = c->lines;
    c->lines += newlines;
    c->at += len;
    if (c->at < c->end) c->at++;
}

static void add_field(brew_cutter *c, const char *ptr, size_t len) {
    BREW_GROW(c->all, c->n_all + 1, c->all_cap);
    c->all[c->n_all++] = (brew_field){ptr, len};
}

static enum brew_cut bad(brew_err *err, const char *why) {
    brew_fail(err, BREW_DATA, "%s", why);
    return BREW_CUT_BAD;
}

static enum brew_cut broken(brew_cutter *c, brew_err *err, const char *why) {
    brew_fail(err, BREW_DATA, "%s", why);
    c->line = c->lines;
    return BREW_CUT_BROKEN;
}

// The row goes on to `end`, at least: what does that mean? BREW_CUT_ROW: it ends there.
static enum brew_cut at_end(brew_cutter *c, brew_err *err) {
    if (c->end - c->at > BREW_TABLE_MAX_ROW)
        return broken(c, err, "a row of more than 16777216 bytes");
    if (!c->whole) return BREW_CUT_MORE;
    return c->at == c->end ? BREW_CUT_END : BREW_CUT_ROW;
}

// The length of the line at hand: BREW_CUT_ROW if it is known.
static enum brew_cut find_line(brew_cutter *c, size_t *len, brew_err *err) {
    const char *newline = c->at < c->end ? memchr(c->at, '\n', (size_t)(c->end - c->at)) : NULL;
    *len = (size_t)((newline ? newline : c->end) - c->at);
    if (!newline) return at_end(c, err);
    if (*len <= BREW_TABLE_MAX_ROW) return BREW_CUT_ROW;
    return broken(c, err, "a row of more than 16777216 bytes");
}

static enum brew_cut check_text(const brew_cutter *c, brew_err *err) {
    if (memchr(c->raw, 0, c->raw_len)) return bad(err, "a NUL byte");
    return brew_utf8_valid(c->raw, c->raw_len) ? BREW_CUT_ROW : bad(err, "not UTF-8");
}

// ---- rows with quotes ----

// From behind an opening quote: adds the field and leaves *at behind the closing quote; false if it does
// not close. Doubled quotes are undone in scratch; such a field gets its pointer when the row is done.
static bool unquote(brew_cutter *c, const char **at, size_t *newlines) {
    const char *from = *at;
    size_t undone = c->scratch.len;
    for (bool doubled = false;; doubled = true) {
        const char *quote = memchr(*at, '"', (size_t)(c->end - *at));
        if (!quote) return false;
        for (const char *p = *at; (p = memchr(p, '\n', (size_t)(quote - p))); p++) ++*newlines;
        bool again = quote + 1 < c->end && quote[1] == '"';
        if (again || doubled) brew_buf_add(&c->scratch, *at, (size_t)(quote - *at) + again);
        *at = quote + 1 + again;
        if (again) continue;
        if (doubled)
            add_field(c, NULL, c->scratch.len - undone);
        else
            add_field(c, from, (size_t)(quote - from));
        return true;
    }
}

// At an opening quote: leaves *at on what ends the field, or says what is wrong.
static enum brew_cut cut_quoted_field(brew_cutter *c, const char **at, size_t *newlines,
                                      const char **why, brew_err *err) {
    ++*at;
    if (!unquote(c, at, newlines)) {
        *why = "a quoted field does not end";
        return at_end(c, err);
    }
    if (!c->whole && c->end - *at < 2) return at_end(c, err);
    if (c->end - *at > 1 && (*at)[0] == '\r' && (*at)[1] == '\n') ++*at;
    if (*at < c->end && **at != c->shape->separator && **at != '\n')
        *why = "bytes between a closing quote and the end of its field";
    return BREW_CUT_ROW;
}

static enum brew_cut cut_bare_field(brew_cutter *c, const char **at, const char **why,
                                    brew_err *err) {
    const char *from = *at, *to = from;
    while (to < c->end && *to != c->shape->separator && *to != '\n' && *to != '"') to++;
    *at = to;
    if (to == c->end && !c->whole) return at_end(c, err);
    if (to < c->end && *to == '"') *why = "a quote inside an unquoted field";
    bool last = to == c->end || *to == '\n';
    add_field(c, from, (size_t)(to - from) - (last && to > from && to[-1] == '\r'));
    return BREW_CUT_ROW;
}

// A row with quotes in its first line. After an error only that line is taken, so that one stray quote
// costs one row.
static enum brew_cut cut_quoted(brew_cutter *c, brew_err *err) {
    const char *at = c->at, *why = NULL;
    size_t newlines = 0, line;
    c->marked = NULL;
    c->n_all = 0;
    enum brew_cut cut = find_line(c, &line, err);
    if (cut != BREW_CUT_ROW) return cut;
    brew_buf_reset(&c->scratch);
    for (;; at++) {
        cut = at < c->end && *at == '"' ? cut_quoted_field(c, &at, &newlines, &why, err)
                                        : cut_bare_field(c, &at, &why, err);
        if (cut != BREW_CUT_ROW) return cut;
        if (why) {
            take(c, line, 1);
            return bad(err, why);
        }
        if (at == c->end || *at == '\n') break;
    }
    if (at - c->at > BREW_TABLE_MAX_ROW) return broken(c, err, "a row of more than 16777216 bytes");
    take(c, (size_t)(at - c->at), newlines + 1);
    const char *text = c->scratch.ptr;
    for (size_t i = 0; i < c->n_all; i++) {
        if (c->all[i].ptr) continue;
        c->all[i].ptr = text;
        text += c->all[i].len;
    }
    return check_text(c, err);
}

// ---- rows of separated fields ----

// The next byte that ends a field or a row, is a quote, or belongs to no plain text; NULL if there is none.
static inline const char *next_mark(brew_cutter *c, char quote) {
    while (!c->marks) {
        c->marked += 64;
        if (c->marked >= c->end) return NULL;
        c->marks = brew_marks(c->marked, c->shape->separator, quote);
    }
    const char *at = c->marked + __builtin_ctzll(c->marks);
    c->marks &= c->marks - 1;
    return at < c->end ? at : NULL;
}

static enum brew_cut cut_separated(brew_cutter *c, brew_err *err) {
    char separator = c->shape->separator;
    char quote = c->shape->format == BREW_TABLE_CSV ? '"' : separator;
    if (!c->marked) {
        c->marked = c->at;
        c->marks = c->at < c->end ? brew_marks(c->at, separator, quote) : 0;
    }
    const char *from = c->at, *at;
    bool plain = true;
    c->n_all = 0;
    while ((at = next_mark(c, quote)) && *at != '\n') {
        if (*at == separator) {
            add_field(c, from, (size_t)(at - from));
            from = at + 1;
        } else if (*at == quote) {
            return cut_quoted(c, err);
        } else {
            plain = false;
        }
    }
    if (!at) {
        c->marked = NULL;
        enum brew_cut cut = at_end(c, err);
        if (cut != BREW_CUT_ROW) return cut;
        at = c->end;
    }
    if (at - c->at > BREW_TABLE_MAX_ROW) return broken(c, err, "a row of more than 16777216 bytes");
    take(c, (size_t)(at - c->at), 1);
    add_field(c, from, (size_t)(c->raw + c->raw_len - from));
    return plain ? BREW_CUT_ROW : check_text(c, err);
}

// ---- rows in JSON ----

// A value as a field. Strings with escapes are undone in scratch, which has room for the row.
static enum brew_cut render(brew_cutter *c, size_t column, const brew_json_slice *slice,
                            brew_err *err) {
    brew_field *field = &c->fields[column];
    char first = slice->value[0];
    if (first == 'n') return BREW_CUT_ROW;
    if (first == '[' || first == '{') {
        brew_fail(err, BREW_DATA, "\"%s\" holds %s, not a text or a number",
                  c->shape->wanted[column], first == '[' ? "an array" : "an object");
        return BREW_CUT_BAD;
    }
    *field = (brew_field){slice->value, slice->value_len};
    if (first != '"') return BREW_CUT_ROW;
    *field = (brew_field){slice->value + 1, slice->value_len - 2};
    if (!memchr(field->ptr, '\\', field->len)) return BREW_CUT_ROW;
    char *out = c->scratch.ptr + c->scratch.len;
    size_t len = brew_json_unescape(field->ptr, field->len, out);
    c->scratch.len += len;
    *field = (brew_field){out, len};
    if (!memchr(out, 0, len)) return BREW_CUT_ROW;
    brew_fail(err, BREW_DATA, "\"%s\" holds a NUL character", c->shape->wanted[column]);
    return BREW_CUT_BAD;
}

static bool key_is(const brew_json_slice *slice, const char *name, size_t len) {
    return slice->key_len == len && !memcmp(slice->key, name, len);
}

static bool escaped_key_is(const brew_json_slice *slice, const char *name, size_t len) {
    if (slice->key_len <= len || !memchr(slice->key, '\\', slice->key_len)) return false;
    char *key = brew_alloc(slice->key_len);
    size_t key_len = brew_json_unescape(slice->key, slice->key_len, key);
    bool same = key_len == len && !memcmp(key, name, len);
    free(key);
    return same;
}

// The member of a wanted name: the one written so, else the first that means it; n if there is none.
static size_t find_member(brew_cutter *c, size_t n, size_t column) {
    const char *name = c->shape->wanted[column];
    size_t len = c->shape->wanted_len[column], i = c->likely[column];
    if (i < n && key_is(&c->slices[i], name, len)) return i;
    for (i = 0; i < n; i++)
        if (key_is(&c->slices[i], name, len)) return c->likely[column] = i;
    for (i = 0; i < n && !escaped_key_is(&c->slices[i], name, len);) i++;
    return i;
}

static enum brew_cut cut_json(brew_cutter *c, brew_err *err) {
    size_t len;
    enum brew_cut cut = find_line(c, &len, err);
    if (cut != BREW_CUT_ROW) return cut;
    if (c->at + len == c->end)
        return broken(c, err, "the last line has no newline: the input was cut short");
    take(c, len, 1);
    if (!c->slices) c->slices = brew_calloc(MAX_KEYS, sizeof *c->slices);
    ptrdiff_t n = brew_json_members(c->raw, c->raw_len, c->slices, MAX_KEYS, err);
    if (n < 0) return BREW_CUT_BAD;
    brew_buf_reset(&c->scratch);
    brew_buf_reserve(&c->scratch, c->raw_len);
    for (size_t w = 0; w < c->shape->n_wanted; w++) {
        size_t i = find_member(c, (size_t)n, w);
        c->fields[w] = (brew_field){0};
        if (i < (size_t)n && render(c, w, &c->slices[i], err) != BREW_CUT_ROW) return BREW_CUT_BAD;
    }
    return BREW_CUT_ROW;
}

// ---- any row ----

enum brew_cut brew_cut_row(brew_cutter *c, brew_err *err) {
    const brew_row_shape *shape = c->shape;
    if (!c->fields) {
        c->fields = brew_calloc(shape->n_wanted, sizeof *c->fields);
        c->likely = brew_calloc(shape->n_wanted, sizeof *c->likely);
    }
    if (shape->format == BREW_TABLE_JSONL) return cut_json(c, err);
    enum brew_cut cut = cut_separated(c, err);
    if (cut != BREW_CUT_ROW || !shape->n) return cut;
    if (c->n_all != shape->n) {
        brew_fail(err, BREW_DATA, "%zu fields where the header has %zu", c->n_all, shape->n);
        return BREW_CUT_BAD;
    }
    for (size_t w = 0; w < shape->n_wanted; w++) c->fields[w] = c->all[shape->places[w]];
    return BREW_CUT_ROW;
}

void brew_cutter_release(brew_cutter *c) {
    free(c->all);
    free(c->fields);
    free(c->slices);
    free(c->likely);
    brew_buf_release(&c->scratch);
    *c = (brew_cutter){0};
}
