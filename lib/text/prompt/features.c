#include "text/prompt/features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double DEVIATION_SHRINK = 5, OFFSET_CLIP = 0.01;

void brew_features_release(brew_features *features) {
    for (size_t f = 0; f < features->n; f++) {
        brew_feature *feature = &features->list[f];
        free(feature->name);
        free(feature->actions);
        free(feature->percentiles);
        for (size_t i = 0; feature->words && i <= feature->n_edges; i++) free(feature->words[i]);
        free(feature->words);
        free(feature->none);
    }
    features->n = 0;
}

size_t brew_features_find(const brew_features *features, const char *name) {
    for (size_t f = 0; f < features->n; f++)
        if (features->list[f].name && !strcmp(features->list[f].name, name)) return f;
    return SIZE_MAX;
}

const char *brew_feature_word(const brew_feature *feature, const brew_fitted *fitted,
                              double value) {
    if (isnan(value)) return feature->none;
    size_t bucket = 0;
    while (bucket < feature->n_edges && value > fitted->edges[bucket]) bucket++;
    return feature->words[bucket];
}

double brew_feature_value(const brew_feature *feature, double mean, uint64_t k, uint64_t n) {
    double hits = (double)k, all = (double)n;
    switch (feature->measure) {
    case BREW_MEASURE_COUNT:
        return feature->none && !k ? (double)NAN : hits;
    case BREW_MEASURE_RATE:
        if (feature->none && !n) return (double)NAN;
        return all + feature->shrink > 0 ? (hits + feature->shrink * mean) / (all + feature->shrink)
                                         : mean;
    case BREW_MEASURE_HISTORY:
        return all;
    case BREW_MEASURE_DEVIATION:
        break;
    }
    return (hits - all * mean) / (all + DEVIATION_SHRINK);
}

double brew_offset_of(double mean, double deviations) {
    double p = mean + deviations;
    p = p < OFFSET_CLIP ? OFFSET_CLIP : p > 1 - OFFSET_CLIP ? 1 - OFFSET_CLIP : p;
    return log(p / (1 - p));
}
