// UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
#ifndef BREW_BASE_UTF8_H
#define BREW_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool brew_utf8_valid(const char *text, size_t len);
// The length of the well-formed character at text[0], 1 to 4 bytes; 0 if there is none. len >= 1.
size_t brew_utf8_len(const char *text, size_t len);
// Writes a code point (no surrogate, at most 0x10ffff) to out[4]; the bytes written.
size_t brew_utf8_put(uint32_t code, char *out);

#endif
