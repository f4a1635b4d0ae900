// Checking JSON without building values: the fast way to the members of a row.
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "io/json.h"

struct scan {
    const char *text;
    size_t len, at;
    const char *wrong; // the reason, once something is
};

static bool wrong(struct scan *s, const char *why) {
    s->wrong = s->at < s->len ? why : "the JSON text ends too early";
    return false;
}

static inline void white(struct scan *s) {
    if (s->at < s->len && (unsigned char)s->text[s->at] > ' ') return;
    while (s->at < s->len) {
        char c = s->text[s->at];
        if (c != ' ' && c != '\t' && c != '\r' && c != '\n') return;
        s->at++;
    }
}

// True in the high bit of each byte that a string cannot just run over: '"', '\\', below 0x20, from 0x80.
// Borrows may mark a plain byte above such a one, never hide one.
static uint64_t special(uint64_t word) {
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
    uint64_t control = (word - ones * 0x20) & ~word;
    return (word | ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | control) & high;
}

static int hex4(const struct scan *s, size_t at) {
    if (s->len - at < 4) return -1;
    int code = 0;
    for (size_t i = at; i < at + 4; i++) {
        int c = s->text[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        code = code << 4 | digit;
    }
    return code;
}

// At a backslash.
static bool escape(struct scan *s) {
    s->at++;
    if (s->at == s->len) return wrong(s, "");
    char c = s->text[s->at];
    if (c != 'u') {
        if (!c || !strchr("\"\\/bfnrt", c)) return wrong(s, "not JSON");
        s->at++;
        return true;
    }
    int code = hex4(s, s->at + 1);
    if (code < 0 || (code >= 0xdc00 && code < 0xe000)) return wrong(s, "not JSON");
    s->at += 5;
    if (code < 0xd800 || code >= 0xe000) return true;
    if (s->len - s->at < 6 || s->text[s->at] != '\\' || s->text[s->at + 1] != 'u')
        return wrong(s, "not JSON");
    code = hex4(s, s->at + 2);
    if (code < 0xdc00 || code >= 0xe000) return wrong(s, "not JSON");
    s->at += 6;
    return true;
}

// The bytes before the first marked one, as far as they are known; 8 without a mark.
static size_t run_before(uint64_t marks) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return marks ? (size_t)__builtin_ctzll(marks) / 8 : 8;
#else
    return marks ? 0 : 8;
#endif
}

// At the opening quote; leaves at behind the closing one.
static bool string(struct scan *s) {
    s->at++;
    for (;;) {
        uint64_t word;
        for (size_t run = 8; run == 8 && s->len - s->at >= 8; s->at += run) {
            memcpy(&word, s->text + s->at, 8);
            run = run_before(special(word));
        }
        if (s->at == s->len) return wrong(s, "");
        unsigned char c = (unsigned char)s->text[s->at];
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c == '\\') {
            if (!escape(s)) return false;
        } else if (c < 0x20) {
            return wrong(s, "a control character in a string");
        } else if (c < 0x80) {
            s->at++;
        } else {
            size_t step = brew_utf8_len(s->text + s->at, s->len - s->at);
            if (!step) return wrong(s, "not UTF-8");
            s->at += step;
        }
    }
}

static bool digits(struct scan *s) {
    size_t from = s->at;
    while (s->at < s->len && s->text[s->at] >= '0' && s->text[s->at] <= '9') s->at++;
    return s->at > from || wrong(s, "not JSON");
}

static bool number(struct scan *s) {
    if (s->text[s->at] == '-') s->at++;
    bool zero = s->at < s->len && s->text[s->at] == '0';
    if (zero) s->at++;
    if (!zero && !digits(s)) return false;
    if (s->at < s->len && s->text[s->at] == '.') {
        s->at++;
        if (!digits(s)) return false;
    }
    if (s->at < s->len && (s->text[s->at] == 'e' || s->text[s->at] == 'E')) {
        s->at++;
        if (s->at < s->len && (s->text[s->at] == '+' || s->text[s->at] == '-')) s->at++;
        if (!digits(s)) return false;
    }
    return true;
}

static bool word(struct scan *s, const char *name) {
    for (; *name; name++, s->at++)
        if (s->at == s->len || s->text[s->at] != *name) return wrong(s, "not JSON");
    return true;
}

static bool value(struct scan *s, int depth);

// Behind white space, at c; white space behind it is skipped, too.
static bool mark(struct scan *s, char c) {
    white(s);
    if (s->at == s->len || s->text[s->at] != c) return wrong(s, "not JSON");
    s->at++;
    white(s);
    return true;
}

// One member, at its key.
static bool member(struct scan *s, int depth, brew_json_slice *slice) {
    size_t key = s->at;
    if (s->at == s->len || s->text[s->at] != '"') return wrong(s, "not JSON");
    if (!string(s)) return false;
    size_t key_end = s->at;
    if (!mark(s, ':')) return false;
    size_t from = s->at;
    if (!value(s, depth)) return false;
    if (slice)
        *slice =
            (brew_json_slice){s->text + key + 1, s->text + from, key_end - key - 2, s->at - from};
    white(s);
    return true;
}

// At the opening bracket.
static bool container(struct scan *s, int depth) {
    if (depth == BREW_JSON_DEPTH) return wrong(s, "nested more than 64 levels deep");
    bool object = s->text[s->at++] == '{';
    char close = object ? '}' : ']';
    white(s);
    if (s->at < s->len && s->text[s->at] == close) {
        s->at++;
        return true;
    }
    for (;;) {
        if (!(object ? member(s, depth + 1, NULL) : value(s, depth + 1))) return false;
        white(s);
        if (s->at < s->len && s->text[s->at] == close) {
            s->at++;
            return true;
        }
        if (!mark(s, ',')) return false;
    }
}

static bool value(struct scan *s, int depth) {
    if (s->at == s->len) return wrong(s, "");
    switch (s->text[s->at]) {
    case '"':
        return string(s);
    case '{':
    case '[':
        return container(s, depth);
    case 't':
        return word(s, "true");
    case 'f':
        return word(s, "false");
    case 'n':
        return word(s, "null");
    default:
        return number(s);
    }
}

static bool known(const brew_json_slice *slices, size_t n, const brew_json_slice *one) {
    for (size_t i = 0; i < n; i++)
        if (slices[i].key_len == one->key_len && !memcmp(slices[i].key, one->key, one->key_len))
            return true;
    return false;
}

static bool members(struct scan *s, brew_json_slice *slices, size_t max, size_t *n) {
    white(s);
    if (s->at == s->len) {
        s->wrong = "empty where a JSON object was expected";
        return false;
    }
    if (s->text[s->at] != '{') return wrong(s, "not a JSON object");
    s->at++;
    white(s);
    while (s->at == s->len || s->text[s->at] != '}') {
        if (*n == max) return wrong(s, "more members in an object than are read");
        if (*n && !mark(s, ',')) return false;
        if (!member(s, 1, &slices[*n])) return false;
        if (known(slices, *n, &slices[*n])) return wrong(s, "a key stands twice in one object");
        ++*n;
    }
    s->at++;
    white(s);
    if (s->at < s->len) return wrong(s, "more bytes behind the JSON value");
    return true;
}

ptrdiff_t brew_json_members(const char *text, size_t len, brew_json_slice *slices, size_t max,
                            brew_err *err) {
    struct scan s = {.text = text, .len = len};
    size_t n = 0;
    if (members(&s, slices, max, &n)) return (ptrdiff_t)n;
    return brew_fail(err, BREW_DATA, "column %zu: %s", s.at + 1, s.wrong);
}

size_t brew_json_unescape(const char *raw, size_t len, char *out) {
    struct scan s = {.text = raw, .len = len};
    size_t n = 0;
    while (s.at < len) {
        if (raw[s.at] != '\\') {
            out[n++] = raw[s.at++];
            continue;
        }
        static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
        char c = raw[s.at + 1];
        const char *simple = strchr(from, c);
        if (c != 'u') {
            out[n++] = simple ? to[simple - from] : c;
            s.at += 2;
            continue;
        }
        uint32_t code = (uint32_t)hex4(&s, s.at + 2);
        s.at += 6;
        if (code >= 0xd800 && code < 0xdc00) {
            code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)hex4(&s, s.at + 2) - 0xdc00);
            s.at += 6;
        }
        n += brew_utf8_put(code, out + n);
    }
    return n;
}
