#include "base/num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool brew_parse_i64(const char *text, size_t len, int64_t *out) {
    size_t i = len && text[0] == '-';
    bool negative = i;
    if (i == len) return false;
    int64_t value = 0;
    enum { SAFE = 18 }; // so many digits fit
    for (size_t end = len - i < SAFE ? len : i + SAFE; i < end; i++) {
        unsigned digit = (unsigned char)text[i] - '0';
        if (digit > 9) return false;
        value = value * 10 + (negative ? -(int64_t)digit : (int64_t)digit);
    }
    for (; i < len; i++) {
        unsigned digit = (unsigned char)text[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value)) return false;
        if (negative ? __builtin_sub_overflow(value, digit, &value)
                     : __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}

// Up to 15 digits with at most one point between them. Then digits and power of ten are exact doubles, and
// their quotient is the nearest one.
static bool parse_short(const char *text, size_t len, double *out) {
    static const double powers[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    size_t minus = len && text[0] == '-', point = len;
    uint64_t digits = 0;
    if (len - minus > 16 || len == minus) return false;
    for (size_t i = minus; i < len; i++) {
        unsigned digit = (unsigned char)text[i] - '0';
        if (digit > 9) {
            if (text[i] != '.' || point < len || i == minus || i + 1 == len) return false;
            point = i;
        } else
            digits = digits * 10 + digit;
    }
    if (digits > 999999999999999) return false;
    double value = (double)digits / powers[point < len ? len - point - 1 : 0];
    *out = minus ? -value : value;
    return true;
}

bool brew_parse_double(const char *text, size_t len, double *out) {
    char copy[512];
    if (parse_short(text, len, out)) return true;
    if (!len || len >= sizeof copy) return false;
    bool digits = false;
    for (size_t i = 0; i < len; i++) {
        if (!strchr("0123456789+-.eE", text[i]) || !text[i]) return false;
        digits |= text[i] >= '0' && text[i] <= '9';
    }
    if (!digits) return false;
    memcpy(copy, text, len);
    copy[len] = 0;
    char *end;
    double value = strtod(copy, &end); // commands never call setlocale, so the point is a point
    if (end != copy + len || !isfinite(value)) return false;
    *out = value;
    return true;
}
