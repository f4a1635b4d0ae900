#include "shrink/repair.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/solve.h"

// tr(E G E^T) for E = W - W' spread to all columns.
static double error_of(const float *w, int64_t c, int64_t n, const double *gram,
                       const int64_t *kept, int64_t k, const float *small) {
    double *e = brew_realloc_array(NULL, (size_t)(c * n), sizeof *e), total = 0;
    double *eg = brew_realloc_array(NULL, (size_t)(c * n), sizeof *eg);
    for (int64_t i = 0; i < c * n; i++) e[i] = w[i];
    for (int64_t row = 0; row < c; row++)
        for (int64_t i = 0; i < k; i++) e[row * n + kept[i]] -= small[row * k + i];
    brew_multiply(c, n, n, e, gram, eg);
    for (int64_t i = 0; i < c * n; i++) total += e[i] * eg[i];
    free(e);
    free(eg);
    return total > 0 ? total : 0;
}

// b [C, K] = W G_:S + ridge W_S
static void right_sides(const float *w, int64_t c, int64_t n, const double *gram,
                        const int64_t *kept, int64_t k, double ridge, double *b) {
    double *wide = brew_realloc_array(NULL, (size_t)(c * n), sizeof *wide);
    double *columns = brew_realloc_array(NULL, (size_t)(n * k), sizeof *columns);
    for (int64_t i = 0; i < c * n; i++) wide[i] = w[i];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < k; j++) columns[i * k + j] = gram[i * n + kept[j]];
    brew_multiply(c, k, n, wide, columns, b);
    for (int64_t row = 0; row < c; row++)
        for (int64_t j = 0; j < k; j++) b[row * k + j] += ridge * w[row * n + kept[j]];
    free(wide);
    free(columns);
}

brew_repair brew_repair_columns(const float *w, int64_t c, int64_t n, const float *sums,
                                const int64_t *kept, int64_t k, double ridge, float *out) {
    double *a = brew_realloc_array(NULL, (size_t)(k * k), sizeof *a);
    double *b = brew_realloc_array(NULL, (size_t)(c * k), sizeof *b);
    double *gram = brew_realloc_array(NULL, (size_t)(n * n), sizeof *gram), mean = 0;
    for (int64_t i = 0; i < n * n; i++) gram[i] = sums[i];
    for (int64_t i = 0; i < n; i++) mean += gram[i * n + i] / (double)n;
    ridge *= mean;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < k; j++)
            a[i * k + j] = gram[kept[i] * n + kept[j]] + (i == j ? ridge : 0);
    right_sides(w, c, n, gram, kept, k, ridge, b);
    for (int64_t row = 0; row < c; row++)
        for (int64_t i = 0; i < k; i++) out[row * k + i] = w[row * n + kept[i]];
    brew_repair result = {0};
    result.before = result.after = error_of(w, c, n, gram, kept, k, out);
    if (mean > 0 && brew_solve(a, k, b, c)) {
        float *better = brew_realloc_array(NULL, (size_t)(c * k), sizeof *better);
        for (int64_t i = 0; i < c * k; i++) better[i] = (float)b[i];
        result.after = error_of(w, c, n, gram, kept, k, better);
        if (result.after < result.before)
            memcpy(out, better, (size_t)(c * k) * sizeof *out);
        else
            result.after = result.before;
        free(better);
    }
    free(gram);
    free(a);
    free(b);
    return result;
}
