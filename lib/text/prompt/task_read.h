// Private to the task file's readers: its parts, each with the complaints of brew_keys.
#ifndef BREW_TEXT_TASK_READ_H
#define BREW_TEXT_TASK_READ_H

#include "text/prompt/keys.h"
#include "text/prompt/task.h"

int brew_task_read_features(const brew_keys *keys, brew_task *task);  // after the actions
int brew_task_read_templates(const brew_keys *keys, brew_task *task); // after tables, features
int brew_task_read_split(const brew_keys *keys, brew_task *task);     // after the events

static inline bool brew_has_control(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) return true;
    return false;
}

#endif
