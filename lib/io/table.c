#include "io/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "io/in.h"
#include "io/json.h"

enum { CHUNK = 256 << 10, MAX_KEYS = 256 };

struct brew_table {
    brew_in *in;
    enum brew_table_format format;
    char separator;
    char **wanted; // [n_wanted] names
    size_t n_wanted;
    size_t *places;     // [n_wanted] index among the row's fields (not JSONL)
    brew_field *fields; // [n_wanted] given to the caller
    brew_field *all;    // [n_all] of a row; the header decides n_all
    size_t n_all, all_cap;
    brew_json_slice *slices; // [MAX_KEYS] (JSONL)
    brew_buf scratch;        // fields that do not stand in the file as they are
    char *buf;               // decoded bytes not yet taken: buf[pos, len)
    size_t pos, len, cap;
    bool end;
    const char *raw; // the last row, in buf
    size_t raw_len;
    uint64_t line, next_line;
    brew_err failure;
};

static int fail_for_good(brew_table *t, const char *what) {
    return brew_fail(&t->failure, BREW_DATA, "%s:%llu: %s", brew_in_name(t->in),
                     (unsigned long long)t->line, what);
}

// Reads more behind buf[len): 1 if bytes came, 0 at the end of the file, -1. Offsets from pos stay good,
// pointers do not.
static int fill(brew_table *t) {
    size_t held = t->len - t->pos;
    if (t->end) return 0;
    if (held > BREW_TABLE_MAX_ROW) return fail_for_good(t, "a row of more than 16777216 bytes");
    if (t->pos) memmove(t->buf, t->buf + t->pos, held);
    t->pos = 0;
    t->len = held;
    if (held + CHUNK > t->cap) {
        t->cap = held + CHUNK > 2 * t->cap ? held + CHUNK : 2 * t->cap;
        t->buf = brew_realloc(t->buf, t->cap);
    }
    ssize_t got = brew_in_read(t->in, t->buf + held, t->cap - held, &t->failure);
    if (got < 0) return -1;
    t->len += (size_t)got;
    t->end = !got;
    return got > 0;
}

// ---- rows as lines ----

// The length of the line at pos, up to its newline or the end of the file: 1, 0 if there is none, -1.
static int find_line(brew_table *t, size_t *len) {
    size_t seen = 0;
    for (;;) {
        size_t held = t->len - t->pos;
        const char *from = t->buf + t->pos;
        const char *newline = held > seen ? memchr(from + seen, '\n', held - seen) : NULL;
        *len = newline ? (size_t)(newline - from) : held;
        if (newline) return 1;
        seen = held;
        int more = fill(t);
        if (more < 0) return -1;
        if (more) continue;
        if (!held) return 0;
        if (t->format == BREW_TABLE_JSONL)
            return fail_for_good(t, "the last line has no newline: the input was cut short");
        return 1;
    }
}

// Takes the row of `len` bytes at pos and the newline behind it, if any.
static void take_row(brew_table *t, size_t len, size_t newlines) {
    t->raw = t->buf + t->pos;
    t->raw_len = len && t->raw[len - 1] == '\r' ? len - 1 : len;
    t->next_line += newlines;
    t->pos += len;
    if (t->pos < t->len) t->pos++;
}

static int wrong_count(const brew_table *t, size_t n, brew_err *err) {
    return brew_fail(err, BREW_DATA, "%zu fields where the header has %zu", n, t->n_all);
}

static void add_field(brew_table *t, size_t n, const char *ptr, size_t len) {
    BREW_GROW(t->all, n + 1, t->all_cap);
    t->all[n] = (brew_field){ptr, len};
}

// Splits the taken row, which holds no quotes. The number of fields.
static size_t split_plain(brew_table *t) {
    const char *at = t->raw, *end = t->raw + t->raw_len;
    for (size_t n = 0;; n++) {
        const char *stop = memchr(at, t->separator, (size_t)(end - at));
        add_field(t, n, at, (size_t)((stop ? stop : end) - at));
        if (!stop) return n + 1;
        at = stop + 1;
    }
}

// ---- rows with quotes ----

// Makes the byte at pos + at visible: the byte, -1 at the end of the file, -2 on error.
static int byte_at(brew_table *t, size_t at) {
    while (t->pos + at >= t->len) {
        int more = fill(t);
        if (more <= 0) return more - 1;
    }
    return (unsigned char)t->buf[t->pos + at];
}

// Copies up to the closing quote of a field whose opening one stands before *at; leaves *at behind it.
// The byte there (see byte_at), or -3 if the quote never closes.
static int unquote(brew_table *t, size_t *at, size_t *newlines) {
    for (;;) {
        int c = byte_at(t, *at);
        if (c < 0) return c == -1 ? -3 : c;
        const char *from = t->buf + t->pos + *at;
        size_t held = t->len - t->pos - *at;
        const char *quote = memchr(from, '"', held);
        size_t len = quote ? (size_t)(quote - from) : held;
        brew_buf_add(&t->scratch, from, len);
        for (size_t i = 0; i < len; i++) *newlines += from[i] == '\n';
        *at += len;
        if (!quote) continue;
        c = byte_at(t, ++*at);
        if (c != '"') return c;
        brew_buf_addc(&t->scratch, '"');
        ++*at;
    }
}

// Copies an unquoted field; leaves *at on what ends it. The byte there, or -4 for a quote inside it.
static int copy_unquoted(brew_table *t, size_t *at) {
    for (;; ++*at) {
        int c = byte_at(t, *at);
        if (c < 0 || c == '\n' || c == t->separator) return c;
        if (c == '"') return -4;
        brew_buf_addc(&t->scratch, (char)c);
    }
}

// A row with quotes somewhere in its first line (`line` bytes long): the number of fields, taken; or 0
// with err set and only the first line taken, so that one stray quote costs one row; -1 for good.
static ptrdiff_t split_quoted(brew_table *t, size_t line, brew_err *err) {
    size_t at = 0, newlines = 0, n = 0;
    brew_buf_reset(&t->scratch);
    for (int c;; n++, at++) {
        size_t from = t->scratch.len;
        c = byte_at(t, at);
        bool quoted = c == '"';
        if (quoted) {
            at++;
            c = unquote(t, &at, &newlines);
            if (c == '\r' && byte_at(t, at + 1) == '\n') c = (unsigned char)t->buf[t->pos + ++at];
        } else {
            c = copy_unquoted(t, &at);
        }
        if (c == -2) return -1;
        add_field(t, n, NULL, t->scratch.len - from);
        if (c == t->separator) continue;
        if (c == '\n' || c == -1) {
            if (!quoted && t->all[n].len && t->scratch.ptr[t->scratch.len - 1] == '\r')
                t->all[n].len--;
            break;
        }
        take_row(t, line, 1);
        brew_fail(err, BREW_DATA, "%s",
                  c == -3   ? "a quoted field does not end"
                  : c == -4 ? "a quote inside an unquoted field"
                            : "bytes between a closing quote and the end of its field");
        return 0;
    }
    take_row(t, at, newlines + 1);
    const char *text = t->scratch.ptr;
    for (size_t i = 0; i <= n; text += t->all[i++].len) t->all[i].ptr = text;
    return (ptrdiff_t)n + 1;
}

// ---- any row ----

static int check_text(const char *text, size_t len, brew_err *err) {
    if (memchr(text, 0, len)) return brew_fail(err, BREW_DATA, "a NUL byte");
    if (!brew_utf8_valid(text, len)) return brew_fail(err, BREW_DATA, "not UTF-8");
    return 0;
}

// The next row's fields in all: 1 and *n, 0 the end, -1.
static int next_split(brew_table *t, size_t *n, brew_err *err) {
    size_t len;
    t->line = t->next_line;
    int got = find_line(t, &len);
    if (got <= 0) return got;
    if (t->format == BREW_TABLE_CSV && memchr(t->buf + t->pos, '"', len)) {
        ptrdiff_t fields = split_quoted(t, len, err);
        if (fields <= 0) return -1;
        *n = (size_t)fields;
    } else {
        take_row(t, len, 1);
        *n = split_plain(t);
    }
    return check_text(t->raw, t->raw_len, err) ? -1 : 1;
}

// A JSON value as a field. Strings with escapes are undone in scratch, which has room for the row.
static int render(brew_table *t, size_t column, const brew_json_slice *slice, brew_err *err) {
    brew_field *field = &t->fields[column];
    char first = slice->value[0];
    if (first == 'n') return 0;
    if (first == '[' || first == '{')
        return brew_fail(err, BREW_DATA, "\"%s\" holds %s, not a text or a number",
                         t->wanted[column], first == '[' ? "an array" : "an object");
    *field = (brew_field){slice->value, slice->value_len};
    if (first != '"') return 0;
    *field = (brew_field){slice->value + 1, slice->value_len - 2};
    if (!memchr(field->ptr, '\\', field->len)) return 0;
    char *out = t->scratch.ptr + t->scratch.len;
    size_t len = brew_json_unescape(field->ptr, field->len, out);
    t->scratch.len += len;
    *field = (brew_field){out, len};
    if (memchr(out, 0, len))
        return brew_fail(err, BREW_DATA, "\"%s\" holds a NUL character", t->wanted[column]);
    return 0;
}

static bool key_is(const brew_json_slice *slice, const char *name, size_t name_len) {
    if (slice->key_len == name_len && !memcmp(slice->key, name, name_len)) return true;
    if (slice->key_len <= name_len || !memchr(slice->key, '\\', slice->key_len)) return false;
    char *key = brew_alloc(slice->key_len);
    size_t len = brew_json_unescape(slice->key, slice->key_len, key);
    bool same = len == name_len && !memcmp(key, name, len);
    free(key);
    return same;
}

static int next_json(brew_table *t, brew_err *err) {
    size_t len;
    t->line = t->next_line;
    int got = find_line(t, &len);
    if (got <= 0) return got;
    take_row(t, len, 1);
    ptrdiff_t n = brew_json_members(t->raw, t->raw_len, t->slices, MAX_KEYS, err);
    if (n < 0) return -1;
    brew_buf_reset(&t->scratch);
    brew_buf_reserve(&t->scratch, t->raw_len);
    for (size_t w = 0; w < t->n_wanted; w++) {
        t->fields[w] = (brew_field){0};
        size_t name_len = strlen(t->wanted[w]);
        for (ptrdiff_t i = 0; i < n; i++) {
            if (!key_is(&t->slices[i], t->wanted[w], name_len)) continue;
            if (render(t, w, &t->slices[i], err)) return -1;
            break;
        }
    }
    return 1;
}

int brew_table_next(brew_table *t, const brew_field **fields, brew_err *err) {
    int got = -1;
    if (!t->failure.code) {
        size_t n = t->n_all;
        got = t->format == BREW_TABLE_JSONL ? next_json(t, err) : next_split(t, &n, err);
        if (got > 0 && n != t->n_all) got = wrong_count(t, n, err);
    }
    if (t->failure.code) {
        if (err) *err = t->failure;
        return -1;
    }
    if (got > 0 && t->format != BREW_TABLE_JSONL)
        for (size_t w = 0; w < t->n_wanted; w++) t->fields[w] = t->all[t->places[w]];
    if (got > 0) *fields = t->fields;
    return got;
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
    while (t->len < 3) {
        int more = fill(t);
        if (more < 0) return -1;
        if (!more) break;
    }
    if (t->len >= 3 && !memcmp(t->buf, "\xef\xbb\xbf", 3)) t->pos = 3;
    if (t->format == BREW_TABLE_AUTO) {
        size_t len = 0;
        t->format = BREW_TABLE_CSV; // so that a missing newline is no error yet
        if (find_line(t, &len) < 0) return -1;
        if (len && t->buf[t->pos] == '{')
            t->format = BREW_TABLE_JSONL;
        else if (len && memchr(t->buf + t->pos, '\t', len))
            t->format = BREW_TABLE_TSV;
    }
    t->separator = t->format == BREW_TABLE_CSV ? ',' : '\t';
    return 0;
}

// Takes the header line into `all`: the number of columns, or -1.
static ptrdiff_t read_header(brew_table *t, brew_err *err) {
    size_t n;
    int got = next_split(t, &n, err);
    if (t->failure.code) {
        if (err) *err = t->failure;
        return -1;
    }
    if (got < 0) return brew_err_context(err, "%s:1", brew_in_name(t->in));
    if (got == 0)
        return brew_fail(err, BREW_DATA, "%s: empty where a header line was expected",
                         brew_in_name(t->in));
    return (ptrdiff_t)n;
}

static int find_columns(brew_table *t, const char *const *header, size_t n_header, brew_err *err) {
    ptrdiff_t got = n_header ? (ptrdiff_t)n_header : read_header(t, err);
    if (got < 0) return -1;
    size_t n = (size_t)got;
    for (size_t i = 0; i < n_header; i++) add_field(t, i, header[i], strlen(header[i]));
    t->n_all = n;
    t->places = brew_calloc(t->n_wanted, sizeof *t->places);
    for (size_t w = 0; w < t->n_wanted; w++) {
        size_t found = 0, len = strlen(t->wanted[w]);
        for (size_t i = 0; i < n; i++) {
            const brew_field *name = &t->all[i];
            size_t name_len = name->len;
            const char *colon = memchr(name->ptr, ':', name_len);
            if (t->format == BREW_TABLE_ATOMIC && colon) name_len = (size_t)(colon - name->ptr);
            if (name_len != len || memcmp(name->ptr, t->wanted[w], len)) continue;
            t->places[w] = i;
            found++;
        }
        if (found != 1)
            return brew_fail(err, BREW_DATA, "%s:1: %s column \"%s\" in the header",
                             brew_in_name(t->in), found ? "more than one" : "no", t->wanted[w]);
    }
    return 0;
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
    t->format = format ? format : format_of(path);
    t->line = t->next_line = 1;
    t->n_wanted = n_columns;
    t->wanted = brew_calloc(n_columns, sizeof *t->wanted);
    t->fields = brew_calloc(n_columns, sizeof *t->fields);
    for (size_t w = 0; w < n_columns; w++) t->wanted[w] = brew_strdup(columns[w]);
    brew_in_digest_start(in);
    int status = start(t);
    if (status && err) *err = t->failure;
    if (!status && t->format == BREW_TABLE_JSONL && n_header)
        status = brew_fail(err, BREW_DATA, "%s: JSON lines name their columns themselves",
                           brew_in_name(in));
    else if (!status && t->format == BREW_TABLE_JSONL)
        t->slices = brew_calloc(MAX_KEYS, sizeof *t->slices);
    else if (!status)
        status = find_columns(t, header, n_header, err);
    if (!status) return t;
    brew_table_close(t);
    return NULL;
}

void brew_table_close(brew_table *t) {
    if (!t) return;
    brew_in_close(t->in);
    for (size_t w = 0; w < t->n_wanted; w++) free(t->wanted[w]);
    free(t->wanted);
    free(t->places);
    free(t->fields);
    free(t->all);
    free(t->slices);
    brew_buf_release(&t->scratch);
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
    return t->line;
}

void brew_table_raw(const brew_table *t, const char **bytes, size_t *len) {
    *bytes = t->raw;
    *len = t->raw_len;
}

uint64_t brew_table_bytes(const brew_table *t) {
    return brew_in_offset(t->in);
}

void brew_table_digest(brew_table *t, char hex[65]) {
    brew_in_digest(t->in, hex);
}
