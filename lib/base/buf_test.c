#include "base/buf.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/tap.h"

static void test_text(void) {
    brew_buf buf = {0};
    brew_buf_add(&buf, "", 0);
    is_str(buf.ptr, "", "an empty write makes it a text");
    brew_buf_adds(&buf, "ab");
    brew_buf_addc(&buf, 'c');
    brew_buf_addf(&buf, "-%d-%s", 5, "x");
    brew_buf_add_i64(&buf, INT64_MIN);
    brew_buf_add_i64(&buf, 0);
    is_str(buf.ptr, "abc-5-x-92233720368547758080", "all ways to add");
    brew_buf_reset(&buf);
    is_str(buf.ptr, "", "reset");
    for (int i = 0; i < 100000; i++) brew_buf_addc(&buf, 'y');
    ok(buf.len == 100000 && strlen(buf.ptr) == 100000, "it grows");
    brew_buf_release(&buf);
    ok(!buf.ptr && !buf.len && !buf.cap, "released");
}

static void is_double(double value, const char *want) {
    brew_buf buf = {0};
    brew_buf_add_double(&buf, value);
    is_str(buf.ptr, want, want);
    brew_buf_release(&buf);
}

static void test_known(void) {
    is_double(0, "0");
    is_double(-0.0, "-0");
    is_double(1, "1");
    is_double(-17, "-17");
    is_double(0.1, "0.1");
    is_double(1e-9, "1e-09");
    is_double(0.1 + 0.2, "0.30000000000000004");
    is_double(1.0 / 3, "0.3333333333333333");
    is_double(123456789012345680.0, "1.2345678901234568e+17");
    is_double(DBL_MAX, "1.7976931348623157e+308");
    is_double(5e-324, "5e-324");
    brew_buf buf = {0};
    brew_buf_add_float(&buf, 0.1f);
    is_str(buf.ptr, "0.1", "0.1f");
    brew_buf_release(&buf);
}

// Random bit patterns, and random short decimals: all read back, and none is longer than it must be.
static void test_round_trips(void) {
    size_t wrong = 0, long_ones = 0, others = 0, wrong_floats = 0;
    brew_buf buf = {0};
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t bits = brew_rand_u64(1, 2, i);
        double value;
        memcpy(&value, &bits, 8);
        if (i % 2)
            value = (double)(int64_t)(bits % 2000001 - 1000000) / (i % 4 == 1 ? 1000 : 10000);
        if (!isfinite(value)) continue;
        brew_buf_reset(&buf);
        brew_buf_add_double(&buf, value);
        wrong += strtod(buf.ptr, NULL) != value;
        char shorter[40];
        snprintf(shorter, sizeof shorter, "%.15g", value);
        if (strtod(shorter, NULL) == value) long_ones += buf.len > strlen(shorter);
        others += i % 2 && strcmp(buf.ptr, shorter) != 0;

        uint32_t half = (uint32_t)bits;
        float single;
        memcpy(&single, &half, 4);
        if (!isfinite(single)) continue;
        brew_buf_reset(&buf);
        brew_buf_add_float(&buf, single);
        wrong_floats += strtof(buf.ptr, NULL) != single;
    }
    is_int((long long)wrong, 0, "100,000 doubles read back");
    is_int((long long)long_ones, 0, "none longer than 15 digits that would do");
    is_int((long long)others, 0, "up to four decimals stand as printf writes them");
    is_int((long long)wrong_floats, 0, "floats read back");
    brew_buf_release(&buf);
}

int main(void) {
    test_text();
    test_known();
    test_round_trips();
    return tap_done();
}
