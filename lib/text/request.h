// A request as text: the prompt record of brew-formats(5), and its way to tokens.
//
// brew_request_parse reads one JSONL line and checks every rule of the format; brew_request_encode
// appends it to a star batch, tokenising what is text. The record's remaining fields, known and
// unknown, travel as one JSON object ("meta line") to the scores, byte for byte.
//
// Ids win over text: query_ids, items_ids and label_ids (which brew-tokenize --to jsonl adds) over
// query, items, label_token_ids and label_tokens; and `ids` over `text` in a plain record. Offsets in
// `answered` and `lines` are bytes of a query that is text, indices of one that is ids.
//
// One brew_request is reused for many records: its memory is rewound by the next parse.
#ifndef BREW_TEXT_REQUEST_H
#define BREW_TEXT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/json.h"
#include "tensor/star.h"
#include "text/token/tokenizer.h"

// A text, or token ids if `ids` is not NULL (ids win where a record holds both).
typedef struct brew_piece {
    const char *text;
    size_t len;
    const int32_t *ids;
    size_t n_ids;
} brew_piece;

typedef struct brew_label_set {
    brew_piece *labels; // [n]; a piece with ids holds exactly one
    size_t n;
} brew_label_set;

typedef struct brew_answered {
    int64_t offset; // byte in the query's UTF-8 text, or index if the query is ids
    int32_t label, set;
    float log_odds; // added to those of the positive labels, as offsets are to an item's
} brew_answered;

typedef struct brew_request {
    brew_piece query, *items; // [n_items]
    size_t n_items;
    brew_label_set *sets; // [n_sets]: 1, or one per item
    size_t n_sets;
    int32_t *targets;         // [n_items], -1 unknown
    float *weights, *offsets; // [n_items]
    brew_answered *answered;  // ascending by offset
    size_t n_answered;
    int64_t *lines; // where history lines begin, ascending (bytes, or indices if the query is ids)
    size_t n_lines;
    int64_t shown; // meta.shown, the events in the query; -1 if it is not given
    brew_buf meta; // the record without query, items, lines and answered: one compact JSON object
    bool is_plain; // {"text": ...}: `query` holds the text, nothing else is set
    brew_arena arena;
} brew_request;

// Messages name the key and the index, never contents. On failure the request is empty.
int brew_request_parse(brew_request *request, const char *line, size_t len, brew_err *err);
void brew_request_release(brew_request *request);
bool brew_request_has_text(const brew_request *request); // is a tokenizer needed?

// Marks in positive [n] which of item i's n labels count as positive: what the record's `positive` says, by
// default the first. meta: a meta line, parsed; it may come from anywhere and is checked.
int brew_request_positive(const brew_json *meta, size_t i, size_t n, uint8_t *positive,
                          brew_err *err);

// Whether a member's key, which may hold escapes, is this name (ASCII).
bool brew_request_key_is(const brew_json_slice *slice, const char *name);
// The members of an object that has been parsed, in an array from malloc.
brew_json_slice *brew_request_slices(const char *text, size_t len, size_t *n);

// The piece [from, to) of the query that goes when its `drop` oldest history lines go. The last line
// of a text ends behind its newline; of a query given as ids the end of the last line is not known,
// so that it always stays. brew_request_droppable: how many can go.
size_t brew_request_droppable(const brew_request *request);
void brew_request_cut(const brew_request *request, size_t drop, size_t *from, size_t *to);

enum brew_fit { BREW_FIT_REJECT, BREW_FIT_OLDEST };

typedef struct brew_encode_options {
    bool bos;          // a query of text gets BOS when the tokenizer's template adds one
    bool specials;     // special tokens written in data are special
    size_t vocab;      // ids must be below it, 0: not known
    int64_t max_query; // tokens, BOS included, 0: no limit
    int64_t max_span;  // query + longest item, 0: no limit (the model's context)
    enum brew_fit fit; // what to do beyond: reject the record, or drop the fewest oldest lines
    bool long_texts;   // plain texts have no limit: the caller cuts them
    brew_ids *query; // NULL, or with_offsets: receives the query's tokens (brew_request_write_ids)
} brew_encode_options;

typedef struct brew_encode_counts {
    uint64_t records, items, tokens, history_answers, answers_dropped, lines_dropped;
} brew_encode_counts;

// Appends the request to star. tok may be NULL when all pieces are ids. On error the star is as before.
//
// A query of text is encoded as a beginning, items and labels as continuations; a label must be one
// token, and the labels of a set must differ. A past answer is read at the row before its label, and
// kept only if a token begins exactly at its offset, has exactly the label's id and is not the first.
// When history lines are dropped, the shortened query is tokenised anew, past answers move with it,
// and `shown` in the meta line goes down by as many, or away if it was not the number of lines. A
// plain text becomes a request without items or answers, encoded as brew_tokenizer_encode says with
// specials recognised and no BOS.
int brew_request_encode(const brew_request *request, const brew_tokenizer *tok,
                        brew_tok_scratch *scratch, const brew_encode_options *options,
                        brew_star *star, brew_encode_counts *counts, brew_err *err);

// The record `line`, of which `request` was parsed, with its ids added: query_ids, items_ids and
// label_ids, `answered` and `lines` turned into indices of query_ids (what has no token of its own
// there is left out); or ids, for a plain one. star holds this request alone; query is what
// options.query received, dropped what counts.lines_dropped grew by: the text of those lines goes too.
void brew_request_write_ids(const brew_request *request, const char *line, size_t len,
                            const brew_star *star, const brew_ids *query, size_t dropped,
                            brew_buf *out);

#endif
