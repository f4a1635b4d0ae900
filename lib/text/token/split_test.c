// The batch splitters of all levels against the scalar one, on texts over small alphabets, shifted
// through all offsets of a window; and facts about the classes they rely on.
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/rng.h"
#include "base/tap.h"
#include "text/token/split.h"
#include "text/token/unicode.h"

static const char *const alphabets[][20] = {
    {" ", " ", "\n", "\r", "\t", "a", "A", "1", "!", "'", "s", "l", "\xc2\xa0", "\xc3\xa9",
     "\xc5\xbf"},
    {" ", "\n", "a", "b", "'", "s"},
    {"a", "b", "c", " ", "the", " quick", "'ll", "'RE", "12", ".", "\n    "},
    {" ", "\t", "\n", "\r\n", "x"},
    {"1", "12", "1234567", " ", "a", "!"},
    {"\xe4\xb8\x96", "\xd9\xa3", " ", "a", "\n", "1", "\xc2\x85", "'", "\xe3\x80\x80"},
    {"!", "?", "\n", " ", "a", "(", "'t"},
};

static void make(uint64_t i, brew_buf *out) {
    size_t pool = i % (sizeof alphabets / sizeof *alphabets), n = 0;
    while (n < 20 && alphabets[pool][n]) n++;
    uint64_t len = 1 + brew_rand_below(7, i, 0, 200);
    for (uint64_t k = 0; k < len; k++)
        brew_buf_adds(out, alphabets[pool][brew_rand_below(7, i, k + 1, n)]);
}

// Index of the first piece that differs, -1 if none does.
static long compare(brew_split_batch_fn *fn, enum brew_grammar grammar, const brew_buf *text) {
    uint32_t ends[BREW_SPLIT_ROOM];
    size_t at = 0, want = 0;
    long piece = 0;
    while (at < text->len) {
        size_t n = fn(grammar, text->ptr, at, text->len, ends);
        if (n == 0 || n > BREW_SPLIT_ROOM) return piece;
        for (size_t i = 0; i < n; i++, piece++) {
            want = brew_split_grammar(grammar, text->ptr, want, text->len);
            if (want != ends[i]) return piece;
        }
        at = ends[n - 1];
    }
    return at == want && want == text->len ? -1 : piece;
}

static void test_levels(void) {
    const char *level;
    for (int l = 0;; l++) {
        brew_split_batch_fn *fn = brew_split_batch_level(l, &level);
        if (!fn) break;
        for (int g = BREW_GRAMMAR_GPT2; g <= BREW_GRAMMAR_QWEN2; g++) {
            size_t bad = 0;
            brew_buf text = {0};
            for (uint64_t i = 0; i < 40000; i++) {
                brew_buf_reset(&text);
                make(i, &text);
                long piece = compare(fn, (enum brew_grammar)g, &text);
                if (piece < 0) continue;
                if (!bad++) printf("# text %d, piece %ld\n", (int)i, piece);
            }
            ok(!bad, "level %s, grammar %d: %zu of 40000 texts differ", level, g, bad);
            brew_buf_release(&text);
        }
    }
}

// ---- Splitters of one pattern against PCRE2

static const char *const characters[] = {" ",
                                         " ",
                                         "\n",
                                         "\r",
                                         "\t",
                                         "a",
                                         "Z",
                                         "1",
                                         "23",
                                         "!",
                                         "'",
                                         "+",
                                         "-",
                                         "_",
                                         "\xc2\xa0",
                                         "\xc2\x85",
                                         "\xc3\xa9",
                                         "\xc5\xbf",
                                         "\xe3\x80\x80",
                                         "\xe3\x80\x82",
                                         "\xe4\xb8\x96",
                                         "\xe9\xbe\xa5",
                                         "\xe9\xbe\xa6",
                                         "\xe3\x82\xab",
                                         "\xcc\x81",
                                         "\xd9\xa3",
                                         "\xe2\x85\xa7",
                                         "\xef\xbc\x81",
                                         "\xea\xb0\x80",
                                         "\xe2\x82\xac",
                                         "\x01",
                                         "\xe2\x80\x8b",
                                         "\xc6\xbb"};

// Text i: characters of those above, or one in three of them from all of Unicode, or all from there.
static void any_text(uint64_t i, brew_buf *out) {
    uint64_t k = 0, many = i % 7 ? 6 : 40;
    for (uint64_t n = 1 + brew_rand_below(9, i, k++, many); n > 0; n--) {
        uint64_t any = i % 3 == 2 || (i % 3 == 1 && !brew_rand_below(9, i, k++, 3));
        uint64_t c = brew_rand_below(9, i, k++, any ? i % 5 ? 0x3200 : UCD_POINTS - 0x800 : 33);
        char bytes[4];
        if (any)
            brew_buf_add(out, bytes, brew_utf8_put((uint32_t)(c < 0xd800 ? c : c + 0x800), bytes));
        else
            brew_buf_adds(out, characters[c]);
    }
}

static bool same_pieces(brew_split_fn *fn, const brew_split_regex *regex, brew_split_room *room,
                        const brew_buf *text) {
    brew_split_room_reset(room);
    for (size_t at = 0, end, want; at < text->len; at = end) {
        bool match, want_match;
        brew_err err;
        end = fn(text->ptr, at, text->len, &match);
        if (brew_split_regex_next(regex, room, text->ptr, at, text->len, &want, &want_match, &err))
            return false;
        if (end != want || match != want_match) return false;
    }
    return true;
}

static void test_known(void) {
    brew_split_fn *fn;
    const char *pattern;
    bool slow = getenv("BREW_SLOW") != NULL;
    uint64_t texts = slow ? 2000000 : 20000;
    for (size_t i = 0; (pattern = brew_split_pattern(i, &fn)); i++) {
        brew_err err;
        brew_split_regex *regex = brew_split_regex_new(pattern, strlen(pattern), &err);
        if (!ok(regex != NULL, "PCRE2 knows pattern %zu", i)) continue;
        brew_split_room *room = brew_split_room_new(regex);
        brew_buf text = {0};
        uint64_t bad = 0;
        for (uint64_t t = 0; t < texts; t++) {
            brew_buf_reset(&text);
            any_text(t, &text);
            if (same_pieces(fn, regex, room, &text)) continue;
            if (!bad++) printf("# text %llu\n", (unsigned long long)t);
        }
        for (uint32_t c = 0; c < UCD_POINTS;
             c += slow ? 1 : 7) { // characters, before a letter and at the end
            if (c >= 0xd800 && c < 0xe000) continue;
            char bytes[4];
            size_t n = brew_utf8_put(c, bytes);
            brew_buf_reset(&text);
            brew_buf_add(&text, bytes, n);
            brew_buf_adds(&text, "a ");
            brew_buf_add(&text, bytes, n);
            bad += !same_pieces(fn, regex, room, &text);
        }
        ok(!bad, "pattern %zu: %llu texts are split otherwise by PCRE2", i,
           (unsigned long long)bad);
        brew_buf_release(&text);
        brew_split_room_free(room);
        brew_split_regex_free(regex);
    }
}

static void test_classes(void) {
    const uint8_t *ucd = brew_ucd();
    size_t letters = 0, numbers = 0, marks = 0, spaces = 0, other = 0;
    for (size_t c = 0; c < UCD_POINTS; c++) {
        letters += brew_ucd_in(ucd[c], UCD_L);
        numbers += brew_ucd_in(ucd[c], UCD_N);
        marks += brew_ucd_in(ucd[c], UCD_M);
        spaces += brew_ucd_in(ucd[c], UCD_SPACE);
        other += brew_ucd_in(ucd[c], UCD_N) != !!(ucd[c] & UCD_NUMERIC);
    }
    // Unicode 16, as counted with tokenizers 0.23.3's regular expressions.
    is_int((long long)letters, 141028, "letters");
    is_int((long long)numbers, 1911, "numbers");
    is_int((long long)marks, 2501, "marks");
    is_int((long long)spaces, 25, "white space");
    is_int((long long)other, 13, "numeric for Rust, but not \\p{N}, or the other way round");
}

static void test_patterns(void) {
    static const char *const refused[] = {
        "\\w+",     "\\bx",  "(?i)a",   "(?<n>a)", "[a&&b]",      "[[:alpha:]]", "a{2,3}+",
        "\\p{Han}", "(a",    "a)",      "[a",      "a**",         "(?i:st)",     "\\h",
        "x*",       "",      "\\",      "\\p{L",   "\\x{110000}", "{",           "(?i:\xc3\x9f)",
        "a{1001}",  "[b-a]", "(?<=a+)b"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        brew_err err;
        brew_split_regex *regex = brew_split_regex_new(refused[i], strlen(refused[i]), &err);
        ok(!regex && err.code == BREW_DATA, "refused: %s", refused[i]);
        brew_split_regex_free(regex);
    }
}

int main(void) {
    test_classes();
    test_patterns();
    test_levels();
    test_known();
    return tap_done();
}
