// JSON for people: an object's members, and an array's objects, on lines of their own where one line would be
// long.
#ifndef BREW_DRAFT_PRETTY_H
#define BREW_DRAFT_PRETTY_H

#include "io/json.h"

void brew_json_pretty(brew_buf *out, const brew_json *value);

#endif
