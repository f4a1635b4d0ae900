#include "text/verbalise.h"

#include <stdint.h>

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
