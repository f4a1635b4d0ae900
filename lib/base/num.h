// Reading numbers from text: the whole text or nothing, no locale, no white space, no hexadecimal.
#ifndef BREW_BASE_NUM_H
#define BREW_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Decimal integer with optional '-' ; false if malformed, empty, or out of range.
bool brew_parse_i64(const char *text, size_t len, int64_t *out);
// Decimal real as in JSON, also ".5", "5." and "+1"; false if malformed or not finite.
bool brew_parse_double(const char *text, size_t len, double *out);

#endif
