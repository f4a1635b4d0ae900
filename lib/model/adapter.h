// An adapter as PEFT keeps it (model/lora.h), read to be used with the model it was made for: the weights are
// packed as W + alpha / r B A, which is what brew-train --merge writes, in the precision of the arithmetic.
//
// Refused by name: whatever is no plain LoRA of the seven matrices (DoRA, ranks by pattern, biases, saved modules),
// a factor without the other, and shapes that are not the model's.
#ifndef BREW_MODEL_ADAPTER_H
#define BREW_MODEL_ADAPTER_H

#include "model/model.h"
#include "model/names.h"

typedef struct brew_adapter brew_adapter;

// path: a directory with adapter_config.json and adapter_model.safetensors. NULL on failure.
brew_adapter *brew_adapter_open(const char *path, const brew_config *config, brew_err *err);
void brew_adapter_free(brew_adapter *adapter); // NULL is fine

// Whether it adapts the matrix, as stored, of this role and layer.
bool brew_adapter_has(const brew_adapter *adapter, enum brew_role role, int64_t layer);
// The matrix as F32 [rows, cols], adapted if the adapter has it; from malloc. Threads of the pool.
float *brew_adapter_merge(const brew_adapter *adapter, enum brew_role role, int64_t layer,
                          const brew_tensor *stored, brew_pool *pool);

#endif
