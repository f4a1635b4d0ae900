// Which column of a log is what, by its name and by what its cells hold.
#ifndef BREW_DRAFT_ROLES_H
#define BREW_DRAFT_ROLES_H

#include "text/draft/hints.h"
#include "text/draft/sample.h"

// What the value column says.
enum brew_value {
    BREW_VALUE_NONE,    // there is none, or it says the same everywhere
    BREW_VALUE_ACTIONS, // names of what was done
    BREW_VALUE_BINARY,  // one of two: 1 or 0, true or false, yes or no
    BREW_VALUE_RATING,  // a grade
    BREW_VALUE_AMOUNT   // seconds, times, shares: more is better
};

typedef struct brew_roles { // columns of the sample; NULL: there is none
    brew_sample_column *member, *item, *time, *value, *request, *split, *position;
    bool slate; // item holds slates, and their values
    enum brew_value kind;
    enum brew_time_unit unit; // BREW_TIME_ROW without a time
} brew_roles;

// Finds them and tells why. -1, naming the columns there are, without a member or an item.
int brew_roles_find(brew_roles *out, const brew_sample *sample, const char *file,
                    const brew_hints *hints, brew_err *err);

// Has the column one of these roles?
bool brew_roles_has(const brew_roles *roles, const brew_sample_column *column);

#endif
