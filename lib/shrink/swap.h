// A local search behind the choice of what goes: kept structures change places with removed ones as long as
// that lowers the error that a repair (shrink/repair.h) leaves.
//
// With H = G + ridge, S the columns that stay and R the others, least squares gives
//
//     W' = W H_:S (H_SS)^-1            what a kept structure p is worth:  tr(W'_p ((H_SS^-1)_pp)^-1 W'_p^T)
//     E  = W H_:R - W' H_SR            what a removed one q would bring:  tr(E_q (H_qq - H_qS H_SS^-1 H_Sq)^-1 E_q^T)
//
// All of this stands in one tableau, in which a structure comes in or goes out by a step of Gauss and Jordan
// (Goodnight 1979, "A tutorial on the SWEEP operator"), so that the change an exchange makes is known exactly
// before it is made. Of the removed structures those that would bring most are tried against every kept one, and the
// best pair changes places. Meng and others 2024 (OSSCAR) search like this.
#ifndef BREW_SHRINK_SWAP_H
#define BREW_SHRINK_SWAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pool.h"

typedef struct brew_swap_options {
    int64_t block; // columns of a structure; N is a multiple
    const int64_t
        *classes;    // [N / block] structures of one class may change places, none of class -1;
                     // NULL: any
    int64_t most;    // exchanges at most
    double ridge;    // share of the mean diagonal
    brew_pool *pool; // or NULL
} brew_swap_options;

// w [C, N], gram [N, N]; kept [N / block]: which structures stay, before and after. Returns the number of
// exchanges; the same for any number of threads. Memory: some 32 N (N + C) bytes.
int64_t brew_swap(const float *w, int64_t c, int64_t n, const float *gram,
                  const brew_swap_options *options, bool *kept);

#endif
