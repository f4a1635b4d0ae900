#include "kernel/cpu/sweep.h"

#include <string.h>

static int64_t key_bytes(const struct brew_cpu_sweeps *all, int64_t keys) {
    return divide_up(keys, PANEL) * divide_up(all->d, all->kernels->s) * 4 * PANEL;
}
static int64_t value_panel_bytes(const struct brew_cpu_sweeps *all) {
    return BREW_KEY_TILE * PANEL * element_bytes(all->kernels);
}
static int64_t value_bytes(const struct brew_cpu_sweeps *all) { // of a tile
    return all->dp / PANEL * value_panel_bytes(all);
}
static int64_t dims_bytes(const struct brew_cpu_sweeps *all) { // of twelve dimensions
    return SWEEP_ROWS / all->kernels->s * 4 * TILE_ROWS;
}
static int64_t p_bytes(const struct brew_cpu_sweeps *all) { // of a panel
    return SWEEP_ROWS / all->kernels->s * 4 * PANEL;
}

static void *place(char *memory, int64_t *used, int64_t bytes) {
    char *at = memory ? memory + *used : NULL;
    *used += round_up(bytes, 64);
    return at;
}

int64_t brew_cpu_sweep_place(const struct brew_cpu_sweeps *all, char *memory,
                             struct brew_cpu_sweep *sweep) {
    int64_t left = SWEEP_ROWS / TILE_ROWS * tile_bytes(all->kernels, all->d), used = 0;
    int64_t dims = divide_up(all->d, TILE_ROWS) * dims_bytes(all);
    sweep->k = place(memory, &used, key_bytes(all, SWEEP_KEYS));
    sweep->v = place(memory, &used, key_bytes(all, SWEEP_KEYS));
    sweep->k_values = place(memory, &used, SWEEP_KEYS / BREW_KEY_TILE * value_bytes(all));
    sweep->q = place(memory, &used, left);
    sweep->dout = place(memory, &used, left);
    sweep->q_dims = place(memory, &used, dims);
    sweep->dout_dims = place(memory, &used, dims);
    sweep->p = place(memory, &used, 2 * p_bytes(all));
    sweep->ds = place(memory, &used, 2 * p_bytes(all));
    sweep->dq = place(memory, &used, SWEEP_ROWS * all->dp * 4);
    sweep->lse = place(memory, &used, SWEEP_ROWS * 4);
    sweep->delta = place(memory, &used, SWEEP_ROWS * 4);
    sweep->list = place(memory, &used, SWEEP_ROWS * 8);
    sweep->pos = place(memory, &used, SWEEP_ROWS * 8);
    sweep->sums = place(memory, &used, brew_cpu_sum_floats(all, SWEEP_KEYS) * 4);
    return used;
}

// Key `index` of the run into panels [D/s][32][s]; NULL: zeros.
static void put_key(const struct brew_cpu_sweeps *all, char *panels, int64_t index,
                    const float *key) {
    char elements[4 * BREW_MAX_HEAD_DIM] = {0};
    int64_t steps = divide_up(all->d, all->kernels->s);
    if (key) all->kernels->elements(key, all->d, elements);
    char *to = panels + key_bytes(all, index / PANEL * PANEL) + index % PANEL * 4;
    for (int64_t i = 0; i < steps; i++) memcpy(to + i * 4 * PANEL, elements + 4 * i, 4);
}

// Rows a and b (NULL: zeros) side by side, `piece` columns of each at every `apart` bytes from `to` on.
static void put_pair(const struct brew_cpu_sweeps *all, const float *a, const float *b,
                     int64_t piece, char *to, int64_t apart) {
    char side_by_side[4 * BREW_MAX_HEAD_DIM];
    all->kernels->pair(a, b, all->d, side_by_side);
    for (int64_t i = 0; i < all->d; i += piece, to += apart)
        memcpy(to, side_by_side + i * 4, (size_t)least(piece, all->d - i) * 4);
}

void brew_cpu_sweep_keys(const struct brew_cpu_sweeps *all, struct brew_cpu_sweep *sweep,
                         int64_t kv_head, const struct brew_cpu_run *run) {
    int64_t s = all->kernels->s, width = all->width;
    const float *k = all->qkv + run->row * width + (all->shape.heads + kv_head) * all->d;
    const float *v = k + all->shape.kv_heads * all->d;
    // all columns of a panel take part: those without a key must be zero, as 0 * NaN is NaN
    for (int64_t i = 0; i < round_up(run->count, PANEL); i++) {
        put_key(all, sweep->k, i, i < run->count ? k + i * width : NULL);
        put_key(all, sweep->v, i, i < run->count ? v + i * width : NULL);
    }
    for (int64_t i = 0; i < run->count; i += s) {
        const float *other = i + 1 < run->count ? k + (i + 1) * width : NULL;
        char *to = sweep->k_values + i / BREW_KEY_TILE * value_bytes(all) +
                   i % BREW_KEY_TILE / s * 4 * PANEL;
        put_pair(all, k + i * width, other, PANEL, to, value_panel_bytes(all));
    }
}

static void pack_rows(const struct brew_cpu_sweeps *all, struct brew_cpu_sweep *sweep, int64_t head,
                      int64_t n) {
    const struct brew_cpu_kernels *kernels = all->kernels;
    int64_t s = kernels->s, d = all->d, bytes = tile_bytes(kernels, d);
    const float *q[2], *dout[2];
    for (int64_t i = 0; i < n; i++) {
        int64_t row = all->rows[sweep->list[i]], at = row * all->out_width + head * d;
        q[i % s] = all->qkv + row * all->width + head * d;
        dout[i % s] = all->dout + at;
        kernels->put(sweep->q + i / TILE_ROWS * bytes, i % TILE_ROWS, 0, q[i % s], d);
        kernels->put(sweep->dout + i / TILE_ROWS * bytes, i % TILE_ROWS, 0, dout[i % s], d);
        sweep->delta[i] = kernels->dot(dout[i % s], all->out + at, d);
        sweep->lse[i] = 1.44269504f * all->lse[row * all->shape.heads + head];
        if (i % s < s - 1 && i < n - 1) continue;
        int64_t to = i / s * 4 * TILE_ROWS;
        put_pair(all, q[0], i % s ? q[1] : NULL, TILE_ROWS, sweep->q_dims + to, dims_bytes(all));
        put_pair(all, dout[0], i % s ? dout[1] : NULL, TILE_ROWS, sweep->dout_dims + to,
                 dims_bytes(all));
    }
}

// What the pieces [first, end) give to the keys of one panel.
static void add_keys(const struct brew_cpu_sweeps *all, const struct brew_cpu_sweep *sweep,
                     int panel, int64_t first, int64_t end, float *sums) {
    int64_t s = all->kernels->s, d = all->d, steps = divide_up(end - first, s);
    int64_t left = first / s * 4 * TILE_ROWS, right = panel * p_bytes(all) + first / s * 4 * PANEL;
    float *dk = sums + panel * PANEL, *dv = dk + d * BREW_KEY_TILE;
    for (int64_t i = 0; i < d; i += TILE_ROWS, left += dims_bytes(all)) {
        int rows = (int)least(TILE_ROWS, d - i);
        all->kernels->tile_on(steps, sweep->q_dims + left, sweep->ds + right, rows,
                              dk + i * BREW_KEY_TILE, BREW_KEY_TILE);
        all->kernels->tile_on(steps, sweep->dout_dims + left, sweep->p + right, rows,
                              dv + i * BREW_KEY_TILE, BREW_KEY_TILE);
    }
}

// The block's n rows against one tile of `count` keys.
static void sweep_tile(const struct brew_cpu_sweeps *all, const struct brew_cpu_sweep *sweep,
                       int64_t n, int64_t tile, const struct brew_cpu_run *run, float *sums) {
    int64_t first = tile * BREW_KEY_TILE, count = least(BREW_KEY_TILE, run->count - first);
    int64_t bytes = tile_bytes(all->kernels, all->d), s = all->kernels->s;
    int64_t open[2] = {-1, -1}; // since which row a panel is seen
    struct brew_cpu_sight sight;
    struct brew_cpu_step_back step = {.head_dim = all->d,
                                      .k = sweep->k + key_bytes(all, first),
                                      .v = sweep->v + key_bytes(all, first),
                                      .k_values = sweep->k_values + tile * value_bytes(all),
                                      .k_bytes = key_bytes(all, PANEL),
                                      .v_bytes = value_panel_bytes(all),
                                      .scale = all->scale,
                                      .p_bytes = p_bytes(all)};
    for (int64_t row = 0; row < n; row += TILE_ROWS) {
        step.rows = (int)least(TILE_ROWS, n - row);
        brew_cpu_look(all->window, sweep->pos + row, step.rows, run->pos + first, count, &sight);
        for (int panel = 0; panel < 2; panel++) {
            bool seen = sight.columns > panel * PANEL;
            if (seen && open[panel] < 0) open[panel] = row;
            if (seen || open[panel] < 0) continue;
            add_keys(all, sweep, panel, open[panel], row, sums);
            open[panel] = -1;
        }
        if (!sight.columns) continue;
        step.columns = sight.columns;
        step.from = sight.whole ? NULL : sight.from;
        step.to = sight.whole ? NULL : sight.to;
        step.q = sweep->q + row / TILE_ROWS * bytes;
        step.dout = sweep->dout + row / TILE_ROWS * bytes;
        step.lse = sweep->lse + row;
        step.delta = sweep->delta + row;
        step.p = sweep->p + row / s * 4 * PANEL;
        step.ds = sweep->ds + row / s * 4 * PANEL;
        step.dq = sweep->dq + row * all->dp;
        all->kernels->step_back(&step);
    }
    for (int panel = 0; panel < 2; panel++)
        if (open[panel] >= 0) add_keys(all, sweep, panel, open[panel], n, sums);
}

static void sweep_block(const struct brew_cpu_sweeps *all, struct brew_cpu_sweep *sweep,
                        int64_t head, int64_t n, const struct brew_cpu_run *run, float *sums,
                        const struct brew_cpu_dq *dq) {
    int64_t d = all->d;
    pack_rows(all, sweep, head, n);
    memset(sweep->dq, 0, (size_t)(n * all->dp) * sizeof *sweep->dq);
    for (int64_t tile = 0; tile * BREW_KEY_TILE < run->count; tile++)
        sweep_tile(all, sweep, n, tile, run, sums + brew_cpu_sum_floats(all, tile * BREW_KEY_TILE));
    for (int64_t i = 0; i < n; i++) {
        const float *from = sweep->dq + i * all->dp;
        float *to = brew_cpu_dq_row(all, dq, sweep->list[i]) + head * d;
        for (int64_t e = 0; e < d; e++) to[e] += from[e];
    }
}

void brew_cpu_sweep_rows(const struct brew_cpu_sweeps *all, struct brew_cpu_sweep *sweep,
                         int64_t head, int64_t first, int64_t end, const struct brew_cpu_run *run,
                         float *sums, const struct brew_cpu_dq *dq) {
    int64_t n = 0;
    for (int64_t i = first; i < end; i++) {
        int64_t pos = all->pos[i];
        if (pos < run->pos || (all->window > 0 && pos - all->window >= run->pos + run->count - 1))
            continue;
        sweep->list[n] = i;
        sweep->pos[n++] = pos;
        if (n < SWEEP_ROWS) continue;
        sweep_block(all, sweep, head, n, run, sums, dq);
        n = 0;
    }
    if (n) sweep_block(all, sweep, head, n, run, sums, dq);
}
