#include "text/token/split.h"

#if defined(__AVX2__)
#include <immintrin.h>

#include "text/token/split_mask.h"

static inline uint64_t bits(__m256i low, __m256i high) {
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << 32;
}

static inline __m256i in_range(__m256i v, char first, char count) {
    __m256i d = _mm256_sub_epi8(v, _mm256_set1_epi8(first));
    return _mm256_cmpeq_epi8(_mm256_min_epu8(d, _mm256_set1_epi8((char)(count - 1))), d);
}

static inline __m256i equal(__m256i v, char c) {
    return _mm256_cmpeq_epi8(v, _mm256_set1_epi8(c));
}

static inline masks masks_of(const char *p) {
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
    __m256i fold = _mm256_set1_epi8(0x20);
    masks m;
    m.letter = bits(in_range(_mm256_or_si256(a, fold), 'a', 26),
                    in_range(_mm256_or_si256(b, fold), 'a', 26));
    m.digit = bits(in_range(a, '0', 10), in_range(b, '0', 10));
    m.blank = bits(equal(a, ' '), equal(b, ' '));
    m.space = m.blank | bits(in_range(a, '\t', 5), in_range(b, '\t', 5));
    m.newline = bits(equal(a, '\n'), equal(b, '\n')) | bits(equal(a, '\r'), equal(b, '\r'));
    m.quote = bits(equal(a, '\''), equal(b, '\''));
    m.high = bits(a, b);
    return m;
}

size_t brew_split_batch_avx2(enum brew_grammar grammar, const char *text, size_t at, size_t len,
                             uint32_t *ends) {
    return split_windows(grammar, text, at, len, ends);
}
#else
typedef int brew_split_avx2_is_empty;
#endif
