// safetensors: written and read back, a file of the safetensors package (written by
// scripts/peers/safetensors_goldens.py), and files that lie.
#include "io/safetensors.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/tap.h"
#include "io/map.h"

static void add_file(brew_buf *b, const char *header, size_t data) {
    uint64_t len = strlen(header);
    brew_buf_add(b, &len, 8);
    brew_buf_adds(b, header);
    for (size_t i = 0; i < data; i++) brew_buf_addc(b, (char)i);
}

// Parses an exact-size copy, so that a sanitizer sees the first byte too far.
static brew_safetensors *parse_copy(const char *bytes, size_t len, char **copy, brew_err *err) {
    *copy = malloc(len ? len : 1);
    if (len) memcpy(*copy, bytes, len);
    return brew_safetensors_parse(*copy, len, "x.safetensors", err);
}

static void refused_bytes(const char *bytes, size_t len, const char *want, const char *what) {
    brew_err err = {0};
    char *copy;
    brew_safetensors *file = parse_copy(bytes, len, &copy, &err);
    if (!ok(!file && err.code == BREW_DATA && strstr(err.text, want), "%s", what))
        printf("# %s\n", file ? "accepted" : err.text);
    brew_safetensors_free(file);
    free(copy);
}

static void refused(const char *header, size_t data, const char *want, const char *what) {
    brew_buf b = {0};
    add_file(&b, header, data);
    refused_bytes(b.ptr, b.len, want, what);
    brew_buf_release(&b);
}

static void accepted(const char *header, size_t data, const char *what) {
    brew_buf b = {0};
    add_file(&b, header, data);
    brew_err err = {0};
    brew_safetensors *file = brew_safetensors_parse(b.ptr, b.len, "x.safetensors", &err);
    if (!ok(file, "%s", what)) printf("# %s\n", err.text);
    brew_safetensors_free(file);
    brew_buf_release(&b);
}

#define F32(name, shape, offsets) \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void test_rules(void) {
    accepted("{}", 0, "a file without tensors");
    accepted("{}      ", 0, "padding behind the header");
    accepted("{" F32("a", "[2]", "[0,8]") "," F32("b", "[]", "[8,12]") "}", 12, "a scalar");
    accepted("{" F32("a", "[0,3]", "[4,4]") "," F32("b", "[1]", "[0,4]") "}", 4, "an empty tensor");
    refused("{" F32("a", "[2]", "[0,8]") "," F32("a", "[2]", "[8,16]") "}", 16, "twice",
            "a name twice");
    refused("{" F32("a", "[2]", "[4,12]") "}", 12, "begins at 4, where 0", "a hole at the start");
    refused("{" F32("a", "[1]", "[0,4]") "," F32("b", "[1]", "[8,12]") "}", 12, "begins at 8",
            "a hole");
    refused("{" F32("a", "[2]", "[0,8]") "," F32("b", "[2]", "[4,12]") "}", 12, "begins at 4",
            "an overlap");
    refused("{" F32("a", "[2]", "[0,8]") "}", 12, "the data at 12", "bytes behind the last tensor");
    refused("{" F32("a", "[2]", "[0,8]") "}", 7, "ends at 8, behind the 7", "data cut short");
    refused("{" F32("a", "[3]", "[0,8]") "}", 8, "shape and dtype", "a shape that lies");
    refused("{" F32("a", "[4294967296,4294967296]", "[0,0]") "}", 0, "shape and dtype",
            "an overflow");
    refused("{" F32("a", "[-2]", "[0,8]") "}", 8, "impossible shape", "a negative dimension");
    refused("{" F32("a", "[2.0]", "[0,8]") "}", 8, "impossible shape", "a real dimension");
    refused("{" F32("a", "[1,1,1,1,2]", "[0,8]") "}", 8, "5 dimensions", "five dimensions");
    refused("{" F32("a", "2", "[0,8]") "}", 8, "no shape", "a shape that is no array");
    refused("{" F32("a", "[2]", "[8,0]") "}", 8, "data_offsets", "offsets the wrong way round");
    refused("{" F32("a", "[2]", "[0,8,9]") "}", 8, "data_offsets", "three offsets");
    refused("{" F32("a", "[2]", "[-8,0]") "}", 8, "data_offsets", "a negative offset");
    refused("{" F32("a", "[2]", "[0,9223372036854775807]") "}", 8, "behind",
            "an offset beyond the file");
    refused("{" F32("a", "[2]", "[0,99999999999999999999]") "}", 8, "64 bits",
            "an offset beyond 64 bits");
    refused("{" F32("", "[2]", "[0,8]") "}", 8, "name", "a tensor without a name");
    refused("{" F32("a\\n", "[2]", "[0,8]") "}", 8, "name", "a name with a control character");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "data_offsets", "no offsets");
    refused("{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "no dtype", "no dtype");
    refused("{\"a\":7}", 0, "no object", "a tensor that is a number");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":0}}", 8,
            "a key besides", "a further key");
    refused("{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "dtype F64",
            "a dtype that is not read, by name");
    refused("{\"a\":{\"dtype\":\"X9\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "unknown dtype",
            "a dtype that nobody knows");
    accepted("{\"__metadata__\":{\"format\":\"pt\"}}", 0, "metadata");
    refused("{\"__metadata__\":{\"format\":1}}", 0, "more than strings",
            "metadata that is a number");
    refused("{\"__metadata__\":[]}", 0, "no object", "metadata that is an array");
}

static void test_header(void) {
    refused_bytes("", 0, "no header", "an empty file");
    refused_bytes("x", 1, "no header", "one byte");
    refused_bytes("\0\0\0\0\0\0\0\0", 8, "no JSON object", "a header of no bytes");
    refused_bytes("\2\0\0\0\0\0\0\0[]", 10, "no JSON object", "a header that is an array");
    refused_bytes("\3\0\0\0\0\0\0\0 {}", 11, "no JSON object", "a blank before the header");
    refused_bytes("\3\0\0\0\0\0\0\0{}", 10, "cut short", "a header cut short");
    refused_bytes("\2\0\0\0\0\0\0\1{}", 10, "too large", "a header of 72 petabytes");
    refused_bytes("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "too large", "a header of all ones");
    refused_bytes("\3\0\0\0\0\0\0\0{}}", 11, "header", "bytes behind the object");
}

static void test_damage(const char *bytes, size_t len) {
    brew_err err = {0};
    char *copy, *damaged = brew_alloc(len);
    int taken = 0;
    for (size_t cut = 0; cut < len; cut++) {
        brew_safetensors *file = parse_copy(bytes, cut, &copy, &err);
        taken += file != NULL;
        brew_safetensors_free(file);
        free(copy);
    }
    is_int(taken, 0, "cut at any byte it is refused");
    memcpy(damaged, bytes, len);
    for (size_t bit = 0; bit < len * 8; bit++) {
        damaged[bit / 8] ^= (char)(1 << bit % 8);
        brew_safetensors *file = parse_copy(damaged, len, &copy, &err);
        for (size_t i = 0; file && i < brew_safetensors_n(file); i++) {
            const brew_tensor *t = brew_safetensors_at(file, i, NULL);
            float out[64];
            if (t->dtype < BREW_Q8_0 && brew_tensor_row_len(t) <= 64 && brew_tensor_n_rows(t))
                brew_tensor_rows(t, brew_tensor_n_rows(t) - 1, 1, out);
        }
        brew_safetensors_free(file);
        free(copy);
        damaged[bit / 8] ^= (char)(1 << bit % 8);
    }
    ok(true, "any bit flipped: none of %zu crashes", len * 8);
    free(damaged);
}

static char *write_file(const brew_named_tensor *tensors, size_t n, const brew_json *metadata,
                        size_t *len) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/brew-safetensors-%ld", (long)getpid());
    brew_err err = {0};
    brew_out *out = brew_out_open(path, BREW_OUT_BINARY, &err);
    if (!out || brew_safetensors_write(out, tensors, n, metadata, &err) ||
        brew_out_commit(out, &err)) {
        printf("# %s\n", err.text);
        return NULL;
    }
    FILE *file = fopen(path, "rb");
    char *bytes = brew_alloc(1 << 16);
    *len = file ? fread(bytes, 1, 1 << 16, file) : 0;
    if (file) fclose(file);
    unlink(path);
    return bytes;
}

static void test_writing(void) {
    float f32[6] = {1, 2, 3, 4, 5, 6};
    uint16_t bf16[4] = {0x3f80, 0x4000, 0x4040, 0x4080};
    uint8_t f8[3] = {0x38, 0x40, 0x44};
    int64_t i64[1] = {-7};
    brew_named_tensor tensors[4] = {{"z", {f32, BREW_F32, 2, {2, 3}, 0}},
                                    {"a \"quoted\" name", {f8, BREW_F8_E4M3, 1, {3}, 0}},
                                    {"b", {bf16, BREW_BF16, 1, {4}, 0}},
                                    {"i", {i64, BREW_I64, 0, {0}, 0}}};
    brew_json *metadata = brew_json_new_object();
    brew_json_set(metadata, "format", brew_json_new_string("pt", 2));
    size_t len, len2;
    char *bytes = write_file(tensors, 4, metadata, &len);
    brew_named_tensor swapped[4] = {tensors[3], tensors[1], tensors[0], tensors[2]};
    char *again = write_file(swapped, 4, metadata, &len2);
    ok(bytes && again && len == len2 && !memcmp(bytes, again, len), "any order, the same bytes");
    brew_err err = {0};
    brew_safetensors *file = brew_safetensors_parse(bytes, len, "written", &err);
    if (ok(file && brew_safetensors_n(file) == 4, "what is written can be read")) {
        bool same = true, aligned = true;
        for (int i = 0; i < 4; i++) {
            const brew_tensor *t = brew_safetensors_get(file, tensors[i].name),
                              *w = &tensors[i].tensor;
            size_t size = 0;
            same &= t && t->dtype == w->dtype && t->n_dims == w->n_dims &&
                    !memcmp(t->shape, w->shape, sizeof t->shape) && brew_tensor_bytes(t, &size) &&
                    !memcmp(t->data, w->data, size);
            aligned &= t && ((const char *)t->data - bytes) % brew_dtype_block_bytes(t->dtype) == 0;
        }
        ok(same, "types, shapes and bytes come back");
        ok(aligned, "each tensor is aligned to its type");
        is_str(brew_json_string(brew_json_get(brew_safetensors_metadata(file), "format"), NULL),
               "pt", "so does the metadata");
        ok(!brew_safetensors_get(file, "c"), "an unknown tensor is NULL");
        test_damage(bytes, len);
    } else {
        printf("# %s\n", err.text);
    }
    brew_safetensors_free(file);
    brew_json_free(metadata);
    free(bytes);
    free(again);
    brew_out *out = brew_out_open("/dev/full", BREW_OUT_BINARY, &err);
    int rc = out ? brew_safetensors_write(out, tensors, 4, NULL, &err) : -1;
    if (rc && out) brew_out_abandon(out);
    if (!rc) rc = brew_out_commit(out, &err);
    ok(rc && err.code == BREW_IO, "a full disk is an error");
    brew_named_tensor blocks = {"q", {f32, BREW_Q8_0, 1, {32}, 0}};
    out = brew_out_open("/dev/null", BREW_OUT_BINARY, &err);
    ok(brew_safetensors_write(out, &blocks, 1, NULL, &err) && strstr(err.text, "no type Q8_0"),
       "block types are refused");
    brew_out_abandon(out);
}

// testdata/safetensors/types.safetensors was written by the safetensors package.
static void test_golden(void) {
    char golden[2048];
    FILE *f = fopen("testdata/safetensors/types.safetensors", "rb");
    size_t len = f ? fread(golden, 1, sizeof golden, f) : 0, written;
    if (f) fclose(f);
    brew_err err = {0};
    brew_safetensors *file = brew_safetensors_parse(golden, len, "golden", &err);
    if (!ok(file, "a file of the safetensors package")) printf("# %s\n", err.text);
    if (!file) return;
    brew_named_tensor tensors[16];
    size_t n = brew_safetensors_n(file);
    is_int((long long)n, 10, "all its tensors");
    for (size_t i = 0; i < n && i < 16; i++)
        tensors[i].tensor = *brew_safetensors_at(file, i, &tensors[i].name);
    static const char *const names[] = {"f32", "bf16", "f16", "f8"};
    for (size_t k = 0; k < 4; k++) {
        const brew_tensor *t = brew_safetensors_get(file, names[k]);
        float out[12];
        brew_tensor_rows(t, 0, brew_tensor_n_rows(t), out);
        bool right = true;
        for (int i = 0; i < 12; i++) right &= out[i] == (float)(i - 6);
        ok(right, "its values in %s", brew_dtype_name(t->dtype));
    }
    char *bytes = write_file(tensors, n, brew_safetensors_metadata(file), &written);
    ok(bytes && written == len && !memcmp(bytes, golden, len), "written again, the same bytes");
    free(bytes);
    brew_safetensors_free(file);
}

// ---- values made as they are written ----

enum { MADE_ROWS = 700, MADE_COLS = 600 }; // more than goes in one piece

static void make_rows(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    int64_t *calls = arg, cols = index == 1 ? 5 : MADE_COLS;
    ++*calls;
    for (int64_t i = 0; i < count * cols; i++)
        rows[i] = (float)((first * cols + i) % 127) - 60 + (float)index;
}

static void test_rows(void) {
    static const char path[] = "safetensors_test.rows";
    brew_err err = {0};
    brew_named_tensor tensors[3] = {
        {"b", {NULL, BREW_BF16, 2, {MADE_ROWS, MADE_COLS}, 0}},
        {"a", {NULL, BREW_F32, 1, {5}, 0}},
        {"c", {NULL, BREW_F16, 2, {MADE_ROWS, MADE_COLS}, 0}},
    };
    int64_t calls = 0;
    char sha_hex[65], file_hex[65];
    brew_sha256 sha;
    brew_sha256_init(&sha);
    brew_out *out = brew_out_open(path, BREW_OUT_BINARY, &err);
    ok(out && !brew_safetensors_write_rows(out, tensors, 3, NULL, make_rows, &calls, &sha, &err) &&
           !brew_out_commit(out, &err),
       "values made as they are written");
    ok(calls == 5, "a piece at a time");
    brew_sha256_hex(&sha, sha_hex);
    ok(!brew_sha256_file(path, file_hex, &err), "their file");
    is_str(file_hex, sha_hex, "has the digest told");
    brew_map map = {0};
    ok(!brew_map_open(&map, path, &err), "is opened");
    brew_safetensors *file = brew_safetensors_parse(map.ptr, map.len, path, &err);
    float *got = malloc(MADE_ROWS * MADE_COLS * 4), *want = malloc(MADE_ROWS * MADE_COLS * 4);
    for (size_t i = 0; file && i < 3; i++) {
        const brew_tensor *t = brew_safetensors_get(file, tensors[i].name);
        int64_t rows = brew_tensor_n_rows(t), cols = brew_tensor_row_len(t);
        brew_tensor_rows(t, 0, rows, got);
        make_rows(&calls, i, 0, rows, want);
        ok(!memcmp(got, want, (size_t)(rows * cols) * 4), "holds the values of %s",
           tensors[i].name);
    }
    free(got);
    free(want);
    brew_safetensors_free(file);
    brew_map_close(&map);
    unlink(path);
    out = brew_out_open("/dev/full", BREW_OUT_BINARY, &err);
    int rc = brew_safetensors_write_rows(out, tensors, 3, NULL, make_rows, &calls, NULL, &err);
    if (!rc)
        rc = brew_out_commit(out, &err);
    else
        brew_out_abandon(out);
    ok(rc && err.code == BREW_IO, "a full disk is an error");
}

int main(void) {
    test_rows();
    test_golden();
    test_rules();
    test_header();
    test_writing();
    return tap_done();
}
