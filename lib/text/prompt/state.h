// State: what training events have told, kept for later runs so that these say the same of the same.
//
// A run that fits writes it; another that is given it fits nothing: where the split's sides begin, for each
// feature its mean and the edges of its words, and for negatives by popularity how often items were met. It is one JSON object (brew-formats(5)) with the digest of
// what it depends on in the task: sources without their files, actions, features, offsets, negatives, split.
// A state of another digest does not fit and is refused.
#ifndef BREW_TEXT_STATE_H
#define BREW_TEXT_STATE_H

#include "base/err.h"
#include "io/json.h"
#include "text/prompt/features.h"
#include "text/prompt/task.h"

typedef struct brew_state {
    bool given;
    brew_datasplit split;
    brew_fitted *fitted;   // [features]
    brew_json *popularity; // of items, for negatives.h; NULL: it says nothing of it
} brew_state;

// Reads and checks a state for this task, and fixes the task's split where it says. BREW_USAGE where it
// does not fit.
int brew_state_load(brew_state *out, brew_task *task, const char *path, brew_err *err);
void brew_state_release(brew_state *state, const brew_task *task);
// Writes one. fitted may be NULL for a task without features, popularity where there is none; it is taken.
int brew_state_save(const char *path, const brew_task *task, const brew_datasplit *split,
                    const brew_fitted *fitted, brew_json *popularity, brew_err *err);

#endif
