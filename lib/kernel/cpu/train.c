// Weights that learn, and their products backward: the forward product's driver, other packers.
//
// A master, its gradient and moments are F32 panels [N/32][C][32]. A 12 x 32 tile of
//
//     dw[c, n] = sum over t of x[t, c] dy[t, n]        left x: [C/12][T/s][12][s]
//                                                      right dy: [N/32][T/s][32][s]
//
// with c as rows and n as columns is a contiguous piece of that, and in F32 the master is the panels of
// the forward product. For dx = dy w the right side is w the other way round, [C/32][N/s][32][s], made
// anew in working memory for each product.
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/cpu/train.h"

int64_t brew_cpu_weight_floats(brew_backend *be, int64_t n, int64_t c) {
    (void)be;
    return round_up(n, PANEL) * c;
}

// Where rows of a master lie: the row's first value, the others PANEL apart.
static int64_t place(int64_t row, int64_t c) {
    return row / PANEL * PANEL * c + row % PANEL;
}

void brew_cpu_weight_pack(brew_backend *be, int64_t n, int64_t c, int64_t first, int64_t count,
                          const float *rows, float *master) {
    (void)be, (void)n;
    for (int64_t row = 0; row < count; row++) {
        float *to = master + place(first + row, c);
        for (int64_t i = 0; i < c; i++) to[i * PANEL] = rows[row * c + i];
    }
}

void brew_cpu_weight_unpack(brew_backend *be, int64_t n, int64_t c, int64_t first, int64_t count,
                            const float *master, float *rows) {
    (void)be, (void)n;
    for (int64_t row = 0; row < count; row++) {
        const float *from = master + place(first + row, c);
        for (int64_t i = 0; i < c; i++) rows[row * c + i] = from[i * PANEL];
    }
}

brew_weight *brew_cpu_weight_learn(brew_backend *be, int64_t n, int64_t c, const float *master,
                                   const float *bias, brew_err *err) {
    const struct brew_cpu_kernels *kernels = brew_cpu_kernels(be);
    brew_weight *w = brew_calloc(1, sizeof *w);
    *w = (brew_weight){.form = BREW_WEIGHT_STACK,
                       .n = n,
                       .c = c,
                       .s = kernels->s,
                       .steps = divide_up(c, kernels->s),
                       .panels = divide_up(n, PANEL),
                       .wide = kernels->coarse && kernels->s == 1,
                       .master = master,
                       .master_bias = bias};
    float *data = NULL;
    w->data = (char *)(uintptr_t)master; // only read
    if (kernels->coarse) {
        int64_t bytes = w->steps * PANEL * (w->wide ? 2 : 4);
        if (brew_host_floats(&data, w->panels, bytes / 4, 1, "a weight", err) < 0) goto fail;
        w->data = (char *)data;
    }
    if (brew_host_floats(&w->bias, w->panels, PANEL, 1, "a bias", err) < 0) goto fail;
    return w;
fail:
    if (!data) w->data = NULL;
    brew_cpu_weight_free(be, w);
    return NULL;
}

struct refresh_job {
    const struct brew_cpu_kernels *kernels;
    const brew_weight *w;
};

// One panel as elements.
static void refresh_task(void *arg, size_t panel, int worker) {
    (void)worker;
    const struct refresh_job *job = arg;
    const brew_weight *w = job->w;
    const float *from = w->master + (int64_t)panel * PANEL * w->c;
    if (w->wide) {
        uint16_t *to = (uint16_t *)(void *)w->data + (int64_t)panel * PANEL * w->c;
        job->kernels->narrow(from, PANEL * w->c, to);
        return;
    }
    job->kernels->weave(from, PANEL, w->c, PANEL, PANEL,
                        w->data + (int64_t)panel * w->steps * PANEL * 4);
}

void brew_cpu_weight_refresh(brew_backend *be, brew_weight *weight) {
    struct refresh_job job = {brew_cpu_kernels(be), weight};
    if (weight->master_bias)
        memcpy(weight->bias, weight->master_bias, (size_t)weight->n * sizeof *weight->bias);
    if (weight->data != (const char *)weight->master)
        brew_cpu_run(be, (size_t)weight->panels, refresh_task, &job);
}

// dx

struct dx_job {
    const struct brew_cpu_kernels *kernels;
    const brew_weight *w;
    const float *dy;
    int64_t m;
    char *a, *b;                // packed
    int64_t steps, panel_bytes; // of dy; of a panel of b, whose steps cover padded outputs too
};

// Inputs [first, first + n) of a panel of bf16 as F32 [n][32]; n at most 32, first even.
static void widen(const brew_weight *w, size_t panel, int64_t first, int64_t n, float *to) {
    const char *from = w->data + (int64_t)panel * w->steps * PANEL * (w->wide ? 2 : 4);
    for (int64_t i = 0; i < n; i += w->s, to += w->s * PANEL) {
        uint32_t bits[2][PANEL] = {{0}};
        uint16_t step[2 * PANEL];
        memcpy(step, from + (first + i) / w->s * w->s * PANEL * 2, (size_t)w->s * PANEL * 2);
        for (int lane = 0; lane < PANEL; lane++)
            for (int k = 0; k < w->s; k++) bits[k][lane] = (uint32_t)step[lane * w->s + k] << 16;
        memcpy(to, bits, (size_t)w->s * sizeof *bits);
    }
}

// A panel of the weight: 32 steps of every panel of b. In BF16 from the elements, which rounding again leaves
// as they are.
static void flip_task(void *arg, size_t panel, int worker) {
    (void)worker;
    const struct dx_job *job = arg;
    int64_t c = job->w->c;
    const float *from = job->w->master + (int64_t)panel * PANEL * c;
    char *to = job->b + (int64_t)panel * PANEL / job->kernels->s * PANEL * 4;
    for (int64_t i = 0; i < c; i += PANEL, to += job->panel_bytes) {
        _Alignas(64) float wide[(PANEL + 1) * PANEL];
        int n = (int)least(PANEL, c - i);
        if (job->kernels->coarse) widen(job->w, panel, i, n, wide);
        job->kernels->flip(job->kernels->coarse ? wide : from + i * PANEL, n, to);
    }
}

static void dy_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct dx_job *job = arg;
    int64_t n = job->w->n, row = (int64_t)task * TILE_ROWS, end = least(row + TILE_ROWS, job->m);
    char *tile = job->a + (int64_t)task * job->steps * 4 * TILE_ROWS;
    job->kernels->lay(job->dy + row * n, n, (int)(end - row), n, tile);
}

void brew_cpu_matmul_dx(brew_backend *be, const float *dy, int64_t m, const brew_weight *w,
                        float *dx, bool add) {
    const struct brew_cpu_kernels *kernels = brew_cpu_kernels(be);
    struct dx_job job = {.kernels = kernels, .w = w, .dy = dy, .m = m};
    int64_t tiles = divide_up(m, TILE_ROWS), panels = divide_up(w->c, PANEL);
    job.steps = divide_up(w->n, kernels->s);
    job.panel_bytes = w->panels * PANEL / kernels->s * PANEL * 4;
    job.b = brew_cpu_shared(be, panels * job.panel_bytes + tiles * job.steps * 4 * TILE_ROWS);
    job.a = job.b + panels * job.panel_bytes;
    brew_cpu_run(be, (size_t)w->panels, flip_task, &job);
    brew_cpu_run(be, (size_t)tiles, dy_task, &job);
    struct brew_cpu_product product = {.kernels = kernels,
                                       .tile = brew_cpu_store_tile,
                                       .a = job.a,
                                       .b = job.b,
                                       .m = m,
                                       .n = w->c,
                                       .steps = job.steps,
                                       .panels = panels,
                                       .panel_bytes = job.panel_bytes,
                                       .add = add,
                                       .y = dx};
    brew_cpu_product(be, &product);
}

// dw

// Rows as one side of a product over the rows: [width/lanes][M/s][lanes][s].
struct weave_job {
    const struct brew_cpu_kernels *kernels;
    const float *rows;
    int64_t m, width;
    int lanes;
    char *out;
};

enum { WEAVE_ROWS = 8, DW_ROWS = 1024 }; // DW_ROWS: rows packed at a time

static void weave_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct weave_job *job = arg;
    int64_t first = (int64_t)task * WEAVE_ROWS, m = least(WEAVE_ROWS, job->m - first);
    int64_t s = job->kernels->s, steps = divide_up(job->m, s);
    for (int64_t column = 0; column < job->width; column += job->lanes)
        job->kernels->weave(job->rows + first * job->width + column, job->width, m,
                            least(job->lanes, job->width - column), job->lanes,
                            job->out + (column * steps + first / s * job->lanes) * 4);
}

static void weave(brew_backend *be, const float *rows, int64_t m, int64_t width, int lanes,
                  char *out) {
    struct weave_job job = {brew_cpu_kernels(be), rows, m, width, lanes, out};
    brew_cpu_run(be, (size_t)divide_up(m, WEAVE_ROWS), weave_task, &job);
}

static void dw_tile(const struct brew_cpu_product *job, const void *a, const void *b, int64_t row,
                    int rows, int64_t panel) {
    float *c = job->y + (panel * job->m + row) * PANEL;
    (job->add ? job->kernels->tile_on : job->kernels->tile)(job->steps, a, b, rows, c, PANEL);
}

// Nothing where all of a tile's rows are columns beyond the panel's outputs.
static void gram_tile(const struct brew_cpu_product *job, const void *a, const void *b, int64_t row,
                      int rows, int64_t panel) {
    if (row < (panel + 1) * PANEL) dw_tile(job, a, b, row, rows, panel);
}

static void over_rows(brew_backend *be, const float *dy, const float *x, int64_t m, int64_t n,
                      int64_t c, float *dw, bool add, bool triangle) {
    const struct brew_cpu_kernels *kernels = brew_cpu_kernels(be);
    if (m == 0 && !add) brew_cpu_zero(be, dw, (size_t)brew_cpu_weight_floats(be, n, c) * 4);
    for (int64_t row = 0; row < m; row += DW_ROWS, add = true) {
        int64_t rows = least(DW_ROWS, m - row), steps = divide_up(rows, kernels->s);
        int64_t a_bytes = round_up(round_up(c, TILE_ROWS) * steps * 4, 64);
        char *a = brew_cpu_shared(be, a_bytes + round_up(n, PANEL) * steps * 4), *b = a + a_bytes;
        weave(be, x + row * c, rows, c, TILE_ROWS, a);
        weave(be, dy + row * n, rows, n, PANEL, b);
        struct brew_cpu_product product = {.kernels = kernels,
                                           .tile = triangle ? gram_tile : dw_tile,
                                           .a = a,
                                           .b = b,
                                           .m = c,
                                           .n = n,
                                           .steps = steps,
                                           .panels = divide_up(n, PANEL),
                                           .panel_bytes = steps * PANEL * 4,
                                           .add = add,
                                           .y = dw};
        brew_cpu_product(be, &product);
    }
}

void brew_cpu_matmul_dw(brew_backend *be, const float *dy, const float *x, int64_t m, int64_t n,
                        int64_t c, float *dw, bool add) {
    over_rows(be, dy, x, m, n, c, dw, add, false);
}

void brew_cpu_gram(brew_backend *be, const float *x, int64_t m, int64_t c, float *sums, bool add) {
    over_rows(be, x, x, m, c, c, sums, add, true);
}
