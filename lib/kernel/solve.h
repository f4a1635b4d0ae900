// Products in double, and symmetric positive definite systems, by BLAS and LAPACK's Cholesky factorisation
// (OpenBLAS). No promise of bits.
#ifndef BREW_KERNEL_SOLVE_H
#define BREW_KERNEL_SOLVE_H

#include <stdbool.h>
#include <stdint.h>

// a [N, N] (its factor afterwards), b [R, N]: R right-hand sides, one a row, solutions afterwards. False if a is
// not positive definite.
bool brew_solve(double *a, int64_t n, double *b, int64_t r);

// c [M, N] = a [M, K] b [K, N]
void brew_multiply(int64_t m, int64_t n, int64_t k, const double *a, const double *b, double *c);

#endif
