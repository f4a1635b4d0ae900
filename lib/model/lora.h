// Low-rank adapters (Hu and others 2021, "LoRA"): a frozen matrix W [N, C] is used as
//
//     W + alpha / r B A,    A [r, C], B [N, r]
//
// where only A and B learn. On disk they are as PEFT keeps them: adapter_config.json beside
// adapter_model.safetensors, whose tensors are called
// base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight, and so on.
#ifndef BREW_MODEL_LORA_H
#define BREW_MODEL_LORA_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/json.h"
#include "tensor/tensor.h"

typedef struct brew_lora {
    int64_t rank; // 0: none
    double alpha;
    unsigned targets; // a set of module names
} brew_lora;

// "q_proj,v_proj" as a set; NULL: all of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj.
// Fails on any other word.
int brew_lora_parse_targets(const char *text, unsigned *targets, brew_err *err);
void brew_lora_write_targets(unsigned targets, brew_buf *out); // with commas, in that order

// A row of the adapted matrix: that of W as stored, plus scale times the sum over k of b[k] a[k], in order; a [r, C],
// b [r] of the row, out [C]. The one way in which it is done, for training and scoring.
void brew_lora_row(const brew_tensor *stored, int64_t row, const float *a, const float *b,
                   int64_t rank, float scale, float *out);

// adapter_config.json, for a base that is found under this name. Owned by the caller.
brew_json *brew_lora_config(const brew_lora *lora, const char *base);

#endif
