// Private to what sorts rows as byte strings: numbers big-endian, times with the sign flipped, ids ended
// by a NUL, so that memcmp gives the order wanted.
#ifndef BREW_TEXT_SORTKEY_H
#define BREW_TEXT_SORTKEY_H

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

static inline void brew_key_u64(brew_buf *out, uint64_t value) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(value >> (56 - 8 * i));
    brew_buf_add(out, bytes, 8);
}

static inline void brew_key_time(brew_buf *out, int64_t time) {
    brew_key_u64(out, (uint64_t)time ^ (uint64_t)1 << 63);
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

// Reading back what was written by the functions above.
typedef struct brew_key_cursor {
    const char *at;
} brew_key_cursor;

static inline uint8_t brew_key_take_u8(brew_key_cursor *c) {
    return (uint8_t)*c->at++;
}

static inline uint64_t brew_key_take_u64(brew_key_cursor *c) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | (unsigned char)*c->at++;
    return value;
}

static inline double brew_key_take_double(brew_key_cursor *c) {
    uint64_t bits = brew_key_take_u64(c);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline const char *brew_key_take_id(brew_key_cursor *c, size_t *len) {
    const char *id = c->at;
    *len = strlen(id);
    c->at += *len + 1;
    return id;
}

#endif
