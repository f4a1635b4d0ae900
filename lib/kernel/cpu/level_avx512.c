// AVX-512 for F32, and for bf16 without its own product.
#include "kernel/cpu/cpu.h"

#if defined(__AVX512F__)
#include <math.h>
#include <string.h>

#include "kernel/cpu/lanes.h"
#include "kernel/cpu/tile_avx512.h"

AVX512_TILES("vfmadd231ps", 256)

// u8 times I8, four at a time, in 32 bits, where the processor has that without having bf16 products.
AVX512_TILE(tile_bytes_i8, "vpdpbusd")

static void tile_i8(int64_t steps, const void *a, const void *b, int rows, void *c) {
    if (__builtin_cpu_supports("avx512vnni"))
        tile_bytes_i8(steps, a, b, rows, c, PANEL);
    else
        lanes_tile_i8(steps, a, b, rows, c);
}

#define LEVEL(name) brew_cpu_avx512_f32_##name
#define COARSE 0
#define STORE_BF16 0
#define TILE tile
#define TILE_ON tile_on
#define TILE_SCALED tile_scaled
#define TILE_BY_ROWS tile_rows
#define TILE_SUMS tile_sums
#define TILE_I8 tile_i8
#include "kernel/cpu/level.h"

#define LEVEL(name) brew_cpu_avx512_wide_##name
#define COARSE 1
#define STORE_BF16 0
#define TILE tile
#define TILE_ON tile_on
#define TILE_SCALED tile_scaled
#define TILE_BY_ROWS tile_rows
#define TILE_SUMS tile_sums
#define TILE_I8 tile_i8
#include "kernel/cpu/level.h"
#endif
