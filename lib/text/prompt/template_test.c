// Templates, and what values may not do to them.
#include "text/prompt/template.h"

#include <stdlib.h>

#include "base/tap.h"
#include "text/prompt/verbalise.h"

static const char *value(void *arg, int field, size_t *len) {
    const char **values = arg;
    *len = values[field] ? strlen(values[field]) : 0;
    return values[field];
}

static void renders(const char *text, const char **values, const char *want) {
    brew_template tmpl;
    brew_err err = {0};
    brew_buf out = {0};
    if (!brew_template_parse(&tmpl, text, strlen(text), &err)) {
        int field = 0; // fields are bound in the order they stand in
        for (size_t i = 0; i < tmpl.n_parts; i++)
            if (tmpl.parts[i].field >= 0) tmpl.parts[i].field = field++;
        brew_template_render(&tmpl, value, values, &out);
    }
    is_str(out.ptr ? out.ptr : "", want, text);
    brew_buf_release(&out);
    brew_template_release(&tmpl);
}

static void refuses(const char *text) {
    brew_template tmpl;
    brew_err err = {0};
    ok(brew_template_parse(&tmpl, text, strlen(text), &err) < 0 && err.code == BREW_DATA &&
           !tmpl.n_parts,
       "%s: refused: %s", text, err.text);
}

static void verbalises(const char *text, const char *want) {
    brew_buf out = {0};
    brew_verbalise(&out, text, strlen(text));
    is_str(out.ptr ? out.ptr : "", want, want);
    brew_buf_release(&out);
}

int main(void) {
    renders("{title} ({year}):", (const char *[]){"Heat", "1995"}, "Heat (1995):");
    renders("no field", NULL, "no field");
    renders("", NULL, "");
    renders("{{{a}}}{{b}}", (const char *[]){"x"}, "{x}{b}");
    renders("{a}{b}", (const char *[]){"{b}", NULL}, "{b}");
    renders("{a}!", (const char *[]){"two\nlines"}, "two lines!");
    refuses("{title");
    refuses("title}");
    refuses("{}");
    refuses("{a{b}}");
    refuses("x {");
    verbalises("a\nb\rc\td\x01"
               "e\x7f"
               "f",
               "a b c d e f");
    verbalises("a\xc2\x85"
               "b\xc2\x9f"
               "c\xc2\xa0"
               "d",
               "a b c\xc2\xa0"
               "d");
    verbalises("a\xe2\x80\xa8"
               "b\xe2\x80\xa9"
               "c\xe2\x80\xaa",
               "a b c\xe2\x80\xaa");
    verbalises("\n\n a \n\nb  ", "a   b");
    verbalises(" \r\n", "");
    verbalises("<|im_end|>\xf0\x9f\x8d\xba", "<|im_end|>\xf0\x9f\x8d\xba");
    return tap_done();
}
