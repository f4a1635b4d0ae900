// The token stream: star batches as a tar of .npy members (brew-formats(5)).
//
//     brew.json  000000.ids.npy 000000.segments.npy ... 000000.meta.jsonl  000001.ids.npy ...  brew.end.json
//
// With a teacher, two more members stand behind each meta: label_logits.npy and rest_logit.npy; and three
// more if it also tells its likeliest tokens: topk_ids.npy, topk_logits.npy and topk_rest.npy.
//
// The same bytes in a pipe and in a file. Any cut, and any change of a byte, is an error: the reader
// checks the tar, the .npy headers, the batch (brew_star_check), the counts and the SHA-256 in
// brew.end.json, and that nothing follows. Whoever has read to the clean end has read what was written.
#ifndef BREW_IO_STAR_STREAM_H
#define BREW_IO_STAR_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "io/in.h"
#include "io/json.h"
#include "io/out.h"
#include "tensor/star.h"

typedef struct brew_star_counts {
    uint64_t batches, requests, items, tokens, answers;
} brew_star_counts;

enum { BREW_MOST_TOPK = 1024 };

// What a teacher said of the answers. A stream with a teacher has it in every batch, is a token stream
// otherwise, and is read as such by whoever does not ask for it.
typedef struct brew_star_teacher {
    const char *model;      // digest of the model (brew_modeldir_digest)
    const char *arithmetic; // "PRECISION/LEVEL"
    const float
        *label_logits; // ragged: those of the batch's answers, each in its label set's order
    const float *rest; // [A] log-sum-exp of all other logits; -INFINITY if there is no other
    // The K likeliest tokens that are no labels of the answer, at most BREW_MOST_TOPK; 0: not told. The likeliest first, of equals that
    // of the smaller id.
    int64_t topk;
    const int32_t *topk_ids;  // [A, K]
    const float *topk_logits; // [A, K]
    const float *topk_rest;   // [A] log-sum-exp of all logits but the labels' and these
} brew_star_teacher;

// ---- writing ----

typedef struct brew_star_writer brew_star_writer;

// Writes brew.json to out, which stays the caller's: commit it after brew_star_write_end. tokenizer is
// the digest of what made the ids ("" if the records were ids), vocab the number of ids it knows (0
// unknown), teacher whose logits every batch will carry (its arrays are not looked at here) or NULL,
// provenance the chain so far (copied; may be NULL).
brew_star_writer *brew_star_write_start(brew_out *out, const char *tokenizer, size_t vocab,
                                        const brew_star_teacher *teacher,
                                        const brew_json *provenance, brew_err *err);
// One batch, with the teacher's logits if the stream has one (else NULL); an empty one is not written.
int brew_star_write(brew_star_writer *writer, const brew_star *star,
                    const brew_star_teacher *teacher, brew_err *err);
const brew_star_counts *brew_star_write_counts(const brew_star_writer *writer);
// Writes brew.end.json with the complete provenance (copied; may be NULL) and the tar's end. Frees writer,
// also on failure.
int brew_star_write_end(brew_star_writer *writer, const brew_json *provenance, brew_err *err);
void brew_star_write_abandon(brew_star_writer *writer); // NULL is fine; out is not touched

// ---- reading ----

typedef struct brew_star_reader brew_star_reader;

// Whether the input looks like a tar rather than JSONL; takes nothing. -1 on a read error.
int brew_star_sniff(brew_in *in, brew_err *err);
// Reads brew.json from in, which stays the caller's. NULL on failure. Errors from here on say the
// input's name and the member.
brew_star_reader *brew_star_read_start(brew_in *in, brew_err *err);
void brew_star_read_free(brew_star_reader *reader);                   // NULL is fine
const char *brew_star_read_tokenizer(const brew_star_reader *reader); // digest, "" if none
size_t brew_star_read_vocab(const brew_star_reader *reader);          // 0 unknown
// The next batch, checked, borrowed until the next call: 1; 0 the clean end, after which the counts and
// the provenance are those of the whole stream; -1 an error.
int brew_star_read(brew_star_reader *reader, const brew_star **star, brew_err *err);
// NULL if there is no teacher. The logits are those of the batch last read, borrowed until the next call.
const brew_star_teacher *brew_star_read_teacher(const brew_star_reader *reader);
const brew_star_counts *brew_star_read_counts(const brew_star_reader *reader); // so far
// The chain of brew.json, and after the clean end that of brew.end.json. Borrowed.
const brew_json *brew_star_read_provenance(const brew_star_reader *reader);

#endif
