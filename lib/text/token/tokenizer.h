// Tokenizers: Hugging Face's ids, exactly (tokenizers 0.23), in C.
//
// A tokenizer is loaded from a model (a directory with tokenizer.json, a GGUF file, a model tar) and
// is then read-only and shared by threads; each thread brings a scratch, which holds its piece cache.
// Parts this library does not know are refused by name when loading, never guessed.
#ifndef BREW_TEXT_TOKENIZER_H
#define BREW_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct brew_tokenizer brew_tokenizer;
typedef struct brew_tok_scratch brew_tok_scratch;
struct brew_modeldir;  // io/modeldir.h
struct brew_gguf;      // io/gguf.h
struct brew_gguf_keys; // io/gguf_write.h

// Does a model come with one? (GGUF files may say "none".)
bool brew_tokenizer_present(const struct brew_modeldir *model);
// From an opened model. NULL on failure.
brew_tokenizer *brew_tokenizer_open(const struct brew_modeldir *model, brew_err *err);
// From the text of a tokenizer.json, and of a tokenizer_config.json (may be NULL: then no BOS rule
// beyond the post-processor's).
brew_tokenizer *brew_tokenizer_from_json(const char *json, size_t json_len, const char *config,
                                         size_t config_len, brew_err *err);
// From the metadata of a GGUF file.
brew_tokenizer *brew_tokenizer_from_gguf(const struct brew_gguf *gguf, brew_err *err);
void brew_tokenizer_free(brew_tokenizer *tok);

brew_tok_scratch *brew_tok_scratch_new(const brew_tokenizer *tok);
void brew_tok_scratch_free(brew_tok_scratch *scratch);

typedef struct brew_ids {
    int32_t *ids;
    size_t n, cap;
    // Where wanted (`with_offsets` set by the caller): the byte of the input at which each token
    // begins, or -1 where normalisation changed the text so that no such byte exists.
    bool with_offsets;
    int64_t *offsets;
    size_t offsets_cap;
} brew_ids;
void brew_ids_release(brew_ids *ids);

enum brew_tok_flags {
    BREW_TOK_SPECIALS = 1, // special tokens written in the text are special; otherwise plain text
    BREW_TOK_START = 2, // a text's beginning: the prepended space of the tokenizer, if it has one;
                        // without it the text is encoded as a continuation
};
// Appends the ids of a text. With BREW_TOK_SPECIALS|BREW_TOK_START: exactly what tokenizers'
// encode(text, add_special_tokens=False) gives. The text must be UTF-8 (else BREW_DATA).
int brew_tokenizer_encode(const brew_tokenizer *tok, brew_tok_scratch *scratch, const char *text,
                          size_t len, int flags, brew_ids *out, brew_err *err);
// The text of ids, as tokenizers' decode(ids, skip_special_tokens=False) gives (no clean-up of
// spaces). Bytes that form no UTF-8 are replaced by U+FFFD as there.
int brew_tokenizer_decode(const brew_tokenizer *tok, const int32_t *ids, size_t n, brew_buf *out,
                          brew_err *err);

int32_t brew_tokenizer_bos(const brew_tokenizer *tok);  // -1 unless its own template adds one
size_t brew_tokenizer_vocab(const brew_tokenizer *tok); // largest id + 1
// The raw vocabulary entry of an id (as written in tokenizer.json), or NULL.
const char *brew_tokenizer_entry(const brew_tokenizer *tok, int32_t id, size_t *len);
// Appends it as the text of a tokenizer.json, whatever it was loaded from: what is loaded from that has the
// same digest and decodes alike, here and in Hugging Face's tokenizers.
void brew_tokenizer_write(const brew_tokenizer *tok, brew_buf *out);
// Adds it as metadata of a GGUF file, for a model of so many ids: those that the tokenizer does not know
// are filled up as unused. What is loaded from that has the same digest. Fails, by name, where GGUF
// has no word for what decides ids.
int brew_tokenizer_write_gguf(const brew_tokenizer *tok, size_t vocab, struct brew_gguf_keys *keys,
                              brew_err *err);
const char *brew_tokenizer_digest(const brew_tokenizer *tok);   // SHA-256 hex of what decides ids
const char *brew_tokenizer_describe(const brew_tokenizer *tok); // one line, for brew-inspect

#endif
