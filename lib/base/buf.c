#include "base/buf.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

void brew_buf_reserve(brew_buf *buf, size_t extra) {
    size_t need;
    if (!brew_add(buf->len, extra, &need) || !brew_add(need, 1, &need))
        brew_bug("a buffer of %zu bytes cannot grow by %zu", buf->len, extra);
    BREW_GROW(buf->ptr, need, buf->cap);
}

void brew_buf_addf(brew_buf *buf, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0) brew_bug("bad format");
    brew_buf_reserve(buf, (size_t)len);
    va_start(ap, fmt);
    vsnprintf(buf->ptr + buf->len, (size_t)len + 1, fmt, ap);
    va_end(ap);
    buf->len += (size_t)len;
}

void brew_buf_release(brew_buf *buf) {
    free(buf->ptr);
    *buf = (brew_buf){0};
}

void brew_buf_add_i64(brew_buf *buf, int64_t value) {
    static const char pairs[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334"
        "3536373839404142434445464748495051525354555657585960616263646566676869"
        "707172737475767778798081828384858687888990919293949596979899";
    char digits[24], *end = digits + sizeof digits, *p = end;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    for (; rest >= 100; rest /= 100) memcpy(p -= 2, pairs + 2 * (rest % 100), 2);
    if (rest >= 10)
        memcpy(p -= 2, pairs + 2 * rest, 2);
    else
        *--p = (char)('0' + rest);
    if (value < 0) *--p = '-';
    brew_buf_add(buf, p, (size_t)(end - p));
}

// A number of up to four decimals: k / 10^4 is the double nearest to it, and its shortest decimal has no more
// than k's digits.
static bool add_short(brew_buf *buf, double value) {
    double scaled = rint(value * 1e4);
    if (!(fabs(scaled) < 1e15) || scaled / 1e4 != value) return false;
    int64_t k = (int64_t)fabs(scaled), rest = k % 10000;
    char digits[4];
    int n = 4;
    for (int i = 3; i >= 0; i--, rest /= 10) digits[i] = (char)('0' + rest % 10);
    while (digits[n - 1] == '0') n--; // not a whole number
    if (value < 0) brew_buf_addc(buf, '-');
    brew_buf_add_i64(buf, k / 10000);
    brew_buf_addc(buf, '.');
    brew_buf_add(buf, digits, (size_t)n);
    return true;
}

static void add_real(brew_buf *buf, double value, int digits, int max_digits, int is_float) {
    if (!isfinite(value)) brew_bug("a number without a decimal form");
    if (value == trunc(value) && fabs(value) < 1e15) {
        if (value == 0 && signbit(value)) brew_buf_adds(buf, "-");
        brew_buf_add_i64(buf, (int64_t)value);
        return;
    }
    if (!is_float && add_short(buf, value)) return;
    char text[40];
    if (fabs(value) < (is_float ? FLT_MIN : DBL_MIN)) digits = 1; // denormals have fewer
    for (;; digits++) { // 15 (or 6) digits always survive, 17 (or 9) always suffice
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (digits == max_digits) break;
        if (is_float ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value) break;
    }
    brew_buf_adds(buf, text);
}

void brew_buf_add_double(brew_buf *buf, double value) {
    // Most doubles met here need 16 or 17 digits, but a short one must stay short: 15 digits print
    // every decimal of up to 15 digits back without trailing noise (%g drops zeros).
    add_real(buf, value, 15, 17, 0);
}

void brew_buf_add_float(brew_buf *buf, float value) {
    add_real(buf, value, 6, 9, 1);
}
