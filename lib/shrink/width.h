// Cutting the residual stream: which channels stay, and what the matrices that read it do without the others.
//
// The stream x [C] is read at sites: by each layer's attention (q, k, v), by its mlp (gate, up) and by the head,
// through a norm, as z_c = g_c x_c / sqrt(mean x^2 + eps). A channel's part of what site s gives is W_s[:,c] z_c.
// Its importance there is the sum of |W_s[:,c]|^2 z_c^2 over the calibration rows, as a share of all channels',
// and its importance the sum of these shares. Of the head only the rows of labels count, less their mean over
// each label set: what they have in common moves no score.
//
// With the channels S kept the norm gives z'_c = g_c x_c / sqrt(sum over S of x^2 / C + eps) (the gains and eps
// that brew_cut_write writes make it so): z_c itself where all others are zero. A repair gives each reader
// W' = W A instead of W_S, with A = argmin sum |z - A z'|^2 + ridge |A - 1_S|^2 over the rows, the ridge a share
// of the mean square of z': kept channels take over what they tell of the others, and of the norm. The head of
// tied models cannot have an A of its own; the final norm's gains do their part of it, channel by channel.
// Rows are those of the whole model. No repair makes the error at its site larger.
#ifndef BREW_SHRINK_WIDTH_H
#define BREW_SHRINK_WIDTH_H

#include "base/err.h"
#include "model/model.h"
#include "shrink/cut.h"

typedef struct brew_width_options {
    const bool *skip; // [L] layers that will be gone; NULL: none
    int64_t keep;     // channels
    bool repair;
    double ridge;
} brew_width_options;

typedef struct brew_width_facts {
    double lost; // share of importance that goes
    double error_before,
        error_after; // mean over the sites of sum |z - A z'|^2 / sum |z|^2; with a repair
} brew_width_facts;

// The channels that stay for a share: the nearest multiple that goes with so many heads (brew_cut_heads_fit), of two
// the larger; all if there is none.
int64_t brew_width_channels(const brew_config *config, double share, int64_t multiple,
                            int64_t heads);

// Fills cut->width, and with a repair the readers of repaired, whose lists are as long as cut's layers. One pass
// over star, two with a repair; every request must fit the context.
int brew_width_cut(brew_model *model, const brew_modeldir *dir, const brew_star *star,
                   const brew_width_options *options, brew_cut *cut, brew_repaired *repaired,
                   brew_width_facts *facts, brew_err *err);

#endif
