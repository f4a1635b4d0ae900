// JSON values, over jansson, with the limits every tool shares.
//
// Parsing refuses duplicate keys, invalid UTF-8, nesting deeper than BREW_JSON_DEPTH and trailing
// bytes; messages give line and column, never contents. A `brew_json` is jansson's json_t under another
// name, so that only lib/io/json.c knows jansson. Values got from a container are borrowed from it;
// values from brew_json_new_* and brew_json_parse are owned and freed with brew_json_free, or given
// away with brew_json_set/_push (which take ownership).
#ifndef BREW_IO_JSON_H
#define BREW_IO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum { BREW_JSON_DEPTH = 64 };

typedef struct json_t brew_json;

enum brew_json_type {
    BREW_JSON_NULL,
    BREW_JSON_BOOL,
    BREW_JSON_INT,
    BREW_JSON_REAL,
    BREW_JSON_STRING,
    BREW_JSON_ARRAY,
    BREW_JSON_OBJECT
};

brew_json *brew_json_parse(const char *text, size_t len, brew_err *err);
// The same, but integers of 19 digits or more become reals instead of an error: for settings that
// other programs write (model_max_length: 1e30 in full), not for records, where an id must not be rounded.
brew_json *brew_json_parse_settings(const char *text, size_t len, brew_err *err);
brew_json *brew_json_load(const char *path, brew_err *err); // a whole file, path in messages
void brew_json_free(brew_json *value);                      // NULL is fine

enum brew_json_type brew_json_type(const brew_json *value);
const char *brew_json_type_name(const brew_json *value);             // "a string", "an array", ...
bool brew_json_is(const brew_json *value, enum brew_json_type type); // false for NULL

// Objects: the member or NULL; and its members in the order written.
brew_json *brew_json_get(const brew_json *object, const char *key);
typedef struct brew_json_iter {
    void *at;
    const char *key;
    brew_json *value;
} brew_json_iter; // zero-initialise; while (brew_json_next(object, &it)) ...
bool brew_json_next(const brew_json *object, brew_json_iter *it);

// Arrays (length 0 for anything else), and scalars: the caller has checked the type.
size_t brew_json_length(const brew_json *array);
brew_json *brew_json_at(const brew_json *array, size_t index);
const char *brew_json_string(const brew_json *value, size_t *len); // len may be NULL
int64_t brew_json_int(const brew_json *value);
double brew_json_real(const brew_json *value); // of an int or a real
bool brew_json_bool(const brew_json *value);

// Typed members of an object: absent members, and null, leave *out alone and return 0; a present one of
// the wrong type or out of [min, max] is an error that names the key; returns 1 when set. A string with
// a NUL character in it is refused; a real may be written as an integer.
int brew_json_want_int(const brew_json *object, const char *key, int64_t min, int64_t max,
                       int64_t *out, brew_err *err);
int brew_json_want_real(const brew_json *object, const char *key, double *out, brew_err *err);
int brew_json_want_bool(const brew_json *object, const char *key, bool *out, brew_err *err);
int brew_json_want_string(const brew_json *object, const char *key, const char **out,
                          brew_err *err);

brew_json *brew_json_new_object(void);
brew_json *brew_json_new_array(void);
brew_json *brew_json_new_string(const char *text,
                                size_t len); // not UTF-8: U+FFFD for what is not ASCII
brew_json *brew_json_new_int(int64_t value);
brew_json *brew_json_new_real(double value); // not finite: null
brew_json *brew_json_new_bool(bool value);
brew_json *brew_json_copy(const brew_json *value); // deep
void brew_json_set(brew_json *object, const char *key, brew_json *value);
void brew_json_push(brew_json *array, brew_json *value);

// Compact, members in the order written, reals as the shortest decimal that reads back.
void brew_json_write(brew_buf *out, const brew_json *value);
// A string as a JSON literal with quotes; the text must be UTF-8.
void brew_json_write_string(brew_buf *out, const char *text, size_t len);

// The members of a JSON object as they stand in the text, so that unknown ones can be passed through
// byte for byte. The text must already have been parsed without an error. Returns the count, at most
// max; key is the raw literal's inside (escapes not undone).
typedef struct brew_json_slice {
    const char *key, *value;
    size_t key_len, value_len;
} brew_json_slice;
size_t brew_json_slices(const char *text, size_t len, brew_json_slice *slices, size_t max);

// The same for a text not parsed yet, in one fast pass without a tree: checks that it is one JSON object,
// with the limits above, but for two: a key given twice in an object inside is not noticed (at the top it
// is), nor are numbers too large for 64 bits or a double. Returns the count, -1 on error; more than max
// members are an error, too.
ptrdiff_t brew_json_members(const char *text, size_t len, brew_json_slice *slices, size_t max,
                            brew_err *err);
// The text of a raw literal's inside, which must have been checked: escapes undone into out (never longer
// than len). Returns its length.
size_t brew_json_unescape(const char *raw, size_t len, char *out);

#endif
