#include "shrink/swap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "kernel/solve.h"

enum { CANDIDATES = 4 };          // removed structures tried against every kept one
static const double LEAST = 1e-7; // of the error at the start: what an exchange gains at least

// Row i of the tableau, a column of W, holds N values of M and C of what belongs to W:
//
//     i in S:  M_iS = -(H_SS^-1)_iS   M_iR = (H_SS^-1 H_SR)_iR     W'_i
//     i in R:  M_iS = (H_RS H_SS^-1)_iS   M_iR = (H_RR - H_RS H_SS^-1 H_SR)_iR   E_i
struct search {
    const brew_swap_options *how;
    int64_t c, n, b, width; // b: columns of a structure; width: of a row, N + C
    double *t;              // [N][N + C]
    bool *kept;             // [N / b]
    double *worth;          // [N / b][b][b]: W'_p W'_p^T or E_q E_q^T
    double error;           // at the start
};

static double *doubles(int64_t a, int64_t b) {
    return brew_realloc_array(NULL, (size_t)(a * b) + 1, sizeof(double));
}

// ---- the tableau at the start ----

static double *damped(const float *gram, int64_t n, double share) {
    double *h = doubles(n, n), mean = 0;
    for (int64_t i = 0; i < n * n; i++) h[i] = gram[i];
    for (int64_t i = 0; i < n; i++) mean += h[i * n + i] / (double)n;
    for (int64_t i = 0; i < n; i++) h[i * n + i] += share * mean;
    return h;
}

// The columns that stay, then the others.
static int64_t list_columns(const struct search *s, int64_t *list) {
    int64_t k = 0, end = s->n;
    for (int64_t i = 0; i < s->n; i++)
        if (s->kept[i / s->b]) list[k++] = i;
    for (int64_t i = s->n; i-- > 0;)
        if (!s->kept[i / s->b]) list[--end] = i;
    return k;
}

// Solutions, a row each: of the unit vectors, of H_RS, of W H_:S.
static double *solve_sides(const struct search *s, const double *h, const double *wh,
                           const int64_t *list, int64_t k) {
    int64_t n = s->n;
    double *a = doubles(k, k), *b = doubles(n + s->c, k);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++) {
            if (i < k) a[i * k + j] = h[list[i] * n + list[j]];
            b[i * k + j] = i < k ? i == j : h[list[i] * n + list[j]];
        }
    for (int64_t i = 0; i < s->c; i++)
        for (int64_t j = 0; j < k; j++) b[(n + i) * k + j] = wh[i * n + list[j]];
    bool good = brew_solve(a, k, b, n + s->c);
    free(a);
    if (good) return b;
    free(b);
    return NULL;
}

// Fills the tableau; false if H_SS is not positive definite.
static bool start(struct search *s, const float *w, const float *gram) {
    int64_t n = s->n, c = s->c, *list = brew_calloc((size_t)n, sizeof *list);
    int64_t k = list_columns(s, list), r = n - k;
    double *h = damped(gram, n, s->how->ridge), *wide = doubles(c, n), *wh = doubles(c, n);
    for (int64_t i = 0; i < c * n; i++) wide[i] = w[i];
    brew_multiply(c, n, n, wide, h, wh);
    double *x = solve_sides(s, h, wh, list, k);
    double *hsr = doubles(k, r), *less = doubles(r + c, r);
    for (int64_t i = 0; x && i < k; i++)
        for (int64_t j = 0; j < r; j++) hsr[i * r + j] = h[list[i] * n + list[k + j]];
    if (x && r) brew_multiply(r + c, r, k, x + k * k, hsr, less);
    for (int64_t i = 0; x && i < n; i++) {
        double *row = s->t + list[i] * s->width;
        for (int64_t j = 0; j < n; j++)
            row[list[j]] = j < k   ? (i < k ? -x[i * k + j] : x[i * k + j])
                           : i < k ? x[j * k + i]
                                   : h[list[i] * n + list[j]] - less[(i - k) * r + j - k];
        for (int64_t j = 0; j < c; j++)
            row[n + j] =
                i < k ? x[(n + j) * k + i] : wh[j * n + list[i]] - less[(r + j) * r + i - k];
    }
    // tr(W H W^T) - tr(W' (W H)_S^T)
    for (int64_t i = 0; i < c * n; i++) s->error += wide[i] * wh[i];
    for (int64_t i = 0; x && i < k; i++)
        for (int64_t j = 0; j < c; j++) s->error -= x[(n + j) * k + i] * wh[j * n + list[i]];
    bool good = x != NULL;
    free(list), free(h), free(wide), free(wh), free(x), free(hsr), free(less);
    return good;
}

// ---- a step ----

static void block_of(const struct search *s, int64_t i, int64_t j, double *out) {
    for (int64_t row = 0; row < s->b; row++)
        memcpy(out + row * s->b, s->t + (i * s->b + row) * s->width + j * s->b,
               (size_t)s->b * sizeof *out);
}

// out = sign a^-1, b x b; a is lost. False if sign a is not positive definite.
static bool inverse(double *a, int64_t b, double sign, double *out) {
    for (int64_t i = 0; i < b * b; i++) {
        a[i] *= sign;
        out[i] = i % (b + 1) == 0;
    }
    bool good = brew_solve(a, b, out, b);
    for (int64_t i = 0; i < b * b; i++) out[i] *= sign;
    return good;
}

struct step_job {
    const struct search *s;
    int64_t q;
    double sign;
    const double *rows;  // M_qq^-1 times the rows of q
    const double *coefs; // [N][b] M_:q
};

static void step_task(void *arg, size_t index, int worker) {
    (void)worker;
    const struct step_job *job = arg;
    const struct search *s = job->s;
    int64_t i = (int64_t)index, b = s->b, width = s->width;
    double *row = s->t + i * width;
    if (i / b == job->q) return;
    for (int64_t k = 0; k < b; k++) {
        double coef = job->coefs[i * b + k];
        const double *from = job->rows + k * width;
        for (int64_t j = 0; j < width; j++) row[j] -= coef * from[j];
    }
    for (int64_t k = 0; k < b; k++) row[job->q * b + k] = job->sign * job->rows[k * width + i];
}

// Structure q comes in (sign 1) or goes out (-1). False where it cannot.
static bool step(struct search *s, int64_t q, double sign) {
    int64_t b = s->b, n = s->n;
    double *block = doubles(b, b), *inverted = doubles(b, b), *coefs = doubles(n, b);
    double *rows = doubles(b, s->width), *of_q = s->t + q * b * s->width;
    block_of(s, q, q, block);
    bool good = inverse(block, b, sign, inverted);
    if (good) {
        brew_multiply(b, s->width, b, inverted, of_q, rows);
        for (int64_t i = 0; i < n; i++)
            memcpy(coefs + i * b, s->t + i * s->width + q * b, (size_t)b * sizeof *coefs);
        struct step_job job = {s, q, sign, rows, coefs};
        brew_pool_run(s->how->pool, (size_t)n, step_task, &job);
        for (int64_t i = 0; i < b * s->width; i++) of_q[i] = sign * rows[i];
        for (int64_t i = 0; i < b; i++)
            for (int64_t j = 0; j < b; j++) of_q[i * s->width + q * b + j] = -inverted[i * b + j];
    }
    free(block), free(inverted), free(coefs), free(rows);
    return good;
}

// ---- the search ----

// tr(x^-1 a) of b x b matrices; both are lost. Infinite if x is not positive definite.
static double trace_of(double *x, double *a, int64_t b) {
    if (b == 1) return *x > 0 ? *a / *x : INFINITY;
    if (!brew_solve(x, b, a, b)) return INFINITY;
    double sum = 0;
    for (int64_t i = 0; i < b; i++) sum += a[i * (b + 1)];
    return sum;
}

// What each structure is worth, or would bring, as a matrix; and that as a number.
static void weigh(struct search *s, double *values) {
    int64_t b = s->b;
    double *x = doubles(b, b), *a = doubles(b, b);
    for (int64_t p = 0; p < s->n / b; p++) {
        double *worth = s->worth + p * b * b;
        for (int64_t i = 0; i < b; i++)
            for (int64_t j = 0; j < b; j++) {
                const double *u = s->t + (p * b + i) * s->width + s->n;
                const double *v = s->t + (p * b + j) * s->width + s->n;
                double sum = 0;
                for (int64_t k = 0; k < s->c; k++) sum += u[k] * v[k];
                worth[i * b + j] = sum;
            }
        memcpy(a, worth, (size_t)(b * b) * sizeof *a);
        block_of(s, p, p, x);
        for (int64_t i = 0; i < b * b && s->kept[p]; i++) x[i] = -x[i];
        values[p] = trace_of(x, a, b);
    }
    free(x), free(a);
}

// What structure p is worth once q has come in: z = M_pq M_qq^-1, v = W'_p E_q^T, all b x b.
//     (H_SS^-1)_pp + z M_qp      (W'_p - z E_q) (W'_p - z E_q)^T
static double worth_with(const struct search *s, int64_t p, int64_t q, const double *z,
                         const double *v) {
    int64_t b = s->b;
    double *x = doubles(b, b), *a = doubles(b, b), *zq = doubles(b, b), *m = doubles(b, b);
    const double *wp = s->worth + p * b * b, *wq = s->worth + q * b * b;
    block_of(s, p, p, x);
    block_of(s, p, q, m);
    brew_multiply(b, b, b, z, wq, zq);
    for (int64_t i = 0; i < b; i++)
        for (int64_t j = 0; j < b; j++) {
            double in = 0, cross = 0, square = 0;
            for (int64_t k = 0; k < b; k++) {
                in += z[i * b + k] * m[j * b + k];
                cross += z[i * b + k] * v[j * b + k] + v[i * b + k] * z[j * b + k];
                square += zq[i * b + k] * z[j * b + k];
            }
            x[i * b + j] = in - x[i * b + j];
            a[i * b + j] = wp[i * b + j] - cross + square;
        }
    double worth = trace_of(x, a, b);
    free(x), free(a), free(zq), free(m);
    return worth;
}

struct pair {
    int64_t in, out;
    double change;
};

// The kept structure to give for q.
static void try_in(const struct search *s, int64_t q, double gain, struct pair *best) {
    int64_t b = s->b, n = s->n, c = s->c;
    const int64_t *classes = s->how->classes;
    double *eq = doubles(c, b), *w = doubles(n, c), *v = doubles(n, b), *m = doubles(n, b);
    double *x = doubles(b, b), *inverted = doubles(b, b), *z = doubles(n, b);
    for (int64_t i = 0; i < n; i++) {
        const double *row = s->t + i * s->width;
        memcpy(w + i * c, row + n, (size_t)c * sizeof *w);
        memcpy(m + i * b, row + q * b, (size_t)b * sizeof *m);
    }
    for (int64_t i = 0; i < c; i++)
        for (int64_t j = 0; j < b; j++) eq[i * b + j] = w[(q * b + j) * c + i];
    brew_multiply(n, b, c, w, eq, v);
    block_of(s, q, q, x);
    bool good = inverse(x, b, 1, inverted);
    if (good) brew_multiply(n, b, b, m, inverted, z);
    for (int64_t p = 0; p < n / b && good; p++) {
        if (!s->kept[p] || (classes && classes[p] != classes[q])) continue;
        double change = worth_with(s, p, q, z + p * b * b, v + p * b * b) - gain;
        if (change < best->change) *best = (struct pair){q, p, change};
    }
    free(eq), free(w), free(v), free(m), free(x), free(inverted), free(z);
}

// The best exchange with one of the removed structures that would bring most.
static struct pair best_pair(const struct search *s, const double *values) {
    struct pair best = {-1, -1, -LEAST * s->error};
    int64_t tried[CANDIDATES] = {0};
    for (int k = 0; k < CANDIDATES; k++) {
        int64_t q = -1;
        for (int64_t i = 0; i < s->n / s->b; i++) {
            bool again = s->kept[i] || (s->how->classes && s->how->classes[i] < 0);
            for (int j = 0; j < k; j++) again |= tried[j] == i;
            if (!again && isfinite(values[i]) && (q < 0 || values[i] > values[q])) q = i;
        }
        if (q < 0) break;
        tried[k] = q;
        try_in(s, q, values[q], &best);
    }
    return best;
}

int64_t brew_swap(const float *w, int64_t c, int64_t n, const float *gram,
                  const brew_swap_options *options, bool *kept) {
    int64_t b = options->block, done = 0;
    struct search s = {.how = options, .c = c, .n = n, .b = b, .width = n + c, .kept = kept};
    s.t = doubles(n, n + c);
    s.worth = doubles(n, b);
    double *values = doubles(n / b, 1);
    bool good = start(&s, w, gram);
    while (good && done < options->most) {
        weigh(&s, values);
        struct pair best = best_pair(&s, values);
        if (best.in < 0) break;
        good = step(&s, best.in, 1) && step(&s, best.out, -1);
        if (!good) break;
        kept[best.in] = true;
        kept[best.out] = false;
        done++;
    }
    free(s.t), free(s.worth), free(values);
    return done;
}
