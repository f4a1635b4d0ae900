#include "kernel/solve.h"

#include "base/err.h"

// Of BLAS and LAPACK; their matrices lie by columns, which for a symmetric one is the same, and else
// means its transpose.
void dgemm_(const char *, const char *, const int *m, const int *n, const int *k, const double *,
            const double *a, const int *lda, const double *b, const int *ldb, const double *,
            double *c, const int *ldc);
void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info);
void dpotrs_(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda,
             double *b, const int *ldb, int *info);

bool brew_solve(double *a, int64_t n, double *b, int64_t r) {
    int size = (int)n, sides = (int)r, info = 0;
    if (n < 1 || r < 1 || n > 1 << 20 || r > 1 << 30) brew_bug("a system of an impossible size");
    dpotrf_("L", &size, a, &size, &info);
    if (info) return false;
    dpotrs_("L", &size, &sides, a, &size, b, &size, &info);
    return info == 0;
}

void brew_multiply(int64_t m, int64_t n, int64_t k, const double *a, const double *b, double *c) {
    const double one = 1, zero = 0;
    int rows = (int)n, cols = (int)m, inner = (int)k; // c^T = b^T a^T
    if (m > 1 << 30 || n > 1 << 30 || k > 1 << 30) brew_bug("a product of an impossible size");
    dgemm_("N", "N", &rows, &cols, &inner, &one, b, &rows, a, &inner, &zero, c, &rows);
}
