// The vocabulary: entries by id, ids by entry, and the alphabet in which byte-level models write bytes.
#ifndef BREW_TEXT_VOCAB_H
#define BREW_TEXT_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    BREW_VOCAB_MAX = (1 << 20) - 1
}; // ids fit 20 bits; the pair table and the piece cache rely on it

typedef struct brew_vocab {
    brew_buf slab; // all entries, one behind the other
    struct brew_vocab_entry {
        size_t at;
        uint32_t len;
        uint32_t set; // 0: no entry has this id
    } * entries;      // [n]
    size_t n, cap;    // n: largest id + 1
    uint32_t *slots;  // id + 1, open addressing by hash of the entry
    size_t slot_cap, used;
} brew_vocab;

// Adds an entry. An id may come once, an entry may come again only with BREW_DATA.
int brew_vocab_put(brew_vocab *vocab, const char *text, size_t len, int64_t id, brew_err *err);
int32_t brew_vocab_get(const brew_vocab *vocab, const char *text, size_t len);  // -1: none
const char *brew_vocab_entry(const brew_vocab *vocab, int32_t id, size_t *len); // NULL: none
void brew_vocab_release(brew_vocab *vocab);

// The alphabet of byte-level models: each byte as one printable character (GPT-2's bytes_to_unicode).
uint32_t brew_byte_to_point(uint8_t byte);
int brew_point_to_byte(uint32_t point); // -1: stands for no byte
// Appends bytes written in that alphabet.
void brew_bytes_spell(brew_buf *out, const char *bytes, size_t len);

#endif
