#include "model/topk.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/train_ops.h"
#include "model/model.h"

enum { STRETCH_FLOATS = 1 << 20, STRETCH_LEAST = 96 };

struct search {
    const brew_topk *out;
    const int64_t *splits;
    const int32_t *labels;
    const float *z; // [R, count] of table rows from `first` on
    int64_t first, count, *found;
};

static bool is_label(const struct search *s, size_t row, int64_t id) {
    for (int64_t i = s->splits[row]; i < s->splits[row + 1]; i++)
        if (s->labels[i] == id) return true;
    return false;
}

// Ids ascend, so that of equal logits those found before stay in front.
static void search_task(void *arg, size_t row, int worker) {
    (void)worker;
    const struct search *s = arg;
    int64_t k = s->out->k, n = s->found[row];
    int32_t *ids = s->out->ids + (int64_t)row * k;
    float *logits = s->out->logits + (int64_t)row * k;
    const float *z = s->z + (int64_t)row * s->count;
    for (int64_t v = 0; v < s->count; v++) {
        if ((n == k && !(z[v] > logits[k - 1])) || is_label(s, row, s->first + v)) continue;
        int64_t at = n < k ? n++ : k - 1;
        for (; at > 0 && logits[at - 1] < z[v]; at--) {
            logits[at] = logits[at - 1];
            ids[at] = ids[at - 1];
        }
        logits[at] = z[v];
        ids[at] = (int32_t)(s->first + v);
    }
    s->found[row] = n;
}

static int go_over(brew_backend *be, const brew_table *table, int64_t vocab, const float *hidden,
                   int64_t r, int64_t c, struct search *s, brew_err *err) {
    int64_t most = STRETCH_FLOATS / r > STRETCH_LEAST ? STRETCH_FLOATS / r : STRETCH_LEAST;
    if (most > vocab) most = vocab;
    size_t bytes = (size_t)(r * most) * sizeof(float);
    float *z = be->ops->alloc(be, bytes, "logits", err), *here = brew_alloc(bytes);
    s->z = here;
    for (s->first = 0; z && s->first < vocab; s->first += s->count) {
        s->count = vocab - s->first < most ? vocab - s->first : most;
        be->ops->train->head_logits(be, table, hidden, r, c, s->first, s->count, z);
        be->ops->download(be, here, z, (size_t)(r * s->count) * sizeof(float));
        brew_pool_run(be->pool, (size_t)r, search_task, s);
    }
    if (z) be->ops->free(be, z);
    free(here);
    return z ? 0 : -1;
}

// What is left, without the labels and what was found.
static int sum_rest(brew_backend *be, const brew_table *table, const float *hidden, int64_t r,
                    int64_t c, const struct search *s, brew_err *err) {
    int64_t k = s->out->k, *splits = brew_calloc((size_t)r + 1, sizeof *splits);
    int32_t *skip =
        brew_realloc_array(NULL, (size_t)(s->splits[r] - s->splits[0] + r * k) + 1, sizeof *skip);
    float *lse = be->ops->alloc(be, (size_t)r * sizeof(float), "logits", err);
    for (int64_t row = 0; row < r; row++) {
        int64_t n = s->splits[row + 1] - s->splits[row];
        memcpy(skip + splits[row], s->labels + s->splits[row], (size_t)n * sizeof *skip);
        memcpy(skip + splits[row] + n, s->out->ids + row * k, (size_t)k * sizeof *skip);
        splits[row + 1] = splits[row] + n + k;
    }
    if (lse) {
        be->ops->head_lse(be, table, hidden, r, c, splits, skip, lse);
        be->ops->download(be, s->out->rest, lse, (size_t)r * sizeof(float));
        be->ops->free(be, lse);
    }
    free(splits);
    free(skip);
    return lse ? 0 : -1;
}

int brew_topk_find(brew_backend *be, const brew_table *table, int64_t vocab, const float *hidden,
                   int64_t r, int64_t c, const int64_t *splits, const int32_t *ids,
                   const brew_topk *out, brew_err *err) {
    if (!be->ops->train)
        return brew_fail(err, BREW_USAGE, "the %s backend cannot make all logits", be->ops->name);
    for (int64_t row = 0; row < r; row++)
        if (vocab - (splits[row + 1] - splits[row]) < out->k)
            return brew_fail(
                err, BREW_DATA,
                "the vocabulary of %lld holds no %lld tokens beside an answer's labels",
                (long long)vocab, (long long)out->k);
    struct search s = {.out = out,
                       .splits = splits,
                       .labels = ids,
                       .found = brew_calloc((size_t)r, sizeof *s.found)};
    int rc = go_over(be, table, vocab, hidden, r, c, &s, err);
    free(s.found);
    return rc ? rc : sum_rest(be, table, hidden, r, c, &s, err);
}

size_t brew_topk_bytes(int64_t answers) {
    int64_t floats =
        STRETCH_FLOATS > answers * STRETCH_LEAST ? STRETCH_FLOATS : answers * STRETCH_LEAST;
    return 2 * (size_t)floats * sizeof(float);
}
