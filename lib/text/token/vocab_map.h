// Ids before and after a vocabulary was cut (brew-prune --vocab), kept in the model's directory so that token
// streams and teachers of the tokenizer it had before still fit.
//
// A file vocab-map.FROM.TO.npy holds int32 [V]: of each of V ids its new one, or -1 for a token that went. FROM
// and TO are the first 16 digits of the two tokenizers' digests, so that a map is never taken for another
// tokenizer's; after several cuts there is one from each tokenizer that there was.
#ifndef BREW_TEXT_VOCAB_MAP_H
#define BREW_TEXT_VOCAB_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/modeldir.h"

typedef struct brew_vocab_map {
    int32_t *ids; // [n] new ids, each at most once, or -1
    size_t n;
} brew_vocab_map;

// from, to: digests of tokenizers.
void brew_vocab_map_name(char out[64], const char *from, const char *to);
// The first 16 digits of FROM, if this is the name of a map to that tokenizer.
bool brew_vocab_map_is(const char *name, const char *to, char from[17]);

// 1; 0 if dir has no such map; -1 if what it has is none. vocab: the ids that `to` has.
int brew_vocab_map_find(brew_vocab_map *map, const brew_modeldir *dir, const char *from,
                        const char *to, size_t vocab, brew_err *err);
// The bytes of a map's file.
int brew_vocab_map_parse(brew_vocab_map *map, const char *bytes, size_t len, size_t vocab,
                         brew_err *err);
void brew_vocab_map_write(const brew_vocab_map *map, brew_buf *out); // appends the .npy file
// The way back: [vocab] old ids; -1 for an id that was none, as only a map that is not complete has.
int32_t *brew_vocab_map_back(const brew_vocab_map *map, size_t vocab);
void brew_vocab_map_release(brew_vocab_map *map);

#endif
