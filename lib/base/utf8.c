#include "base/utf8.h"

#include <string.h>

size_t brew_utf8_len(const char *text, size_t len) {
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4) return 0;
    size_t need = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len < need) return 0;
    // The second byte's range is narrower where overlong forms, surrogates and the end of Unicode are.
    unsigned char low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < need; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return need;
}

bool brew_utf8_valid(const char *text, size_t len) {
    for (size_t i = 0; i < len;) {
        uint64_t word;
        while (len - i >= 8 && (memcpy(&word, text + i, 8), !(word & 0x8080808080808080u))) i += 8;
        if (i == len) break;
        size_t step = brew_utf8_len(text + i, len - i);
        if (!step) return false;
        i += step;
    }
    return true;
}

size_t brew_utf8_put(uint32_t code, char *out) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(lead[n] | code);
    return n;
}
