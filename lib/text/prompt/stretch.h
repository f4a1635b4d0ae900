// The strings of a sorter in rounds: each round's next strings, in stretches that threads may take one each.
//
//     brew_round round;
//     brew_round_init(&round, threads);
//     while ((got = brew_round_next(&round, sorter, &err)) > 0)
//         use(round.stretches[0 ... round.n - 1]);
//     brew_round_release(&round);
//
// A stretch knows the string before it, which may be of the same entity, by a copy. Strings stand behind their lengths
// (brew_sort_len) and are valid until the next round, or longer: see brew_sorter_next_many.
#ifndef BREW_TEXT_STRETCH_H
#define BREW_TEXT_STRETCH_H

#include "text/prompt/sorter.h"
#include "text/prompt/sortkey.h"

enum { BREW_STRETCH = 4096 }; // strings, at most

typedef struct brew_stretch {
    const unsigned char *last;            // the string before, or NULL
    unsigned char *strings[BREW_STRETCH]; // [n]
    size_t n;
    brew_buf copies; // of those that do not stay where they are
    brew_buf end;    // a copy of the last of them
} brew_stretch;

typedef struct brew_round {
    brew_stretch *stretches; // [most], of which n have strings
    size_t most, n;
    brew_buf last; // the string before the round
} brew_round;

// How many bytes two strings have in common.
static inline size_t brew_stretch_alike(const unsigned char *a, const unsigned char *b) {
    size_t a_len = brew_sort_len(a), b_len = brew_sort_len(b);
    return brew_key_alike((const char *)a + 4, (const char *)b + 4, a_len < b_len ? a_len : b_len);
}

// For so many threads: two stretches each, one alone without others.
void brew_round_init(brew_round *round, int threads);
void brew_round_release(brew_round *round);
// 1, 0 when no string is left, -1 on error.
int brew_round_next(brew_round *round, brew_sorter *sorter, brew_err *err);

#endif
