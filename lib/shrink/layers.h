// Which layers a model can do without.
//
// The damage of leaving layers out is told by the answers of calibration requests, in three figures. The divergence
// chooses: the Kullback-Leibler divergence of an answer's labels from those of the whole model, in the mean over all
// answers, those of histories included. That is the log loss that is to be expected on top if the whole model is
// calibrated; the log loss of the known answers themselves rises by as much, but some hundred of them scatter by
// more than a layer is worth (scripts/recipe/RESULTS.md), and so does their AUC.
//
// Some hundred answers say enough: of more than 512, as many requests are asked, evenly drawn, as have so many.
//
// Layers go one by one, each time the one whose absence, beside those that are gone, costs least. What a layer costs is
// taken to grow as others go, so that only those that look cheapest are asked again (a lazy greedy search).
#ifndef BREW_SHRINK_LAYERS_H
#define BREW_SHRINK_LAYERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/model.h"
#include "tensor/star.h"

typedef struct brew_damage {
    double divergence;
    double logloss,
        auc; // of the known answers: by how much the one rises, the other falls (NaN where there is none)
} brew_damage;

typedef struct brew_absence {
    int64_t n;            // layers of the model; 0: nothing was asked
    brew_damage *alone;   // [n] without this one
    brew_damage together; // without all that go
    int64_t asked;        // sets of layers that were scored, each a pass over the requests
} brew_absence;

// Sets skip [L] at `gone` < L layers; nothing in it may be set before. The price is that of L/2 scorings of the
// requests asked, and one for each set asked. Release also after a failure.
int brew_layers_choose(brew_model *model, const brew_star *star, int64_t gone, bool *skip,
                       brew_absence *absence, brew_err *err);
void brew_absence_release(brew_absence *absence);

#endif
