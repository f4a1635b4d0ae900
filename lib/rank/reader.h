// Score records to a table of answers.
//
// brew_reader_add takes one JSONL line: a score record of brew-formats(5), or a plain row
// {"score": P, "label": 0 or 1, "id": ..., "member": ..., "item_id": ..., "time": ..., "weight": ...,
// "sample_rate": ..., "gain": ...} of which only `score` is required.
// It checks every rule it relies on before it changes anything: a bad record leaves the table as it was.
//
// With `prompts` set, prompt records are read, too: without scores, all labels of an item are equally likely.
// Baselines can then be had before there is a model.
//
// - The score of an answer is the sum of the probabilities of its positive labels.
// - Answers whose outcome is unknown (target -1, no targets, no label) are left out and counted.
// - Records with the same id are one request; so are, where a record asks several kinds of questions
//   (item_meta.kind), those of one kind. The group is the request, or the value of a field of meta (and kind).
// - The member is meta.member (in a plain row: member); a record without one is a member of its own, and
//   counted. It is drawn (see bootstrap.h) by its id, or by its bytes, so the order of records plays no part.
// - An answer's weight is weights[i] / sample_rates[i] (each 1 where absent).
// - Its gain is gains[target], or 1 if positive; gains is one list for all items or a list for each.
// - A record whose meta.sampled, or an element of whose item_meta.sampled, is true, and that has no
//   sample_rates, is counted as sampled: then no figure that reads a score as a probability can be right.
// - Each answer is sliced by `by` (see slice.h) and by meta.task.
// - A record with meta.truncated asks once more what another asks, with less of the history. It is no
//   further evidence: it goes to `cut`, which is sliced by truncated alone.
#ifndef BREW_RANK_READER_H
#define BREW_RANK_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "io/json.h"
#include "rank/answers.h"
#include "rank/slice.h"

#define BREW_ASKED_UNKNOWN INT64_MIN

typedef struct brew_reader_counts {
    uint64_t records, items; // accepted
    uint64_t unknown;        // items without an outcome
    uint64_t records_without_member;
    uint64_t sampled; // records
} brew_reader_counts;

typedef struct brew_reader {
    struct brew_reader *cut; // NULL: no such record
    const char *group;       // a field of meta, NULL: the request. Borrowed.
    bool prompts;            // set after init, like the next three
    bool sampled;            // records without sample_rates are taken for sampled
    bool blind;       // scores alone count: items are kept whether or not their outcome is known
    int64_t since_ms; // where time:ahead starts
    brew_by *by;      // [n_by]
    brew_by task;
    size_t n_by;

    brew_answers answers;
    uint32_t *request; // [answers.n]
    int64_t *asked_ms; // [answers.n] meta.time, the time of the record's earliest question
    size_t request_cap;
    // Names by number: '=' and the id, or, where the records give none, '#' and a number of our own (the
    // record's for requests and members, the place in the record for items).
    brew_intern members, groups, items, requests;
    brew_reader_counts counts;
    brew_intern calibrated_on; // digests of questions that the scores' calibration was fitted on
    brew_intern nameless;      // digests of records without member and id
    uint32_t *nameless_times;  // [nameless.count] how often each came
    size_t nameless_cap;
    uint64_t questions[2];
    brew_buf text; // scratch
    uint32_t *slice;
} brew_reader;

// Zero-initialised by the caller; specs (of slices) may be NULL if n is 0. `history` adds the slices of
// meta.history. BREW_USAGE for a bad spec; release also then.
int brew_reader_init(brew_reader *reader, const char *group, const char *const *specs, size_t n,
                     bool history, brew_err *err);
int brew_reader_add(brew_reader *reader, const char *line, size_t len, brew_err *err);
void brew_reader_release(brew_reader *reader);

// The number of a member, item or request by its id, or SIZE_MAX: for joining with other data.
size_t brew_reader_member(brew_reader *reader, const char *id, size_t len);
size_t brew_reader_item(brew_reader *reader, const char *id, size_t len);
size_t brew_reader_request(brew_reader *reader, const char *id, size_t len);

// A digest of what was asked and how it came out: of (id, item_id, outcome) of the answers, whatever their
// order and their scores.
void brew_reader_questions(const brew_reader *reader, char digest[33]);

#endif
