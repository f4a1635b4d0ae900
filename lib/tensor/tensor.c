#include "tensor/tensor.h"

#include <math.h>

#include "base/err.h"
#include "base/mem.h"

static const struct {
    const char *name;
    uint16_t block, block_bytes;
} dtypes[BREW_DTYPES] = {
    [BREW_F32] = {"F32", 1, 4},       [BREW_BF16] = {"BF16", 1, 2},
    [BREW_F16] = {"F16", 1, 2},       [BREW_F8_E4M3] = {"F8_E4M3", 1, 1},
    [BREW_Q8_0] = {"Q8_0", 32, 34},   [BREW_Q4_0] = {"Q4_0", 32, 18},
    [BREW_Q4_1] = {"Q4_1", 32, 20},   [BREW_Q4_K] = {"Q4_K", 256, 144},
    [BREW_Q6_K] = {"Q6_K", 256, 210}, [BREW_I8] = {"I8", 1, 1},
    [BREW_I32] = {"I32", 1, 4},       [BREW_I64] = {"I64", 1, 8},
};

const char *brew_dtype_name(enum brew_dtype dtype) {
    return dtypes[dtype].name;
}

size_t brew_dtype_block(enum brew_dtype dtype) {
    return dtypes[dtype].block;
}

size_t brew_dtype_block_bytes(enum brew_dtype dtype) {
    return dtypes[dtype].block_bytes;
}

int64_t brew_tensor_row_len(const brew_tensor *tensor) {
    return tensor->n_dims ? tensor->shape[tensor->n_dims - 1] : 1;
}

int64_t brew_tensor_n_rows(const brew_tensor *tensor) {
    int64_t rows = 1;
    for (int i = 0; i < tensor->n_dims - 1; i++) rows *= tensor->shape[i];
    return rows;
}

bool brew_tensor_bytes(const brew_tensor *tensor, size_t *bytes) {
    // The product of all dimensions must fit even where one of them is 0, since callers go on to
    // multiply some of them.
    size_t values = 1, nonzero = 1;
    for (int i = 0; i < tensor->n_dims; i++) {
        if (tensor->shape[i] < 0) return false;
        size_t dim = (size_t)tensor->shape[i];
        values *= dim;
        if (dim && !brew_mul(nonzero, dim, &nonzero)) return false;
    }
    size_t block = brew_dtype_block(tensor->dtype);
    if ((size_t)brew_tensor_row_len(tensor) % block || nonzero > INT64_MAX) return false;
    return brew_mul(values / block, brew_dtype_block_bytes(tensor->dtype), bytes);
}

float brew_f32_from_f16(uint16_t value) {
    uint32_t exponent = value & 0x7c00, bits = (uint32_t)(value & 0x7fff) << 13;
    float out;
    if (exponent == 0) { // zero and denormals: the fraction counts units of 2^-24
        out = (float)(value & 0x3ff) * 0x1p-24f;
        memcpy(&bits, &out, 4);
    } else {
        bits += exponent == 0x7c00 ? 0x70000000 : 0x38000000; // bias 127 instead of 15
    }
    bits |= (uint32_t)(value & 0x8000) << 16;
    memcpy(&out, &bits, 4);
    return out;
}

uint16_t brew_f16_from_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) return sign | 0x7c00; // 65520 and up rounds to infinity
    if (magnitude >= 0x38800000) {                     // normal in f16: from 2^-14
        magnitude += 0xfff + (magnitude >> 13 & 1);
        return (uint16_t)(sign | ((magnitude - 0x38000000) >> 13));
    }
    // Denormal: adding 0.5 puts the value's units of 2^-24 into the last bits of the fraction, and
    // the addition rounds to nearest even.
    float shifted;
    memcpy(&shifted, &magnitude, 4);
    shifted += 0.5f;
    memcpy(&magnitude, &shifted, 4);
    return (uint16_t)(sign | (magnitude - 0x3f000000));
}

static uint16_t load16(const uint8_t *p) {
    uint16_t value;
    memcpy(&value, p, 2); // files are little-endian, and so is every machine we run on
    return value;
}

static float load_f16(const uint8_t *p) {
    return brew_f32_from_f16(load16(p));
}

// Bias 7, no infinities, one NaN per sign: shifted into an f16's fields the value is 2^8 too small.
float brew_f32_from_f8(uint8_t value) {
    if ((value & 0x7f) == 0x7f) return brew_f32_from_bf16(value & 0x80 ? 0xffc0 : 0x7fc0);
    return brew_f32_from_f16((uint16_t)((value & 0x80) << 8 | (value & 0x7f) << 7)) * 256;
}

uint8_t brew_f8_from_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint8_t sign = (uint8_t)(bits >> 24 & 0x80);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return sign | 0x7f;
    if (magnitude >= 0x43e00000) return sign | 0x7e; // 448
    if (magnitude >= 0x3c800000) {                   // normal in E4M3: from 2^-6
        magnitude += 0x7ffff + (magnitude >> 20 & 1);
        return (uint8_t)(sign | ((magnitude >> 20) - (120 << 3)));
    }
    // Denormal: a sum with 2^14 has units of 2^-9 in its last bits, and is rounded to nearest even.
    float shifted;
    memcpy(&shifted, &magnitude, 4);
    shifted += 0x1p14f;
    memcpy(&magnitude, &shifted, 4);
    return (uint8_t)(sign | (magnitude & 0xff));
}

// One row of n values, n a multiple of the block, as ggml defines each block. Nibbles: the low ones
// of a run of bytes come first, then the high ones.
typedef void row_reader(const uint8_t *in, int64_t n, float *out);

static void read_f32(const uint8_t *in, int64_t n, float *out) {
    if (n) memcpy(out, in, (size_t)n * 4);
}

static void read_bf16(const uint8_t *in, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) out[i] = brew_f32_from_bf16(load16(in + 2 * i));
}

static void read_f16(const uint8_t *in, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) out[i] = load_f16(in + 2 * i);
}

static void read_f8(const uint8_t *in, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) out[i] = brew_f32_from_f8(in[i]);
}

static void read_i8(const uint8_t *in, int64_t n, float *out) {
    for (int64_t i = 0; i < n; i++) out[i] = (float)(int8_t)in[i];
}

// d f16, 32 signed bytes: d q
static void read_q8_0(const uint8_t *in, int64_t n, float *out) {
    for (; n > 0; n -= 32, in += 34, out += 32) {
        float d = load_f16(in);
        for (int i = 0; i < 32; i++) out[i] = (float)(int8_t)in[2 + i] * d;
    }
}

// d f16, 16 bytes of nibbles: d (q - 8)
static void read_q4_0(const uint8_t *in, int64_t n, float *out) {
    for (; n > 0; n -= 32, in += 18, out += 32) {
        float d = load_f16(in);
        for (int i = 0; i < 16; i++) {
            out[i] = (float)((in[2 + i] & 15) - 8) * d;
            out[i + 16] = (float)((in[2 + i] >> 4) - 8) * d;
        }
    }
}

// d f16, m f16, 16 bytes of nibbles: d q + m
static void read_q4_1(const uint8_t *in, int64_t n, float *out) {
    for (; n > 0; n -= 32, in += 20, out += 32) {
        float d = load_f16(in), m = load_f16(in + 2);
        for (int i = 0; i < 16; i++) {
            out[i] = (float)(in[4 + i] & 15) * d + m;
            out[i + 16] = (float)(in[4 + i] >> 4) * d + m;
        }
    }
}

// d f16, dmin f16, 12 bytes of 6-bit scales s and minima m of 8 runs of 32, 128 bytes of nibbles
// (64 values from each 32 bytes): (d s) q - dmin m. Scales and minima of runs 0-3 are the low six bits
// of bytes 0-3 and 4-7; those of runs 4-7 have their low nibbles in bytes 8-11, their two high bits on
// top of bytes 0-7.
static void read_q4_k(const uint8_t *in, int64_t n, float *out) {
    for (; n > 0; n -= 256, in += 144) {
        float d = load_f16(in), dmin = load_f16(in + 2);
        const uint8_t *s = in + 4;
        for (int run = 0; run < 8; run++, out += 32) {
            int scale = s[run & 3] & 63, min = s[(run & 3) + 4] & 63;
            if (run >= 4) {
                scale = (s[run + 4] & 15) | (s[run - 4] >> 6) << 4;
                min = s[run + 4] >> 4 | (s[run] >> 6) << 4;
            }
            float ds = d * (float)scale, dm = dmin * (float)min;
            const uint8_t *q = in + 16 + run / 2 * 32;
            int shift = run % 2 * 4;
            for (int i = 0; i < 32; i++) out[i] = ds * (float)(q[i] >> shift & 15) - dm;
        }
    }
}

// 128 bytes of low nibbles, 64 bytes of high bit pairs, 16 signed scales of runs of 16, d f16:
// (d s) (q - 32). Each half of 128 values takes 64 bytes of nibbles and 32 bytes of pairs; its four
// quarters use (low nibble of bytes 0-31, of 32-63, then the high nibbles), pair bits 0-1, 2-3, ...
static void read_q6_k(const uint8_t *in, int64_t n, float *out) {
    for (; n > 0; n -= 256, in += 210) {
        float d = load_f16(in + 208);
        for (int quarter = 0; quarter < 8; quarter++, out += 32) {
            int half = quarter / 4, part = quarter % 4;
            const uint8_t *low = in + half * 64 + part % 2 * 32, *high = in + 128 + half * 32;
            const uint8_t *scale = in + 192 + quarter * 2;
            for (int i = 0; i < 32; i++) {
                int q = (low[i] >> part / 2 * 4 & 15) | (high[i] >> part * 2 & 3) << 4;
                out[i] = d * (float)(int8_t)scale[i / 16] * (float)(q - 32);
            }
        }
    }
}

static row_reader *const readers[BREW_DTYPES] = {
    [BREW_F32] = read_f32,    [BREW_BF16] = read_bf16, [BREW_F16] = read_f16,
    [BREW_F8_E4M3] = read_f8, [BREW_Q8_0] = read_q8_0, [BREW_Q4_0] = read_q4_0,
    [BREW_Q4_1] = read_q4_1,  [BREW_Q4_K] = read_q4_k, [BREW_Q6_K] = read_q6_k,
    [BREW_I8] = read_i8,
};

// Where row `row` of halves stands in a head of interleaved pairs: (half s, i) lies at 2i + s.
static int64_t stored_row(int64_t row, int64_t head_rows) {
    int64_t head = row / head_rows, in_head = row % head_rows, half = head_rows / 2;
    return head * head_rows + in_head % half * 2 + in_head / half;
}

void brew_tensor_rows(const brew_tensor *tensor, int64_t row, int64_t n, float *out) {
    row_reader *read = readers[tensor->dtype];
    int64_t len = brew_tensor_row_len(tensor), rows = brew_tensor_n_rows(tensor);
    int64_t heads = tensor->interleaved_heads;
    if (!read || (tensor->dtype == BREW_I8 && !tensor->row_scales))
        brew_bug("rows of %s are not read as F32", brew_dtype_name(tensor->dtype));
    if (row < 0 || n < 0 || row > rows - n) brew_bug("rows outside a tensor");
    if (heads && tensor->n_dims == 1) { // a bias: its values are permuted as a matrix's rows are
        n *= len;
        rows = len;
        len = 1;
    }
    if (heads && (heads < 0 || rows % heads || rows / heads % 2))
        brew_bug("%lld rows are no %lld heads of pairs", (long long)rows, (long long)heads);
    size_t row_bytes =
        (size_t)len / brew_dtype_block(tensor->dtype) * brew_dtype_block_bytes(tensor->dtype);
    const uint8_t *data = tensor->data;
    for (int64_t i = row; i < row + n; i++, out += len) {
        read(data + (size_t)(heads ? stored_row(i, rows / heads) : i) * row_bytes, len, out);
        if (!tensor->row_scales) continue;
        for (int64_t j = 0; j < len; j++) out[j] *= tensor->row_scales[i];
    }
}

// The nearest bf16, ties to even, where brew_bf16_from_f32 has no denormals.
static uint16_t keep_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if ((bits & 0x7fffffff) >= 0x00800000) return brew_bf16_from_f32(value);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// 32 values as a block: d f16, then x / d, halves away from zero.
static void store_q8_0(const float *values, uint8_t *out) {
    float x[32], most = 0;
    memcpy(x, values, sizeof x); // out may overlap them
    for (int i = 0; i < 32; i++) most = fmaxf(most, fabsf(x[i]));
    float d = most / 127, by = d == 0 ? 0 : 1 / d;
    uint16_t half = brew_f16_from_f32(d);
    memcpy(out, &half, 2);
    for (int i = 0; i < 32; i++) out[2 + i] = (uint8_t)(int8_t)roundf(x[i] * by);
}

size_t brew_values_store(enum brew_dtype dtype, float *values, size_t n) {
    uint8_t *bytes = (uint8_t *)values;
    for (size_t i = 0; i < n; i += brew_dtype_block(dtype)) {
        float value = values[i]; // read before its place is written
        uint16_t half;
        switch (dtype) {
        case BREW_F32:
            return n * 4;
        case BREW_BF16:
        case BREW_F16:
            half = dtype == BREW_BF16 ? keep_bf16(value) : brew_f16_from_f32(value);
            memcpy(bytes + 2 * i, &half, 2);
            break;
        case BREW_F8_E4M3:
            bytes[i] = brew_f8_from_f32(value);
            break;
        case BREW_I8:
            bytes[i] = (uint8_t)(int8_t)value;
            break;
        case BREW_Q8_0:
            store_q8_0(values + i, bytes + i / 32 * 34);
            break;
        default:
            brew_bug("F32 values stored as %s", brew_dtype_name(dtype));
        }
    }
    return n / brew_dtype_block(dtype) * brew_dtype_block_bytes(dtype);
}
