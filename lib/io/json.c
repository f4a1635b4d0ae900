#include "io/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/mem.h"
#include "io/in.h"

// ---- reading ----

struct place {
    size_t line, column; // from 1; columns count bytes
};

static struct place place_of(const char *text, size_t at) {
    struct place place = {1, 1};
    for (size_t i = 0; i < at; i++) {
        place.column++;
        if (text[i] == '\n') place = (struct place){place.line + 1, 1};
    }
    return place;
}

// A record is one line, whose number the caller puts in front: then the column is enough.
static int fail_at(brew_err *err, const char *text, size_t len, size_t at, const char *what) {
    struct place place = place_of(text, at < len ? at : len);
    if (place.line == 1) return brew_fail(err, BREW_DATA, "column %zu: %s", place.column, what);
    return brew_fail(err, BREW_DATA, "line %zu, column %zu: %s", place.line, place.column, what);
}

static size_t skip_white(const char *text, size_t len, size_t at) {
    while (at < len &&
           (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n'))
        at++;
    return at;
}

// The index just behind the string that starts at text[at] == '"', or len if it does not end.
static size_t skip_string(const char *text, size_t len, size_t at) {
    for (at++; at < len; at++) {
        if (text[at] == '"') return at + 1;
        if (text[at] == '\\') at++;
    }
    return len;
}

// Nesting is limited before jansson recurses.
static int check_depth(const char *text, size_t len, brew_err *err) {
    size_t depth = 0;
    for (size_t i = 0; i < len;) {
        char c = text[i];
        if (c == '"') {
            i = skip_string(text, len, i);
            continue;
        }
        if (c == '[' || c == '{') {
            if (depth++ == BREW_JSON_DEPTH)
                return fail_at(err, text, len, i, "nested more than 64 levels deep");
        } else if ((c == ']' || c == '}') && depth) {
            depth--;
        }
        i++;
    }
    return 0;
}

// What jansson found wrong, in our words: its own messages quote the text, which may be personal data.
static const char *reason(const json_error_t *error) {
    switch (json_error_code(error)) {
    case json_error_invalid_utf8:
        return "not UTF-8";
    case json_error_premature_end_of_input:
        return "the JSON text ends too early";
    case json_error_end_of_input_expected:
        return "more bytes behind the JSON value";
    case json_error_null_byte_in_key:
        return "a NUL character in a key";
    case json_error_duplicate_key:
        return "a key stands twice in one object";
    case json_error_numeric_overflow:
        return strncmp(error->text, "real", 4) ? "an integer beyond 64 bits"
                                               : "a number too large for a double";
    case json_error_out_of_memory:
        return "no memory for the JSON value";
    default:
        return "not JSON";
    }
}

brew_json *brew_json_parse(const char *text, size_t len, brew_err *err) {
    const char *nul = len ? memchr(text, 0, len) : NULL; // jansson overlooks one behind a number
    if (nul) fail_at(err, text, len, (size_t)(nul - text), "a NUL byte");
    if (nul || check_depth(text, len, err)) return NULL;
    json_error_t error;
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *value = json_loadb(text ? text : "", len, flags, &error);
    if (value) return value;
    if (skip_white(text, len, 0) == len) {
        brew_fail(err, BREW_DATA, "empty where a JSON value was expected");
        return NULL;
    }
    fail_at(err, text, len, error.position > 0 ? (size_t)error.position - 1 : 0, reason(&error));
    return NULL;
}

// The last two of many digits as an exponent: the text keeps its length, and the value all the digits that
// a double has.
static void round_integer(char *digits, size_t n) {
    if (n >= 19) memcpy(digits + n - 2, "e2", 2);
}

brew_json *brew_json_parse_settings(const char *text, size_t len, brew_err *err) {
    char *copy = brew_strndup(text ? text : "", len);
    for (size_t i = 0; i < len;) {
        size_t start = i;
        if (copy[i] == '"') {
            i = skip_string(copy, len, i);
            continue;
        }
        bool whole = true;
        while (i < len && copy[i] && strchr("0123456789.eE+-", copy[i]))
            whole &= !strchr(".eE+", copy[i++]);
        if (i == start)
            i++;
        else if (whole)
            round_integer(copy + start, i - start);
    }
    brew_json *value = brew_json_parse(copy, len, err);
    free(copy);
    return value;
}

brew_json *brew_json_load(const char *path, brew_err *err) {
    brew_in *in = brew_in_open(path, err);
    if (!in) return NULL;
    brew_buf text = {0};
    ssize_t got;
    do {
        brew_buf_reserve(&text, 1 << 16);
        got = brew_in_read(in, text.ptr + text.len, 1 << 16, err);
        if (got > 0) text.len += (size_t)got;
    } while (got > 0);
    brew_json *value = NULL;
    if (got == 0) {
        text.ptr[text.len] = 0;
        value = brew_json_parse(text.ptr, text.len, err);
        if (!value) brew_err_context(err, "%s", brew_in_name(in));
    }
    brew_in_close(in);
    brew_buf_release(&text);
    return value;
}

void brew_json_free(brew_json *value) {
    json_decref(value);
}

// ---- looking ----

enum brew_json_type brew_json_type(const brew_json *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return BREW_JSON_OBJECT;
    case JSON_ARRAY:
        return BREW_JSON_ARRAY;
    case JSON_STRING:
        return BREW_JSON_STRING;
    case JSON_INTEGER:
        return BREW_JSON_INT;
    case JSON_REAL:
        return BREW_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return BREW_JSON_BOOL;
    default:
        return BREW_JSON_NULL;
    }
}

static const char *const type_names[] = {
    [BREW_JSON_NULL] = "null",        [BREW_JSON_BOOL] = "true or false",
    [BREW_JSON_INT] = "an integer",   [BREW_JSON_REAL] = "a number",
    [BREW_JSON_STRING] = "a string",  [BREW_JSON_ARRAY] = "an array",
    [BREW_JSON_OBJECT] = "an object",
};

const char *brew_json_type_name(const brew_json *value) {
    return value ? type_names[brew_json_type(value)] : "nothing";
}

bool brew_json_is(const brew_json *value, enum brew_json_type type) {
    return value && brew_json_type(value) == type;
}

brew_json *brew_json_get(const brew_json *object, const char *key) {
    return json_object_get(object, key);
}

bool brew_json_next(const brew_json *object, brew_json_iter *it) {
    json_t *mutable = (json_t *)(uintptr_t)object; // jansson's iterators are not const-correct
    it->at = it->at ? json_object_iter_next(mutable, it->at) : json_object_iter(mutable);
    if (!it->at) return false;
    it->key = json_object_iter_key(it->at);
    it->value = json_object_iter_value(it->at);
    return true;
}

size_t brew_json_length(const brew_json *array) {
    return json_array_size(array);
}

brew_json *brew_json_at(const brew_json *array, size_t index) {
    return json_array_get(array, index);
}

const char *brew_json_string(const brew_json *value, size_t *len) {
    if (len) *len = json_string_length(value);
    return json_string_value(value);
}

int64_t brew_json_int(const brew_json *value) {
    return json_integer_value(value);
}

double brew_json_real(const brew_json *value) {
    return json_number_value(value);
}

bool brew_json_bool(const brew_json *value) {
    return json_is_true(value);
}

// ---- typed members ----

// The member, or NULL when it is absent or null.
static const json_t *present(const brew_json *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return value && json_is_null(value) ? NULL : value;
}

static int wrong_type(brew_err *err, const char *key, enum brew_json_type want, const json_t *got) {
    return brew_fail(err, BREW_DATA, "\"%s\" must be %s, not %s", key, type_names[want],
                     brew_json_type_name(got));
}

int brew_json_want_int(const brew_json *object, const char *key, int64_t min, int64_t max,
                       int64_t *out, brew_err *err) {
    const json_t *value = present(object, key);
    if (!value) return 0;
    if (!json_is_integer(value)) return wrong_type(err, key, BREW_JSON_INT, value);
    int64_t number = json_integer_value(value);
    if (number < min || number > max)
        return brew_fail(err, BREW_DATA, "\"%s\" is %lld, but must be in [%lld, %lld]", key,
                         (long long)number, (long long)min, (long long)max);
    *out = number;
    return 1;
}

int brew_json_want_real(const brew_json *object, const char *key, double *out, brew_err *err) {
    const json_t *value = present(object, key);
    if (!value) return 0;
    if (!json_is_number(value)) return wrong_type(err, key, BREW_JSON_REAL, value);
    *out = json_number_value(value);
    return 1;
}

int brew_json_want_bool(const brew_json *object, const char *key, bool *out, brew_err *err) {
    const json_t *value = present(object, key);
    if (!value) return 0;
    if (!json_is_boolean(value)) return wrong_type(err, key, BREW_JSON_BOOL, value);
    *out = json_is_true(value);
    return 1;
}

int brew_json_want_string(const brew_json *object, const char *key, const char **out,
                          brew_err *err) {
    const json_t *value = present(object, key);
    if (!value) return 0;
    if (!json_is_string(value)) return wrong_type(err, key, BREW_JSON_STRING, value);
    const char *text = json_string_value(value);
    if (strlen(text) != json_string_length(value))
        return brew_fail(err, BREW_DATA, "\"%s\" holds a NUL character", key);
    *out = text;
    return 1;
}

// ---- making ----

static json_t *made(json_t *value) {
    if (!value) brew_bug("no memory for a JSON value");
    return value;
}

brew_json *brew_json_new_object(void) {
    return made(json_object());
}

brew_json *brew_json_new_array(void) {
    return made(json_array());
}

brew_json *brew_json_new_string(const char *text, size_t len) {
    json_t *value = json_stringn(text, len);
    if (value) return value;
    // Not UTF-8 (a file name, say): what is not ASCII becomes U+FFFD.
    brew_buf clean = {0};
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x80)
            brew_buf_addc(&clean, text[i]);
        else
            brew_buf_adds(&clean, "\xef\xbf\xbd");
    }
    value = made(json_stringn(clean.ptr ? clean.ptr : "", clean.len));
    brew_buf_release(&clean);
    return value;
}

brew_json *brew_json_new_int(int64_t value) {
    return made(json_integer(value));
}

brew_json *brew_json_new_real(double value) {
    return isfinite(value) ? made(json_real(value)) : json_null();
}

brew_json *brew_json_new_bool(bool value) {
    return json_boolean(value);
}

brew_json *brew_json_copy(const brew_json *value) {
    return made(json_deep_copy(value));
}

void brew_json_set(brew_json *object, const char *key, brew_json *value) {
    if (json_object_set_new(object, key, value)) brew_bug("cannot set \"%s\"", key);
}

void brew_json_push(brew_json *array, brew_json *value) {
    if (json_array_append_new(array, value)) brew_bug("cannot append to an array");
}

// ---- writing ----

// True in the high bit of each byte that is escaped: '"', '\\', below 0x20. Borrows may mark a byte above
// such a one, never hide one.
static uint64_t escaped(uint64_t word) {
    const uint64_t ones = 0x0101010101010101u;
    uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
    return (((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
            ((slash - ones) & ~slash)) &
           ones * 0x80;
}

void brew_json_write_string(brew_buf *out, const char *text, size_t len) {
    static const char names[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    brew_buf_reserve(out, len + 2);
    brew_buf_addc(out, '"');
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        uint64_t word;
        while (len - i >= 8 && (memcpy(&word, text + i, 8), !escaped(word))) i += 8;
        if (i == len) break;
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        brew_buf_add(out, text + from, i - from);
        from = i + 1;
        if (c >= 0x20 || names[c]) {
            brew_buf_addc(out, '\\');
            brew_buf_addc(out, c >= 0x20 ? (char)c : names[c]);
        } else {
            brew_buf_addf(out, "\\u%04x", c);
        }
    }
    brew_buf_add(out, text + from, len - from);
    brew_buf_addc(out, '"');
}

static void write_members(brew_buf *out, const brew_json *object) {
    bool first = true;
    for (brew_json_iter it = {0}; brew_json_next(object, &it); first = false) {
        if (!first) brew_buf_addc(out, ',');
        brew_json_write_string(out, it.key, strlen(it.key));
        brew_buf_addc(out, ':');
        brew_json_write(out, it.value);
    }
}

void brew_json_write(brew_buf *out, const brew_json *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        brew_buf_addc(out, '{');
        write_members(out, value);
        brew_buf_addc(out, '}');
        break;
    case JSON_ARRAY:
        brew_buf_addc(out, '[');
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i) brew_buf_addc(out, ',');
            brew_json_write(out, json_array_get(value, i));
        }
        brew_buf_addc(out, ']');
        break;
    case JSON_STRING:
        brew_json_write_string(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        brew_buf_add_i64(out, json_integer_value(value));
        break;
    case JSON_REAL:
        brew_buf_add_double(out, json_real_value(value));
        break;
    case JSON_TRUE:
        brew_buf_adds(out, "true");
        break;
    case JSON_FALSE:
        brew_buf_adds(out, "false");
        break;
    case JSON_NULL:
        brew_buf_adds(out, "null");
        break;
    }
}

// ---- slices ----

// Behind the value that starts at text[at].
static size_t skip_value(const char *text, size_t len, size_t at) {
    if (at < len && text[at] == '"') return skip_string(text, len, at);
    size_t depth = 0;
    while (at < len) {
        char c = text[at];
        if (c == '"') {
            at = skip_string(text, len, at);
            continue;
        }
        if (c == '[' || c == '{') depth++;
        if (c == ']' || c == '}') {
            if (!depth) break; // the end of what holds a bare number or word
            if (!--depth) return at + 1;
        }
        if (!depth && (c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n')) break;
        at++;
    }
    return at;
}

size_t brew_json_slices(const char *text, size_t len, brew_json_slice *slices, size_t max) {
    size_t n = 0, at = skip_white(text, len, 0);
    if (at >= len || text[at] != '{') return 0;
    at = skip_white(text, len, at + 1);
    while (n < max && at < len && text[at] == '"') {
        brew_json_slice *slice = &slices[n++];
        size_t end = skip_string(text, len, at);
        slice->key = text + at + 1;
        slice->key_len = end - at - 2;
        at = skip_white(text, len, end);
        at = skip_white(text, len, at + 1); // the colon
        end = skip_value(text, len, at);
        slice->value = text + at;
        slice->value_len = end - at;
        at = skip_white(text, len, end);
        if (at < len && text[at] == ',') at = skip_white(text, len, at + 1);
    }
    return n;
}
