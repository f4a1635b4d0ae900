#include "text/prompt/template.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/prompt/verbalise.h"

static void add_part(brew_template *tmpl, const char *text, size_t len, int field) {
    tmpl->parts = brew_realloc_array(tmpl->parts, tmpl->n_parts + 1, sizeof *tmpl->parts);
    tmpl->parts[tmpl->n_parts++] = (brew_template_part){brew_strndup(text, len), len, field};
}

int brew_template_parse(brew_template *out, const char *text, size_t len, brew_err *err) {
    *out = (brew_template){0};
    brew_buf fixed = {0};
    int status = 0;
    for (size_t i = 0; i < len && !status;) {
        char c = text[i];
        if ((c == '{' || c == '}') && i + 1 < len && text[i + 1] == c) {
            brew_buf_addc(&fixed, c);
            i += 2;
        } else if (c == '}') {
            status = brew_fail(err, BREW_DATA, "a \"}\" without its \"{\" at byte %zu", i + 1);
        } else if (c == '{') {
            size_t n = strcspn(text + i + 1, "{}");
            if (i + 1 + n >= len || text[i + 1 + n] != '}')
                status = brew_fail(err, BREW_DATA, "the \"{\" at byte %zu is not closed", i + 1);
            else if (!n)
                status = brew_fail(err, BREW_DATA, "an empty placeholder at byte %zu", i + 1);
            if (status) break;
            if (fixed.len) add_part(out, fixed.ptr, fixed.len, -1);
            brew_buf_reset(&fixed);
            add_part(out, text + i + 1, n, 0);
            i += n + 2;
        } else {
            brew_buf_addc(&fixed, c);
            i++;
        }
    }
    if (!status && fixed.len) add_part(out, fixed.ptr, fixed.len, -1);
    brew_buf_release(&fixed);
    if (status) brew_template_release(out);
    return status;
}

void brew_template_release(brew_template *tmpl) {
    for (size_t i = 0; i < tmpl->n_parts; i++) free(tmpl->parts[i].text);
    free(tmpl->parts);
    *tmpl = (brew_template){0};
}

void brew_template_render(const brew_template *tmpl, brew_template_value_fn *value, void *arg,
                          brew_buf *out) {
    for (size_t i = 0; i < tmpl->n_parts; i++) {
        const brew_template_part *part = &tmpl->parts[i];
        if (part->field < 0) {
            brew_buf_add(out, part->text, part->len);
        } else {
            size_t len = 0;
            const char *text = value(arg, part->field, &len);
            if (len) brew_verbalise(out, text, len);
        }
    }
}
