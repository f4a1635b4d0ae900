// Negatives: what somebody did not choose, where a log tells too much of it or nothing.
//
// From the request: each event that is not positive is kept with probability `rate`.
//
// Drawn: behind each positive event stand up to `per_positive` others of the same time and request, whose
// action is the drawn one of their set, about items that the member has had no event with so far. Items
// are drawn from those that existed: whose first event by anybody, or where the item table has valid_from whose first row,
// is strictly before the positive one's time. Uniform: all of them alike; by popularity: as often as they have
// training events; from a file: those that stand in it, all alike. Of k draws an item may come up again;
// it then stands once. With q the probability of one draw,
//
//     rate = 1 - (1 - q)^k
//
// is the probability that the item stands among them, and weighting by 1 / rate makes up for those
// that do not (Horvitz and Thompson 1952).
//
// A state may tell the popularity, and since when items exist: then nothing is counted, and items that it does not
// know are not drawn.
//
// All draws are functions of (seed, member, event, k): no order, shard or thread shows in them.
// Life cycle: new; restore, perhaps; count for each member, once; ready; then apply, again and again. apply changes a member's
// events in place and is not shared by threads.
#ifndef BREW_TEXT_NEGATIVES_H
#define BREW_TEXT_NEGATIVES_H

#include "base/err.h"
#include "io/json.h"
#include "text/prompt/entities.h"
#include "text/prompt/events.h"

enum brew_negatives_from {
    BREW_NEGATIVES_REQUEST,
    BREW_NEGATIVES_UNIFORM,
    BREW_NEGATIVES_POPULARITY,
    BREW_NEGATIVES_FILE
};

// What the task file says.
typedef struct brew_negatives_how {
    enum brew_negatives_from from;
    double rate;
    int64_t per_positive;
    brew_source file; // from a file: with the column of the item as its id
    bool train_only;
} brew_negatives_how;

typedef struct brew_negatives brew_negatives;

// tables[task->n_item_tables] must outlive it. NULL if the file cannot be read.
brew_negatives *brew_negatives_new(const brew_task *task, const brew_entities *tables,
                                   uint64_t seed, brew_err *err);
void brew_negatives_free(brew_negatives *negatives); // NULL is fine
// The popularity of items for a state, once ready: an object for each table of items; NULL if it is not wanted.
brew_json *brew_negatives_save(const brew_negatives *negatives);
// Takes it up again; -1 if it has another form.
int brew_negatives_restore(brew_negatives *negatives, const brew_json *popularity, brew_err *err);
void brew_negatives_count(brew_negatives *negatives, const brew_member *member);
void brew_negatives_ready(brew_negatives *negatives);
// Drops events, or adds drawn ones. Those drawn are `drawn`, and `rate` is set in all.
void brew_negatives_apply(brew_negatives *negatives, brew_member *member);

#endif
