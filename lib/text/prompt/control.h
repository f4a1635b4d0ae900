// Controls: prompts that are wrong in one known way, to find out what a model really reads. Targets stay.
//
//     shuffle-labels  the answers of a history's lines change places, among lines of one label set
//     flip-labels     each becomes the one that stands as far from the other end of its set
//     no-history      no line
//     no-labels       lines without answers
//     shuffle-order   the lines change places
//     other-note      note and profile tell of another member
//
// The summary counts what was done: it is left out wherever the answers are not as they were in each line.
// Nothing under a control may be learned from as answered. All draws are functions of (seed, record).
#ifndef BREW_TEXT_CONTROL_H
#define BREW_TEXT_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/prompt/events.h"
#include "text/prompt/task.h"

enum brew_control {
    BREW_CONTROL_NONE,
    BREW_CONTROL_SHUFFLE_LABELS,
    BREW_CONTROL_FLIP_LABELS,
    BREW_CONTROL_NO_HISTORY,
    BREW_CONTROL_NO_LABELS,
    BREW_CONTROL_SHUFFLE_ORDER,
    BREW_CONTROL_OTHER_NOTE
};
#define BREW_CONTROLS \
    "none|shuffle-labels|flip-labels|no-history|no-labels|shuffle-order|other-note"

const char *brew_control_name(enum brew_control control);
// Can it change this task's prompts? NULL, or why not.
const char *brew_control_idle(enum brew_control control, const brew_task *task);
bool brew_control_keeps_summary(enum brew_control control);
// Changes the order of the shown events, or drops them all.
void brew_control_lines(enum brew_control control, uint64_t seed, uint64_t record, size_t *shown,
                        size_t *n_shown);
// The actions that the shown events' lines tell; -1: none.
void brew_control_labels(enum brew_control control, uint64_t seed, uint64_t record,
                         const brew_task *task, const brew_event *events, const size_t *shown,
                         size_t n_shown, int *actions);
// Another of n members than `own`, if there is one; SIZE_MAX is nobody.
size_t brew_control_other(uint64_t seed, uint64_t record, size_t own, size_t n);

#endif
