// Inside lib/model: what writing a model shares, and what a directory holds that was made from a GGUF
// file's metadata.
#ifndef BREW_MODEL_EXPORT_PARTS_H
#define BREW_MODEL_EXPORT_PARTS_H

#include "io/json.h"
#include "io/modeldir.h"
#include "tensor/tensor.h"

// The last tensor in which a value was not finite in the type it is written with, or zeros.
typedef struct brew_export_check {
    const char *name;
    enum brew_dtype dtype;
} brew_export_check;
void brew_export_look(brew_export_check *check, const char *name, enum brew_dtype dtype,
                      const float *values, int64_t n);
int brew_export_checked(const brew_export_check *check, brew_err *err); // fails if there was one

// config.json: the model as Hugging Face's class of its family says it; types of tensors are left to
// the caller. NULL on failure: where RoPE's frequencies are divided in a way that class does not know.
brew_json *brew_export_config_gguf(const brew_modeldir *from, brew_err *err);
// tokenizer.json and tokenizer_config.json. 1, or 0 if the file holds no tokenizer.
int brew_export_tokenizer_gguf(const brew_modeldir *from, brew_buf *tokenizer, brew_json **settings,
                               brew_err *err);

#endif
