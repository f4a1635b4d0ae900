#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/cpu/cpu.h"

struct brew_weight {
    enum brew_weight_form form;
    int64_t n, c, steps, panels; // outputs (gate and up counted together), inputs
    bool wide;                   // panels hold bf16, the kernels want F32
    char *data;                  // [panels][steps][32][s]
    float *bias;                 // [panels * 32]
};

static int64_t panel_bytes(const brew_weight *w, bool wide) {
    return w->steps * PANEL * (wide ? 2 : 4);
}

// Packing at load.

struct pack_job {
    const brew_tensor *const *parts;
    brew_weight *weight;
    int s;
    bool coarse;
    struct brew_cpu_scratch scratch; // [32, C]
};

// The stored row that is column `column` of a panel; false for padding.
static bool find_row(const struct pack_job *job, int64_t panel, int64_t column, size_t *part,
                     int64_t *row) {
    if (job->weight->form == BREW_WEIGHT_GATE_UP) {
        *part = column >= PANEL / 2;
        *row = panel * (PANEL / 2) + column % (PANEL / 2);
        return *row < job->weight->n / 2;
    }
    *row = panel * PANEL + column;
    if (*row >= job->weight->n) return false;
    for (*part = 0; *row >= job->parts[*part]->shape[0]; ++*part)
        *row -= job->parts[*part]->shape[0];
    return true;
}

static void pack_task(void *arg, size_t panel, int worker) {
    const struct pack_job *job = arg;
    const brew_weight *w = job->weight;
    float *rows = brew_cpu_share(job->scratch, worker);
    for (int64_t column = 0; column < PANEL; column++) {
        size_t part;
        int64_t row;
        if (find_row(job, (int64_t)panel, column, &part, &row))
            brew_tensor_rows(job->parts[part], row, 1, rows + column * w->c);
        else
            memset(rows + column * w->c, 0, (size_t)w->c * sizeof *rows);
    }
    void *data = w->data + (int64_t)panel * panel_bytes(w, w->wide);
    float *to32 = data;
    uint16_t *to16 = data;
    for (int64_t c = 0; c < w->c; c++) {
        for (int64_t column = 0; column < PANEL; column++) {
            float value = rows[column * w->c + c];
            int64_t at = (c / job->s * PANEL + column) * job->s + c % job->s;
            if (job->coarse)
                to16[at] = brew_bf16_from_f32(value);
            else
                to32[at] = value;
        }
    }
}

static void read_biases(brew_weight *w, const brew_tensor *const *parts,
                        const brew_tensor *const *biases, size_t n_parts) {
    int64_t row = 0;
    for (size_t i = 0; biases && i < n_parts; i++) {
        if (biases[i]) brew_tensor_rows(biases[i], 0, brew_tensor_n_rows(biases[i]), w->bias + row);
        row += parts[i]->shape[0];
    }
}

brew_weight *brew_cpu_weight_new(brew_backend *be, const brew_tensor *const *parts,
                                 const brew_tensor *const *biases, size_t n_parts,
                                 enum brew_weight_form form, brew_err *err) {
    const struct brew_cpu_kernels *kernels = brew_cpu_kernels(be);
    brew_weight *w = brew_calloc(1, sizeof *w);
    w->form = form;
    float *data = NULL;
    if (brew_host_weight_check(parts, biases, n_parts, form, &w->n, &w->c, err) < 0) goto fail;
    w->steps = divide_up(w->c, kernels->s);
    w->wide = kernels->coarse && kernels->s == 1;
    w->panels =
        form == BREW_WEIGHT_GATE_UP ? divide_up(w->n / 2, PANEL / 2) : divide_up(w->n, PANEL);
    struct pack_job job = {parts, w, kernels->s, kernels->coarse, {0}};
    if (brew_host_floats(&data, w->panels, panel_bytes(w, w->wide) / 4, 1, "a weight", err) < 0 ||
        brew_host_floats(&w->bias, w->panels, PANEL, 1, "a bias", err) < 0)
        goto fail;
    w->data = (char *)data;
    job.scratch = brew_cpu_scratch(be, PANEL * w->c * 4);
    read_biases(w, parts, biases, n_parts);
    brew_pool_run(be->pool, (size_t)w->panels, pack_task, &job);
    return w;
fail:
    if (!w->data) brew_host_free(be, data);
    brew_cpu_weight_free(be, w);
    return NULL;
}

void brew_cpu_weight_free(brew_backend *be, brew_weight *weight) {
    if (!weight) return;
    brew_host_free(be, weight->data);
    brew_host_free(be, weight->bias);
    free(weight);
}

// The product: a task is a block of rows against a run of panels; inside, the panel is the outer loop.

struct product {
    const struct brew_cpu_kernels *kernels;
    const brew_weight *w;
    const char *a;
    int64_t m, block, run, runs; // rows of a block; panels of a task; tasks of a block
    bool add;
    float *y;
    char *out;                       // operand, for swiglu
    struct brew_cpu_scratch scratch; // [steps, 32]: a widened panel
};

// Asks for the lines of y that a tile will touch: they lie a row of y apart, where no prefetcher looks.
static void fetch_rows(const float *y, int rows, int64_t ldy, int64_t columns) {
    for (int row = 0; row < rows; row++, y += ldy)
        for (int64_t j = 0; j < columns; j += 16) __builtin_prefetch(y + j, 1);
}

static void product_tile(const struct product *job, int64_t row, int64_t panel, const void *b) {
    const struct brew_cpu_kernels *kernels = job->kernels;
    const brew_weight *w = job->w;
    _Alignas(64) float c[TILE_ROWS * PANEL];
    int rows = (int)least(TILE_ROWS, job->m - row);
    const char *a = job->a + row / TILE_ROWS * w->steps * 4 * TILE_ROWS;
    if (job->out) {
        int64_t f = w->n / 2, column = panel * (PANEL / 2);
        char *tile = job->out + row / TILE_ROWS * tile_bytes(kernels, f);
        kernels->tile(w->steps, a, b, rows, c, PANEL);
        kernels->swiglu(c, rows, least(PANEL / 2, f - column), tile, column);
        return;
    }
    int64_t column = panel * PANEL, columns = least(PANEL, w->n - column);
    float *y = job->y + row * w->n + column;
    fetch_rows(y, rows, w->n, columns);
    kernels->tile(w->steps, a, b, rows, c, PANEL);
    kernels->store(c, rows, columns, w->bias + column, job->add, y, w->n);
}

static void product_task(void *arg, size_t task, int worker) {
    const struct product *job = arg;
    const brew_weight *w = job->w;
    int64_t first = (int64_t)task / job->runs * job->block, end = least(first + job->block, job->m);
    int64_t panel = (int64_t)task % job->runs * job->run, last = least(panel + job->run, w->panels);
    for (; panel < last; panel++) {
        const void *b = w->data + panel * panel_bytes(w, w->wide);
        if (w->wide) {
            float *wide = brew_cpu_share(job->scratch, worker);
            job->kernels->widen(b, w->steps * PANEL, wide);
            b = wide;
        }
        for (int64_t row = first; row < end; row += TILE_ROWS) product_tile(job, row, panel, b);
    }
}

enum {
    BLOCK_BYTES = 384 << 10, // of the left side: stays in the second-level cache with a panel
    BLOCK_ROWS = 240,
    TASK_TILES = 120, // about 0.2 ms
    ALONE = 1 << 15   // row steps in 0.05 ms or less: not worth waking another thread for
};

static void run_product(brew_backend *be, struct product *job) {
    const brew_weight *w = job->w;
    int64_t tile = w->steps * 4 * TILE_ROWS;
    job->block = most(1, least(BLOCK_ROWS / TILE_ROWS, BLOCK_BYTES / tile)) * TILE_ROWS;
    int64_t blocks = divide_up(job->m, job->block),
            tiles = divide_up(least(job->m, job->block), TILE_ROWS);
    job->run =
        most(1, least(TASK_TILES / tiles, w->panels * blocks / (8 * brew_pool_threads(be->pool))));
    if (job->m * w->steps * w->panels <= ALONE) job->run = w->panels;
    job->runs = divide_up(w->panels, job->run);
    if (w->wide) job->scratch = brew_cpu_scratch(be, w->steps * PANEL * 4);
    brew_cpu_run(be, (size_t)(blocks * job->runs), product_task, job);
}

void brew_cpu_matmul(brew_backend *be, const brew_operand *a, int64_t m, const brew_weight *w,
                     float *y, bool add) {
    struct product job = {
        .kernels = brew_cpu_kernels(be), .w = w, .a = a->data, .m = m, .add = add, .y = y};
    run_product(be, &job);
}

void brew_cpu_matmul_swiglu(brew_backend *be, const brew_operand *a, int64_t m,
                            const brew_weight *w, brew_operand *out) {
    struct product job = {
        .kernels = brew_cpu_kernels(be), .w = w, .a = a->data, .m = m, .out = out->data};
    run_product(be, &job);
}
