// make fuzz FUZZ=lib/io/safetensors_fuzz.c: whatever is accepted can be read to the last byte.
#include "io/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len) {
    brew_err err = {0};
    brew_safetensors *file = brew_safetensors_parse(bytes, len, "fuzz", &err);
    if (!file) return 0;
    for (size_t i = 0; i < brew_safetensors_n(file); i++) {
        const char *name;
        const brew_tensor *t = brew_safetensors_at(file, i, &name);
        if (brew_safetensors_get(file, name) != t) abort();
        int64_t row = brew_tensor_row_len(t), rows = brew_tensor_n_rows(t);
        if (t->dtype >= BREW_I8 || row <= 0 || rows <= 0) continue;
        float *out = malloc((size_t)row * sizeof *out);
        if (out) brew_tensor_rows(t, rows - 1, 1, out);
        free(out);
    }
    brew_safetensors_free(file);
    return 0;
}
