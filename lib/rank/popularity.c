// How popular items are among each other.
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "rank/metrics.h"

static int ascending(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void brew_item_popularity(const brew_answers *a, double *popularity) {
    // the count above, the item below, so that sorting gathers equal counts
    uint64_t *rows = brew_calloc(a->n_items + 1, sizeof *rows);
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++) rows[a->item[i]] += (uint64_t)1 << 32;
    for (size_t i = 0; i < a->n_items; i++) {
        popularity[i] = NAN;
        if (rows[i]) rows[n++] = rows[i] | i;
    }
    qsort(rows, n, sizeof *rows, ascending);
    for (size_t begin = 0, end; begin < n; begin = end) {
        for (end = begin; end < n && rows[end] >> 32 == rows[begin] >> 32;) end++;
        double share = ((double)begin + (double)end) / 2 / (double)n;
        for (size_t i = begin; i < end; i++) popularity[rows[i] & UINT32_MAX] = share;
    }
    free(rows);
}
