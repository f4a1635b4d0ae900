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

struct brew_cpu_adamw;

// The same on the way back: the piece's probabilities p and their gradients ds are made once more, and
// dq is added to. p and ds leave side by side for the products over rows (see attend_back.c).
struct brew_cpu_step_back {
    int rows, columns;
    int64_t head_dim;
    const void *q, *dout;     // rows of 64 elements, by blocks of 64 columns
    int64_t block_bytes;      // from one block of columns to the next
    const void *k, *v;        // of the tile, both as keys lie
    const void *k_values;     // the keys as values lie
    int64_t k_bytes, v_bytes; // from one panel to the next: of k and v; of k_values
    const int32_t *from, *to; // as above
    float scale;              // log2(e) times the scale of the scores
    const float *lse, *delta; // [rows]: log2(e) times the log-sum-exp; dout . out
    void *p, *ds;             // [2][.../s][32][s], at the piece's first row
    int64_t p_bytes;          // from one panel to the next
    float *dq;                // [rows][Dp]
};

// How a tile's chains become values, c[rows, 32]; all zeros: they are.
struct brew_cpu_scales {
    const float *rows, *columns; // times rows[row] * columns[column], the two multiplied first
    const int32_t *zero;         // c holds integers; first less zero[column], exactly, and rounded
};

// What a level does, for one kind of storage.
struct brew_cpu_kernels {
    int s;       // elements side by side: 1 (F32) or 2 (bf16)
    bool coarse; // precision bf16: values are rounded where they are stored
    // c[rows, 32] (rows `ldc` apart) = a * b over `steps` steps.
    void (*tile)(int64_t steps, const void *a, const void *b, int rows, float *c, int64_t ldc);
    // The same, going on with the chains in c.
    void (*tile_on)(int64_t steps, const void *a, const void *b, int rows, float *c, int64_t ldc);
    // y[rows, columns] = c + bias, or y + (c + bias); c [12][32]; bias [32] or NULL.
    void (*store)(const float *c, const struct brew_cpu_scales *by, int rows, int64_t columns,
                  const float *bias, bool add, float *y, int64_t ldy);
    // Gate in columns 0-15 of c, up in 16-31; the result goes to `column` of an operand's tile.
    void (*swiglu)(const float *c, const struct brew_cpu_scales *by, int rows, int64_t columns,
                   void *tile, int64_t column);
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
    // c = g[row] exp(c - lse[row]) of `rows` rows in c [12][32].
    void (*probs)(float *c, int rows, const float *lse, const float *g);
    // n bf16 values as F32, and F32 values as bf16; n a multiple of 32.
    void (*widen)(const uint16_t *from, int64_t n, float *to);
    void (*narrow)(const float *from, int64_t n, uint16_t *to);
    // n E4M3 values of a panel as elements; n a multiple of 32 s.
    void (*decode)(const uint8_t *from, int64_t n, void *to);
    // An operand's tile of so many steps, divided by each row's scale and rounded: to E4M3, kept as
    // elements; or to [C/4][12][4] bytes of I8 + 128. scales [rows].
    void (*round_f8)(void *tile, int64_t steps, int rows, float *scales);
    void (*round_i8)(void *tile, int64_t steps, int rows, float *scales);
    // c[rows, 32] = a * b over `steps` steps of four, a of u8, b [steps][32][4] of I8; c of int32_t.
    void (*tile_i8)(int64_t steps, const void *a, const void *b, int rows, void *c);

    // ---- learning: level_train.h ----
    // m rows, `ld` apart, as one side of a product over the rows: n <= `lanes` columns into m/s steps
    // of elements [lanes][s], zeros behind. lanes: 12 or 32.
    void (*weave)(const float *rows, int64_t ld, int64_t m, int64_t n, int lanes, void *out);
    // `rows` <= 12 rows, `ld` apart, as an operand's tile of width n: the lanes that lack are undefined.
    void (*lay)(const float *from, int64_t ld, int rows, int64_t n, void *tile);
    // [rows][32] transposed into [32/s][32][s]: 32 steps of elements; zeros for rows that lack.
    void (*flip)(const float *from, int rows, void *to);
    // The inverse of put, from column 0 on.
    void (*take)(const void *tile, int lane, int64_t n, float *values);
    void (*gate)(const float *g, const float *u, int64_t n, float *h); // silu(g) u
    void (*gate_back)(const float *g, const float *u, const float *dh, int64_t n, float *dg,
                      float *du, float *h);
    // dx += the norm's gradient of one row; returns its 1 / sqrt(mean(x^2) + eps).
    float (*norm_back)(const float *x, int64_t c, const float *gain, double eps, const float *dy,
                       float *dx);
    float (*rms_scale)(const float *x, int64_t c, double eps);
    // The transpose of turn's rotation, in place.
    void (*turn_back)(float *x, int64_t d, const float *cosines, const float *sines);
    // sums[n] += rows of y, `ld` apart, one after another; where x is given, of y * (x * scale[row]).
    void (*sums)(const float *y, const float *x, const float *scale, int64_t rows, int64_t ld,
                 int64_t n, float *sums);
    void (*add)(float *y, const float *x, int64_t n);
    void (*add_times)(float *y, const float *x, float by, int64_t n); // y += x * by
    // The sum of a (as elements hold it) times b, in 16 lanes.
    float (*dot)(const float *a, const float *b, int64_t n);
    void (*step_back)(const struct brew_cpu_step_back *step);
    // sums[keys, Dp] += p^T values over `steps` steps of rows: p a panel, of which the first `keys`
    // columns count; values [Dp/32] panels, v_bytes apart.
    void (*add_keys)(int64_t steps, const void *p, int keys, const void *values, int64_t v_bytes,
                     int64_t dp, float *sums);
    double (*squares)(const float *x, int64_t n);
    void (*adamw)(const struct brew_cpu_adamw *step, float *w, const float *g, float *m, float *v,
                  int64_t n);
};

// A step of AdamW, rounded: a multiplication each.
struct brew_cpu_adamw {
    float scale;        // of the gradient
    float keep;         // 1 - lr * decay
    float rate1, rate2; // 1 - beta1, 1 - beta2
    float beta2;
    float step, root; // lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
    float eps;
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
    struct brew_cpu_buffer {
        char *memory;
        size_t bytes;
    } scratch, shared; // grown as needed
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
// Working memory for all together, 64-byte aligned; valid until the next call of this.
void *brew_cpu_shared(brew_backend *be, int64_t bytes);

// Cuts a piece of whole 64 bytes off the front.
static inline void *brew_cpu_carve(char **memory, int64_t bytes) {
    void *piece = *memory;
    *memory += round_up(bytes, 64);
    return piece;
}

// brew_pool_run with the floating-point state that the bits are promised for.
void brew_cpu_run(brew_backend *be, size_t tasks, brew_task_fn *fn, void *arg);

// product.c
struct brew_weight {
    enum brew_weight_form form;
    int64_t n, c, steps, panels; // outputs (gate and up counted together), inputs
    int s;                       // elements of a step
    bool wide;                   // panels hold bf16, the kernels want F32
    enum brew_dtype scheme;      // F8_E4M3 or I8: panels hold that
    char *data;    // [panels][steps][32][s]; of I8 [panels][C/4][32][4]; of E4M3 see place_f8
    float *bias;   // [panels * 32]
    float *scales; // [panels * 32] of a quantised weight, else NULL
    int32_t *sums; // [panels * 32] of I8: 128 times a column's sum, for the zero point
    // Of a weight that learns: [panels][C][32] and [N] or NULL, borrowed. In F32 the master is `data`.
    const float *master, *master_bias;
};

// A product: tiles of a packed left and a packed right side. `tile` disposes of rows [row, row + rows)
// of `a` against `panel`, whose elements are b.
struct brew_cpu_product {
    const struct brew_cpu_kernels *kernels;
    void (*tile)(const struct brew_cpu_product *job, const void *a, const void *b, int64_t row,
                 int rows, int64_t panel);
    const brew_weight *w; // of the forward product: its bias and scales; else NULL
    const char *a, *b;
    const float *scales;         // of a's rows, where they are quantised
    int64_t m, n, steps, panels; // rows of a; columns of all panels
    int64_t panel_bytes;
    enum brew_dtype stored; // BF16, F8_E4M3: panels to be made elements first; else F32
    bool add;
    float *y;
    char *out; // an operand

    // set by brew_cpu_product
    int64_t block, run, runs;        // rows of a block; panels of a task; tasks of a block
    struct brew_cpu_scratch scratch; // a panel as elements
};
void brew_cpu_product(brew_backend *be, struct brew_cpu_product *job);
// A `tile`: y[M, N] = a b + bias, or += .
void brew_cpu_store_tile(const struct brew_cpu_product *job, const void *a, const void *b,
                         int64_t row, int rows, int64_t panel);
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
// Sizes, and where items lie; the memory is for the caller to set, who frees item_k, item_v and chunks.
void brew_cpu_attention_plan(brew_backend *be, const brew_attention_shape *shape, int64_t rows_cap,
                             int64_t spans_cap, brew_attention *at);
int64_t brew_cpu_kv_tile_bytes(const brew_backend *be, const brew_attention_shape *shape);
brew_kv *brew_cpu_kv_new(brew_backend *be, const brew_attention_shape *shape, int64_t layers,
                         int64_t cap, brew_err *err);
void brew_cpu_kv_free(brew_backend *be, brew_kv *kv);
size_t brew_cpu_kv_bytes(brew_backend *be, const brew_attention_shape *shape, int64_t layers,
                         int64_t cap);
brew_attention *brew_cpu_attention_new(brew_backend *be, const brew_attention_shape *shape,
                                       int64_t rows_cap, int64_t spans_cap, brew_err *err);
void brew_cpu_attention_free(brew_backend *be, brew_attention *at);
// Without `rope` what is in qkv is turned already.
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
// Which keys of a tile the rows of a piece see: those of each row, how far the last of them; none: 0.
struct brew_cpu_sight {
    int columns;
    bool whole; // a whole tile, all of it; from and to are not set
    int32_t from[TILE_ROWS], to[TILE_ROWS];
};
// The rows' positions; position of the tile's first key; how many keys it holds.
void brew_cpu_look(int64_t window, const int64_t *pos, int rows, int64_t first, int64_t count,
                   struct brew_cpu_sight *sight);
// brew_cpu_attend that gives the log-sum-exp of scaled scores, too; lse [M, H] or NULL.
void brew_cpu_attend_with_lse(brew_backend *be, brew_attention *at, const brew_span *spans,
                              size_t n_spans, int64_t layer, double scale, int64_t window,
                              const uint8_t *wanted, brew_operand *out, float *lse);
void brew_cpu_attend(brew_backend *be, brew_attention *at, const brew_span *spans, size_t n_spans,
                     int64_t layer, double scale, int64_t window, const uint8_t *wanted,
                     brew_operand *out);

// head.c
void brew_cpu_label_logits(brew_backend *be, const brew_table *table, const float *h, int64_t c,
                           const int64_t *rows, const int32_t *ids, int64_t n, float *logits);
void brew_cpu_head_lse(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                       int64_t c, const int64_t *skip_splits, const int32_t *skip_ids, float *lse);
// to[column][row] = from[row][column]; rows ld and ld_to apart.
void brew_cpu_transpose(const float *from, int64_t rows, int64_t columns, int64_t ld, float *to,
                        int64_t ld_to);
// `columns` <= 32 rows of the table from `first` on into rows [32, C], and as a panel with zeros behind
// them (unless panel is NULL); h [R, C] packed as left sides, to be freed.
void brew_cpu_head_panel(const brew_tensor *table, int64_t first, int64_t columns, float *rows,
                         float *panel);
char *brew_cpu_head_rows(brew_backend *be, const float *h, int64_t r, int64_t c);

#endif
