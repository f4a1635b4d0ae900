// Tensors on their way into a file, whatever its format: a few rows at a time.
#ifndef BREW_IO_ROWS_H
#define BREW_IO_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "io/out.h"
#include "tensor/tensor.h"

// One tensor to be written: a view, or a type and a shape alone.
typedef struct brew_named_tensor {
    const char *name;
    brew_tensor tensor;
} brew_named_tensor;

// Gives rows [first, first + count) of tensor `index` (a vector has one row) as F32.
typedef void brew_rows_fn(void *arg, size_t index, int64_t first, int64_t count, float *rows);

// A file being written, and what is to be known of each of its bytes, or NULL.
typedef struct brew_sink {
    brew_out *out;
    brew_sha256 *sha;
} brew_sink;
int brew_sink_put(const brew_sink *to, const void *bytes, size_t len, brew_err *err);

// Writes a tensor whose values are made as they are written, stored as brew_values_store does; each row is
// asked for once, in order.
int brew_rows_write(const brew_sink *to, const brew_tensor *tensor, size_t index,
                    brew_rows_fn *rows, void *arg, brew_err *err);

#endif
