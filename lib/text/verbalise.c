#include "text/verbalise.h"

#include <stdint.h>

// The length of the character at text, or 0 if it is not UTF-8 (Unicode 15, table 3-7).
static size_t utf8_len(const unsigned char *text, size_t len) {
    unsigned char c = text[0];
    if (c < 0x80) return 1;
    size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || n > len) return 0;
    unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (text[1] < low || text[1] > high) return 0;
    for (size_t i = 2; i < n; i++)
        if ((text[i] & 0xc0) != 0x80) return 0;
    return n;
}

bool brew_utf8_valid(const char *text, size_t len) {
    const unsigned char *at = (const unsigned char *)text;
    while (len) {
        size_t n = utf8_len(at, len);
        if (!n) return false;
        at += n;
        len -= n;
    }
    return true;
}

// Bytes of the separator or control character at text, 0 for any other character.
static size_t control_len(const unsigned char *text, size_t len) {
    if (text[0] < 0x20 || text[0] == 0x7f) return 1;
    if (text[0] == 0xc2 && len > 1 && text[1] < 0xa0) return 2; // U+0080-009F
    if (text[0] == 0xe2 && len > 2 && text[1] == 0x80 && (text[2] == 0xa8 || text[2] == 0xa9))
        return 3; // U+2028, U+2029
    return 0;
}

void brew_verbalise(brew_buf *out, const char *text, size_t len) {
    const unsigned char *at = (const unsigned char *)text;
    size_t start = 0, i = 0;
    while (i < len) {
        size_t n = control_len(at + i, len - i);
        if (!n) {
            i++;
            continue;
        }
        brew_buf_add(out, text + start, i - start);
        brew_buf_addc(out, ' ');
        start = i += n;
    }
    brew_buf_add(out, text + start, len - start);
}
