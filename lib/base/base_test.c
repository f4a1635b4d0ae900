// err, mem, num, rng, utf8: the small ones.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "base/tap.h"
#include "base/utf8.h"

static void test_err(void) {
    brew_err err = {0};
    is_int(brew_fail(&err, BREW_DATA, "%d fields where %d were expected", 2, 3), -1, "fails");
    is_int(err.code, BREW_DATA, "its class");
    brew_err_context(&err, "%s:%d", "f.csv", 7);
    is_str(err.text, "f.csv:7: 2 fields where 3 were expected", "context in front");
    is_int(err.code, BREW_DATA, "which keeps the class");
    brew_fail(&err, BREW_IO, "again: %s", err.text);
    is_str(err.text, "again: f.csv:7: 2 fields where 3 were expected",
           "a text that refers to itself");
    errno = ENOENT;
    brew_fail_errno(&err, BREW_NOINPUT, "x: cannot open");
    is_str(err.text, "x: cannot open: No such file or directory", "errno behind it");
    is_int(brew_fail(NULL, BREW_IO, "nobody listens"), -1, "no place for it");
    is_int(brew_err_context(NULL, "nor here"), -1, "nor for its context");
    char large[5000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    brew_fail(&err, BREW_DATA, "%s", large);
    brew_err_context(&err, "front");
    ok(strlen(err.text) == sizeof err.text - 1 && !strncmp(err.text, "front: x", 8),
       "cut, not spilled");
}

static void test_mem(void) {
    size_t out;
    ok(brew_mul(1 << 20, 1 << 20, &out) && out == (size_t)1 << 40, "a product");
    ok(!brew_mul(SIZE_MAX, 2, &out) && !brew_add(SIZE_MAX, 1, &out), "too large ones");
    int *numbers = NULL;
    size_t cap = 0;
    for (int i = 0; i < 1000; i++) {
        BREW_GROW(numbers, (size_t)i + 1, cap);
        numbers[i] = i;
    }
    ok(numbers[0] == 0 && numbers[999] == 999 && cap >= 1000, "an array that grows");
    free(numbers);
    char *text = brew_strndup("abc", 2);
    is_str(text, "ab", "a copy");
    free(text);

    brew_arena arena = {0};
    bool aligned = true, kept = true;
    char *first = brew_arena_strndup(&arena, "first", 5);
    for (size_t i = 0; i < 3000; i++) {
        unsigned char *piece = brew_arena_alloc(&arena, i % 977);
        aligned = aligned && (uintptr_t)piece % 16 == 0;
        memset(piece, 0xff, i % 977);
        kept = kept && !strcmp(first, "first");
    }
    ok(aligned && kept, "3,000 pieces of an arena, aligned and apart");
    size_t total = arena.total_bytes;
    brew_arena_reset(&arena);
    ok(arena.total_bytes < total && arena.block, "reset keeps one block");
    brew_arena_alloc(&arena, 20 << 20);
    brew_arena_release(&arena);
    ok(!arena.block, "released");

    brew_slab slab;
    brew_err err = {0};
    ok(!brew_slab_init(&slab, 5 << 20, "a test", &err) && (uintptr_t)slab.ptr % 64 == 0, "a slab");
    size_t set = 0;
    for (size_t i = 0; i < slab.bytes; i++) set += ((char *)slab.ptr)[i] != 0;
    is_int((long long)set, 0, "of zeros");
    brew_slab_release(&slab);
    ok(brew_slab_init(&slab, (size_t)1 << 62, "a huge test", &err) < 0 &&
           strstr(err.text, "a huge test"),
       "%s", err.text);
    brew_slab_release(&slab);
}

static void test_num(void) {
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } ints[] = {{"0", true, 0},
                {"-0", true, 0},
                {"007", true, 7},
                {"9223372036854775807", true, INT64_MAX},
                {"-9223372036854775808", true, INT64_MIN},
                {"9223372036854775808", false, 0},
                {"-9223372036854775809", false, 0},
                {"99999999999999999999", false, 0},
                {"", false, 0},
                {"-", false, 0},
                {"+1", false, 0},
                {" 1", false, 0},
                {"1 ", false, 0},
                {"1.0", false, 0},
                {"0x1", false, 0}};
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        int64_t value = 0;
        bool good = brew_parse_i64(ints[i].text, strlen(ints[i].text), &value);
        ok(good == ints[i].good && (!good || value == ints[i].value), "integer \"%s\"",
           ints[i].text);
    }
    static const struct {
        const char *text;
        bool good;
        double value;
    } reals[] = {{"0", true, 0},
                 {"-1.5e3", true, -1500},
                 {".5", true, 0.5},
                 {"5.", true, 5},
                 {"+1", true, 1},
                 {"1e-400", true, 0},
                 {"1e999", false, 0},
                 {"inf", false, 0},
                 {"nan", false, 0},
                 {"0x10", false, 0},
                 {"", false, 0},
                 {".", false, 0},
                 {"1e", false, 0},
                 {"1 ", false, 0},
                 {" 1", false, 0},
                 {"1,5", false, 0},
                 {"e5", false, 0},
                 {"-", false, 0},
                 {"1.7976931348623157e308", true, 1.7976931348623157e308}};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        double value = 0;
        bool good = brew_parse_double(reals[i].text, strlen(reals[i].text), &value);
        ok(good == reals[i].good && (!good || value == reals[i].value), "real \"%s\"",
           reals[i].text);
    }
    double value;
    ok(!brew_parse_double("1\0", 2, &value), "a NUL behind a real");
}

// These values are promises: splits, shards and samples of published data depend on them.
static void test_rng(void) {
    is_int((long long)brew_rand_u64(0, 0, 0), (long long)0xc9f41a991b83415au,
           "seed 0, stream 0, index 0");
    is_int((long long)brew_rand_u64(1, 2, 3), (long long)0x3d8dfde9c8421c8eu,
           "seed 1, stream 2, index 3");
    is_int((long long)brew_rand_u64(UINT64_MAX, 7, 1), (long long)0x42e73179185d4448u,
           "the largest seed");
    double sum = 0, low = 1, high = 0;
    size_t counts[7] = {0};
    for (uint64_t i = 0; i < 70000; i++) {
        double unit = brew_rand_unit(5, 6, i);
        sum += unit;
        low = unit < low ? unit : low;
        high = unit > high ? unit : high;
        counts[brew_rand_below(5, 7, i, 7)]++;
    }
    ok(low >= 0 && high < 1 && low < 0.001 && high > 0.999, "units fill [0, 1)");
    is_near(sum / 70000, 0.5, 0.005, "their mean"); // 4.6 standard errors
    bool even = true;
    for (int i = 0; i < 7; i++) even = even && counts[i] > 9500 && counts[i] < 10500; // 5.4 s.d.
    ok(even, "seven equal shares");
}

static void test_utf8(void) {
    static const struct {
        const char *text;
        bool good;
    } texts[] = {{"", true},
                 {"plain ASCII, longer than eight bytes", true},
                 {"\xc3\xa9\xe4\xb8\x96\xf0\x9f\x98\x80", true},
                 {"12345678\xc3\xa9 and more", true},
                 {"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", true},
                 {"\x80", false},
                 {"\xc3", false},
                 {"\xc0\x80", false},
                 {"\xc1\xbf", false},
                 {"\xe0\x9f\xbf", false},
                 {"\xed\xa0\x80", false},
                 {"\xf0\x8f\xbf\xbf", false},
                 {"\xf4\x90\x80\x80", false},
                 {"\xf5\x80\x80\x80", false},
                 {"\xe4\xb8", false},
                 {"1234567\xff", false}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        ok(brew_utf8_valid(texts[i].text, strlen(texts[i].text)) == texts[i].good, "UTF-8 %zu", i);
    size_t wrong = 0;
    for (uint32_t code = 1; code < 0x110000; code++) {
        if (code >= 0xd800 && code < 0xe000) continue;
        char bytes[4];
        size_t len = brew_utf8_put(code, bytes);
        wrong += brew_utf8_len(bytes, len) != len || (len > 1 && brew_utf8_len(bytes, len - 1));
    }
    is_int((long long)wrong, 0, "every code point written is well formed, and not when cut");
}

int main(void) {
    test_err();
    test_mem();
    test_num();
    test_rng();
    test_utf8();
    return tap_done();
}
