#include "tensor/star_view.h"

#include <stdlib.h>

#include "base/mem.h"

void brew_star_view_set(brew_star_view *view, const brew_star *star, const int32_t *map) {
    size_t labels = star->n_sets ? (size_t)star->label_splits[star->n_sets] : 0;
    BREW_GROW(view->ids, star->n_ids, view->ids_cap);
    BREW_GROW(view->label_ids, labels, view->label_ids_cap);
    for (size_t i = 0; i < star->n_ids; i++) view->ids[i] = map[star->ids[i]];
    for (size_t i = 0; i < labels; i++) view->label_ids[i] = map[star->label_ids[i]];
    view->star = *star;
    view->star.ids = view->ids;
    view->star.label_ids = view->label_ids;
}

void brew_star_view_release(brew_star_view *view) {
    free(view->ids);
    free(view->label_ids);
    *view = (brew_star_view){0};
}

size_t brew_star_missing(const brew_star *star, size_t r) {
    size_t n = 0;
    int64_t from = star->segments[star->requests[r]], to = star->segments[star->requests[r + 1]];
    for (int64_t i = from; i < to; i++) n += star->ids[i] < 0;
    for (int64_t a = star->answer_splits[r]; a < star->answer_splits[r + 1]; a++) {
        int32_t set = star->answer_set[a];
        for (int64_t k = star->label_splits[set]; k < star->label_splits[set + 1]; k++)
            n += star->label_ids[k] < 0;
    }
    return n;
}
