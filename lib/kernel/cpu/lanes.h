// Sixteen F32 lanes, whatever the machine: GNU vectors, which compilers cut into what there is, and
// intrinsics where AVX-512 says it better. Private to the level files.
//
// lanes_max(a, b) is b if either is NaN, as vmaxps has it: write the operand that must survive last.
#ifndef BREW_KERNEL_CPU_LANES_H
#define BREW_KERNEL_CPU_LANES_H

#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wpsabi" // vectors are only passed between inlined functions
#endif

#define LANES_INLINE static inline __attribute__((always_inline, unused))

enum { LANES = 16 };
typedef float lanes __attribute__((vector_size(64)));
typedef int32_t ilanes __attribute__((vector_size(64)));
typedef uint32_t ulanes __attribute__((vector_size(64)));

LANES_INLINE lanes lanes_all(float x) {
#if defined(__AVX512F__)
    return (lanes)_mm512_set1_ps(x);
#else
    return (lanes){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
#endif
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
    return (lanes)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), from);
#else
    lanes v = lanes_all(0);
    memcpy(&v, from, (size_t)n * sizeof *from);
    return v;
#endif
}

LANES_INLINE lanes lanes_pick(ilanes mask, lanes yes, lanes no) {
    return (lanes)((mask & (ilanes)yes) | (~mask & (ilanes)no));
}

LANES_INLINE lanes lanes_max(lanes a, lanes b) {
#if defined(__AVX512F__)
    return (lanes)_mm512_max_ps((__m512)a, (__m512)b);
#else
    return lanes_pick(a > b, a, b);
#endif
}

// a * b + c: rounded once with AVX-512, twice elsewhere.
LANES_INLINE lanes lanes_fma(lanes a, lanes b, lanes c) {
#if defined(__AVX512F__)
    return (lanes)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    return a * b + c;
#endif
}

// Lanes lo <= i < hi of v, the others -infinity.
LANES_INLINE lanes lanes_mask(lanes v, int32_t lo, int32_t hi) {
    const ilanes index = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    ilanes keep = (index >= lo) & (index < hi);
    return lanes_pick(keep, v, lanes_all(-__builtin_inff()));
}

LANES_INLINE float lanes_reduce_max(lanes v) {
#if defined(__AVX512F__)
    return _mm512_reduce_max_ps((__m512)v);
#else
    float most = v[0];
    for (int i = 1; i < LANES; i++) most = v[i] > most ? v[i] : most;
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
    lanes n = (lanes)_mm512_roundscale_ps((__m512)t, 8);
#else
    const lanes magic = lanes_all(12582912); // 1.5 * 2^23: adding it rounds to an integer
    lanes shifted = t + magic, n = shifted - magic;
#endif
    lanes f = t - n, p;
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
    return (lanes)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    // 2^n as a product of two powers, each of which has an exponent of its own
    ulanes whole = (ulanes)shifted - (ulanes)magic;
    ulanes half = (ulanes)((ilanes)whole >> 1), rest = whole - half;
    return p * (lanes)((half + 127) << 23) * (lanes)((rest + 127) << 23);
#endif
}

// g / (1 + exp(-g)) * u
LANES_INLINE lanes lanes_swiglu(lanes g, lanes u, int coarse) {
    lanes t = g * lanes_all(-1.44269504f), most = lanes_all(160);
    t = lanes_pick(t > most, most, t);
    return g / (lanes_all(1) + lanes_exp2(t, coarse)) * u;
}

// 16 bf16 values.
LANES_INLINE lanes lanes_widen(const uint16_t *from) {
    uint16_t halves __attribute__((vector_size(32)));
    memcpy(&halves, from, sizeof halves);
    return (lanes)(__builtin_convertvector(halves, ulanes) << 16);
}

// Every lane rounded to bf16, kept as F32; see brew_bf16_from_f32.
LANES_INLINE lanes lanes_round_bf16(lanes v) {
    ulanes bits = (ulanes)v, magnitude = bits & 0x7fffffff;
    ulanes rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    ulanes nan = (ulanes)(magnitude > 0x7f800000), tiny = (ulanes)(magnitude < 0x00800000);
    rounded = (nan & ((bits & 0xffff0000) | 0x00400000)) | (~nan & rounded);
    return (lanes)((tiny & (bits & 0x80000000)) | (~tiny & rounded));
}

#endif
