// What lines become, for brew_lines: records and plain texts to requests or ids, ids back to text.
//
// An encoder holds a model's tokenizer, which is opened when the first text comes (records that are all
// ids need none), and what each thread needs for itself. Its functions are brew_line_fn's, with the
// encoder as their argument, and give the same results whichever thread runs them.
#ifndef BREW_TEXT_ENCODER_H
#define BREW_TEXT_ENCODER_H

#include "base/err.h"
#include "io/modeldir.h"
#include "text/lines.h"
#include "text/request.h"

typedef struct brew_encoder brew_encoder;

// model must outlive the encoder; threads as in the pool that runs it.
brew_encoder *brew_encoder_new(const brew_modeldir *model, int threads,
                               const brew_encode_options *options);
void brew_encoder_free(brew_encoder *encoder);
// Refuses ids that are not below vocab from now on, as options.vocab does.
void brew_encoder_limit(brew_encoder *encoder, size_t vocab);

const brew_modeldir *brew_encoder_model(const brew_encoder *encoder);
// Its tokenizer, opened if it was not yet: NULL on failure. Any thread.
const brew_tokenizer *brew_encoder_tokenizer(brew_encoder *encoder, brew_err *err);
// Whether the tokenizer could not be opened: then no line with text can ever be encoded.
bool brew_encoder_failed(const brew_encoder *encoder);
// Whether the tokenizer was needed so far.
bool brew_encoder_used(const brew_encoder *encoder);
// Sums over all threads. Not while lines run.
brew_encode_counts brew_encoder_counts(const brew_encoder *encoder);

// A record (or {"text": ...}, {"ids": ...}) to a request.
int brew_encode_record(void *encoder, int worker, const char *line, size_t len, brew_star *star,
                       brew_buf *text, brew_err *err);
// The same for those who need items: a plain text is refused.
int brew_encode_prompt(void *encoder, int worker, const char *line, size_t len, brew_star *star,
                       brew_buf *text, brew_err *err);
// A record to the same record with its ids, and a newline.
int brew_encode_record_json(void *encoder, int worker, const char *line, size_t len,
                            brew_star *star, brew_buf *text, brew_err *err);
// A line of plain text to a request without items, or to {"ids": [...]} and a newline.
int brew_encode_text(void *encoder, int worker, const char *line, size_t len, brew_star *star,
                     brew_buf *text, brew_err *err);
int brew_encode_text_json(void *encoder, int worker, const char *line, size_t len, brew_star *star,
                          brew_buf *text, brew_err *err);

// A record with ids to the record with text in their place, and a newline: "ids" becomes "text";
// query_ids, items_ids and label_ids become query, items and label_tokens. The query loses a BOS in
// front; items and labels are read as what they add to the text before them. `lines` and `answered`,
// which count tokens, go.
int brew_decode_record(void *encoder, int worker, const char *line, size_t len, brew_star *star,
                       brew_buf *text, brew_err *err);
// A record with "ids" to their text and a newline.
int brew_decode_text(void *encoder, int worker, const char *line, size_t len, brew_star *star,
                     brew_buf *text, brew_err *err);
// Request r of a star to a record; as_text: to its query's text and a newline.
int brew_decode_request(brew_encoder *encoder, const brew_star *star, size_t r, bool as_text,
                        brew_buf *text, brew_err *err);

#endif
