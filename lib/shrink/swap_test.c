// The swap search: it never raises the error, knows each change before it makes it, keeps to classes, and finds
// what is plainly better.
#include "shrink/swap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"
#include "shrink/repair.h"

static float normal(uint64_t stream, int64_t i) {
    double sum = 0;
    for (int k = 0; k < 12; k++) sum += brew_rand_unit(11, stream, (uint64_t)(12 * i + k));
    return (float)(sum - 6);
}

enum { C = 6, N = 24, ROWS = 300 };

static float x[ROWS * N], gram[N * N], w[C * N], small[C * N];

// Columns that share `common` hidden causes.
static void make(uint64_t seed, int common) {
    for (int i = 0; i < C * N; i++) w[i] = normal(seed + 1, i);
    for (int row = 0; row < ROWS; row++)
        for (int j = 0; j < N; j++) {
            float *at = &x[row * N + j];
            *at = 0.3f * normal(seed + 2, row * N + j);
            for (int k = 0; k < common; k++)
                *at += normal(seed + 3, j * common + k) * normal(seed + 4, row * common + k);
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int row = 0; row < ROWS; row++) sum += (double)x[row * N + i] * x[row * N + j];
            gram[i * N + j] = (float)sum;
        }
}

static double repaired(const bool *kept, int b, double ridge) {
    int64_t list[N], k = 0;
    for (int i = 0; i < N; i++)
        if (kept[i / b]) list[k++] = i;
    return brew_repair_columns(w, C, N, gram, list, k, ridge, small).after;
}

static int count(const bool *kept, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum += kept[i];
    return sum;
}

// No exchange inside a class lowers the error by more than `slack` of it.
static bool is_best(const bool *kept, int b, const int64_t *classes, double slack) {
    bool other[N];
    double error = repaired(kept, b, 1e-9);
    for (int p = 0; p < N / b; p++)
        for (int q = 0; q < N / b; q++) {
            if (!kept[p] || kept[q] || (classes && classes[p] != classes[q])) continue;
            memcpy(other, kept, sizeof other);
            other[p] = false, other[q] = true;
            if (repaired(other, b, 1e-9) < error * (1 - slack)) return false;
        }
    return true;
}

static void test_search(int b, const int64_t *classes, const char *what) {
    bool never = true, best = true, same = true, as_many = true, inside = true;
    int64_t made = 0;
    brew_pool *pool = brew_pool_new(3);
    for (uint64_t trial = 0; trial < 12; trial++) {
        make(trial * 10, 5);
        bool kept[N] = {false}, again[N];
        // three structures go (with classes: the last of each of three), too few for any to be overlooked
        for (int i = 0; i < N / b; i++) kept[i] = classes ? i % 2 == 0 || i > 5 : i >= 3;
        memcpy(again, kept, sizeof again);
        int n = count(kept, N / b);
        double before = repaired(kept, b, 1e-9);
        brew_swap_options how = {b, classes, 100, 1e-9, NULL};
        made += brew_swap(w, C, N, gram, &how, kept);
        how.pool = pool;
        brew_swap(w, C, N, gram, &how, again);
        never &= repaired(kept, b, 1e-9) <= before * (1 + 1e-9);
        best &= is_best(kept, b, classes, 1e-4);
        same &= !memcmp(kept, again, sizeof again);
        as_many &= count(kept, N / b) == n;
        for (int i = 0; i < N / b && classes; i += 2)
            inside &= classes[i] < 0 ? kept[i] == (i % 2 == 0 || i > 5)
                                     : kept[i] + kept[i + 1] == 1 || i > 5;
    }
    brew_pool_free(pool);
    ok(never, "%s: the error never rises", what);
    ok(best && made > 0, "and no exchange is left that lowers it (%lld were made)",
       (long long)made);
    ok(as_many && inside, "as many stay, of each class");
    ok(same, "which ones does not depend on threads");
}

// Each even column stands twice; both of a pair went, and of another one both stayed.
static void test_twins(void) {
    make(5, 0);
    for (int row = 0; row < ROWS; row++)
        for (int j = 0; j < N; j += 2) x[row * N + j + 1] = 2 * x[row * N + j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int row = 0; row < ROWS; row++) sum += (double)x[row * N + i] * x[row * N + j];
            gram[i * N + j] = (float)sum;
        }
    bool kept[N];
    for (int i = 0; i < N; i++) kept[i] = i % 2 == 0;
    kept[0] = kept[4] = false, kept[3] = kept[9] = true;
    double before = repaired(kept, 1, 1e-9);
    brew_swap_options how = {1, NULL, 100, 1e-9, NULL};
    int64_t made = brew_swap(w, C, N, gram, &how, kept);
    ok(made == 2 && repaired(kept, 1, 1e-9) < 1e-6 * before,
       "twins that went come back for those of others");
    how.most = 1;
    for (int i = 0; i < N; i++) kept[i] = i >= 12;
    ok(brew_swap(w, C, N, gram, &how, kept) == 1, "no more exchanges than are allowed");
    how.most = 0;
    ok(brew_swap(w, C, N, gram, &how, kept) == 0, "none at all");
}

static void test_nothing(void) {
    bool kept[N];
    for (int i = 0; i < N; i++) kept[i] = i > 4;
    memset(gram, 0, sizeof gram);
    brew_swap_options how = {1, NULL, 100, 1e-3, NULL};
    ok(brew_swap(w, C, N, gram, &how, kept) == 0, "rows of nothing: no exchange");
    make(1, 3);
    for (int i = 0; i < N; i++) kept[i] = true;
    ok(brew_swap(w, C, N, gram, &how, kept) == 0, "nothing has gone: no exchange");
}

int main(void) {
    static const int64_t classes[] = {0, 0, 1, 1, 2, 2, -1, -1};
    test_search(1, NULL, "columns");
    test_search(3, NULL, "blocks of three");
    test_search(3, classes, "blocks in classes");
    test_twins();
    test_nothing();
    return tap_done();
}
