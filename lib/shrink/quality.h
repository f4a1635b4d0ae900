// How well a model answers calibration requests: what cuts and rounding are judged by, never perplexity.
//
// Answers are the known ones of items; the score is the probability of the positive labels, offsets
// added as brew-score adds them. Metrics as in rank/metrics.h, NaN where there is none; a request is a group.
#ifndef BREW_SHRINK_QUALITY_H
#define BREW_SHRINK_QUALITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/model.h"

typedef struct brew_quality {
    size_t n;       // answers
    double logloss; // mean over them of -log p of the right label, weighted
    double auc, ece;
    double ties;                      // pairs of one request with equal scores, of all its pairs
    double ndcg, ndcg_low, ndcg_high; // at 10: with ties in any, the worst and the best order
    size_t unique;                    // different scores
    double *scores;                   // [n], in order
    double *labels;                   // probabilities of all labels of answer i, from splits[i] on
    int64_t *splits;                  // [n+1]
} brew_quality;

// rounded: NULL, or gets the quality with logits rounded to BF16, as
// engines hand them out whose head is not F32. Release both also after a failure.
int brew_quality_of(brew_model *model, const brew_star *star, brew_quality *quality,
                    brew_quality *rounded, brew_err *err);
// The same of logits that are there already.
int brew_quality_from(brew_model *model, const brew_star *star, const brew_forward_result *result,
                      brew_quality *quality, brew_err *err);
void brew_quality_release(brew_quality *quality);

// Mean over the answers of the Kullback-Leibler divergence of `to`'s labels from those of `from`, which
// answered the same requests.
double brew_quality_kl(const brew_quality *from, const brew_quality *to);

#endif
