#include "text/prompt/keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "io/in.h"

enum { SETTINGS_MAX = 16 << 20 };

static int read_all(brew_buf *out, const char *path, brew_err *err) {
    brew_in *in = brew_in_open(path, err);
    if (!in) return -1;
    ssize_t got;
    do {
        brew_buf_reserve(out, 1 << 16);
        got = brew_in_read(in, out->ptr + out->len, 1 << 16, err);
        if (got > 0) out->len += (size_t)got;
        if (out->len > SETTINGS_MAX)
            got = brew_fail(err, BREW_USAGE, "%s: more than %d bytes", path, SETTINGS_MAX);
    } while (got > 0);
    out->ptr[out->len] = 0;
    brew_in_close(in);
    return got < 0 ? -1 : 0;
}

int brew_keys_load(brew_keys *out, const char *path, brew_err *err) {
    *out = (brew_keys){.path = brew_strdup(path), .err = err};
    if (read_all(&out->text, path, err)) goto fail;
    out->root = brew_json_parse(out->text.ptr, out->text.len, err);
    if (!out->root) {
        brew_err_context(err, "%s", path);
        if (err) err->code = BREW_USAGE;
        goto fail;
    }
    if (!brew_json_is(out->root, BREW_JSON_OBJECT)) {
        brew_fail(err, BREW_USAGE, "%s:1: not an object but %s", path,
                  brew_json_type_name(out->root));
        goto fail;
    }
    return 0;
fail:
    brew_keys_release(out);
    return -1;
}

void brew_keys_release(brew_keys *keys) {
    free(keys->path);
    brew_buf_release(&keys->text);
    brew_json_free(keys->root);
    *keys = (brew_keys){0};
}

// Finding a place. The text has been parsed, so it is well formed; a cursor walks it.

static const char *skip_blank(const char *at) {
    return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at) { // at the opening quote
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && at[1]) at++;
    return *at ? at + 1 : at;
}

static const char *skip_value(const char *at) {
    size_t depth = 0;
    do {
        at = skip_blank(at);
        if (*at == '"') {
            at = skip_string(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (*at == ',' || *at == ':') {
            at++;
        } else {
            at += strcspn(at, " \t\r\n,:{}[]\"");
        }
    } while (depth && *at);
    return at;
}

// The value of member key[0..n) of the object at `at`; *spot is set to its key. NULL if there is none.
static const char *find_member(const char *at, const char *key, size_t n, const char **spot) {
    at = skip_blank(at);
    if (*at != '{') return NULL;
    at = skip_blank(at + 1);
    while (*at == '"') {
        const char *name = at;
        at = skip_blank(skip_string(at));
        if (*at != ':') return NULL;
        const char *value = skip_blank(at + 1);
        if (!strncmp(name + 1, key, n) && name[n + 1] == '"') {
            *spot = name;
            return value;
        }
        at = skip_blank(skip_value(value));
        if (*at == ',') at = skip_blank(at + 1);
    }
    return NULL;
}

static const char *find_element(const char *at, size_t index, const char **spot) {
    at = skip_blank(at);
    if (*at != '[') return NULL;
    at = skip_blank(at + 1);
    for (; index && *at && *at != ']'; index--) {
        at = skip_blank(skip_value(at));
        if (*at == ',') at = skip_blank(at + 1);
    }
    if (!*at || *at == ']') return NULL;
    *spot = at;
    return at;
}

size_t brew_keys_line(const brew_keys *keys, const char *where) {
    const char *at = keys->text.ptr, *spot = skip_blank(at);
    while (at && *where) {
        if (*where == '[') {
            char *end;
            at = find_element(at, strtoul(where + 1, &end, 10), &spot);
            where = *end ? end + 1 : end;
        } else {
            if (*where == '.') where++;
            size_t n = strcspn(where, ".[");
            at = find_member(at, where, n, &spot);
            where += n;
        }
    }
    size_t line = 1;
    for (const char *p = keys->text.ptr; p < spot; p++) line += *p == '\n';
    return line;
}

int brew_keys_fail(const brew_keys *keys, const char *where, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    size_t line = brew_keys_line(keys, where);
    if (!*where) return brew_fail(keys->err, BREW_USAGE, "%s:%zu: %s", keys->path, line, text);
    return brew_fail(keys->err, BREW_USAGE, "%s:%zu: \"%s\" %s", keys->path, line, where, text);
}

brew_place brew_place_of(const char *where, const char *key) {
    brew_place place;
    snprintf(place.text, sizeof place.text, "%s%s%s", where, *where ? "." : "", key);
    return place;
}

brew_place brew_place_at(const char *where, size_t index) {
    brew_place place;
    snprintf(place.text, sizeof place.text, "%s[%zu]", where, index);
    return place;
}

// The position of a name among names parted by blanks, or -1.
static int position_of(const char *name, const char *names) {
    size_t len = strlen(name);
    for (int position = 0; *names; position++) {
        size_t n = strcspn(names, " ");
        if (n == len && !strncmp(name, names, n)) return position;
        names += n;
        names += *names == ' ';
    }
    return -1;
}

int brew_keys_known(const brew_keys *keys, const brew_json *object, const char *where,
                    const char *known) {
    brew_json_iter it = {0};
    while (brew_json_next(object, &it))
        if (position_of(it.key, known) < 0)
            return brew_keys_fail(keys, brew_place_of(where, it.key).text,
                                  "is not a known key; known here: %s", known);
    return 0;
}

// The member if it has the type; *status is 1, 0 for absent, -1 for a complaint.
static brew_json *want(const brew_keys *keys, const brew_json *object, const char *where,
                       const char *key, bool required, enum brew_json_type type, const char *what,
                       int *status) {
    brew_json *value = brew_json_get(object, key);
    *status = 0;
    if (!value) {
        if (required) *status = brew_keys_fail(keys, where, "lacks the key \"%s\", %s", key, what);
        return NULL;
    }
    bool fits =
        brew_json_is(value, type) || (type == BREW_JSON_REAL && brew_json_is(value, BREW_JSON_INT));
    *status = fits ? 1
                   : brew_keys_fail(keys, brew_place_of(where, key).text, "must be %s, not %s",
                                    what, brew_json_type_name(value));
    return fits ? value : NULL;
}

int brew_keys_string(const brew_keys *keys, const brew_json *object, const char *where,
                     const char *key, bool required, char **out) {
    int status;
    brew_json *value =
        want(keys, object, where, key, required, BREW_JSON_STRING, "a string", &status);
    if (!value) return status;
    size_t len;
    const char *text = brew_json_string(value, &len);
    if (required && !len)
        return brew_keys_fail(keys, brew_place_of(where, key).text, "must not be empty");
    free(*out);
    *out = brew_strndup(text, len);
    return 1;
}

int brew_keys_int(const brew_keys *keys, const brew_json *object, const char *where,
                  const char *key, int64_t min, int64_t max, int64_t *out) {
    int status;
    brew_json *value =
        want(keys, object, where, key, false, BREW_JSON_INT, "a whole number", &status);
    if (!value) return status;
    int64_t got = brew_json_int(value);
    if (got < min || got > max)
        return brew_keys_fail(keys, brew_place_of(where, key).text,
                              "is %lld, not from %lld to %lld", (long long)got, (long long)min,
                              (long long)max);
    *out = got;
    return 1;
}

int brew_keys_real(const brew_keys *keys, const brew_json *object, const char *where,
                   const char *key, double min, double max, double *out) {
    int status;
    brew_json *value = want(keys, object, where, key, false, BREW_JSON_REAL, "a number", &status);
    if (!value) return status;
    double got = brew_json_real(value);
    if (!(got >= min && got <= max))
        return brew_keys_fail(keys, brew_place_of(where, key).text, "is %g, not from %g to %g", got,
                              min, max);
    *out = got;
    return 1;
}

int brew_keys_duration(const brew_keys *keys, const brew_json *object, const char *where,
                       const char *key, int64_t *out_ms) {
    static const char units[] = "smhdw";
    static const int64_t unit_ms[] = {1000, 60000, 3600000, 86400000, 604800000};
    const brew_json *value = brew_json_get(object, key);
    if (!value) return 0;
    int64_t number = -1, ms = 1000;
    if (brew_json_is(value, BREW_JSON_INT)) {
        number = brew_json_int(value);
    } else if (brew_json_is(value, BREW_JSON_STRING)) {
        size_t len;
        const char *text = brew_json_string(value, &len), *unit;
        if (len > 1 && (unit = memchr(units, text[len - 1], 5))) {
            ms = unit_ms[unit - units];
            if (!brew_parse_i64(text, len - 1, &number)) number = -1;
        }
    }
    const int64_t longest = INT64_C(36500) * 86400000; // a hundred years
    if (number < 0 || number > longest / ms)
        return brew_keys_fail(keys, brew_place_of(where, key).text,
                              "must be a length of time: seconds, or such as \"90s\", \"30m\", "
                              "\"12h\", \"7d\", \"2w\"");
    *out_ms = number * ms;
    return 1;
}

int brew_keys_object(const brew_keys *keys, const brew_json *object, const char *where,
                     const char *key, bool required, brew_json **out) {
    int status;
    *out = want(keys, object, where, key, required, BREW_JSON_OBJECT, "an object", &status);
    return status;
}

int brew_keys_array(const brew_keys *keys, const brew_json *object, const char *where,
                    const char *key, bool required, brew_json **out) {
    int status;
    *out = want(keys, object, where, key, required, BREW_JSON_ARRAY, "an array", &status);
    return status;
}

int brew_keys_choice(const brew_keys *keys, const brew_json *object, const char *where,
                     const char *key, const char *choices, int *out) {
    char *text = NULL;
    int status = brew_keys_string(keys, object, where, key, false, &text);
    if (status > 0) {
        int position = position_of(text, choices);
        if (position < 0)
            status =
                brew_keys_fail(keys, brew_place_of(where, key).text, "must be one of: %s", choices);
        else
            *out = position;
    }
    free(text);
    return status;
}
