// What a draft has guessed, and what it is not sure about: one clause each, for people. Names of columns and
// files and numbers, never what stands in a cell.
#ifndef BREW_DRAFT_HINTS_H
#define BREW_DRAFT_HINTS_H

#include <stdbool.h>

typedef void brew_hint_fn(void *arg, const char *text);

typedef struct brew_hints {
    brew_hint_fn *say; // NULL: nobody listens
    void *arg;
} brew_hints;

// A guess that is not sure begins with these words.
void brew_hint(const brew_hints *hints, bool sure, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
