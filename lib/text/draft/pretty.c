#include "text/draft/pretty.h"

#include <string.h>

enum { LINE = 120 };

static void write(brew_buf *out, const brew_json *value, size_t indent, bool lines);

// Its members in turn, on one line or on one each.
static void write_members(brew_buf *out, const brew_json *value, size_t indent, bool lines) {
    bool object = brew_json_is(value, BREW_JSON_OBJECT), any = false;
    brew_json_iter it = {0};
    size_t n = brew_json_length(value);
    brew_buf_addc(out, object ? '{' : '[');
    for (size_t i = 0; object ? brew_json_next(value, &it) : i < n; i++) {
        if (any) brew_buf_adds(out, lines ? "," : ", ");
        if (lines) brew_buf_addf(out, "\n%*s", (int)indent + 2, "");
        if (object) {
            brew_json_write_string(out, it.key, strlen(it.key));
            brew_buf_adds(out, ": ");
        }
        write(out, object ? it.value : brew_json_at(value, i), indent + 2, lines);
        any = true;
    }
    if (lines && any) brew_buf_addf(out, "\n%*s", (int)indent, "");
    brew_buf_addc(out, object ? '}' : ']');
}

static void write(brew_buf *out, const brew_json *value, size_t indent, bool lines) {
    if (!brew_json_is(value, BREW_JSON_OBJECT) && !brew_json_is(value, BREW_JSON_ARRAY)) {
        brew_json_write(out, value);
        return;
    }
    size_t before = out->len;
    bool objects = brew_json_is(brew_json_at(value, 0), BREW_JSON_OBJECT);
    if (indent && !(lines && objects)) {
        write_members(out, value, indent, false);
        const char *newline = out->ptr ? strrchr(out->ptr, '\n') : NULL;
        size_t line = newline ? (size_t)(out->ptr + out->len - newline) : out->len;
        if (!lines || line <= LINE) return;
        out->len = before;
        out->ptr[before] = 0;
    }
    write_members(out, value, indent, true);
}

void brew_json_pretty(brew_buf *out, const brew_json *value) {
    write(out, value, 0, true);
    brew_buf_addc(out, '\n');
}
