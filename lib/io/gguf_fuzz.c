// make fuzz FUZZ=lib/io/gguf_fuzz.c: whatever is accepted can be read to the last byte.
#include "io/gguf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void read_strings(const brew_gguf *gguf, const char *key) {
    brew_gguf_strings it;
    const char *text;
    size_t len;
    volatile char last;
    if (!brew_gguf_strings_start(gguf, key, &it)) return;
    while (brew_gguf_strings_next(&it, &text, &len))
        if (len) last = text[len - 1];
    (void)last;
}

static void read_tensor(const brew_tensor *t) {
    int64_t len = brew_tensor_row_len(t), rows = brew_tensor_n_rows(t);
    if (len <= 0 || rows <= 0) return;
    float *out = malloc((size_t)len * sizeof *out);
    if (out) brew_tensor_rows(t, rows - 1, 1, out);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    brew_err err = {0};
    brew_gguf *gguf = brew_gguf_parse(bytes, len, "fuzz", &err);
    if (!gguf) return 0;
    for (size_t i = 0; i < brew_gguf_n_keys(gguf); i++) {
        enum brew_gguf_type type;
        size_t key_len, n;
        int64_t integer;
        double real;
        const char *key = brew_gguf_key(gguf, i, &key_len, &type);
        brew_gguf_int(gguf, key, &integer);
        brew_gguf_real(gguf, key, &real);
        if (brew_gguf_array(gguf, key, &type, &n) && n)
            brew_gguf_array_real(gguf, key, n - 1, &real);
        read_strings(gguf, key);
    }
    for (size_t i = 0; i < brew_gguf_n_tensors(gguf); i++)
        read_tensor(brew_gguf_tensor_at(gguf, i, NULL));
    brew_gguf_free(gguf);
    return 0;
}
