// One ranked list: each measure is its expectation over random orders of rows with equal scores.
#include <math.h>

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

bool brew_rank_list(const double *score, const uint8_t *positive, size_t n, int64_t k,
                    double out[4]) {
    double positives = 0, dcg = 0, reciprocal = 0, hits = 0, precision = 0;
    for (size_t i = 0; i < n; i++) positives += positive[i];
    if (positives == 0) return false;
    struct block b = {0, 0, 0, 0};
    for (size_t i = 0; i < n;) {
        size_t begin = i;
        b.s = (double)begin;
        b.r = 0;
        do b.r += positive[i++];
        while (i < n && score[i] == score[begin]);
        b.t = (double)(i - begin);
        if (b.r == 0) continue;
        double inside = (double)k - b.s; // places of the block among the first k
        inside = inside < 0 ? 0 : inside > b.t ? b.t : inside;
        if (inside > 0) dcg += b.r / b.t * discounts(b.s, b.s + inside);
        hits += b.r / b.t * inside;
        if (b.before == 0) reciprocal = first_reciprocal(&b);
        precision += precisions(&b);
        b.before += b.r;
    }
    out[0] = dcg / discounts(0, positives < (double)k ? positives : (double)k);
    out[1] = reciprocal;
    out[2] = hits / positives;
    out[3] = precision / positives;
    return true;
}
