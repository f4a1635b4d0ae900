// AVX2 with FMA: six rows by sixteen columns in registers.
#include "kernel/cpu/cpu.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernel/cpu/lanes.h"

enum { ROWS = 6, COLUMNS = 16, STEPS = 192 };

// Goes on with the chains of `rows` <= 6 rows and 16 columns; a's rows and steps are so many floats
// apart.
LANES_INLINE void chains(int64_t steps, const float *a, int64_t a_row, int64_t a_step,
                         const float *b, const int rows, __m256 sum[ROWS][2]) {
    for (int64_t step = 0; step < steps; step++, a += a_step, b += PANEL) {
        __m256 b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            __m256 all = _mm256_broadcast_ss(a + i * a_row);
            sum[i][0] = _mm256_fmadd_ps(all, b0, sum[i][0]);
            sum[i][1] = _mm256_fmadd_ps(all, b1, sum[i][1]);
        }
    }
}

// Where six rows' chains begin: at zero, or in c.
LANES_INLINE void begin_rows(const int rows, __m256 sum[ROWS][2], bool on, const float *c,
                             int64_t ldc) {
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++, c += ldc) {
        sum[i][0] = on ? _mm256_loadu_ps(c) : _mm256_setzero_ps();
        sum[i][1] = on ? _mm256_loadu_ps(c + 8) : _mm256_setzero_ps();
    }
}

// What becomes of six rows' chains: c, or c * alpha[row] + chains.
LANES_INLINE void finish_rows(const int rows, __m256 sum[ROWS][2], const float *alpha, float *c,
                              int64_t ldc) {
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++, c += ldc) {
        if (alpha) {
            __m256 all = _mm256_broadcast_ss(alpha + i);
            sum[i][0] = _mm256_fmadd_ps(_mm256_loadu_ps(c), all, sum[i][0]);
            sum[i][1] = _mm256_fmadd_ps(_mm256_loadu_ps(c + 8), all, sum[i][1]);
        }
        _mm256_storeu_ps(c, sum[i][0]);
        _mm256_storeu_ps(c + 8, sum[i][1]);
    }
}

#define CASE(n)                                     \
    case n:                                         \
        begin_rows(n, sum, on, c, ldc);             \
        chains(steps, a, a_row, a_step, b, n, sum); \
        finish_rows(n, sum, alpha, c, ldc);         \
        break;

static inline void some_rows(int64_t steps, const float *a, int64_t a_row, int64_t a_step,
                             const float *b, int rows, bool on, const float *alpha, float *c,
                             int64_t ldc) {
    __m256 sum[ROWS][2];
    switch (rows) {
        CASE(1)
        CASE(2)
        CASE(3)
        CASE(4)
        CASE(5)
        CASE(6)
    }
}

// The four parts of a tile go through STEPS steps together, which stay in the first-level cache.
static inline void any_tile(int64_t steps, const float *a, int64_t a_row, int64_t a_step,
                            const float *b, int rows, bool on, float *c, int64_t ldc) {
    for (; steps > 0; steps -= STEPS, a += STEPS * a_step, b += STEPS * PANEL, on = true)
        for (int j = 0; j < PANEL; j += COLUMNS)
            for (int i = 0; i < rows; i += ROWS)
                some_rows(least(STEPS, steps), a + i * a_row, a_row, a_step, b + j,
                          (int)least(ROWS, rows - i), on, NULL, c + i * ldc + j, ldc);
}

static void tile(int64_t steps, const void *a, const void *b, int rows, float *c, int64_t ldc) {
    any_tile(steps, a, 1, TILE_ROWS, b, rows, false, c, ldc);
}

static void tile_on(int64_t steps, const void *a, const void *b, int rows, float *c, int64_t ldc) {
    any_tile(steps, a, 1, TILE_ROWS, b, rows, true, c, ldc);
}

static void tile_rows(int64_t steps, const void *a, const void *b, int rows, float *c,
                      int64_t ldc) {
    any_tile(steps, a, BREW_KEY_TILE, 1, b, rows, false, c, ldc);
}

static void tile_sums(int64_t steps, const void *a, const void *b, int rows, float *c,
                      int64_t ldc) {
    any_tile(steps, a, 1, PANEL, b, rows, true, c, ldc);
}

static void tile_scaled(int64_t steps, const void *left, const void *right, int rows,
                        const float *alpha, float *c, int64_t ldc) {
    const float *p = left, *b = right;
    for (int j = 0; j < PANEL; j += COLUMNS)
        for (int i = 0; i < rows; i += ROWS)
            some_rows(steps, p + i * BREW_KEY_TILE, BREW_KEY_TILE, 1, b + j,
                      (int)least(ROWS, rows - i), false, alpha + i, c + i * ldc + j, ldc);
}

#define LEVEL(name) brew_cpu_avx2_f32_##name
#define COARSE 0
#define STORE_BF16 0
#define TILE tile
#define TILE_ON tile_on
#define TILE_SCALED tile_scaled
#define TILE_BY_ROWS tile_rows
#define TILE_SUMS tile_sums
#define TILE_I8 lanes_tile_i8
#include "kernel/cpu/level.h"

#define LEVEL(name) brew_cpu_avx2_wide_##name
#define COARSE 1
#define STORE_BF16 0
#define TILE tile
#define TILE_ON tile_on
#define TILE_SCALED tile_scaled
#define TILE_BY_ROWS tile_rows
#define TILE_SUMS tile_sums
#define TILE_I8 lanes_tile_i8
#include "kernel/cpu/level.h"
#endif
