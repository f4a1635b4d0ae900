// The operation table: all arithmetic of a model, behind function pointers, one table per backend.
//
// Model code is written once against this table and does not know which device it runs on. Backends:
// `ref` (plain loops, sums in double: the truth every fast kernel is compared with), `cpu` at the levels
// avx512bf16, avx512, avx2 and generic (chosen at run time), and later `cuda` as a plug-in.
//
// Dimension letters: M rows of a block, C width, H heads, K kv heads, D head width, F mlp width,
// V vocabulary, N outputs and C inputs of a product, R answer rows.
//
// Arithmetic. Precision F32: all operands F32. Precision BF16: weights and the left sides of products
// (operands), queries, keys, values and attention probabilities are rounded to bf16 (to nearest even,
// denormals to zero); sums, residual stream, norms, RoPE, softmax statistics are F32. The head, logits
// and log-sum-exp are F32 always.
//
// Bits. On one level an output element is a function of its own row's inputs and the weights alone:
// every sum runs in an order fixed by its inner dimension and by key positions (key tiles of
// BREW_KEY_TILE, anchored at the query's first key and then anew at the item's). Number and position of
// rows in a block, other requests, other items, threads: none can show. Levels may differ in bits.
//
// Each function is called from one thread and uses the backend's pool inside. Buffers come from
// `alloc` (device memory, zeroed, 64-byte aligned); on the CPU they are ordinary memory, and only
// upload/download may cross otherwise.
#ifndef BREW_KERNEL_OPS_H
#define BREW_KERNEL_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "tensor/tensor.h"

enum { BREW_KEY_TILE = 64 };

enum brew_precision { BREW_PRECISION_F32, BREW_PRECISION_BF16 };

typedef struct brew_backend brew_backend;
typedef struct brew_weight brew_weight;       // the right side of a product, packed
typedef struct brew_table brew_table;         // rows by token id: embedding, head
typedef struct brew_rope brew_rope;           // cosines and sines by position
typedef struct brew_kv brew_kv;               // keys and values of one query, all layers
typedef struct brew_attention brew_attention; // queries, keys and values of one block, one layer

// Left sides of products, in whatever layout the backend likes; producers write it so.
typedef struct brew_operand {
    void *data;
    int64_t rows_cap, width; // allocated rows; the inner dimension
    float *scales;           // [rows_cap] of rows that were quantised
} brew_operand;

// How the parts of a weight are put together.
enum brew_weight_form {
    BREW_WEIGHT_STACK,  // outputs one after another (q, k, v)
    BREW_WEIGHT_GATE_UP // exactly two parts of equal shape: gate and up, for matmul_swiglu
};

// One run of rows of a block that attend together: a piece of a request's query, or one whole item.
typedef struct brew_span {
    int64_t row, rows; // in the block; rows >= 1
    int64_t pos;    // position of the first row: for a piece of the query its index in the query,
                    // for an item the query's length
    brew_kv *query; // the request's query cache: a query piece appends to it at pos (pos must be
                    // what it already holds), an item reads its first pos keys
    bool is_item;   // items have own keys, anchored at their first row, gone after the block
} brew_span;

typedef struct brew_attention_shape {
    int64_t heads, kv_heads, head_dim; // H, K, D; H a multiple of K; head h reads kv head h / (H/K)
} brew_attention_shape;

typedef struct brew_ops {
    const char *name;                   // of the backend: "ref", "cpu"
    const struct brew_train_ops *train; // kernel/train_ops.h; NULL if this backend cannot train

    // Memory.
    void *(*alloc)(brew_backend *be, size_t bytes, const char *what, brew_err *err);
    void (*free)(brew_backend *be, void *ptr);
    void (*upload)(brew_backend *be, void *to, const void *from, size_t bytes);
    void (*download)(brew_backend *be, void *to, const void *from, size_t bytes);

    // Weights: parts[i] is [N_i, C] row-major; bias NULL or parts[i]'s [N_i] vectors, as stored.
    // Quantised parts (row_scales) are kept as stored: one byte a value.
    brew_weight *(*weight_new)(brew_backend *be, const brew_tensor *const *parts,
                               const brew_tensor *const *biases, size_t n_parts,
                               enum brew_weight_form form, brew_err *err);
    void (*weight_free)(brew_backend *be, brew_weight *weight);
    // Tables keep the view (the bytes must outlive the table) in its stored type.
    brew_table *(*table_new)(brew_backend *be, const brew_tensor *tensor, brew_err *err);
    void (*table_free)(brew_backend *be, brew_table *table);
    // angle(pos, i) = (float)pos * inv_freq[i], in F32 as Hugging Face computes it; cos and sin of that
    // (in double, rounded) times `scale` (1 unless the scaling says so). inv_freq [D/2].
    brew_rope *(*rope_new)(brew_backend *be, const float *inv_freq, int64_t head_dim,
                           int64_t positions, double scale, brew_err *err);
    void (*rope_free)(brew_backend *be, brew_rope *rope);
    int (*operand_init)(brew_backend *be, brew_operand *operand, int64_t rows, int64_t width,
                        brew_err *err);
    void (*operand_release)(brew_backend *be, brew_operand *operand);

    // x[m] = table[ids[m]]; x [M, C] F32. ids are host memory, checked by the caller.
    void (*embed)(brew_backend *be, const brew_table *table, const int32_t *ids, int64_t m,
                  float *x);
    // out = x / sqrt(mean(x^2) + eps) * gain, row by row; x [M, C], gain [C] F32.
    void (*norm)(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                 double eps, brew_operand *out);
    // The same into F32 rows (final norm of the answer rows).
    void (*norm_rows)(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                      double eps, float *out);
    // Before a product with a quantised weight (parts F8_E4M3 or I8 with row_scales; all of one kind):
    // rounds each row of `a`, as its producer wrote it, to the weight's type, divided by the row's own
    // scale (brew_row_scale), which the product multiplies in again with that of the weight's row:
    //     E4M3  q = e4m3(min(max(x / scale, -448), 448))        sums of products as in BF16 or F32
    //     I8    q = min(max(round(x / scale), -128), 127)       sums exact in 32 bits
    // Nothing happens if the weight is not quantised. Once for each time `a` is written.
    void (*quantise)(brew_backend *be, brew_operand *a, int64_t m, const brew_weight *w);
    // y = a W^T + bias, or with `add` y = y + (a W^T + bias): the chain is summed from +0 first, the
    // residual is added last. a [M, C], y [M, N] F32 row-major.
    void (*matmul)(brew_backend *be, const brew_operand *a, int64_t m, const brew_weight *w,
                   float *y, bool add);
    // out = silu(a Wgate^T) * (a Wup^T); silu(g) = g / (1 + exp(-g)); out [M, F].
    void (*matmul_swiglu)(brew_backend *be, const brew_operand *a, int64_t m, const brew_weight *w,
                          brew_operand *out);

    // Attention. A kv holds the keys and values of up to `cap` query tokens for all layers.
    brew_kv *(*kv_new)(brew_backend *be, const brew_attention_shape *shape, int64_t layers,
                       int64_t cap, brew_err *err);
    void (*kv_free)(brew_backend *be, brew_kv *kv);
    size_t (*kv_bytes)(brew_backend *be, const brew_attention_shape *shape, int64_t layers,
                       int64_t cap); // for budgets
    brew_attention *(*attention_new)(brew_backend *be, const brew_attention_shape *shape,
                                     int64_t rows_cap, int64_t spans_cap, brew_err *err);
    void (*attention_free)(brew_backend *be, brew_attention *at);
    // From qkv [M, (H+2K)D] F32 (q heads, then k heads, then v heads): RMS norm of each q and k head
    // where gains [D] are given (Qwen3; else NULL), RoPE by halves (x1 cos - x2 sin, x2 cos + x1 sin) at
    // the row's position, and away into the attention's own store (q; k and v of items) or into the
    // spans' query caches at `layer` (k and v of query pieces). Spans cover rows [0, M) in order.
    void (*heads)(brew_backend *be, brew_attention *at, const brew_span *spans, size_t n_spans,
                  int64_t layer, const float *qkv, const float *q_gain, const float *k_gain,
                  double eps, const brew_rope *rope);
    // out[row] = softmax(q k^T * scale over visible keys) v, [M, H*D]. Key j is visible to row p if
    // j <= p and (window <= 0 or p - j < window), by position. `wanted` NULL, or one byte per row: rows
    // with 0 may be skipped (their output is undefined).
    void (*attend)(brew_backend *be, brew_attention *at, const brew_span *spans, size_t n_spans,
                   int64_t layer, double scale, int64_t window, const uint8_t *wanted,
                   brew_operand *out);

    // Rows by index: out[i] = x[rows[i]], F32, and between operands of equal width. rows: host memory.
    void (*gather)(brew_backend *be, const float *x, int64_t c, const int64_t *rows, int64_t n,
                   float *out);
    void (*gather_operand)(brew_backend *be, const brew_operand *a, const int64_t *rows, int64_t n,
                           brew_operand *out);

    // Head, F32. logits[i] = sum over c of h[row[i], c] * table[id[i], c], for n (row, id) pairs; h [R, C].
    void (*label_logits)(brew_backend *be, const brew_table *table, const float *h, int64_t c,
                         const int64_t *rows, const int32_t *ids, int64_t n, float *logits);
    // lse[r] = log sum over v of exp(h[r] . table[v]), all V in column panels, never stored; h [R, C].
    // skip_splits [R+1], skip_ids: ids left out of row r's sum (host memory, distinct); NULL: none.
    void (*head_lse)(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                     int64_t c, const int64_t *skip_splits, const int32_t *skip_ids, float *lse);
} brew_ops;

struct brew_backend {
    const brew_ops *ops;
    const char *level; // "ref", "avx512bf16", "avx512", "avx2", "generic"
    enum brew_precision precision;
    brew_pool *pool; // borrowed
    void *state;     // the backend's own
};

// level NULL: the best this machine has. An unknown or unsupported level is a usage error that lists
// what there is. The pool must outlive the backend.
brew_backend *brew_backend_open(const char *level, enum brew_precision precision, brew_pool *pool,
                                brew_err *err);
void brew_backend_close(brew_backend *be);
// The levels this machine can run, best first, NULL-terminated; "ref" last.
const char *const *brew_backend_levels(void);

#endif
