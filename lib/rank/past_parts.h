// What the files of the as-of baselines share. Only lib/rank/past*.c includes it.
#ifndef BREW_RANK_PAST_PARTS_H
#define BREW_RANK_PAST_PARTS_H

#include "base/hash.h"
#include "rank/past.h"

struct brew_past {
    brew_intern members, items;
    uint32_t *member, *item; // [n] by the numbers above
    int64_t *known_ms;
    uint8_t *positive;
    size_t n, cap;
};

// The answers as the past sees them: UINT32_MAX for a member or item without events.
struct brew_questions {
    const uint32_t *member, *item; // [n]
    const int64_t *asked_ms;
    size_t n;
};

// score[n] of item_knn. order: the events by known_ms. Fails only for want of memory.
int brew_past_neighbours(const brew_past *past, const uint32_t *order,
                         const struct brew_questions *questions, brew_pool *pool, double *score,
                         brew_err *err);

#endif
