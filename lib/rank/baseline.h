// Baselines: what simple counts of the events before the split would have scored.
//
// With mu the positive rate of those events, n the number and d the sum of (outcome - mu) of a member's, or
// an item's, the scores are
//
//   rate         mu
//   item         mu + d / (n + 5), of the item
//   member       mu + d / (n + 5), of the member
//   member_item  both deviations added to mu: not a probability
//   like_ratio   (positives + 1) / (n + 2), of the member
//
// A member or an item without events has n = 0. Each (member, item, time) counts once. Only events on the
// train side of the task's split are seen.
#ifndef BREW_RANK_BASELINE_H
#define BREW_RANK_BASELINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "rank/reader.h"
#include "rank/systems.h"

enum brew_baseline {
    BREW_BASELINE_RATE,
    BREW_BASELINE_ITEM,
    BREW_BASELINE_MEMBER,
    BREW_BASELINE_MEMBER_ITEM,
    BREW_BASELINE_LIKE_RATIO,
    BREW_BASELINES
};

const char *brew_baseline_name(enum brew_baseline baseline);
bool brew_baseline_is_probability(enum brew_baseline baseline);

struct brew_tally {
    uint64_t n, positives;
};

typedef struct brew_baselines {
    struct brew_tally all, *members, *items; // by the reader's numbers
} brew_baselines;

// For the members and items that the reader knows: events are then added one by one.
void brew_baselines_init(brew_baselines *b, const brew_reader *reader);
void brew_baselines_add(brew_baselines *b, size_t member, size_t item,
                        bool positive); // SIZE_MAX: none
// score[answers.n]. Without any event all scores are 0.5.
void brew_baselines_score(const brew_baselines *b, const brew_answers *answers,
                          enum brew_baseline baseline, double *score);
// Answers whose member, or item, has no event.
void brew_baselines_unseen(const brew_baselines *b, const brew_answers *answers, uint64_t *members,
                           uint64_t *items);
// All of them as systems of the kind "baselines".
void brew_baselines_list(const brew_baselines *b, const brew_answers *answers,
                         brew_systems *systems);
// "events": what they are made of, for the report.
brew_json *brew_baselines_events(const brew_baselines *b, const brew_answers *answers);
void brew_baselines_release(brew_baselines *b);

#endif
