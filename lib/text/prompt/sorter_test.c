// Sorting: in memory and spilled give the same order, whatever is added, in whatever order.
#include "text/prompt/sorter.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"

// String number i of n: random lengths from 0 to 40 over few letters, so that prefixes and equals abound.
static size_t draw(uint64_t i, unsigned char *out) {
    size_t len = brew_rand_below(7, 1, i, 41);
    for (size_t k = 0; k < len; k++)
        out[k] = (unsigned char)(k < 6 ? 0 : 255 * brew_rand_below(7, 2 + k, i, 2));
    return len;
}

// Adds n strings in an order chosen by `step` (coprime to n) and returns a digest of what comes back.
static void digest(size_t memory, brew_pool *pool, uint64_t n, uint64_t step, char hex[65],
                   size_t *runs, bool *sorted) {
    brew_err err = {0};
    brew_sorter *sorter = brew_sorter_new(memory, pool, &err);
    unsigned char bytes[64], last[64];
    for (uint64_t i = 0; i < n; i++) {
        size_t len = draw(i * step % n, bytes);
        if (brew_sorter_add(sorter, bytes, len, &err)) break;
    }
    brew_sha256 sha;
    brew_sha256_init(&sha);
    const unsigned char *got;
    size_t len, last_len = 0;
    uint64_t count = 0;
    *sorted = !brew_sorter_finish(sorter, &err);
    while (brew_sorter_next(sorter, &got, &len, &err) > 0) {
        size_t both = len < last_len ? len : last_len;
        int order = count ? memcmp(last, got, both) : 0;
        if (order > 0 || (!order && count && last_len > len)) *sorted = false;
        uint32_t len32 = (uint32_t)len;
        brew_sha256_add(&sha, &len32, 4);
        brew_sha256_add(&sha, got, len);
        memcpy(last, got, len);
        last_len = len;
        count++;
    }
    *sorted = *sorted && count == n && !err.code;
    *runs = brew_sorter_runs(sorter);
    brew_sha256_hex(&sha, hex);
    brew_sorter_free(sorter);
}

static void test_same_order(void) {
    char want[65], got[65];
    size_t runs;
    bool sorted;
    digest((size_t)64 << 20, NULL, 50000, 1, want, &runs, &sorted);
    ok(sorted && runs == 0, "50,000 strings in memory come sorted, none lost");
    digest((size_t)64 << 20, NULL, 50000, 7919, got, &runs, &sorted);
    is_str(got, want, "another order of adding gives the same");
    digest(1, NULL, 50000, 1, got, &runs, &sorted);
    ok(sorted && runs > 10, "with the smallest memory they come from %zu runs", runs);
    is_str(got, want, "spilled gives the same as in memory");
    digest(200000, NULL, 50000, 31, got, &runs, &sorted);
    is_str(got, want, "another limit and order gives the same");
    brew_pool *pool = brew_pool_new(3);
    digest((size_t)64 << 20, pool, 50000, 7919, got, &runs, &sorted);
    is_str(got, want, "three threads give the same");
    digest(200000, pool, 50000, 31, got, &runs, &sorted);
    is_str(got, want, "three threads that spill give the same");
    brew_pool_free(pool);
}

// Strings added in lists and taken many at a time are those added and taken one by one.
// How many strings come in order, and are one of each that `one` has, with the byte behind the eighth turned.
static size_t test_again(brew_sorter *again, brew_sorter *one, brew_err *err) {
    brew_sorter *want = brew_sorter_new((size_t)64 << 20, NULL, err);
    const unsigned char *a, *b;
    unsigned char turned[64];
    size_t a_len, b_len, same = 0;
    brew_sorter_rewind(one, err);
    while (brew_sorter_next(one, &a, &a_len, err) > 0) {
        memcpy(turned, a, a_len);
        if (a_len > 8) turned[8] ^= 255;
        brew_sorter_add(want, turned, a_len, err);
    }
    brew_sorter_finish(want, err);
    brew_sorter_finish(again, err);
    while (brew_sorter_next(again, &a, &a_len, err) > 0)
        same +=
            brew_sorter_next(want, &b, &b_len, err) > 0 && a_len == b_len && !memcmp(a, b, a_len);
    brew_sorter_free(want);
    return same;
}

static void test_many(size_t memory, brew_pool *pool) {
    enum { LISTS = 3, TAKEN = 100 };
    brew_err err = {0};
    brew_sorter *one = brew_sorter_new(memory, pool, &err),
                *many = brew_sorter_new(memory, pool, &err),
                *again = brew_sorter_new(memory, pool, &err);
    brew_strings lists[LISTS] = {0};
    const brew_strings *all[LISTS];
    unsigned char bytes[64];
    for (uint64_t i = 0; i < 9000 && !err.code; i++) {
        brew_strings *list = &lists[i % LISTS];
        size_t len = draw(i, bytes), begin = brew_strings_begin(list);
        all[i % LISTS] = list;
        brew_sorter_add(one, bytes, len, &err);
        brew_buf_add(&list->bytes, bytes, len);
        brew_strings_end(list, begin);
        if (i % 1000 != 999) continue;
        brew_sorter_add_lists(many, all, LISTS, &err);
        for (int k = 0; k < LISTS; k++) brew_strings_reset(&lists[k]);
    }
    brew_sorter_finish(one, &err);
    brew_sorter_finish(many, &err);
    unsigned char *strings[TAKEN];
    const unsigned char *want;
    size_t len, n = 0, differ = 0;
    brew_buf copies = {0};
    ptrdiff_t got;
    while ((got = brew_sorter_next_many(many, strings, TAKEN, &copies, &err)) > 0) {
        brew_places places = {strings, (size_t)got, 0, 0};
        const brew_places *list = &places;
        for (ptrdiff_t i = 0; i < got; i++, n++) {
            size_t own = brew_sort_len(strings[i]);
            differ += brew_sorter_next(one, &want, &len, &err) <= 0 || len != own ||
                      memcmp(want, strings[i] + 4, len);
            if (own > 8) strings[i][4 + 8] ^= 255; // another order from there on
            places.bytes += 4 + own;
            if (own > places.longest) places.longest = own;
        }
        brew_sorter_add_places(again, &list, 1, !copies.len, &err);
    }
    ok(!got && !err.code && n == 9000 && !differ, "9,000 strings by lists, in %zu runs",
       brew_sorter_runs(many));
    for (int k = 0; k < LISTS; k++) brew_buf_release(&lists[k].bytes);
    size_t same = test_again(again, one, &err);
    ok(!err.code && same == 9000, "and again where they stand, written over, in %zu runs",
       brew_sorter_runs(again));
    brew_buf_release(&copies);
    brew_sorter_free(one);
    brew_sorter_free(again);
    brew_sorter_free(many);
}

// Everything that comes from here on, `limit` strings at most.
static void drain(brew_sorter *sorter, uint64_t limit, brew_buf *out) {
    brew_err err = {0};
    const unsigned char *got;
    size_t len;
    brew_buf_reset(out);
    for (; limit && brew_sorter_next(sorter, &got, &len, &err) > 0; limit--) {
        brew_buf_addf(out, "%zu:", len);
        brew_buf_add(out, got, len);
    }
}

static void test_rewind(size_t memory) {
    brew_err err = {0};
    brew_sorter *sorter = brew_sorter_new(memory, NULL, &err);
    unsigned char bytes[64];
    for (uint64_t i = 0; i < 9000; i++)
        if (brew_sorter_add(sorter, bytes, draw(i, bytes), &err)) break;
    brew_buf want = {0}, got = {0};
    ok(!brew_sorter_finish(sorter, &err), "sorted in %zu runs", brew_sorter_runs(sorter));
    drain(sorter, SIZE_MAX, &want);
    ok(!brew_sorter_rewind(sorter, &err), "taken back from the end");
    drain(sorter, 3000, &got);
    ok(!brew_sorter_rewind(sorter, &err), "taken back from the middle");
    drain(sorter, SIZE_MAX, &got);
    ok(got.len == want.len && !memcmp(got.ptr, want.ptr, got.len), "the same comes again");
    brew_buf_release(&want);
    brew_buf_release(&got);
    brew_sorter_free(sorter);
}

static void test_edges(void) {
    brew_err err = {0};
    const unsigned char *got;
    size_t len;
    brew_sorter *sorter = brew_sorter_new(0, NULL, &err);
    ok(!brew_sorter_finish(sorter, &err) && brew_sorter_next(sorter, &got, &len, &err) == 0,
       "nothing added, nothing comes");
    brew_sorter_free(sorter);
    sorter = brew_sorter_new(0, NULL, &err);
    char *big = brew_calloc(1, BREW_SORTER_MIN);
    ok(brew_sorter_add(sorter, big, BREW_SORTER_MIN, &err) < 0 && err.code == BREW_DATA,
       "a string longer than a quarter of the memory is refused");
    brew_sorter_free(sorter);
    setenv("TMPDIR", "/nonexistent/folder", 1);
    sorter = brew_sorter_new(0, NULL, &err);
    int status = 0;
    for (int i = 0; i < 100 && !status; i++) status = brew_sorter_add(sorter, big, 4096, &err);
    ok(status < 0 && err.code == BREW_CANTCREATE, "no folder for temporary files: %s", err.text);
    brew_sorter_free(sorter);
    free(big);
}

int main(void) {
    test_same_order();
    brew_pool *pool = brew_pool_new(3);
    test_many((size_t)64 << 20, pool);
    test_many(1, pool);
    test_many(1, NULL);
    brew_pool_free(pool);
    test_rewind((size_t)64 << 20);
    test_rewind(1);
    test_edges();
    return tap_done();
}
