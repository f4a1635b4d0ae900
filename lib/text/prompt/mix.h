// A mix: several task files whose records are drawn into one stream.
//
//     {"tasks": [{"file": "jobs.task.json"}, {"file": "feed.task.json", "share": 0.2, "max": 50}]}
//
// Of a task's train records the share is kept, one draw for each by the hash of its id and the seed, and
// then at most max of each member, those whose draws are lowest. Records of valid and test all stay. A
// member's records stand together, task after task.
#ifndef BREW_TEXT_MIX_H
#define BREW_TEXT_MIX_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct brew_mix_part {
    char *path;   // of the task file
    double share; // in (0, 1]
    int64_t max;  // 0: no limit
} brew_mix_part;

typedef struct brew_mix {
    brew_mix_part *parts; // [n]
    size_t n;
} brew_mix;

// Paths in the file are relative to it. On failure (BREW_USAGE, BREW_NOINPUT) *out holds nothing.
int brew_mix_load(brew_mix *out, const char *path, brew_err *err);
void brew_mix_release(brew_mix *mix);

#endif
