// Inside lib/model: what the sources of the learner share.
//
// All parameters lie in one block of device memory, `values`; gradients and moments are blocks of the
// same layout, without what is frozen. Offsets are in floats.
//
//     gains and biases | weights of the layers, as the backend lays them out | embedding | head
//     <-- n_vectors --><-------------------------- n_learning --------------------------->  not frozen
//                      <------------- n_learning ------------>  frozen
//
// With adapters only these learn, and lie in front; what lies in a weight's place is W + alpha / r B A,
// made anew by each refresh from A, B and the base as stored:
//
//     A and B of each adapter | gains and biases | weights of the layers
//     <---- n_learning ------>    (n_vectors 0)
//
// Embedding and head are then those stored; and in BF16 the products' operands are all there is of the weights:
// one weight's place serves all in turn, on their way there (`lean`).
#ifndef BREW_MODEL_LEARNER_PARTS_H
#define BREW_MODEL_LEARNER_PARTS_H

#include "model/learner.h"
#include "model/names.h"

typedef struct brew_learner_weight { // [N, C]
    int64_t at, n, c;
    brew_weight *operand;
} brew_learner_weight;

typedef struct brew_learner_layer {
    brew_learner_weight qkv, out, gate_up, down; // gate_up: gate's rows, then up's
    int64_t attn_gain, mlp_gain;
    int64_t q_gain, k_gain, qkv_bias, out_bias; // -1: there is none
} brew_learner_layer;

// One parameter as Hugging Face names it: rows of a weight, of a table, or a vector.
typedef struct brew_learner_slot {
    brew_parameter as;
    char name[96];
    enum brew_role role;
    int64_t layer;
    const brew_learner_weight *weight; // whose rows [row, row + as.rows) it is, or NULL
    int64_t row;
    int64_t at; // if it is no weight's
} brew_learner_slot;

// A weight's rows [row, row + rows of the base) are base + alpha / r B A.
typedef struct brew_learner_adapter {
    enum brew_role role;
    int64_t layer, a_at, b_at;
    const brew_learner_weight *weight;
    int64_t row;
    size_t slot, a, b;  // the matrix; its factors A [r, C], B [N, r]
    brew_tensor stored; // the base, in the directory
} brew_learner_adapter;

// What the backward pass finds of a layer. Pointers of several layers may be equal: what is recomputed
// lies in one place for all.
typedef struct brew_kept {
    float *x_in;    // [M, C]
    float *qkv;     // [M, (H+2K)D]; rotated, unless there are gains of q and k
    float *att;     // [M, HD] what attention gave
    float *lse;     // [M, H]
    float *x_mid;   // [M, C] the residual stream between attention and MLP; last layer: [R, C]
    float *gate_up; // [M, 2F]; last layer: [R, 2F]
} brew_kept;

// M rows of a micro-batch, R reads. One block of device memory, operands aside.
typedef struct brew_activations {
    int64_t rows, reads, labels; // capacities
    float *block;
    brew_kept *kept;                          // [L]
    float *rotated;                           // [M, (H+2K)D], or NULL
    float *x_last, *hidden;                   // [R, C] before and after the last norm
    float *read_att;                          // [R, HD]
    float *logits, *rest;                     // [labels], [R]
    float *dx, *dn, *xn;                      // [max(M, R), C]
    float *dlast, *dhidden, *dread;           // [R, C], [R, C], [R, HD]
    float *dqkv, *dout;                       // [M, (H+2K)D], [M, HD]
    float *dgu, *dh, *h;                      // [max(M, R), 2F], [.., F], [.., F]
    float *dlogits, *drest;                   // [labels], [R]
    brew_operand normed, attended, read, mlp; // [max(M, R), C], [M, HD], [R, HD], [.., F]
    int32_t *positions;                       // host memory from here: [M]
    uint8_t *wanted;                          // [M]
    int64_t *pair_rows;                       // [labels]
} brew_activations;

struct brew_learner {
    brew_backend *be; // borrowed
    brew_config config;
    brew_learner_options options;
    brew_attention_shape shape;
    brew_learner_layer *layers; // [L]
    int64_t final_gain, embedding_at, head_at;
    int64_t n_vectors, n_learning, n_values;
    brew_learner_slot *slots;
    size_t n_slots;
    brew_learner_adapter *adapters;
    size_t n_adapters;
    const brew_modeldir *dir; // where their bases are stored
    bool lean, settled;       // settled: the operands of what has no adapter are made
    const float *scales[2];   // of embedding and head as stored, where they are quantised
    float *product;           // the gradient of one weight that has adapters
    float *values, *gradients, *moments[2];
    brew_table *embedding, *head; // views of values; the same one if tied
    brew_rope *rope;
    int64_t rope_positions;
    bool started; // gradients hold those of the step's micro-batches so far; else they count as 0
    bool cleared; // or at least those that are added to, not written over, are 0
    brew_activations act;
    const brew_star *star; // of the pass that a backward pass follows, or NULL
    const brew_reads *reads;
};

// Makes the layers, slots and offsets of a configuration. `floats` tells a [N, C] weight's size.
typedef int64_t brew_weight_floats_fn(brew_backend *be, int64_t n, int64_t c);
void brew_learner_lay_out(brew_learner *learner, brew_weight_floats_fn *floats);

// Fills the values, from tensors or at random; the layout and blocks are there.
int brew_learner_load(brew_learner *learner, const brew_modeldir *dir, brew_err *err);

// Adapters. First their offsets, in front of all others; then, once all slots of the model are there,
// those of A and B; then their start: A uniform within 1 / sqrt(C), B 0.
void brew_learner_lay_out_adapters(brew_learner *learner, int64_t *top);
void brew_learner_add_adapters(brew_learner *learner);
int brew_learner_load_adapters(brew_learner *learner, brew_err *err);
void brew_learner_release_adapters(brew_learner *learner);
void brew_learner_merge(
    brew_learner *learner); // into the weights' places, if lean to their operands
// Rows of a matrix of the model as it is used: as stored, with what its adapter adds.
void brew_learner_merged_rows(const brew_learner *learner, size_t slot, int64_t first,
                              int64_t count, float *rows);
// From a weight's dy [M, N] and x [M, C] to the gradients of the factors of its adapters, if it has any.
void brew_learner_adapters_back(brew_learner *learner, const brew_learner_weight *w,
                                const float *dy, const float *x, int64_t m);
// Floats of a weight's gradient, where one is needed to get at the factors', and of rows on the way.
int64_t brew_learner_product_floats(const brew_learner *learner);
int64_t brew_learner_adapter_floats(const brew_learner *learner);
bool brew_lora_targets(const brew_lora *lora, enum brew_role role);

void brew_activations_release(brew_learner *learner);

// One layer's first half from x_in to x_mid, and gate and up from x_mid, over the star's rows (in the
// last layer x_mid and on over the rows read). keep: what attention gave is wanted as rows, too.
void brew_learner_attention(brew_learner *learner, int64_t l, bool keep);
void brew_learner_gate_up(brew_learner *learner, int64_t l);

// ---- small helpers ----

static inline float *brew_value(const brew_learner *learner, int64_t at) {
    return at < 0 ? NULL : learner->values + at;
}
static inline float *brew_gradient(const brew_learner *learner, int64_t at) {
    return at < 0 || at >= learner->n_learning ? NULL : learner->gradients + at;
}
static inline int64_t brew_learner_take(int64_t *top, int64_t floats) {
    int64_t at = *top;
    *top += (floats + 15) / 16 * 16;
    return at;
}
static inline int64_t brew_learner_qkv(const brew_config *config) {
    return (config->heads + 2 * config->kv_heads) * config->head_dim;
}
// Rows that go through out projection and MLP.
static inline int64_t brew_learner_rows(const brew_learner *learner, int64_t l) {
    return l == learner->config.layers - 1 ? (int64_t)learner->reads->n
                                           : (int64_t)learner->star->n_ids;
}

#endif
