// Private to asof*.c. Three sorts: by entity and moment, where questions and changes of the counts pass in order; by
// event, to give each its numbers back; by feature and number, to find the edges:
//
//     moments:  hash | 1 + table of an item, 0 of a member | entity NUL | moment | kind | payload
//               a question:   kind 2 side + at the split? | ordinal of the event (~0: only for the edges)
//               a change:     kind 128 + 2 side + leaves? | span | action, three bytes
//     answers:  ordinal, of, at the split? | numbers of the features it is about
//     numbers:  feature | number
//
// A question stands before the changes of its moment: what counts is strictly before. The hash is that of the entity:
// only that its moments stand together matters.
#ifndef BREW_TEXT_ASOF_PARTS_H
#define BREW_TEXT_ASOF_PARTS_H

#include "text/prompt/asof.h"
#include "text/prompt/sorter.h"

enum { BREW_ASOF_CANDIDATE = BREW_SPLITS, BREW_ASOF_SIDES }; // a side behind all others
enum { BREW_ASOF_CHANGE = 128 };

// A lag and a window that some features share.
struct span {
    enum brew_feature_of of;
    int64_t lag, window;
};

struct brew_asof {
    const brew_task *task;
    const brew_features *features;
    struct span spans[BREW_FEATURES_MAX];
    size_t n_spans, span_of[BREW_FEATURES_MAX];
    bool asks[BREW_OF][2]
             [BREW_ASOF_SIDES]; // at the split?, side: does an event ask such a question?
    brew_fitted fitted[BREW_FEATURES_MAX];
    double mean; // of the positive actions
    brew_negatives *negatives;
    bool given; // means and edges, not fitted
    brew_pool *pool;
    brew_sorter *moments, *answers, *numbers;
    uint64_t *trained; // [n_actions] training events
    uint64_t n_numbers[BREW_FEATURES_MAX];
    uint64_t n_asked, n_answered; // ordinals
};

static inline int brew_asof_side(const brew_event *event) {
    return event->action < 0 ? BREW_ASOF_CANDIDATE : event->split;
}

// Is this feature's number, for an event of this side, told by this kind of question?
static inline bool brew_asof_told_by(const brew_feature *feature, enum brew_feature_of of,
                                     bool at_split, int side) {
    return feature->of == of && at_split == (feature->as_of_split && side != BREW_SPLIT_TRAIN);
}

// Where the answer to a question stands among all.
static inline uint64_t brew_asof_place(uint64_t ordinal, enum brew_feature_of of, bool at_split) {
    return ordinal << 2 | (uint64_t)of << 1 | at_split;
}

// All members' events into `moments`, and those of training into `trained`.
int brew_asof_take_members(brew_asof *asof, brew_events *events, brew_err *err);
// The moments in order into `answers` and `numbers`; frees `moments`.
int brew_asof_pass(brew_asof *asof, brew_err *err);

#endif
