// The CPU backend: one driver, kernels at several levels.
//
// Both sides of a product are packed, so that one step of the inner loop reads 128 bytes of the right
// side and 48 of the left, whatever the element:
//
//     left ("operand")  [M/12][C/s][12][s]      s = 1: F32, s = 2: bf16
//     right ("panels")  [N/32][C/s][32][s]
//
// C is padded with zeros to a multiple of s. A tile is 12 rows by 32 columns; each of its elements is
// one chain over ascending C from +0 by one kind of instruction, so neither tile shape nor row
// position nor the division into tasks shows in a bit. Levels without a bf16 product hold operands of
// precision bf16 as rounded F32 (s = 1), weights as bf16 that are widened a panel at a time.
//
// Keys and values lie in tiles of BREW_KEY_TILE keys: the keys as two panels [2][D/s][32][s], the
// values as [Dp/32][64/s][32][s], Dp = D padded to 32. Queries of the H/K heads of one kv head are
// stacked: row = token * (H/K) + head in the group, packed as an operand of width D.
#ifndef BREW_KERNEL_CPU_CPU_H
#define BREW_KERNEL_CPU_CPU_H

#include "kernel/host.h"
#include "kernel/train_ops.h"

enum { TILE_ROWS = 12, PANEL = 32, CHUNK_ROWS = 192 };

// One row piece (at most 12 stacked rows) against one key tile.
struct brew_cpu_step {
    int rows, columns;        // columns: keys to look at, up to BREW_KEY_TILE
    int64_t head_dim;         // D
    const void *q;            // packed, at the piece's first lane
    const void *k, *v;        // of the tile
    int64_t k_bytes, v_bytes; // from one panel to the next
    const int32_t *from, *to; // visible keys of each row, or NULL: all of a whole tile
    float scale;              // log2(e) times the scale of the scores
    float *max, *sum, *out;   // [rows], [rows][16], [rows][Dp]: the rows' state
};

// What a level does, for one kind of storage.
struct brew_cpu_kernels {
    int s;       // elements side by side: 1 (F32) or 2 (bf16)
    bool coarse; // precision bf16: values are rounded where they are stored
    // c[rows, 32] (rows `ldc` apart) = a * b over `steps` steps.
    void (*tile)(int64_t steps, const void *a, const void *b, int rows, float *c, int64_t ldc);
    // y[rows, columns] = c + bias, or y + (c + bias); c [12][32]; bias [32] or NULL.
    void (*store)(const float *c, int rows, int64_t columns, const float *bias, bool add, float *y,
                  int64_t ldy);
    // Gate in columns 0-15 of c, up in 16-31; the result goes to `column` of an operand's tile.
    void (*swiglu)(const float *c, int rows, int64_t columns, void *tile, int64_t column);
    void (*norm)(const float *x, int64_t c, const float *gain, double eps, float *out);
    // n values as elements, padded with zero to a multiple of s.
    void (*elements)(const float *values, int64_t n, void *out);
    // n values into one lane of an operand's tile, from an even column on.
    void (*put)(void *tile, int lane, int64_t column, const float *values, int64_t n);
    // One head: norm where there is a gain, rotation by the angles of one position.
    void (*turn)(const float *x, int64_t d, const float *gain, double eps, const float *cosines,
                 const float *sines, float *out);
    void (*step)(const struct brew_cpu_step *step);
    // out[d] = o[d] / sum, of one row.
    void (*finish)(const float *o, const float *sum, int64_t d, float *out);
    // The log-sum-exp's running state of `rows` rows and `columns` more logits in c [12][32].
    void (*fold)(const float *c, int rows, int columns, float *max, float *sum);
    // n bf16 values as F32; n a multiple of 32.
    void (*widen)(const uint16_t *from, int64_t n, float *to);
    // c[rows, 32] *= row_scales[row] * scales[column], the two multiplied first.
    void (*scale)(float *c, int rows, const float *row_scales, const float *scales);
    // n E4M3 values as elements; n a multiple of 32.
    void (*decode)(const uint8_t *from, int64_t n, void *to);
    // An operand's tile of so many steps, divided by each row's scale and rounded: to E4M3, kept as
    // elements; or to [C/4][12][4] bytes of I8 + 128. scales [rows].
    void (*round_f8)(void *tile, int64_t steps, int rows, float *scales);
    void (*round_i8)(void *tile, int64_t steps, int rows, float *scales);
    // c[rows, 32] = a * b over `steps` steps of four, a of u8, b [steps][32][4] of I8.
    void (*tile_i8)(int64_t steps, const void *a, const void *b, int rows, int32_t *c);
};

// Each level: F32, and precision bf16.
struct brew_cpu_level {
    const char *name;
    const struct brew_cpu_kernels *f32, *bf16;
};
extern const struct brew_cpu_kernels brew_cpu_generic_f32_kernels, brew_cpu_generic_wide_kernels;
#if defined(__x86_64__)
extern const struct brew_cpu_kernels brew_cpu_avx2_f32_kernels, brew_cpu_avx2_wide_kernels;
extern const struct brew_cpu_kernels brew_cpu_avx512_f32_kernels, brew_cpu_avx512_wide_kernels;
extern const struct brew_cpu_kernels brew_cpu_avx512bf16_kernels;
#endif

struct brew_cpu_state {
    const struct brew_cpu_kernels *kernels; // of the backend's precision
    const struct brew_cpu_kernels *f32;     // of the head
    char *scratch;                          // for all workers, grown as needed
    size_t scratch_cap;
};

static inline const struct brew_cpu_kernels *brew_cpu_kernels(const brew_backend *be) {
    return ((const struct brew_cpu_state *)be->state)->kernels;
}
static inline int64_t round_up(int64_t n, int64_t to) {
    return (n + to - 1) / to * to;
}
static inline int64_t divide_up(int64_t n, int64_t by) {
    return (n + by - 1) / by;
}
static inline int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static inline int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}
static inline int64_t element_bytes(const struct brew_cpu_kernels *kernels) {
    return 4 / kernels->s;
}
// Bytes of one 12-row tile of an operand of this width: 48 a step.
static inline int64_t tile_bytes(const struct brew_cpu_kernels *kernels, int64_t width) {
    return divide_up(width, kernels->s) * 4 * TILE_ROWS;
}

// Working memory, a 64-byte aligned share for each worker; valid until the backend's next call.
struct brew_cpu_scratch {
    char *memory;
    int64_t share; // bytes
};
struct brew_cpu_scratch brew_cpu_scratch(brew_backend *be, int64_t share);
static inline void *brew_cpu_share(struct brew_cpu_scratch scratch, int worker) {
    return scratch.memory + worker * scratch.share;
}

// brew_pool_run with the floating-point state that the bits are promised for.
void brew_cpu_run(brew_backend *be, size_t tasks, brew_task_fn *fn, void *arg);

// product.c
brew_weight *brew_cpu_weight_new(brew_backend *be, const brew_tensor *const *parts,
                                 const brew_tensor *const *biases, size_t n_parts,
                                 enum brew_weight_form form, brew_err *err);
void brew_cpu_weight_free(brew_backend *be, brew_weight *weight);
void brew_cpu_quantise(brew_backend *be, brew_operand *a, int64_t m, const brew_weight *w);
void brew_cpu_matmul(brew_backend *be, const brew_operand *a, int64_t m, const brew_weight *w,
                     float *y, bool add);
void brew_cpu_matmul_swiglu(brew_backend *be, const brew_operand *a, int64_t m,
                            const brew_weight *w, brew_operand *out);

// operand.c
int brew_cpu_operand_init(brew_backend *be, brew_operand *operand, int64_t rows, int64_t width,
                          brew_err *err);
void brew_cpu_operand_release(brew_backend *be, brew_operand *operand);
void brew_cpu_gather_operand(brew_backend *be, const brew_operand *a, const int64_t *rows,
                             int64_t n, brew_operand *out);
void brew_cpu_norm(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                   double eps, brew_operand *out);
void brew_cpu_norm_rows(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                        double eps, float *out);

// store.c: where queries, keys and values lie
struct brew_kv {
    brew_attention_shape shape;
    int64_t tiles;      // a head and layer
    int64_t tile_bytes; // keys, then values
    char *data;         // [L][K][tiles]
};
struct brew_attention {
    brew_attention_shape shape;
    int64_t rows_cap, spans_cap, group, dp; // H/K; D padded to 32
    char *q;                                // [K] operands of rows_cap * group rows
    char *k, *v;                            // of items, [K]
    int64_t q_bytes, k_bytes, v_bytes;      // a kv head
    int64_t *item_k, *item_v;               // where a span's keys and values begin, in bytes
    struct brew_cpu_chunk *chunks;
    size_t n_chunks, chunks_cap;
};
brew_kv *brew_cpu_kv_new(brew_backend *be, const brew_attention_shape *shape, int64_t layers,
                         int64_t cap, brew_err *err);
void brew_cpu_kv_free(brew_backend *be, brew_kv *kv);
size_t brew_cpu_kv_bytes(brew_backend *be, const brew_attention_shape *shape, int64_t layers,
                         int64_t cap);
brew_attention *brew_cpu_attention_new(brew_backend *be, const brew_attention_shape *shape,
                                       int64_t rows_cap, int64_t spans_cap, brew_err *err);
void brew_cpu_attention_free(brew_backend *be, brew_attention *at);
void brew_cpu_heads(brew_backend *be, brew_attention *at, const brew_span *spans, size_t n_spans,
                    int64_t layer, const float *qkv, const float *q_gain, const float *k_gain,
                    double eps, const brew_rope *rope);
// The tile of keys and values `index` of a head in a query's cache.
static inline char *brew_cpu_kv_tile(const brew_kv *kv, int64_t layer, int64_t head,
                                     int64_t index) {
    return kv->data + ((layer * kv->shape.kv_heads + head) * kv->tiles + index) * kv->tile_bytes;
}

// The same of an item (span s of the block): keys and values lie apart there, the last tile's values
// in panels of as many steps as it has.
static inline char *brew_cpu_item_keys(const struct brew_cpu_kernels *kernels,
                                       const brew_attention *at, size_t s, int64_t head,
                                       int64_t tile) {
    return at->k + head * at->k_bytes + at->item_k[s] +
           tile * BREW_KEY_TILE * at->shape.head_dim * element_bytes(kernels);
}
static inline char *brew_cpu_item_values(const struct brew_cpu_kernels *kernels,
                                         const brew_attention *at, size_t s, int64_t head,
                                         int64_t tile) {
    return at->v + head * at->v_bytes + at->item_v[s] +
           tile * BREW_KEY_TILE * at->dp * element_bytes(kernels);
}

// attend.c
void brew_cpu_attend(brew_backend *be, brew_attention *at, const brew_span *spans, size_t n_spans,
                     int64_t layer, double scale, int64_t window, const uint8_t *wanted,
                     brew_operand *out);

// head.c
void brew_cpu_label_logits(brew_backend *be, const brew_table *table, const float *h, int64_t c,
                           const int64_t *rows, const int32_t *ids, int64_t n, float *logits);
void brew_cpu_head_lse(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                       int64_t c, const int64_t *skip_splits, const int32_t *skip_ids, float *lse);

#endif
