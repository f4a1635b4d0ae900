// Inside lib/model: the largest logits of rows, their labels left out.
#ifndef BREW_MODEL_TOPK_H
#define BREW_MODEL_TOPK_H

#include "kernel/ops.h"

// Of hidden [R, C] times the table's V rows, as head_logits gives them: for each row its k largest logits and
// their ids, the largest first, of equals the smaller id; ids[splits[i] .. splits[i+1]) are row i's labels, and
// left out. rest [R]: log-sum-exp of all logits but the labels' and these. A row's are a function of itself
// alone. Fails if there are not so many.
typedef struct brew_topk {
    int64_t k;
    int32_t *ids;  // [R, k]
    float *logits; // [R, k]
    float *rest;   // [R]
} brew_topk;
int brew_topk_find(brew_backend *be, const brew_table *table, int64_t vocab, const float *hidden,
                   int64_t r, int64_t c, const int64_t *splits, const int32_t *ids,
                   const brew_topk *out, brew_err *err);

#endif
