// The kernels of learning, of one level and one kind of storage: included by level.h, which see.

// One step of elements from two rows; odd is not read where s is 1.
LANES_INLINE void LEVEL(weave_step)(const float *even, const float *odd, const int64_t n,
                                    const int lanes_wide, LEVEL(element) * out) {
    for (int64_t i = 0; i < lanes_wide; i += LANES) {
        int64_t have = most(0, least(LANES, n - i)), want = least(LANES, lanes_wide - i);
        lanes a = lanes_load_some(even + i, have);
#if STORE_BF16
        lanes b = odd ? lanes_load_some(odd + i, have) : lanes_all(0);
        STORE_PAIRS_BF16(out + 2 * i, a, b, want);
#else
        (void)odd;
        lanes_store_some(out + i, LEVEL(rounded)(a), want);
#endif
    }
}

LANES_INLINE void LEVEL(weave_some)(const float *rows, int64_t ld, int64_t m, const int64_t n,
                                    const int lanes_wide, LEVEL(element) * out) {
    for (int64_t row = 0; row + 1 < m + (ELEMENTS == 1); row += ELEMENTS, rows += ELEMENTS * ld) {
        LEVEL(weave_step)(rows, rows + ld, n, lanes_wide, out);
        out += lanes_wide * ELEMENTS;
    }
    if (m % ELEMENTS) LEVEL(weave_step)(rows, NULL, n, lanes_wide, out);
}

static void LEVEL(weave)(const float *rows, int64_t ld, int64_t m, int64_t n, int lanes_wide,
                         void *out) {
    if (n == PANEL && lanes_wide == PANEL)
        LEVEL(weave_some)(rows, ld, m, PANEL, PANEL, out);
    else if (n == TILE_ROWS && lanes_wide == TILE_ROWS)
        LEVEL(weave_some)(rows, ld, m, TILE_ROWS, TILE_ROWS, out);
    else
        LEVEL(weave_some)(rows, ld, m, n, lanes_wide, out);
}

static void LEVEL(flip)(const float *from, int rows, void *to) {
    _Alignas(64) float turned[PANEL * PANEL];
    for (int i = 0; i < PANEL; i += LANES)
        for (int j = 0; j < PANEL; j += LANES)
            lanes_transpose(from + j * PANEL + i, PANEL, (int)most(0, least(LANES, rows - j)),
                            turned + i * PANEL + j, PANEL, LANES);
    LEVEL(weave_some)(turned, PANEL, PANEL, PANEL, PANEL, to);
}

// Steps of four bytes are transposed as F32 values, whatever they hold.
static void LEVEL(lay)(const float *from, int64_t ld, int rows, int64_t n, void *tile) {
    enum { AT_ONCE = LANES * ELEMENTS };
    int64_t i = 0;
    float *to = tile;
    for (; i + AT_ONCE <= n; i += AT_ONCE, to += LANES * TILE_ROWS) {
#if COARSE
        _Alignas(64) float part[TILE_ROWS * LANES];
        for (int row = 0; row < rows; row++)
            for (int j = 0; j < ELEMENTS; j++) LEVEL(store_elements)
        ((LEVEL(element) *)(void *)(part + row * LANES) + j * LANES,
         lanes_load(from + row * ld + i + j * LANES));
        lanes_transpose(part, LANES, rows, to, TILE_ROWS, TILE_ROWS);
#else
        lanes_transpose(from + i, ld, rows, to, TILE_ROWS, TILE_ROWS);
#endif
    }
    for (int row = 0; i < n && row < rows; row++)
        LEVEL(put)(tile, row, i, from + row * ld + i, n - i);
}

static void LEVEL(take)(const void *tile, int lane, int64_t n, float *values) {
    const char *from = (const char *)tile + lane * 4;
    for (int64_t i = 0; i < n; i += ELEMENTS, from += 4 * TILE_ROWS) {
        LEVEL(element) e[ELEMENTS];
        memcpy(e, from, sizeof e);
        for (int64_t j = 0; j < least(ELEMENTS, n - i); j++)
#if STORE_BF16
            values[i + j] = brew_f32_from_bf16(e[j]);
#else
            values[i + j] = e[j];
#endif
    }
}

static void LEVEL(gate)(const float *g, const float *u, int64_t n, float *h) {
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t some = least(LANES, n - i);
        lanes_store_some(
            h + i, lanes_swiglu(lanes_load_some(g + i, some), lanes_load_some(u + i, some), COARSE),
            some);
    }
}

// silu(g) = g s with s = 1 / (1 + exp(-g)); its derivative is s + g s (1 - s).
static void LEVEL(gate_back)(const float *g, const float *u, const float *dh, int64_t n, float *dg,
                             float *du, float *h) {
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t some = least(LANES, n - i);
        lanes vg = lanes_load_some(g + i, some), vu = lanes_load_some(u + i, some);
        lanes d = lanes_load_some(dh + i, some), one = lanes_all(1);
        lanes t = lanes_min(lanes_all(160), lanes_mul(vg, lanes_all(-1.44269504f)));
        lanes below = lanes_add(one, lanes_exp2(t, COARSE));
        lanes s = lanes_div(one, below), silu = lanes_div(vg, below), value = lanes_mul(silu, vu);
        lanes slope = lanes_fma(silu, lanes_sub(one, s), s);
        lanes_store_some(dg + i, lanes_mul(lanes_mul(d, vu), slope), some);
        lanes_store_some(du + i, lanes_mul(d, silu), some);
        lanes_store_some(h + i, LEVEL(rounded)(value), some);
    }
}

// With r = 1 / sqrt(mean(x^2) + eps) and z = dy gain: dx += r z - x r^3 sum(z x) / C.
static float LEVEL(norm_back)(const float *x, int64_t c, const float *gain, double eps,
                              const float *dy, float *dx) {
    float scale = LEVEL(rms_scale)(x, c, eps);
    lanes sum[2] = {lanes_all(0), lanes_all(0)};
    for (int64_t i = 0; i < c; i += LANES) {
        int64_t some = least(LANES, c - i), chain = i / LANES % 2;
        lanes z = lanes_mul(lanes_load_some(dy + i, some), lanes_load_some(gain + i, some));
        sum[chain] = lanes_fma(z, lanes_load_some(x + i, some), sum[chain]);
    }
    double total = lanes_reduce_sum(lanes_add(sum[0], sum[1]));
    lanes pull = lanes_all((float)(-total / (double)c * scale * scale * scale));
    for (int64_t i = 0; i < c; i += LANES) {
        int64_t some = least(LANES, c - i);
        lanes z = lanes_mul(lanes_load_some(dy + i, some), lanes_load_some(gain + i, some));
        lanes d = lanes_fma(lanes_load_some(x + i, some), pull, lanes_mul(z, lanes_all(scale)));
        lanes_store_some(dx + i, lanes_add(lanes_load_some(dx + i, some), d), some);
    }
    return scale;
}

static void LEVEL(turn_back)(float *x, int64_t d, const float *cosines, const float *sines) {
    int64_t half = d / 2;
    for (int64_t i = 0; i < half; i += LANES) {
        int64_t some = least(LANES, half - i);
        lanes a = lanes_load_some(x + i, some), b = lanes_load_some(x + half + i, some);
        lanes cos = lanes_load_some(cosines + i, some), sin = lanes_load_some(sines + i, some);
        lanes_store_some(x + i, lanes_add(lanes_mul(a, cos), lanes_mul(b, sin)), some);
        lanes_store_some(x + half + i, lanes_sub(lanes_mul(b, cos), lanes_mul(a, sin)), some);
    }
}

static void LEVEL(sums)(const float *y, const float *x, const float *scale, int64_t rows,
                        int64_t ld, int64_t n, float *sums) {
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t some = least(LANES, n - i);
        lanes sum = lanes_load_some(sums + i, some);
        for (int64_t row = 0; row < rows; row++) {
            lanes v = lanes_load_some(y + row * ld + i, some);
            if (x)
                v = lanes_mul(
                    v, lanes_mul(lanes_load_some(x + row * ld + i, some), lanes_all(scale[row])));
            sum = lanes_add(sum, v);
        }
        lanes_store_some(sums + i, sum, some);
    }
}

static void LEVEL(add)(float *y, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t some = least(LANES, n - i);
        lanes_store_some(
            y + i, lanes_add(lanes_load_some(y + i, some), lanes_load_some(x + i, some)), some);
    }
}

// In 32 chains of doubles, added up in order.
static double LEVEL(squares)(const float *x, int64_t n) {
    typedef float few __attribute__((vector_size(32)));
    typedef double doubles __attribute__((vector_size(64)));
    doubles sum[4] = {{0}};
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) UNROLL_4 for (int j = 0; j < 4; j++) {
            few part;
            memcpy(&part, x + i + 8 * j, sizeof part);
            doubles v = __builtin_convertvector(part, doubles);
            sum[j] += v * v;
        }
    double total = 0;
    for (int j = 0; j < 4; j++)
        for (int k = 0; k < 8; k++) total += sum[j][k];
    for (; i < n; i++) total += (double)x[i] * x[i];
    return total;
}

static void LEVEL(adamw)(const struct brew_cpu_adamw *step, float *w, const float *g, float *m,
                         float *v, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        int64_t some = least(LANES, n - i);
        lanes gradient = lanes_mul(lanes_load_some(g + i, some), lanes_all(step->scale));
        lanes weight = lanes_mul(lanes_load_some(w + i, some), lanes_all(step->keep));
        lanes first = lanes_load_some(m + i, some);
        first = lanes_fma(lanes_sub(gradient, first), lanes_all(step->rate1), first);
        lanes second = lanes_mul(lanes_load_some(v + i, some), lanes_all(step->beta2));
        second = lanes_fma(lanes_mul(gradient, gradient), lanes_all(step->rate2), second);
        lanes below = lanes_fma(lanes_sqrt(second), lanes_all(step->root), lanes_all(step->eps));
        lanes move = lanes_div(lanes_mul(first, lanes_all(step->step)), below);
        lanes_store_some(m + i, first, some);
        lanes_store_some(v + i, second, some);
        lanes_store_some(w + i, lanes_sub(weight, move), some);
    }
}
