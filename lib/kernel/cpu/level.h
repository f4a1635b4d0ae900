// The kernels of one level and one kind of storage. A level file sets
//
//     LEVEL(name)   the name with the level's prefix
//     COARSE        1 for precision bf16
//     STORE_BF16    1 if elements are bf16 (s = 2), else they are F32 (s = 1)
//     TILE          void (steps, a, b, rows, c, ldc): see struct brew_cpu_kernels
//     DECODE_F8     void (from, to) of 64 E4M3 values of a panel as elements; if STORE_BF16
//     LARGER_PAIRS  lanes (most, v): the larger magnitudes of bf16 pairs; if STORE_BF16
//     TILE_I8       void (steps, a, b, rows, c): likewise
//     TILE_ON       the same, going on with the chains in c
//     TILE_BY_ROWS  void (steps, p, b, rows, c, ldc): c = p b, p as in TILE_SCALED
//     TILE_SUMS     the same, going on with the chains in c; a: rows 4 bytes apart, steps 128
//     TILE_SCALED   void (steps, p, b, rows, alpha, c, ldc): c = c * alpha[row] + p b, where p holds
//                   64 elements a row, row by row
//
// and includes this; the result is `const struct brew_cpu_kernels LEVEL(kernels)`. Sums here run in 16
// lanes over the row, added up by halves at the end.

#define ELEMENTS (STORE_BF16 ? 2 : 1) // s
#if STORE_BF16
typedef uint16_t LEVEL(element);
#else
typedef float LEVEL(element);
#endif

static inline LEVEL(element) LEVEL(element_of)(float value) {
#if STORE_BF16
    return brew_bf16_from_f32(value);
#elif COARSE
    return brew_f32_from_bf16(brew_bf16_from_f32(value));
#else
    return value;
#endif
}

// 16 values as an element holds them.
LANES_INLINE lanes LEVEL(rounded)(lanes v) {
#if STORE_BF16
    LEVEL(element) stored[LANES];
    STORE_LANES_BF16(stored, v);
    return lanes_widen(stored);
#else
    return COARSE ? lanes_round_bf16(v) : v;
#endif
}

// 16 values as elements.
LANES_INLINE void LEVEL(store_elements)(LEVEL(element) * to, lanes v) {
#if STORE_BF16
    STORE_LANES_BF16(to, v);
#elif COARSE
    lanes_store(to, lanes_round_bf16(v));
#else
    lanes_store(to, v);
#endif
}

// 16 values of a tile, scaled.
LANES_INLINE lanes LEVEL(value)(const float *c, const struct brew_cpu_scales *by, int row, int j) {
    c += row * PANEL + j;
    lanes v = by->zero ? lanes_difference(c, by->zero + j) : lanes_load(c);
    if (!by->rows) return v;
    return lanes_mul(v, lanes_mul(lanes_all(by->rows[row]), lanes_load(by->columns + j)));
}

static void LEVEL(store)(const float *c, const struct brew_cpu_scales *by, int rows,
                         int64_t columns, const float *bias, bool add, float *y, int64_t ldy) {
    for (int row = 0; row < rows; row++, y += ldy) {
        for (int j = 0; j < columns; j += LANES) {
            int64_t some = least(LANES, columns - j);
            lanes v = LEVEL(value)(c, by, row, j);
            if (bias) v = lanes_add(v, lanes_load(bias + j));
            if (some < LANES)
                lanes_store_some(y + j, add ? lanes_add(lanes_load_some(y + j, some), v) : v, some);
            else
                lanes_store(y + j, add ? lanes_add(lanes_load(y + j), v) : v);
        }
    }
}

static void LEVEL(elements)(const float *values, int64_t n, void *out) {
    LEVEL(element) *to = out;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) LEVEL(store_elements)(to + i, lanes_load(values + i));
    for (; i < n; i++) to[i] = LEVEL(element_of)(values[i]);
    if (n % ELEMENTS) to[n] = 0;
}

static void LEVEL(put)(void *tile, int lane, int64_t column, const float *values, int64_t n) {
    LEVEL(element) part[64];
    char *to = (char *)tile + (column / ELEMENTS * TILE_ROWS + lane) * 4;
    for (int64_t start = 0; start < n; start += 64) {
        int64_t count = least(64, n - start);
        LEVEL(elements)(values + start, count, part);
        for (int64_t i = 0; i < count; i += ELEMENTS, to += 4 * TILE_ROWS) memcpy(to, part + i, 4);
    }
}

static void LEVEL(swiglu)(const float *c, const struct brew_cpu_scales *by, int rows,
                          int64_t columns, void *tile, int64_t column) {
    _Alignas(64) LEVEL(element) part[TILE_ROWS * LANES];
    char *to = (char *)tile + column / ELEMENTS * TILE_ROWS * 4;
    for (int row = 0; row < rows; row++) {
        lanes gate = LEVEL(value)(c, by, row, 0), up = LEVEL(value)(c, by, row, LANES);
        LEVEL(store_elements)(part + row * LANES, lanes_swiglu(gate, up, COARSE));
    }
    // columns of padding are zero: both sides of their products are
    for (int64_t step = 0; step < divide_up(columns, ELEMENTS); step++, to += TILE_ROWS * 4)
        for (int row = 0; row < rows; row++)
            memcpy(to + row * 4, part + row * LANES + step * ELEMENTS, 4);
}

// 1 / sqrt(mean(x^2) + eps): four chains of 16 lanes, the next vector always to the next chain.
static float LEVEL(rms_scale)(const float *x, int64_t c, double eps) {
    lanes sum[4] = {lanes_all(0), lanes_all(0), lanes_all(0), lanes_all(0)};
    int64_t i = 0;
    for (; i + 4 * LANES <= c; i += 4 * LANES) {
        for (int chain = 0; chain < 4; chain++) {
            lanes v = lanes_load(x + i + chain * LANES);
            sum[chain] = lanes_fma(v, v, sum[chain]);
        }
    }
    for (int chain = 0; i < c; i += LANES, chain++) {
        lanes v = lanes_load_some(x + i, least(LANES, c - i));
        sum[chain] = lanes_fma(v, v, sum[chain]);
    }
    float total = lanes_reduce_sum(lanes_add(lanes_add(sum[0], sum[1]), lanes_add(sum[2], sum[3])));
    return (float)(1 / sqrt((double)total / (double)c + eps));
}

static void LEVEL(norm)(const float *x, int64_t c, const float *gain, double eps, float *out) {
    float scale = LEVEL(rms_scale)(x, c, eps);
    int64_t i = 0;
    for (; i + LANES <= c; i += LANES)
        lanes_store(out + i, lanes_mul(lanes_mul(lanes_load(x + i), lanes_all(scale)),
                                       lanes_load(gain + i)));
    for (; i < c; i++) out[i] = x[i] * scale * gain[i];
}

static void LEVEL(turn)(const float *x, int64_t d, const float *gain, double eps,
                        const float *cosines, const float *sines, float *out) {
    float normed[BREW_MAX_HEAD_DIM];
    if (gain) {
        LEVEL(norm)(x, d, gain, eps, normed);
        x = normed;
    }
    int64_t half = d / 2, i = 0;
    for (; i + LANES <= half; i += LANES) {
        lanes a = lanes_load(x + i), b = lanes_load(x + half + i);
        lanes cos = lanes_load(cosines + i), sin = lanes_load(sines + i);
        lanes_store(out + i, lanes_sub(lanes_mul(a, cos), lanes_mul(b, sin)));
        lanes_store(out + half + i, lanes_add(lanes_mul(b, cos), lanes_mul(a, sin)));
    }
    for (; i < half; i++) {
        float a = x[i], b = x[half + i];
        out[i] = a * cosines[i] - b * sines[i];
        out[half + i] = b * cosines[i] + a * sines[i];
    }
}

// Attention: scores of a tile, their softmax step, values. scores [12][64]; p [12][64] elements.

struct LEVEL(square) {
    _Alignas(64) float scores[TILE_ROWS * BREW_KEY_TILE];
    _Alignas(64) LEVEL(element) p[TILE_ROWS * BREW_KEY_TILE];
    _Alignas(64) float alpha[LANES], shift[LANES];
};

// The rows' maxima move: what was summed so far is to shrink by alpha, scaled scores move by shift.
LANES_INLINE void LEVEL(raise)(struct LEVEL(square) * square, const int vectors,
                               const struct brew_cpu_step *step) {
    float old[LANES] = {0}, top[LANES] = {0};
    for (int row = 0; row < step->rows; row++) {
        float *scores = square->scores + row * BREW_KEY_TILE;
        lanes v[4];
        UNROLL_4 for (int j = 0; j < vectors; j++) {
            v[j] = lanes_load(scores + j * LANES);
            if (!step->from) continue;
            v[j] = lanes_mask(v[j], step->from[row] - j * LANES, step->to[row] - j * LANES);
            lanes_store(scores + j * LANES, v[j]);
        }
        UNROLL_4 for (int j = 1; j < vectors; j++) v[0] = lanes_max(v[0], v[j]);
        top[row] = lanes_reduce_max(v[0]);
        old[row] = step->max[row];
    }
    lanes before = lanes_load(old), now = lanes_max(lanes_load(top), before); // NaN: as before
    lanes scale = lanes_all(step->scale);
    lanes_store(square->alpha, lanes_exp2(lanes_mul(lanes_sub(before, now), scale), COARSE));
    lanes_store(square->shift, lanes_sub(lanes_all(0), lanes_mul(now, scale)));
    lanes_store(top, now);
    memcpy(step->max, top, (size_t)step->rows * sizeof *top);
}

// p = 2^(scaled score - maximum), summed in 16 lanes.
LANES_INLINE void LEVEL(soften)(struct LEVEL(square) * square, const int vectors,
                                const struct brew_cpu_step *step) {
    lanes scale = lanes_all(step->scale);
    for (int row = 0; row < step->rows; row++) {
        const float *scores = square->scores + row * BREW_KEY_TILE;
        lanes v[4], shift = lanes_all(square->shift[row]);
        lanes sum = lanes_mul(lanes_load(step->sum + row * LANES), lanes_all(square->alpha[row]));
        UNROLL_4 for (int j = 0; j < vectors; j++) v[j] =
            lanes_exp2(lanes_fma(lanes_load(scores + j * LANES), scale, shift), COARSE);
        UNROLL_4 for (int j = 0; j < vectors; j += 2) sum =
            lanes_add(sum, lanes_add(v[j], v[j + 1]));
        UNROLL_4 for (int j = 0; j < vectors; j++)
            LEVEL(store_elements)(square->p + row * BREW_KEY_TILE + j * LANES, v[j]);
        lanes_store(step->sum + row * LANES, sum);
    }
}

static void LEVEL(step)(const struct brew_cpu_step *step) {
    struct LEVEL(square) square;
    int64_t d = step->head_dim, dp = round_up(d, PANEL);
    bool wide = step->columns > PANEL;
    TILE(divide_up(d, ELEMENTS), step->q, step->k, step->rows, square.scores, BREW_KEY_TILE);
    if (wide)
        TILE(divide_up(d, ELEMENTS), step->q, (const char *)step->k + step->k_bytes, step->rows,
             square.scores + PANEL, BREW_KEY_TILE);
    if (wide) {
        LEVEL(raise)(&square, 4, step);
        LEVEL(soften)(&square, 4, step);
    } else {
        LEVEL(raise)(&square, 2, step);
        LEVEL(soften)(&square, 2, step);
    }
    for (int64_t panel = 0; panel < dp / PANEL; panel++)
        TILE_SCALED(divide_up(step->columns, ELEMENTS), square.p,
                    (const char *)step->v + panel * step->v_bytes, step->rows, square.alpha,
                    step->out + panel * PANEL, dp);
}

static void LEVEL(finish)(const float *o, const float *sum, int64_t d, float *out) {
    float total = lanes_reduce_sum(lanes_load(sum));
    for (int64_t i = 0; i < d; i++) out[i] = o[i] / total + 0.0f; // -0 becomes +0
}

static void LEVEL(fold)(const float *c, int rows, int columns, float *max, float *sum) {
    for (int row = 0; row < rows; row++, c += PANEL, sum += LANES) {
        lanes a = lanes_mask(lanes_load(c), 0, columns);
        lanes b = lanes_mask(lanes_load(c + LANES), 0, columns - LANES);
        float top = lanes_reduce_max(lanes_max(a, b));
        if (!(top > max[row])) top = max[row];
        lanes log2e = lanes_all(1.44269504f), shift = lanes_all(-(top * 1.44269504f));
        lanes alpha = lanes_exp2(lanes_all((max[row] - top) * 1.44269504f), 0);
        a = lanes_exp2(lanes_fma(a, log2e, shift), 0);
        b = lanes_exp2(lanes_fma(b, log2e, shift), 0);
        lanes_store(sum, lanes_add(lanes_mul(lanes_load(sum), alpha), lanes_add(a, b)));
        max[row] = top;
    }
}

static void LEVEL(probs)(float *c, int rows, const float *lse, const float *g) {
    for (int row = 0; row < rows; row++) {
        for (int j = 0; j < PANEL; j += LANES, c += LANES) {
            lanes t = lanes_sub(lanes_load(c), lanes_all(lse[row]));
            t = lanes_exp2(lanes_mul(t, lanes_all(1.44269504f)), 0);
            lanes_store(c, lanes_mul(t, lanes_all(g[row])));
        }
    }
}

static void LEVEL(widen)(const uint16_t *from, int64_t n, float *to) {
    for (int64_t i = 0; i < n; i += LANES) lanes_store(to + i, lanes_widen(from + i));
}

static void LEVEL(decode)(const uint8_t *from, int64_t n, void *out) {
    LEVEL(element) *to = out;
#if STORE_BF16
    for (int64_t i = 0; i < n; i += 64) DECODE_F8(from + i, to + i);
#else
    for (int64_t i = 0; i < n; i += LANES) LEVEL(store_elements)(to + i, lanes_decode_f8(from + i));
#endif
}

// Before a product with a quantised weight. A tile's memory is taken as it lies, 16 words at a time: a word
// is a row's F32, or a pair of bf16, and word i of it is row i % 12's, so that four steps are three
// vectors, PATTERN words, and begin again.

// Magnitudes, compared as the bits they are: for each word, or for both halves of a pair.
LANES_INLINE lanes LEVEL(larger)(lanes most, lanes v) {
#if STORE_BF16
    return LARGER_PAIRS(most, v);
#else
    return lanes_larger(most, v);
#endif
}
LANES_INLINE lanes LEVEL(largest)(lanes most) {
    return ELEMENTS == 1 ? most : lanes_larger(lanes_upper(most), lanes_lower(most));
}

// Each row's scale, its largest magnitude over `limit`, NaN where a value is not finite; in `all` four times
// the twelve of them, 1 for rows that lack.
static void LEVEL(tile_scales)(const float *words, int64_t n, float limit, int rows, float *scales,
                               float *all) {
    lanes most[3] = {lanes_all(0), lanes_all(0), lanes_all(0)};
    int64_t i = 0;
    for (; i + PATTERN <= n; i += PATTERN)
        for (int j = 0; j < 3; j++)
            most[j] = LEVEL(larger)(most[j], lanes_load(words + i + j * LANES));
    for (int j = 0; i < n; i += LANES, j++)
        most[j] = LEVEL(larger)(most[j], lanes_load_some(words + i, least(LANES, n - i)));
    float each[PATTERN];
    for (int j = 0; j < 3; j++) lanes_store(each + j * LANES, LEVEL(largest)(most[j]));
    for (int row = 0; row < TILE_ROWS; row++) {
        float top = each[row], scale = 1;
        for (int k = row + TILE_ROWS; k < PATTERN; k += TILE_ROWS)
            if (each[k] > top || isnan(each[k])) top = each[k]; // NaN stays
        if (row < rows) scale = scales[row] = brew_row_scale(top, limit) + top * 0;
        for (int k = row; k < PATTERN; k += TILE_ROWS) all[k] = scale;
    }
}

LANES_INLINE lanes LEVEL(word_f8)(lanes v, lanes scale) {
    if (ELEMENTS == 1) return lanes_round_f8(lanes_div(v, scale));
    return lanes_pair(lanes_round_f8(lanes_div(lanes_lower(v), scale)),
                      lanes_round_f8(lanes_div(lanes_upper(v), scale)));
}

static void LEVEL(round_f8)(void *tile, int64_t steps, int rows, float *scales) {
    float *words = tile, all[PATTERN];
    int64_t i = 0, n = steps * TILE_ROWS;
    LEVEL(tile_scales)(words, n, BREW_F8_LIMIT, rows, scales, all);
    lanes scale[3] = {lanes_load(all), lanes_load(all + LANES), lanes_load(all + 2 * LANES)};
    for (; i + PATTERN <= n; i += PATTERN)
        for (int j = 0; j < 3; j++) {
            float *at = words + i + j * LANES;
            lanes_store(at, LEVEL(word_f8)(lanes_load(at), scale[j]));
        }
    for (int j = 0; i < n; i += LANES, j++) {
        int64_t some = least(LANES, n - i);
        lanes v = LEVEL(word_f8)(lanes_load_some(words + i, some), scale[j]);
        lanes_store_some(words + i, v, some);
    }
}

static void LEVEL(round_i8)(void *tile, int64_t steps, int rows, float *scales) {
    const float *from = tile;
    float *to = tile, all[PATTERN];
    LEVEL(tile_scales)(from, steps * TILE_ROWS, BREW_I8_LIMIT, rows, scales, all);
    lanes scale = lanes_load(all);
    // what is written never catches up with what is still to be read
    for (int64_t step = 0; step < steps; to += TILE_ROWS) {
        lanes q[4];
        UNROLL_4 for (int k = 0; k < 4; k += ELEMENTS, step++, from += TILE_ROWS) {
            lanes v = step < steps ? lanes_load_some(from, TILE_ROWS) : lanes_all(0);
            q[k] = lanes_div(ELEMENTS == 1 ? v : lanes_lower(v), scale);
            if (ELEMENTS == 2) q[k + 1] = lanes_div(lanes_upper(v), scale);
        }
        lanes_store_some(to, lanes_bytes(q), TILE_ROWS);
    }
}

static void LEVEL(narrow)(const float *from, int64_t n, uint16_t *to) {
    for (int64_t i = 0; i < n; i += LANES) lanes_narrow(to + i, lanes_load(from + i));
}

#include "kernel/cpu/level_train.h"
#include "kernel/cpu/level_back.h"

const struct brew_cpu_kernels LEVEL(kernels) = {
    .s = ELEMENTS,
    .coarse = COARSE,
    .tile = TILE,
    .tile_on = TILE_ON,
    .store = LEVEL(store),
    .swiglu = LEVEL(swiglu),
    .norm = LEVEL(norm),
    .elements = LEVEL(elements),
    .put = LEVEL(put),
    .turn = LEVEL(turn),
    .step = LEVEL(step),
    .step_back = LEVEL(step_back),
    .add_keys = LEVEL(add_keys),
    .dot = LEVEL(dot),
    .add_times = LEVEL(add_times),
    .finish = LEVEL(finish),
    .fold = LEVEL(fold),
    .probs = LEVEL(probs),
    .widen = LEVEL(widen),
    .decode = LEVEL(decode),
    .round_f8 = LEVEL(round_f8),
    .round_i8 = LEVEL(round_i8),
    .tile_i8 = TILE_I8,
    .narrow = LEVEL(narrow),
    .weave = LEVEL(weave),
    .lay = LEVEL(lay),
    .flip = LEVEL(flip),
    .take = LEVEL(take),
    .gate = LEVEL(gate),
    .gate_back = LEVEL(gate_back),
    .norm_back = LEVEL(norm_back),
    .rms_scale = LEVEL(rms_scale),
    .turn_back = LEVEL(turn_back),
    .sums = LEVEL(sums),
    .add = LEVEL(add),
    .squares = LEVEL(squares),
    .adamw = LEVEL(adamw),
};

#undef LEVEL
#undef COARSE
#undef STORE_BF16
#undef TILE
#undef TILE_ON
#undef TILE_SCALED
#undef TILE_BY_ROWS
#undef TILE_SUMS
#undef TILE_I8
#undef DECODE_F8
#undef LARGER_PAIRS
#undef ELEMENTS
