// How long after an item was shown the rows about it go on: the window of a log's units.
#ifndef BREW_DRAFT_SPANS_H
#define BREW_DRAFT_SPANS_H

#include "text/draft/deeds.h"

// A length of time as a task file writes it ("3d") into *window and its ms, or NULL: rows are events as they
// stand. With requests there is always one.
const char *brew_spans_window(const brew_roles *roles, const brew_deeds *deeds,
                              const brew_sample *sample, int64_t *ms, const brew_hints *hints);
// From the first row to the last, in ms; 0 without times.
int64_t brew_spans_whole(const brew_roles *roles, const brew_sample *sample);

#endif
