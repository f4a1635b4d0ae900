// The reference backend: plain loops over row-major F32, every sum in double. It is what the fast
// kernels are compared with, so it stays obvious; the pool is used only to hand out whole rows.
//
// An operand is rows of F32 (already rounded to bf16 where the precision says so); so is a weight.
#ifndef BREW_KERNEL_REF_REF_H
#define BREW_KERNEL_REF_REF_H

#include "kernel/host.h"
#include "kernel/train_ops.h"

struct brew_weight {
    int64_t n, c;
    float *w;                          // [N, C], the parts one after another
    float *bias;                       // [N]
    const float *master, *master_bias; // of a weight that learns: what w and bias are rounded from
    enum brew_dtype scheme;            // F8_E4M3 or I8: w holds the stored values, to be scaled
    float *scales;                     // [N] of a quantised weight, else NULL
};

struct brew_kv {
    brew_attention_shape shape;
    int64_t cap;
    float *k, *v; // [L, cap, K*D]
};

struct brew_attention {
    brew_attention_shape shape;
    float *q;     // [rows, H*D]
    float *k, *v; // [rows, K*D], of items
};

// The value as an operand of a product holds it.
static inline float brew_ref_round(const brew_backend *be, double value) {
    float rounded = (float)value;
    return be->precision == BREW_PRECISION_BF16 ? brew_f32_from_bf16(brew_bf16_from_f32(rounded))
                                                : rounded;
}

// RMS norm's 1 / sqrt(mean(x^2) + eps).
double brew_ref_rms_scale(const float *x, int64_t c, double eps);
// One head: norm where a gain is given, then rotation by the angles of one position.
void brew_ref_turn(const float *in, int64_t d, const float *gain, double eps, const brew_rope *rope,
                   int64_t pos, double *out);

// product.c
brew_weight *brew_ref_weight_new(brew_backend *be, const brew_tensor *const *parts,
                                 const brew_tensor *const *biases, size_t n_parts,
                                 enum brew_weight_form form, brew_err *err);
void brew_ref_weight_free(brew_backend *be, brew_weight *weight);
int brew_ref_operand_init(brew_backend *be, brew_operand *operand, int64_t rows, int64_t width,
                          brew_err *err);
void brew_ref_operand_release(brew_backend *be, brew_operand *operand);
void brew_ref_norm(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                   double eps, brew_operand *out);
void brew_ref_norm_rows(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                        double eps, float *out);
void brew_ref_quantise(brew_backend *be, brew_operand *a, int64_t m, const brew_weight *w);
void brew_ref_matmul(brew_backend *be, const brew_operand *a, int64_t m, const brew_weight *w,
                     float *y, bool add);
void brew_ref_matmul_swiglu(brew_backend *be, const brew_operand *a, int64_t m,
                            const brew_weight *w, brew_operand *out);
void brew_ref_gather_operand(brew_backend *be, const brew_operand *a, const int64_t *rows,
                             int64_t n, brew_operand *out);

// attention.c
brew_kv *brew_ref_kv_new(brew_backend *be, const brew_attention_shape *shape, int64_t layers,
                         int64_t cap, brew_err *err);
void brew_ref_kv_free(brew_backend *be, brew_kv *kv);
size_t brew_ref_kv_bytes(brew_backend *be, const brew_attention_shape *shape, int64_t layers,
                         int64_t cap);
brew_attention *brew_ref_attention_new(brew_backend *be, const brew_attention_shape *shape,
                                       int64_t rows_cap, int64_t spans_cap, brew_err *err);
void brew_ref_attention_free(brew_backend *be, brew_attention *at);
void brew_ref_heads(brew_backend *be, brew_attention *at, const brew_span *spans, size_t n_spans,
                    int64_t layer, const float *qkv, const float *q_gain, const float *k_gain,
                    double eps, const brew_rope *rope);
void brew_ref_attend(brew_backend *be, brew_attention *at, const brew_span *spans, size_t n_spans,
                     int64_t layer, double scale, int64_t window, const uint8_t *wanted,
                     brew_operand *out);

// head.c
void brew_ref_label_logits(brew_backend *be, const brew_table *table, const float *h, int64_t c,
                           const int64_t *rows, const int32_t *ids, int64_t n, float *logits);
void brew_ref_head_lse(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                       int64_t c, const int64_t *skip_splits, const int32_t *skip_ids, float *lse);

// train.c: weights, products, sums and the optimiser
int64_t brew_ref_weight_floats(brew_backend *be, int64_t n, int64_t c);
void brew_ref_weight_pack(brew_backend *be, int64_t n, int64_t c, int64_t first, int64_t count,
                          const float *rows, float *master);
void brew_ref_weight_unpack(brew_backend *be, int64_t n, int64_t c, int64_t first, int64_t count,
                            const float *master, float *rows);
brew_weight *brew_ref_weight_learn(brew_backend *be, int64_t n, int64_t c, const float *master,
                                   const float *bias, brew_err *err);
void brew_ref_weight_refresh(brew_backend *be, brew_weight *weight);
void brew_ref_matmul_dx(brew_backend *be, const float *dy, int64_t m, const brew_weight *w,
                        float *dx, bool add);
void brew_ref_matmul_dw(brew_backend *be, const float *dy, const float *x, int64_t m, int64_t n,
                        int64_t c, float *dw, bool add);
void brew_ref_gram(brew_backend *be, const float *x, int64_t m, int64_t c, float *sums, bool add);
void brew_ref_column_sums(brew_backend *be, const float *dy, int64_t m, int64_t n, float *sums,
                          bool add);
double brew_ref_sum_squares(brew_backend *be, const float *x, int64_t n);
void brew_ref_adamw(brew_backend *be, const brew_adamw *step, float *w, const float *g, float *m,
                    float *v, int64_t n);

// train_rows.c: what works row by row
void brew_ref_operand_rows(brew_backend *be, const brew_operand *a, const int64_t *list, int64_t m,
                           float *rows);
void brew_ref_swiglu(brew_backend *be, const float *gu, int64_t m, int64_t f, brew_operand *out);
void brew_ref_swiglu_back(brew_backend *be, const float *gu, const float *dh, int64_t m, int64_t f,
                          float *dgu, float *h);
void brew_ref_norm_back(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                        double eps, const float *dy, float *dx, float *dgain);
void brew_ref_rotate(brew_backend *be, const brew_attention_shape *shape, const float *qkv,
                     int64_t m, const int32_t *positions, const float *q_gain, const float *k_gain,
                     double eps, const brew_rope *rope, float *out);
void brew_ref_rotate_back(brew_backend *be, const brew_attention_shape *shape, const float *qkv,
                          int64_t m, const int32_t *positions, const float *q_gain,
                          const float *k_gain, double eps, const brew_rope *rope, float *d,
                          float *dq_gain, float *dk_gain);
void brew_ref_add(brew_backend *be, float *y, const float *x, int64_t n);

// train_attention.c
void brew_ref_attend_keep(brew_backend *be, const brew_attention_shape *shape,
                          const brew_layout *layout, double scale, int64_t window,
                          const uint8_t *wanted, const float *qkv, brew_operand *out, float *lse);
void brew_ref_attend_back(brew_backend *be, const brew_attention_shape *shape,
                          const brew_layout *layout, double scale, int64_t window,
                          const uint8_t *wanted, const float *qkv, const float *out,
                          const float *lse, const float *dout, float *dqkv);

// train_head.c
void brew_ref_label_logits_back(brew_backend *be, const brew_table *table, const float *h,
                                int64_t c, const int64_t *rows, const int32_t *ids, int64_t n,
                                const float *dlogits, float *dh, float *dtable);
void brew_ref_head_lse_back(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                            int64_t c, const int64_t *skip_splits, const int32_t *skip_ids,
                            const float *lse, const float *g, float *dh, float *dtable);
void brew_ref_head_logits(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                          int64_t c, int64_t first, int64_t n, float *z);
void brew_ref_head_logits_back(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                               int64_t c, int64_t first, int64_t n, const float *dz, float *dh,
                               float *dtable);

#endif
