// Requests to learn from: a star batch without its meta lines, and what training needs of these.
//
// Zero-initialise; forgotten by _reset, freed by _release.
#ifndef BREW_TRAIN_BATCH_H
#define BREW_TRAIN_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tensor/star.h"

// What a teacher said of a request's answers, as in brew_star_teacher: from its first answer on.
typedef struct brew_taught {
    const float *logits, *rest;
    int64_t topk;
    const int32_t *topk_ids;
    const float *topk_logits, *topk_rest;
} brew_taught;

typedef struct brew_batch {
    brew_star star; // meta is empty
    int32_t *tasks; // [R] the task each request belongs to, by number
    // Which labels are positive, where an answer has an offset; no bytes for the others.
    uint8_t *positive;
    int64_t *positive_splits; // [A+1]
    // What a teacher said, if there is one: for each answer its label logits and the log-sum-exp of all others.
    bool taught;
    float *teacher_logits;   // label by label
    int64_t *teacher_splits; // [R+1] over teacher_logits
    float *teacher_rest;     // [A]
    int64_t topk;            // as many likeliest tokens, too
    int32_t *topk_ids;       // [A, topk]
    float *topk_logits;      // [A, topk]
    float *topk_rest;        // [A]
    size_t tasks_cap, positive_cap, answers_cap, logits_cap, rest_cap, taught_cap; // private
    size_t topk_ids_cap, topk_logits_cap, topk_rest_cap;
} brew_batch;

void brew_batch_release(brew_batch *batch);
void brew_batch_reset(brew_batch *batch);

// Appends request r of star, whose meta line says what is positive. taught: by its teacher, or NULL (then for
// all requests of a batch, or for none). Fails, with the batch as before, on a meta line that is wrong.
int brew_batch_add(brew_batch *batch, const brew_star *star, size_t r, int32_t task,
                   const brew_taught *taught, brew_err *err);
// Appends request r of another batch.
void brew_batch_append(brew_batch *batch, const brew_batch *from, size_t r);
// Bytes held.
size_t brew_batch_bytes(const brew_batch *batch);

// Tokens of request r, its query and all items.
static inline int64_t brew_batch_tokens(const brew_batch *batch, size_t r) {
    const brew_star *star = &batch->star;
    return star->segments[star->requests[r + 1]] - star->segments[star->requests[r]];
}

#endif
