// Writing GGUF v3. Keys are gathered first, then the whole file is written, from front to back.
//
//     brew_gguf_keys keys = {0};
//     brew_gguf_add_text(&keys, "general.architecture", "llama");
//     brew_gguf_add_array(&keys, "tokenizer.ggml.tokens", BREW_GGUF_STRING, 2);
//     brew_gguf_put_string(&keys, "a", 1);
//     brew_gguf_put_string(&keys, "b", 1);
//     if (brew_gguf_write_rows(out, &keys, tensors, n, rows, arg, &err)) ...
//     brew_gguf_keys_release(&keys);
#ifndef BREW_IO_GGUF_WRITE_H
#define BREW_IO_GGUF_WRITE_H

#include "base/buf.h"
#include "io/gguf.h"
#include "io/rows.h"

typedef struct brew_gguf_keys {
    brew_buf bytes; // as they stand in the file
    uint64_t n;
} brew_gguf_keys;
void brew_gguf_keys_release(brew_gguf_keys *keys);

// No key may be added twice.
void brew_gguf_add_u32(brew_gguf_keys *keys, const char *key, uint32_t value);
void brew_gguf_add_f32(brew_gguf_keys *keys, const char *key, float value);
void brew_gguf_add_bool(brew_gguf_keys *keys, const char *key, bool value);
void brew_gguf_add_string(brew_gguf_keys *keys, const char *key, const char *text, size_t len);
void brew_gguf_add_text(brew_gguf_keys *keys, const char *key, const char *text);
// An array of strings, I32 or F32: its n elements are put right behind it.
void brew_gguf_add_array(brew_gguf_keys *keys, const char *key, enum brew_gguf_type type,
                         uint64_t n);
void brew_gguf_put_string(brew_gguf_keys *keys, const char *text, size_t len);
void brew_gguf_put_i32(brew_gguf_keys *keys, int32_t value);
void brew_gguf_put_f32(brew_gguf_keys *keys, float value);
// A key of another file, as it stands there.
void brew_gguf_add_copy(brew_gguf_keys *keys, const brew_gguf *from, size_t index);

// All that stands before the data of such a file.
int brew_gguf_head(brew_buf *head, const brew_gguf_keys *keys, const brew_named_tensor *tensors,
                   size_t n, brew_err *err);
// A whole file: tensors in the order given, each aligned to 32 bytes; shapes are row-major as everywhere,
// types those that ggml has a number for. Values are made as they are written (see io/rows.h). There
// must be no key general.alignment among them.
int brew_gguf_write_rows(brew_out *out, const brew_gguf_keys *keys,
                         const brew_named_tensor *tensors, size_t n, brew_rows_fn *rows, void *arg,
                         brew_err *err);

#endif
