// The encoding loop of tokenizers whose splits we know: split many pieces, look them up together.
#include "text/token/tok.h"

#include "base/mem.h"

enum { BATCH = BREW_SPLIT_ROOM };

#define LOW(n) (((uint64_t)1 << 8 * (n)) - 1)
// The mask of the first n bytes of 16, as two words.
static const uint64_t first_bytes[16][2] = {
    {0, 0},          {LOW(1), 0},     {LOW(2), 0},     {LOW(3), 0},
    {LOW(4), 0},     {LOW(5), 0},     {LOW(6), 0},     {LOW(7), 0},
    {~0ull, 0},      {~0ull, LOW(1)}, {~0ull, LOW(2)}, {~0ull, LOW(3)},
    {~0ull, LOW(4)}, {~0ull, LOW(5)}, {~0ull, LOW(6)}, {~0ull, LOW(7)},
};

// The key of a piece of 1..15 bytes with 16 readable ones.
static inline brew_piece_key key_of(const char *piece, size_t len) {
    brew_piece_key key;
    memcpy(&key, piece, sizeof key);
    key.w[0] &= first_bytes[len][0];
    key.w[1] = (key.w[1] & first_bytes[len][1]) | (uint64_t)len << 56;
    return key;
}

static void encode_batch(const brew_tokenizer *tok, brew_tok_scratch *scratch,
                         const brew_tok_view *view, size_t at, const uint32_t *ends, size_t n,
                         brew_ids *out) {
    brew_piece_key keys[BATCH];
    uint64_t hashes[BATCH];
    brew_piece_cache *cache = &scratch->cache;
    const char *text = view->text;
    size_t from = at;
    for (size_t i = 0; i < n; i++) {
        size_t len = ends[i] - from;
        if (len > 15) {
            keys[i].w[1] = 0; // the key of no piece
        } else {
            keys[i] = from + 16 <= view->len ? key_of(text + from, len)
                                             : brew_piece_key_of(text + from, len);
            hashes[i] = brew_piece_hash(keys[i]);
            if (cache->bits)
                __builtin_prefetch(cache->slots + (hashes[i] >> (64 - cache->bits) & ~(uint64_t)1));
        }
        from = ends[i];
    }
    BREW_GROW(out->ids, out->n + 4 * n, out->cap);
    int32_t *ids = out->ids + out->n;
    from = at;
    for (size_t i = 0; i < n; from = ends[i++]) {
        const brew_piece_slot *slot =
            keys[i].w[1] ? brew_piece_find(cache, keys[i], hashes[i]) : NULL;
        if (slot && slot->ids[0] >> 24 != BREW_PIECE_MANY) {
            uint32_t four[4];
            memcpy(four, slot->ids, sizeof four);
            size_t count = four[0] >> 24;
            four[0] &= 0xffffff;
            memcpy(ids, four, sizeof four);
            ids += count;
            continue;
        }
        out->n = (size_t)(ids - out->ids);
        brew_tok_piece(tok, scratch, view, from, ends[i], out);
        BREW_GROW(out->ids, out->n + 4 * (n - i), out->cap);
        ids = out->ids + out->n;
    }
    out->n = (size_t)(ids - out->ids);
}

void brew_tok_fast(const brew_tokenizer *tok, brew_tok_scratch *scratch, const brew_tok_view *view,
                   brew_ids *out) {
    brew_split_batch_fn *split = tok->split;
    uint32_t ends[BATCH];
    for (size_t at = 0; at < view->len;) {
        size_t n = split((enum brew_grammar)tok->grammar, view->text, at, view->len, ends);
        if (out->with_offsets) {
            for (size_t i = 0, from = at; i < n; from = ends[i++])
                brew_tok_piece(tok, scratch, view, from, ends[i], out);
        } else {
            encode_batch(tok, scratch, view, at, ends, n, out);
        }
        at = ends[n - 1];
    }
}
