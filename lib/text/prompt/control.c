#include "text/prompt/control.h"

#include <string.h>

#include "base/rng.h"

const char *brew_control_name(enum brew_control control) {
    static const char *const names[] = {"none",      "shuffle-labels", "flip-labels", "no-history",
                                        "no-labels", "shuffle-order",  "other-note"};
    return names[control];
}

static bool tells_of_member(const brew_template *section) {
    for (size_t i = 0; i < section->n_parts; i++)
        if (section->parts[i].field >= 0 &&
            section->parts[i].field % BREW_FIELD_KINDS == BREW_FIELD_MEMBER_COLUMN)
            return true;
    return false;
}

const char *brew_control_idle(enum brew_control control, const brew_task *task) {
    bool labels = control == BREW_CONTROL_SHUFFLE_LABELS || control == BREW_CONTROL_FLIP_LABELS ||
                  control == BREW_CONTROL_NO_LABELS;
    if (labels && task->plain) return "its history tells no answers";
    bool other = control != BREW_CONTROL_OTHER_NOTE;
    for (size_t i = 0; i < task->n_styles; i++)
        other |=
            tells_of_member(&task->styles[i].note) || tells_of_member(&task->styles[i].profile);
    if (!other) return "neither note nor profile has a column of the member table";
    return NULL;
}

bool brew_control_keeps_summary(enum brew_control control) {
    return control == BREW_CONTROL_NONE || control == BREW_CONTROL_SHUFFLE_ORDER ||
           control == BREW_CONTROL_OTHER_NOTE;
}

void brew_control_lines(enum brew_control control, uint64_t seed, uint64_t record, size_t *shown,
                        size_t *n_shown) {
    if (control == BREW_CONTROL_NO_HISTORY) *n_shown = 0;
    if (control != BREW_CONTROL_SHUFFLE_ORDER) return;
    for (size_t i = *n_shown; i > 1; i--) { // Fisher and Yates
        size_t k = brew_rand_below(seed, record, i, i), held = shown[k];
        shown[k] = shown[i - 1];
        shown[i - 1] = held;
    }
}

// The lines of one set of actions change places with lines of it alone, from the last to the first: with
// one of those up to itself, each as likely.
static void shuffle(uint64_t seed, uint64_t record, const brew_task *task, const brew_event *events,
                    const size_t *shown, size_t n_shown, int *actions) {
    for (size_t i = n_shown; i-- > 1;) {
        size_t set = task->logs[events[shown[i]].log].actions, n = 0, k = 0;
        for (size_t j = 0; j <= i; j++) n += task->logs[events[shown[j]].log].actions == set;
        size_t pick = brew_rand_below(seed, record, i, n);
        while (task->logs[events[shown[k]].log].actions != set || pick--) k++;
        int held = actions[k];
        actions[k] = actions[i];
        actions[i] = held;
    }
}

void brew_control_labels(enum brew_control control, uint64_t seed, uint64_t record,
                         const brew_task *task, const brew_event *events, const size_t *shown,
                         size_t n_shown, int *actions) {
    for (size_t i = 0; i < n_shown; i++) {
        const brew_event *e = &events[shown[i]];
        actions[i] = e->action;
        if (task->plain || control == BREW_CONTROL_NO_LABELS) actions[i] = -1;
        if (control == BREW_CONTROL_FLIP_LABELS)
            actions[i] = (int)brew_log_actions(task, e->log)->n - 1 - e->action;
    }
    if (control == BREW_CONTROL_SHUFFLE_LABELS)
        shuffle(seed, record, task, events, shown, n_shown, actions);
}

size_t brew_control_other(uint64_t seed, uint64_t record, size_t own, size_t n) {
    if (own >= n) return n ? brew_rand_below(seed, record, 0, n) : SIZE_MAX;
    if (n < 2) return SIZE_MAX;
    size_t other = brew_rand_below(seed, record, 0, n - 1);
    return other + (other >= own);
}
