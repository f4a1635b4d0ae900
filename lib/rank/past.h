// Baselines as of each question: what counts of the events known by then would have scored.
//
// All events of a log are kept (17 bytes each). A question sees those that were known strictly before the
// time of its record (meta.time, that of its earliest question), the member's own and everybody's; where the task's history
// ends at the split, those of the test side are not added at all. So a baseline knows what the prompt could
// have known, no more. With m the positive rate so far, and n and d as in baseline.h, of what is known:
//
//   rate, item, member, member_item, like_ratio   as there
//   popular_7d, popular_30d   positive events of the item in the last 7, or 30, days
//   repeat                    the outcome of the member's last event with this item, or, if there is none, of
//                             the last event, or m
//   item_knn                  the sum over the member's last 50 events of similarity times y, or, if negative,
//                             -m / (1 - m) times it. The similarity of two items is c / sqrt((a + 5)(b + 5)),
//                             a and b being the members with a positive event of either, c those with both.
//                             Members beyond 20,000 are thinned by the hash of their names.
#ifndef BREW_RANK_PAST_H
#define BREW_RANK_PAST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "rank/reader.h"
#include "rank/systems.h"

typedef struct brew_past brew_past;

brew_past *brew_past_new(void);
void brew_past_free(brew_past *past); // NULL is fine
// Adds an event; members and items are interned by their names.
void brew_past_add(brew_past *past, const char *member, size_t member_len, const char *item,
                   size_t item_len, int64_t known_ms, bool positive);
// Adds the baselines to systems, of the kind "as_of"; none, if the time of some answer is not known: returns
// the number of these.
int64_t brew_past_list(brew_past *past, const brew_reader *reader, brew_pool *pool,
                       brew_systems *systems, brew_err *err);

#endif
