// Other columns of scores over the same answers: baselines, and systems read from elsewhere.
//
// A list that grows; names are copied. Zero-initialise to start, release once.
#ifndef BREW_RANK_SYSTEMS_H
#define BREW_RANK_SYSTEMS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct brew_system {
    const char *kind; // where the report lists it: "baselines", "as_of" or "systems"; a literal
    char *name;
    double *score;    // a row per answer; NaN: none
    bool probability; // and not only an order
} brew_system;

typedef struct brew_systems {
    brew_system *list; // [n]
    size_t n, cap;
} brew_systems;

// Appends one with room for `rows` scores, which the caller fills in. The pointer is valid until the next.
brew_system *brew_systems_add(brew_systems *systems, const char *kind, const char *name,
                              bool probability, size_t rows);
void brew_systems_release(brew_systems *systems);

#endif
