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

static void tile_i8(int64_t steps, const void *a, const void *b, int rows, int32_t *c) {
    tile_bytes_i8(steps, a, b, rows, (float *)(void *)c, PANEL);
}

// Normal values need another bias, the eight denormals are looked up.
static inline void decode_f8(const uint8_t *from, uint16_t *to) {
    static const uint16_t denormals[32] = {0,      0x3b00, 0x3b80, 0x3bc0,
                                           0x3c00, 0x3c20, 0x3c40, 0x3c60};
    __m256i bytes;
    memcpy(&bytes, from, sizeof bytes);
    __m512i v = _mm512_cvtepu8_epi16(bytes), table;
    memcpy(&table, denormals, sizeof table);
    __m512i size = _mm512_slli_epi16(_mm512_and_si512(v, _mm512_set1_epi16(0x7f)), 4);
    size = _mm512_add_epi16(size, _mm512_set1_epi16(120 << 7));
    __mmask32 small = _mm512_testn_epi16_mask(v, _mm512_set1_epi16(0x78));
    size = _mm512_mask_permutexvar_epi16(size, small, v, table);
    __m512i sign = _mm512_slli_epi16(_mm512_and_si512(v, _mm512_set1_epi16(0x80)), 8);
    size = _mm512_or_si512(size, sign);
    memcpy(to, &size, sizeof size);
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
#define TILE_ON tile_on
#define TILE_SCALED tile_scaled
#define TILE_BY_ROWS tile_rows
#define TILE_SUMS tile_sums
#define TILE_I8 tile_i8
#include "kernel/cpu/level.h"
#endif
