// What a command line asks of a pruning, and what shape of the model it comes to.
#ifndef BREW_SHRINK_ASKED_H
#define BREW_SHRINK_ASKED_H

#include "base/err.h"
#include "model/model.h"
#include "shrink/prune.h"

// Of layers: "0.8", a share that stays (a number with a point); "3,7-9", those that go; or "attention:3",
// a part of them, which no family here can do without.
typedef struct brew_asked_layers {
    double share;          // 1 if none is named
    int64_t *gone, n_gone; // NULL if none is named
    const char *parts;     // borrowed
} brew_asked_layers;
// text NULL: all stay. BREW_USAGE. Release also after a failure.
int brew_asked_layers_parse(brew_asked_layers *layers, const char *text, brew_err *err);
void brew_asked_layers_release(brew_asked_layers *layers);
// Fails, with the name of the class that builds both parts of every layer.
int brew_asked_refuse_parts(const char *parts, const brew_config *config, brew_err *err);

// "60M", "1.5G", "9k" or a number, of one at least. BREW_USAGE.
int brew_asked_count_parse(double *count, const char *text, brew_err *err);

// One size or time that is to be met, beside what is already said.
typedef struct brew_asked_target {
    const brew_asked_layers *layers;
    bool layers_given;
    double heads, mlp; // kept shares; 0: open
    double hidden;     // of channels, 1: all
    int64_t multiple;  // of neurons and channels
    int64_t vocab;     // tokens that stay
    double parameters; // so many, or 0:
    double latency;    // this share of the time, measured with the backend and the star
    brew_backend *be;
    const brew_star *star;
} brew_asked_target;
// reckoned: the share of time, where that is the target.
int brew_asked_shape(const brew_asked_target *target, const brew_config *config, brew_shape *shape,
                     double *reckoned, brew_err *err);

#endif
