// A model that learns: weights, gradients and moments, and the pass over stars there and back.
//
//     brew_learner *l = brew_learner_open(dir, be, &options, &err);
//     each micro-batch:  brew_learner_forward(l, star, &reads, true, &result, &err);
//                        ... the loss turns result into its gradients ...
//                        brew_learner_backward(l, d_logits, d_rest, NULL, &err);
//     each step:         norm = brew_learner_norm(l); brew_learner_update(l, &adamw);
//
// Micro-batches are whole requests; their gradients add up until brew_learner_update (which forgets
// them, as does brew_learner_drop). The query is computed once, forward and backward, whatever the
// number of its items. What a row reads is its K label logits and the log-sum-exp of all other logits
// ("rest"): every loss is a function of these K + 1 numbers. A next-token loss over the vocabulary is
// the case K = 1. A loss may also look at the hidden states between layers and at the head, and give their
// gradients.
//
// With adapters (model/lora.h) the products run over W + alpha / r B A, merged anew after each step from the
// base as it is stored (quantised or not), which is never held twice: the gradients of A and B come from
// that of the sum, one weight at a time. Gradients and moments are those of A and B alone. Nothing else has
// an F32 copy in BF16.
//
// Bits do not depend on threads, nor on the recompute level. Micro-batches (in BF16: of an even number of
// tokens and of reads) give the bits of one large batch, but for the gradients of embedding and head,
// whose rows are added to for labels, for the rest and for inputs in turn, and those of adapters.
#ifndef BREW_MODEL_LEARNER_H
#define BREW_MODEL_LEARNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "io/modeldir.h"
#include "kernel/train_ops.h"
#include "model/lora.h"
#include "model/model.h"
#include "tensor/star.h"

enum brew_recompute {
    BREW_RECOMPUTE_NONE,
    BREW_RECOMPUTE_MLP,  // gate and up are computed again in the backward pass
    BREW_RECOMPUTE_LAYER // all of a layer but its input
};

typedef struct brew_learner_options {
    enum brew_recompute recompute;
    bool
        random; // dir has a config.json only: start from N(0, initializer_range), gains 1, biases 0
    uint64_t seed;         // of that
    bool freeze_embedding; // embedding and head (if tied, both) stay as they are
    brew_lora lora;        // of a rank above 0: the model is frozen, adapters learn
} brew_learner_options;

// Memory in bytes, for a micro-batch of `rows` tokens of which `reads` are read, with `labels` label
// logits in all.
typedef struct brew_learner_plan {
    // operands: copies in the precision of products; with adapters, embedding and head as stored, too
    size_t weights, gradients, moments, operands;
    size_t activations, scratch, total;
} brew_learner_plan;
void brew_learner_plan_bytes(const brew_config *config, enum brew_precision precision,
                             const brew_learner_options *options, int64_t rows, int64_t reads,
                             int64_t labels, brew_learner_plan *plan);

typedef struct brew_learner brew_learner;

// dir may be closed afterwards, unless there are adapters. NULL on failure.
brew_learner *brew_learner_open(const brew_modeldir *dir, brew_backend *be,
                                const brew_learner_options *options, brew_err *err);
void brew_learner_free(brew_learner *learner); // NULL is fine
const brew_config *brew_learner_config(const brew_learner *learner);

// Makes room for micro-batches of up to this size (see brew_learner_plan) before the first of them; one
// that is larger makes room when it comes, but then all activations are new pages again.
int brew_learner_reserve(brew_learner *learner, int64_t rows, int64_t reads, int64_t labels,
                         brew_err *err);

// The rows at which logits are read: rows [n] of the star, in any order, repeated or not; the label ids
// of read i are ids[splits[i] .. splits[i+1]), distinct, at least one.
typedef struct brew_reads {
    size_t n;
    int64_t *rows, *splits;
    int32_t *ids;
    bool rest; // wanted: the log-sum-exp of all logits that are not the read's labels
    size_t rows_cap, splits_cap, ids_cap; // private
} brew_reads;
void brew_reads_reset(brew_reads *reads);
void brew_reads_release(brew_reads *reads);
void brew_reads_add(brew_reads *reads, int64_t row, const int32_t *ids, size_t n);

typedef struct brew_read_result {
    float *logits;               // [splits[n]], as reads->ids
    float *rest;                 // [n], or NULL
    size_t logits_cap, rest_cap; // private
} brew_read_result;
void brew_read_result_release(brew_read_result *result);

// Every request must fit the context (checked). keep: a backward pass follows, for which star and reads
// must still be there. Logits that are not finite are no error here: the caller's guard decides.
int brew_learner_forward(brew_learner *learner, const brew_star *star, const brew_reads *reads,
                         bool keep, brew_read_result *result, brew_err *err);
// Between the two passes: the residual stream after `layers` layers, 1 to L, of all rows of the star [M, C];
// after the last, of the reads [R, C].
void brew_learner_hidden(const brew_learner *learner, int64_t layers, float *rows);
// Between them, too: the rows read, and where gradients of what else is made of them are added.
brew_head brew_learner_head(brew_learner *learner);
// d_logits as result->logits, d_rest as result->rest (NULL if not read). d_hidden [L+1]: gradients of
// what brew_learner_hidden gives, by layers, NULL where there is none; or NULL.
int brew_learner_backward(brew_learner *learner, const float *d_logits, const float *d_rest,
                          float *const *d_hidden, brew_err *err);

double brew_learner_norm(brew_learner *learner); // of all gradients together
// One AdamW step over all parameters; decay applies to matrices only (embedding and head included), not
// to gains and biases. Then the gradients are forgotten.
void brew_learner_update(brew_learner *learner, const brew_adamw *step);
void brew_learner_drop(brew_learner *learner); // forget the gradients

// The parameters as Hugging Face names and stores them, in a fixed order (that of the file's names is
// not promised); then those of adapters, as PEFT does. What is frozen is listed, too; with adapters, its
// values are those merged.
typedef struct brew_parameter {
    const char *name; // "model.layers.0.mlp.up_proj.weight"
    int n_dims;       // 1: rows = 1
    int64_t rows, cols;
    bool frozen, adapter;
} brew_parameter;
size_t brew_learner_n(const brew_learner *learner);
const brew_parameter *brew_learner_parameter(const brew_learner *learner, size_t index);
enum brew_learner_store { BREW_VALUES, BREW_GRADIENTS, BREW_MOMENTS_1, BREW_MOMENTS_2 };
// Rows [first, first + count) of parameter `index`, F32 [count, cols], to and from the store. A frozen
// parameter has values only. After values were set: brew_learner_refresh, once.
void brew_learner_get(const brew_learner *learner, enum brew_learner_store store, size_t index,
                      int64_t first, int64_t count, float *rows);
void brew_learner_set(brew_learner *learner, enum brew_learner_store store, size_t index,
                      int64_t first, int64_t count, const float *rows);
void brew_learner_refresh(brew_learner *learner);

// All that learns as one row of numbers, in an order of the learner's own: what processes with the same model,
// precision and kernel level compare, and add up. How many, and a part of a store; gradients alone can be set.
int64_t brew_learner_n_learning(const brew_learner *learner);
void brew_learner_get_part(const brew_learner *learner, enum brew_learner_store store,
                           int64_t first, int64_t count, float *to);
void brew_learner_set_gradients(brew_learner *learner, int64_t first, int64_t count,
                                const float *from);

#endif
