// The splits of GPT-2, Llama 3 and Qwen 2, character by character: what every faster level must equal.
#include "text/token/split.h"

#include <string.h>

#include "text/token/unicode.h"

// Classes of characters in these patterns.
enum kind { LETTER, NUMBER, SPACE, NEWLINE, OTHER, NUMERIC, END };

typedef struct cursor {
    const char *text;
    size_t len;
    const uint8_t *ucd;
    bool numerics; // what Digits isolates is a class of its own: Rust's numbers are not quite \p{N}
} cursor;

static inline enum kind kind_of(uint8_t byte) {
    if (brew_ucd_in(byte, UCD_L)) return LETTER;
    if (brew_ucd_in(byte, UCD_N)) return NUMBER;
    return brew_ucd_in(byte, UCD_SPACE) ? SPACE : OTHER;
}

// The class of the character at `at`, and its bytes; END with 0 behind the text.
static inline enum kind look(const cursor *c, size_t at, size_t *bytes) {
    *bytes = 0;
    if (at >= c->len) return END;
    uint32_t point;
    *bytes = brew_utf8_get(c->text + at, &point);
    if (point == '\n' || point == '\r') return NEWLINE;
    if (c->numerics && c->ucd[point] & UCD_NUMERIC) return NUMERIC;
    return kind_of(c->ucd[point]);
}

static inline size_t run_of(const cursor *c, size_t at, enum kind want) {
    size_t n;
    while (look(c, at, &n) == want) at += n;
    return at;
}

// Behind an apostrophe: the bytes of s, t, re, ve, m, ll or d (0: none). Folding case also takes
// U+017F, long s, which no other of these letters has.
static size_t contraction(const cursor *c, size_t at, bool fold) {
    if (at >= c->len) return 0;
    const char *p = c->text + at;
    size_t left = c->len - at;
    if (fold && left >= 2 && !memcmp(p, "\xc5\xbf", 2)) return 2;
    char a = p[0], b = left > 1 ? p[1] : 0;
    if (fold) {
        if (a >= 'A' && a <= 'Z') a = (char)(a + 32);
        if (b >= 'A' && b <= 'Z') b = (char)(b + 32);
    }
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 1;
    return ((a == 'r' || a == 'v') && b == 'e') || (a == 'l' && b == 'l') ? 2 : 0;
}

static cursor start(const char *text, size_t len, bool numerics) {
    return (cursor){text, len, brew_ucd(), numerics};
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// With digits, numeric characters are pieces of their own and end the text before them.
static inline size_t gpt2(const char *text, size_t at, size_t len, bool digits) {
    cursor c = start(text, len, digits);
    size_t n, m;
    enum kind here = look(&c, at, &n), next;
    if (here == NUMERIC) return at + n;
    if (text[at] == '\'') {
        size_t k = contraction(&c, at + 1, false);
        if (k) return at + 1 + k;
    }
    if (here == NEWLINE) here = SPACE;
    if (here == SPACE && text[at] == ' ') {
        next = look(&c, at + 1, &m);
        if (next == LETTER || next == OTHER || next == NUMBER) return run_of(&c, at + 1 + m, next);
    }
    if (here != SPACE) return run_of(&c, at + n, here);
    size_t begin = at, last; // last: start of the last white space seen, which is given back
    do {
        last = at;
        at += n;
        next = look(&c, at, &n);
    } while (next == SPACE || next == NEWLINE);
    return next == END || next == NUMERIC || last == begin ? at : last;
}

size_t brew_split_gpt2(const char *text, size_t at, size_t len, bool *match) {
    *match = true;
    return gpt2(text, at, len, false);
}

size_t brew_split_gpt2_digits(const char *text, size_t at, size_t len, bool *match) {
    *match = true;
    return gpt2(text, at, len, true);
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|
// \s*[\r\n]+|\s+(?!\S)|\s+            with digits at most `digits` together
static inline size_t cl100k(const char *text, size_t at, size_t len, int digits) {
    cursor c = start(text, len, false);
    size_t n, m;
    if (text[at] == '\'') {
        size_t k = contraction(&c, at + 1, true);
        if (k) return at + 1 + k;
    }
    enum kind here = look(&c, at, &n), next;
    if (here == LETTER) return run_of(&c, at + n, LETTER);
    if (here == NUMBER) {
        size_t end = at + n;
        while (--digits > 0 && look(&c, end, &n) == NUMBER) end += n;
        return end;
    }
    next = look(&c, at + n, &m);
    if (here != NEWLINE && next == LETTER) return run_of(&c, at + n + m, LETTER);
    if (here == OTHER || (text[at] == ' ' && next == OTHER))
        return run_of(&c, run_of(&c, at + n, OTHER), NEWLINE);
    size_t begin = at, last, newline_end = 0; // white space
    do {
        last = at;
        at += n;
        if (here == NEWLINE) newline_end = at;
        here = look(&c, at, &n);
    } while (here == SPACE || here == NEWLINE);
    if (newline_end) return newline_end;
    return here == END || last == begin ? at : last;
}

size_t brew_split_llama3(const char *text, size_t at, size_t len, bool *match) {
    *match = true;
    return cl100k(text, at, len, 3);
}

size_t brew_split_qwen2(const char *text, size_t at, size_t len, bool *match) {
    *match = true;
    return cl100k(text, at, len, 1);
}

static size_t numeric(const char *text, size_t at, size_t len, bool alone, bool *match) {
    const uint8_t *ucd = brew_ucd();
    uint32_t point;
    at += brew_utf8_get(text + at, &point);
    *match = ucd[point] & UCD_NUMERIC;
    if (*match && alone) return at;
    while (at < len) {
        size_t n = brew_utf8_get(text + at, &point);
        if (!(ucd[point] & UCD_NUMERIC) == *match) break;
        at += n;
    }
    return at;
}

size_t brew_split_digit(const char *text, size_t at, size_t len, bool *match) {
    return numeric(text, at, len, true, match);
}

size_t brew_split_digits(const char *text, size_t at, size_t len, bool *match) {
    return numeric(text, at, len, false, match);
}
