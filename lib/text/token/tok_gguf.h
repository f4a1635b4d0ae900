// What reading a tokenizer from GGUF and writing it there share: types of tokens, and splits by name.
#ifndef BREW_TEXT_TOK_GGUF_H
#define BREW_TEXT_TOK_GGUF_H

#include "io/gguf.h"
#include "text/token/tok.h"

enum { // tokenizer.ggml.token_type
    BREW_GGUF_TOKEN_NORMAL = 1,
    BREW_GGUF_TOKEN_UNKNOWN,
    BREW_GGUF_TOKEN_CONTROL,
    BREW_GGUF_TOKEN_USER_DEFINED,
    BREW_GGUF_TOKEN_UNUSED,
    BREW_GGUF_TOKEN_BYTE
};

// The byte-level splits that have a name, by number from 0: 1 with its name and, in a zeroed tokenizer,
// its normaliser, steps and ignore_merges; 0 behind the last.
int brew_tok_gguf_split(brew_tokenizer *shape, size_t number, char name[32], brew_err *err);
// Normaliser and decoder of the SentencePiece model, "llama".
int brew_tok_gguf_llama(brew_tokenizer *shape, bool prefix, brew_err *err);

#endif
