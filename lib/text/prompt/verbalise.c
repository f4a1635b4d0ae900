#include "text/prompt/verbalise.h"

#include <stdbool.h>
#include <string.h>

// Bytes of the separator or control character at text, 0 for any other character.
static size_t control_len(const unsigned char *text, size_t len) {
    if (text[0] < 0x20 || text[0] == 0x7f) return 1;
    if (text[0] == 0xc2 && len > 1 && text[1] < 0xa0) return 2; // U+0080-009F
    if (text[0] == 0xe2 && len > 2 && text[1] == 0x80 && (text[2] == 0xa8 || text[2] == 0xa9))
        return 3; // U+2028, U+2029
    return 0;
}

// Bytes of a blank or control character at text, 0 for any other.
static size_t blank_len(const unsigned char *text, size_t len) {
    return *text == ' ' ? 1 : control_len(text, len);
}

// True in the high bit of each byte that may begin a control character or separator: below 0x20, 0x7f,
// from 0x80. Borrows may mark a byte above such a one, never hide one.
static uint64_t suspect(uint64_t word) {
    const uint64_t ones = 0x0101010101010101u;
    return (word | (word - ones * 0x20) | (word + ones)) & ones * 0x80;
}

// Nearly all values are ASCII that can stand as it is.
static bool is_plain(const char *text, size_t len) {
    if (!len || text[0] == ' ' || text[len - 1] == ' ') return false;
    size_t i = 0;
    uint64_t word;
    for (; len - i >= 8; i += 8)
        if (memcpy(&word, text + i, 8), suspect(word)) return false;
    for (; i < len; i++)
        if ((unsigned char)(text[i] - 0x20) > 0x7e - 0x20) return false;
    return true;
}

void brew_verbalise(brew_buf *out, const char *text, size_t len) {
    if (is_plain(text, len)) {
        brew_buf_add(out, text, len);
        return;
    }
    const unsigned char *at = (const unsigned char *)text;
    size_t start = 0, n;
    while (start < len && (n = blank_len(at + start, len - start))) start += n;
    size_t end = start; // behind the last character that stays
    for (size_t i = start; i < len;) {
        if ((n = blank_len(at + i, len - i))) {
            i += n;
            continue;
        }
        while (end < i) { // blanks between words
            n = blank_len(at + end, len - end);
            brew_buf_addc(out, ' ');
            end += n;
        }
        for (start = i; i < len && !blank_len(at + i, len - i);) i++;
        brew_buf_add(out, text + start, i - start);
        end = i;
    }
}
