// What a calibration stream says of a model's heads and neurons: forward only, one pass.
//
// With x a row that a layer's output or down projection W reads, a structure's part of the output is
// W_s x_s, and its importance the sum of |W_s x_s|^2 over all rows: tr(G_s W_s^T W_s) with the Gram matrix
// G_s = sum of x_s x_s^T. Whole Gram matrices, wanted for a repair, take L (H D)^2 + L F^2 floats.
//
//     brew_importance *imp = brew_importance_new(model, repair, &err);
//     each batch: brew_importance_add(imp, star, &err);
//     ... read ...; brew_importance_free(imp);
#ifndef BREW_SHRINK_IMPORTANCE_H
#define BREW_SHRINK_IMPORTANCE_H

#include <stdbool.h>

#include "base/err.h"
#include "model/model.h"

typedef struct brew_importance brew_importance;

// model is borrowed. grams: whole Gram matrices, too.
brew_importance *brew_importance_new(brew_model *model, bool grams, brew_err *err);
void brew_importance_free(brew_importance *importance); // NULL is fine
size_t brew_importance_bytes(const brew_config *config, bool grams);
// Layers that will be gone: [L], borrowed; NULL: none.
void brew_importance_skip(brew_importance *importance, const bool *skip);
// Every request must fit the context.
int brew_importance_add(brew_importance *importance, const brew_star *star, brew_err *err);
int64_t
brew_importance_rows(const brew_importance *importance); // seen by the first layer that is there

// out [H] or [F]: of a layer's query heads, of its neurons. w: the output projection [C, H*D], the down
// projection [C, F], F32.
void brew_importance_heads(const brew_importance *importance, int64_t layer, const float *w,
                           double *out);
void brew_importance_neurons(const brew_importance *importance, int64_t layer, const float *w,
                             double *out);
// The Gram matrices of a layer, [HD, HD] and [F, F]; NULL without `grams`. Borrowed until the next call.
const float *brew_importance_attended(brew_importance *importance, int64_t layer);
const float *brew_importance_mlp(brew_importance *importance, int64_t layer);

#endif
