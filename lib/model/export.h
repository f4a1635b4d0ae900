// Writing a model, as a Hugging Face directory or as one GGUF file. A directory: config.json, model.safetensors (in shards with an index
// where it is large), the tokenizer's files, and whatever else stood beside them.
//
// From a directory or tar, files are copied along byte for byte, but for weights in other formats, which
// would be old ones. From a GGUF, config.json and the tokenizer's files (tokenizer.json,
// tokenizer_config.json) are made from its metadata. config.json comes last: a directory without it is
// no model. Of an adapter (model/lora.h) adapter_model.safetensors and adapter_config.json are written,
// without anything of its base.
#ifndef BREW_MODEL_EXPORT_H
#define BREW_MODEL_EXPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/json.h"
#include "io/modeldir.h"
#include "io/rows.h"
#include "tensor/tensor.h"

typedef struct brew_export_tensor {
    const char *name;
    int n_dims;
    int64_t rows, cols;    // n_dims 1: rows = 1
    enum brew_dtype dtype; // to be written, as brew_safetensors_write_rows can
} brew_export_tensor;

// A file that stands in place of the one of this name; bytes NULL: there is to be none.
typedef struct brew_export_file {
    const char *name, *bytes;
    size_t len;
} brew_export_file;

typedef struct brew_export {
    const brew_modeldir *from;     // config, tokenizer and further files
    const brew_json *config;       // members that replace those of the config, or NULL
    const brew_json *adapter;      // adapter_config.json: the tensors are an adapter's; or NULL
    const brew_json *provenance;   // written as brew.json, or NULL
    const brew_export_file *files; // besides those above
    size_t n_files;
    const brew_export_tensor *tensors;
    size_t n_tensors;
    brew_rows_fn *rows; // see io/rows.h; index is that in tensors
    void *arg;
    size_t shard_bytes; // a file holds at most this, or one tensor; 0: 5 GB
} brew_export;

// The config of a model as Hugging Face writes it, made from a GGUF's metadata or read from the
// directory; owned by the caller.
brew_json *brew_export_config(const brew_modeldir *from, brew_err *err);
// Its tokenizer.json, and tokenizer_config.json or NULL, as they stand or made from a GGUF's metadata: 1; 0 if it
// has no tokenizer; -1. Owned by the caller.
int brew_export_tokenizer(const brew_modeldir *from, brew_buf *tokenizer, brew_json **settings,
                          brew_err *err);
// Writes into `path`, a directory that exists and is empty or is being built; fsyncs what it writes.
// Tensors are converted a few rows at a time. Fails, naming the tensor, where a value is not finite in
// the type it is written with.
int brew_export_write(const brew_export *job, const char *path, brew_err *err);
// Writes `path`, one GGUF file, as llama.cpp's converter does, of a model that differs from job->from in the
// types of its tensors alone, which have their Hugging Face names; rows of one are asked for in any order.
// Vectors become F32. The tokenizer, or all keys of a GGUF file, go along; provenance is the key
// brew.provenance. Fails, by name, where GGUF has no word for something. job->config is not looked at.
int brew_export_gguf(const brew_export *job, const char *path, brew_err *err);

#endif
