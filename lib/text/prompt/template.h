// Templates: fixed text with {field} placeholders.
//
// "{title} ({year}):" is parsed once, its names are bound to columns by the caller, and it is then
// rendered any number of times. "{{" and "}}" stand for single braces. A name is any run of characters
// other than braces; what it may be is the caller's business.
//
// The fixed text is trusted (it comes from the task file), the values are not: brew_template_render
// passes every value through brew_verbalise (text/verbalise.h), so that no value can begin a line.
// Read-only after parsing; shared by threads.
#ifndef BREW_TEXT_TEMPLATE_H
#define BREW_TEXT_TEMPLATE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct brew_template_part {
    char *text; // fixed text, or a field's name; NUL-terminated, owned
    size_t len;
    int field; // -1: fixed text; otherwise what the caller bound the name to (0 until then)
} brew_template_part;

typedef struct brew_template {
    brew_template_part *parts; // [n_parts]
    size_t n_parts;
} brew_template;

// Parses; BREW_DATA for an unclosed or empty brace. The template is empty after a failure.
int brew_template_parse(brew_template *out, const char *text, size_t len, brew_err *err);
void brew_template_release(brew_template *tmpl);

// The value of a field: its bytes, valid until the next call, and their number. Absent: len 0.
typedef const char *brew_template_value_fn(void *arg, int field, size_t *len);
// Appends the text.
void brew_template_render(const brew_template *tmpl, brew_template_value_fn *value, void *arg,
                          brew_buf *out);

#endif
