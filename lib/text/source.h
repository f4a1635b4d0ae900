// Requests from an input, whatever its form: prompt records, or a token stream, told by the first bytes.
//
// Records are tokenised as they come, through the pool's threads. A stream's requests are tokens already:
// the tokenizer that made them must be the encoder's, or one from which its model's was cut
// (text/token/vocab_map.h): then ids become the model's, and a request that holds a token that went is a bad
// one. Each is held to the same limits. What is handed out is one brew_line per record or request, bad
// ones included, so that a caller counts and reports them alike.
//
// Life cycle: open, next until 0 or -1, free. The input and the encoder stay the caller's.
#ifndef BREW_TEXT_SOURCE_H
#define BREW_TEXT_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "io/in.h"
#include "io/json.h"
#include "io/star_stream.h"
#include "text/encoder.h"
#include "text/lines.h"

typedef struct brew_source_options {
    brew_pool *pool;
    brew_encoder *encoder; // with the same limits
    bool texts;      // plain texts are taken, too: requests without items or answers, of any length
    size_t vocab;    // ids must be below it
    int64_t context; // query and longest item, at most
    int64_t max_query; // 0: no further limit
    enum brew_fit fit; // only BREW_FIT_REJECT goes with a stream
} brew_source_options;

typedef struct brew_source brew_source;

// Reads as far as it takes to know what it is. NULL on failure, so when a stream was made by another
// tokenizer.
brew_source *brew_source_open(brew_in *in, const brew_source_options *options, brew_err *err);
void brew_source_free(brew_source *source); // NULL is fine
bool brew_source_is_stream(const brew_source *source);
// The next record or request: 1; 0 the clean end; -1 the input cannot be read on (or not one of its
// texts can be encoded). `failed` tells a bad one. In a stream, `line` is the request's meta line and
// `number` its place, from 1, and `star` is there also for a bad one. Valid until the next call.
int brew_source_next(brew_source *source, brew_line *line, brew_err *err);
// Told of a bad one, `failed` in line, of the input `name`: 0 to go on; nonzero, with err, to give up.
typedef int brew_reject_fn(void *arg, const char *name, const brew_line *line, brew_err *err);
// All that is left, appended to star. Returns 0, or -1.
int brew_source_all(brew_source *source, brew_star *star, brew_reject_fn *reject, void *arg,
                    brew_err *err);
// What a token stream of these requests says of its ids, as they are handed out: the digest of the tokenizer
// that makes or made them, "" if there is none, and how many ids it knows, 0 if unknown. Borrowed.
const char *brew_source_tokenizer(const brew_source *source, size_t *vocab);
// Whether a stream's ids are handed out as others, since its vocabulary was cut.
bool brew_source_renumbers(const brew_source *source);
// NULL if there is none; else its logits are those of the batch that the last line's star is. Borrowed.
const brew_star_teacher *brew_source_teacher(const brew_source *source);
// After the clean end: the chain of what made a stream; NULL for records. Borrowed.
const brew_json *brew_source_provenance(const brew_source *source);

#endif
