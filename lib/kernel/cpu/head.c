#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/cpu/cpu.h"

// Label logits: sums in double, in eight chains over the row; a few rows of the table are kept at hand,
// since a handful of labels is asked for again and again.

enum { KEPT = 8, LABEL_PAIRS = 64 };

struct label_job {
    const brew_tensor *table;
    const float *h;
    int64_t c, n;
    const int64_t *rows;
    const int32_t *ids;
    float *logits;
    struct brew_cpu_scratch scratch; // [KEPT, C]
};

static double dot(const float *a, const float *b, int64_t n) {
    double sum[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; j++) sum[j] += (double)a[i + j] * b[i + j];
    for (; i < n; i++) sum[i % 8] += (double)a[i] * b[i];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

static void label_task(void *arg, size_t task, int worker) {
    const struct label_job *job = arg;
    float *kept = brew_cpu_share(job->scratch, worker);
    int32_t kept_ids[KEPT];
    int n_kept = 0, oldest = 0;
    int64_t first = (int64_t)task * LABEL_PAIRS, end = least(first + LABEL_PAIRS, job->n);
    for (int64_t i = first; i < end; i++) {
        int slot = 0;
        while (slot < n_kept && kept_ids[slot] != job->ids[i]) slot++;
        if (slot == n_kept) {
            slot = n_kept < KEPT ? n_kept++ : oldest++ % KEPT;
            kept_ids[slot] = job->ids[i];
            brew_tensor_rows(job->table, job->ids[i], 1, kept + slot * job->c);
        }
        job->logits[i] = (float)dot(job->h + job->rows[i] * job->c, kept + slot * job->c, job->c);
    }
}

void brew_cpu_label_logits(brew_backend *be, const brew_table *table, const float *h, int64_t c,
                           const int64_t *rows, const int32_t *ids, int64_t n, float *logits) {
    struct label_job job = {&table->tensor, h,   c,      n,
                            rows,           ids, logits, brew_cpu_scratch(be, KEPT * c * 4)};
    brew_cpu_run(be, (size_t)divide_up(n, LABEL_PAIRS), label_task, &job);
}

// What the head's products are made of.

typedef float quad __attribute__((vector_size(16)));

static void transpose_4(const float *from, int64_t ld, float *to, int64_t ld_to) {
    quad row[4], half[4];
    for (int i = 0; i < 4; i++) memcpy(&row[i], from + i * ld, sizeof *row);
    for (int i = 0; i < 2; i++) { // a0 b0 a1 b1, a2 b2 a3 b3
        half[i] = __builtin_shufflevector(row[2 * i], row[2 * i + 1], 0, 4, 1, 5);
        half[2 + i] = __builtin_shufflevector(row[2 * i], row[2 * i + 1], 2, 6, 3, 7);
    }
    for (int i = 0; i < 2; i++) {
        quad low = __builtin_shufflevector(half[2 * i], half[2 * i + 1], 0, 1, 4, 5);
        quad high = __builtin_shufflevector(half[2 * i], half[2 * i + 1], 2, 3, 6, 7);
        memcpy(to + 2 * i * ld_to, &low, sizeof low);
        memcpy(to + (2 * i + 1) * ld_to, &high, sizeof high);
    }
}

void brew_cpu_transpose(const float *from, int64_t rows, int64_t columns, int64_t ld, float *to,
                        int64_t ld_to) {
    int64_t whole = rows / 4 * 4, column = 0;
    for (; column + 4 <= columns; column += 4)
        for (int64_t row = 0; row < whole; row += 4)
            transpose_4(from + row * ld + column, ld, to + column * ld_to + row, ld_to);
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = row < whole ? column : 0; i < columns; i++)
            to[i * ld_to + row] = from[row * ld + i];
}

void brew_cpu_head_panel(const brew_tensor *table, int64_t first, int64_t columns, float *rows,
                         float *panel) {
    int64_t c = brew_tensor_row_len(table);
    brew_tensor_rows(table, first, columns, rows);
    if (!panel) return;
    memset(rows + columns * c, 0, (size_t)((PANEL - columns) * c) * sizeof *rows);
    brew_cpu_transpose(rows, PANEL, c, c, panel, PANEL);
}

char *brew_cpu_head_rows(brew_backend *be, const float *h, int64_t r, int64_t c) {
    const struct brew_cpu_kernels *kernels = ((const struct brew_cpu_state *)be->state)->f32;
    int64_t tile = TILE_ROWS * c * 4;
    char *packed = aligned_alloc(64, (size_t)round_up(most(1, divide_up(r, TILE_ROWS)) * tile, 64));
    if (!packed) brew_bug("no memory to pack %lld rows of the head", (long long)r);
    for (int64_t row = 0; row < r; row++)
        kernels->put(packed + row / TILE_ROWS * tile, (int)(row % TILE_ROWS), 0, h + row * c, c);
    return packed;
}

// The log-sum-exp: slabs of columns, each folded panel by panel into its own (max, lanes of sums), then
// merged in order. A slab has a fixed size, so that threads cannot show.

enum { SLAB = 4096 };

struct lse_job {
    const struct brew_cpu_kernels *kernels;
    const brew_tensor *table;
    const char *h; // packed
    int64_t r, c, vocab;
    const int64_t *skip_splits; // NULL: none
    const int32_t *skip_ids;
    float *max, *sum;                // [slabs, R], [slabs, R, 16]
    struct brew_cpu_scratch scratch; // 32 rows of the table, then their panel
};

// Takes the ids a row leaves out from its logits of `columns` table rows from `first` on.
static void skip(const struct lse_job *job, int64_t row, int rows, int64_t first, int columns,
                 float *c) {
    for (int i = 0; i < rows; i++)
        for (int64_t s = job->skip_splits[row + i]; s < job->skip_splits[row + i + 1]; s++) {
            int64_t column = job->skip_ids[s] - first;
            if (column >= 0 && column < columns) c[i * PANEL + column] = -INFINITY;
        }
}

static void slab_task(void *arg, size_t slab, int worker) {
    const struct lse_job *job = arg;
    float *rows = brew_cpu_share(job->scratch, worker);
    float *panel = rows + PANEL * job->c;
    float *max = job->max + (int64_t)slab * job->r, *sum = job->sum + (int64_t)slab * job->r * 16;
    int64_t first = (int64_t)slab * SLAB, end = least(first + SLAB, job->vocab);
    for (int64_t row = 0; row < job->r; row++) max[row] = -1e30f;
    memset(sum, 0, (size_t)job->r * 16 * sizeof *sum);
    for (; first < end; first += PANEL) {
        int columns = (int)least(PANEL, end - first);
        brew_cpu_head_panel(job->table, first, columns, rows, panel);
        for (int64_t row = 0; row < job->r; row += TILE_ROWS) {
            _Alignas(64) float c[TILE_ROWS * PANEL];
            int n = (int)least(TILE_ROWS, job->r - row);
            job->kernels->tile(job->c, job->h + row * job->c * 4, panel, n, c, PANEL);
            if (job->skip_splits) skip(job, row, n, first, columns, c);
            job->kernels->fold(c, n, columns, max + row, sum + row * 16);
        }
    }
}

static float merge_slabs(const struct lse_job *job, int64_t slabs, int64_t row) {
    double top = -INFINITY, total = 0;
    for (int64_t slab = 0; slab < slabs; slab++) top = fmax(top, job->max[slab * job->r + row]);
    for (int64_t slab = 0; slab < slabs; slab++) {
        int64_t at = slab * job->r + row;
        double sum = 0;
        for (int i = 0; i < 16; i++) sum += job->sum[at * 16 + i];
        total += sum * exp(job->max[at] - top);
    }
    // cppcheck-suppress invalidFunctionArg  // a table has rows
    return (float)(top + log(total));
}

void brew_cpu_head_lse(brew_backend *be, const brew_table *table, const float *h, int64_t r,
                       int64_t c, const int64_t *skip_splits, const int32_t *skip_ids, float *lse) {
    const struct brew_cpu_state *state = be->state;
    int64_t vocab = brew_tensor_n_rows(&table->tensor), slabs = divide_up(vocab, SLAB);
    char *packed = brew_cpu_head_rows(be, h, r, c);
    float *max = brew_calloc((size_t)(slabs * r), sizeof *max);
    float *sum = brew_calloc((size_t)(slabs * r) * 16, sizeof *sum);
    struct lse_job job = {state->f32,  &table->tensor, packed, r,   c,  vocab,
                          skip_splits, skip_ids,       max,    sum, {0}};
    job.scratch = brew_cpu_scratch(be, 2 * PANEL * c * 4);
    if (r) brew_cpu_run(be, (size_t)slabs, slab_task, &job);
    for (int64_t row = 0; row < r; row++) lse[row] = merge_slabs(&job, slabs, row);
    free(packed);
    free(max);
    free(sum);
}
