#include "base/hash.h"

#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"

_Static_assert(sizeof(brew_sha256) >= sizeof(struct sha256_ctx), "room for nettle's state");

void brew_sha256_init(brew_sha256 *sha) {
    sha256_init((struct sha256_ctx *)sha->state);
}

void brew_sha256_add(brew_sha256 *sha, const void *bytes, size_t len) {
    if (len) sha256_update((struct sha256_ctx *)sha->state, len, bytes);
}

void brew_sha256_hex(brew_sha256 *sha, char hex[65]) {
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest((struct sha256_ctx *)sha->state, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        hex[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    hex[64] = 0;
}

int brew_sha256_file(const char *path, char hex[65], brew_err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return brew_fail_errno(err, BREW_NOINPUT, "%s: cannot open", path);
    brew_sha256 sha;
    brew_sha256_init(&sha);
    size_t chunk = (size_t)1 << 20;
    char *bytes = brew_alloc(chunk);
    ssize_t got;
    while ((got = read(fd, bytes, chunk)) > 0) brew_sha256_add(&sha, bytes, (size_t)got);
    if (got < 0) brew_fail_errno(err, BREW_IO, "%s: cannot read", path);
    free(bytes);
    close(fd);
    if (got < 0) return -1;
    brew_sha256_hex(&sha, hex);
    return 0;
}

static uint64_t load32(const unsigned char *p) { // little-endian on every machine
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24;
}

static uint64_t load64(const unsigned char *p) {
    return load32(p) | load32(p + 4) << 32;
}

// Fewer than 8 bytes, zeros behind them.
static uint64_t load_tail(const unsigned char *p, size_t n) {
    if (n >= 4) return load32(p) | load32(p + n - 4) << 8 * (n - 4);
    if (!n) return 0;
    return (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 * (n / 2) | (uint64_t)p[n - 1] << 8 * (n - 1);
}

static uint64_t fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Multiply-and-fold over 8-byte words; the tail is padded with zeros and the length closes it.
uint64_t brew_hash64(const void *bytes, size_t len, uint64_t seed) {
    const unsigned char *p = bytes;
    uint64_t h = brew_mix64(seed ^ 0xa0761d6478bd642fu);
    size_t left = len;
    for (; left >= 8; left -= 8, p += 8)
        h = fold(h ^ load64(p) ^ 0xe7037ed1a0b428dbu, h + 0x8ebc6af09c88c6e3u);
    h = fold(h ^ load_tail(p, left) ^ 0x589965cc75374cc3u, h + (uint64_t)len * 2 + 1);
    return brew_mix64(h ^ (uint64_t)len);
}

// With what a look-up compares, so that it goes from the slot to the bytes.
struct brew_intern_slot {
    uint64_t hash;
    const char *ptr;
    uint32_t len, number_plus_1; // 0: empty
};

struct brew_arena_box {
    brew_arena arena;
};

static void intern_rehash(brew_intern *table, size_t cap) {
    struct brew_intern_slot *slots = brew_calloc(cap, sizeof *slots);
    for (size_t i = 0; i < table->slot_cap; i++) {
        if (!table->slots[i].number_plus_1) continue;
        size_t at = table->slots[i].hash & (cap - 1);
        while (slots[at].number_plus_1) at = (at + 1) & (cap - 1);
        slots[at] = table->slots[i];
    }
    free(table->slots);
    table->slots = slots;
    table->slot_cap = cap;
}

static struct brew_intern_slot *intern_find(const brew_intern *table, const char *ptr, size_t len,
                                            uint64_t hash) {
    size_t at = hash & (table->slot_cap - 1);
    for (;; at = (at + 1) & (table->slot_cap - 1)) {
        struct brew_intern_slot *slot = &table->slots[at];
        if (!slot->number_plus_1) return slot;
        if (slot->hash == hash && slot->len == len && !memcmp(slot->ptr, ptr, len)) return slot;
    }
}

size_t brew_intern_put(brew_intern *table, const char *ptr, size_t len) {
    if (table->count * 10 >= table->slot_cap * 7)
        intern_rehash(table, table->slot_cap ? table->slot_cap * 2 : 64);
    uint64_t hash = brew_hash64(ptr, len, 0);
    struct brew_intern_slot *slot = intern_find(table, ptr, len, hash);
    if (slot->number_plus_1) return slot->number_plus_1 - 1;
    if (table->count >= UINT32_MAX - 1 || len > UINT32_MAX)
        brew_bug("no number for a string of %zu bytes behind %zu others", len, table->count);
    if (!table->arena) table->arena = brew_calloc(1, sizeof *table->arena);
    BREW_GROW(table->entries, table->count + 1, table->entry_cap);
    const char *copy = brew_arena_strndup(&table->arena->arena, ptr, len);
    table->entries[table->count] = (struct brew_intern_entry){copy, len};
    *slot = (struct brew_intern_slot){hash, copy, (uint32_t)len, (uint32_t)++table->count};
    return table->count - 1;
}

size_t brew_intern_get(const brew_intern *table, const char *ptr, size_t len) {
    if (!table->slot_cap) return SIZE_MAX;
    uint32_t number = intern_find(table, ptr, len, brew_hash64(ptr, len, 0))->number_plus_1;
    return number ? number - 1 : SIZE_MAX;
}

void brew_intern_release(brew_intern *table) {
    free(table->slots);
    free(table->entries);
    if (table->arena) brew_arena_release(&table->arena->arena);
    free(table->arena);
    *table = (brew_intern){0};
}
