#include "rank/reliability.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "rank/auc.h"
#include "rank/bootstrap.h"

// Sums of one member within the bin at hand; `seen` lists the members that have some.
struct member {
    double w, wy;
};

static void end_bin(brew_reliability_bin *bin, struct member *of, const uint32_t *seen, double w) {
    double variance = 0, members = (double)bin->members;
    bin->predicted /= w;
    bin->observed /= w;
    for (size_t i = 0; i < bin->members; i++) {
        struct member *m = &of[seen[i]];
        double x = (m->wy - bin->observed * m->w) / w;
        variance += x * x;
        *m = (struct member){0, 0};
    }
    double half =
        members > 1 ? brew_t95(members - 1) * sqrt(variance * members / (members - 1)) : NAN;
    bin->lo = bin->observed - half < 0 ? 0 : bin->observed - half;
    bin->hi = bin->observed + half > 1 ? 1 : bin->observed + half;
}

// Rows by ascending score, in blocks of equal ones, each to the bin in which the middle of its mass lies.
static void fill_bins(const brew_answers *a, const double *score, const uint32_t *order,
                      struct member *of, uint32_t *seen, brew_reliability_bin *bins) {
    double total = 0, before = 0, in_bin = 0;
    int open = -1;
    for (size_t i = 0; i < a->n; i++) total += a->weight[i];
    for (size_t begin = 0, end; begin < a->n; begin = end) {
        double p = score[order[begin]], mass = 0;
        for (end = begin; end < a->n && score[order[end]] == p; end++)
            mass += a->weight[order[end]];
        if (mass == 0) continue;
        int at = (int)(BREW_ECE_BINS * (before + mass / 2) / total);
        if (at >= BREW_ECE_BINS) at = BREW_ECE_BINS - 1;
        before += mass;
        if (at != open) {
            if (open >= 0) end_bin(&bins[open], of, seen, in_bin);
            open = at;
            in_bin = 0;
            bins[at].from = p;
        }
        brew_reliability_bin *bin = &bins[at];
        in_bin += mass;
        bin->to = p;
        for (size_t i = begin; i < end; i++) {
            uint32_t row = order[i];
            struct member *m = &of[a->member[row]];
            double w = a->weight[row];
            if (w == 0) continue;
            if (m->w == 0) seen[bin->members++] = a->member[row];
            m->w += w;
            m->wy += w * a->positive[row];
            bin->predicted += w * p;
            bin->observed += w * a->positive[row];
            bin->n++;
        }
    }
    if (open >= 0) end_bin(&bins[open], of, seen, in_bin);
}

int brew_reliability(const brew_answers *a, const double *score, brew_pool *pool,
                     brew_reliability_bin bins[BREW_ECE_BINS], brew_err *err) {
    uint32_t *order = brew_realloc_array(NULL, a->n + 1, sizeof *order);
    for (int i = 0; i < BREW_ECE_BINS; i++) bins[i] = (brew_reliability_bin){0};
    int status = brew_order(score, a->n, pool, order, err);
    if (status == 0) {
        struct member *of = brew_calloc(a->n_members + 1, sizeof *of);
        uint32_t *seen = brew_realloc_array(NULL, a->n_members + 1, sizeof *seen);
        fill_bins(a, score, order, of, seen, bins);
        free(of);
        free(seen);
    }
    free(order);
    return status;
}
