#include "text/token/piece_cache.h"

#include <stdlib.h>

enum { FIRST_BITS = 14, LAST_BITS = 18, LONG_BITS = 15, LONG_BYTES = 8 << 20, LONG_PIECE = 1024 };

void brew_piece_cache_release(brew_piece_cache *cache) {
    brew_slab_release(&cache->slab);
    free(cache->longs);
    free(cache->bytes);
    free(cache->ids);
    *cache = (brew_piece_cache){0};
}

static brew_piece_slot *room_for(brew_piece_cache *cache, uint64_t hash) {
    brew_piece_slot *pair = cache->slots + (hash >> (64 - cache->bits) & ~(uint64_t)1);
    if (!pair[0].key.w[1]) return pair;
    if (!pair[1].key.w[1]) return pair + 1;
    return pair + (hash & 1); // one of the two makes room
}

static void grow(brew_piece_cache *cache) {
    brew_slab old = cache->slab, slab = {0};
    const brew_piece_slot *slots = cache->slots;
    size_t n = cache->bits ? (size_t)1 << cache->bits : 0;
    int bits = cache->bits ? cache->bits + 2 : FIRST_BITS;
    if (brew_slab_init(&slab, sizeof *slots << bits, "piece cache", NULL)) return;
    cache->slab = slab;
    cache->slots = slab.ptr;
    cache->bits = bits;
    cache->used = 0;
    for (size_t i = 0; i < n; i++) {
        if (!slots[i].key.w[1]) continue;
        *room_for(cache, brew_piece_hash(slots[i].key)) = slots[i];
        cache->used++;
    }
    brew_slab_release(&old);
}

void brew_piece_put(brew_piece_cache *cache, brew_piece_key key, uint64_t hash, const int32_t *ids,
                    size_t n) {
    if (cache->bits < LAST_BITS && cache->used >= ((size_t)1 << cache->bits) / 4) grow(cache);
    if (!cache->bits) return;
    brew_piece_slot *slot = room_for(cache, hash);
    cache->used += !slot->key.w[1];
    slot->key = key;
    for (size_t i = 0; i < 4; i++) slot->ids[i] = ids && i < n ? (uint32_t)ids[i] : 0;
    slot->ids[0] |= (uint32_t)n << 24;
}

const int32_t *brew_piece_long_find(const brew_piece_cache *cache, const char *piece, size_t len,
                                    uint64_t hash, size_t *n) {
    if (!cache->longs) return NULL;
    const struct brew_long_slot *slot = &cache->longs[hash >> (64 - LONG_BITS)];
    if (!slot->len || slot->hash != hash || slot->len != len ||
        memcmp(cache->bytes + slot->bytes_at, piece, len) != 0)
        return NULL;
    *n = slot->n_ids;
    return cache->ids + slot->ids_at;
}

void brew_piece_long_put(brew_piece_cache *cache, const char *piece, size_t len, uint64_t hash,
                         const int32_t *ids, size_t n) {
    if (len > LONG_PIECE || !len) return;
    if (!cache->longs) cache->longs = brew_calloc((size_t)1 << LONG_BITS, sizeof *cache->longs);
    if (cache->bytes_used + len > LONG_BYTES) { // full: start again
        memset(cache->longs, 0, sizeof *cache->longs << LONG_BITS);
        cache->bytes_used = cache->ids_used = 0;
    }
    BREW_GROW(cache->bytes, cache->bytes_used + len, cache->bytes_cap);
    BREW_GROW(cache->ids, cache->ids_used + n + 1, cache->ids_cap);
    cache->longs[hash >> (64 - LONG_BITS)] = (struct brew_long_slot){
        hash, (uint32_t)len, (uint32_t)n, cache->bytes_used, cache->ids_used};
    memcpy(cache->bytes + cache->bytes_used, piece, len);
    memcpy(cache->ids + cache->ids_used, ids, n * sizeof *ids);
    cache->bytes_used += len;
    cache->ids_used += n;
}
