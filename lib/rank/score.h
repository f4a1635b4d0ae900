// Scores: the probabilities of an item's labels, and the record that carries them.
//
// An item's score is the softmax over its label set of the logits at its last token, computed in double
// from the F32 logits. A record's `offsets` are added to the logits of the positive labels, which moves
// the log-odds of "positive" by just as much. With the log-sum-exp over the vocabulary known, a label's
// log-probability is its logit less that.
//
// A scorer collects requests, so that many short ones share their matrix products, and writes one score
// record for each in their order. How they are collected cannot show in the bits.
#ifndef BREW_RANK_SCORE_H
#define BREW_RANK_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/out.h"
#include "io/star_stream.h"
#include "model/model.h"
#include "tensor/star.h"

// p[n] = softmax(logits + offset for the labels with positive[i]); positive NULL: the first label.
// All that goes in is finite.
void brew_score_softmax(const float *logits, size_t n, const uint8_t *positive, double offset,
                        double *p);

typedef struct brew_score_options {
    int64_t block_rows; // as in brew_forward_options
    bool logprobs;
    const char *arithmetic; // "PRECISION/LEVEL", recorded in every line; borrowed
    // Where not NULL: a stream with a teacher, into which the requests go with this model's logits of
    // all their answers, those of their history included. Borrowed.
    brew_star_writer *teacher;
    int64_t topk; // of its likeliest tokens, as many as it was started with
    const struct brew_calibration
        *calibration; // of the scores, by meta.task; NULL: none. Borrowed.
} brew_score_options;

// Appends request r's score record and a newline: the members of its meta line, byte for byte, then
// "arithmetic" (if not NULL), "calibrated_on" (with a calibration: the digest of what it was fitted on),
// "scores", and "logprobs" where result has lse. Members of these names in the meta line make way. Fails if
// logits are not finite, if `positive` names a label there is not, or if the calibration has no curve for
// the record's task.
int brew_score_write(const brew_star *star, size_t r, const brew_forward_result *result,
                     const brew_score_options *options, brew_buf *out, brew_err *err);

typedef struct brew_scorer brew_scorer;

// model and out stay the caller's.
brew_scorer *brew_scorer_new(brew_model *model, brew_out *out, const brew_score_options *options);
// Adds request r of star (its items; past answers are not scored), and runs when enough have come. The
// request must be sound (brew_star_check) and fit the model's context.
int brew_scorer_add(brew_scorer *scorer, const brew_star *star, size_t r, brew_err *err);
int brew_scorer_flush(brew_scorer *scorer, brew_err *err); // runs what is left
void brew_scorer_free(brew_scorer *scorer);
uint64_t brew_scorer_items(const brew_scorer *scorer);  // scored so far
uint64_t brew_scorer_tokens(const brew_scorer *scorer); // query and item tokens of these

#endif
