// Score records to a table of answers.
//
// brew_reader_add takes one JSONL line: a score record of brew-formats(5), or a plain row
// {"score": P, "label": 0 or 1, "id": ..., "member": ..., "item_id": ...} of which only `score` is required.
// It checks every rule it relies on before it changes anything: a bad record leaves the table as it was.
//
// With `prompts` set, prompt records are read, too: without scores, all labels of an item are equally likely.
// Baselines can then be had before there is a model.
//
// - The score of an answer is the sum of the probabilities of its positive labels.
// - Answers whose outcome is unknown (target -1, no targets, no label) are left out and counted.
// - Records with the same id are one request. The group is the request, or the value of a field of meta.
// - The member is meta.member (in a plain row: member); a record without one is a member of its own, and
//   counted.
// - An answer's weight is weights[i] / sample_rates[i] (each 1 where absent).
// - Fields to slice by are read as texts. "item.X" is item_meta.X, anything else a field of meta (in a
//   plain row: of the row). meta.history is cut into 0-5, 6-10, 11-100 and 101+.
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

enum { BREW_BY_MISSING = UINT32_MAX, BREW_BY_MAX_VALUES = 1000 };

// One field to slice by.
typedef struct brew_by {
    const char *field; // as given
    brew_intern values;
    uint32_t *value; // [answers.n] a number in values, or BREW_BY_MISSING
    size_t cap;
    bool history; // cut into the four ranges of meta.history
} brew_by;

typedef struct brew_reader_counts {
    uint64_t records, items; // accepted
    uint64_t unknown;        // items without an outcome
    uint64_t records_without_member;
} brew_reader_counts;

typedef struct brew_reader {
    const char *group; // a field of meta, NULL: the request. Borrowed.
    bool prompts;      // set after init
    brew_by *by;       // [n_by]
    size_t n_by;

    brew_answers answers;
    uint32_t *request; // [answers.n]
    size_t request_cap;
    // Names by number: '=' and the id, or, where the records give none, '#' and a number of our own (the
    // record's for requests and members, the place in the record for items).
    brew_intern members, groups, items, requests;
    brew_reader_counts counts;
    brew_buf text; // scratch
    uint32_t *slice;
} brew_reader;

// Zero-initialised by the caller; fields may be NULL if n is 0. `history` adds the slices of meta.history.
void brew_reader_init(brew_reader *reader, const char *group, const char *const *fields, size_t n,
                      bool history);
int brew_reader_add(brew_reader *reader, const char *line, size_t len, brew_err *err);
void brew_reader_release(brew_reader *reader);

// The number of a member or item by its id, or SIZE_MAX: for joining with other data.
size_t brew_reader_member(brew_reader *reader, const char *id, size_t len);
size_t brew_reader_item(brew_reader *reader, const char *id, size_t len);

// The value of a slice as text; NULL for BREW_BY_MISSING.
const char *brew_by_text(const brew_by *by, uint32_t value);

#endif
