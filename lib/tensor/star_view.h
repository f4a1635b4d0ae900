// A batch in other ids: where a vocabulary was cut, what was tokenised before is the same tokens under new
// ids, and what a smaller model reads has old ids for the larger one it came from.
//
//     brew_star_view view = {0};
//     brew_star_view_set(&view, star, map);     // view.star, until the next call or a change of star
//     brew_star_view_release(&view);
#ifndef BREW_TENSOR_STAR_VIEW_H
#define BREW_TENSOR_STAR_VIEW_H

#include "tensor/star.h"

typedef struct brew_star_view {
    brew_star star; // ids and label_ids are the view's, all else is borrowed: only to be read
    int32_t *ids, *label_ids;
    size_t ids_cap, label_ids_cap;
} brew_star_view;

// map: of every id of star its new one, or -1 if there is none.
void brew_star_view_set(brew_star_view *view, const brew_star *star, const int32_t *map);
void brew_star_view_release(brew_star_view *view);

// How many of request r's tokens, and of its answers' labels, are no ids (negative).
size_t brew_star_missing(const brew_star *star, size_t r);

#endif
