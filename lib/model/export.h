// Writing a model as a Hugging Face directory: config.json, model.safetensors (in shards with an index
// where it is large), the tokenizer's files, and whatever else stood beside them.
//
// From a directory or tar, files are copied along byte for byte, config.json with the changes asked
// for. From a GGUF, config.json and the tokenizer's files (tokenizer.json, tokenizer_config.json) are
// made from its metadata. The directory appears whole or not at all (see brew_outdir, io/out.h).
#ifndef BREW_MODEL_EXPORT_H
#define BREW_MODEL_EXPORT_H

#include <stddef.h>
#include <stdint.h>

#include "io/json.h"
#include "io/modeldir.h"
#include "tensor/tensor.h"

// Gives rows [first, first + count) of tensor `index` as F32 [count, cols].
typedef void brew_export_rows_fn(void *arg, size_t index, int64_t first, int64_t count,
                                 float *rows);

typedef struct brew_export_tensor {
    const char *name;
    int n_dims;
    int64_t rows, cols;    // n_dims 1: rows = 1
    enum brew_dtype dtype; // to be written: BREW_F32, BREW_BF16, BREW_F16
} brew_export_tensor;

typedef struct brew_export {
    const brew_modeldir *from;   // config, tokenizer and further files
    const brew_json *config;     // members that replace those of the config, or NULL
    const brew_json *provenance; // written as brew.json, or NULL
    const brew_export_tensor *tensors;
    size_t n_tensors;
    brew_export_rows_fn *rows;
    void *arg;
} brew_export;

// The config of a model as Hugging Face writes it, made from a GGUF's metadata or read from the
// directory; owned by the caller.
brew_json *brew_export_config(const brew_modeldir *from, brew_err *err);
// Writes into `path`, a directory that exists and is empty or is being built; fsyncs what it writes.
// Tensors are converted a few rows at a time.
int brew_export_write(const brew_export *job, const char *path, brew_err *err);

#endif
