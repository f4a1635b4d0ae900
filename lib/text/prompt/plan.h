// Which records a member's events become, and what history each shows.
//
// A record asks up to max_questions events of one split and one log, and, where the log names requests (or
// its rows are slates), of one request; of logs with units none that was shown when the first one's action was
// known already. Its history is a stretch of the events whose actions were known
// before the earliest of them was shown, oldest first. Lines stand in the order in which their answers
// became known, so that a history only ever grows at its end. With history_until_split, records of valid
// and test see only what lies before their split; and no record sees events of a later split than its own.
//
//     what a split may see, as it became known   0 ..... begin ====== end .......
//                                                        shown as history
//
// Events in a gap of the split are never asked. Train asks nothing of whom or what is held out, and shows
// no event of an item or task that is: below, and for train, these do not exist.
//
// In train, BREW_TRAIN_ONCE lets history and questions share the events: a record's questions stand
// up to max_history behind the last record's, and the shown events that no earlier record asked or
// answered (those from `fresh` on) may be learned from as answered lines: as far as each of them was shown
// when all lines before it were known (of logs without units: or happened at that very time). The first
// record tells at least as many as it asks, if max_history and times allow. So every train event is
// learned from exactly once, always with nothing before it that was not known. BREW_TRAIN_ALL asks every
// event, and no line is fresh. In valid, test and among candidates no line is ever fresh.
#ifndef BREW_TEXT_PLAN_H
#define BREW_TEXT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/prompt/events.h"
#include "text/prompt/task.h"

typedef struct brew_plan_record {
    size_t number;   // among all of the member's records, from 1
    bool candidates; // else `split` holds
    enum brew_split split;
    size_t asked, n_asked; // in plan->asked
    const size_t *seen;    // what this split may see: events in the order they became known
    size_t begin, end;     // of `seen`: history shown
    size_t fresh;          // in [begin, end]: lines from here on may be learned from
    size_t kept;           // lines at most, of a history that is cut short; SIZE_MAX: it is not
    size_t earlier;        // events known before the earliest question, in plan->known
} brew_plan_record;

typedef struct brew_plan {
    brew_plan_record *records; // [n]
    size_t n, cap;
    size_t *asked;                 // events
    size_t *known;                 // [n_known] events, without candidates, as they became known
    size_t *seen[BREW_SPLITS + 1]; // [n_seen[s]] the same, as far as s (or candidates) may see them
    size_t *train;                 // [n_train] events that train may ask
    size_t n_asked, n_known, n_train, n_seen[BREW_SPLITS + 1];
    size_t asked_cap, known_cap, train_cap, seen_cap[BREW_SPLITS + 1];
} brew_plan;

// May a record of this split (BREW_SPLITS: of candidates) see the event, once its action is known?
bool brew_plan_may_see(const brew_task *task, const brew_event *event, int split);
// May train show it at all? Held out or not, by item and task.
bool brew_plan_is_known_to_train(const brew_task *task, const brew_event *event);
// Plans anew; zero-initialise the plan first. max_history and max_questions stand for the task's; with
// BREW_HISTORY_ALL and _SIMILAR a history holds all there is, whatever max_history. The seed decides a
// sampled history.
void brew_plan_member(brew_plan *plan, const brew_task *task, const brew_member *member,
                      size_t max_history, size_t max_questions, uint64_t seed);
// The same questions with at most `kept` lines of history, and no line to learn from.
brew_plan_record brew_plan_cut_short(const brew_plan_record *record, size_t kept);
void brew_plan_release(brew_plan *plan);

#endif
