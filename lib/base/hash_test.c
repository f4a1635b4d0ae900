#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tap.h"

// FIPS 180-4's examples and a million times "a" (NIST's SHA-256 example vectors).
static void test_sha256(void) {
    static const char *const texts[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    char hex[65];
    brew_sha256 sha;
    for (size_t i = 0; i < 3; i++) {
        brew_sha256_init(&sha);
        brew_sha256_add(&sha, texts[i][0], strlen(texts[i][0]));
        brew_sha256_hex(&sha, hex);
        is_str(hex, texts[i][1], "SHA-256");
    }
    brew_sha256_init(&sha);
    for (int i = 0; i < 1000; i++) {
        char some[1999];
        memset(some, 'a', sizeof some);
        brew_sha256_add(&sha, some, i % 2 ? 1999 : 1);
    }
    brew_sha256_hex(&sha, hex);
    is_str(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
           "SHA-256 of a million, in pieces");

    char path[] = "/tmp/brew-hash-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, "abc", 3) != 3) exit(1);
    close(fd);
    brew_err err = {0};
    ok(!brew_sha256_file(path, hex, &err), "SHA-256 of a file");
    is_str(hex, texts[1][1], "the same");
    unlink(path);
    ok(brew_sha256_file(path, hex, &err) < 0 && err.code == BREW_NOINPUT, "%s", err.text);
}

// Promised values: shards and splits depend on them. Derived with arbitrary-precision integers.
static void test_hash64(void) {
    is_int((long long)brew_hash64("", 0, 0), (long long)0x797510128dc77951u, "of nothing");
    is_int((long long)brew_hash64("abc", 3, 0), (long long)0xa7304b693f3d7917u, "of abc");
    is_int((long long)brew_hash64("0123456789", 10, 7), (long long)0xfc9280d4122247e0u, "seed 7");
    char zeros[64] = {0}, copy[80];
    size_t equal = 0, moved = 0;
    for (size_t i = 0; i < 64; i++)
        for (size_t k = 0; k < i; k++)
            equal += brew_hash64(zeros, i, 0) == brew_hash64(zeros, k, 0);
    is_int((long long)equal, 0, "lengths of zeros differ");
    for (size_t i = 0; i < 8; i++) {
        memcpy(copy + i, "0123456789abcdef", 16);
        moved += brew_hash64(copy + i, 16, 0) == brew_hash64("0123456789abcdef", 16, 0);
    }
    is_int((long long)moved, 8, "alignment does not matter");
    int buckets[16] = {0};
    for (int i = 0; i < 16000; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "%d", i);
        buckets[brew_hash64(text, (size_t)len, 0) % 16]++;
    }
    bool even = true;
    for (int i = 0; i < 16; i++) even = even && buckets[i] > 850 && buckets[i] < 1150; // 4.9 s.d.
    ok(even, "numbers spread evenly");
}

static void test_intern(void) {
    brew_intern table = {0};
    is_int(brew_intern_get(&table, "x", 1) == SIZE_MAX, 1, "nothing in an empty one");
    size_t wrong = 0;
    char text[16];
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < 10000; i++) {
            int len = snprintf(text, sizeof text, "%zu", i * 7919);
            wrong += brew_intern_put(&table, text, (size_t)len) != i;
        }
    for (size_t i = 0; i < 10000; i++) {
        int len = snprintf(text, sizeof text, "%zu", i * 7919);
        wrong += brew_intern_get(&table, text, (size_t)len) != i;
        wrong += strcmp(table.entries[i].ptr, text) || table.entries[i].len != (size_t)len;
    }
    is_int((long long)wrong, 0, "numbered in the order of their first coming");
    is_int((long long)table.count, 10000, "each once");
    is_int((long long)brew_intern_put(&table, "", 0), 10000, "an empty string is one, too");
    is_int((long long)brew_intern_put(&table, "a\0b", 3), 10001, "and one with a NUL");
    is_int((long long)brew_intern_put(&table, "a", 1), 10002, "which is not its beginning");
    is_int(brew_intern_get(&table, "absent", 6) == SIZE_MAX, 1, "an absent one");
    brew_intern_release(&table);
    ok(!table.count && !table.slots, "released");
}

int main(void) {
    test_sha256();
    test_hash64();
    test_intern();
    return tap_done();
}
