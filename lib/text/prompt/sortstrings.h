// Private to sorter.c: byte strings in memory into the order of memcmp, a string before its extensions.
//
// An entry carries eight bytes of its string as a number, at first the first eight. Entries are divided
// by the highest bits in which these differ; where none do, the eight from where strings first differ are
// fetched. So a string is touched a few times in all, not at every comparison.
#ifndef BREW_TEXT_SORTSTRINGS_H
#define BREW_TEXT_SORTSTRINGS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/pool.h"
#include "text/prompt/sorter.h"

typedef struct brew_sort_entry {
    uint64_t word; // the eight bytes, the first in the highest place, zeros behind the end
    const unsigned char
        *at; // uint32 length, then the bytes; these are not looked at if there are up to eight
} brew_sort_entry;

// The word of the bytes from a depth on.
static inline uint64_t brew_sort_word(const unsigned char *bytes, size_t len, size_t depth) {
    const unsigned char *p = bytes + depth;
    if (len >= depth + 8)
        return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
               (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
               (uint64_t)p[6] << 8 | p[7];
    uint64_t word = 0;
    for (size_t i = 0; depth + i < len; i++) word |= (uint64_t)p[i] << (56 - 8 * i);
    return word;
}

// Sorts entries whose words begin at depth 0, in place. The pool may be NULL.
void brew_sort_strings(brew_sort_entry *entries, size_t n, brew_pool *pool);

#endif
