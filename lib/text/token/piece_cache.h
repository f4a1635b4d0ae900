// What a piece encodes to, remembered: exact (keys are compared whole), private to a thread.
//
// Pieces of up to 15 bytes: slots of 32 bytes, the key (bytes, length in the last) and up to four ids;
// two slots share a cache line and are probed together. Longer pieces, or more ids: a table beside it.
// Full tables are emptied; the cache never changes an answer.
#ifndef BREW_TEXT_PIECE_CACHE_H
#define BREW_TEXT_PIECE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

typedef struct brew_piece_key {
    uint64_t w[2];
} brew_piece_key;

enum { BREW_PIECE_MANY = 255 };

typedef struct brew_piece_slot {
    brew_piece_key key;
    uint32_t
        ids[4]; // ids[0]: count << 24 | id; BREW_PIECE_MANY << 24: more ids, in the other table
} brew_piece_slot;

typedef struct brew_piece_cache {
    brew_piece_slot *slots;
    brew_slab slab;
    int bits; // 1 << bits slots; 0: not made yet
    size_t used;
    struct brew_long_slot {
        uint64_t hash;
        uint32_t len, n_ids;
        size_t bytes_at, ids_at;
    } * longs;
    char *bytes;
    int32_t *ids;
    size_t bytes_used, bytes_cap, ids_used, ids_cap;
} brew_piece_cache;

void brew_piece_cache_release(brew_piece_cache *cache);

// The key of a piece of 1..15 bytes; reads only those.
static inline brew_piece_key brew_piece_key_of(const char *piece, size_t len) {
    unsigned char bytes[16] = {0};
    brew_piece_key key;
    memcpy(bytes, piece, len);
    bytes[15] = (unsigned char)len;
    memcpy(&key, bytes, sizeof key);
    return key;
}

static inline uint64_t brew_piece_hash(brew_piece_key key) {
    uint64_t h = (key.w[0] ^ key.w[1] >> 23 ^ key.w[1] << 41) * 0x9e3779b97f4a7c15u;
    return (h ^ h >> 32) * 0xd6e8feb86659fd93u;
}

// The slot holding the key, or NULL.
static inline const brew_piece_slot *brew_piece_find(const brew_piece_cache *cache,
                                                     brew_piece_key key, uint64_t hash) {
    if (!cache->bits) return NULL;
    const brew_piece_slot *pair = cache->slots + (hash >> (64 - cache->bits) & ~(uint64_t)1);
    uint64_t first = (pair[0].key.w[0] ^ key.w[0]) | (pair[0].key.w[1] ^ key.w[1]);
    uint64_t second = (pair[1].key.w[0] ^ key.w[0]) | (pair[1].key.w[1] ^ key.w[1]);
    pair += first != 0; // which of the two cannot be foretold
    return first && second ? NULL : pair;
}

// Remembers up to four ids (all below 1 << 24) of a short piece; n = BREW_PIECE_MANY, ids NULL: that
// they are in the other table.
void brew_piece_put(brew_piece_cache *cache, brew_piece_key key, uint64_t hash, const int32_t *ids,
                    size_t n);

// Any other piece: its ids, NULL if not remembered. Both pointers are good until the next put.
const int32_t *brew_piece_long_find(const brew_piece_cache *cache, const char *piece, size_t len,
                                    uint64_t hash, size_t *n);
void brew_piece_long_put(brew_piece_cache *cache, const char *piece, size_t len, uint64_t hash,
                         const int32_t *ids, size_t n);

#endif
