// Features: what an item, or a member, was worth to others up to a moment, told in words.
//
// A feature counts events of one item, or of one member, that were known before a moment t: those with
//
//     t - lag - window <= known time < t - lag          (window 0: without a lower end)
//
// With n such events, k of them with one of the feature's actions, and mu the share of those actions
// among all training events, its number is
//
//     count       k
//     rate        (k + m mu) / (n + m)                  m: `shrink`, 5 unless told
//     deviation   (k - n mu) / (n + 5)                  only for offsets
//     history     n, of all sides                       only for item_history of drawn negatives
//
// Numbers reach a prompt as words: the percentiles of the feature's numbers at all training events are
// the edges, and edge p is the smallest number that p % of them do not exceed. A number belongs behind the edges that it
// exceeds, so that at most 10 % of the training events lie behind the 90th percentile.
//
// The moment t is the time of the event told or asked about. With as_of_split it is, for questions of
// valid and test and for candidates, the end of the training events, whatever their times: all of
// them count then, and nothing else.
//
// A question never counts what the split holds back from it: events of a later side (train, valid, test) never count,
// those of its own side only in train, or where the history ends at the question
// (brew_task.history_until_split), those of an earlier side always.
//
// Offsets are log-odds of a model of deviations: with p = mu + the member's deviation + the item's,
// positive actions counted, kept within [0.01, 0.99], the offset is ln(p / (1 - p)).
#ifndef BREW_TEXT_FEATURES_H
#define BREW_TEXT_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/prompt/events.h"

enum { BREW_FEATURES_MAX = 64 };

enum brew_feature_of { BREW_OF_ITEM, BREW_OF_MEMBER, BREW_OF };
enum brew_measure {
    BREW_MEASURE_COUNT,
    BREW_MEASURE_RATE,
    BREW_MEASURE_DEVIATION,
    BREW_MEASURE_HISTORY
};

typedef struct brew_feature {
    char *name; // NULL: not for templates
    enum brew_feature_of of;
    enum brew_measure measure;
    bool *actions; // [task->n_actions] those that count as k
    double shrink;
    int64_t window, lag; // ms
    bool as_of_split;
    double *percentiles; // [n_edges] ascending
    size_t n_edges;
    char **words; // [n_edges + 1]
    char *none;   // the word where nothing was counted (count: k = 0, rate: n = 0), or NULL
} brew_feature;

typedef struct brew_features {
    brew_feature list[BREW_FEATURES_MAX];
    size_t n;
    bool offsets;                      // records have offsets: those of
    size_t history;                    // the feature that fills item_history of drawn negatives
    size_t item_offset, member_offset; // these features; SIZE_MAX: without that part
} brew_features;

void brew_features_release(brew_features *features);
// The feature of a name, or SIZE_MAX.
size_t brew_features_find(const brew_features *features, const char *name);

// What training events have told of a feature.
typedef struct brew_fitted {
    double mean;   // mu
    double *edges; // [n_edges] numbers
} brew_fitted;

// The word for a number (NaN: nothing was counted).
const char *brew_feature_word(const brew_feature *feature, const brew_fitted *fitted, double value);
// The number of k out of n events; NaN where the feature has a word for nothing.
double brew_feature_value(const brew_feature *feature, double mean, uint64_t k, uint64_t n);
// ln(p / (1 - p)) of mean plus deviations.
double brew_offset_of(double mean, double deviations);

#endif
