// Inside lib/model: the buffers of a forward pass, sized by its largest block and kept for the next.
#ifndef BREW_MODEL_WORKSPACE_H
#define BREW_MODEL_WORKSPACE_H

#include "kernel/ops.h"

typedef struct brew_workspace {
    int64_t rows, read_rows, pairs; // capacities: rows of a block, rows read in it, label logits
    size_t spans;
    // Device memory. M rows of the block, R of them read.
    float *x, *qkv;              // [M, C] residual stream, [M, (H+2K)D]
    float *picked, *hidden;      // [R, C] residual stream and final norm of the rows read
    float *logits, *lse;         // [pairs], [R]
    brew_operand normed;         // [M, C]
    brew_operand attended, read; // [M, HD], and [R, HD] of the rows read
    brew_operand mlp;            // [M, F]
    brew_attention *attention;
    // Host memory.
    int32_t *ids;         // [M]
    uint8_t *wanted;      // [M] 1: an answer is read here
    int64_t *row_list;    // [R] those rows
    int64_t *pair_rows;   // [pairs] index into row_list
    int32_t *pair_ids;    // [pairs]
    int64_t *pair_splits; // [R+1] a row's pairs
    float *host;          // [max(pairs, R)] what comes back
} brew_workspace;

typedef struct brew_workspace_sizes {
    int64_t rows, read_rows, pairs, width, mlp;
    size_t spans;
    brew_attention_shape shape;
} brew_workspace_sizes;

// Makes room; what is large enough stays. On failure the workspace is empty.
int brew_workspace_reserve(brew_workspace *ws, brew_backend *be, const brew_workspace_sizes *sizes,
                           brew_err *err);
void brew_workspace_release(brew_workspace *ws, brew_backend *be);

#endif
