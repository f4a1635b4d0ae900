// Splitting 64 bytes at a time, for a source that defines `masks_of` for its instruction set.
//
// A window begins where a piece begins, so nothing before it matters and no state is carried. Each
// class of bytes is a 64-bit mask; where pieces start follows by shifts. Only starts are taken that
// cannot depend on what lies behind the window or on a byte of 0x80 and above: those at least four
// bytes before it, and not inside white space that touches it. The last piece of a window is looked at
// again as the beginning of the next one. Where no start is certain, split.c finds one.
#include <stdbool.h>

#include "text/token/split.h"

typedef struct masks {
    uint64_t letter, digit, space, newline, blank, quote, high; // blank: 0x20; quote: 0x27
} masks;

static inline masks masks_of(const char *p);

// The bytes of a contraction's letters at p (two readable bytes), 0 if there is none.
static inline unsigned contraction_at(const char *p, char fold) {
    char a = (char)(p[0] | fold), b = (char)(p[1] | fold);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 1;
    return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 2 : 0;
}

static inline uint64_t gpt2_starts(const masks *m, const char *p, uint64_t safe, bool digits) {
    uint64_t L = m->letter, N = m->digit, S = m->space, P = ~(L | N | S);
    uint64_t joined = m->blank << 1;
    uint64_t starts = ((L & ~(L << 1)) | (P & ~(P << 1))) & ~joined;
    if (digits)
        starts |= N | (S & ~(S << 1)) | (S & ~(S >> 1) & ~(N >> 1));
    else
        starts |= (N & ~(N << 1) & ~joined) | (S & ~(S << 1)) | (S & ~(S >> 1));
    for (uint64_t quotes = starts & m->quote & safe; quotes; quotes &= quotes - 1) {
        unsigned i = (unsigned)__builtin_ctzll(quotes), k = contraction_at(p + i + 1, 0);
        if (!k) continue;
        starts &= ~(2ull << i);
        starts |= 2ull << i << k;
    }
    return starts;
}

static inline uint64_t cl100k_starts(const masks *m, const char *p, uint64_t safe, bool three) {
    uint64_t L = m->letter, N = m->digit, S = m->space, P = ~(L | N | S), NL = m->newline;
    // Newlines right behind other characters go with them; the rest of white space is W.
    uint64_t first = NL & (P << 1), W = S & ~(NL & ~(NL + first)), U = W & ~NL;
    uint64_t alone = P & ~(P << 1) & ~(m->blank << 1), joins = alone & (L >> 1);
    uint64_t starts = alone | (L & ~(L << 1) & ~((U | joins) << 1));
    if (three) {
        uint64_t s = N & ~(N << 1), run = N & (N << 1) & (N << 2) & (N << 3);
        for (starts |= s; (s = s << 3 & run);) starts |= s;
    } else {
        starts |= N;
    }
    // White space: its beginning; its last byte, if no newline; what follows its last newline.
    starts |= (W & ~(W << 1)) | (U & ~(W >> 1));
    uint64_t tails = U & ~(U << 1) & ((NL & W) << 1);
    for (uint64_t cut = (U + tails) & ~U & NL; cut; cut &= cut - 1) {
        uint64_t before = tails & ((cut & -cut) - 1); // a newline follows: not the last one yet
        if (before) tails &= ~(1ull << (63 - __builtin_clzll(before)));
    }
    starts |= tails;
    for (uint64_t quotes = joins & m->quote & safe; quotes; quotes &= quotes - 1) {
        unsigned i = (unsigned)__builtin_ctzll(quotes), k = contraction_at(p + i + 1, 0x20);
        if (k) starts |= 2ull << i << k;
    }
    return starts;
}

static inline uint64_t window_starts(enum brew_grammar grammar, const char *p) {
    masks m = masks_of(p);
    unsigned n = m.high ? (unsigned)__builtin_ctzll(m.high) : 64;
    if (n < 8) return 0;
    uint64_t valid = ~0ull >> (64 - n), safe = valid >> 3;
    if (n < 64) {
        m.letter &= valid;
        m.digit &= valid;
        m.space &= valid;
        m.newline &= valid;
        m.blank &= valid;
    }
    uint64_t starts;
    if (grammar == BREW_GRAMMAR_GPT2 || grammar == BREW_GRAMMAR_GPT2_DIGITS)
        starts = gpt2_starts(&m, p, safe, grammar == BREW_GRAMMAR_GPT2_DIGITS);
    else
        starts = cl100k_starts(&m, p, safe, grammar == BREW_GRAMMAR_LLAMA3);
    if (m.space >> (n - 1) & 1) { // undecided from the second byte of this white space on
        uint64_t other = ~m.space & valid;
        safe &= other ? ~0ull >> (62 - (63 - __builtin_clzll(other))) : 1;
    }
    return starts & safe & ~1ull;
}

static inline size_t split_windows(enum brew_grammar grammar, const char *text, size_t at,
                                   size_t len, uint32_t *ends) {
    size_t n = 0;
    while (at < len && n + 64 <= BREW_SPLIT_ROOM) {
        uint64_t starts = len - at >= 64 ? window_starts(grammar, text + at) : 0;
        if (!starts) {
            at = brew_split_grammar(grammar, text, at, len);
            ends[n++] = (uint32_t)at;
            continue;
        }
        for (; starts; starts &= starts - 1)
            ends[n++] = (uint32_t)(at + (unsigned)__builtin_ctzll(starts));
        at = ends[n - 1];
    }
    return n;
}
