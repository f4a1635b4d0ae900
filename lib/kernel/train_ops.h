// The operations of learning: the second half of the operation table (kernel/ops.h), for backends that
// can train.
//
// Everything crosses as F32 row-major matrices in the backend's memory; how the operands of a product
// are packed stays inside. In precision BF16 both sides of every product, and the attention's
// probabilities and their gradients, are rounded to bf16 as the forward pass rounds them; sums, norms,
// softmax statistics, the head, gradients, moments and weights are F32.
//
// Bits. Every sum runs in an order fixed by shapes alone: gradients of weights over ascending rows of
// the micro-batch, those of a gain, bias or table row likewise. Threads cannot show. With `add` a chain
// goes on from what is there, so that micro-batches of whole requests (an even number of rows in BF16)
// give the bits of one large batch.
//
// Dimension letters as in kernel/ops.h: M rows, C width, N outputs, H heads, K kv heads, D head width,
// F mlp width, V vocabulary, R rows that are read.
#ifndef BREW_KERNEL_TRAIN_OPS_H
#define BREW_KERNEL_TRAIN_OPS_H

#include "kernel/ops.h"

// One step of AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW computes it:
//     g = scale * gradient;  w -= lr * decay * w;  m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2
//     w -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
typedef struct brew_adamw {
    double lr, beta1, beta2, eps, decay;
    double scale; // of the gradient: clipping
    int64_t step; // from 1
} brew_adamw;

// Who sees whom, as in brew_star: segments [S+1] row splits over the M rows, requests [n+1] row splits
// over segments; a request's first segment is its query (it may be empty), the others are its items.
typedef struct brew_layout {
    const int64_t *segments, *requests;
    size_t n_requests;
} brew_layout;

typedef struct brew_train_ops {
    // ---- weights that learn ----
    // A weight's F32 values lie in `master`, memory of the caller's from ops->alloc, in a layout of the
    // backend's own (panels on the CPU) that gradients and moments share. Padding is 0 and stays 0.
    int64_t (*weight_floats)(brew_backend *be, int64_t n,
                             int64_t c); // of a [N, C] weight; a multiple of 16
    // Rows [first, first + count) of [N, C] to and from that layout; rows [count, C] are host memory.
    void (*weight_pack)(brew_backend *be, int64_t n, int64_t c, int64_t first, int64_t count,
                        const float *rows, float *master);
    void (*weight_unpack)(brew_backend *be, int64_t n, int64_t c, int64_t first, int64_t count,
                          const float *master, float *rows);
    // The right side of ops->matmul, and of matmul_dx, over these values; bias [N] or NULL. Both are
    // borrowed. To be refreshed before first use, and whenever master or bias have changed. Freed by
    // ops->weight_free. In precision BF16 nothing but weight_refresh reads the master: weights that do not
    // learn may share one, filled for each in turn.
    brew_weight *(*weight_learn)(brew_backend *be, int64_t n, int64_t c, const float *master,
                                 const float *bias, brew_err *err);
    void (*weight_refresh)(brew_backend *be, brew_weight *weight);

    // ---- products, backward ----
    // dx = dy W, or dx += dy W; dy [M, N], dx [M, C]. W: made by weight_learn.
    void (*matmul_dx)(brew_backend *be, const float *dy, int64_t m, const brew_weight *w, float *dx,
                      bool add);
    // dw = dy^T x, or dw += ..., in the layout of the weight's master; dy [M, N], x [M, C].
    void (*matmul_dw)(brew_backend *be, const float *dy, const float *x, int64_t m, int64_t n,
                      int64_t c, float *dw, bool add);
    // sums = x^T x, or sums += ..., in the layout of a [C, C] weight, with the bits of matmul_dw. Only
    // columns up to the row's own are there: what lies above the diagonal is undefined. x [M, C].
    void (*gram)(brew_backend *be, const float *x, int64_t m, int64_t c, float *sums, bool add);
    // sums[n] = column sums of dy [M, N], or sums += ...
    void (*column_sums)(brew_backend *be, const float *dy, int64_t m, int64_t n, float *sums,
                        bool add);

    // ---- element by element ----
    // An operand's rows as F32: the very values the product sees; rows [M, width]. list: which rows
    // (host memory, [M]); NULL: the first M.
    void (*operand_rows)(brew_backend *be, const brew_operand *a, const int64_t *list, int64_t m,
                         float *rows);
    // out = silu(g) u, where gu [M, 2F] holds g in its first F columns, u in the others. The bits of
    // ops->matmul_swiglu on equal products.
    void (*swiglu)(brew_backend *be, const float *gu, int64_t m, int64_t f, brew_operand *out);
    // dgu [M, 2F] from dh [M, F], and h [M, F]: the values of swiglu's operand once more.
    void (*swiglu_back)(brew_backend *be, const float *gu, const float *dh, int64_t m, int64_t f,
                        float *dgu, float *h);
    // Backward of ops->norm: dx += ..., dgain += sum over rows (NULL: not wanted). x, dy, dx [M, C];
    // gain, dgain [C].
    void (*norm_back)(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                      double eps, const float *dy, float *dx, float *dgain);
    // What ops->heads does to q and k (RMS norm where there are gains, RoPE at positions[m], host
    // memory), from qkv into out, both [M, (H+2K)D]; v is copied. out may be qkv.
    void (*rotate)(brew_backend *be, const brew_attention_shape *shape, const float *qkv, int64_t m,
                   const int32_t *positions, const float *q_gain, const float *k_gain, double eps,
                   const brew_rope *rope, float *out);
    // Backward: d [M, (H+2K)D] turns from the gradient of rotate's output to that of qkv, in place.
    // dq_gain, dk_gain [D] += sums over rows and heads; NULL where there is no gain, or it is not wanted.
    // qkv is only looked at where there are gains.
    void (*rotate_back)(brew_backend *be, const brew_attention_shape *shape, const float *qkv,
                        int64_t m, const int32_t *positions, const float *q_gain,
                        const float *k_gain, double eps, const brew_rope *rope, float *d,
                        float *dq_gain, float *dk_gain);
    void (*add)(brew_backend *be, float *y, const float *x, int64_t n); // y += x
    void (*zero)(brew_backend *be, void *ptr, size_t bytes);
    // Backward of ops->gather: x[rows[i]] += from[i], i ascending; rows (host memory) may repeat.
    void (*scatter)(brew_backend *be, const float *from, int64_t c, const int64_t *rows, int64_t n,
                    float *x);

    // ---- star attention ----
    // qkv [M, (H+2K)D] is rotate's output, M = the layout's last row split. As ops->attend: scale,
    // window by position, wanted (NULL, or one byte a row: rows with 0 may be skipped, and their output
    // is then 0). out [M, HD]; lse [M, H]: log of the sum of exp of scaled scores (undefined where not wanted).
    void (*attend_keep)(brew_backend *be, const brew_attention_shape *shape,
                        const brew_layout *layout, double scale, int64_t window,
                        const uint8_t *wanted, const float *qkv, brew_operand *out, float *lse);
    // dqkv [M, (H+2K)D] from dout [M, HD]; out as operand_rows gives it. Rows not wanted give nothing.
    void (*attend_back)(brew_backend *be, const brew_attention_shape *shape,
                        const brew_layout *layout, double scale, int64_t window,
                        const uint8_t *wanted, const float *qkv, const float *out, const float *lse,
                        const float *dout, float *dqkv);

    // ---- embedding and head, F32 ----
    // dtable[ids[i]] += dx[i], i ascending; ids: host memory; dx [M, C], dtable [V, C].
    void (*embed_back)(brew_backend *be, const int32_t *ids, int64_t m, int64_t c, const float *dx,
                       float *dtable);
    // Backward of ops->label_logits: dh [R, C] and dtable [V, C] (NULL: not wanted) += ...
    void (*label_logits_back)(brew_backend *be, const brew_table *table, const float *h, int64_t c,
                              const int64_t *rows, const int32_t *ids, int64_t n,
                              const float *dlogits, float *dh, float *dtable);
    // Backward of ops->head_lse with the same skip lists: lse is its result, g [R] its gradient.
    // With p[r,v] = exp(h[r] . table[v] - lse[r]) for v not skipped: dh[r] += g[r] sum_v p[r,v] table[v],
    // dtable[v] += sum_r g[r] p[r,v] h[r] (dtable NULL: not wanted). Rows with g = 0 cost nothing.
    void (*head_lse_back)(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                          int64_t c, const int64_t *skip_splits, const int32_t *skip_ids,
                          const float *lse, const float *g, float *dh, float *dtable);
    // Logits of table rows [first, first + n): z [R, n]; and backward, += into dh and dtable (or NULL).
    void (*head_logits)(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                        int64_t c, int64_t first, int64_t n, float *z);
    void (*head_logits_back)(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                             int64_t c, int64_t first, int64_t n, const float *dz, float *dh,
                             float *dtable);

    // ---- optimiser ----
    // Sum of squares in double: blocks of 4,096 elements, added up in order.
    double (*sum_squares)(brew_backend *be, const float *x, int64_t n);
    void (*adamw)(brew_backend *be, const brew_adamw *step, float *w, const float *g, float *m,
                  float *v, int64_t n);
} brew_train_ops;

#endif
