#include "rank/compare.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

static size_t place_of(const brew_index *x, uint32_t request, uint32_t item) {
    const brew_reader *r = x->of;
    size_t at = brew_mix64((uint64_t)request << 32 | item) & x->mask;
    for (; x->slot[at]; at = (at + 1) & x->mask) {
        uint32_t row = x->slot[at] - 1;
        if (r->request[row] == request && r->answers.item[row] == item) break;
    }
    return at;
}

int brew_index_init(brew_index *x, const brew_reader *r, const char *which, brew_err *err) {
    size_t size = 16;
    while (size < 2 * r->answers.n) size *= 2;
    *x = (brew_index){brew_calloc(size, sizeof *x->slot), size - 1, r};
    for (size_t i = 0; i < r->answers.n; i++) {
        size_t at = place_of(x, r->request[i], r->answers.item[i]);
        if (x->slot[at])
            return brew_fail(err, BREW_DATA,
                             "%s holds two answers with the same id and item_id (answers %" PRIu32
                             " and %zu)",
                             which, x->slot[at], i + 1);
        x->slot[at] = (uint32_t)i + 1;
    }
    return 0;
}

size_t brew_index_find(const brew_index *x, uint32_t request, uint32_t item) {
    uint32_t found = x->slot[place_of(x, request, item)];
    return found ? found - 1 : SIZE_MAX;
}

void brew_index_release(brew_index *x) {
    free(x->slot);
    *x = (brew_index){0};
}

// The numbers that the names of `from` have in `to`, UINT32_MAX for none.
static uint32_t *translate(const brew_intern *from, const brew_intern *to) {
    uint32_t *number = brew_alloc((from->count + 1) * sizeof *number);
    for (size_t i = 0; i < from->count; i++) {
        size_t found = brew_intern_get(to, from->entries[i].ptr, from->entries[i].len);
        number[i] = found == SIZE_MAX ? UINT32_MAX : (uint32_t)found;
    }
    return number;
}

static int join_rows(brew_join *j, const brew_index *x, const brew_reader *a, brew_err *err) {
    const brew_reader *b = x->of;
    uint32_t *request = translate(&a->requests, &b->requests);
    uint32_t *item = translate(&a->items, &b->items);
    uint64_t unlike = 0;
    for (size_t i = 0; i < a->answers.n; i++) {
        uint32_t q = request[a->request[i]], it = item[a->answers.item[i]];
        size_t found = SIZE_MAX;
        if (q != UINT32_MAX && it != UINT32_MAX) found = brew_index_find(x, q, it);
        if (found == SIZE_MAX) {
            j->only_a++;
            continue;
        }
        unlike += !b->blind && (a->answers.positive[i] != b->answers.positive[found] ||
                                a->answers.weight[i] != b->answers.weight[found]);
        j->row_a[j->n] = (uint32_t)i;
        j->row_b[j->n++] = (uint32_t)found;
    }
    j->only_b = b->answers.n - j->n;
    free(request);
    free(item);
    if (unlike)
        return brew_fail(err, BREW_DATA,
                         "%" PRIu64 " answers have another outcome or weight in the second file",
                         unlike);
    return 0;
}

int brew_join_init(brew_join *j, const brew_reader *a, const brew_reader *b, bool allow_missing,
                   brew_err *err) {
    brew_index of_a, of_b = {0};
    *j = (brew_join){0};
    j->row_a = brew_alloc((a->answers.n + 1) * sizeof *j->row_a);
    j->row_b = brew_alloc((a->answers.n + 1) * sizeof *j->row_b);
    int status = brew_index_init(&of_a, a, "the first file", err); // only to find what stands twice
    brew_index_release(&of_a);
    if (status == 0) status = brew_index_init(&of_b, b, "the second file", err);
    if (status == 0) status = join_rows(j, &of_b, a, err);
    brew_index_release(&of_b);
    if (status < 0) return status;
    if (!allow_missing && (j->only_a || j->only_b))
        return brew_fail(err, BREW_DATA,
                         "%" PRIu64 " answers are only in the first file, %" PRIu64
                         " only in the second (--allow-missing compares the others)",
                         j->only_a, j->only_b);
    return 0;
}

void brew_join_release(brew_join *j) {
    free(j->row_a);
    free(j->row_b);
    *j = (brew_join){0};
}
