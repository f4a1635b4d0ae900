// Reading a settings file (JSON): every key known, every value of the right type, every complaint with
// its line.
//
// A place in the file is written as a path: "split.test", "actions[1].label". Messages read
// FILE:LINE: "split.test" must be ..., where LINE is that of the key, or of the object that lacks it.
// All failures are BREW_USAGE: the file stands in for the command line.
#ifndef BREW_TEXT_KEYS_H
#define BREW_TEXT_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/json.h"

typedef struct brew_keys {
    char *path;
    brew_buf text;
    brew_json *root; // an object
    brew_err *err;   // where complaints go, set by load
} brew_keys;

int brew_keys_load(brew_keys *out, const char *path, brew_err *err);
void brew_keys_release(brew_keys *keys);

// The line of a place, 1 if the path leads nowhere.
size_t brew_keys_line(const brew_keys *keys, const char *where);
// Complains: FILE:LINE: "where" <fmt>. Returns -1.
int brew_keys_fail(const brew_keys *keys, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

// Room for a path, and the path of a member ("" is the root).
typedef struct brew_place {
    char text[256];
} brew_place;
brew_place brew_place_of(const char *where, const char *key);
brew_place brew_place_at(const char *where, size_t index);

// All members of the object at `where` are among `known`, a list of names parted by blanks.
int brew_keys_known(const brew_keys *keys, const brew_json *object, const char *where,
                    const char *known);

// Members of the object at `where`. Absent: 0, and *out stays; or, if `required`, -1. Found: 1.
// A string is copied for the caller to free, an object or array is borrowed; a string that is not
// required may be empty.
int brew_keys_string(const brew_keys *keys, const brew_json *object, const char *where,
                     const char *key, bool required, char **out);
int brew_keys_int(const brew_keys *keys, const brew_json *object, const char *where,
                  const char *key, int64_t min, int64_t max, int64_t *out);
int brew_keys_real(const brew_keys *keys, const brew_json *object, const char *where,
                   const char *key, double min, double max, double *out);
// A length of time: seconds, or a text of a whole number and one of s m h d w ("90s", "7d"). Not negative.
int brew_keys_duration(const brew_keys *keys, const brew_json *object, const char *where,
                       const char *key, int64_t *out_ms);
int brew_keys_object(const brew_keys *keys, const brew_json *object, const char *where,
                     const char *key, bool required, brew_json **out);
int brew_keys_array(const brew_keys *keys, const brew_json *object, const char *where,
                    const char *key, bool required, brew_json **out);
// One of `choices`, names parted by blanks: its position.
int brew_keys_choice(const brew_keys *keys, const brew_json *object, const char *where,
                     const char *key, const char *choices, int *out);

#endif
