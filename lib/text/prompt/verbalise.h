// Making data safe to stand inside a prompt.
//
// A prompt's structure is its lines. Whatever could begin one is taken out of values here, at the only
// door: brew_verbalise is called by brew_template_render for each value. Special tokens written in data
// need no care: tokenizers treat record text as plain.
#ifndef BREW_TEXT_VERBALISE_H
#define BREW_TEXT_VERBALISE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/utf8.h" // brew_utf8_valid

// Appends UTF-8 text with each control character (U+0000-001F, U+007F-009F: newlines, NEL, tabs) and
// each line or paragraph separator (U+2028, U+2029) written as one space, and
// without the blanks at both ends.
void brew_verbalise(brew_buf *out, const char *text, size_t len);

#endif
