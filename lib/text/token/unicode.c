#include "text/token/unicode.h"

#include <pthread.h>
#include <string.h>

static uint8_t flat[UCD_POINTS];
static pthread_once_t flat_once = PTHREAD_ONCE_INIT;

static void flat_fill(void) {
    for (size_t i = 0; i < brew_ucd_runs_n; i++) {
        size_t from = brew_ucd_runs[i] >> 8;
        size_t to = i + 1 < brew_ucd_runs_n ? brew_ucd_runs[i + 1] >> 8 : UCD_POINTS;
        memset(flat + from, brew_ucd_runs[i] & 255, to - from);
    }
}

const uint8_t *brew_ucd(void) {
    pthread_once(&flat_once, flat_fill);
    return flat;
}

// The character at p, which is not ASCII: its length if whole and valid, else minus the length of the
// maximal part of it that could begin a character (at least 1).
static int sequence(const unsigned char *p, size_t left) {
    unsigned low = 0x80, high = 0xbf;
    int need;
    if (p[0] < 0xc2 || p[0] > 0xf4) return -1;
    if (p[0] < 0xe0) {
        need = 2;
    } else if (p[0] < 0xf0) {
        need = 3;
        if (p[0] == 0xe0) low = 0xa0;
        if (p[0] == 0xed) high = 0x9f;
    } else {
        need = 4;
        if (p[0] == 0xf0) low = 0x90;
        if (p[0] == 0xf4) high = 0x8f;
    }
    for (int i = 1; i < need; i++) {
        if ((size_t)i >= left || p[i] < low || p[i] > high) return -i;
        low = 0x80;
        high = 0xbf;
    }
    return need;
}

size_t brew_utf8_prefix(const char *bytes, size_t len) {
    const unsigned char *p = (const unsigned char *)bytes;
    size_t at = 0;
    while (at < len) {
        if (p[at] < 0x80) {
            uint64_t w[2];
            while (len - at >= sizeof w) {
                memcpy(w, p + at, sizeof w);
                if ((w[0] | w[1]) & 0x8080808080808080u) break;
                at += sizeof w;
            }
            while (at < len && p[at] < 0x80) at++;
            continue;
        }
        int n = sequence(p + at, len - at);
        if (n < 0) return at;
        at += (size_t)n;
    }
    return len;
}

void brew_utf8_add_lossy(brew_buf *out, const char *bytes, size_t len) {
    for (;;) {
        size_t good = brew_utf8_prefix(bytes, len);
        brew_buf_add(out, bytes, good);
        bytes += good;
        len -= good;
        if (!len) return;
        int bad = -sequence((const unsigned char *)bytes, len);
        brew_buf_add(out, "\xef\xbf\xbd", 3);
        bytes += bad;
        len -= (size_t)bad;
    }
}
