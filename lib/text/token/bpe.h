// Byte-pair encoding of one piece of text: first symbols, then merges in order of (rank, position).
//
// Two alphabets: byte-level, where each byte is a symbol (its entry is the byte's character in GPT-2's
// alphabet); and characters, where each character is a symbol, or its bytes <0xNN> are. What neither
// knows becomes unk, or vanishes and its neighbours meet (as in tokenizers 0.23).
#ifndef BREW_TEXT_BPE_H
#define BREW_TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "text/token/vocab.h"

typedef struct brew_bpe {
    bool byte_level, byte_fallback, fuse_unk, ignore_merges;
    int32_t unk;          // -1: none
    bool all_bytes;       // no byte_id is -1
    int32_t byte_id[256]; // byte-level: the byte's symbol; else <0xNN>; -1: the vocabulary lacks it
    const brew_vocab *vocab;
    uint64_t *pairs; // open addressing: left + 1 << 44 | right << 24 | rank; 0: free
    size_t pair_cap, n_pairs;
    struct brew_merge {
        int32_t left, right, product; // left -1: no merge of this rank is in force
    } * merges;                       // [n_merges], by rank
    size_t n_merges, merge_cap;
    int32_t product_base; // if each rank makes the entry product_base + rank; else -1
    uint64_t *filter;     // a bit for each pair, by hash: clear means there is no such merge
    int filter_bits;
    uint32_t *byte_ranks; // [256 * 256], byte-level only: rank of a pair of bytes; UINT32_MAX: none
    // Per id, the source bytes it stands for (0: unknown).
    uint8_t *widths; // [vocab n], 255: longer
} brew_bpe;

// The next merge: ranks count from 0. Of two equal pairs the later rank holds. Refused beyond 2^24.
int brew_bpe_merge(brew_bpe *bpe, int32_t left, int32_t right, int32_t product, brew_err *err);
// Called once, after the vocabulary and all merges.
void brew_bpe_finish(brew_bpe *bpe, const brew_vocab *vocab);
void brew_bpe_release(brew_bpe *bpe);

// Room for the symbols of one piece; zero-initialise.
typedef struct brew_bpe_work {
    int32_t *ids; // the result
    uint32_t *starts;
    size_t n, cap;
    struct brew_bpe_link *links;
    struct brew_bpe_event *heap;
    size_t link_cap, heap_cap;
    brew_buf spell;
} brew_bpe_work;
void brew_bpe_work_release(brew_bpe_work *work);

// Encodes a piece (valid UTF-8 if not byte-level) into work: n ids, and where in the piece each begins.
void brew_bpe_encode(const brew_bpe *bpe, brew_bpe_work *work, const char *piece, size_t len);

#endif
