// The steps of DeepSeek's splits, character by character. Unlike the others, these patterns leave text
// between their matches; a piece that is not matched ends where the next match begins.
#include "text/token/split.h"

#include "text/token/unicode.h"

typedef bool class_fn(uint32_t point, uint8_t ucd);

static bool is_letter(uint32_t point, uint8_t ucd) {
    (void)point;
    return brew_ucd_in(ucd, UCD_L);
}

static bool is_mark(uint32_t point, uint8_t ucd) { // of punctuation
    (void)point;
    return brew_ucd_in(ucd, UCD_P);
}

static bool is_number(uint32_t point, uint8_t ucd) {
    (void)point;
    return brew_ucd_in(ucd, UCD_N);
}

static bool is_newline(uint32_t point, uint8_t ucd) {
    (void)ucd;
    return point == '\n' || point == '\r';
}

// The letters with case of an older Unicode, from U+0080 on.
static const struct {
    uint32_t first, last;
} cased[] = {{0xb5, 0xb5},       {0xc0, 0xd6},       {0xd8, 0xf6},       {0xf8, 0x1ba},
             {0x1bc, 0x1bf},     {0x1c4, 0x293},     {0x295, 0x2af},     {0x370, 0x373},
             {0x376, 0x377},     {0x37b, 0x37d},     {0x37f, 0x37f},     {0x386, 0x386},
             {0x388, 0x38a},     {0x38c, 0x38c},     {0x38e, 0x3a1},     {0x3a3, 0x3f5},
             {0x3f7, 0x481},     {0x48a, 0x52f},     {0x531, 0x556},     {0x10a0, 0x10c5},
             {0x13a0, 0x13f5},   {0x13f8, 0x13fd},   {0x1c90, 0x1cba},   {0x1cbd, 0x1cbf},
             {0x1d00, 0x1d2b},   {0x1d6b, 0x1d77},   {0x1d79, 0x1d9a},   {0x1e00, 0x1f15},
             {0x1f18, 0x1f1d},   {0x1f20, 0x1f45},   {0x1f48, 0x1f4d},   {0x1f50, 0x1f57},
             {0x1f59, 0x1f59},   {0x1f5b, 0x1f5b},   {0x1f5d, 0x1f5d},   {0x1f5f, 0x1f7d},
             {0x1f80, 0x1fb4},   {0x1fb6, 0x1fbc},   {0x1fbe, 0x1fbe},   {0x1fc2, 0x1fc4},
             {0x1fc6, 0x1fcc},   {0x1fd0, 0x1fd3},   {0x1fd6, 0x1fdb},   {0x1fe0, 0x1fec},
             {0x1ff2, 0x1ff4},   {0x1ff6, 0x1ffc},   {0x2102, 0x2102},   {0x2107, 0x2107},
             {0x210a, 0x2113},   {0x2115, 0x2115},   {0x2119, 0x211d},   {0x2124, 0x2124},
             {0x2126, 0x2126},   {0x2128, 0x2128},   {0x212a, 0x212d},   {0x212f, 0x2134},
             {0x2139, 0x2139},   {0x213c, 0x213f},   {0x2145, 0x2149},   {0x214e, 0x214e},
             {0x2183, 0x2184},   {0x2c00, 0x2c7b},   {0x2c7e, 0x2ce4},   {0x2ceb, 0x2cee},
             {0x2cf2, 0x2cf3},   {0xa640, 0xa66d},   {0xa680, 0xa69b},   {0xa722, 0xa76f},
             {0xa771, 0xa787},   {0xa78b, 0xa78e},   {0xab70, 0xabbf},   {0xfb00, 0xfb06},
             {0xfb13, 0xfb17},   {0xff21, 0xff3a},   {0xff41, 0xff5a},   {0x10400, 0x1044f},
             {0x104b0, 0x104d3}, {0x104d8, 0x104fb}, {0x10c80, 0x10cb2}, {0x10cc0, 0x10cf2},
             {0x118a0, 0x118df}, {0x1e900, 0x1e943}};

static bool is_cased(uint32_t point, uint8_t ucd) {
    (void)ucd;
    if (point < 0x80) return (point | 32) - 'a' < 26;
    size_t low = 0, high = sizeof cased / sizeof *cased; // the first range that ends at it or later
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (cased[middle].last < point)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sizeof cased / sizeof *cased && point >= cased[low].first;
}

static bool is_sign(uint32_t point, uint8_t ucd) {
    (void)ucd;
    if (point < 0x80) return point - '!' < 15 || point - ':' < 69;
    return point - 0xff01 < 15 || point - 0xff1a < 69 || point - 0x2018 < 8 || point - 0x3000 < 3;
}

static bool is_east(uint32_t point, uint8_t ucd) {
    (void)ucd;
    return point - 0x800 <= 0x9fa5 - 0x800 || point - 0xac00 <= 0xd7ff - 0xac00;
}

static bool is_han_kana(uint32_t point, uint8_t ucd) {
    (void)ucd;
    return point - 0x4e00 <= 0x9fa5 - 0x4e00 || point - 0x3040 < 0xc0;
}

static inline bool look(const char *text, size_t at, size_t *bytes, class_fn *in) {
    uint32_t point;
    *bytes = brew_utf8_get(text + at, &point);
    return in(point, brew_ucd()[point]);
}

static bool is_space(uint32_t point, uint8_t ucd) {
    (void)point;
    return brew_ucd_in(ucd, UCD_SPACE);
}

// The end of the characters from `at` on that are (want) or are not in a class, at most `most`.
static inline size_t run_of(const char *text, size_t at, size_t len, class_fn *in, bool want,
                            size_t most) {
    size_t n;
    for (; most && at < len && look(text, at, &n, in) == want; most--) at += n;
    return at;
}

// [class]{1,most}
static inline size_t runs(const char *text, size_t at, size_t len, class_fn *in, size_t most,
                          bool *match) {
    size_t n;
    *match = look(text, at, &n, in);
    return run_of(text, at + n, len, in, *match, *match ? most - 1 : SIZE_MAX);
}

// \s?[class]+
static inline size_t spaced_runs(const char *text, size_t at, size_t len, class_fn *in,
                                 bool *match) {
    size_t n, m;
    bool space = look(text, at, &n, is_space);
    *match = look(text, at, &n, in) || (space && at + n < len && look(text, at + n, &m, in));
    if (*match) return run_of(text, at + n, len, in, true, SIZE_MAX);
    size_t last = at; // the character before
    for (at += n; at < len && !look(text, at, &n, in); at += n) {
        last = at;
        space = look(text, at, &n, is_space);
    }
    return space && at < len ? last : at;
}

size_t brew_split_newline(const char *text, size_t at, size_t len, bool *match) {
    return runs(text, at, len, is_newline, 1, match);
}

size_t brew_split_letters(const char *text, size_t at, size_t len, bool *match) {
    return spaced_runs(text, at, len, is_letter, match);
}

size_t brew_split_marks(const char *text, size_t at, size_t len, bool *match) {
    return spaced_runs(text, at, len, is_mark, match);
}

size_t brew_split_cased(const char *text, size_t at, size_t len, bool *match) {
    return spaced_runs(text, at, len, is_cased, match);
}

size_t brew_split_signs(const char *text, size_t at, size_t len, bool *match) {
    return spaced_runs(text, at, len, is_sign, match);
}

size_t brew_split_east(const char *text, size_t at, size_t len, bool *match) {
    return runs(text, at, len, is_east, SIZE_MAX, match);
}

size_t brew_split_han_kana(const char *text, size_t at, size_t len, bool *match) {
    return runs(text, at, len, is_han_kana, SIZE_MAX, match);
}

size_t brew_split_numbers3(const char *text, size_t at, size_t len, bool *match) {
    return runs(text, at, len, is_number, 3, match);
}

// \s+$ where $ is the end or stands before a line feed: of a run of white space inside the text, what
// stands before its last line feed.
size_t brew_split_space_end(const char *text, size_t at, size_t len, bool *match) {
    *match = false;
    for (size_t begin = at;; begin = run_of(text, begin, len, is_space, false, SIZE_MAX)) {
        size_t end = run_of(text, begin, len, is_space, true, SIZE_MAX), next = begin;
        if (begin == len) return len;
        if (end < len)
            for (next = end; next > begin && text[next - 1] != '\n'; next--) continue;
        if (end == len) next = len + 1;
        // A match from `begin` ends at next - 1, if that lies behind it.
        if (next > begin + 1) return *match = begin == at, *match ? next - 1 : begin;
        begin = end;
    }
}

// ---- V3

static bool is_word(uint32_t point, uint8_t ucd) {
    (void)point;
    return brew_ucd_in(ucd, UCD_L | UCD_M);
}

static bool is_symbol(uint32_t point, uint8_t ucd) {
    (void)point;
    return brew_ucd_in(ucd, UCD_P | UCD_S);
}

static bool is_latin(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// White space that joins nothing: \s*[\r\n]+|\s+(?!\S)|\s+
static size_t space_at(const char *text, size_t at, size_t len) {
    size_t begin = at, last, newline_end = 0, n;
    do {
        last = at;
        at += 1;
        while (at < len && ((unsigned char)text[at] & 0xc0) == 0x80) at++;
        if (text[last] == '\n' || text[last] == '\r') newline_end = at;
    } while (at < len && look(text, at, &n, is_space));
    if (newline_end) return newline_end;
    return at == len || last == begin ? at : last;
}

// The end of the match of V3's main pattern that begins at `at`, or `at` if none does:
// [ASCII punctuation][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|
// and white space
static size_t deepseek3_at(const char *text, size_t at, size_t len) {
    const uint8_t *ucd = brew_ucd();
    uint32_t point;
    size_t next = at + brew_utf8_get(text + at, &point), n;
    uint8_t here = ucd[point];
    bool symbol = brew_ucd_in(here, UCD_P | UCD_S);
    if (symbol && point < 0x80 && next < len && is_latin(text[next])) {
        while (next < len && is_latin(text[next])) next++;
        return next;
    }
    if (brew_ucd_in(here, UCD_L | UCD_M) ||
        (!symbol && !is_newline(point, 0) && next < len && look(text, next, &n, is_word)))
        return run_of(text, next, len, is_word, true, SIZE_MAX);
    if (symbol || (point == ' ' && next < len && look(text, next, &n, is_symbol))) {
        next = run_of(text, next, len, is_symbol, true, SIZE_MAX);
        return run_of(text, next, len, is_newline, true, SIZE_MAX);
    }
    return brew_ucd_in(here, UCD_SPACE) ? space_at(text, at, len) : at;
}

size_t brew_split_deepseek3(const char *text, size_t at, size_t len, bool *match) {
    size_t end = deepseek3_at(text, at, len);
    *match = end > at;
    if (*match) return end;
    do { // what matches nothing, and is no beginning of a match
        uint32_t point;
        at += brew_utf8_get(text + at, &point);
    } while (at < len && deepseek3_at(text, at, len) == at);
    return at;
}
