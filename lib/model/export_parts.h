// Inside lib/model: what a directory holds that was made from a GGUF file's metadata.
#ifndef BREW_MODEL_EXPORT_PARTS_H
#define BREW_MODEL_EXPORT_PARTS_H

#include "io/json.h"
#include "io/modeldir.h"

// config.json: the model as Hugging Face's class of its family says it; types of tensors are left to
// the caller. NULL on failure: where RoPE's frequencies are divided in a way that class does not know.
brew_json *brew_export_config_gguf(const brew_modeldir *from, brew_err *err);
// tokenizer.json and tokenizer_config.json. 1, or 0 if the file holds no tokenizer.
int brew_export_tokenizer_gguf(const brew_modeldir *from, brew_buf *tokenizer, brew_json **settings,
                               brew_err *err);

#endif
