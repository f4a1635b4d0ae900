// The inner loop of a 12 x 32 tile as one assembler statement, so that no compiler can put one of the
// 24 accumulators on the stack: two registers of B, four rotating broadcasts of A. The multiplying
// instruction is the only difference between F32 and bf16.
//
//     zmm 2i, 2i+1: row i, columns 0-15 and 16-31     zmm24, zmm25: B     zmm26-29: broadcasts
//
// AVX512_TILES(op, p_row) defines, for the multiplying instruction `op` (a string),
//
//     static void tile(steps, a, b, rows, c, ldc)
//         c = a b; a is packed: its rows lie 4 bytes apart, its steps 48
//     static void tile_on(steps, a, b, rows, c, ldc)
//         c = c + a b: goes on with the chains
//     static void tile_scaled(steps, p, b, rows, alpha, c, ldc)
//         c = c * alpha[row] + p b; p lies by rows: rows p_row bytes apart (a literal), steps 4
//     static void tile_rows(steps, p, b, rows, c, ldc)
//         c = p b
//     static void tile_sums(steps, a, b, rows, c, ldc)
//         c = c + a b: goes on with the chains; a lies by panels: its rows 4 bytes apart, its steps 128
//
// with an instance for each number of rows; AVX512_TILE(name, op) the first of the two alone.
#ifndef BREW_KERNEL_CPU_TILE_AVX512_H
#define BREW_KERNEL_CPU_TILE_AVX512_H

#define ZERO(op, row, i, r, x, y) \
    "vpxord %%zmm" #x ",%%zmm" #x ",%%zmm" #x "\nvpxord %%zmm" #y ",%%zmm" #y ",%%zmm" #y "\n"
#define RESUME(op, row, i, r, x, y) \
    "vmovups (%[c]),%%zmm" #x "\nvmovups 64(%[c]),%%zmm" #y "\nadd %[ldc],%[c]\n"
#define DOTS(op, row, i, r, x, y)                                                                 \
    "vpbroadcastd " #i "*" #row "(%[a]),%%zmm" #r "\n" op " %%zmm24,%%zmm" #r ",%%zmm" #x "\n" op \
    " %%zmm25,%%zmm" #r ",%%zmm" #y "\n"
#define KEEP(op, row, i, r, x, y) \
    "vmovups %%zmm" #x ",(%[c])\nvmovups %%zmm" #y ",64(%[c])\nadd %[ldc],%[c]\n"
#define FOLD(op, row, i, r, x, y)                   \
    "vbroadcastss 4*" #i "(%[alpha]),%%zmm" #r "\n" \
    "vfmadd231ps (%[c]),%%zmm" #r ",%%zmm" #x "\n"  \
    "vfmadd231ps 64(%[c]),%%zmm" #r ",%%zmm" #y "\n" KEEP(op, row, i, r, x, y)

// EACH_n(what, op, row): `what` for each of n rows.
#define EACH_1(what, op, row) what(op, row, 0, 26, 0, 1)
#define EACH_2(what, op, row) EACH_1(what, op, row) what(op, row, 1, 27, 2, 3)
#define EACH_3(what, op, row) EACH_2(what, op, row) what(op, row, 2, 28, 4, 5)
#define EACH_4(what, op, row) EACH_3(what, op, row) what(op, row, 3, 29, 6, 7)
#define EACH_5(what, op, row) EACH_4(what, op, row) what(op, row, 4, 26, 8, 9)
#define EACH_6(what, op, row) EACH_5(what, op, row) what(op, row, 5, 27, 10, 11)
#define EACH_7(what, op, row) EACH_6(what, op, row) what(op, row, 6, 28, 12, 13)
#define EACH_8(what, op, row) EACH_7(what, op, row) what(op, row, 7, 29, 14, 15)
#define EACH_9(what, op, row) EACH_8(what, op, row) what(op, row, 8, 26, 16, 17)
#define EACH_10(what, op, row) EACH_9(what, op, row) what(op, row, 9, 27, 18, 19)
#define EACH_11(what, op, row) EACH_10(what, op, row) what(op, row, 10, 28, 20, 21)
#define EACH_12(what, op, row) EACH_11(what, op, row) what(op, row, 11, 29, 22, 23)

#define ALL_ZMM                                                                                   \
    "zmm0", "zmm1", "zmm2", "zmm3", "zmm4", "zmm5", "zmm6", "zmm7", "zmm8", "zmm9", "zmm10",      \
        "zmm11", "zmm12", "zmm13", "zmm14", "zmm15", "zmm16", "zmm17", "zmm18", "zmm19", "zmm20", \
        "zmm21", "zmm22", "zmm23", "zmm24", "zmm25", "zmm26", "zmm27", "zmm28", "zmm29"

#define LOOP(op, row, step, n)                                 \
    ".p2align 5\n1:\nvmovups (%[b]),%%zmm24\nvmovups "         \
    "64(%[b]),%%zmm25\n" EACH_##n(DOTS, op, row) "add $" #step \
                                                 ",%[a]\nadd $128,%[b]\ndec %[steps]\njnz 1b\n"

#define TILE_CASE(op, row, step, n)                                                         \
    case n:                                                                                 \
        __asm__ volatile(EACH_##n(ZERO, op, 4) LOOP(op, row, step, n) EACH_##n(KEEP, op, 4) \
                         : [steps] "+r"(steps), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c)       \
                         : [ldc] "r"(ldc * 4)                                               \
                         : "memory", "cc", ALL_ZMM);                                        \
        break;
#define RESUMED_CASE(op, step, n)                                                          \
    case n:                                                                                \
        __asm__ volatile(EACH_##n(RESUME, op, 4) "sub %[back],%[c]\n" LOOP(op, 4, step, n) \
                             EACH_##n(KEEP, op, 4)                                         \
                         : [steps] "+r"(steps), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c)      \
                         : [ldc] "r"(ldc * 4), [back] "r"(ldc * 4 * n)                     \
                         : "memory", "cc", ALL_ZMM);                                       \
        break;
#define SCALED_CASE(op, p_row, n)                                                              \
    case n:                                                                                    \
        __asm__ volatile(EACH_##n(ZERO, op, 4) LOOP(op, p_row, 4, n) EACH_##n(FOLD, op, p_row) \
                         : [steps] "+r"(steps), [a] "+r"(p), [b] "+r"(b), [c] "+r"(c)          \
                         : [ldc] "r"(ldc * 4), [alpha] "r"(alpha)                              \
                         : "memory", "cc", ALL_ZMM);                                           \
        break;

#define EACH_CASE(what, ...)                                                                \
    what(__VA_ARGS__, 1) what(__VA_ARGS__, 2) what(__VA_ARGS__, 3) what(__VA_ARGS__, 4)     \
        what(__VA_ARGS__, 5) what(__VA_ARGS__, 6) what(__VA_ARGS__, 7) what(__VA_ARGS__, 8) \
            what(__VA_ARGS__, 9) what(__VA_ARGS__, 10) what(__VA_ARGS__, 11) what(__VA_ARGS__, 12)

#define AVX512_TILE(name, op)                                                         \
    static void name(int64_t steps, const void *a, const void *b, int rows, float *c, \
                     int64_t ldc) {                                                   \
        switch (rows) { EACH_CASE(TILE_CASE, op, 4, 48) }                             \
    }

#define AVX512_TILES(op, p_row)                                                            \
    AVX512_TILE(tile, op)                                                                  \
    static void tile_on(int64_t steps, const void *a, const void *b, int rows, float *c,   \
                        int64_t ldc) {                                                     \
        switch (rows) { EACH_CASE(RESUMED_CASE, op, 48) }                                  \
    }                                                                                      \
    static void tile_scaled(int64_t steps, const void *p, const void *b, int rows,         \
                            const float *alpha, float *c, int64_t ldc) {                   \
        switch (rows) { EACH_CASE(SCALED_CASE, op, p_row) }                                \
    }                                                                                      \
    static void tile_rows(int64_t steps, const void *a, const void *b, int rows, float *c, \
                          int64_t ldc) {                                                   \
        switch (rows) { EACH_CASE(TILE_CASE, op, p_row, 4) }                               \
    }                                                                                      \
    static void tile_sums(int64_t steps, const void *a, const void *b, int rows, float *c, \
                          int64_t ldc) {                                                   \
        switch (rows) { EACH_CASE(RESUMED_CASE, op, 128) }                                 \
    }

#endif
