// Private to run.c: what is held while running, each task with its events; one unless they are mixed.
#ifndef BREW_TEXT_RUN_PARTS_H
#define BREW_TEXT_RUN_PARTS_H

#include "text/prompt/batch.h"
#include "text/prompt/run.h"
#include "text/prompt/state.h"

typedef struct brew_run_part {
    brew_task *task;
    brew_prompter prompter;
    brew_events *events;
    brew_asof *asof;
    brew_negatives *negatives;
    brew_later *later;
    brew_state state;
} brew_run_part;

struct brew_run {
    brew_run_options options;
    brew_run_part *parts; // [n_parts]
    size_t n_parts;
    brew_batch *batch;
    brew_prompt_counts counts[BREW_SPLITS];
    uint64_t members;
};

#endif
