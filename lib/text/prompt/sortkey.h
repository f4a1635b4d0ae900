// Private to what sorts rows as byte strings: numbers big-endian, times with the sign flipped, ids ended
// by a NUL, so that memcmp gives the order wanted. Behind an id there are always seven bytes more.
#ifndef BREW_TEXT_SORTKEY_H
#define BREW_TEXT_SORTKEY_H

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

static inline uint64_t brew_key_load(const char *at) {
    const unsigned char *p = (const unsigned char *)at;
    return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
           (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
           (uint64_t)p[6] << 8 | p[7];
}

// Into 8 bytes; returns what is behind them.
static inline char *brew_key_store(char *at, uint64_t value) {
    for (int i = 0; i < 8; i++) at[i] = (char)(unsigned char)(value >> (56 - 8 * i));
    return at + 8;
}

static inline uint64_t brew_key_of_time(int64_t time) {
    return (uint64_t)time ^ (uint64_t)1 << 63;
}

static inline void brew_key_u64(brew_buf *out, uint64_t value) {
    brew_buf_reserve(out, 8);
    brew_key_store(out->ptr + out->len, value);
    out->ptr[out->len += 8] = 0;
}

static inline void brew_key_time(brew_buf *out, int64_t time) {
    brew_key_u64(out, brew_key_of_time(time));
}

static inline void brew_key_id(brew_buf *out, const char *id, size_t len) {
    brew_buf_add(out, id, len);
    brew_buf_addc(out, 0);
}

// The bits of a number that is not negative: they are ordered as it is.
static inline uint64_t brew_key_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

// How many of the first max bytes of two strings are equal.
static inline size_t brew_key_alike(const char *a, const char *b, size_t max) {
    size_t n = 0;
    while (max - n >= 8 && !memcmp(a + n, b + n, 8)) n += 8;
    while (n < max && a[n] == b[n]) n++;
    return n;
}

// Reading back what was written by the functions above.
typedef struct brew_key_cursor {
    const char *at;
} brew_key_cursor;

static inline uint8_t brew_key_take_u8(brew_key_cursor *c) {
    return (uint8_t)*c->at++;
}

static inline uint16_t brew_key_take_u16(brew_key_cursor *c) {
    unsigned high = brew_key_take_u8(c);
    return (uint16_t)(high << 8 | brew_key_take_u8(c));
}

static inline uint64_t brew_key_take_u64(brew_key_cursor *c) {
    uint64_t value = brew_key_load(c->at);
    c->at += 8;
    return value;
}

static inline int64_t brew_key_take_time(brew_key_cursor *c) {
    return (int64_t)brew_key_of_time((int64_t)brew_key_take_u64(c));
}

static inline double brew_key_take_double(brew_key_cursor *c) {
    uint64_t bits = brew_key_take_u64(c);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// strlen of what is mostly short, and has seven more bytes behind its NUL that may be read.
static inline size_t brew_key_id_len(const char *id) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t word;
    memcpy(&word, id, sizeof word);
    word = (word - ones) & ~word & ones << 7; // the lowest bit set is that of the first byte of 0
    if (word) return (size_t)__builtin_ctzll(word) / 8;
#endif
    return strlen(id);
}

static inline const char *brew_key_take_id(brew_key_cursor *c, size_t *len) {
    const char *id = c->at;
    *len = brew_key_id_len(id);
    c->at += *len + 1;
    return id;
}

#endif
