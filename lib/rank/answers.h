// Scored answers: one row per candidate of which both the score and the outcome are known.
//
// The table is a set of parallel arrays, 25 bytes a row, on which all metrics are computed. A row belongs
// to a member (the cluster of the intervals) and to a group (a ranked list); both are dense numbers below
// n_members and n_groups. Zero-initialise to start, release once.
#ifndef BREW_RANK_ANSWERS_H
#define BREW_RANK_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct brew_answers {
    size_t n, cap;
    double *score;     // the probability of a positive outcome
    uint8_t *positive; // the outcome: 0 or 1
    float *weight;     // finite, not negative
    uint32_t *member, *group, *item;
    size_t n_members, n_groups; // all numbers are below; some may have no rows
    bool weighted;              // some weight is not 1
} brew_answers;

typedef struct brew_answer {
    double score;
    float weight;
    bool positive;
    uint32_t member, group, item;
} brew_answer;

// Appends a row and raises n_members and n_groups where needed.
void brew_answers_add(brew_answers *answers, const brew_answer *row);

// *to = the given rows, their members and groups numbered anew, without gaps, in the order in which they
// appear. `to` is zero-initialised by the caller.
void brew_answers_select(const brew_answers *from, const uint32_t *rows, size_t n,
                         brew_answers *to);

void brew_answers_release(brew_answers *answers);

#endif
