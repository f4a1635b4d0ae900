#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/cpu/cpu.h"

static int64_t panel_bytes(const brew_weight *w) {
    if (w->scheme == BREW_I8) return divide_up(w->c, 4) * PANEL * 4;
    return w->steps * PANEL * (w->scheme == BREW_F8_E4M3 ? w->s : w->wide ? 2 : 4);
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

// Where an E4M3 value of element i lies in its step: where s is 2, so that its bytes become pairs by
// unpacking, sixteen at a time, the lower eight and the upper eight.
static int64_t place_f8(int64_t i, int64_t s) {
    return s == 1 ? i : i % 32 / 8 * 16 + i % 8 + i / 32 * 8;
}

// A quantised panel: bytes as stored, with their scales; those of padding are 0 and 1.
static void pack_bytes_task(void *arg, size_t panel, int worker) {
    (void)worker;
    const struct pack_job *job = arg;
    const brew_weight *w = job->weight;
    int64_t s = w->scheme == BREW_I8 ? 4 : w->s;
    uint8_t *to = (uint8_t *)w->data + (int64_t)panel * panel_bytes(w);
    for (int64_t column = 0; column < PANEL; column++) {
        size_t part;
        int64_t row, sum = 0, at = (int64_t)panel * PANEL + column;
        w->scales[at] = 1;
        if (!find_row(job, (int64_t)panel, column, &part, &row)) continue;
        const uint8_t *from = (const uint8_t *)job->parts[part]->data + row * w->c;
        w->scales[at] = job->parts[part]->row_scales[row];
        for (int64_t c = 0; c < w->c; c++) {
            int64_t place = column * s + c % s;
            if (w->scheme == BREW_F8_E4M3) place = place_f8(place, s);
            to[c / s * PANEL * s + place] = from[c];
            sum += (int8_t)from[c];
        }
        w->sums[at] = (int32_t)(128 * sum);
    }
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
    void *data = w->data + (int64_t)panel * panel_bytes(w);
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
    if (brew_host_weight_check(parts, biases, n_parts, form, &w->n, &w->c, err) < 0 ||
        brew_host_weight_scheme(parts, n_parts, &w->scheme, err) < 0)
        goto fail;
    w->s = kernels->s;
    w->steps = divide_up(w->c, kernels->s);
    w->wide = kernels->coarse && kernels->s == 1 && w->scheme == BREW_F32;
    w->panels =
        form == BREW_WEIGHT_GATE_UP ? divide_up(w->n / 2, PANEL / 2) : divide_up(w->n, PANEL);
    struct pack_job job = {parts, w, kernels->s, kernels->coarse, {0}};
    if (brew_host_floats(&data, w->panels, panel_bytes(w) / 4, 1, "a weight", err) < 0 ||
        brew_host_floats(&w->bias, w->panels, PANEL, 1, "a bias", err) < 0)
        goto fail;
    w->data = (char *)data;
    read_biases(w, parts, biases, n_parts);
    if (w->scheme != BREW_F32) {
        w->scales = brew_calloc((size_t)(w->panels * PANEL), sizeof *w->scales);
        w->sums = brew_calloc((size_t)(w->panels * PANEL), sizeof *w->sums);
        brew_pool_run(be->pool, (size_t)w->panels, pack_bytes_task, &job);
        return w;
    }
    job.scratch = brew_cpu_scratch(be, PANEL * w->c * 4);
    brew_pool_run(be->pool, (size_t)w->panels, pack_task, &job);
    return w;
fail:
    if (!w->data) brew_host_free(be, data);
    brew_cpu_weight_free(be, w);
    return NULL;
}

void brew_cpu_weight_free(brew_backend *be, brew_weight *weight) {
    if (!weight) return;
    if (weight->data != (const char *)weight->master) brew_host_free(be, weight->data);
    brew_host_free(be, weight->bias);
    free(weight->scales);
    free(weight->sums);
    free(weight);
}

// The product: a task is a block of rows against a run of panels; inside, the panel is the outer loop.

// Asks for the lines of y that a tile will touch: they lie a row of y apart, where no prefetcher looks.
static void fetch_rows(const float *y, int rows, int64_t ldy, int64_t columns) {
    for (int row = 0; row < rows; row++, y += ldy)
        for (int64_t j = 0; j < columns; j += 16) __builtin_prefetch(y + j, 1);
}

// The chains of a tile, c[rows, 32], and what makes values of them.
static struct brew_cpu_scales run_tile(const struct brew_cpu_product *job, const void *a,
                                       const void *b, int64_t row, int rows, int64_t panel,
                                       float *c) {
    const brew_weight *w = job->w;
    bool integers = w && w->scheme == BREW_I8;
    if (integers)
        job->kernels->tile_i8(divide_up(w->c, 4), a, b, rows, c);
    else
        job->kernels->tile(job->steps, a, b, rows, c, PANEL);
    if (!w || !w->scales) return (struct brew_cpu_scales){0};
    return (struct brew_cpu_scales){job->scales + row, w->scales + panel * PANEL,
                                    integers ? w->sums + panel * PANEL : NULL};
}

void brew_cpu_store_tile(const struct brew_cpu_product *job, const void *a, const void *b,
                         int64_t row, int rows, int64_t panel) {
    _Alignas(64) float c[TILE_ROWS * PANEL];
    int64_t column = panel * PANEL, columns = least(PANEL, job->n - column);
    float *y = job->y + row * job->n + column;
    fetch_rows(y, rows, job->n, columns);
    struct brew_cpu_scales by = run_tile(job, a, b, row, rows, panel, c);
    job->kernels->store(c, &by, rows, columns, job->w ? job->w->bias + column : NULL, job->add, y,
                        job->n);
}

static void swiglu_tile(const struct brew_cpu_product *job, const void *a, const void *b,
                        int64_t row, int rows, int64_t panel) {
    _Alignas(64) float c[TILE_ROWS * PANEL];
    int64_t f = job->n / 2, column = panel * (PANEL / 2);
    char *tile = job->out + row / TILE_ROWS * tile_bytes(job->kernels, f);
    struct brew_cpu_scales by = run_tile(job, a, b, row, rows, panel, c);
    job->kernels->swiglu(c, &by, rows, least(PANEL / 2, f - column), tile, column);
}

static void product_task(void *arg, size_t task, int worker) {
    const struct brew_cpu_product *job = arg;
    int64_t first = (int64_t)task / job->runs * job->block, end = least(first + job->block, job->m);
    int64_t panel = (int64_t)task % job->runs * job->run,
            last = least(panel + job->run, job->panels);
    for (; panel < last; panel++) {
        const void *b = job->b + panel * job->panel_bytes;
        if (job->stored != BREW_F32) {
            void *elements = brew_cpu_share(job->scratch, worker);
            if (job->stored == BREW_BF16)
                job->kernels->widen(b, job->steps * PANEL, elements);
            else
                job->kernels->decode(b, job->steps * PANEL * job->kernels->s, elements);
            b = elements;
        }
        for (int64_t row = first; row < end; row += TILE_ROWS)
            job->tile(job, job->a + row * job->steps * 4, b, row, (int)least(TILE_ROWS, end - row),
                      panel);
    }
}

enum {
    BLOCK_BYTES = 384 << 10, // of the left side: stays in the second-level cache with a panel
    BLOCK_ROWS = 240,
    TASK_TILES = 120, // about 0.2 ms
    ALONE = 1 << 15   // row steps in 0.05 ms or less: not worth waking another thread for
};

void brew_cpu_product(brew_backend *be, struct brew_cpu_product *job) {
    int64_t tile = job->steps * 4 * TILE_ROWS;
    int64_t rows = most(1, least(BLOCK_ROWS / TILE_ROWS, BLOCK_BYTES / tile)) * TILE_ROWS;
    if (job->stored != BREW_F32)
        rows *= 2; // making a panel's elements costs as much as a tile's half
    int64_t some =
        most(1, (job->m + rows / 2) / rows); // of equal size, half as large again at most
    job->block = round_up(divide_up(job->m, some), TILE_ROWS);
    int64_t blocks = divide_up(job->m, job->block),
            tiles = divide_up(least(job->m, job->block), TILE_ROWS);
    job->run = most(
        1, least(TASK_TILES / tiles, job->panels * blocks / (8 * brew_pool_threads(be->pool))));
    if (job->m * job->steps * job->panels <= ALONE) job->run = job->panels;
    job->runs = divide_up(job->panels, job->run);
    if (job->stored != BREW_F32) job->scratch = brew_cpu_scratch(be, job->steps * PANEL * 4);
    brew_cpu_run(be, (size_t)(blocks * job->runs), product_task, job);
}

struct quantise_job {
    const struct brew_cpu_kernels *kernels;
    enum brew_dtype scheme;
    char *a;
    float *scales;
    int64_t m, steps;
};

static void quantise_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct quantise_job *job = arg;
    int64_t row = (int64_t)task * TILE_ROWS;
    char *tile = job->a + (int64_t)task * job->steps * 4 * TILE_ROWS;
    (job->scheme == BREW_I8 ? job->kernels->round_i8 : job->kernels->round_f8)(
        tile, job->steps, (int)least(TILE_ROWS, job->m - row), job->scales + row);
}

void brew_cpu_quantise(brew_backend *be, brew_operand *a, int64_t m, const brew_weight *w) {
    struct quantise_job job = {brew_cpu_kernels(be), w->scheme, a->data, a->scales, m, w->steps};
    if (w->scales) brew_cpu_run(be, (size_t)divide_up(m, TILE_ROWS), quantise_task, &job);
}

static struct brew_cpu_product product_of(const brew_backend *be, const brew_operand *a, int64_t m,
                                          const brew_weight *w) {
    return (struct brew_cpu_product){
        .kernels = brew_cpu_kernels(be),
        .w = w,
        .a = a->data,
        .b = w->data,
        .scales = a->scales,
        .m = m,
        .n = w->n,
        .steps = w->steps,
        .panels = w->panels,
        .panel_bytes = panel_bytes(w),
        .stored = w->wide                     ? BREW_BF16
                  : w->scheme == BREW_F8_E4M3 ? BREW_F8_E4M3
                                              : BREW_F32,
    };
}

void brew_cpu_matmul(brew_backend *be, const brew_operand *a, int64_t m, const brew_weight *w,
                     float *y, bool add) {
    struct brew_cpu_product job = product_of(be, a, m, w);
    job.tile = brew_cpu_store_tile;
    job.y = y;
    job.add = add;
    brew_cpu_product(be, &job);
}

void brew_cpu_matmul_swiglu(brew_backend *be, const brew_operand *a, int64_t m,
                            const brew_weight *w, brew_operand *out) {
    struct brew_cpu_product job = product_of(be, a, m, w);
    job.tile = swiglu_tile;
    job.out = out->data;
    brew_cpu_product(be, &job);
}
