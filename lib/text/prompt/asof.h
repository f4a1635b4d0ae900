// Features as of each event: one pass over all events in the order of time, in bounded memory.
//
//     brew_asof *asof = brew_asof_new(task, events, memory_bytes, &err);   // reads all, rewinds
//     while ((got = brew_events_next(events, &member, &err)) > 0) {
//         if (brew_asof_next(asof, &member, &err)) ...
//         use(brew_asof_word(asof, &member, i, feature));
//     }
//
// Events must have been opened with all_first. What is counted, and when, is said in features.h. The
// numbers depend on neither the memory nor the shard. Reading words and offsets is shared by threads.
#ifndef BREW_TEXT_ASOF_H
#define BREW_TEXT_ASOF_H

#include "text/prompt/events.h"
#include "text/prompt/features.h"
#include "text/prompt/negatives.h"
#include "text/prompt/state.h"

typedef struct brew_asof brew_asof;

// Counts all events of a task with features, fits means and edges unless `state` has them, and takes events
// back to the first. Negatives, unless NULL, are readied, and applied to each member behind the counting:
// what is drawn counts nowhere. NULL on failure.
brew_asof *brew_asof_new(const brew_task *task, brew_events *events, size_t memory_bytes,
                         const brew_state *state, brew_negatives *negatives, brew_err *err);
void brew_asof_free(brew_asof *asof); // NULL is fine

// Applies negatives, then fills member->values [n][features] for a member just read; every member must come, in order.
int brew_asof_next(brew_asof *asof, brew_member *member, brew_err *err);

const char *brew_asof_word(const brew_asof *asof, const brew_member *member, size_t event,
                           size_t feature);
// The offset of a question about this event, for a task that has offsets.
double brew_asof_offset(const brew_asof *asof, const brew_member *member, size_t event);
const brew_fitted *brew_asof_fitted(const brew_asof *asof); // [features]

#endif
