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

#define LEVEL(name) brew_cpu_avx512bf16_##name
#define COARSE 1
#define STORE_BF16 1
#define TILE tile
#define TILE_SCALED tile_scaled
#include "kernel/cpu/level.h"
#endif
