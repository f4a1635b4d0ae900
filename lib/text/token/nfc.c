// NFC: canonical decomposition, canonical order, canonical composition (UAX #15), stretch by stretch
// between characters that neither change nor combine.
#include "text/token/unicode.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { S_BASE = 0xac00, L_BASE = 0x1100, V_BASE = 0x1161, T_BASE = 0x11a7 };
enum { L_COUNT = 19, V_COUNT = 21, T_COUNT = 28, S_COUNT = L_COUNT * V_COUNT * T_COUNT };

bool brew_nfc_quick(const char *text, size_t len) {
    const uint8_t *ucd = brew_ucd();
    size_t at = 0;
    while (at < len) {
        unsigned char lead = (unsigned char)text[at];
        if (lead < 0x80) { // NFC leaves everything below U+0300 alone, and all of ASCII lies there
            uint64_t w;
            while (len - at >= sizeof w) {
                memcpy(&w, text + at, sizeof w);
                if (w & 0x8080808080808080u) break;
                at += sizeof w;
            }
            while (at < len && (unsigned char)text[at] < 0x80) at++;
            continue;
        }
        uint32_t point;
        at += brew_utf8_get(text + at, &point);
        if (ucd[point] & UCD_NFC) return false;
    }
    return true;
}

static unsigned ccc(uint32_t point) {
    size_t low = 0, high = brew_ucd_ccc_runs_n;
    while (high - low > 1) {
        size_t mid = (low + high) / 2;
        if (brew_ucd_ccc_runs[mid] >> 8 <= point)
            low = mid;
        else
            high = mid;
    }
    return brew_ucd_ccc_runs[low] & 255;
}

// The canonical mapping of a code point: two values (second 0 if single), or NULL.
static const uint32_t *mapping(uint32_t point) {
    size_t low = 0, high = brew_ucd_canonical_n / 3;
    while (low < high) {
        size_t mid = (low + high) / 2;
        uint32_t here = brew_ucd_canonical[3 * mid] & 0x7fffffff;
        if (here == point) return brew_ucd_canonical + 3 * mid + 1;
        if (here < point)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

// Pairs that compose, sorted by (first, second).
typedef struct pair {
    uint32_t a, b, composed;
} pair;
static pair *pairs;
static size_t n_pairs;
static pthread_once_t pairs_once = PTHREAD_ONCE_INIT;

static int pair_order(const void *x, const void *y) {
    const pair *p = x, *q = y;
    if (p->a != q->a) return p->a < q->a ? -1 : 1;
    return p->b < q->b ? -1 : p->b > q->b;
}

static pair pair_store[2100];

static void pairs_fill(void) {
    pairs = pair_store;
    for (size_t i = 0; i < brew_ucd_canonical_n; i += 3)
        if (brew_ucd_canonical[i] >> 31 && n_pairs < sizeof pair_store / sizeof *pair_store)
            pairs[n_pairs++] = (pair){brew_ucd_canonical[i + 1], brew_ucd_canonical[i + 2],
                                      brew_ucd_canonical[i] & 0x7fffffff};
    qsort(pairs, n_pairs, sizeof *pairs, pair_order);
}

static uint32_t compose(uint32_t a, uint32_t b) { // 0: they do not
    if (a - L_BASE < L_COUNT && b - V_BASE < V_COUNT)
        return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
    if (a - S_BASE < S_COUNT && (a - S_BASE) % T_COUNT == 0 && b - T_BASE - 1 < T_COUNT - 1)
        return a + (b - T_BASE);
    pair key = {a, b, 0};
    const pair *found = bsearch(&key, pairs, n_pairs, sizeof *pairs, pair_order);
    return found ? found->composed : 0;
}

typedef struct marks { // decomposed characters, with their classes
    struct mark {
        uint32_t point;
        unsigned ccc;
    } * at;
    size_t n, cap;
} marks;

static void decompose(marks *m, uint32_t point) {
    if (point - S_BASE < S_COUNT) {
        uint32_t s = point - S_BASE, t = s % T_COUNT;
        BREW_GROW(m->at, m->n + 3, m->cap);
        m->at[m->n++] = (struct mark){L_BASE + s / (V_COUNT * T_COUNT), 0};
        m->at[m->n++] = (struct mark){V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT, 0};
        if (t) m->at[m->n++] = (struct mark){T_BASE + t, 0};
        return;
    }
    const uint32_t *to = mapping(point);
    if (to) {
        decompose(m, to[0]);
        if (to[1]) decompose(m, to[1]);
        return;
    }
    BREW_GROW(m->at, m->n + 1, m->cap);
    m->at[m->n++] = (struct mark){point, ccc(point)};
}

// Stable order of the marks between starters, then composition, in place.
static void reorder_and_compose(marks *m) {
    for (size_t i = 1; i < m->n; i++) {
        struct mark x = m->at[i];
        size_t j = i;
        if (x.ccc)
            for (; j > 0 && m->at[j - 1].ccc > x.ccc; j--) m->at[j] = m->at[j - 1];
        m->at[j] = x;
    }
    size_t out = 0, starter = SIZE_MAX;
    unsigned last = 0; // class of the mark kept before this one, behind the starter
    for (size_t i = 0; i < m->n; i++) {
        struct mark x = m->at[i];
        bool beside = starter != SIZE_MAX && starter + 1 == out;
        if (starter != SIZE_MAX && (beside || last < x.ccc)) {
            uint32_t c = compose(m->at[starter].point, x.point);
            if (c) {
                m->at[starter].point = c;
                continue;
            }
        }
        if (!x.ccc) starter = out;
        last = x.ccc;
        m->at[out++] = x;
    }
    m->n = out;
}

static void add_marks(brew_buf *out, const marks *m, const char *text, size_t from, size_t to,
                      brew_origins *origins) {
    size_t start = out->len;
    for (size_t i = 0; i < m->n; i++) {
        char bytes[4];
        size_t n = brew_utf8_put(m->at[i].point, bytes);
        brew_buf_add(out, bytes, n);
    }
    if (!origins) return;
    BREW_GROW(origins->at, out->len, origins->cap);
    bool same = out->len - start == to - from && !memcmp(out->ptr + start, text + from, to - from);
    for (size_t i = start; i < out->len; i++)
        origins->at[i] = same || i == start ? (int64_t)(from + (i - start)) : -1;
}

void brew_nfc_add(brew_buf *out, const char *text, size_t len, brew_origins *origins) {
    const uint8_t *ucd = brew_ucd();
    pthread_once(&pairs_once, pairs_fill);
    marks m = {0};
    size_t at = 0;
    while (at < len) {
        // A stretch: one character that is stable, and those behind it that are not.
        size_t from = at;
        uint32_t point;
        m.n = 0;
        size_t n = brew_utf8_get(text + at, &point);
        do {
            decompose(&m, point);
            at += n;
            if (at < len) n = brew_utf8_get(text + at, &point);
        } while (at < len && ucd[point] & UCD_NFC);
        if (m.n > 1 || at - from > 1) reorder_and_compose(&m);
        add_marks(out, &m, text, from, at, origins);
    }
    free(m.at);
}
