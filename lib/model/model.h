// A ranking language model: configuration, weights, and the forward pass over stars.
//
// Families: Llama (llama3 RoPE scaling included), Qwen2 (q, k, v bias), Qwen3 (q, k norm), Mistral
// (sliding window); from Hugging Face directories and tars, and from GGUF. Anything else is refused by
// name. The model is read-only after opening; a forward pass owns its buffers.
#ifndef BREW_MODEL_MODEL_H
#define BREW_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/modeldir.h"
#include "kernel/ops.h"
#include "tensor/star.h"

typedef struct brew_config {
    char family[32]; // "llama", "qwen2", "qwen3", "mistral"
    int64_t vocab, width, layers, heads, kv_heads, head_dim, mlp, context;
    double norm_eps, rope_theta;
    bool tied, qkv_bias, qk_norm;
    bool out_bias; // attention_bias: the output projection has one, too
    // llama3 scaling of RoPE frequencies; factor 0: none.
    double rope_factor, rope_low, rope_high;
    int64_t rope_original_context;
    int64_t window;           // sliding window in tokens, 0 none
    bool *layer_windowed;     // [L] which layers use it
    float *rope_freq_factors; // [D/2] divisors of inv_freq (GGUF's rope_freqs.weight), or NULL
    enum brew_dtype dtype;    // as most weights are stored
    // compressed-tensors: F8_E4M3 or I8, or BREW_F32 for none; and the matrices left as they were, by
    // module ("lm_head", "model.layers.0.mlp.down_proj").
    enum brew_dtype scheme;
    char **unquantised; // [n_unquantised]
    size_t n_unquantised;
} brew_config;

// Reads and checks config.json, or GGUF metadata, without touching weights.
int brew_config_read(brew_config *config, const brew_modeldir *dir, brew_err *err);
void brew_config_release(brew_config *config);
int64_t brew_config_parameters(const brew_config *config); // embedding counted once if tied

typedef struct brew_model brew_model;

// dir must outlive the model (tables view its tensors). adapter: of it (model/adapter.h), only looked at while
// opening; or NULL.
brew_model *brew_model_open(const brew_modeldir *dir, brew_backend *be, brew_err *err);
struct brew_adapter;
brew_model *brew_model_open_adapted(const brew_modeldir *dir, const struct brew_adapter *adapter,
                                    brew_backend *be, brew_err *err);
// A model of this shape and type whose weights mean nothing and whose tensors share their memory: for timings.
// Nothing is read; config may go.
brew_model *brew_model_sketch(const brew_config *config, brew_backend *be, brew_err *err);
void brew_model_free(brew_model *model);
const brew_config *brew_model_config(const brew_model *model);
brew_backend *brew_model_backend(const brew_model *model);
// Where logits are made, for those who want all of them: F32 rows times a table, [V, C]; all in the memory of
// the backend.
typedef struct brew_head {
    brew_backend *be;
    const brew_table *table;
    int64_t vocab, width;
    const float *gain; // [C] of the norm, with eps, through which the residual stream goes first
    double eps;
    // Of a learner, between its two passes: the rows read, after that norm [R, C]; and the gradients, to be
    // added to, of these rows and of the table (NULL: it is frozen).
    const float *hidden;
    float *dhidden, *dtable;
} brew_head;
brew_head brew_model_head(const brew_model *model);
// What an option "auto|f32|bf16" chose, by its index, for this model. auto is as the weights are stored:
// F32 f32; BF16, F16 and GGUF bf16.
enum brew_precision brew_model_precision(int choice, const brew_config *config,
                                         const brew_modeldir *dir);

// Values on their way through a layer, for whoever wants to look at them. In the last layer only the rows
// that answers are read at, unless all are asked for.
enum brew_probe {            // bits
    BREW_PROBE_ATTENDED = 1, // what the output projection reads, [m, H*D]
    BREW_PROBE_MLP = 2,      // what the down projection reads, [m, F]
    BREW_PROBE_RESIDUAL =
        4, // the residual stream as the layer leaves it, [m, C]; that of layer -1 is
           // what the first one reads
    BREW_PROBE_BETWEEN = 8 // the residual stream between the layer's attention and its mlp, [m, C]
};
typedef struct brew_probed {
    int64_t layer;
    enum brew_probe what;
    const float *values; // [m, width] F32 on the host
    const int64_t *rows; // [m] which rows of the star they are
    int64_t m, width;
} brew_probed;
typedef void brew_probe_fn(void *arg, const brew_probed *seen);

typedef struct brew_forward_options {
    int64_t block_rows; // rows of a block at most (whole items, at least one); 0: 2048
    bool with_lse;      // also the log-sum-exp over the vocabulary
    bool with_rest;     // also that of all logits but the answer's labels
    int64_t topk;       // also so many of the largest logits, the labels' left out; 0: none
    const bool *skip;   // [L] layers left out, not all; NULL: none
    brew_probe_fn *probe;
    void *probe_arg;
    unsigned probes; // what it is shown, of enum brew_probe
    // [ids of the star] bit 0: the row is shown; bit 1: so where only rows read are left; NULL: all are.
    const uint8_t *probe_rows;
    bool all_rows; // every row goes through all layers, whether it is read or not
    // The answers also as they are without each layer alone, for the price of half as many passes as there are
    // layers. Of one request, whose rows are then one block; not with skip, all_rows or a probe.
    bool each_absent;
} brew_forward_options;

typedef struct brew_forward_result {
    float *label_logits;   // ragged: answer a has splits[a+1]-splits[a], in its label set's order
    int64_t *logit_splits; // [A+1]
    float *lse;            // [A], or NULL
    float *absent_logits;  // [L, splits[A]] the label logits without layer l; or NULL
    float *rest;           // [A], or NULL; -INFINITY where the labels are the whole vocabulary
    int32_t *topk_ids;     // [A, topk] the largest first, of equals the smaller id; or NULL
    float *topk_logits;    // [A, topk]
    float *topk_rest;      // [A] log-sum-exp of all logits but the labels' and these
    size_t label_logits_cap, splits_cap, lse_cap, rest_cap; // private
    size_t topk_ids_cap, topk_logits_cap, topk_rest_cap, absent_cap;
} brew_forward_result;
void brew_forward_result_release(brew_forward_result *result);

size_t brew_topk_bytes(int64_t answers); // what finding them takes

// All requests of the batch; every span must fit the context (checked). Bits of an answer's logits
// depend on its request's query and its own item alone: a teacher in memory, asked with_rest, gives the
// bits that brew-score --teacher-stream wrote at the same precision and level, however either cuts
// requests into batches, and whichever answers are read.
int brew_model_forward(brew_model *model, const brew_star *star,
                       const brew_forward_options *options, brew_forward_result *result,
                       brew_err *err);

#endif
