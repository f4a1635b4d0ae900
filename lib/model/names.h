// Inside lib/model: which tensors a model has, under which names and in which shapes.
#ifndef BREW_MODEL_NAMES_H
#define BREW_MODEL_NAMES_H

#include "model/model.h"

enum brew_role {
    BREW_EMBEDDING,
    BREW_HEAD,
    BREW_FINAL_NORM, // once
    BREW_ATTN_NORM,
    BREW_Q,
    BREW_K,
    BREW_V,
    BREW_Q_BIAS,
    BREW_K_BIAS,
    BREW_V_BIAS,
    BREW_Q_NORM,
    BREW_K_NORM,
    BREW_OUT,
    BREW_OUT_BIAS, // in every layer
    BREW_MLP_NORM,
    BREW_GATE,
    BREW_UP,
    BREW_DOWN,
    BREW_ROLES,
    BREW_FIRST_OF_LAYER = BREW_ATTN_NORM
};

// What a tensor's rows and columns are: vocabulary, width, heads times head width, kv heads times head
// width, head width, mlp width; a vector has no columns.
enum brew_dim {
    BREW_DIM_NONE,
    BREW_DIM_V,
    BREW_DIM_C,
    BREW_DIM_Q,
    BREW_DIM_KV,
    BREW_DIM_D,
    BREW_DIM_F
};

// Does a model of this configuration have such a tensor?
bool brew_role_used(const brew_config *config, enum brew_role role);
bool brew_role_matrix(enum brew_role role); // a matrix; else a vector
void brew_role_dims(enum brew_role role, enum brew_dim dims[2]);
// Rows and columns; those of a vector are its length and 1.
void brew_role_shape(const brew_config *config, enum brew_role role, int64_t shape[2]);
// Its name in Hugging Face files, or in GGUF; layer is only looked at where it matters.
void brew_role_name(char *out, size_t cap, bool gguf, enum brew_role role, int64_t layer);

// The tensor of a role, its type and shape checked, q and k of GGUF's llama marked as interleaved.
// A quantised matrix comes with its scales, in memory that brew_role_release frees.
int brew_role_find(const brew_config *config, const brew_modeldir *dir, enum brew_role role,
                   int64_t layer, brew_tensor *out, brew_err *err);
void brew_role_release(brew_tensor *tensor);
// Fails if there is a tensor without a role: one that nobody reads (a bias, a scale, a layer too many)
// would make the scores silently wrong.
int brew_role_refuse_others(const brew_config *config, const brew_modeldir *dir, brew_err *err);

// What a tensor of this name is; false if nothing.
bool brew_role_parse(bool gguf, const char *name, enum brew_role *role, int64_t *layer);
// How many heads the rows of a GGUF's tensor interleave, 0: none.
int64_t brew_role_interleaved(const brew_config *config, enum brew_role role);
// The Hugging Face name of one of these families' tensors in a GGUF file, and how many heads its rows
// interleave (0: none). False if it is not known.
bool brew_role_gguf_name(const brew_config *config, const char *gguf, char *hf, size_t cap,
                         int64_t *interleaved_heads);

#endif
