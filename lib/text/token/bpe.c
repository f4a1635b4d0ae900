#include "text/token/bpe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/token/unicode.h"

enum { SCAN_MAX = 48 }; // up to so many symbols the next merge is found by looking at all pairs

enum { RANK_BITS = 24 };
static const uint64_t rank_mask = ((uint64_t)1 << RANK_BITS) - 1;

static inline uint64_t pair_key(int32_t left, int32_t right) {
    return (uint64_t)(left + 1) << 44 | (uint64_t)right << RANK_BITS;
}

static inline uint64_t pair_hash(uint64_t key) {
    uint64_t h = key * 0x9e3779b97f4a7c15u;
    return (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
}

// The slot of a key, or the free one where it would stand.
static inline size_t pair_slot(const brew_bpe *bpe, uint64_t key, uint64_t hash) {
    size_t i = hash >> 32 & (bpe->pair_cap - 1);
    while (bpe->pairs[i] && (bpe->pairs[i] ^ key) > rank_mask) i = (i + 1) & (bpe->pair_cap - 1);
    return i;
}

// The rank of a pair by its key and hash, UINT32_MAX if it does not merge. Most do not: the filter,
// small enough for a near cache, tells so.
static inline uint32_t rank_by_key(const brew_bpe *bpe, uint64_t key, uint64_t hash) {
    size_t bit = hash >> (64 - bpe->filter_bits);
    if (!(bpe->filter[bit >> 6] >> (bit & 63) & 1)) return UINT32_MAX;
    uint64_t slot = bpe->pairs[pair_slot(bpe, key, hash)];
    return slot ? (uint32_t)(slot & rank_mask) : UINT32_MAX;
}

static inline uint32_t rank_of(const brew_bpe *bpe, int32_t left, int32_t right) {
    uint64_t key = pair_key(left, right);
    return rank_by_key(bpe, key, pair_hash(key));
}

// What a rank makes. Where products are numbered by rank, the sum is faster than the table.
static inline int32_t product_of(const brew_bpe *bpe, uint32_t rank) {
    return bpe->product_base >= 0 ? bpe->product_base + (int32_t)rank : bpe->merges[rank].product;
}

static void pairs_resize(brew_bpe *bpe, size_t cap) {
    uint64_t *old = bpe->pairs;
    size_t old_cap = bpe->pair_cap;
    bpe->pairs = brew_calloc(cap, sizeof *bpe->pairs);
    bpe->pair_cap = cap;
    for (size_t i = 0; i < old_cap; i++) {
        uint64_t key = old[i] & ~rank_mask;
        if (old[i]) bpe->pairs[pair_slot(bpe, key, pair_hash(key))] = old[i];
    }
    free(old);
}

int brew_bpe_merge(brew_bpe *bpe, int32_t left, int32_t right, int32_t product, brew_err *err) {
    if (bpe->n_merges > rank_mask - 1)
        return brew_fail(err, BREW_DATA, "tokenizer: more than %llu merges",
                         (unsigned long long)rank_mask);
    if (bpe->n_pairs * 4 >= bpe->pair_cap * 3)
        pairs_resize(bpe, bpe->pair_cap ? bpe->pair_cap * 2 : 1024);
    BREW_GROW(bpe->merges, bpe->n_merges + 1, bpe->merge_cap);
    bpe->merges[bpe->n_merges] = (struct brew_merge){left, right, product};
    uint64_t key = pair_key(left, right), *slot = &bpe->pairs[pair_slot(bpe, key, pair_hash(key))];
    if (*slot)
        bpe->merges[*slot & rank_mask].left = -1;
    else
        bpe->n_pairs++;
    *slot = key | bpe->n_merges++;
    return 0;
}

static void finish_bytes(brew_bpe *bpe) {
    char text[8];
    bpe->all_bytes = true;
    for (int b = 0; b < 256; b++) {
        size_t len;
        if (bpe->byte_level)
            len = brew_utf8_put(brew_byte_to_point((uint8_t)b), text);
        else
            len = (size_t)snprintf(text, sizeof text, "<0x%02X>", (unsigned)b);
        bpe->byte_id[b] = brew_vocab_get(bpe->vocab, text, len);
        bpe->all_bytes = bpe->all_bytes && bpe->byte_id[b] >= 0;
    }
    if (!bpe->byte_level) return;
    bpe->byte_ranks = brew_alloc(256 * 256 * sizeof *bpe->byte_ranks);
    for (size_t i = 0; i < 256 * 256; i++) {
        int32_t left = bpe->byte_id[i >> 8], right = bpe->byte_id[i & 255];
        bpe->byte_ranks[i] = left < 0 || right < 0 ? UINT32_MAX : rank_of(bpe, left, right);
    }
}

// Sixteen to thirty-two bits a pair.
static void make_filter(brew_bpe *bpe) {
    bpe->filter_bits = 10;
    while (((size_t)1 << bpe->filter_bits) < bpe->n_pairs * 16) bpe->filter_bits++;
    bpe->filter = brew_calloc((size_t)1 << (bpe->filter_bits - 6), sizeof *bpe->filter);
    for (size_t i = 0; i < bpe->pair_cap; i++) {
        if (!bpe->pairs[i]) continue;
        size_t bit = pair_hash(bpe->pairs[i] & ~rank_mask) >> (64 - bpe->filter_bits);
        bpe->filter[bit >> 6] |= (uint64_t)1 << (bit & 63);
    }
}

// The source bytes of an entry: its characters each stand for a byte, or it stands for itself.
static uint8_t width(const brew_bpe *bpe, const char *text, size_t len) {
    if (!bpe->byte_level) {
        if (bpe->byte_fallback && len == 6 && !memcmp(text, "<0x", 3) && text[5] == '>') return 1;
        return len < 255 ? (uint8_t)len : 255;
    }
    size_t n = 0;
    for (size_t at = 0; at < len; n++) {
        uint32_t point;
        at += brew_utf8_get(text + at, &point);
        if (brew_point_to_byte(point) < 0) return 0;
    }
    return n < 255 ? (uint8_t)n : 255;
}

static int32_t find_product_base(const brew_bpe *bpe) {
    int32_t base = bpe->n_merges ? bpe->merges[0].product : -1;
    for (size_t i = 0; i < bpe->n_merges; i++)
        if (bpe->merges[i].product != base + (int32_t)i) return -1;
    return base;
}

void brew_bpe_finish(brew_bpe *bpe, const brew_vocab *vocab) {
    bpe->vocab = vocab;
    bpe->product_base = find_product_base(bpe);
    if (!bpe->pair_cap) pairs_resize(bpe, 16);
    make_filter(bpe);
    finish_bytes(bpe);
    bpe->widths = brew_calloc(vocab->n + 1, 1);
    for (size_t id = 0; id < vocab->n; id++) {
        size_t len;
        const char *text = brew_vocab_entry(vocab, (int32_t)id, &len);
        if (text && (int32_t)id != bpe->unk) bpe->widths[id] = width(bpe, text, len);
    }
}

void brew_bpe_release(brew_bpe *bpe) {
    free(bpe->pairs);
    free(bpe->merges);
    free(bpe->filter);
    free(bpe->byte_ranks);
    free(bpe->widths);
}

void brew_bpe_work_release(brew_bpe_work *work) {
    free(work->ids);
    free(work->starts);
    free(work->links);
    free(work->heap);
    brew_buf_release(&work->spell);
}

// ---- First symbols

static inline void add_symbol(brew_bpe_work *w, int32_t id, size_t start) {
    w->ids[w->n] = id;
    w->starts[w->n++] = (uint32_t)start;
}

// The symbols of one character (or byte, if byte-level) of n bytes at p; false: none is known.
static bool known(const brew_bpe *bpe, brew_bpe_work *w, const char *p, size_t n, size_t start,
                  int32_t *whole) {
    *whole = bpe->byte_level ? bpe->byte_id[(uint8_t)*p] : brew_vocab_get(bpe->vocab, p, n);
    if (*whole >= 0) return true;
    if (bpe->byte_level || !bpe->byte_fallback) return false;
    for (size_t i = 0; i < n; i++)
        if (bpe->byte_id[(uint8_t)p[i]] < 0) return false;
    for (size_t i = 0; i < n; i++) add_symbol(w, bpe->byte_id[(uint8_t)p[i]], start + i);
    return true;
}

static void first_symbols(const brew_bpe *bpe, brew_bpe_work *w, const char *piece, size_t len) {
    BREW_GROW(w->ids, len + 1, w->cap);
    w->starts = brew_realloc_array(w->starts, w->cap, sizeof *w->starts);
    w->n = 0;
    // A pending unk is written before the next whole symbol; bytes of a fallback do not flush it.
    size_t unk_at = SIZE_MAX;
    for (size_t at = 0; at < len;) {
        uint32_t point;
        size_t n = bpe->byte_level ? 1 : brew_utf8_get(piece + at, &point);
        int32_t whole;
        if (known(bpe, w, piece + at, n, at, &whole)) {
            if (whole >= 0) {
                if (unk_at != SIZE_MAX) add_symbol(w, bpe->unk, unk_at);
                unk_at = SIZE_MAX;
                add_symbol(w, whole, at);
            }
        } else if (bpe->unk >= 0) {
            if (unk_at != SIZE_MAX && !bpe->fuse_unk) {
                add_symbol(w, bpe->unk, unk_at);
                unk_at = at;
            }
            if (unk_at == SIZE_MAX) unk_at = at;
        }
        at += n;
    }
    if (unk_at != SIZE_MAX) add_symbol(w, bpe->unk, unk_at);
}

// ---- Merging

enum { AT_BITS = 6, NO_PAIR = -1 }; // a pair: rank << AT_BITS | the place of its left symbol
_Static_assert(SCAN_MAX < 1 << AT_BITS && RANK_BITS + AT_BITS < 32, "a pair fits 32 bits");

static inline uint32_t pair_at(uint32_t rank, size_t at) {
    return rank == UINT32_MAX ? (uint32_t)NO_PAIR : rank << AT_BITS | (uint32_t)at;
}

static inline uint32_t smaller(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

// The smallest of n pairs, n a multiple of 4: four chains of conditional moves, no jumps on data.
static inline uint32_t smallest(const uint32_t *pairs, size_t n) {
    uint32_t a = pairs[0], b = pairs[1], c = pairs[2], d = pairs[3];
    for (size_t i = 4; i < n; i += 4) {
        a = smaller(a, pairs[i]);
        b = smaller(b, pairs[i + 1]);
        c = smaller(c, pairs[i + 2]);
        d = smaller(d, pairs[i + 3]);
    }
    return smaller(smaller(a, b), smaller(c, d));
}

// Symbols stay where they are; a merged one leaves a hole. Symbol n is no symbol, and before and after
// the others. piece: its bytes, if each of them is a symbol; else NULL.
static void merge_scan(const brew_bpe *bpe, brew_bpe_work *w, const char *piece) {
    uint32_t pairs[SCAN_MAX + 4];
    uint8_t before[SCAN_MAX + 1], after[SCAN_MAX + 1];
    int32_t *ids = w->ids;
    size_t n = w->n, padded = (n + 3) & ~(size_t)3;
    for (size_t i = 0; i < n; i++) {
        before[i] = (uint8_t)(i ? i - 1 : n);
        after[i] = (uint8_t)(i + 1);
    }
    for (size_t i = 0; i + 1 < n; i++)
        pairs[i] = pair_at(piece ? bpe->byte_ranks[(uint8_t)piece[i] << 8 | (uint8_t)piece[i + 1]]
                                 : rank_of(bpe, ids[i], ids[i + 1]),
                           i);
    for (size_t i = n - 1; i < padded; i++) pairs[i] = (uint32_t)NO_PAIR;
    for (uint32_t best; (best = smallest(pairs, padded)) != (uint32_t)NO_PAIR;) {
        size_t at = best & ((1 << AT_BITS) - 1), gone = after[at], left = before[at];
        size_t right = after[gone];
        int32_t id = product_of(bpe, best >> AT_BITS);
        ids[at] = id;
        ids[gone] = -1;
        pairs[gone] = pairs[at] = (uint32_t)NO_PAIR;
        after[at] = (uint8_t)right;
        before[right] = (uint8_t)at; // right may be n, which has a place for it
        // Both pairs are on their way before either is waited for.
        uint64_t key[2] = {pair_key(id, right < n ? ids[right] : id),
                           pair_key(left < n ? ids[left] : id, id)};
        uint64_t hash[2] = {pair_hash(key[0]), pair_hash(key[1])};
        for (int i = 0; i < 2; i++)
            __builtin_prefetch(&bpe->pairs[hash[i] >> 32 & (bpe->pair_cap - 1)]);
        if (right < n) pairs[at] = pair_at(rank_by_key(bpe, key[0], hash[0]), at);
        if (left < n) pairs[left] = pair_at(rank_by_key(bpe, key[1], hash[1]), left);
    }
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        ids[out] = ids[i];
        w->starts[out] = w->starts[i];
        out += ids[i] >= 0;
    }
    w->n = out;
}

// Long pieces: symbols in a list, possible merges in a heap.
struct brew_bpe_link {
    int32_t id, before, after; // id -1: merged into the one before it
};
struct brew_bpe_event {
    uint32_t rank, at;
};

static bool event_less(const struct brew_bpe_event *a, const struct brew_bpe_event *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(brew_bpe_work *w, size_t *n, struct brew_bpe_event e) {
    BREW_GROW(w->heap, *n + 1, w->heap_cap);
    size_t i = (*n)++;
    for (; i > 0 && event_less(&e, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = e;
}

static struct brew_bpe_event heap_pop(brew_bpe_work *w, size_t *n) {
    struct brew_bpe_event top = w->heap[0], e = w->heap[--*n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= *n) break;
        if (child + 1 < *n && event_less(&w->heap[child + 1], &w->heap[child])) child++;
        if (!event_less(&w->heap[child], &e)) break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = e;
    return top;
}

static void push_pair(const brew_bpe *bpe, brew_bpe_work *w, size_t *n, int32_t at) {
    int32_t after = w->links[at].after;
    if (after < 0) return;
    uint32_t rank = rank_of(bpe, w->links[at].id, w->links[after].id);
    if (rank != UINT32_MAX) heap_push(w, n, (struct brew_bpe_event){rank, (uint32_t)at});
}

static void merge_heap(const brew_bpe *bpe, brew_bpe_work *w) {
    size_t n = w->n, heap_n = 0;
    BREW_GROW(w->links, n, w->link_cap);
    struct brew_bpe_link *links = w->links;
    for (size_t i = 0; i < n; i++)
        links[i] =
            (struct brew_bpe_link){w->ids[i], (int32_t)i - 1, i + 1 < n ? (int32_t)i + 1 : -1};
    for (size_t i = 0; i + 1 < n; i++) push_pair(bpe, w, &heap_n, (int32_t)i);
    while (heap_n) {
        struct brew_bpe_event e = heap_pop(w, &heap_n);
        struct brew_bpe_link *here = &links[e.at];
        if (here->id < 0 || here->after < 0) continue;
        struct brew_bpe_link *next = &links[here->after];
        const struct brew_merge *m = &bpe->merges[e.rank];
        if (m->left != here->id || m->right != next->id) continue; // changed by a merge since then
        here->id = m->product;
        next->id = -1;
        here->after = next->after;
        if (here->after >= 0) links[here->after].before = (int32_t)e.at;
        if (here->before >= 0) push_pair(bpe, w, &heap_n, here->before);
        push_pair(bpe, w, &heap_n, (int32_t)e.at);
    }
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (links[i].id < 0) continue;
        w->ids[out] = links[i].id;
        w->starts[out++] = w->starts[i];
    }
    w->n = out;
}

static int32_t whole_entry(const brew_bpe *bpe, brew_bpe_work *w, const char *piece, size_t len) {
    if (!bpe->byte_level) return brew_vocab_get(bpe->vocab, piece, len);
    brew_buf_reset(&w->spell);
    brew_bytes_spell(&w->spell, piece, len);
    return brew_vocab_get(bpe->vocab, w->spell.ptr, w->spell.len);
}

void brew_bpe_encode(const brew_bpe *bpe, brew_bpe_work *work, const char *piece, size_t len) {
    if (bpe->ignore_merges && len) {
        int32_t id = whole_entry(bpe, work, piece, len);
        if (id >= 0) {
            first_symbols(bpe, work, "", 0);
            add_symbol(work, id, 0);
            return;
        }
    }
    first_symbols(bpe, work, piece, len);
    bool bytes = bpe->byte_level && (bpe->all_bytes || bpe->unk < 0);
    if (work->n < 2) return;
    if (work->n <= SCAN_MAX)
        merge_scan(bpe, work, bytes && work->n == len ? piece : NULL);
    else
        merge_heap(bpe, work);
}
