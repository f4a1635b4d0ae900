// One ranked list: each measure is its expectation over random orders of rows with equal scores.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rank/metrics.h"

// A block of t rows with equal scores, r of them positive, behind s rows of which `before` were positive.
struct block {
    double s, t, r, before;
};

// E[1 / rank of the first positive]: the first of r positives stands at place j of t with probability
// C(t - j, r - 1) / C(t, r).
static double first_reciprocal(const struct block *b) {
    double sum = 0, chance = b->r / b->t;
    for (double j = 1; j <= b->t - b->r + 1; j++) {
        sum += chance / (b->s + j);
        if (b->t - j > 0) chance *= (b->t - j - b->r + 1) / (b->t - j);
    }
    return sum;
}

// Sum over the block's places of P(positive there) * E[precision there | positive there]. The other
// r - 1 positives are spread evenly over the other t - 1 places.
static double precisions(const struct block *b) {
    double sum = 0, others = b->t > 1 ? (b->r - 1) / (b->t - 1) : 0;
    for (double j = 1; j <= b->t; j++)
        sum += b->r / b->t * (b->before + 1 + others * (j - 1)) / (b->s + j);
    return sum;
}

static double discounts(double from, double to) {
    double sum = 0;
    for (double rank = from + 1; rank <= to; rank++) sum += 1 / log2(1 + rank);
    return sum;
}

static int descending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

// The discounted gain of the best order.
static double best_dcg(const float *gain, size_t n, int64_t k) {
    float *best = brew_alloc(n * sizeof *best);
    double sum = 0;
    memcpy(best, gain, n * sizeof *best);
    qsort(best, n, sizeof *best, descending);
    for (size_t i = 0; i < n && (int64_t)i < k; i++) sum += best[i] / log2(2 + (double)i);
    free(best);
    return sum;
}

static double inside_top(const struct block *b, int64_t k) {
    double inside = (double)k - b->s;
    return inside < 0 ? 0 : inside > b->t ? b->t : inside;
}

void brew_rank_top(const double *score, size_t n, int64_t k, double *share) {
    struct block b = {0, 0, 0, 0};
    for (size_t begin = 0, end; begin < n; begin = end) {
        for (end = begin + 1; end < n && score[end] == score[begin];) end++;
        b.s = (double)begin;
        b.t = (double)(end - begin);
        for (size_t i = begin; i < end; i++) share[i] = inside_top(&b, k) / b.t;
    }
}

bool brew_rank_list(const double *score, const uint8_t *positive, const float *gain, size_t n,
                    int64_t k, double out[4]) {
    double positives = 0, dcg = 0, reciprocal = 0, hits = 0, precision = 0;
    for (size_t i = 0; i < n; i++) positives += positive[i];
    if (positives == 0) return false;
    struct block b = {0, 0, 0, 0};
    for (size_t i = 0; i < n;) {
        size_t begin = i;
        b.s = (double)begin;
        b.r = 0;
        double gains = 0;
        do {
            gains += gain ? gain[i] : positive[i];
            b.r += positive[i++];
        } while (i < n && score[i] == score[begin]);
        b.t = (double)(i - begin);
        double inside = inside_top(&b, k);
        if (inside > 0 && gains > 0) dcg += gains / b.t * discounts(b.s, b.s + inside);
        if (b.r == 0) continue;
        hits += b.r / b.t * inside;
        if (b.before == 0) reciprocal = first_reciprocal(&b);
        precision += precisions(&b);
        b.before += b.r;
    }
    out[0] = dcg / (gain ? best_dcg(gain, n, k)
                         : discounts(0, positives < (double)k ? positives : (double)k));
    out[1] = reciprocal;
    out[2] = hits / positives;
    out[3] = precision / positives;
    return true;
}
