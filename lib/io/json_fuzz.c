// make fuzz FUZZ=lib/io/json_fuzz.c: parser and scanner agree on objects, and what is written reads back.
#include "io/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    const char *text = (const char *)bytes;
    brew_err err = {0}, scan_err = {0};
    brew_json *value = brew_json_parse(text, len, &err);
    brew_json_slice slices[64];
    ptrdiff_t n = brew_json_members(text, len, slices, 64, &scan_err);
    if (brew_json_is(value, BREW_JSON_OBJECT) && n < 0 && !strstr(scan_err.text, "more members"))
        abort();
    for (ptrdiff_t i = 0; i < n; i++) {
        char *out = malloc(slices[i].key_len + 1);
        if (out) brew_json_unescape(slices[i].key, slices[i].key_len, out);
        free(out);
    }
    if (value) {
        brew_buf one = {0}, two = {0};
        brew_json_write(&one, value);
        brew_json *again = brew_json_parse(one.ptr, one.len, &err);
        if (!again) abort();
        brew_json_write(&two, again);
        if (one.len != two.len || memcmp(one.ptr, two.ptr, one.len)) abort();
        brew_json_free(again);
        brew_buf_release(&one);
        brew_buf_release(&two);
    }
    brew_json_free(value);
    return 0;
}
