// How far the answers of one model are from another's: what pruning, rounding or distilling did to them,
// which metrics show only as far as outcomes happen to see it.
#ifndef BREW_RANK_MOVED_H
#define BREW_RANK_MOVED_H

#include "rank/answers.h"

typedef struct brew_moved {
    double
        divergence; // Kullback-Leibler of `to` from the answers' own scores, weighted mean, in nats
    // The log-odds of `to` less those of the scores: their mean, which a calibration undoes, and their standard
    // deviations between members (of the members' means), which moves auc, and within, which moves auc_member.
    double shift, between, within;
} brew_moved;

// to [answers->n]: probabilities, like the scores; within 1e-15 of 0 or 1 both are cut off. NaN without weight.
brew_moved brew_moved_to(const brew_answers *answers, const double *to);

#endif
