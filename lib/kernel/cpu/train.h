// The CPU's operations of learning, as in kernel/train_ops.h.
#ifndef BREW_KERNEL_CPU_TRAIN_H
#define BREW_KERNEL_CPU_TRAIN_H

#include "kernel/cpu/cpu.h"
#include "kernel/train_ops.h"

// train.c
int64_t brew_cpu_weight_floats(brew_backend *be, int64_t n, int64_t c);
void brew_cpu_weight_pack(brew_backend *be, int64_t n, int64_t c, int64_t first, int64_t count,
                          const float *rows, float *master);
void brew_cpu_weight_unpack(brew_backend *be, int64_t n, int64_t c, int64_t first, int64_t count,
                            const float *master, float *rows);
brew_weight *brew_cpu_weight_learn(brew_backend *be, int64_t n, int64_t c, const float *master,
                                   const float *bias, brew_err *err);
void brew_cpu_weight_refresh(brew_backend *be, brew_weight *weight);
void brew_cpu_matmul_dx(brew_backend *be, const float *dy, int64_t m, const brew_weight *w,
                        float *dx, bool add);
void brew_cpu_matmul_dw(brew_backend *be, const float *dy, const float *x, int64_t m, int64_t n,
                        int64_t c, float *dw, bool add);
void brew_cpu_gram(brew_backend *be, const float *x, int64_t m, int64_t c, float *sums, bool add);

// train_rows.c
void brew_cpu_column_sums(brew_backend *be, const float *dy, int64_t m, int64_t n, float *sums,
                          bool add);
void brew_cpu_operand_rows(brew_backend *be, const brew_operand *a, const int64_t *list, int64_t m,
                           float *rows);
void brew_cpu_swiglu(brew_backend *be, const float *gu, int64_t m, int64_t f, brew_operand *out);
void brew_cpu_swiglu_back(brew_backend *be, const float *gu, const float *dh, int64_t m, int64_t f,
                          float *dgu, float *h);
void brew_cpu_norm_back(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                        double eps, const float *dy, float *dx, float *dgain);
void brew_cpu_rotate(brew_backend *be, const brew_attention_shape *shape, const float *qkv,
                     int64_t m, const int32_t *positions, const float *q_gain, const float *k_gain,
                     double eps, const brew_rope *rope, float *out);
void brew_cpu_rotate_back(brew_backend *be, const brew_attention_shape *shape, const float *qkv,
                          int64_t m, const int32_t *positions, const float *q_gain,
                          const float *k_gain, double eps, const brew_rope *rope, float *d,
                          float *dq_gain, float *dk_gain);
void brew_cpu_embed_back(brew_backend *be, const int32_t *ids, int64_t m, int64_t c,
                         const float *dx, float *dtable);
void brew_cpu_add(brew_backend *be, float *y, const float *x, int64_t n);
void brew_cpu_zero(brew_backend *be, void *ptr, size_t bytes);
double brew_cpu_sum_squares(brew_backend *be, const float *x, int64_t n);
void brew_cpu_adamw(brew_backend *be, const brew_adamw *step, float *w, const float *g, float *m,
                    float *v, int64_t n);

// attend_keep.c, attend_back.c
void brew_cpu_attend_keep(brew_backend *be, const brew_attention_shape *shape,
                          const brew_layout *layout, double scale, int64_t window,
                          const uint8_t *wanted, const float *qkv, brew_operand *out, float *lse);
void brew_cpu_attend_back(brew_backend *be, const brew_attention_shape *shape,
                          const brew_layout *layout, double scale, int64_t window,
                          const uint8_t *wanted, const float *qkv, const float *out,
                          const float *lse, const float *dout, float *dqkv);

// train_head.c
void brew_cpu_label_logits_back(brew_backend *be, const brew_table *table, const float *h,
                                int64_t c, const int64_t *rows, const int32_t *ids, int64_t n,
                                const float *dlogits, float *dh, float *dtable);
void brew_cpu_head_lse_back(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                            int64_t c, const int64_t *skip_splits, const int32_t *skip_ids,
                            const float *lse, const float *g, float *dh, float *dtable);
void brew_cpu_head_logits(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                          int64_t c, int64_t first, int64_t n, float *z);
void brew_cpu_head_logits_back(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                               int64_t c, int64_t first, int64_t n, const float *dz, float *dh,
                               float *dtable);

#endif
