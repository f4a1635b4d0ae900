#include "train/order.h"

#include "base/rng.h"

uint64_t brew_shuffle_at(uint64_t seed, uint64_t epoch, uint64_t n, uint64_t position) {
    unsigned half = 1; // bits of each half
    while (half < 32 && n > (uint64_t)1 << 2 * half) half++;
    uint64_t mask = ((uint64_t)1 << half) - 1, at = position;
    do {
        uint64_t left = at >> half, right = at & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t mixed = brew_rand_u64(seed, epoch * 4 + round, right) & mask;
            uint64_t next = left ^ mixed;
            left = right;
            right = next;
        }
        at = left << half | right;
    } while (at >= n);
    return at;
}

size_t brew_mix_next(const double *weights, const uint64_t *taken, size_t n) {
    double sum = 0, total = 1;
    for (size_t i = 0; i < n; i++) {
        sum += weights[i];
        total += (double)taken[i];
    }
    size_t best = 0;
    double behind = 0;
    for (size_t i = 0; i < n; i++) {
        double gap = total * weights[i] / sum - (double)taken[i];
        if (i && gap <= behind) continue;
        best = i;
        behind = gap;
    }
    return best;
}
