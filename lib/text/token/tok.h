// Inside a tokenizer: the parts that its loaders (tok_json.c, tok_gguf.c) fill in and that encoding and
// decoding walk through. Not for other folders; they use tokenizer.h.
#ifndef BREW_TEXT_TOK_H
#define BREW_TEXT_TOK_H

#include "text/token/added.h"
#include "text/token/bpe.h"
#include "text/token/piece_cache.h"
#include "text/token/split.h"
#include "text/token/tokenizer.h"
#include "text/token/unicode.h"
#include "text/token/vocab.h"

// Normalisation, step after step, of each stretch of text between added tokens.
typedef struct brew_tok_normal {
    enum brew_tok_normal_kind { NORMAL_NFC, NORMAL_PREPEND, NORMAL_REPLACE } kind;
    char *from, *to; // Replace: from, to. Prepend: to
    size_t from_len, to_len;
} brew_tok_normal;

// Pre-tokenisation: each step splits every piece of the one before.
typedef struct brew_tok_step {
    enum brew_tok_step_kind {
        STEP_SPLIT, // by fn, regex or literal
        STEP_BYTES, // ByteLevel: fn splits unless NULL; prefix: a space is prepended
        STEP_METASPACE
    } kind;
    enum brew_tok_behavior {
        SPLIT_ISOLATED,
        SPLIT_REMOVED,
        SPLIT_MERGED_WITH_PREVIOUS,
        SPLIT_MERGED_WITH_NEXT,
        SPLIT_CONTIGUOUS
    } behavior;
    bool invert;
    brew_split_fn *fn;
    brew_split_regex *regex;
    char *literal; // Split by a string; Metaspace's replacement
    size_t literal_len;
    bool prefix, prefix_first, split; // Metaspace: prepend always, or only at the start; cut
} brew_tok_step;

typedef struct brew_tok_decode {
    enum brew_tok_decode_kind {
        DECODE_BYTES,
        DECODE_REPLACE,
        DECODE_BYTE_FALLBACK,
        DECODE_FUSE,
        DECODE_STRIP,
        DECODE_METASPACE
    } kind;
    char *from, *to; // Replace; Strip and Metaspace: from
    size_t from_len, to_len;
    int64_t start, stop; // Strip
    bool drop_first;     // Metaspace
} brew_tok_decode;

enum { BREW_TOK_STEPS = 16 };

struct brew_tokenizer {
    brew_vocab vocab;
    brew_bpe bpe;
    brew_added_token *added;
    size_t n_added, added_cap;
    brew_added_set raw, normalized;
    brew_tok_normal normals[BREW_TOK_STEPS];
    size_t n_normals;
    brew_tok_step steps[BREW_TOK_STEPS];
    size_t n_steps;
    brew_tok_decode decodes[BREW_TOK_STEPS];
    size_t n_decodes;
    bool has_decoder;
    int grammar; // enum brew_grammar if the steps are one of those, else -1
    brew_split_batch_fn *split;
    // Character models without splits: a text may be cut before this string (U+2581) where something
    // else stands before it, because no merge spans such a place. 0 bytes: nowhere.
    char cut[8];
    size_t cut_len;
    int32_t bos;
    size_t n_ids;         // largest id + 1, added tokens included
    int32_t *added_by_id; // [n_ids] index into added, or -1
    char digest[65];
    brew_buf describe;
};

struct brew_tok_scratch {
    const brew_tokenizer *tok;
    brew_bpe_work work;
    brew_piece_cache cache;
    brew_buf text[2]; // normalised text, written to and fro
    brew_origins origins[2];
    brew_buf step_text[BREW_TOK_STEPS]; // text changed by a step
    brew_origins step_origins[BREW_TOK_STEPS];
    struct brew_tok_span {
        size_t from, to;
        bool match;
    } * spans[BREW_TOK_STEPS];
    size_t span_cap[BREW_TOK_STEPS];
    brew_split_room *rooms[BREW_TOK_STEPS];
};

// A stretch of text on its way: where each byte comes from is origins[i], or first + i if NULL.
typedef struct brew_tok_view {
    const char *text;
    size_t len;
    const int64_t *origins;
    int64_t first;
    bool start; // it begins the whole input
} brew_tok_view;

static inline int64_t brew_tok_origin(const brew_tok_view *view, size_t at) {
    return view->origins ? view->origins[at] : view->first + (int64_t)at;
}

// Normalises in the scratch (the result lives until the next call). prepend: Prepend steps act.
brew_tok_view brew_tok_normalize(const brew_tokenizer *tok, brew_tok_scratch *scratch,
                                 brew_tok_view view, bool prepend, bool with_origins);
// Splits and encodes a normalised stretch. prefix: a prepended space at its start is wanted.
int brew_tok_stretch(const brew_tokenizer *tok, brew_tok_scratch *scratch, brew_tok_view view,
                     bool prefix, brew_ids *out, brew_err *err);
// The same for a tokenizer with a grammar.
void brew_tok_fast(const brew_tokenizer *tok, brew_tok_scratch *scratch, const brew_tok_view *view,
                   brew_ids *out);
// Encodes one piece, bytes [from, to) of the view, through the cache.
void brew_tok_piece(const brew_tokenizer *tok, brew_tok_scratch *scratch, const brew_tok_view *view,
                    size_t from, size_t to, brew_ids *out);

// The loaders. Each fills a zeroed tokenizer; brew_tok_finish then derives the rest.
struct brew_gguf;
int brew_tok_load_json(brew_tokenizer *tok, const char *json, size_t len, const char *config,
                       size_t config_len, brew_err *err);
int brew_tok_load_gguf(brew_tokenizer *tok, const struct brew_gguf *gguf, brew_err *err);
int brew_tok_finish(brew_tokenizer *tok, brew_err *err);
// Adds an added token as tokenizers' add_tokens does: an entry of the vocabulary keeps its id, another
// gets the next one. Refused if that is not `id` (-1: any).
int brew_tok_add(brew_tokenizer *tok, brew_added_token token, brew_err *err);
int32_t brew_tok_find(const brew_tokenizer *tok, const char *text,
                      size_t len); // added tokens first

#endif
