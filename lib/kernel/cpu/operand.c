#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/cpu/cpu.h"

int brew_cpu_operand_init(brew_backend *be, brew_operand *operand, int64_t rows, int64_t width,
                          brew_err *err) {
    float *data;
    *operand = (brew_operand){0};
    int64_t tile_floats = tile_bytes(brew_cpu_kernels(be), width) / 4;
    if (brew_host_floats(&data, divide_up(rows, TILE_ROWS), tile_floats, 1, "an operand", err) < 0)
        return -1;
    float *scales = brew_calloc((size_t)round_up(rows, TILE_ROWS) + 1, sizeof *scales);
    *operand = (brew_operand){data, rows, width, scales};
    return 0;
}

void brew_cpu_operand_release(brew_backend *be, brew_operand *operand) {
    brew_host_free(be, operand->data);
    free(operand->scales);
    *operand = (brew_operand){0};
}

void brew_cpu_gather_operand(brew_backend *be, const brew_operand *a, const int64_t *rows,
                             int64_t n, brew_operand *out) {
    int64_t bytes = tile_bytes(brew_cpu_kernels(be), a->width);
    for (int64_t i = 0; i < n; i++) {
        const char *from =
            (const char *)a->data + rows[i] / TILE_ROWS * bytes + rows[i] % TILE_ROWS * 4;
        char *to = (char *)out->data + i / TILE_ROWS * bytes + i % TILE_ROWS * 4;
        for (int64_t at = 0; at < bytes; at += 4 * TILE_ROWS) memcpy(to + at, from + at, 4);
    }
}

struct norm_job {
    const struct brew_cpu_kernels *kernels;
    const float *x, *gain;
    int64_t m, c;
    double eps;
    char *operand; // or NULL
    float *rows;
    struct brew_cpu_scratch scratch; // [12, C]
};

static void norm_task(void *arg, size_t task, int worker) {
    const struct norm_job *job = arg;
    int64_t row = (int64_t)task * TILE_ROWS, end = least(row + TILE_ROWS, job->m);
    char *tile = job->operand + (int64_t)task * tile_bytes(job->kernels, job->c);
    float *out = job->operand ? brew_cpu_share(job->scratch, worker) : job->rows + row * job->c;
    for (int64_t i = row; i < end; i++)
        job->kernels->norm(job->x + i * job->c, job->c, job->gain, job->eps,
                           out + (i - row) * job->c);
    if (job->operand) job->kernels->lay(out, job->c, (int)(end - row), job->c, tile);
}

static void run_norm(brew_backend *be, struct norm_job *job) {
    brew_cpu_run(be, (size_t)divide_up(job->m, TILE_ROWS), norm_task, job);
}

void brew_cpu_norm(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                   double eps, brew_operand *out) {
    struct norm_job job = {brew_cpu_kernels(be), x, gain, m, c, eps, out->data, NULL, {0}};
    job.scratch = brew_cpu_scratch(be, TILE_ROWS * c * 4);
    run_norm(be, &job);
}

void brew_cpu_norm_rows(brew_backend *be, const float *x, int64_t m, int64_t c, const float *gain,
                        double eps, float *out) {
    struct norm_job job = {brew_cpu_kernels(be), x, gain, m, c, eps, NULL, out, {0}};
    run_norm(be, &job);
}
