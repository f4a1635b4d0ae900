// Which records a member's events become, and what history each shows.
//
// A record asks up to max_questions consecutive events of one split; its history is a stretch of the
// events strictly before the earliest of them, the most recent max_history. Events with the time of the
// earliest question are never history. With history_until_split, records of valid and test see only
// what lies before their split; otherwise all that is past at the time.
//
//     events in order   0 ........ begin ====== end ... question ======= question + n_questions
//                                  shown as history     asked
//
// In train, BREW_TRAIN_ONCE lets history and questions share the events: a record's questions stand
// up to max_history behind the last record's, and the shown events that no earlier record asked or
// answered (those from `fresh` on) may be learned from as answered lines. The first record tells at least as many
// as it asks, if max_history and times allow. So every train event is learned
// from exactly once, always with the most recent past before it. BREW_TRAIN_ALL asks every event, and no
// line is fresh. In valid, test and among candidates no line is ever fresh.
#ifndef BREW_TEXT_PLAN_H
#define BREW_TEXT_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "text/prompt/events.h"
#include "text/prompt/task.h"

typedef struct brew_plan_record {
    size_t number;   // among all of the member's records, from 1
    bool candidates; // else `split` holds
    enum brew_split split;
    size_t question, n_questions;
    size_t begin, end; // history shown
    size_t fresh;      // in [begin, end]: lines from here on may be learned from
    size_t earlier;    // events strictly before the earliest question
} brew_plan_record;

typedef struct brew_plan {
    brew_plan_record *records; // [n]
    size_t n, cap;
} brew_plan;

// Plans anew; zero-initialise the plan first. max_history and max_questions stand for the task's.
void brew_plan_member(brew_plan *plan, const brew_task *task, const brew_member *member,
                      size_t max_history, size_t max_questions);
void brew_plan_release(brew_plan *plan);

#endif
