#include "base/num.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool brew_parse_i64(const char *text, size_t len, int64_t *out) {
    size_t i = len && text[0] == '-';
    bool negative = i;
    if (i == len) return false;
    int64_t value = 0;
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

bool brew_parse_double(const char *text, size_t len, double *out) {
    char copy[512];
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
