// What a teacher says of a micro-batch: a model's words, heard now, or those of a stream, that came with it.
//
// Zero-initialise; freed by _release.
#ifndef BREW_TRAIN_HEARING_H
#define BREW_TRAIN_HEARING_H

#include <stdbool.h>

#include "model/model.h"
#include "tensor/star_view.h"
#include "train/batch.h"

// What is wanted beside label logits; of hidden states a stream has none.
typedef struct brew_hearing_wish {
    const int64_t *layers; // [n] residual streams after so many layers each, 1 to L
    size_t n_layers;
    int64_t topk;       // its likeliest tokens beside the labels; of a stream, which has as many
    bool all_rows;      // of all rows of the micro-batch; else at least of those that are answers
    const int32_t *ids; // a model's for each id of the micro-batch; NULL: the same
} brew_hearing_wish;

typedef struct brew_hearing {
    const float *logits, *rest;           // as in brew_forward_result
    const int64_t *splits;                // [A+1] over logits
    const int32_t *topk_ids;              // [A, topk]
    const float *topk_logits, *topk_rest; // [A, topk], [A]
    float **streams; // [n_layers] each [M, C]; rows that were not asked for hold anything
    // private
    brew_star_view asked; // the micro-batch in those ids
    brew_forward_result said;
    int64_t *own_splits;
    float *block;
    const brew_hearing_wish *wish;
    size_t splits_cap, block_cap, streams_cap;
} brew_hearing;
void brew_hearing_release(brew_hearing *hearing);

// Of micro, whose star is whole. model: NULL if the micro-batch is taught already.
int brew_hearing_listen(brew_hearing *hearing, brew_model *model, const brew_hearing_wish *wish,
                        const brew_batch *micro, brew_err *err);

#endif
