// The log of a task, for baselines: those of the time before the split, and those as of each question.
#ifndef BREW_RANK_PAST_READ_H
#define BREW_RANK_PAST_READ_H

#include "rank/baseline.h"
#include "rank/past.h"
#include "text/prompt/events.h"

// Fills baselines (initialised here) and past (NULL: not wanted) from the events of a task file. It is an
// error if no event lies before the split.
int brew_past_read(const char *task_path, const brew_events_options *how, brew_reader *reader,
                   brew_baselines *baselines, brew_past *past, brew_err *err);

#endif
