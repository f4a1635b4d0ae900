// Where the requests of a run come from, and in which order: prompt records or token streams, from
// files or a pipe, one or several mixed by weight.
//
// What is handed out is one endless sequence, of which a run takes the first N requests, batch by batch. It
// depends on the inputs, the order and the seed alone, so that a resumed run finds its place by
// counting: brew_data_skip.
//
//     stream     as read; a file is read again for the next epoch, a pipe ends
//     shuffle    held in memory, each epoch in an order of its own (train/order.h)
//
// Files, and all that is held, are read once before anything else: what they hold is known then, bad
// records are reported in that pass and passed over in later ones. Of a pipe in stream order nothing is
// known beforehand.
//
// A text longer than the context comes as several: pieces of the context's length, each of which begins with
// the last token of the one before, so that every token but the first has one that it follows.
//
// A request belongs to a task: its meta line's `task`, else the input's name.
#ifndef BREW_TRAIN_DATA_H
#define BREW_TRAIN_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "io/json.h"
#include "text/source.h"
#include "train/batch.h"

typedef struct brew_data_input {
    const char *path; // "-" for standard input
    double weight;    // in a mix; positive
} brew_data_input;

typedef struct brew_data_options {
    brew_source_options reading;
    bool shuffle, hold; // hold: also what is not shuffled
    uint64_t seed;
    int64_t epochs;   // the sequence ends after so many (one input only); 0: never, but for a pipe
    const char *role; // in the provenance: "records"
    const char *teacher; // NULL, or the teacher's stream of the one input
    brew_reject_fn *reject;
    void *arg;
} brew_data_options;

typedef struct brew_data_facts {
    bool known; // false: a pipe, and all that follows is 0
    uint64_t requests, items, tokens, answers, rejected;
    uint64_t known_items, known_history; // answers with a target and a weight
    int64_t longest;                     // tokens of the longest request
    double answer_share;                 // answers per token where they are densest
    double label_share;                  // and their labels
    size_t bytes;                        // held in memory
} brew_data_facts;

typedef struct brew_data brew_data;

// Opens and surveys. NULL on failure, and if there is nothing to learn from.
brew_data *brew_data_open(const brew_data_input *inputs, size_t n, const brew_data_options *options,
                          brew_err *err);
void brew_data_free(brew_data *data); // NULL is fine
const brew_data_facts *brew_data_get_facts(const brew_data *data);
// What identifies the inputs, in the order given: an array of {"sha256", "bytes"}, null for a pipe of which
// not everything has been read. Owned by the caller.
brew_json *brew_data_identity(const brew_data *data);
// Adds the inputs to an entry of a provenance. chain: the one it stands in, or will; call before the entry
// is added for the inputs' own chains to be joined, then with it.
void brew_data_join(brew_data *data, brew_json *chain);
void brew_data_provenance(const brew_data *data, brew_json *entry);

// Appends the next request to batch: 1; 0 the sequence has ended; -1 an error.
int brew_data_next(brew_data *data, brew_batch *batch, brew_err *err);
// Passes over n requests. 0, or -1 also if there are not so many.
int brew_data_skip(brew_data *data, uint64_t n, brew_err *err);
// A hash over all tokens handed out or passed over so far, to know a changed input by.
uint64_t brew_data_hash(const brew_data *data);

size_t brew_data_tasks(const brew_data *data); // seen so far
const char *brew_data_task(const brew_data *data, size_t task);

#endif
