// Plain C: what Arm and old x86 run, four rows by eight columns in registers.
#include <math.h>
#include <string.h>

#include "kernel/cpu/cpu.h"
#include "kernel/cpu/lanes.h"

typedef float quad __attribute__((vector_size(16)));

static inline quad load_quad(const float *from) {
    quad v;
    memcpy(&v, from, sizeof v);
    return v;
}

enum { ROWS = 4, COLUMNS = 8, STEPS = 192 };

// Goes on with the chains of `rows` <= 4 rows and 8 columns; a's rows and steps are so many floats
// apart.
LANES_INLINE void chains(int64_t steps, const float *a, int64_t a_row, int64_t a_step,
                         const float *b, const int rows, quad sum[ROWS][2]) {
    for (int64_t step = 0; step < steps; step++, a += a_step, b += PANEL) {
        quad b0 = load_quad(b), b1 = load_quad(b + 4);
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++) {
            float x = a[i * a_row];
            quad all = {x, x, x, x};
            sum[i][0] = sum[i][0] + all * b0;
            sum[i][1] = sum[i][1] + all * b1;
        }
    }
}

static void some_chains(int64_t steps, const float *a, int64_t a_row, int64_t a_step,
                        const float *b, int rows, quad sum[ROWS][2]) {
    switch (rows) {
    case 1:
        chains(steps, a, a_row, a_step, b, 1, sum);
        break;
    case 2:
        chains(steps, a, a_row, a_step, b, 2, sum);
        break;
    case 3:
        chains(steps, a, a_row, a_step, b, 3, sum);
        break;
    default:
        chains(steps, a, a_row, a_step, b, 4, sum);
    }
}

// The parts of a tile go through STEPS steps together, which stay in the first-level cache.
static inline void any_tile(int64_t steps, const float *a, int64_t a_row, int64_t a_step,
                            const float *b, int rows, bool on, float *c, int64_t ldc) {
    for (; steps > 0; steps -= STEPS, a += STEPS * a_step, b += STEPS * PANEL, on = true) {
        for (int j = 0; j < PANEL; j += COLUMNS) {
            for (int i = 0; i < rows; i += ROWS) {
                quad sum[ROWS][2] = {{{0}}};
                int n = (int)least(ROWS, rows - i);
                float *to = c + i * ldc + j;
                for (int r = 0; on && r < n; r++) memcpy(sum[r], to + r * ldc, sizeof sum[r]);
                some_chains(least(STEPS, steps), a + i * a_row, a_row, a_step, b + j, n, sum);
                for (int r = 0; r < n; r++) memcpy(to + r * ldc, sum[r], sizeof sum[r]);
            }
        }
    }
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
    for (int j = 0; j < PANEL; j += COLUMNS) {
        for (int i = 0; i < rows; i += ROWS) {
            quad sum[ROWS][2] = {0};
            int n = rows - i < ROWS ? rows - i : ROWS;
            some_chains(steps, p + i * BREW_KEY_TILE, BREW_KEY_TILE, 1, b + j, n, sum);
            for (int r = 0; r < n; r++) {
                float *to = c + (i + r) * ldc + j, x = alpha[i + r];
                quad all = {x, x, x, x};
                sum[r][0] = load_quad(to) * all + sum[r][0];
                sum[r][1] = load_quad(to + 4) * all + sum[r][1];
                memcpy(to, sum[r], sizeof sum[r]);
            }
        }
    }
}

#define LEVEL(name) brew_cpu_generic_f32_##name
#define COARSE 0
#define STORE_BF16 0
#define TILE tile
#define TILE_ON tile_on
#define TILE_SCALED tile_scaled
#define TILE_BY_ROWS tile_rows
#define TILE_SUMS tile_sums
#define TILE_I8 lanes_tile_i8
#include "kernel/cpu/level.h"

#define LEVEL(name) brew_cpu_generic_wide_##name
#define COARSE 1
#define STORE_BF16 0
#define TILE tile
#define TILE_ON tile_on
#define TILE_SCALED tile_scaled
#define TILE_BY_ROWS tile_rows
#define TILE_SUMS tile_sums
#define TILE_I8 lanes_tile_i8
#include "kernel/cpu/level.h"
