// Sixteen F32 lanes in as many registers as the machine needs: one with AVX-512, two with AVX2, four of
// GNU's 16-byte vectors elsewhere (SSE2, NEON). Intrinsics only where AVX-512 says it better. Private
// to the level files.
//
// lanes_max(a, b) is b if either is NaN, as vmaxps has it: write the operand that must survive last.
#ifndef BREW_KERNEL_CPU_LANES_H
#define BREW_KERNEL_CPU_LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define LANES_INLINE static inline __attribute__((always_inline, unused))

#if defined(__AVX512F__)
enum { LANES = 16, VECS = 1 };
#elif defined(__AVX2__)
enum { LANES = 16, VECS = 2 };
#else
enum { LANES = 16, VECS = 4 };
#endif
enum { VEC = LANES / VECS, PATTERN = 3 * LANES };

typedef float vec __attribute__((vector_size(4 * VEC)));
typedef int32_t ivec __attribute__((vector_size(4 * VEC)));
typedef uint32_t uvec __attribute__((vector_size(4 * VEC)));
typedef struct lanes {
    vec p[VECS];
} lanes;

// Before a short loop over lanes: its arrays are to become registers.
#define UNROLL_4 _Pragma("GCC unroll 4")
#define EACH_VEC UNROLL_4 for (int i = 0; i < VECS; i++)

LANES_INLINE lanes lanes_all(float x) {
    lanes v;
    EACH_VEC v.p[i] = x - (vec){0}; // x in every lane, -0 and NaN too
    return v;
}

LANES_INLINE lanes lanes_load(const float *from) {
    lanes v;
    memcpy(&v, from, sizeof v);
    return v;
}

LANES_INLINE void lanes_store(float *to, lanes v) {
    memcpy(to, &v, sizeof v);
}

// The first n < 16 values, then zeros.
LANES_INLINE lanes lanes_load_some(const float *from, int64_t n) {
#if defined(__AVX512F__)
    return (lanes){{(vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), from)}};
#else
    if (n == LANES) return lanes_load(from);
    float all[LANES] = {0};
    memcpy(all, from, (size_t)n * sizeof *from);
    return lanes_load(all);
#endif
}

LANES_INLINE void lanes_store_some(float *to, lanes v, int64_t n) {
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), (__m512)v.p[0]);
#else
    if (n == LANES)
        lanes_store(to, v);
    else
        memcpy(to, &v, (size_t)n * sizeof *to);
#endif
}

LANES_INLINE lanes lanes_add(lanes a, lanes b) {
    EACH_VEC a.p[i] = a.p[i] + b.p[i];
    return a;
}
LANES_INLINE lanes lanes_sub(lanes a, lanes b) {
    EACH_VEC a.p[i] = a.p[i] - b.p[i];
    return a;
}
LANES_INLINE lanes lanes_mul(lanes a, lanes b) {
    EACH_VEC a.p[i] = a.p[i] * b.p[i];
    return a;
}
LANES_INLINE lanes lanes_div(lanes a, lanes b) {
    EACH_VEC a.p[i] = a.p[i] / b.p[i];
    return a;
}

// a * b + c: rounded once with AVX-512, twice elsewhere.
LANES_INLINE lanes lanes_fma(lanes a, lanes b, lanes c) {
#if defined(__AVX512F__)
    a.p[0] = (vec)_mm512_fmadd_ps((__m512)a.p[0], (__m512)b.p[0], (__m512)c.p[0]);
#else
    EACH_VEC a.p[i] = a.p[i] * b.p[i] + c.p[i];
#endif
    return a;
}

LANES_INLINE vec vec_pick(ivec mask, vec yes, vec no) {
    return (vec)((mask & (ivec)yes) | (~mask & (ivec)no));
}

LANES_INLINE lanes lanes_max(lanes a, lanes b) {
#if defined(__AVX512F__)
    a.p[0] = (vec)_mm512_max_ps((__m512)a.p[0], (__m512)b.p[0]);
#else
    EACH_VEC a.p[i] = vec_pick(a.p[i] > b.p[i], a.p[i], b.p[i]);
#endif
    return a;
}

// The smaller; b if either is NaN.
LANES_INLINE lanes lanes_min(lanes a, lanes b) {
#if defined(__AVX512F__)
    a.p[0] = (vec)_mm512_min_ps((__m512)a.p[0], (__m512)b.p[0]);
#else
    EACH_VEC a.p[i] = vec_pick(a.p[i] < b.p[i], a.p[i], b.p[i]);
#endif
    return a;
}

LANES_INLINE lanes lanes_sqrt(lanes v) {
#if defined(__AVX512F__)
    v.p[0] = (vec)_mm512_sqrt_ps((__m512)v.p[0]);
#elif defined(__AVX2__)
    EACH_VEC v.p[i] = (vec)_mm256_sqrt_ps((__m256)v.p[i]);
#else
    float x[LANES];
    lanes_store(x, v);
    for (int i = 0; i < LANES; i++) x[i] = sqrtf(x[i]);
    v = lanes_load(x);
#endif
    return v;
}

// Lanes lo <= i < hi of v, the others -infinity.
LANES_INLINE lanes lanes_mask(lanes v, int32_t lo, int32_t hi) {
    static const int32_t numbers[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    EACH_VEC {
        ivec index;
        memcpy(&index, numbers + i * VEC, sizeof index);
        ivec keep = (index >= lo) & (index < hi);
        v.p[i] = vec_pick(keep, v.p[i], -__builtin_inff() - (vec){0});
    }
    return v;
}

LANES_INLINE float lanes_reduce_max(lanes v) {
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)v.p[0]);
#else
    for (int n = VECS / 2; n; n /= 2)
        for (int i = 0; i < n; i++) v.p[i] = vec_pick(v.p[i] > v.p[i + n], v.p[i], v.p[i + n]);
    float x[VEC], most = v.p[0][0];
    memcpy(x, &v.p[0], sizeof x);
    for (int i = 1; i < VEC; i++) most = x[i] > most ? x[i] : most;
    return most;
#endif
}

// The sum by halves: lane i with i+8, then +4, +2, +1.
LANES_INLINE float lanes_reduce_sum(lanes v) {
    float x[LANES];
    lanes_store(x, v);
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++) x[i] += x[i + width];
    return x[0];
}

// 2^t for t <= 128 or so; 0 below -160 and for -infinity, exactly 1 at 0, NaN for NaN. Minimax
// polynomials on [-1/2, 1/2] with constant term 1; relative error 8.4e-8, or 3.6e-6 if `coarse`.
LANES_INLINE lanes lanes_exp2(lanes t, int coarse) {
    t = lanes_max(lanes_all(-160), t);
#if defined(__AVX512F__)
    lanes n = {{(vec)_mm512_roundscale_ps((__m512)t.p[0], 8)}};
#else
    const lanes magic = lanes_all(12582912); // 1.5 * 2^23: adding it rounds to an integer
    lanes shifted = lanes_add(t, magic), n = lanes_sub(shifted, magic);
#endif
    lanes f = lanes_sub(t, n), p;
    if (coarse) {
        p = lanes_all(0.00978291255f);
        p = lanes_fma(p, f, lanes_all(0.0559768836f));
        p = lanes_fma(p, f, lanes_all(0.240207111f));
        p = lanes_fma(p, f, lanes_all(0.693113604f));
    } else {
        p = lanes_all(0.000155946776f);
        p = lanes_fma(p, f, lanes_all(0.00134066439f));
        p = lanes_fma(p, f, lanes_all(0.00961769297f));
        p = lanes_fma(p, f, lanes_all(0.0555031055f));
        p = lanes_fma(p, f, lanes_all(0.240226528f));
        p = lanes_fma(p, f, lanes_all(0.693147215f));
    }
    p = lanes_fma(p, f, lanes_all(1));
#if defined(__AVX512F__)
    p.p[0] = (vec)_mm512_scalef_ps((__m512)p.p[0], (__m512)n.p[0]);
#else
    // 2^n as a product of two powers, each of which has an exponent of its own
    EACH_VEC {
        uvec whole = (uvec)shifted.p[i] - (uvec)magic.p[i];
        uvec half = (uvec)((ivec)whole >> 1), rest = whole - half;
        p.p[i] = p.p[i] * (vec)((half + 127) << 23) * (vec)((rest + 127) << 23);
    }
#endif
    return p;
}

// g / (1 + exp(-g)) * u
LANES_INLINE lanes lanes_swiglu(lanes g, lanes u, int coarse) {
    lanes t = lanes_min(lanes_all(160), lanes_mul(g, lanes_all(-1.44269504f)));
    lanes below = lanes_add(lanes_all(1), lanes_exp2(t, coarse));
    return lanes_mul(lanes_div(g, below), u);
}

// 16 bf16 values.
LANES_INLINE lanes lanes_widen(const uint16_t *from) {
    lanes v;
    EACH_VEC {
        uint16_t halves __attribute__((vector_size(2 * VEC)));
        memcpy(&halves, from + i * VEC, sizeof halves);
        v.p[i] = (vec)(__builtin_convertvector(halves, uvec) << 16);
    }
    return v;
}

// 16 E4M3 values: their fields as those of F32 are a power of two too small, denormals included.
LANES_INLINE lanes lanes_decode_f8(const uint8_t *from) {
    lanes v;
    EACH_VEC {
        uint8_t bytes __attribute__((vector_size(VEC)));
        memcpy(&bytes, from + i * VEC, sizeof bytes);
        uvec bits = __builtin_convertvector(bytes, uvec);
        vec size = (vec)((bits & 0x7f) << 20) * 0x1p120f;
        v.p[i] = (vec)((uvec)size | (bits & 0x80) << 24);
    }
    return v;
}

// c[rows, 32] = a b: rows of four u8 a step, b [steps][32][4] of I8; exact in any order.
static inline __attribute__((unused)) void lanes_tile_i8(int64_t steps, const void *left,
                                                         const void *right, int rows, void *out) {
    const uint8_t *a = left;
    int32_t *c = out;
    for (int row = 0; row < rows; row++, a += 4, c += 32) {
        const int8_t *b = right;
        int32_t sum[32] = {0};
        for (int64_t step = 0; step < steps; step++, b += 128)
            for (int column = 0; column < 32; column++)
                for (int k = 0; k < 4; k++) sum[column] += a[step * 48 + k] * b[4 * column + k];
        memcpy(c, sum, sizeof sum);
    }
}

LANES_INLINE lanes lanes_abs(lanes v) {
    EACH_VEC v.p[i] = (vec)((ivec)v.p[i] & 0x7fffffff);
    return v;
}

// The larger magnitude; compared as bits, so NaN is the largest.
LANES_INLINE lanes lanes_larger(lanes most, lanes v) {
    v = lanes_abs(v);
#if defined(__AVX512F__)
    most.p[0] = (vec)_mm512_max_epi32((__m512i)most.p[0], (__m512i)v.p[0]);
#else
    EACH_VEC most.p[i] = vec_pick((ivec)most.p[i] > (ivec)v.p[i], most.p[i], v.p[i]);
#endif
    return most;
}

// v as 16 pairs of bf16: the values in the lower halves, or in the upper ones; and back.
LANES_INLINE lanes lanes_lower(lanes v) {
    EACH_VEC v.p[i] = (vec)((ivec)v.p[i] << 16);
    return v;
}
LANES_INLINE lanes lanes_upper(lanes v) {
    EACH_VEC v.p[i] = (vec)((ivec)v.p[i] & ~0xffff);
    return v;
}
LANES_INLINE lanes lanes_pair(lanes lower, lanes upper) { // both of them values of bf16
    EACH_VEC lower.p[i] = (vec)(((ivec)lower.p[i] >> 16 & 0xffff) | ((ivec)upper.p[i] & ~0xffff));
    return lower;
}

// v rounded to E4M3, kept as F32: a sum with 1.5 * 2^20 times v's power of two, of at least 2^-6, has
// v's quantum in its last bit. Beyond 448 saturated; NaN becomes a number.
LANES_INLINE lanes lanes_round_f8(lanes v) {
    v = lanes_min(lanes_max(v, lanes_all(-448)), lanes_all(448));
    lanes power = lanes_larger(lanes_all(0x1p-6f), v);
    EACH_VEC {
        vec big = (vec)(((ivec)power.p[i] & 0x7f800000) + (20 << 23 | 1 << 22));
        v.p[i] = (v.p[i] + big) - big;
    }
    return v;
}

// Four values a lane, limited to -128 and 127 and rounded to integers: their bytes, 128 added.
LANES_INLINE lanes lanes_bytes(const lanes q[4]) {
    lanes v;
    memset(&v, 0, sizeof v);
    UNROLL_4 for (int k = 0; k < 4; k++) {
        lanes some = lanes_min(lanes_max(q[k], lanes_all(-128)), lanes_all(127));
        EACH_VEC { // a sum with 1.5 * 2^23 has the integer in its last bits
            uvec byte = (uvec)(some.p[i] + 0x1.8p23f) & 0xff;
            v.p[i] = (vec)((uvec)v.p[i] | byte << 8 * k);
        }
    }
    EACH_VEC v.p[i] = (vec)((uvec)v.p[i] ^ 0x80808080u);
    return v;
}

// a - b, exactly in 32 bits, then rounded.
LANES_INLINE lanes lanes_difference(const void *a, const int32_t *b) {
    lanes v;
    EACH_VEC {
        ivec x, y;
        memcpy(&x, (const int32_t *)a + i * VEC, sizeof x);
        memcpy(&y, b + i * VEC, sizeof y);
        v.p[i] = __builtin_convertvector(x - y, vec);
    }
    return v;
}

// Every lane rounded to bf16, kept as F32; see brew_bf16_from_f32.
LANES_INLINE lanes lanes_round_bf16(lanes v) {
    EACH_VEC {
        uvec bits = (uvec)v.p[i], magnitude = bits & 0x7fffffff;
        uvec rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
        // signed comparisons: magnitudes have no sign bit, and machines compare so
        uvec nan = (uvec)((ivec)magnitude > 0x7f800000);
        uvec tiny = (uvec)((ivec)magnitude < 0x00800000);
        rounded = (nan & ((bits & 0xffff0000) | 0x00400000)) | (~nan & rounded);
        v.p[i] = (vec)((tiny & (bits & 0x80000000)) | (~tiny & rounded));
    }
    return v;
}

// 16 values as bf16.
LANES_INLINE void lanes_narrow(uint16_t *to, lanes v) {
    v = lanes_round_bf16(v);
    EACH_VEC {
        uint16_t halves __attribute__((vector_size(2 * VEC)));
        halves = __builtin_convertvector((uvec)v.p[i] >> 16, __typeof__(halves));
        memcpy(to + i * VEC, &halves, sizeof halves);
    }
}

// Transposes `rows` <= 16 rows of 16 values, `ld` apart, into 16 rows of the first `lanes_wide` values
// (12 or 16), `to_ld` apart; zeros for rows that lack. Bits are moved, whatever they mean.
typedef float square_row __attribute__((vector_size(16)));
#if defined(__clang__)
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t square_mask __attribute__((vector_size(16)));
#define PICK(a, b, ...) __builtin_shuffle(a, b, (square_mask){__VA_ARGS__})
#endif
LANES_INLINE void lanes_transpose(const float *from, int64_t ld, int rows, float *to, int64_t to_ld,
                                  const int lanes_wide) {
    for (int j = 0; j < lanes_wide; j += 4) {
        for (int i = 0; i < LANES; i += 4) {
            square_row v[4] = {{0}};
            UNROLL_4 for (int k = 0; k < 4; k++) if (j + k < rows)
                memcpy(&v[k], from + (j + k) * ld + i, sizeof v[k]);
            square_row low = PICK(v[0], v[1], 0, 4, 1, 5), low2 = PICK(v[2], v[3], 0, 4, 1, 5);
            square_row high = PICK(v[0], v[1], 2, 6, 3, 7), high2 = PICK(v[2], v[3], 2, 6, 3, 7);
            v[0] = PICK(low, low2, 0, 1, 4, 5);
            v[1] = PICK(low, low2, 2, 3, 6, 7);
            v[2] = PICK(high, high2, 0, 1, 4, 5);
            v[3] = PICK(high, high2, 2, 3, 6, 7);
            UNROLL_4 for (int k = 0; k < 4; k++)
                memcpy(to + (i + k) * to_ld + j, &v[k], sizeof v[k]);
        }
    }
}

#endif
