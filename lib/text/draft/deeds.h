// Actions drafted from the values of a log: names, labels, gains, order, which are positive.
#ifndef BREW_DRAFT_DEEDS_H
#define BREW_DRAFT_DEEDS_H

#include "io/json.h"
#include "text/draft/hints.h"
#include "text/draft/roles.h"

typedef struct brew_deeds {
    brew_json *actions;  // for the task file: an array, strongest first
    brew_json *positive; // an array of names; NULL: the first one
    brew_buf question;   // what is asked, in words
    uint32_t *order;     // [values] of a column of actions: the action's place; NULL: another kind
    bool drawn;          // there is no other action: negatives are to be drawn
} brew_deeds;

void brew_deeds_draft(brew_deeds *out, const brew_roles *roles, const brew_sample *sample,
                      const brew_hints *hints);
void brew_deeds_release(brew_deeds *deeds);

// Is it the name of something people do, as logs spell it?
bool brew_deed_known(const char *value);

#endif
