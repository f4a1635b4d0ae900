// What the backends in ordinary memory (ref, cpu) share: buffers, tables, rotary angles, gathers; and
// how backend.c opens each of them.
#ifndef BREW_KERNEL_HOST_H
#define BREW_KERNEL_HOST_H

#include "kernel/ops.h"

// Each fills be->ops and be->state; be->level, precision and pool are set. Negative on failure.
int brew_ref_open(brew_backend *be, brew_err *err);
void brew_ref_close(brew_backend *be);
int brew_cpu_open(brew_backend *be, brew_err *err);
void brew_cpu_close(brew_backend *be);

void *brew_host_alloc(brew_backend *be, size_t bytes, const char *what, brew_err *err);
void brew_host_free(brew_backend *be, void *ptr);
void brew_host_upload(brew_backend *be, void *to, const void *from, size_t bytes);
void brew_host_download(brew_backend *be, void *to, const void *from, size_t bytes);

struct brew_table {
    brew_tensor tensor;
};
brew_table *brew_host_table_new(brew_backend *be, const brew_tensor *tensor, brew_err *err);
void brew_host_table_free(brew_backend *be, brew_table *table);

struct brew_rope {
    int64_t half, positions; // D/2
    float *cos, *sin;        // [positions, D/2]
};
brew_rope *brew_host_rope_new(brew_backend *be, const float *inv_freq, int64_t head_dim,
                              int64_t positions, double scale, brew_err *err);
void brew_host_rope_free(brew_backend *be, brew_rope *rope);

void brew_host_embed(brew_backend *be, const brew_table *table, const int32_t *ids, int64_t m,
                     float *x);
void brew_host_gather(brew_backend *be, const float *x, int64_t c, const int64_t *rows, int64_t n,
                      float *out);
void brew_host_zero(brew_backend *be, void *ptr, size_t bytes);
void brew_host_scatter(brew_backend *be, const float *from, int64_t c, const int64_t *rows,
                       int64_t n, float *x);
void brew_host_embed_back(brew_backend *be, const int32_t *ids, int64_t m, int64_t c,
                          const float *dx, float *dtable);

// Checks what every backend needs of a weight's parts: F32-readable matrices of one width, equal shapes
// for GATE_UP, biases of the parts' heights. *n_out and *width are set.
int brew_host_weight_check(const brew_tensor *const *parts, const brew_tensor *const *biases,
                           size_t n_parts, enum brew_weight_form form, int64_t *n_out,
                           int64_t *width, brew_err *err);

// Head widths are even and at most BREW_MAX_HEAD_DIM; heads are a multiple of kv_heads.
enum { BREW_MAX_HEAD_DIM = 512 };
// The one type of quantised parts, or BREW_F32 if none is quantised; parts of several kinds, and a scale
// that is not a positive number, are errors.
int brew_host_weight_scheme(const brew_tensor *const *parts, size_t n_parts,
                            enum brew_dtype *scheme, brew_err *err);

int brew_host_shape_check(const brew_attention_shape *shape, brew_err *err);

// A buffer of a * b * c floats, freed by brew_host_free; a count that overflows is an error.
int brew_host_floats(float **out, int64_t a, int64_t b, int64_t c, const char *what, brew_err *err);

#endif
