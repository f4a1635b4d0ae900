// A tensor as it is stored: a view of bytes with a type and a shape, read a row at a time as F32.
//
// Views own nothing; whoever maps or holds the bytes does (a safetensors or GGUF file, an array). The
// types are those of safetensors and GGUF that a weight can have here. Block types (Q8_0 ... Q6_K) hold
// 32 or 256 values of one row in a block, as in ggml.
#ifndef BREW_TENSOR_TENSOR_H
#define BREW_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum brew_dtype {
    BREW_F32,
    BREW_BF16,
    BREW_F16,
    BREW_F8_E4M3,
    BREW_Q8_0,
    BREW_Q4_0,
    BREW_Q4_1,
    BREW_Q4_K,
    BREW_Q6_K,
    BREW_I8,
    BREW_I32,
    BREW_I64,
    BREW_DTYPES
};

const char *brew_dtype_name(enum brew_dtype dtype);   // "F32", "BF16", "Q4_1", ...
size_t brew_dtype_block(enum brew_dtype dtype);       // values in a block: 1, 32 or 256
size_t brew_dtype_block_bytes(enum brew_dtype dtype); // bytes of a block

enum { BREW_MAX_DIMS = 4 };

typedef struct brew_tensor {
    const void *data;
    enum brew_dtype dtype;
    int n_dims;
    int64_t shape[BREW_MAX_DIMS]; // row-major, outermost first; the last one is the row's length
    // GGUF stores the rows of `llama` q and k with each head's two rotary halves interleaved. Where
    // this is the number of heads (else 0), brew_tensor_rows undoes that: callers see halves.
    int64_t interleaved_heads;
    // Of quantised weights (F8_E4M3, I8): each row's values are the stored ones times its scale [rows];
    // otherwise NULL.
    const float *row_scales;
} brew_tensor;

int64_t brew_tensor_row_len(const brew_tensor *tensor); // last dimension; 1 for a scalar
int64_t brew_tensor_n_rows(const brew_tensor *tensor);  // product of the others
bool brew_tensor_bytes(const brew_tensor *tensor,
                       size_t *bytes); // false on overflow or a split block
// Rows [row, row+n) as F32, exactly (every type's values are representable) -> out[n, row_len].
// I8 has row_scales; other integers are not read this way.
void brew_tensor_rows(const brew_tensor *tensor, int64_t row, int64_t n, float *out);

// n values as a tensor of this type stores them, in place: they come out at the front of `values`. Returns
// their bytes. F32, BF16 (denormals stay), F16, F8_E4M3, I8 (integers that fit), and Q8_0 (n a multiple of
// 32; rounded as ggml's reference does).
size_t brew_values_store(enum brew_dtype dtype, float *values, size_t n);

// bf16: round to nearest even; NaN stays NaN (quiet); denormals, given or resulting, become zero with
// their sign, as vcvtneps2bf16 does, so that every level of kernels has one semantics.
static inline uint16_t brew_bf16_from_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    if (magnitude < 0x00800000) return (uint16_t)(bits >> 16 & 0x8000);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
static inline float brew_f32_from_bf16(uint16_t value) {
    uint32_t bits = (uint32_t)value << 16;
    float out;
    memcpy(&out, &bits, 4);
    return out;
}
// E4M3 (1 sign, 4 exponent, 3 mantissa bits, bias 7; no infinities, NaN 0x7f and 0xff): round to nearest
// even, beyond 448 saturated, NaN to NaN.
uint8_t brew_f8_from_f32(float value);
float brew_f32_from_f8(uint8_t value);

// The scale by which a row is divided before it is rounded to E4M3 or to integers of eight bits: the
// largest magnitude over half the range, 2^-23 where that is 0 (as compressed-tensors has it).
#define BREW_F8_LIMIT 448.0f
#define BREW_I8_LIMIT 127.5f
static inline float brew_row_scale(float magnitude, float limit) {
    float scale = magnitude / limit;
    return scale == 0 ? 0x1p-23f : scale;
}
float brew_f32_from_f16(uint16_t value);
uint16_t brew_f16_from_f32(float value); // round to nearest even, overflow to infinity

#endif
