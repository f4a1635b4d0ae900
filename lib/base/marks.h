// Where bytes of a few kinds stand among 64: the first step of splitting text without looking at each byte.
#ifndef BREW_BASE_MARKS_H
#define BREW_BASE_MARKS_H

#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// Bit i is set if p[i] (64 readable bytes) is a newline, a, b, NUL, or from 0x80.
static inline uint64_t brew_marks(const char *p, char a, char b) {
    uint64_t bits = 0;
#if defined(__SSE2__)
    const __m128i newlines = _mm_set1_epi8('\n'), as = _mm_set1_epi8(a), bs = _mm_set1_epi8(b);
    for (int i = 0; i < 4; i++) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(v, newlines), _mm_cmpeq_epi8(v, as));
        __m128i odd = _mm_or_si128(_mm_cmpeq_epi8(v, bs), _mm_cmpeq_epi8(v, _mm_setzero_si128()));
        __m128i all = _mm_or_si128(_mm_or_si128(ends, odd), v); // the mask is made of the high bits
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(all) << 16 * i;
    }
#elif defined(__aarch64__)
    static const uint8_t powers[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t weights = vld1q_u8(powers), high = vdupq_n_u8(0x80);
    uint8x16_t part[4];
    for (int i = 0; i < 4; i++) {
        uint8x16_t v = vld1q_u8((const uint8_t *)p + 16 * i);
        uint8x16_t ends =
            vorrq_u8(vceqq_u8(v, vdupq_n_u8('\n')), vceqq_u8(v, vdupq_n_u8((uint8_t)a)));
        uint8x16_t odd = vorrq_u8(vceqq_u8(v, vdupq_n_u8((uint8_t)b)), vceqzq_u8(v));
        part[i] = vandq_u8(vorrq_u8(vorrq_u8(ends, odd), vcgeq_u8(v, high)), weights);
    }
    uint8x16_t low = vpaddq_u8(part[0], part[1]), top = vpaddq_u8(part[2], part[3]);
    low = vpaddq_u8(low, top);
    bits = vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(low, low)), 0);
#else
    for (int i = 0; i < 64; i++) {
        unsigned char c = (unsigned char)p[i];
        uint64_t mark =
            c == '\n' || c == (unsigned char)a || c == (unsigned char)b || !c || c >= 0x80;
        bits |= mark << i;
    }
#endif
    return bits;
}

#endif
