// Attention backward, of one level and one kind of storage: included by level.h, which see.
//
// p = 2^(scaled score - lse), ds = p (dp - delta). Rows go in pairs, since the products over rows want
// them side by side.

struct LEVEL(square_back) {
    _Alignas(64) float scores[TILE_ROWS * BREW_KEY_TILE], dp[TILE_ROWS * BREW_KEY_TILE];
    _Alignas(64) LEVEL(element) ds[TILE_ROWS * BREW_KEY_TILE]; // by rows, for dq
};

// Sixteen values each of two rows side by side; s = 1: row by row, 32 apart.
LANES_INLINE void LEVEL(store_pair)(LEVEL(element) * to, lanes a, lanes b) {
#if STORE_BF16
    STORE_PAIRS_BF16(to, a, b, LANES);
#else
    LEVEL(store_elements)(to, a);
    LEVEL(store_elements)(to + PANEL, b);
#endif
}

LANES_INLINE void LEVEL(soften_back)(struct LEVEL(square_back) * square, const int vectors,
                                     const bool masked, const struct brew_cpu_step_back *step) {
    const lanes scale = lanes_all(step->scale), zero = lanes_all(0);
    const int64_t panel = step->p_bytes / (4 / ELEMENTS);
    for (int row = 0; row < step->rows; row += 2) {
        LEVEL(element) *p_to = step->p, *ds_to = step->ds;
        p_to += row * PANEL, ds_to += row * PANEL;
        UNROLL_4 for (int j = 0; j < vectors; j++) {
            lanes p[2] = {zero, zero}, ds[2] = {zero, zero};
            for (int i = 0; i < 2 && row + i < step->rows; i++) {
                int at = (row + i) * BREW_KEY_TILE + j * LANES;
                lanes score = lanes_load(square->scores + at);
                if (masked)
                    score = lanes_mask(score, step->from[row + i] - j * LANES,
                                       step->to[row + i] - j * LANES);
                p[i] = lanes_exp2(lanes_fma(score, scale, lanes_all(-step->lse[row + i])), COARSE);
                lanes dp = lanes_load(square->dp + at);
                ds[i] = lanes_mul(p[i], lanes_sub(dp, lanes_all(step->delta[row + i])));
                LEVEL(store_elements)(square->ds + at, ds[i]);
            }
            // the second panel's columns come after the whole first one
            int64_t to = j / 2 * panel + j % 2 * LANES * ELEMENTS;
            LEVEL(store_pair)(p_to + to, p[0], p[1]);
            LEVEL(store_pair)(ds_to + to, ds[0], ds[1]);
        }
    }
}

// c [12][64] = a b for both of b's panels, or the first; a lies in blocks of 64 columns.
LANES_INLINE void LEVEL(square_of)(const struct brew_cpu_step_back *step, const char *a,
                                   const char *b, int panels, const float *ones, float *c) {
    for (int64_t from = 0; from < step->head_dim; from += BREW_KEY_TILE, a += step->block_bytes) {
        int64_t steps = divide_up(least(BREW_KEY_TILE, step->head_dim - from), ELEMENTS);
        for (int i = 0; i < panels; i++) {
            const char *panel = b + i * step->k_bytes + from / ELEMENTS * 4 * PANEL;
            if (!from)
                TILE_BY_ROWS(steps, a, panel, step->rows, c + i * PANEL, BREW_KEY_TILE);
            else
                TILE_SCALED(steps, a, panel, step->rows, ones, c + i * PANEL, BREW_KEY_TILE);
        }
    }
}

static void LEVEL(step_back)(const struct brew_cpu_step_back *step) {
    struct LEVEL(square_back) square;
    const float ones[LANES] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    int64_t dp = round_up(step->head_dim, PANEL);
    int panels = step->columns > PANEL ? 2 : 1;
    LEVEL(square_of)(step, step->q, step->k, panels, ones, square.scores);
    LEVEL(square_of)(step, step->dout, step->v, panels, ones, square.dp);
    if (panels == 2 && !step->from)
        LEVEL(soften_back)(&square, 4, false, step);
    else if (panels == 2)
        LEVEL(soften_back)(&square, 4, true, step);
    else
        LEVEL(soften_back)(&square, 2, true, step);
    for (int64_t panel = 0; panel < dp / PANEL; panel++)
        TILE_SCALED(divide_up(step->columns, ELEMENTS), square.ds,
                    (const char *)step->k_values + panel * step->v_bytes, step->rows, ones,
                    step->dq + panel * PANEL, dp);
}

// sums[keys, Dp] += p^T values: p a panel of `keys` <= 32 columns, values in panels v_bytes apart.
static void LEVEL(add_keys)(int64_t steps, const void *p, int keys, const void *values,
                            int64_t v_bytes, int64_t dp, float *sums) {
    for (int64_t panel = 0; panel < dp / PANEL; panel++)
        for (int key = 0; key < keys; key += TILE_ROWS)
            TILE_SUMS(steps, (const char *)p + key * 4, (const char *)values + panel * v_bytes,
                      (int)least(TILE_ROWS, keys - key), sums + key * dp + panel * PANEL, dp);
}

static float LEVEL(dot)(const float *a, const float *b, int64_t n) {
    lanes sum = lanes_all(0);
    for (int64_t i = 0; i < n; i += LANES) {
        lanes x = i + LANES <= n ? lanes_load(a + i) : lanes_load_some(a + i, n - i);
        lanes y = i + LANES <= n ? lanes_load(b + i) : lanes_load_some(b + i, n - i);
        sum = lanes_fma(COARSE ? lanes_round_bf16(x) : x, y, sum);
    }
    return lanes_reduce_sum(sum);
}

static void LEVEL(add_times)(float *y, const float *x, float by, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(y + i, lanes_fma(lanes_load(x + i), lanes_all(by), lanes_load(y + i)));
    for (; i < n; i++) y[i] = x[i] * by + y[i];
}
