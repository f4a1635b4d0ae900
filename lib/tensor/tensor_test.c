// Types and their values against formulas in double; the block types also against ggml's own readers,
// in lib/io/gguf_test.c.
#include "tensor/tensor.h"

#include <math.h>

#include "base/tap.h"

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static double small_float(int sign, int exponent, int fraction, int fraction_bits, int bias) {
    double magnitude = exponent ? ldexp(1 + ldexp(fraction, -fraction_bits), exponent - bias)
                                : ldexp(ldexp(fraction, -fraction_bits), 1 - bias);
    return sign ? -magnitude : magnitude;
}

static void test_f16(void) {
    int wrong = 0, wrong_back = 0;
    for (int h = 0; h < 65536; h++) {
        int exponent = h >> 10 & 31, fraction = h & 1023;
        float got = brew_f32_from_f16((uint16_t)h);
        if (exponent == 31 && fraction) {
            wrong += !isnan(got);
            wrong_back += brew_f16_from_f32(got) != (h | 0x200);
            continue;
        }
        double want = exponent == 31 ? (h >> 15 ? -INFINITY : INFINITY)
                                     : small_float(h >> 15, exponent, fraction, 10, 15);
        wrong += got != want || !signbit(got) != !(h >> 15);
        wrong_back += brew_f16_from_f32(got) != h;
    }
    is_int(wrong, 0, "every f16 has its value as f32");
    is_int(wrong_back, 0, "every f16 survives the way through f32");

    int wrong_round = 0; // halfway between neighbours, and one bit to either side of it
    for (int h = 0; h < 0x7bff; h++) {
        float low = brew_f32_from_f16((uint16_t)h), high = brew_f32_from_f16((uint16_t)(h + 1));
        float half = low + (high - low) / 2;
        wrong_round += brew_f16_from_f32(half) != (h & 1 ? h + 1 : h);
        wrong_round += brew_f16_from_f32(nextafterf(half, 0)) != h;
        wrong_round += brew_f16_from_f32(nextafterf(half, INFINITY)) != h + 1;
    }
    is_int(wrong_round, 0, "f32 to f16 rounds to nearest, halves to even");
    ok(brew_f16_from_f32(65519.99f) == 0x7bff && brew_f16_from_f32(65520.0f) == 0x7c00 &&
           brew_f16_from_f32(-1e30f) == 0xfc00,
       "f16 overflows to infinity from 65520 on");
    ok(brew_f16_from_f32(1e-30f) == 0 && brew_f16_from_f32(-1e-40f) == 0x8000,
       "tiny values become zero with their sign");
}

static void test_bf16(void) {
    ok(brew_bf16_from_f32(1.0f) == 0x3f80 && brew_bf16_from_f32(-2.5f) == 0xc020, "plain values");
    float half = brew_f32_from_bf16(0x3f80) + 0x1p-8f; // halfway to 0x3f81
    ok(brew_bf16_from_f32(half) == 0x3f80 && brew_bf16_from_f32(nextafterf(half, 2)) == 0x3f81 &&
           brew_bf16_from_f32(brew_f32_from_bf16(0x3f81) + 0x1p-8f) == 0x3f82,
       "bf16 rounds to nearest even");
    ok(brew_bf16_from_f32(-0x1p-127f) == 0x8000 && brew_bf16_from_f32(3.4e38f) == 0x7f80 &&
           brew_bf16_from_f32(nextafterf(0x1p-126f, 0)) == 0,
       "bf16 denormals become zero, overflow becomes infinity");
    ok(isnan(brew_f32_from_bf16(brew_bf16_from_f32(NAN))), "NaN stays NaN");
}

static void test_plain_rows(void) {
    uint8_t f8[256];
    float out[256];
    for (int i = 0; i < 256; i++) f8[i] = (uint8_t)i;
    brew_tensor t = {f8, BREW_F8_E4M3, 1, {256}, 0};
    brew_tensor_rows(&t, 0, 1, out);
    int wrong = 0;
    for (int i = 0; i < 256; i++) {
        double want = small_float(i >> 7, i >> 3 & 15, i & 7, 3, 7);
        wrong +=
            (i & 127) == 127 ? !isnan(out[i]) : out[i] != want || !signbit(out[i]) != !(i >> 7);
    }
    is_int(wrong, 0, "all 256 values of F8_E4M3");

    float f32[6] = {0, -1, 2.5f, 1e-40f, INFINITY, 7}, back[6];
    uint8_t raw[sizeof f32 + 1];
    memcpy(raw + 1, f32, sizeof f32); // stored at an odd address, as files may have it
    brew_tensor plain = {raw + 1, BREW_F32, 2, {3, 2}, 0};
    brew_tensor_rows(&plain, 0, 3, back);
    ok(!memcmp(f32, back, sizeof f32), "F32 rows, unaligned");
    brew_tensor_rows(&plain, 1, 1, back);
    ok(back[0] == 2.5f && bits_of(back[1]) == bits_of(1e-40f), "a row from the middle");
    uint16_t half[4] = {0x3c00, 0xc000, 0x0001, 0x7bff}, brain[4] = {0x3f80, 0xc000, 1, 0x7f7f};
    brew_tensor f16 = {half, BREW_F16, 2, {2, 2}, 0}, bf16 = {brain, BREW_BF16, 2, {2, 2}, 0};
    brew_tensor_rows(&f16, 0, 2, back);
    ok(back[0] == 1 && back[1] == -2 && back[2] == 0x1p-24f && back[3] == 65504, "F16 rows");
    brew_tensor_rows(&bf16, 0, 2, back);
    ok(back[0] == 1 && back[1] == -2 && bits_of(back[2]) == 0x10000 &&
           bits_of(back[3]) == 0x7f7f0000,
       "BF16 rows, denormals kept");
    brew_tensor scalar = {f32 + 2, BREW_F32, 0, {0}, 0};
    brew_tensor_rows(&scalar, 0, 1, back);
    ok(back[0] == 2.5f && brew_tensor_n_rows(&scalar) == 1, "a scalar is a row of one");
}

static void test_interleaved(void) {
    // Two heads of three pairs: halves (a0 a1 a2 | b0 b1 b2) are stored as a0 b0 a1 b1 a2 b2.
    float stored[12] = {0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}, out[12];
    brew_tensor q = {stored, BREW_F32, 2, {12, 1}, 2};
    brew_tensor_rows(&q, 0, 12, out);
    bool right = true;
    for (int i = 0; i < 12; i++) right &= out[i] == (float)i;
    ok(right, "interleaved rows come out as halves");
    brew_tensor_rows(&q, 4, 4, out);
    ok(out[0] == 4 && out[1] == 5 && out[2] == 6 && out[3] == 7, "also in part");
    brew_tensor bias = {stored, BREW_F32, 1, {12}, 2};
    brew_tensor_rows(&bias, 0, 1, out);
    right = true;
    for (int i = 0; i < 12; i++) right &= out[i] == (float)i;
    ok(right, "and the values of a bias");
}

static void test_bytes(void) {
    size_t bytes;
    brew_tensor t = {NULL, BREW_Q4_K, 2, {3, 512}, 0};
    ok(brew_tensor_bytes(&t, &bytes) && bytes == 3 * 2 * 144, "bytes of blocks");
    t.shape[1] = 128;
    ok(!brew_tensor_bytes(&t, &bytes), "a row of half a block is refused");
    brew_tensor huge = {NULL, BREW_F32, 3, {(int64_t)1 << 31, (int64_t)1 << 31, 4}, 0};
    ok(!brew_tensor_bytes(&huge, &bytes), "an overflowing product is refused");
    huge.n_dims = 2;
    ok(!brew_tensor_bytes(&huge, &bytes), "also in bytes");
    brew_tensor empty = {NULL, BREW_F32, 3, {0, (int64_t)1 << 40, (int64_t)1 << 40}, 0};
    ok(!brew_tensor_bytes(&empty, &bytes), "also behind a dimension of zero");
    empty.n_dims = 2;
    ok(brew_tensor_bytes(&empty, &bytes) && bytes == 0, "an empty tensor has no bytes");
    t.shape[0] = -1;
    ok(!brew_tensor_bytes(&t, &bytes), "a negative dimension is refused");
    brew_tensor scalar = {NULL, BREW_I64, 0, {0}, 0};
    ok(brew_tensor_bytes(&scalar, &bytes) && bytes == 8, "a scalar");
    for (int d = 0; d < BREW_DTYPES; d++)
        if (!brew_dtype_name((enum brew_dtype)d) || !brew_dtype_block((enum brew_dtype)d))
            ok(false, "type %d is described", d);
}

int main(void) {
    test_f16();
    test_bf16();
    test_plain_rows();
    test_interleaved();
    test_bytes();
    return tap_done();
}
