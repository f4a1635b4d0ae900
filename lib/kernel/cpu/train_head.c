#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/cpu/train.h"

// Backward of the logits z [R, V] = h table^T, given dz or what it is made of: chunks of table rows, each
// in two runs of the pool. The first computes dz of the chunk (the logits anew) and lays it out as the
// left side of two products, the second adds both of them up:
//
//     dh     += dz   * table     dz   as tiles [R/12][n][12], the chunk of the table as panels [C/32][n][32]
//     dtable += dz^T * h         dz^T as tiles [n/12][R][12], h as panels                      [C/32][R][32]
//
// Chains go on from chunk to chunk in memory, so the chunk's size does not show, and neither does the
// division into tasks.

enum {
    CHUNK = 1536,          // table rows: a panel of them stays in the second-level cache
    CHUNK_STEP = 96,       // whole tiles and whole panels
    KEPT_FLOATS = 4 << 20, // of dz, twice
    NEAR_BYTES = 384 << 10,
    TASK_STEPS = 24576 // of tiles: about 0.15 ms
};

// One product: out [rows, columns] += left * right.
struct side {
    const float *left, *right;
    int64_t steps, rows, columns, panels; // panels of 32 columns
    int64_t run, group;                   // tiles and panels of a task
    float *out;                           // rows `columns` apart
};

struct back {
    const struct brew_cpu_kernels *kernels;
    const brew_tensor *table;
    int64_t r, c, panels; // rows that count; panels of C
    const int64_t *rows;  // [R] their numbers
    char *tiles;          // h as the left side of z, or NULL: dz is given
    const int64_t *skip_splits;
    const int32_t *skip_ids;
    float *lse, *g; // [R]
    const float *dz;
    int64_t dz_first, dz_n;
    int64_t first, n;                // of the chunk
    float *e, *left, *turned;        // the chunk's panels, dz, dz^T
    struct side dh, dtable;          // the latter with out NULL: not wanted
    struct brew_cpu_scratch scratch; // 32 rows of the table, their panel
};

static void *aligned(int64_t floats) {
    void *memory = aligned_alloc(64, (size_t)round_up(most(floats, 1) * 4, 64));
    if (!memory) brew_bug("no memory for %lld values of the head's gradient", (long long)floats);
    return memory;
}

// Rows [n, C], C floats apart, into panels of `steps` steps from step `at` on.
static void lay_panels(const float *row, int64_t n, int64_t c, int64_t steps, int64_t at,
                       float *to) {
    for (int64_t i = 0; i < n; i++, row += c) {
        for (int64_t column = 0; column < c; column += PANEL) {
            float *panel = to + (column / PANEL * steps + at + i) * PANEL;
            int64_t count = least(PANEL, c - column);
            memcpy(panel, row + column, (size_t)count * sizeof *row);
            if (count < PANEL) memset(panel + count, 0, (size_t)(PANEL - count) * sizeof *row);
        }
    }
}

static void leave_out(const struct back *job, int64_t row, int rows, int64_t first, float *c) {
    for (int i = 0; i < rows; i++) {
        const int64_t *splits = job->skip_splits + job->rows[row + i];
        for (int64_t s = splits[0]; s < splits[1]; s++) {
            int64_t column = job->skip_ids[s] - first;
            if (column >= 0 && column < PANEL) c[i * PANEL + column] = 0;
        }
    }
}

// dz of 12 rows and 32 columns, from column `column` of the chunk on.
static void compute(const struct back *job, int64_t row, int rows, int64_t column, int64_t columns,
                    const float *panel, float *c) {
    if (job->tiles) {
        job->kernels->tile(job->c, job->tiles + row * job->c * 4, panel, rows, c, PANEL);
        job->kernels->probs(c, rows, job->lse + row, job->g + row);
        if (job->skip_splits) leave_out(job, row, rows, job->first + column, c);
        return;
    }
    for (int i = 0; i < rows; i++)
        memcpy(c + i * PANEL,
               job->dz + job->rows[row + i] * job->dz_n + job->first - job->dz_first + column,
               (size_t)columns * sizeof *c);
}

static void lay_out(const struct back *job, int64_t row, int rows, int64_t column, int64_t columns,
                    const float *c) {
    brew_cpu_transpose(c, rows, columns, PANEL, job->left + row * job->n + column * TILE_ROWS,
                       TILE_ROWS);
    for (int64_t v = 0, count; v < columns; v += count) {
        int64_t lane = (column + v) % TILE_ROWS;
        float *to = job->turned + ((column + v) / TILE_ROWS * job->r + row) * TILE_ROWS + lane;
        count = least(TILE_ROWS - lane, columns - v);
        for (int i = 0; i < rows; i++, to += TILE_ROWS)
            memcpy(to, c + i * PANEL + v, (size_t)count * sizeof *c);
    }
}

static void chunk_task(void *arg, size_t task, int worker) {
    const struct back *job = arg;
    float *rows = brew_cpu_share(job->scratch, worker), *panel = rows + PANEL * job->c;
    int64_t column = (int64_t)task * PANEL, columns = least(PANEL, job->n - column);
    brew_cpu_head_panel(job->table, job->first + column, columns, rows, job->tiles ? panel : NULL);
    lay_panels(rows, columns, job->c, job->n, column, job->e);
    for (int64_t row = 0; row < job->r; row += TILE_ROWS) {
        _Alignas(64) float c[TILE_ROWS * PANEL];
        int n = (int)least(TILE_ROWS, job->r - row);
        compute(job, row, n, column, columns, panel, c);
        lay_out(job, row, n, column, columns, c);
    }
}

static void add_tile(const struct brew_cpu_kernels *kernels, const struct side *side, int64_t row,
                     int64_t panel) {
    int rows = (int)least(TILE_ROWS, side->rows - row);
    const float *a = side->left + row * side->steps, *b = side->right + panel * side->steps * PANEL;
    float *out = side->out + row * side->columns + panel * PANEL;
    int64_t columns = least(PANEL, side->columns - panel * PANEL);
    if (columns == PANEL) {
        kernels->tile_on(side->steps, a, b, rows, out, side->columns);
        return;
    }
    _Alignas(64) float c[TILE_ROWS * PANEL] = {0};
    for (int i = 0; i < rows; i++)
        memcpy(c + i * PANEL, out + i * side->columns, (size_t)columns * sizeof *c);
    kernels->tile_on(side->steps, a, b, rows, c, PANEL);
    for (int i = 0; i < rows; i++)
        memcpy(out + i * side->columns, c + i * PANEL, (size_t)columns * sizeof *c);
}

static int64_t side_tasks(const struct side *side) {
    if (!side->out) return 0;
    return divide_up(divide_up(side->rows, TILE_ROWS), side->run) *
           divide_up(side->panels, side->group);
}

static void add_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct back *job = arg;
    const struct side *side = &job->dh;
    int64_t number = (int64_t)task;
    if (number >= side_tasks(side)) {
        number -= side_tasks(side);
        side = &job->dtable;
    }
    int64_t groups = divide_up(side->panels, side->group);
    int64_t row = number / groups * side->run * TILE_ROWS;
    int64_t end = least(row + side->run * TILE_ROWS, side->rows);
    int64_t panel = number % groups * side->group, last = least(panel + side->group, side->panels);
    for (; row < end; row += TILE_ROWS)
        for (int64_t p = panel; p < last; p++) add_tile(job->kernels, side, row, p);
}

static void side_divide(struct side *side) {
    // all panels if they stay near at hand: out is then walked through as it lies
    bool near = side->steps * side->panels * PANEL * 4 <= NEAR_BYTES;
    side->group = near ? side->panels : 1;
    side->run = most(1, TASK_STEPS / (side->steps * side->group));
}

static void run_chunks(brew_backend *be, struct back *job, int64_t first, int64_t n,
                       float *dtable) {
    int64_t chunk = least(CHUNK, KEPT_FLOATS / job->r / CHUNK_STEP * CHUNK_STEP);
    chunk = least(most(chunk, CHUNK_STEP), round_up(n, CHUNK_STEP));
    int64_t tiles = divide_up(job->r, TILE_ROWS);
    job->e = aligned(job->panels * chunk * PANEL);
    job->left = aligned(tiles * TILE_ROWS * chunk);
    job->turned = aligned(chunk * job->r);
    for (job->first = first; job->first < first + n; job->first += chunk) {
        job->n = least(chunk, first + n - job->first);
        job->dh.left = job->left;
        job->dh.right = job->e;
        job->dh.steps = job->n;
        job->dtable.left = job->turned;
        job->dtable.rows = job->n;
        job->dtable.out = dtable ? dtable + job->first * job->c : NULL;
        side_divide(&job->dh);
        side_divide(&job->dtable);
        job->scratch = brew_cpu_scratch(be, 2 * PANEL * job->c * 4);
        brew_cpu_run(be, (size_t)divide_up(job->n, PANEL), chunk_task, job);
        brew_cpu_run(be, (size_t)(side_tasks(&job->dh) + side_tasks(&job->dtable)), add_task, job);
    }
    free(job->e), free(job->left), free(job->turned);
}

// The rows that count of h and dh, packed; all chunks; dh back to its place.
static void run_back(brew_backend *be, struct back *job, const float *h, int64_t first, int64_t n,
                     float *dh, float *dtable) {
    int64_t c = job->c, r = job->r;
    if (!r) return;
    job->kernels = ((const struct brew_cpu_state *)be->state)->f32;
    job->panels = divide_up(c, PANEL);
    float *packed = aligned(r * c), *panels = aligned(job->panels * r * PANEL);
    float *sums = aligned(r * c);
    for (int64_t i = 0; i < r; i++) {
        memcpy(packed + i * c, h + job->rows[i] * c, (size_t)c * sizeof *h);
        memcpy(sums + i * c, dh + job->rows[i] * c, (size_t)c * sizeof *dh);
    }
    lay_panels(packed, r, c, r, 0, panels);
    if (!job->dz) job->tiles = brew_cpu_head_rows(be, packed, r, c);
    job->dh = (struct side){.rows = r, .columns = c, .panels = job->panels, .out = sums};
    job->dtable = (struct side){.right = panels, .steps = r, .columns = c, .panels = job->panels};
    run_chunks(be, job, first, n, dtable);
    for (int64_t i = 0; i < r; i++)
        memcpy(dh + job->rows[i] * c, sums + i * c, (size_t)c * sizeof *dh);
    free(packed), free(panels), free(sums), free(job->tiles);
}

void brew_cpu_head_lse_back(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                            int64_t c, const int64_t *skip_splits, const int32_t *skip_ids,
                            const float *lse, const float *g, float *dh, float *dtable) {
    int64_t *rows = brew_calloc((size_t)r + 1, sizeof *rows);
    struct back job = {.table = &table->tensor,
                       .c = c,
                       .rows = rows,
                       .skip_splits = skip_splits,
                       .skip_ids = skip_ids,
                       .lse = aligned(r),
                       .g = aligned(r)};
    for (int64_t i = 0; i < r; i++) {
        if (g[i] == 0) continue;
        rows[job.r] = i;
        job.lse[job.r] = lse[i];
        job.g[job.r++] = g[i];
    }
    run_back(be, &job, h, 0, brew_tensor_n_rows(&table->tensor), dh, dtable);
    free(rows), free(job.lse), free(job.g);
}

void brew_cpu_head_logits_back(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                               int64_t c, int64_t first, int64_t n, const float *dz, float *dh,
                               float *dtable) {
    int64_t *rows = brew_calloc((size_t)r + 1, sizeof *rows);
    for (int64_t i = 0; i < r; i++) rows[i] = i;
    struct back job = {.table = &table->tensor,
                       .r = r,
                       .c = c,
                       .rows = rows,
                       .dz = dz,
                       .dz_first = first,
                       .dz_n = n};
    run_back(be, &job, h, first, n, dh, dtable);
    free(rows);
}

struct logits_job {
    const struct brew_cpu_kernels *kernels;
    const brew_tensor *table;
    const char *h; // packed
    int64_t r, c, first, n;
    float *z;
    struct brew_cpu_scratch scratch;
};

static void logits_task(void *arg, size_t task, int worker) {
    const struct logits_job *job = arg;
    float *rows = brew_cpu_share(job->scratch, worker), *panel = rows + PANEL * job->c;
    int64_t column = (int64_t)task * PANEL, columns = least(PANEL, job->n - column);
    brew_cpu_head_panel(job->table, job->first + column, columns, rows, panel);
    for (int64_t row = 0; row < job->r; row += TILE_ROWS) {
        _Alignas(64) float c[TILE_ROWS * PANEL];
        int n = (int)least(TILE_ROWS, job->r - row);
        job->kernels->tile(job->c, job->h + row * job->c * 4, panel, n, c, PANEL);
        for (int i = 0; i < n; i++)
            memcpy(job->z + (row + i) * job->n + column, c + i * PANEL,
                   (size_t)columns * sizeof *c);
    }
}

void brew_cpu_head_logits(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                          int64_t c, int64_t first, int64_t n, float *z) {
    const struct brew_cpu_state *state = be->state;
    char *packed = brew_cpu_head_rows(be, h, r, c);
    struct logits_job job = {state->f32, &table->tensor, packed, r, c, first, n, z, {0}};
    job.scratch = brew_cpu_scratch(be, 2 * PANEL * c * 4);
    brew_cpu_run(be, (size_t)divide_up(n, PANEL), logits_task, &job);
    free(packed);
}

// A few labels: one thread, in order.

struct labels_job {
    const brew_tensor *table;
    const float *h;
    int64_t c;
    const int64_t *rows;
    const int32_t *ids;
    int64_t n;
    const float *dlogits;
    float *dh, *dtable, *row;
};

static void labels_task(void *arg, size_t task, int worker) {
    (void)task, (void)worker;
    const struct labels_job *job = arg;
    int64_t c = job->c;
    for (int64_t i = 0; i < job->n; i++) {
        float d = job->dlogits[i], *dh = job->dh + job->rows[i] * c;
        if (d == 0) continue;
        brew_tensor_rows(job->table, job->ids[i], 1, job->row);
        for (int64_t j = 0; j < c; j++) dh[j] += d * job->row[j];
        if (!job->dtable) continue;
        const float *h = job->h + job->rows[i] * c;
        float *to = job->dtable + job->ids[i] * c;
        for (int64_t j = 0; j < c; j++) to[j] += d * h[j];
    }
}

void brew_cpu_label_logits_back(brew_backend *be, const brew_table *table, const float *h,
                                int64_t c, const int64_t *rows, const int32_t *ids, int64_t n,
                                const float *dlogits, float *dh, float *dtable) {
    struct labels_job job = {&table->tensor, h, c, rows, ids, n, dlogits, dh, dtable, aligned(c)};
    brew_cpu_run(be, 1, labels_task, &job);
    free(job.row);
}
