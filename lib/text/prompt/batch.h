// Many members at once: makes the records of a batch of members on all threads while the next is read and
// the last ones' go out, keeps the order.
// Of several tasks, each with its own events, a member's records come together, task after task.
#ifndef BREW_TEXT_BATCH_H
#define BREW_TEXT_BATCH_H

#include "base/pool.h"
#include "io/out.h"
#include "text/prompt/later.h"
#include "text/prompt/prompt.h"

typedef struct brew_batch brew_batch;

typedef struct brew_batch_part {
    const brew_prompter *prompter;
    brew_events *events;
    brew_later *later; // NULL: nobody asks
} brew_batch_part;

brew_batch *brew_batch_new(const brew_batch_part *parts, size_t n_parts, brew_pool *pool); // copied
void brew_batch_free(brew_batch *batch); // NULL is fine
// One step: the next members' records are made, the last ones' go to out (NULL: nowhere). 1, 0 when nothing is
// left, -1 on error. Adds to counts; *members is the number of members taken so far.
int brew_batch_next(brew_batch *batch, brew_out *out, brew_prompt_counts counts[BREW_SPLITS],
                    uint64_t *members, brew_err *err);

// The statistics of all records so far, which the prompter of the only part counts. For the caller to free.
brew_stats *brew_batch_stats(const brew_batch *batch);

#endif
