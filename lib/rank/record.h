// One score record, prompt record or plain row, checked: what brew_reader takes answers from.
//
// Everything is borrowed from the parsed line. Only lib/rank/reader.c uses it.
#ifndef BREW_RANK_RECORD_H
#define BREW_RANK_RECORD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "io/json.h"
#include "rank/answers.h"

// What the record does not have is NULL.
typedef struct brew_record {
    const brew_json *root, *meta, *item_meta, *scores, *targets, *item_ids, *weights, *rates;
    const brew_json *positive, *gains; // of all items, or a list for each
    const brew_json *labels;           // of a prompt record, instead of scores
    size_t n;                          // items
    bool plain;
} brew_record;

// Checks every rule that the other functions rely on. prompts: prompt records are fine, too.
int brew_record_open(brew_record *record, const brew_json *root, bool prompts, brew_err *err);
// The field of meta; a plain row is its own meta where it has none.
const brew_json *brew_record_field(const brew_record *record, const char *field);
// Sets score, weight, outcome and gain of item i; false if the outcome is unknown.
bool brew_record_answer(const brew_record *record, size_t i, brew_answer *row);
// Says that items were sampled (meta.sampled, or item_meta.sampled of some item, is true), not at which rate.
bool brew_record_is_sampled(const brew_record *record);
// A string or an integer.
bool brew_record_is_name(const brew_json *value);

#endif
