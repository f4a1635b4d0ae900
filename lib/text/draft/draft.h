// A task file drafted from a log: what brew-promptify --init writes.
//
// It looks at the first rows of the log, and of the tables of items and members if there are any, guesses by
// names of columns and by what cells hold, says what and why, and writes a task that brew-promptify takes as it
// is. Whoever uses it should read it: a guess about what counts as positive is a decision about a product.
#ifndef BREW_DRAFT_DRAFT_H
#define BREW_DRAFT_DRAFT_H

#include "base/buf.h"
#include "base/err.h"
#include "text/draft/hints.h"

typedef struct brew_draft_options {
    const char *events;          // a file, or "-"
    const char *items, *members; // files; NULL: there is none
    const char *output; // where the draft will lie, to which its paths are relative; NULL: here
    brew_hints hints;
} brew_draft_options;

// Appends the task file. -1 where a file cannot be read, or no column names the member or the item.
int brew_draft(const brew_draft_options *options, brew_buf *out, brew_err *err);

#endif
