// safetensors: tensors of a mapped file (or a block of memory), validated before use; and a writer.
//
// The file is u64 header length, a JSON header, the data. Every rule of the format is checked: header
// of at most 100 MB that is one object beginning with '{'; per tensor dtype, shape and data_offsets,
// nothing else; offsets that cover the data from its first byte to its last without hole or overlap;
// lengths that equal what dtype and shape say; no name twice; __metadata__ holding strings only.
// dtypes read: F32, BF16, F16, F8_E4M3, I8, I32, I64; any other is refused by name.
#ifndef BREW_IO_SAFETENSORS_H
#define BREW_IO_SAFETENSORS_H

#include <stddef.h>

#include "base/err.h"
#include "io/json.h"
#include "io/rows.h"
#include "tensor/tensor.h"

typedef struct brew_safetensors brew_safetensors;

// Parses bytes that stay valid until brew_safetensors_free (they are not copied). name is for messages.
brew_safetensors *brew_safetensors_parse(const void *bytes, size_t len, const char *name,
                                         brew_err *err);
void brew_safetensors_free(brew_safetensors *file);

size_t brew_safetensors_n(const brew_safetensors *file);
// By number, in the order of the names; name may be NULL.
const brew_tensor *brew_safetensors_at(const brew_safetensors *file, size_t index,
                                       const char **name);
const brew_tensor *brew_safetensors_get(const brew_safetensors *file, const char *name);
// The __metadata__ object, or NULL. Owned by the file.
const brew_json *brew_safetensors_metadata(const brew_safetensors *file);

// Writes a whole file: same tensors in any order, same bytes, which are those the safetensors package
// writes. Wider types come first, then names in order, so that each tensor is aligned to its type; the
// header is padded to 8 bytes with spaces.
// metadata: an object of strings, or NULL. Tensors go out as stored (interleaved_heads must be 0); block
// types have no name there and are refused.
int brew_safetensors_write(brew_out *out, const brew_named_tensor *tensors, size_t n,
                           const brew_json *metadata, brew_err *err);

// The same where the values are made as they are written (see io/rows.h), to F32, BF16, F16, F8_E4M3 or I8.
// sha: NULL, or is given every byte written.
int brew_safetensors_write_rows(brew_out *out, const brew_named_tensor *tensors, size_t n,
                                const brew_json *metadata, brew_rows_fn *rows, void *arg,
                                brew_sha256 *sha, brew_err *err);

#endif
