// What a task cannot keep from looking into the future, said aloud.
#ifndef BREW_TEXT_LEAKS_H
#define BREW_TEXT_LEAKS_H

#include "io/json.h"
#include "text/prompt/task.h"

// An array of sentences, one for each way in which a later fact may stand in an earlier prompt. The caller
// owns it.
brew_json *brew_task_leaks(const brew_task *task);

#endif
