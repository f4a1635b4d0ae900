// Repair: dependent columns are recovered exactly, the error never rises, importance is what it says.
#include "shrink/repair.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"

static float normal(uint64_t stream, int64_t i) {
    double sum = 0;
    for (int k = 0; k < 12; k++) sum += brew_rand_unit(5, stream, (uint64_t)(12 * i + k));
    return (float)(sum - 6);
}

enum { C = 7, N = 24, ROWS = 400 };

// Rows of which the last `dependent` columns are sums of the first ones.
static void make_rows(float *x, int dependent) {
    for (int row = 0; row < ROWS; row++)
        for (int j = 0; j < N; j++) {
            float *at = &x[row * N + j];
            *at = normal(1, row * N + j) * (1 + 0.2f * (float)j);
            if (j < N - dependent) continue;
            *at = 0;
            for (int i = 0; i < N - dependent; i++) *at += normal(2, j * N + i) * x[row * N + i];
        }
}

static void gram_of(const float *x, float *gram) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int row = 0; row < ROWS; row++) sum += (double)x[row * N + i] * x[row * N + j];
            gram[i * N + j] = (float)sum;
        }
}

// The error over the rows themselves, in double.
static double error(const float *w, const float *x, const int64_t *kept, int k,
                    const float *small) {
    double total = 0;
    for (int row = 0; row < ROWS; row++)
        for (int c = 0; c < C; c++) {
            double e = 0;
            for (int i = 0; i < N; i++) e += (double)w[c * N + i] * x[row * N + i];
            for (int i = 0; i < k; i++) e -= (double)small[c * k + i] * x[row * N + kept[i]];
            total += e * e;
        }
    return total;
}

int main(void) {
    static float x[ROWS * N], gram[N * N], w[C * N], small[C * N];
    int64_t kept[N];
    for (int i = 0; i < C * N; i++) w[i] = normal(3, i);
    for (int i = 0; i < N; i++) kept[i] = i;

    make_rows(x, 6);
    gram_of(x, gram);
    brew_repair r = brew_repair_columns(w, C, N, gram, kept, N - 6, 1e-9, small);
    double all = error(w, x, kept, 0, small);
    ok(r.before > 0.05 * all, "six dependent columns are missed at first");
    ok(error(w, x, kept, N - 6, small) < 1e-6 * all, "and recovered exactly");

    make_rows(x, 0);
    gram_of(x, gram);
    bool never = true, told = true, lower = true;
    for (int trial = 0; trial < 20; trial++) {
        int k = 0;
        for (int i = 0; i < N; i++)
            if (brew_rand_below(9, (uint64_t)trial, (uint64_t)i, 3)) kept[k++] = i;
        float plain[C * N];
        for (int c = 0; c < C; c++)
            for (int i = 0; i < k; i++) plain[c * k + i] = w[c * N + kept[i]];
        r = brew_repair_columns(w, C, N, gram, kept, k, trial % 2 ? 1e-4 : 10, small);
        double before = error(w, x, kept, k, plain), after = error(w, x, kept, k, small);
        never &= r.after <= r.before && after <= before * (1 + 1e-5);
        told &= fabs(r.before - before) < 1e-3 * before && fabs(r.after - after) < 1e-3 * before;
        lower &= trial % 2 == 0 || after < before;
    }
    ok(never, "a repair never raises the error");
    ok(lower, "and lowers it where the ridge is small");
    ok(told, "the errors told are those of the rows");

    for (int i = 0; i < N * N; i++) gram[i] = 0;
    for (int i = 0; i < N; i++) kept[i] = i;
    r = brew_repair_columns(w, C, N, gram, kept, 5, 1e-4, small);
    bool same = true;
    for (int c = 0; c < C; c++)
        for (int i = 0; i < 5; i++) same &= small[c * 5 + i] == w[c * N + i];
    ok(same && r.before == 0 && r.after == 0, "rows of nothing leave the columns as they were");
    return tap_done();
}
