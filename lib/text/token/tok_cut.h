// A tokenizer with fewer tokens: what a task never uses goes, and every text whose tokens all stay keeps them.
//
// What must stay is decided by brew_tokenizer_close. Of a kept token, both parts of every merge that makes it
// stay, and so every merge that makes a kept token does; all others go. Then a piece of text whose tokens
// are all kept becomes the same tokens, step by step:
//
//   Merging only joins: a symbol that stands somewhere on the way is in the end a part (of a part ...) of the
//   token that covers it. So all symbols on the way, the first ones included, are kept, and every merge that
//   is done makes a kept token and so is there. At each step the smaller tokenizer sees the same symbols; the
//   merges it may do are some of those the whole one may do, in the same order, and among them is the one that
//   the whole one does, the least of all: so it does the same. Where the whole one can do nothing more, no
//   more can the smaller.
//
// First symbols are the same, too: a character's own token is a part of what it ends in, so it is kept where
// it was used; a character without one becomes bytes or unk as before, and these are always kept. A piece
// that is taken whole (ignore_merges) is a kept token, or was none before. Added tokens are all kept, and
// nothing of normalisation and splitting changes.
//
// Text with a token that went becomes other tokens, in the end bytes (or unk, in a vocabulary without them).
#ifndef BREW_TEXT_TOK_CUT_H
#define BREW_TEXT_TOK_CUT_H

#include <stdbool.h>
#include <stdint.h>

#include "io/json.h"
#include "text/token/tokenizer.h"

// Adds to keep [vocab] what stays with it: parts, all bytes' tokens, added tokens, unk and BOS.
void brew_tokenizer_close(const brew_tokenizer *tok, bool *keep);
// New ids in map [vocab], -1 for what goes: kept entries of the vocabulary in their order, then added tokens
// that are none. Returns how many there are. Ids without a token get none, kept or not.
int64_t brew_tokenizer_number(const brew_tokenizer *tok, const bool *keep, int32_t *map);

// What is to be done with the ids in a Hugging Face file: marked, or replaced by new ones. Ids that are not
// below vocab are refused, negative ones are none.
typedef struct brew_token_ids {
    bool *keep;         // [vocab] or NULL
    const int32_t *map; // [vocab] or NULL
    size_t vocab;
} brew_token_ids;
// A tokenizer.json: its vocabulary, merges, added tokens, templates and padding.
int brew_token_ids_tokenizer(brew_json *json, const brew_token_ids *ids, brew_err *err);
// A config.json, generation_config.json or tokenizer_config.json: bos_token_id and its like, and the keys of
// added_tokens_decoder. Tokens that are only to be suppressed are not marked, and leave their lists when they
// go. Lists of lists, as bad_words_ids, are refused.
int brew_token_ids_config(brew_json *json, const brew_token_ids *ids, brew_err *err);

#endif
