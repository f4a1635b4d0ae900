// How well a model answers a calibration stream: what cuts and rounding are judged by, never perplexity.
//
// Answers are the known ones of items; the score is the probability of the positive labels, offsets
// added as brew-score adds them.
#ifndef BREW_SHRINK_QUALITY_H
#define BREW_SHRINK_QUALITY_H

#include <stdbool.h>

#include "base/err.h"
#include "model/model.h"

typedef struct brew_quality {
    size_t n;       // answers
    double logloss; // mean over them, weighted
    double auc;     // over all of them; NaN where a class is missing
    double *scores; // [n], in order; the caller's to free
} brew_quality;

// skip: [L] layers left out, or NULL.
int brew_quality_of(brew_model *model, const brew_star *star, const bool *skip,
                    brew_quality *quality, brew_err *err);

#endif
