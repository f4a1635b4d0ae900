// GGUF: values of every type against the gguf package (testdata/gguf/types.gguf, written by
// scripts/peers/gguf_goldens.py), and files that lie.
#include "io/gguf.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/tap.h"

static void add_number(brew_buf *b, uint64_t value, size_t bytes) {
    brew_buf_add(b, &value, bytes);
}

static void add_string(brew_buf *b, const char *text) {
    add_number(b, strlen(text), 8);
    brew_buf_adds(b, text);
}

static void add_header(brew_buf *b, uint64_t version, uint64_t tensors, uint64_t keys) {
    brew_buf_adds(b, "GGUF");
    add_number(b, version, 4);
    add_number(b, tensors, 8);
    add_number(b, keys, 8);
}

static void add_key_u32(brew_buf *b, const char *key, uint64_t value) {
    add_string(b, key);
    add_number(b, BREW_GGUF_U32, 4);
    add_number(b, value, 4);
}

static void add_key_array(brew_buf *b, const char *key, uint64_t element, uint64_t count) {
    add_string(b, key);
    add_number(b, BREW_GGUF_ARRAY, 4);
    add_number(b, element, 4);
    add_number(b, count, 8);
}

static void add_tensor(brew_buf *b, const char *name, uint64_t rows, uint64_t columns,
                       uint64_t type, uint64_t offset) {
    add_string(b, name);
    add_number(b, 2, 4);
    add_number(b, columns, 8);
    add_number(b, rows, 8);
    add_number(b, type, 4);
    add_number(b, offset, 8);
}

static void add_data(brew_buf *b, size_t alignment, size_t bytes) {
    while (b->len % alignment) brew_buf_addc(b, 0);
    for (size_t i = 0; i < bytes; i++) brew_buf_addc(b, (char)i);
}

// Parses an exact-size copy, so that a sanitizer sees the first byte too far.
static brew_gguf *parse_copy(const char *bytes, size_t len, char **copy, brew_err *err) {
    *copy = malloc(len ? len : 1);
    memcpy(*copy, bytes, len);
    return brew_gguf_parse(*copy, len, "x.gguf", err);
}

static void refused(brew_buf *b, const char *want, const char *what) {
    brew_err err = {0};
    char *copy;
    brew_gguf *gguf = parse_copy(b->ptr ? b->ptr : "", b->len, &copy, &err);
    if (!ok(!gguf && err.code == BREW_DATA && strstr(err.text, want), "%s", what))
        printf("# %s\n", gguf ? "accepted" : err.text);
    brew_gguf_free(gguf);
    free(copy);
    brew_buf_release(b);
}

static char *read_whole(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    brew_buf b = {0};
    char chunk[4096];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file))) brew_buf_add(&b, chunk, got);
    fclose(file);
    *len = b.len;
    return b.ptr;
}

static void test_types(const brew_gguf *gguf) {
    static const char *const names[] = {"f32",         "f16",  "bf16",        "q8_0",
                                        "q4_0",        "q4_1", "q8_0.random", "q4_0.random",
                                        "q4_1.random", "q4_k", "q6_k"};
    float got[1024], want[1024];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char twin[32];
        snprintf(twin, sizeof twin, "%s.f32", names[i]);
        const brew_tensor *t = brew_gguf_tensor(gguf, names[i]), *f = brew_gguf_tensor(gguf, twin);
        if (!ok(t && f && t->n_dims == 2 && t->shape[0] == 2 && t->shape[1] == 512, "%s: is there",
                names[i]))
            continue;
        brew_tensor_rows(t, 0, 2, got);
        brew_tensor_rows(f, 0, 2, want);
        ok(!memcmp(got, want, sizeof got), "%s: bit for bit as the gguf package reads it",
           names[i]);
        brew_tensor_rows(t, 1, 1, got);
        ok(!memcmp(got, want + 512, sizeof got / 2), "%s: the second row alone", names[i]);
    }
    const brew_tensor *cube = brew_gguf_tensor(gguf, "cube");
    ok(cube->n_dims == 3 && cube->shape[0] == 2 && cube->shape[1] == 3 && cube->shape[2] == 4 &&
           brew_tensor_n_rows(cube) == 6,
       "shapes are outermost first");
    ok(!brew_gguf_tensor(gguf, "cub"), "an unknown tensor is NULL");
}

static void test_keys(const brew_gguf *gguf) {
    static const struct {
        const char *key;
        int64_t value;
    } ints[] = {{"n.u8", 200},
                {"n.i8", -100},
                {"n.u16", 60000},
                {"n.i16", -30000},
                {"n.u32", 4000000000},
                {"n.i32", -2000000000},
                {"n.i64", -(INT64_C(1) << 62)}};
    int64_t n;
    double x;
    bool b;
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        ok(brew_gguf_int(gguf, ints[i].key, &n) && n == ints[i].value, "%s", ints[i].key);
        ok(brew_gguf_real(gguf, ints[i].key, &x) && x == (double)ints[i].value, "%s as a real",
           ints[i].key);
    }
    ok(!brew_gguf_int(gguf, "n.u64", &n), "an unsigned value that does not fit is not given");
    ok(!brew_gguf_int(gguf, "n.f32", &n) && !brew_gguf_int(gguf, "n.none", &n), "nor other types");
    ok(brew_gguf_real(gguf, "n.f32", &x) && x == 0.5, "f32");
    ok(brew_gguf_real(gguf, "n.f64", &x) && x == 0.1, "f64");
    ok(brew_gguf_bool(gguf, "n.bool", &b) && b && !brew_gguf_bool(gguf, "n.u8", &b), "bool");
    const char *text;
    size_t len;
    ok(brew_gguf_string(gguf, "n.string", &text, &len) && len == 5 &&
           !memcmp(text, "caf\xc3\xa9", 5),
       "string");
    ok(!brew_gguf_string(gguf, "n.u8", &text, &len), "a number is no string");
    ok(brew_gguf_has(gguf, "n.u64") && !brew_gguf_has(gguf, "n"), "has");
    enum brew_gguf_type type;
    bool found = false;
    for (size_t i = 0; i < brew_gguf_n_keys(gguf); i++) {
        const char *key = brew_gguf_key(gguf, i, &len, &type);
        found |= len == 7 && !memcmp(key, "a.reals", 7) && type == BREW_GGUF_ARRAY;
    }
    ok(found, "keys by number");

    size_t count;
    ok(brew_gguf_array(gguf, "a.ints", &type, &count) && type == BREW_GGUF_I32 && count == 3 &&
           brew_gguf_array_int(gguf, "a.ints", 1, &n) && n == -4 &&
           !brew_gguf_array_int(gguf, "a.ints", 3, &n),
       "an array of integers");
    ok(brew_gguf_array_real(gguf, "a.reals", 1, &x) && x == -8 &&
           brew_gguf_array_real(gguf, "a.ints", 2, &x) && x == 5 &&
           !brew_gguf_array_real(gguf, "a.strings", 0, &x) &&
           !brew_gguf_array_int(gguf, "a.reals", 0, &n),
       "an array of reals");
    brew_gguf_strings it;
    static const char *const strings[] = {"one", "", "three\xc3\x9f"};
    bool right = brew_gguf_strings_start(gguf, "a.strings", &it);
    for (int i = 0; i < 3; i++)
        right = right && brew_gguf_strings_next(&it, &text, &len) && len == strlen(strings[i]) &&
                !memcmp(text, strings[i], len);
    ok(right && !brew_gguf_strings_next(&it, &text, &len), "an array of strings");
    ok(!brew_gguf_strings_start(gguf, "a.ints", &it), "integers are no strings");
}

static void test_header(void) {
    brew_buf b = {0};
    refused(&b, "not a GGUF", "an empty file");
    brew_buf_adds(&b, "G");
    refused(&b, "not a GGUF", "one byte");
    brew_buf_adds(&b, "GGML\3\0\0\0");
    refused(&b, "not a GGUF", "another magic");
    add_header(&b, 2, 0, 0);
    refused(&b, "version 2", "version 2");
    add_header(&b, 1, 0, 0);
    refused(&b, "version 1", "version 1");
    add_header(&b, 0x03000000, 0, 0);
    refused(&b, "big-endian", "big-endian");
    add_header(&b, 3, 0, UINT64_MAX);
    refused(&b, "claims", "more keys than bytes");
    add_header(&b, 3, UINT64_MAX / 2, 0);
    refused(&b, "claims", "more tensors than bytes");
}

static void test_bad_keys(void) {
    brew_buf b = {0};
    add_header(&b, 3, 0, 2);
    add_key_u32(&b, "k", 1);
    add_key_u32(&b, "k", 2);
    refused(&b, "key k stands there twice", "a key twice");
    add_header(&b, 3, 0, 1);
    add_key_u32(&b, "a\nb", 1);
    refused(&b, "not plain text", "a control character in a key");
    add_header(&b, 3, 0, 1);
    add_key_u32(&b, "", 1);
    add_data(&b, 1, 8);
    refused(&b, "empty", "a key without a name");
    add_header(&b, 3, 0, 1);
    add_string(&b, "k");
    add_number(&b, 13, 4);
    add_number(&b, 0, 8);
    refused(&b, "unknown type 13", "an unknown type of value");
    add_header(&b, 3, 0, 1);
    add_string(&b, "k");
    add_number(&b, BREW_GGUF_STRING, 4);
    add_number(&b, UINT64_MAX - 3, 8);
    refused(&b, "cut short", "a string longer than memory");
    add_header(&b, 3, 0, 1);
    add_string(&b, "k");
    add_number(&b, BREW_GGUF_BOOL, 4);
    add_number(&b, 2, 1);
    refused(&b, "neither 0 nor 1", "a bool of 2");
    add_header(&b, 3, 0, 1);
    add_key_array(&b, "k", BREW_GGUF_U64, (uint64_t)1 << 61);
    refused(&b, "claims", "an array whose size overflows");
    add_header(&b, 3, 0, 1);
    add_key_array(&b, "k", BREW_GGUF_STRING, 3);
    add_data(&b, 1, 23);
    refused(&b, "claims", "an array of more strings than bytes");
    add_header(&b, 3, 0, 1);
    add_key_array(&b, "k", BREW_GGUF_ARRAY, 1);
    add_data(&b, 1, 16);
    refused(&b, "array of arrays", "arrays of arrays");
    static const uint64_t alignments[] = {0, 4, 24, 1 << 21, UINT32_MAX};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        add_header(&b, 3, 0, 1);
        add_key_u32(&b, "general.alignment", alignments[i]);
        refused(&b, "general.alignment", "a bad alignment");
    }
}

static void one_tensor(brew_buf *b, uint64_t rows, uint64_t columns, uint64_t type,
                       uint64_t offset) {
    add_header(b, 3, 1, 0);
    add_tensor(b, "t", rows, columns, type, offset);
    add_data(b, 32, 128);
}

static void test_bad_tensors(void) {
    brew_buf b = {0};
    one_tensor(&b, 4, 9, 0, 0);
    refused(&b, "ends behind", "a tensor longer than the data");
    one_tensor(&b, 4, 8, 0, 32);
    refused(&b, "ends behind", "a tensor that begins too late");
    one_tensor(&b, 4, 8, 0, UINT64_MAX - 31);
    refused(&b, "ends behind", "an offset that overflows");
    one_tensor(&b, 1, 8, 0, 16);
    refused(&b, "no multiple of 32", "an offset that is not aligned");
    one_tensor(&b, (uint64_t)1 << 40, (uint64_t)1 << 40, 0, 0);
    refused(&b, "impossible", "a shape whose product overflows");
    one_tensor(&b, 1, UINT64_MAX, 0, 0);
    refused(&b, "impossible", "a dimension beyond 63 bits");
    one_tensor(&b, 1, 31, 8, 0);
    refused(&b, "impossible", "a row that ends inside a block");
    one_tensor(&b, 1, 32, 6, 0);
    refused(&b, "type Q5_0", "a type that is not read, by name");
    one_tensor(&b, 1, 32, 99, 0);
    refused(&b, "unknown type number 99", "a type that nobody knows");
    one_tensor(&b, 1, 32, 4, 0);
    refused(&b, "unknown type number 4", "a type that is gone");
    add_header(&b, 3, 1, 0);
    add_string(&b, "t");
    add_number(&b, 5, 4);
    add_data(&b, 1, 64);
    refused(&b, "5 dimensions", "five dimensions");
    add_header(&b, 3, 2, 0);
    add_tensor(&b, "t", 1, 8, 0, 0);
    add_tensor(&b, "t", 1, 8, 0, 32);
    add_data(&b, 32, 64);
    refused(&b, "tensor t stands there twice", "a tensor twice");
    add_header(&b, 3, 2, 0);
    add_tensor(&b, "t", 2, 8, 0, 32);
    add_tensor(&b, "u", 2, 8, 0, 0);
    add_data(&b, 32, 128);
    refused(&b, "tensors u and t overlap", "tensors that overlap");
}

// A small file with an alignment of its own, keys and two tensors.
static void small_file(brew_buf *b) {
    add_header(b, 3, 2, 3);
    add_key_u32(b, "general.alignment", 64);
    add_string(b, "name");
    add_number(b, BREW_GGUF_STRING, 4);
    add_string(b, "small");
    add_key_array(b, "list", BREW_GGUF_STRING, 2);
    add_string(b, "x");
    add_string(b, "");
    add_tensor(b, "a", 2, 32, 8, 0);
    add_tensor(b, "b", 1, 4, 0, 128);
    add_data(b, 64, 128 + 16);
}

static volatile size_t seen; // what is read must not be optimised away

static void read_all(const brew_gguf *gguf) {
    const char *text;
    size_t len;
    brew_gguf_strings it;
    for (size_t i = 0; i < brew_gguf_n_keys(gguf); i++) {
        enum brew_gguf_type type;
        brew_gguf_key(gguf, i, &len, &type);
    }
    if (brew_gguf_string(gguf, "name", &text, &len))
        for (size_t i = 0; i < len; i++) seen += (size_t)text[i];
    if (brew_gguf_strings_start(gguf, "list", &it))
        while (brew_gguf_strings_next(&it, &text, &len)) seen += len ? (size_t)text[len - 1] : 0;
    for (size_t i = 0; i < brew_gguf_n_tensors(gguf); i++) {
        const brew_tensor *t = brew_gguf_tensor_at(gguf, i, NULL);
        size_t row = (size_t)brew_tensor_row_len(t);
        if (!row) continue;
        float *out = brew_alloc(row * sizeof *out);
        for (int64_t r = 0; r < brew_tensor_n_rows(t); r++) brew_tensor_rows(t, r, 1, out);
        free(out);
    }
}

static void test_damage(void) {
    brew_buf b = {0};
    small_file(&b);
    brew_err err = {0};
    char *copy;
    brew_gguf *gguf = parse_copy(b.ptr, b.len, &copy, &err);
    if (!ok(gguf && brew_gguf_n_tensors(gguf) == 2, "a small file with an alignment of 64"))
        printf("# %s\n", err.text);
    brew_gguf_free(gguf);
    free(copy);
    int accepted = 0;
    for (size_t cut = 0; cut < b.len; cut++) {
        gguf = parse_copy(b.ptr, cut, &copy, &err);
        accepted += gguf != NULL;
        brew_gguf_free(gguf);
        free(copy);
    }
    is_int(accepted, 0, "cut at any byte it is refused");
    accepted = 0;
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        b.ptr[bit / 8] ^= (char)(1 << bit % 8);
        gguf = parse_copy(b.ptr, b.len, &copy, &err);
        if (gguf) read_all(gguf);
        accepted += gguf != NULL;
        brew_gguf_free(gguf);
        free(copy);
        b.ptr[bit / 8] ^= (char)(1 << bit % 8);
    }
    ok(accepted > 0 && accepted < (int)b.len * 8,
       "any bit flipped: %d of %zu readable, none crashes", accepted, b.len * 8);
    brew_buf_release(&b);
}

int main(void) {
    size_t len = 0;
    char *bytes = read_whole("testdata/gguf/types.gguf", &len);
    brew_err err = {0};
    brew_gguf *gguf = bytes ? brew_gguf_parse(bytes, len, "types.gguf", &err) : NULL;
    if (!ok(gguf, "testdata/gguf/types.gguf opens")) printf("# %s\n", err.text);
    if (gguf) {
        test_types(gguf);
        test_keys(gguf);
    }
    brew_gguf_free(gguf);
    free(bytes);
    test_header();
    test_bad_keys();
    test_bad_tensors();
    test_damage();
    return tap_done();
}
