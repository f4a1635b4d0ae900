// How the learning rate, and what else is given as A:B, changes over a run: pure functions of the step.
//
// s the step, from 1; S the steps of the run; W those of the warm-up; D those of the decay at the end; f the
// share of the learning rate that is left at the end. All but `constant` need S.
//
//     warm-up    s <= W           s / W
//     constant   s > W            1
//     cosine     s > W            f + (1 - f) (1 + cos(pi (s - W - 1) / (S - W))) / 2
//     wsd        W < s <= S - D   1                                  (warm-up, stable, decay)
//                s > S - D        f + (1 - f) (S - s + 1) / (D + 1)
//
// The first step after the warm-up has the full rate, and the last one of a decay is not lost on a rate of
// 0. A warm-up longer than the run never ends.
#ifndef BREW_TRAIN_SCHEDULE_H
#define BREW_TRAIN_SCHEDULE_H

#include <stdint.h>

#include "base/err.h"

enum brew_schedule_kind { BREW_CONSTANT, BREW_COSINE, BREW_WSD };

typedef struct brew_schedule {
    enum brew_schedule_kind kind;
    int64_t steps, warmup, decay; // S (0 unknown, with BREW_CONSTANT only), W, D
    double floor;                 // f
} brew_schedule;

// The share of the learning rate at a step, in [0, 1].
double brew_schedule_at(const brew_schedule *schedule, int64_t step);

// A value that moves in a straight line from the first step to the last: A + (B - A) (s - 1) / (S - 1).
typedef struct brew_ramp {
    double from, to;
} brew_ramp;
// Reads "A" or "A:B", each in [least, most]. name: the option's, for the message.
int brew_ramp_parse(brew_ramp *ramp, const char *text, double least, double most, const char *name,
                    brew_err *err);
double brew_ramp_at(const brew_ramp *ramp, int64_t step, int64_t steps);

#endif
