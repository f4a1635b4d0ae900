// A request as text: the prompt record of brew-formats(5), and its way to tokens.
//
// brew_request_parse reads one JSONL line and checks every rule of the format; brew_request_encode
// appends it to a star batch, tokenising what is text. The record's remaining fields, known and
// unknown, travel as one JSON object ("meta line") to the scores, byte for byte.
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
#include "tensor/star.h"
#include "text/tokenizer.h"

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
} brew_answered;

typedef struct brew_request {
    brew_piece query, *items; // [n_items]
    size_t n_items;
    brew_label_set *sets; // [n_sets]: 1, or one per item
    size_t n_sets;
    int32_t *targets;         // [n_items], -1 unknown
    float *weights, *offsets; // [n_items]
    brew_answered *answered;
    size_t n_answered;
    int64_t *lines; // where history lines begin, ascending (bytes, or indices if the query is ids)
    size_t n_lines;
    brew_buf meta; // the record without query, items, lines and answered: one compact JSON object
    bool is_plain; // {"text": ...}: `query` holds the text, nothing else is set
    brew_arena arena;
} brew_request;

int brew_request_parse(brew_request *request, const char *line, size_t len, brew_err *err);
void brew_request_release(brew_request *request);

enum brew_fit { BREW_FIT_REJECT, BREW_FIT_OLDEST };

typedef struct brew_encode_options {
    bool bos;          // the query gets BOS when the tokenizer's template adds one
    bool specials;     // special tokens written in data are special
    int64_t max_query; // tokens, 0: no limit
    int64_t max_span;  // query + longest item, 0: no limit (the model's context)
    enum brew_fit fit; // what to do beyond: reject the record, or drop oldest history lines
} brew_encode_options;

typedef struct brew_encode_counts {
    uint64_t records, items, tokens, history_answers, answers_dropped, lines_dropped;
} brew_encode_counts;

// Appends the request to star. tok may be NULL when all pieces are ids. On error the star is as before.
int brew_request_encode(const brew_request *request, const brew_tokenizer *tok,
                        brew_tok_scratch *scratch, const brew_encode_options *options,
                        brew_star *star, brew_encode_counts *counts, brew_err *err);

#endif
