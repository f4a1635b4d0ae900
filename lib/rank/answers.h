// Scored answers: one row per candidate of which both the score and the outcome are known.
//
// The table is a set of parallel arrays, 29 bytes a row, on which all metrics are computed. A row belongs
// to a member (the cluster of the intervals) and to a group (a ranked list); both are dense numbers below
// n_members and n_groups. A member's key, a hash of its name, is what it is drawn by: numbers depend on the
// order of the rows, keys do not. Zero-initialise to start, release once.
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
    float *gain;       // what the outcome is worth in ndcg; above 0 if positive
    uint32_t *member, *group, *item;
    size_t n_members, n_groups, n_items; // all numbers are below; some may have no rows
    uint64_t *member_key;                // [n_members]
    size_t key_cap;
    bool weighted; // some weight is not 1
    bool graded;   // some gain is neither 0 nor 1, or not that of the outcome
    bool unnamed;  // some item's number is no name's (set by the reader)
} brew_answers;

typedef struct brew_answer {
    double score;
    float weight;
    bool positive;
    uint32_t member, group, item;
    float gain; // 0 where positive: 1
} brew_answer;

// Appends a row and raises n_members, n_groups and n_items where needed. The key of a new member is its
// number, mixed, until it is set.
void brew_answers_add(brew_answers *answers, const brew_answer *row);

// *to = the given rows, their members and groups numbered anew, without gaps, in the order in which they
// appear. `to` is zero-initialised by the caller.
void brew_answers_select(const brew_answers *from, const uint32_t *rows, size_t n,
                         brew_answers *to);

void brew_answers_release(brew_answers *answers);

#endif
