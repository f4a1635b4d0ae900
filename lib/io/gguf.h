// GGUF v3: metadata and tensors of a mapped file (or a block of memory), validated before use.
//
// Specification: ggml-org/ggml, docs/gguf.md. Little-endian only. Tensor types: F32, F16, BF16, Q8_0,
// Q4_0, Q4_1, Q4_K, Q6_K; any other is refused by name. Shapes are given row-major, outermost first
// (the reverse of the file's).
#ifndef BREW_IO_GGUF_H
#define BREW_IO_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tensor/tensor.h"

typedef struct brew_gguf brew_gguf;

// Parses bytes that stay valid until brew_gguf_free (they are not copied). name is for messages.
brew_gguf *brew_gguf_parse(const void *bytes, size_t len, const char *name, brew_err *err);
void brew_gguf_free(brew_gguf *gguf);

enum brew_gguf_type { // as numbered in the file
    BREW_GGUF_U8,
    BREW_GGUF_I8,
    BREW_GGUF_U16,
    BREW_GGUF_I16,
    BREW_GGUF_U32,
    BREW_GGUF_I32,
    BREW_GGUF_F32,
    BREW_GGUF_BOOL,
    BREW_GGUF_STRING,
    BREW_GGUF_ARRAY,
    BREW_GGUF_U64,
    BREW_GGUF_I64,
    BREW_GGUF_F64
};

// Metadata by key. The getters return false if the key is absent or has another type; numbers of any
// integer width (or, for _real, any number) are accepted where the value fits. Strings are not
// NUL-terminated.
bool brew_gguf_int(const brew_gguf *gguf, const char *key, int64_t *out);
bool brew_gguf_real(const brew_gguf *gguf, const char *key, double *out);
bool brew_gguf_bool(const brew_gguf *gguf, const char *key, bool *out);
bool brew_gguf_string(const brew_gguf *gguf, const char *key, const char **text, size_t *len);
bool brew_gguf_has(const brew_gguf *gguf, const char *key);
size_t brew_gguf_n_keys(const brew_gguf *gguf);
const char *brew_gguf_key(const brew_gguf *gguf, size_t index, size_t *len,
                          enum brew_gguf_type *type);

// Arrays: element type and count, false if absent or no array. Elements of a string array are read in
// order through an iterator; numbers by index.
bool brew_gguf_array(const brew_gguf *gguf, const char *key, enum brew_gguf_type *type, size_t *n);
typedef struct brew_gguf_strings {
    const char *at;
    size_t left;
} brew_gguf_strings;
bool brew_gguf_strings_start(const brew_gguf *gguf, const char *key, brew_gguf_strings *it);
bool brew_gguf_strings_next(brew_gguf_strings *it, const char **text, size_t *len);
bool brew_gguf_array_int(const brew_gguf *gguf, const char *key, size_t index, int64_t *out);
bool brew_gguf_array_real(const brew_gguf *gguf, const char *key, size_t index, double *out);

// A key's type and value as they stand in the file.
const char *brew_gguf_raw(const brew_gguf *gguf, size_t index, size_t *len);

size_t brew_gguf_n_tensors(const brew_gguf *gguf);
const brew_tensor *brew_gguf_tensor_at(const brew_gguf *gguf, size_t index, const char **name);
const brew_tensor *brew_gguf_tensor(const brew_gguf *gguf, const char *name); // NULL if absent
int64_t brew_gguf_dtype_number(enum brew_dtype dtype); // ggml's; -1: it has no such type

#endif
