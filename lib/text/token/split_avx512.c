#include "text/token/split.h"

#if defined(__AVX512BW__)
#include <immintrin.h>

#include "text/token/split_mask.h"

static inline uint64_t in_range(__m512i v, char first, char count) {
    return _mm512_cmplt_epu8_mask(_mm512_sub_epi8(v, _mm512_set1_epi8(first)),
                                  _mm512_set1_epi8(count));
}

static inline uint64_t equal(__m512i v, char c) {
    return _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(c));
}

static inline masks masks_of(const char *p) {
    __m512i v = _mm512_loadu_si512(p);
    masks m;
    m.letter = in_range(_mm512_or_si512(v, _mm512_set1_epi8(0x20)), 'a', 26);
    m.digit = in_range(v, '0', 10);
    m.blank = equal(v, ' ');
    m.space = m.blank | in_range(v, '\t', 5);
    m.newline = equal(v, '\n') | equal(v, '\r');
    m.quote = equal(v, '\'');
    m.high = _mm512_movepi8_mask(v);
    return m;
}

size_t brew_split_batch_avx512(enum brew_grammar grammar, const char *text, size_t at, size_t len,
                               uint32_t *ends) {
    return split_windows(grammar, text, at, len, ends);
}
#else
typedef int brew_split_avx512_is_empty;
#endif
