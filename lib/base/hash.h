// Hashing: SHA-256 for what is promised (digests in files), and a fast 64-bit hash for tables and
// sampling. Both give the same values on every machine.
#ifndef BREW_BASE_HASH_H
#define BREW_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct brew_sha256 {
    uint64_t state[24]; // opaque
} brew_sha256;
void brew_sha256_init(brew_sha256 *sha);
void brew_sha256_add(brew_sha256 *sha, const void *bytes, size_t len);
void brew_sha256_hex(brew_sha256 *sha, char hex[65]); // 64 lower-case digits and a NUL; ends it
// Digest of a whole file.
int brew_sha256_file(const char *path, char hex[65], brew_err *err);

// 64-bit hash of bytes (not keyed against an adversary). Stable: splits and shards may use it.
uint64_t brew_hash64(const void *bytes, size_t len, uint64_t seed);

// Dense numbers for byte strings: the first distinct string is 0, the next 1, ... Zero-initialise.
typedef struct brew_intern {
    struct brew_intern_slot *slots;
    size_t slot_cap, count, entry_cap;
    struct brew_intern_entry {
        const char *ptr; // NUL-terminated copy, owned, valid until release
        size_t len;
    } * entries; // [count], by number
    struct brew_arena_box *arena;
} brew_intern;
size_t brew_intern_put(brew_intern *table, const char *ptr, size_t len);
// The number, or SIZE_MAX if it was never put.
size_t brew_intern_get(const brew_intern *table, const char *ptr, size_t len);
void brew_intern_release(brew_intern *table);

#endif
