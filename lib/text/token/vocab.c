#include "text/token/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "text/token/unicode.h"

static size_t find_slot(const brew_vocab *vocab, const char *text, size_t len) {
    size_t mask = vocab->slot_cap - 1, i = brew_hash64(text, len, 0) & mask;
    for (; vocab->slots[i]; i = (i + 1) & mask) {
        const struct brew_vocab_entry *e = &vocab->entries[vocab->slots[i] - 1];
        if (e->len == len && !memcmp(vocab->slab.ptr + e->at, text, len)) break;
    }
    return i;
}

static void grow_slots(brew_vocab *vocab) {
    size_t old_cap = vocab->slot_cap;
    uint32_t *old = vocab->slots;
    vocab->slot_cap = old_cap ? old_cap * 2 : 1024;
    vocab->slots = brew_calloc(vocab->slot_cap, sizeof *vocab->slots);
    for (size_t i = 0; i < old_cap; i++) {
        if (!old[i]) continue;
        const struct brew_vocab_entry *e = &vocab->entries[old[i] - 1];
        vocab->slots[find_slot(vocab, vocab->slab.ptr + e->at, e->len)] = old[i];
    }
    free(old);
}

int brew_vocab_put(brew_vocab *vocab, const char *text, size_t len, int64_t id, brew_err *err) {
    if (id < 0 || id >= BREW_VOCAB_MAX)
        return brew_fail(err, BREW_DATA, "vocabulary id %lld is not in 0..%d", (long long)id,
                         BREW_VOCAB_MAX - 1);
    if (len > UINT32_MAX)
        return brew_fail(err, BREW_DATA, "vocabulary entry %lld is too long", (long long)id);
    if (vocab->used * 2 >= vocab->slot_cap) grow_slots(vocab);
    if ((size_t)id >= vocab->n) {
        BREW_GROW(vocab->entries, (size_t)id + 1, vocab->cap);
        memset(vocab->entries + vocab->n, 0, ((size_t)id + 1 - vocab->n) * sizeof *vocab->entries);
        vocab->n = (size_t)id + 1;
    }
    if (vocab->entries[id].set)
        return brew_fail(err, BREW_DATA, "two vocabulary entries have the id %lld", (long long)id);
    size_t slot = find_slot(vocab, text, len);
    if (vocab->slots[slot])
        return brew_fail(err, BREW_DATA, "vocabulary ids %u and %lld have the same entry",
                         vocab->slots[slot] - 1, (long long)id);
    vocab->entries[id] = (struct brew_vocab_entry){vocab->slab.len, (uint32_t)len, 1};
    brew_buf_add(&vocab->slab, text, len);
    vocab->slots[slot] = (uint32_t)id + 1;
    vocab->used++;
    return 0;
}

int32_t brew_vocab_get(const brew_vocab *vocab, const char *text, size_t len) {
    if (!vocab->slot_cap) return -1;
    return (int32_t)vocab->slots[find_slot(vocab, text, len)] - 1;
}

const char *brew_vocab_entry(const brew_vocab *vocab, int32_t id, size_t *len) {
    if (id < 0 || (size_t)id >= vocab->n || !vocab->entries[id].set) return NULL;
    *len = vocab->entries[id].len;
    return vocab->slab.ptr + vocab->entries[id].at;
}

void brew_vocab_release(brew_vocab *vocab) {
    brew_buf_release(&vocab->slab);
    free(vocab->entries);
    free(vocab->slots);
    *vocab = (brew_vocab){0};
}

// Printable bytes of Latin-1 stand for themselves, the other 68 are counted up from U+0100.
static int is_printable(unsigned byte) {
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
}

uint32_t brew_byte_to_point(uint8_t byte) {
    if (is_printable(byte)) return byte;
    if (byte <= 0x20) return 0x100u + byte;
    if (byte <= 0xa0) return 0x100u + 33 + (byte - 0x7fu);
    return 0x100u + 67; // 0xad
}

int brew_point_to_byte(uint32_t point) {
    if (point < 0x100) return is_printable(point) ? (int)point : -1;
    if (point <= 0x120) return (int)(point - 0x100);
    if (point <= 0x142) return (int)(point - 0x121 + 0x7f);
    return point == 0x143 ? 0xad : -1;
}

void brew_bytes_spell(brew_buf *out, const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        char c[4];
        size_t n = brew_utf8_put(brew_byte_to_point((uint8_t)bytes[i]), c);
        brew_buf_add(out, c, n);
    }
}
