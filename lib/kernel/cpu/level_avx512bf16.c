// AVX512-BF16: per lane acc = fma(odd elements), then acc = fma(even elements), each rounded to
// nearest, denormals taken and given as zero whatever MXCSR says.
#include "kernel/cpu/cpu.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernel/cpu/lanes.h"
#include "kernel/cpu/tile_avx512.h"

AVX512_TILES("vdpbf16ps", 128)

#define STORE_LANES_BF16(to, v)                               \
    do {                                                      \
        __m256bh half = _mm512_cvtneps_pbh((__m512)(v).p[0]); \
        memcpy(to, &half, sizeof half);                       \
    } while (0)

// u8 times I8, four at a time, in 32 bits: whoever has bf16 products has these, too.
AVX512_TILE(tile_bytes_i8, "vpdpbusd")

static void tile_i8(int64_t steps, const void *a, const void *b, int rows, void *c) {
    tile_bytes_i8(steps, a, b, rows, c, PANEL);
}

static inline __m512i table_16(const uint8_t values[16]) {
    __m128i table;
    memcpy(&table, values, sizeof table);
    return _mm512_broadcast_i32x4(table);
}

// 64 values by their halves: of a normal one the upper nibble tells the upper byte (the bias is 120 more) and
// the lower one the lower byte, the eight denormals are looked up.
static inline void decode_f8(const uint8_t *from, uint16_t *to) {
    static const uint8_t upper[16] = {0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41, 0x42, 0x43,
                                      0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41, 0x42, 0x43},
                         small_upper[16] = {0, 0x3b, 0x3b, 0x3b, 0x3c, 0x3c, 0x3c, 0x3c},
                         small_lower[16] = {0, 0, 0x80, 0xc0, 0, 0x20, 0x40, 0x60};
    const __m512i nibble = _mm512_set1_epi8(0x0f);
    __m512i v = _mm512_loadu_si512(from), low = _mm512_and_si512(v, nibble);
    __m512i high = _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble);
    __mmask64 small = _mm512_testn_epi8_mask(v, _mm512_set1_epi8(0x78));
    __m512i first = _mm512_andnot_si512(nibble, _mm512_slli_epi16(v, 4));
    __m512i second = _mm512_shuffle_epi8(table_16(upper), high);
    first = _mm512_mask_shuffle_epi8(first, small, table_16(small_lower), low);
    second = _mm512_mask_shuffle_epi8(second, small, table_16(small_upper), low);
    // second | (v & 0x80)
    second = _mm512_ternarylogic_epi32(second, v, _mm512_set1_epi8((char)0x80), 0xf8);
    _mm512_storeu_si512(to, _mm512_unpacklo_epi8(first, second));
    _mm512_storeu_si512(to + 32, _mm512_unpackhi_epi8(first, second));
}

// The larger magnitudes of pairs, compared as bits.
static inline lanes larger_pairs(lanes most, lanes v) {
    __m512i size = _mm512_and_si512((__m512i)v.p[0], _mm512_set1_epi16(0x7fff));
    return (lanes){{(vec)_mm512_max_epu16((__m512i)most.p[0], size)}};
}

// [i][0] from `even`, [i][1] from `odd`, for n lanes.
#define STORE_PAIRS_BF16(to, even, odd, n)                                                         \
    do {                                                                                           \
        __m512bh both = _mm512_cvtne2ps_pbh((__m512)(odd).p[0], (__m512)(even).p[0]);              \
        __m512i half = _mm512_set1_epi32(0x00100000);                                              \
        __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);     \
        __m512i index = _mm512_or_si512(half, _mm512_or_si512(lane, _mm512_slli_epi32(lane, 16))); \
        _mm512_mask_storeu_epi32(to, (__mmask16)((1u << (n)) - 1),                                 \
                                 _mm512_permutexvar_epi16(index, (__m512i)both));                  \
    } while (0)

#define LEVEL(name) brew_cpu_avx512bf16_##name
#define COARSE 1
#define STORE_BF16 1
#define TILE tile
#define DECODE_F8 decode_f8
#define LARGER_PAIRS larger_pairs
#define TILE_ON tile_on
#define TILE_SCALED tile_scaled
#define TILE_BY_ROWS tile_rows
#define TILE_SUMS tile_sums
#define TILE_I8 tile_i8
#include "kernel/cpu/level.h"
#endif
