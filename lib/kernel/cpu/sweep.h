// Attention backward in pieces: some rows of one head against a run of keys.
//
// For probabilities p = exp(s - lse), and ds = p (dout . v - dout . out), over the rows r and the keys j
// of the run:
//
//     dq_r += scale sum over j of ds_rj k_j    dk_j += sum over r of ds_rj q_r    dv_j += p_rj dout_r
//
// Five products. Keys are packed in tiles of BREW_KEY_TILE: k and v as panels [2][D/s][32][s] for the
// right sides of s and dout . v, and k as [Dp/32][64/s][32][s] for dq. Rows come in blocks of SWEEP_ROWS:
// q and dout by rows, for the left sides, and in panels for dk and dv, whose left sides are p and ds:
//
//     [D/64][rows][64]      [Dp/32][rows/s][32][s]      p, ds: [2][rows/s][32][s]
//
// The chains of dk and dv ascend over the rows, across blocks and sweeps; the factor `scale` of dk is
// left to the caller. Rows are listed: what is not on the list does not exist.
#ifndef BREW_KERNEL_CPU_SWEEP_H
#define BREW_KERNEL_CPU_SWEEP_H

#include "kernel/cpu/cpu.h"

enum { SWEEP_ROWS = 96 };

// What all sweeps of one call share.
struct brew_cpu_sweeps {
    const struct brew_cpu_kernels *kernels;
    brew_attention_shape shape;
    int64_t d, dp, width, out_width; // D, padded to 32; (H+2K)D; HD
    int64_t window;
    float scale;
    const float *qkv, *dout;
    // the list: a row's number, its position; [H] log2(e) times its log-sum-exp, dout . out
    int64_t *rows, *pos;
    float *lse, *delta;
};

// Keys that follow each other: the first one's position, how many, packed.
struct brew_cpu_run {
    int64_t pos, count;
    const char *tiles;
};

// Where the gradients of listed queries are added to: row i's is at data + (i - first) * HD, or, if data
// is NULL, in its place of dqkv.
struct brew_cpu_dq {
    float *data, *dqkv;
    int64_t first;
};
static inline float *brew_cpu_dq_row(const struct brew_cpu_sweeps *all,
                                     const struct brew_cpu_dq *dq, int64_t i) {
    return dq->data ? dq->data + (i - dq->first) * all->out_width
                    : dq->dqkv + all->rows[i] * all->width;
}

// dk and dv of a tile of keys: [2][64][Dp].
static inline int64_t brew_cpu_sum_floats(const struct brew_cpu_sweeps *all) {
    return 2 * BREW_KEY_TILE * all->dp;
}
int64_t brew_cpu_tile_bytes(const struct brew_cpu_sweeps *all);
// Packs keys and values of a kv head: `count` <= BREW_KEY_TILE, from `row` on.
void brew_cpu_pack_keys(const struct brew_cpu_sweeps *all, int64_t kv_head, int64_t row,
                        int64_t count, char *tile);

int64_t brew_cpu_sweep_bytes(const struct brew_cpu_sweeps *all); // working memory
// The rows [first, end) of the list against the run; sums: of its tiles.
void brew_cpu_sweep(const struct brew_cpu_sweeps *all, char *memory, int64_t head, int64_t first,
                    int64_t end, const struct brew_cpu_run *run, float *sums,
                    const struct brew_cpu_dq *dq);

#endif
