// Learning: weights, products backward, sums and the optimiser. A master is the rows themselves.
//
// With `add`, what is there is the first term of the sum in double and the result is rounded once, so
// that micro-batches differ from one batch by those roundings; the fast kernels' do not.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/ref/ref.h"

int64_t brew_ref_weight_floats(brew_backend *be, int64_t n, int64_t c) {
    (void)be;
    return (n * c + 15) / 16 * 16;
}

void brew_ref_weight_pack(brew_backend *be, int64_t n, int64_t c, int64_t first, int64_t count,
                          const float *rows, float *master) {
    (void)be, (void)n;
    memcpy(master + first * c, rows, (size_t)(count * c) * sizeof *rows);
}

void brew_ref_weight_unpack(brew_backend *be, int64_t n, int64_t c, int64_t first, int64_t count,
                            const float *master, float *rows) {
    (void)be, (void)n;
    memcpy(rows, master + first * c, (size_t)(count * c) * sizeof *rows);
}

brew_weight *brew_ref_weight_learn(brew_backend *be, int64_t n, int64_t c, const float *master,
                                   const float *bias, brew_err *err) {
    brew_weight *weight = brew_calloc(1, sizeof *weight);
    *weight = (brew_weight){.n = n, .c = c, .master = master, .master_bias = bias};
    if (brew_host_floats(&weight->w, n, c, 1, "a weight", err) < 0 ||
        brew_host_floats(&weight->bias, n, 1, 1, "a bias", err) < 0) {
        brew_ref_weight_free(be, weight);
        return NULL;
    }
    return weight;
}

void brew_ref_weight_refresh(brew_backend *be, brew_weight *weight) {
    for (int64_t i = 0; i < weight->n * weight->c; i++)
        weight->w[i] = brew_ref_round(be, weight->master[i]);
    for (int64_t i = 0; weight->master_bias && i < weight->n; i++)
        weight->bias[i] = weight->master_bias[i];
}

struct back_job {
    const brew_backend *be;
    const float *dy, *x;
    const brew_weight *w;
    int64_t m, n, c;
    float *out;
    bool add;
};

static void dx_row(void *arg, size_t row, int worker) {
    (void)worker;
    const struct back_job *job = arg;
    const float *dy = job->dy + (int64_t)row * job->n;
    float *dx = job->out + (int64_t)row * job->c;
    for (int64_t i = 0; i < job->c; i++) {
        double sum = job->add ? dx[i] : 0;
        for (int64_t j = 0; j < job->n; j++)
            sum += (double)brew_ref_round(job->be, dy[j]) * job->w->w[j * job->c + i];
        dx[i] = (float)sum;
    }
}

void brew_ref_matmul_dx(brew_backend *be, const float *dy, int64_t m, const brew_weight *w,
                        float *dx, bool add) {
    struct back_job job = {be, dy, NULL, w, m, w->n, w->c, dx, add};
    brew_pool_run(be->pool, (size_t)m, dx_row, &job);
}

// One output's row of dw.
static void dw_row(void *arg, size_t output, int worker) {
    (void)worker;
    const struct back_job *job = arg;
    float *dw = job->out + (int64_t)output * job->c;
    for (int64_t i = 0; i < job->c; i++) {
        double sum = job->add ? dw[i] : 0;
        for (int64_t row = 0; row < job->m; row++)
            sum += (double)brew_ref_round(job->be, job->dy[row * job->n + (int64_t)output]) *
                   brew_ref_round(job->be, job->x[row * job->c + i]);
        dw[i] = (float)sum;
    }
}

void brew_ref_matmul_dw(brew_backend *be, const float *dy, const float *x, int64_t m, int64_t n,
                        int64_t c, float *dw, bool add) {
    struct back_job job = {be, dy, x, NULL, m, n, c, dw, add};
    brew_pool_run(be->pool, (size_t)n, dw_row, &job);
}

void brew_ref_gram(brew_backend *be, const float *x, int64_t m, int64_t c, float *sums, bool add) {
    brew_ref_matmul_dw(be, x, x, m, c, c, sums, add);
}

void brew_ref_column_sums(brew_backend *be, const float *dy, int64_t m, int64_t n, float *sums,
                          bool add) {
    (void)be;
    for (int64_t i = 0; i < n; i++) {
        double sum = add ? sums[i] : 0;
        for (int64_t row = 0; row < m; row++) sum += dy[row * n + i];
        sums[i] = (float)sum;
    }
}

double brew_ref_sum_squares(brew_backend *be, const float *x, int64_t n) {
    (void)be;
    double total = 0;
    for (int64_t start = 0; start < n; start += 4096) {
        double sum = 0;
        for (int64_t i = start; i < n && i < start + 4096; i++) sum += (double)x[i] * x[i];
        total += sum;
    }
    return total;
}

void brew_ref_adamw(brew_backend *be, const brew_adamw *step, float *w, const float *g, float *m,
                    float *v, int64_t n) {
    (void)be;
    double correct1 = 1 - pow(step->beta1, (double)step->step);
    double correct2 = sqrt(1 - pow(step->beta2, (double)step->step));
    for (int64_t i = 0; i < n; i++) {
        double gradient = step->scale * g[i];
        double weight = w[i] - step->lr * step->decay * w[i];
        double first = m[i] + (1 - step->beta1) * (gradient - m[i]);
        double second = step->beta2 * v[i] + (1 - step->beta2) * gradient * gradient;
        m[i] = (float)first;
        v[i] = (float)second;
        w[i] =
            (float)(weight - step->lr / correct1 * first / (sqrt(second) / correct2 + step->eps));
    }
}
