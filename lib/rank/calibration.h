// Calibration: a rising curve from the probability a model gives to the one that is observed, per task.
//
// Platt's method fits log-odds' = a + b log-odds by maximum likelihood, to outcomes drawn towards each other
// as by one answer more of each kind (Platt 1999). The isotonic one fits the rising steps that are nearest
// to the outcomes (pool adjacent violators); scores between the middles of two steps get a straight line
// between, those outside the first or last step's value, kept 1 / (W + 2) away from 0 and 1.
//
// A curve belongs to meta.task; answers without a task have the curve of the empty name. In a file it is
// JSON:
//
//     {"format":"brew-calibration","version":1,"method":"platt","questions":"<digest>","answers":19940,
//      "tasks":{"movies":{"a":-0.1,"b":0.9}}}          isotonic: {"x":[...],"y":[...]}
//
// "questions" is the digest of what it was fitted on (brew_reader_questions): a figure taken there says
// nothing about other data.
#ifndef BREW_RANK_CALIBRATION_H
#define BREW_RANK_CALIBRATION_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/pool.h"
#include "io/json.h"
#include "rank/reader.h"

enum brew_calibration_method { BREW_CALIBRATE_PLATT, BREW_CALIBRATE_ISOTONIC };

typedef struct brew_curve {
    char *task;
    double a, b;
    double *x, *y; // [n] isotonic: rising
    size_t n;
} brew_curve;

typedef struct brew_calibration {
    enum brew_calibration_method method;
    char questions[33];
    size_t answers;
    brew_curve *curves; // [n]
    size_t n, cap;
} brew_calibration;

// Fits a curve for each task of the answers. Fails if a task has outcomes of one class only, or if items were
// sampled at rates that are not known. Release also after a failure; so, too, with load.
int brew_calibration_fit(brew_calibration *c, const brew_reader *reader,
                         enum brew_calibration_method method, brew_pool *pool, brew_err *err);
void brew_calibration_write(const brew_calibration *c, brew_buf *out); // a line of JSON
int brew_calibration_load(brew_calibration *c, const char *path, brew_err *err);
void brew_calibration_release(brew_calibration *c);

// The curve of a task (NULL or "": none), or NULL if there is none of that name.
const brew_curve *brew_calibration_of(const brew_calibration *c, const char *task);
// The calibrated probability, for p in [0, 1].
double brew_curve_at(const brew_curve *curve, double p);
// The same for probabilities of n labels, of which some are positive: their sum is moved, the shares inside
// the positive and inside the other labels stay.
void brew_curve_apply(const brew_curve *curve, const uint8_t *positive, size_t n, double *p);

#endif
