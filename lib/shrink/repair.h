// Repair after a cut: the kept columns of a projection take over for those that go.
//
// With W [C, N] reading x [N], of which the columns S stay, W' = argmin sum |W x - W' x_S|^2 + ridge |W' - W_S|^2
// = (W G_:S + ridge W_S) (G_SS + ridge)^-1, G the Gram matrix of x over the calibration rows. The ridge is a share of G's mean
// diagonal, so that W' = W_S where the rows say nothing. Frantar and Alistarh 2023 (SparseGPT), Meng
// and others 2024 (OSSCAR).
#ifndef BREW_SHRINK_REPAIR_H
#define BREW_SHRINK_REPAIR_H

#include <stdint.h>

// Errors are sums of squares of W x - W' x_S over the rows behind the Gram matrix.
typedef struct brew_repair {
    double before; // with W_S
    double after;  // with W'
} brew_repair;

// w [C, N], gram [N, N] F32; kept [K] ascending; out [C, K]: W', or W_S where that is not worse.
brew_repair brew_repair_columns(const float *w, int64_t c, int64_t n, const float *gram,
                                const int64_t *kept, int64_t k, double ridge, float *out);

#endif
