// The star batch: the one input of a model. Requests, each one query and its items, as tokens.
//
// An item's tokens see the query and their own earlier tokens, never another item. Positions count
// from 0 in the query and restart at the query's length in every item. Answers are the rows at which a
// label is read: the logits there, over the label set's ids, are the scores.
//
//     requests       r=0                              r=1
//     segments       query | item 0 | item 1          query | item 0
//     ids            q q q q  a a a    b b            q q q   c c
//     answers                     ^      ^                      ^      (then the request's history answers)
//
// The arrays are those of the token stream (brew-formats(5)), a batch of which is one such struct.
// Storage: one owner, grown by the _add functions, forgotten by _reset, freed by _release.
#ifndef BREW_TENSOR_STAR_H
#define BREW_TENSOR_STAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

typedef struct brew_star {
    // T tokens, S segments, R requests, A answers, G label sets
    size_t n_ids, n_segments, n_requests, n_answers, n_sets;
    int32_t *ids;      // [T]
    int64_t *segments; // [S+1] row splits over ids; a query may be empty, an item may not
    int64_t *requests; // [R+1] row splits over segments; a request's first segment is its query
    int64_t *answers;  // [A] row (index into ids); inside a request: items in order, then history
    int64_t *answer_splits; // [R+1] over answers
    int32_t *answer_set;    // [A] label set
    int32_t *targets;       // [A] index into the answer's label set, -1 unknown
    float *weights;         // [A]
    float *offsets;         // [A] added to the score's log-odds (positive label against the rest)
    int32_t *label_ids;     // token ids of all sets
    int64_t *label_splits;  // [G+1] over label_ids
    brew_buf meta;          // R lines of JSON: each record without its texts, newline-terminated
    size_t ids_cap, segments_cap, requests_cap, answers_cap, label_ids_cap, sets_cap; // private
    int32_t *set_slots; // private: a hash table of the sets, so that equal ones are found
    size_t set_slots_cap, sets_indexed;
} brew_star;

void brew_star_release(brew_star *star);
void brew_star_reset(brew_star *star); // empties, keeps memory

// Building, in this order: request, then its query's tokens, then each item, then its answers.
void brew_star_add_request(brew_star *star); // opens a request with an empty query
void brew_star_add_ids(brew_star *star, const int32_t *ids, size_t n); // to the last segment
void brew_star_add_item(brew_star *star);                              // opens the next item
// The number of this label set, equal sets shared. n >= 1.
int32_t brew_star_add_set(brew_star *star, const int32_t *label_ids, size_t n);
void brew_star_add_answer(brew_star *star, int64_t row, int32_t set, int32_t target, float weight,
                          float offset);
void brew_star_add_meta(brew_star *star, const char *json, size_t len); // one line, without newline
// Request r's line of meta, without its newline; NULL if there is none. Found by counting lines.
const char *brew_star_meta(const brew_star *star, size_t r, size_t *len);
// Takes back everything of the last request (a record that turned out bad half way).
void brew_star_drop_request(brew_star *star);
// Takes back the last request's history answers, where only its items are scored.
void brew_star_drop_history(brew_star *star);
// Appends request r of another batch.
void brew_star_append(brew_star *star, const brew_star *from, size_t r);

// Everything a reader must check before use: splits ascending and closed, ids in [0, vocab) (vocab 0:
// only non-negative), items non-empty, label sets non-empty; of each request's answers the first are
// its items' last rows, one for each in order, and the rest are ascending rows of its query; sets and
// targets in range, weights finite and not negative, offsets finite; one line of meta per request.
// The arrays must be as long as the counts say (label_ids: as label_splits says).
int brew_star_check(const brew_star *star, size_t vocab, brew_err *err);

static inline int64_t brew_star_query_len(const brew_star *star, size_t r) {
    int64_t s = star->requests[r];
    return star->segments[s + 1] - star->segments[s];
}
static inline size_t brew_star_items(const brew_star *star, size_t r) {
    return (size_t)(star->requests[r + 1] - star->requests[r] - 1);
}
// Labels of answer a's set.
static inline int64_t brew_star_labels(const brew_star *star, size_t a) {
    int32_t set = star->answer_set[a];
    return star->label_splits[set + 1] - star->label_splits[set];
}
// Query plus longest item: what must fit the context.
int64_t brew_star_span(const brew_star *star, size_t r);

#endif
