// What a calibration stream says of a model's heads and neurons: forward only, one pass.
//
// With x a row that a layer's output or down projection W reads, a structure's part of the output is
// W_s x_s, and its importance the sum of |W_s x_s|^2 over the rows: tr(G_s W_s^T W_s) with the Gram matrix
// G_s = sum of x_s x_s^T. Whole Gram matrices of the outputs of attention take 4 L (H D)^2 bytes, those of the
// mlp, wanted for a repair, 4 L F^2.
//
// A few rows for each column say as much as all: at most so many are looked at, drawn from all the
// stream's by a fixed rule (selection sampling), the same ones in every layer; in the last layer, where only
// the rows of answers exist, drawn from these.
//
//     brew_importance *imp = brew_importance_of(model, star, &options, &err);
//     ... read ...; brew_importance_free(imp);
#ifndef BREW_SHRINK_IMPORTANCE_H
#define BREW_SHRINK_IMPORTANCE_H

#include <stdbool.h>

#include "base/err.h"
#include "model/model.h"

typedef struct brew_importance brew_importance;

enum { BREW_ROWS_PER_COLUMN = 16 }; // rows that are enough, for each column of the wider projection

typedef struct brew_importance_options {
    const bool *skip; // [L] layers that will be gone; NULL: none
    int64_t rows;     // looked at, at most; 0: all
    bool grams;       // of the mlp, too
} brew_importance_options;

// Every request must fit the context. model is borrowed.
brew_importance *brew_importance_of(brew_model *model, const brew_star *star,
                                    const brew_importance_options *options, brew_err *err);
void brew_importance_free(brew_importance *importance); // NULL is fine
// That were looked at in layers before the last that is there, and in that one.
int64_t brew_importance_rows(const brew_importance *importance, bool last);

// out [H] or [F]: of a layer's query heads, of its neurons. w: the output projection [C, H*D], the down
// projection [C, F], F32.
void brew_importance_heads(brew_importance *importance, int64_t layer, const float *w, double *out);
void brew_importance_neurons(const brew_importance *importance, int64_t layer, const float *w,
                             double *out);
// The Gram matrices of a layer, [HD, HD] and [F, F]; the latter NULL without `grams`. Borrowed until the next
// call of one of these, or of brew_importance_heads.
const float *brew_importance_attended(brew_importance *importance, int64_t layer);
const float *brew_importance_mlp(brew_importance *importance, int64_t layer);

#endif
