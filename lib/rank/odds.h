// Probabilities as log-odds. One that is 0 or 1 is cut off, so that every answer has a finite loss.
#ifndef BREW_RANK_ODDS_H
#define BREW_RANK_ODDS_H

#include <math.h>

// p within [1e-15, 1 - 1e-15].
static inline double brew_cut_probability(double p) {
    return p < 1e-15 ? 1e-15 : p > 1 - 1e-15 ? 1 - 1e-15 : p;
}

// Of p, cut off as above.
static inline double brew_log_odds(double p) {
    double cut = brew_cut_probability(p);
    return log(cut / (1 - cut));
}

#endif
