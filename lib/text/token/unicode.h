// Characters: classes as tokenizers 0.23 sees them (Unicode 16), UTF-8, and NFC by its older tables.
//
// The tables come from scripts/gen-unicode.py, which asks that library. A library of
// the system's would know another Unicode: classes and compositions would differ from the ids wanted.
#ifndef BREW_TEXT_UNICODE_H
#define BREW_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/utf8.h"

enum brew_ucd_category {
    UCD_LU,
    UCD_LL,
    UCD_LT,
    UCD_LM,
    UCD_LO,
    UCD_MN,
    UCD_MC,
    UCD_ME,
    UCD_ND,
    UCD_NL,
    UCD_NO,
    UCD_PC,
    UCD_PD,
    UCD_PS,
    UCD_PE,
    UCD_PI,
    UCD_PF,
    UCD_PO,
    UCD_SM,
    UCD_SC,
    UCD_SK,
    UCD_SO,
    UCD_ZS,
    UCD_ZL,
    UCD_ZP,
    UCD_CC,
    UCD_CF,
    UCD_CS,
    UCD_CO,
    UCD_CN,
    UCD_CC_SPACE // a control character that is white space
};

// Sets of categories, one bit each, and the flags beside the category in a table byte.
#define UCD_BIT(category) (1u << (category))
#define UCD_L 0x1fu
#define UCD_M (7u << UCD_MN)
#define UCD_N (7u << UCD_ND)
#define UCD_P (0x7fu << UCD_PC)
#define UCD_S (0xfu << UCD_SM)
#define UCD_Z (7u << UCD_ZS)
#define UCD_C (0x1fu << UCD_CC | UCD_BIT(UCD_CC_SPACE))
#define UCD_SPACE (UCD_Z | UCD_BIT(UCD_CC_SPACE)) // \s: White_Space
enum { UCD_CATEGORY = 31, UCD_NFC = 32, UCD_WORD = 64, UCD_NUMERIC = 128 };

enum { UCD_POINTS = 0x110000 };

// One byte a code point: category | flags. UCD_NFC marks what NFC may change or move (text without
// such characters is in NFC), UCD_WORD Rust's \w, UCD_NUMERIC Rust's is_numeric. Built at first use,
// by any thread.
const uint8_t *brew_ucd(void);

static inline bool brew_ucd_in(uint8_t byte, uint32_t categories) {
    return categories >> (byte & UCD_CATEGORY) & 1;
}

// Decodes the character at p, in valid UTF-8: its bytes (1-4).
static inline size_t brew_utf8_get(const char *text, uint32_t *point) {
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80) return *point = p[0], 1;
    if (p[0] < 0xe0) return *point = (p[0] & 31u) << 6 | (p[1] & 63u), 2;
    if (p[0] < 0xf0) return *point = (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u), 3;
    *point = (p[0] & 7u) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 | (p[3] & 63u);
    return 4;
}
// Where the character that ends before byte `at` (at > 0, valid UTF-8) begins.
static inline size_t brew_utf8_back(const char *text, size_t at) {
    do at--;
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80);
    return at;
}
// The valid prefix of bytes: len if all of it is UTF-8 (no surrogates, no overlong forms).
size_t brew_utf8_prefix(const char *bytes, size_t len);
// Appends bytes, each maximal part that begins a character but does not complete one, and each byte
// that begins none, replaced by U+FFFD (as Rust's from_utf8_lossy).
void brew_utf8_add_lossy(brew_buf *out, const char *bytes, size_t len);

// Whether valid UTF-8 is surely in NFC (false: it may still be).
bool brew_nfc_quick(const char *text, size_t len);
// Where the bytes of a changed text come from: for byte i of it, the byte of the text before, or -1.
typedef struct brew_origins {
    int64_t *at;
    size_t cap;
} brew_origins;
// Appends the NFC of valid UTF-8. If origins is not NULL, it receives an entry for each byte appended;
// of a stretch that changed only the first byte has an origin.
void brew_nfc_add(brew_buf *out, const char *text, size_t len, brew_origins *origins);

extern const uint32_t brew_ucd_runs[], brew_ucd_ccc_runs[], brew_ucd_canonical[];
extern const size_t brew_ucd_runs_n, brew_ucd_ccc_runs_n, brew_ucd_canonical_n;

#endif
