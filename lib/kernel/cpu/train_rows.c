// Learning: what works by rows, by columns or by elements. Where sums run over rows, a task owns
// columns and walks the rows in order.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/cpu/train.h"

enum {
    COLUMNS = 64,     // of a task that walks rows
    FLAT = 32 * 1024, // elements of a task that has no rows
    SQUARES = 4096
};

// One argument list for all of them; each uses what it needs.
struct rows_job {
    const struct brew_cpu_kernels *kernels;
    int64_t m, c; // rows and their width
    const float *x, *y, *gain;
    double eps;
    float *out, *out2;
    const brew_operand *operand;
    const int32_t *ids;
    const int64_t *list;
    struct brew_cpu_scratch scratch;
};

static void sums_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct rows_job *job = arg;
    int64_t column = (int64_t)task * COLUMNS;
    job->kernels->sums(job->y + column, NULL, NULL, job->m, job->c, least(COLUMNS, job->c - column),
                       job->out + column);
}

void brew_cpu_column_sums(brew_backend *be, const float *dy, int64_t m, int64_t n, float *sums,
                          bool add) {
    struct rows_job job = {.kernels = brew_cpu_kernels(be), .m = m, .c = n, .y = dy, .out = sums};
    if (!add) memset(sums, 0, (size_t)n * sizeof *sums);
    brew_cpu_run(be, (size_t)divide_up(n, COLUMNS), sums_task, &job);
}

static void operand_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct rows_job *job = arg;
    int64_t row = job->list ? job->list[task] : (int64_t)task;
    const char *tile =
        (const char *)job->operand->data + row / TILE_ROWS * tile_bytes(job->kernels, job->c);
    job->kernels->take(tile, (int)(row % TILE_ROWS), job->c, job->out + (int64_t)task * job->c);
}

void brew_cpu_operand_rows(brew_backend *be, const brew_operand *a, const int64_t *list, int64_t m,
                           float *rows) {
    struct rows_job job = {.kernels = brew_cpu_kernels(be), .c = a->width, .out = rows};
    job.list = list;
    job.operand = a;
    brew_cpu_run(be, (size_t)m, operand_task, &job);
}

static void swiglu_task(void *arg, size_t task, int worker) {
    const struct rows_job *job = arg;
    int64_t row = (int64_t)task * TILE_ROWS, end = least(row + TILE_ROWS, job->m), f = job->c;
    char *tile = (char *)job->operand->data + (int64_t)task * tile_bytes(job->kernels, f);
    float *h = brew_cpu_share(job->scratch, worker);
    for (int64_t i = row; i < end; i++) {
        const float *g = job->x + i * 2 * f;
        job->kernels->gate(g, g + f, f, h + (i - row) * f);
    }
    job->kernels->lay(h, f, (int)(end - row), f, tile);
}

void brew_cpu_swiglu(brew_backend *be, const float *gu, int64_t m, int64_t f, brew_operand *out) {
    struct rows_job job = {.kernels = brew_cpu_kernels(be), .m = m, .c = f, .x = gu};
    job.operand = out;
    job.scratch = brew_cpu_scratch(be, TILE_ROWS * f * 4);
    brew_cpu_run(be, (size_t)divide_up(m, TILE_ROWS), swiglu_task, &job);
}

static void swiglu_back_task(void *arg, size_t row, int worker) {
    (void)worker;
    const struct rows_job *job = arg;
    int64_t f = job->c, at = (int64_t)row * f;
    job->kernels->gate_back(job->x + 2 * at, job->x + 2 * at + f, job->y + at, f, job->out + 2 * at,
                            job->out + 2 * at + f, job->out2 + at);
}

void brew_cpu_swiglu_back(brew_backend *be, const float *gu, const float *dh, int64_t m, int64_t f,
                          float *dgu, float *h) {
    struct rows_job job = {.kernels = brew_cpu_kernels(be), .c = f, .x = gu, .y = dh};
    job.out = dgu;
    job.out2 = h;
    brew_cpu_run(be, (size_t)m, swiglu_back_task, &job);
}

// The norm: rows first, which leave their scales, then the gain's columns.

static void norm_back_task(void *arg, size_t row, int worker) {
    (void)worker;
    const struct rows_job *job = arg;
    int64_t at = (int64_t)row * job->c;
    job->out2[row] = job->kernels->norm_back(job->x + at, job->c, job->gain, job->eps, job->y + at,
                                             job->out + at);
}

static void gain_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct rows_job *job = arg;
    int64_t column = (int64_t)task * COLUMNS;
    job->kernels->sums(job->y + column, job->x + column, job->out2, job->m, job->c,
                       least(COLUMNS, job->c - column), job->out + column);
}

void brew_cpu_norm_back(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                        double eps, const float *dy, float *dx, float *dgain) {
    struct rows_job job = {.kernels = brew_cpu_kernels(be), .m = m, .c = c, .x = x, .y = dy};
    job.gain = gain;
    job.eps = eps;
    job.out = dx;
    job.out2 = brew_cpu_shared(be, m * 4);
    brew_cpu_run(be, (size_t)m, norm_back_task, &job);
    job.out = dgain;
    if (dgain) brew_cpu_run(be, (size_t)divide_up(c, COLUMNS), gain_task, &job);
}

// Rotation.

struct rotate_job {
    const struct brew_cpu_kernels *kernels;
    const brew_attention_shape *shape;
    const float *qkv, *q_gain, *k_gain;
    const int32_t *positions;
    double eps;
    const brew_rope *rope;
    float *out, *dq_gain, *dk_gain;
    float *scales; // [M, H+K], of the norms
    int64_t m;
};

static void rotate_task(void *arg, size_t row, int worker) {
    (void)worker;
    const struct rotate_job *job = arg;
    const brew_attention_shape *shape = job->shape;
    int64_t d = shape->head_dim, turned = shape->heads + shape->kv_heads;
    int64_t at = (int64_t)row * (turned + shape->kv_heads) * d,
            angle = job->positions[row] * (d / 2);
    const float *from = job->qkv + at;
    float *to = job->out + at;
    for (int64_t h = 0; h < turned; h++, from += d, to += d) {
        float head[BREW_MAX_HEAD_DIM];
        job->kernels->turn(from, d, h < shape->heads ? job->q_gain : job->k_gain, job->eps,
                           job->rope->cos + angle, job->rope->sin + angle, head);
        memcpy(to, head, (size_t)d * sizeof *to);
    }
    if (to != from) memcpy(to, from, (size_t)(shape->kv_heads * d) * sizeof *to);
}

void brew_cpu_rotate(brew_backend *be, const brew_attention_shape *shape, const float *qkv,
                     int64_t m, const int32_t *positions, const float *q_gain, const float *k_gain,
                     double eps, const brew_rope *rope, float *out) {
    struct rotate_job job = {.kernels = brew_cpu_kernels(be),
                             .shape = shape,
                             .qkv = qkv,
                             .q_gain = q_gain,
                             .k_gain = k_gain,
                             .positions = positions,
                             .eps = eps,
                             .rope = rope,
                             .out = out};
    brew_cpu_run(be, (size_t)m, rotate_task, &job);
}

// The rotation backward, in place; leaves the norms' scales.
static void unrotate_task(void *arg, size_t row, int worker) {
    (void)worker;
    const struct rotate_job *job = arg;
    const brew_attention_shape *shape = job->shape;
    int64_t d = shape->head_dim, turned = shape->heads + shape->kv_heads;
    int64_t at = (int64_t)row * (turned + shape->kv_heads) * d,
            angle = job->positions[row] * (d / 2);
    for (int64_t h = 0; h < turned; h++, at += d) {
        job->kernels->turn_back(job->out + at, d, job->rope->cos + angle, job->rope->sin + angle);
        if (h < shape->heads ? job->q_gain : job->k_gain)
            job->scales[(int64_t)row * turned + h] =
                job->kernels->rms_scale(job->qkv + at, d, job->eps);
    }
}

// Columns of the gains: q's, then k's, over rows and heads in order.
static void head_gain_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct rotate_job *job = arg;
    const brew_attention_shape *shape = job->shape;
    int64_t d = shape->head_dim, chunks = divide_up(d, 16), turned = shape->heads + shape->kv_heads;
    bool is_k = (int64_t)task >= chunks;
    int64_t column = (int64_t)task % chunks * 16, n = least(16, d - column);
    int64_t first = is_k ? shape->heads : 0, heads = is_k ? shape->kv_heads : shape->heads;
    float *sums = is_k ? job->dk_gain : job->dq_gain;
    if (!sums) return;
    for (int64_t row = 0; row < job->m; row++) {
        int64_t at = (row * (turned + shape->kv_heads) + first) * d + column;
        job->kernels->sums(job->out + at, job->qkv + at, job->scales + row * turned + first, heads,
                           d, n, sums + column);
    }
}

static void head_norm_task(void *arg, size_t row, int worker) {
    (void)worker;
    const struct rotate_job *job = arg;
    const brew_attention_shape *shape = job->shape;
    int64_t d = shape->head_dim, turned = shape->heads + shape->kv_heads;
    int64_t at = (int64_t)row * (turned + shape->kv_heads) * d;
    for (int64_t h = 0; h < turned; h++, at += d) {
        const float *gain = h < shape->heads ? job->q_gain : job->k_gain;
        float dx[BREW_MAX_HEAD_DIM] = {0};
        if (!gain) continue;
        job->kernels->norm_back(job->qkv + at, d, gain, job->eps, job->out + at, dx);
        memcpy(job->out + at, dx, (size_t)d * sizeof *dx);
    }
}

void brew_cpu_rotate_back(brew_backend *be, const brew_attention_shape *shape, const float *qkv,
                          int64_t m, const int32_t *positions, const float *q_gain,
                          const float *k_gain, double eps, const brew_rope *rope, float *d,
                          float *dq_gain, float *dk_gain) {
    struct rotate_job job = {.kernels = brew_cpu_kernels(be),
                             .shape = shape,
                             .qkv = qkv,
                             .q_gain = q_gain,
                             .k_gain = k_gain,
                             .positions = positions,
                             .eps = eps,
                             .rope = rope,
                             .out = d,
                             .dq_gain = dq_gain,
                             .dk_gain = dk_gain,
                             .m = m};
    bool gains = q_gain || k_gain;
    if (gains) job.scales = brew_cpu_shared(be, m * (shape->heads + shape->kv_heads) * 4);
    brew_cpu_run(be, (size_t)m, unrotate_task, &job);
    if (!gains) return;
    brew_cpu_run(be, (size_t)divide_up(shape->head_dim, 16) * 2, head_gain_task, &job);
    brew_cpu_run(be, (size_t)m, head_norm_task, &job);
}

static void embed_back_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct rows_job *job = arg;
    int64_t column = (int64_t)task * COLUMNS, n = least(COLUMNS, job->c - column);
    for (int64_t row = 0; row < job->m; row++)
        job->kernels->add(job->out + job->ids[row] * job->c + column,
                          job->x + row * job->c + column, n);
}

void brew_cpu_embed_back(brew_backend *be, const int32_t *ids, int64_t m, int64_t c,
                         const float *dx, float *dtable) {
    struct rows_job job = {.kernels = brew_cpu_kernels(be), .m = m, .c = c, .x = dx, .ids = ids};
    job.out = dtable;
    brew_cpu_run(be, (size_t)divide_up(c, COLUMNS), embed_back_task, &job);
}

// Elements, in pieces.

static void add_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct rows_job *job = arg;
    int64_t first = (int64_t)task * FLAT;
    job->kernels->add(job->out + first, job->x + first, least(FLAT, job->m - first));
}

void brew_cpu_add(brew_backend *be, float *y, const float *x, int64_t n) {
    struct rows_job job = {.kernels = brew_cpu_kernels(be), .m = n, .x = x, .out = y};
    brew_cpu_run(be, (size_t)divide_up(n, FLAT), add_task, &job);
}

struct zero_job {
    char *ptr;
    size_t bytes;
};

static void zero_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct zero_job *job = arg;
    size_t piece = 1 << 20, first = task * piece, left = job->bytes - first;
    memset(job->ptr + first, 0, left < piece ? left : piece);
}

void brew_cpu_zero(brew_backend *be, void *ptr, size_t bytes) {
    struct zero_job job = {ptr, bytes};
    brew_cpu_run(be, (bytes + (1 << 20) - 1) >> 20, zero_task, &job);
}

struct flat_job {
    const struct brew_cpu_kernels *kernels;
    struct brew_cpu_adamw step;
    float *w, *m, *v;
    const float *g;
    double *squares; // of blocks
    int64_t n;
};

static void squares_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct flat_job *job = arg;
    int64_t end = least(((int64_t)task + 1) * FLAT, job->n);
    for (int64_t i = (int64_t)task * FLAT; i < end; i += SQUARES)
        job->squares[i / SQUARES] = job->kernels->squares(job->g + i, least(SQUARES, end - i));
}

double brew_cpu_sum_squares(brew_backend *be, const float *x, int64_t n) {
    struct flat_job job = {.kernels = brew_cpu_kernels(be), .g = x, .n = n};
    int64_t blocks = divide_up(n, SQUARES);
    job.squares = brew_cpu_shared(be, blocks * (int64_t)sizeof *job.squares);
    brew_cpu_run(be, (size_t)divide_up(n, FLAT), squares_task, &job);
    double total = 0;
    for (int64_t i = 0; i < blocks; i++) total += job.squares[i];
    return total;
}

static void adamw_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct flat_job *job = arg;
    int64_t i = (int64_t)task * FLAT;
    job->kernels->adamw(&job->step, job->w + i, job->g + i, job->m + i, job->v + i,
                        least(FLAT, job->n - i));
}

void brew_cpu_adamw(brew_backend *be, const brew_adamw *step, float *w, const float *g, float *m,
                    float *v, int64_t n) {
    struct flat_job job = {.kernels = brew_cpu_kernels(be), .w = w, .m = m, .v = v, .g = g, .n = n};
    double t = (double)step->step;
    job.step = (struct brew_cpu_adamw){
        .scale = (float)step->scale,
        .keep = (float)(1 - step->lr * step->decay),
        .rate1 = (float)(1 - step->beta1),
        .rate2 = (float)(1 - step->beta2),
        .beta2 = (float)step->beta2,
        .step = (float)(step->lr / (1 - pow(step->beta1, t))),
        .root = (float)(1 / sqrt(1 - pow(step->beta2, t))),
        .eps = (float)step->eps,
    };
    brew_cpu_run(be, (size_t)divide_up(n, FLAT), adamw_task, &job);
}
