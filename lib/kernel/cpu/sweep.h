// Attention backward in pieces: some rows of one head against a run of keys.
//
// For probabilities p = exp(s - lse), and ds = p (dout . v - dout . out), over the rows r and the keys j
// of the run:
//
//     dq_r += sum over j of ds_rj k_j      dk_j += sum over r of ds_rj q_r      dv_j += p_rj dout_r
//
// Rows come in blocks of SWEEP_ROWS, which are packed four ways: q and dout as left sides for s and dp,
//
//     by rows   [rows/12][D/s][12][s]
//
// and, since dk and dv are sums over rows, by dimensions; p and ds are the right sides there:
//
//     by dims   [D/12][rows/s][12][s]        p, ds: [2][rows/s][32][s]
//
// so that what is summed is the transpose, [2][D][64] for each tile of BREW_KEY_TILE keys: dk, then dv.
// Its chains ascend over the rows, across blocks and sweeps. The factor `scale` of dq and dk is left to
// the caller. Rows are listed: what is not on the list does not exist.
#ifndef BREW_KERNEL_CPU_SWEEP_H
#define BREW_KERNEL_CPU_SWEEP_H

#include "kernel/cpu/cpu.h"

enum { SWEEP_ROWS = 96, SWEEP_KEYS = 256 };

// What all sweeps of one call share.
struct brew_cpu_sweeps {
    const struct brew_cpu_kernels *kernels;
    brew_attention_shape shape;
    int64_t d, dp, width, out_width; // D, padded to 32; (H+2K)D; HD
    int64_t window;
    float scale; // log2(e) times the scale of the scores
    const float *qkv, *out, *lse, *dout;
    const int64_t *rows, *pos; // the list: a row's number, its position
};

// Keys that follow each other, at most SWEEP_KEYS: the first one's row and position; how many.
struct brew_cpu_run {
    int64_t row, pos, count;
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

// Working memory of one worker.
struct brew_cpu_sweep {
    char *k, *v, *k_values;              // the keys
    char *q, *dout, *q_dims, *dout_dims; // the block
    char *p, *ds;                        // of a tile
    float *dq, *lse, *delta;             // [rows][Dp], [rows]
    int64_t *list, *pos;                 // the block's rows: on the list; positions
    float *sums;                         // [SWEEP_KEYS / 64][2][D][64], for the caller
};
// Its bytes; laid out at `memory` unless that is NULL.
int64_t brew_cpu_sweep_place(const struct brew_cpu_sweeps *all, char *memory,
                             struct brew_cpu_sweep *sweep);

static inline int64_t brew_cpu_sum_floats(const struct brew_cpu_sweeps *all, int64_t keys) {
    return divide_up(keys, BREW_KEY_TILE) * 2 * all->d * BREW_KEY_TILE;
}

// Packs the run's keys and values of a kv head.
void brew_cpu_sweep_keys(const struct brew_cpu_sweeps *all, struct brew_cpu_sweep *sweep,
                         int64_t kv_head, const struct brew_cpu_run *run);
// The rows [first, end) of the list against those keys.
void brew_cpu_sweep_rows(const struct brew_cpu_sweeps *all, struct brew_cpu_sweep *sweep,
                         int64_t head, int64_t first, int64_t end, const struct brew_cpu_run *run,
                         float *sums, const struct brew_cpu_dq *dq);

#endif
