// Which share of what is learned from came later than what is asked in test: of all pairs of a training
// event and a test question, those in which the training event has the later time. A split by time has
// none. Other splits do, and a model may then know of a test question's future.
//
// Exact, in bounded memory, in any order of members. Life cycle: new, add each member once, share, free.
#ifndef BREW_TEXT_LATER_H
#define BREW_TEXT_LATER_H

#include "base/err.h"
#include "text/prompt/events.h"
#include "text/prompt/task.h"

typedef struct brew_later brew_later;

// Can the task's split put training events behind test questions at all?
bool brew_later_possible(const brew_task *task);
brew_later *brew_later_new(const brew_task *task, size_t memory_bytes, brew_err *err);
void brew_later_free(brew_later *later); // NULL is fine
int brew_later_add(brew_later *later, const brew_member *member, brew_err *err);
// Once, behind the last add, on the pool's threads (may be NULL); 0 where there is nothing to compare.
int brew_later_share(brew_later *later, brew_pool *pool, double *share, brew_err *err);

#endif
