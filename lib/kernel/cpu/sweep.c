#include "kernel/cpu/sweep.h"

#include <string.h>

enum { FETCH = 12 };

static int64_t key_bytes(const struct brew_cpu_sweeps *all) { // of a panel
    return divide_up(all->d, all->kernels->s) * 4 * PANEL;
}
static int64_t value_bytes(const struct brew_cpu_sweeps *all) {
    return BREW_KEY_TILE / all->kernels->s * 4 * PANEL;
}
static int64_t rows_bytes(const struct brew_cpu_sweeps *all) { // of a block of 64 columns
    return SWEEP_ROWS * BREW_KEY_TILE * element_bytes(all->kernels);
}
static int64_t panel_bytes(const struct brew_cpu_sweeps *all) {
    return SWEEP_ROWS / all->kernels->s * 4 * PANEL;
}

int64_t brew_cpu_tile_bytes(const struct brew_cpu_sweeps *all) {
    return 4 * key_bytes(all) + all->dp / PANEL * value_bytes(all);
}

// Key `index` of a tile into panels [D/s][32][s]; NULL: zeros.
static void put_key(const struct brew_cpu_sweeps *all, char *panels, int64_t index,
                    const float *key) {
    char elements[4 * BREW_MAX_HEAD_DIM] = {0};
    int64_t steps = divide_up(all->d, all->kernels->s);
    if (key) all->kernels->elements(key, all->d, elements);
    char *to = panels + index / PANEL * key_bytes(all) + index % PANEL * 4;
    for (int64_t i = 0; i < steps; i++) memcpy(to + i * 4 * PANEL, elements + 4 * i, 4);
}

// Rows, `ld` apart, into panels of values.
static void put_values(const struct brew_cpu_sweeps *all, const float *rows, int64_t ld,
                       int64_t count, char *to, int64_t apart) {
    for (int64_t i = 0; i < all->d; i += PANEL, to += apart)
        all->kernels->weave(rows + i, ld, count, least(PANEL, all->d - i), PANEL, to);
}

void brew_cpu_pack_keys(const struct brew_cpu_sweeps *all, int64_t kv_head, int64_t row,
                        int64_t count, char *tile) {
    int64_t width = all->width;
    const float *k = all->qkv + row * width + (all->shape.heads + kv_head) * all->d;
    const float *v = k + all->shape.kv_heads * all->d;
    // all columns of a panel take part: those without a key must be zero, as 0 * NaN is NaN
    for (int64_t i = 0; i < round_up(count, PANEL); i++) {
        put_key(all, tile, i, i < count ? k + i * width : NULL);
        put_key(all, tile + 2 * key_bytes(all), i, i < count ? v + i * width : NULL);
    }
    put_values(all, k, width, count, tile + 4 * key_bytes(all), value_bytes(all));
}

// A block of rows, in a worker's memory.
struct block {
    int64_t n;
    int64_t *list, *pos;          // on the list; positions
    float *lse, *delta, *dq;      // [rows], [rows], [rows][Dp]
    char *q, *dout;               // by rows
    char *q_values, *dout_values; // in panels
    char *p, *ds;                 // of a tile
};

static struct block place(const struct brew_cpu_sweeps *all, char *memory) {
    int64_t rows = divide_up(all->d, BREW_KEY_TILE) * rows_bytes(all);
    int64_t values = all->dp / PANEL * panel_bytes(all);
    struct block block = {0};
    block.list = brew_cpu_carve(&memory, SWEEP_ROWS * 8);
    block.pos = brew_cpu_carve(&memory, SWEEP_ROWS * 8);
    block.lse = brew_cpu_carve(&memory, SWEEP_ROWS * 4);
    block.delta = brew_cpu_carve(&memory, SWEEP_ROWS * 4);
    block.dq = brew_cpu_carve(&memory, SWEEP_ROWS * all->dp * 4);
    block.q = brew_cpu_carve(&memory, rows);
    block.dout = brew_cpu_carve(&memory, rows);
    block.q_values = brew_cpu_carve(&memory, values);
    block.dout_values = brew_cpu_carve(&memory, values);
    block.p = brew_cpu_carve(&memory, 2 * panel_bytes(all));
    block.ds = brew_cpu_carve(&memory, 2 * panel_bytes(all));
    return block;
}

int64_t brew_cpu_sweep_bytes(const struct brew_cpu_sweeps *all) {
    int64_t rows = divide_up(all->d, BREW_KEY_TILE) * rows_bytes(all);
    int64_t values = all->dp / PANEL * panel_bytes(all);
    return SWEEP_ROWS * (8 + 8 + 4 + 4 + all->dp * 4) + 2 * (rows + values) + 4 * panel_bytes(all) +
           11 * 64;
}

static void put_row(const struct brew_cpu_sweeps *all, const float *row, char *to) {
    for (int64_t i = 0; i < all->d; i += BREW_KEY_TILE, to += rows_bytes(all))
        all->kernels->elements(row + i, least(BREW_KEY_TILE, all->d - i), to);
}

// Rows lie far apart: no hardware sees the pattern.
static void fetch(const float *row, int64_t d) {
    for (int64_t i = 0; i < d; i += 16) __builtin_prefetch(row + i);
}

static void pack_rows(const struct brew_cpu_sweeps *all, const struct block *block, int64_t head) {
    int64_t s = all->kernels->s, d = all->d, heads = all->shape.heads;
    int64_t bytes = BREW_KEY_TILE * element_bytes(all->kernels);
    const float *q[2] = {NULL}, *dout[2] = {NULL};
    for (int64_t i = 0; i < block->n; i++) {
        int64_t at = block->list[i], row = all->rows[at];
        q[i % s] = all->qkv + row * all->width + head * d;
        dout[i % s] = all->dout + row * all->out_width + head * d;
        block->lse[i] = all->lse[at * heads + head];
        block->delta[i] = all->delta[at * heads + head];
        put_row(all, q[i % s], block->q + i * bytes);
        put_row(all, dout[i % s], block->dout + i * bytes);
        if (i + FETCH < block->n) {
            row = all->rows[block->list[i + FETCH]];
            fetch(all->qkv + row * all->width + head * d, d);
            fetch(all->dout + row * all->out_width + head * d, d);
        }
        if (i % s < s - 1 && i < block->n - 1) continue;
        int64_t n = i % s + 1, to = i / s * 4 * PANEL;
        put_values(all, q[0], n == 2 ? q[1] - q[0] : 0, n, block->q_values + to, panel_bytes(all));
        put_values(all, dout[0], n == 2 ? dout[1] - dout[0] : 0, n, block->dout_values + to,
                   panel_bytes(all));
    }
}

// What the rows [first, end) of the block give to a panel of `keys` keys.
static void add_keys(const struct brew_cpu_sweeps *all, const struct block *block, int panel,
                     int64_t keys, int64_t first, int64_t end, float *sums) {
    int64_t steps = divide_up(end - first, all->kernels->s), bytes = panel_bytes(all);
    int64_t from = first / all->kernels->s * 4 * PANEL, dp = all->dp;
    float *dk = sums + panel * PANEL * dp, *dv = dk + BREW_KEY_TILE * dp;
    int some = (int)least(PANEL, keys - panel * PANEL);
    all->kernels->add_keys(steps, block->ds + panel * bytes + from, some, block->q_values + from,
                           bytes, dp, dk);
    all->kernels->add_keys(steps, block->p + panel * bytes + from, some, block->dout_values + from,
                           bytes, dp, dv);
}

// The block against one tile of `count` keys, the first of which is at `pos`.
static void sweep_tile(const struct brew_cpu_sweeps *all, const struct block *block, int64_t pos,
                       int64_t count, const char *tile, float *sums) {
    int64_t element = element_bytes(all->kernels), s = all->kernels->s;
    int64_t open[2] = {-1, -1}; // since which row a panel is seen
    struct brew_cpu_sight sight;
    struct brew_cpu_step_back step = {.head_dim = all->d,
                                      .block_bytes = rows_bytes(all),
                                      .k = tile,
                                      .v = tile + 2 * key_bytes(all),
                                      .k_values = tile + 4 * key_bytes(all),
                                      .k_bytes = key_bytes(all),
                                      .v_bytes = value_bytes(all),
                                      .scale = all->scale * 1.44269504f,
                                      .p_bytes = panel_bytes(all)};
    for (int64_t row = 0; row < block->n; row += TILE_ROWS) {
        step.rows = (int)least(TILE_ROWS, block->n - row);
        brew_cpu_look(all->window, block->pos + row, step.rows, pos, count, &sight);
        for (int panel = 0; panel < 2; panel++) {
            bool seen = sight.columns > panel * PANEL;
            if (seen && open[panel] < 0) open[panel] = row;
            if (seen || open[panel] < 0) continue;
            add_keys(all, block, panel, count, open[panel], row, sums);
            open[panel] = -1;
        }
        if (!sight.columns) continue;
        step.columns = sight.columns;
        step.from = sight.whole ? NULL : sight.from;
        step.to = sight.whole ? NULL : sight.to;
        step.q = block->q + row * BREW_KEY_TILE * element;
        step.dout = block->dout + row * BREW_KEY_TILE * element;
        step.lse = block->lse + row;
        step.delta = block->delta + row;
        step.p = block->p + row / s * 4 * PANEL;
        step.ds = block->ds + row / s * 4 * PANEL;
        step.dq = block->dq + row * all->dp;
        all->kernels->step_back(&step);
    }
    for (int panel = 0; panel < 2; panel++)
        if (open[panel] >= 0) add_keys(all, block, panel, count, open[panel], block->n, sums);
}

static void sweep_block(const struct brew_cpu_sweeps *all, const struct block *block, int64_t head,
                        const struct brew_cpu_run *run, float *sums, const struct brew_cpu_dq *dq) {
    pack_rows(all, block, head);
    memset(block->dq, 0, (size_t)(block->n * all->dp) * sizeof *block->dq);
    const char *tile = run->tiles;
    for (int64_t i = 0; i < run->count; i += BREW_KEY_TILE) {
        sweep_tile(all, block, run->pos + i, least(BREW_KEY_TILE, run->count - i), tile, sums);
        tile += brew_cpu_tile_bytes(all);
        sums += brew_cpu_sum_floats(all);
    }
    for (int64_t i = 0; i < block->n; i++)
        all->kernels->add_times(brew_cpu_dq_row(all, dq, block->list[i]) + head * all->d,
                                block->dq + i * all->dp, all->scale, all->d);
}

void brew_cpu_sweep(const struct brew_cpu_sweeps *all, char *memory, int64_t head, int64_t first,
                    int64_t end, const struct brew_cpu_run *run, float *sums,
                    const struct brew_cpu_dq *dq) {
    struct block block = place(all, memory);
    for (int64_t i = first; i < end; i++) {
        int64_t pos = all->pos[i];
        if (pos < run->pos || (all->window > 0 && pos - all->window >= run->pos + run->count - 1))
            continue;
        block.list[block.n] = i;
        block.pos[block.n++] = pos;
        if (block.n < SWEEP_ROWS) continue;
        sweep_block(all, &block, head, run, sums, dq);
        block.n = 0;
    }
    if (block.n) sweep_block(all, &block, head, run, sums, dq);
}
