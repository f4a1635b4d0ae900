// Building a tokenizer's steps, for both loaders.
#ifndef BREW_TEXT_TOK_STEPS_H
#define BREW_TEXT_TOK_STEPS_H

#include "text/token/tok.h"

brew_tok_normal *brew_tok_add_normal(brew_tokenizer *tok, enum brew_tok_normal_kind kind,
                                     brew_err *err);
brew_tok_step *brew_tok_add_step(brew_tokenizer *tok, enum brew_tok_step_kind kind, brew_err *err);
brew_tok_decode *brew_tok_add_decode(brew_tokenizer *tok, enum brew_tok_decode_kind kind,
                                     brew_err *err);
// Split steps: by a pattern (ours if known, else PCRE2's), by Digits.
int brew_tok_add_pattern(brew_tokenizer *tok, const char *pattern, size_t len,
                         enum brew_tok_behavior behavior, bool invert, brew_err *err);
int brew_tok_add_digits(brew_tokenizer *tok, bool individual, brew_err *err);
int brew_tok_add_bytes(brew_tokenizer *tok, bool prefix, bool use_regex, brew_err *err);

#endif
