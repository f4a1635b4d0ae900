#include "train/batch.h"

#include <stdlib.h>

#include "base/mem.h"
#include "io/json.h"
#include "text/request.h"

void brew_batch_release(brew_batch *batch) {
    brew_star_release(&batch->star);
    free(batch->tasks);
    free(batch->positive);
    free(batch->positive_splits);
    free(batch->teacher_logits);
    free(batch->teacher_splits);
    free(batch->teacher_rest);
    free(batch->topk_ids);
    free(batch->topk_logits);
    free(batch->topk_rest);
    *batch = (brew_batch){0};
}

void brew_batch_reset(brew_batch *batch) {
    brew_star_reset(&batch->star);
    batch->taught = false;
}

static size_t labels_of(const brew_star *star, size_t answer) {
    size_t set = (size_t)star->answer_set[answer];
    return (size_t)(star->label_splits[set + 1] - star->label_splits[set]);
}

// The last request has just been added to the star: makes room for what goes with it.
static void make_room(brew_batch *batch) {
    size_t n_requests = batch->star.n_requests, n_answers = batch->star.n_answers;
    BREW_GROW(batch->tasks, n_requests, batch->tasks_cap);
    BREW_GROW(batch->positive_splits, n_answers + 1, batch->answers_cap);
    batch->positive_splits[0] = 0;
}

static void add_positive(brew_batch *batch, size_t answer, const uint8_t *mask, size_t n) {
    size_t at = (size_t)batch->positive_splits[answer];
    BREW_GROW(batch->positive, at + n, batch->positive_cap);
    if (n) memcpy(batch->positive + at, mask, n);
    batch->positive_splits[answer + 1] = (int64_t)(at + n);
}

static void add_topk(brew_batch *batch, const brew_taught *taught, size_t first, size_t n) {
    size_t k = (size_t)taught->topk, at = first * k;
    batch->topk = taught->topk;
    if (!k || !n) return;
    BREW_GROW(batch->topk_ids, at + n * k, batch->topk_ids_cap);
    BREW_GROW(batch->topk_logits, at + n * k, batch->topk_logits_cap);
    BREW_GROW(batch->topk_rest, first + n, batch->topk_rest_cap);
    memcpy(batch->topk_ids + at, taught->topk_ids, n * k * sizeof *batch->topk_ids);
    memcpy(batch->topk_logits + at, taught->topk_logits, n * k * sizeof *batch->topk_logits);
    memcpy(batch->topk_rest + first, taught->topk_rest, n * sizeof *batch->topk_rest);
}

static void add_teacher(brew_batch *batch, const brew_taught *taught) {
    size_t r = batch->star.n_requests - 1, labels = 0;
    size_t first = (size_t)batch->star.answer_splits[r], n = batch->star.n_answers - first;
    for (size_t a = first; a < first + n; a++) labels += labels_of(&batch->star, a);
    BREW_GROW(batch->teacher_splits, r + 2, batch->taught_cap);
    batch->teacher_splits[0] = 0;
    size_t at = (size_t)batch->teacher_splits[r];
    BREW_GROW(batch->teacher_logits, at + labels, batch->logits_cap);
    BREW_GROW(batch->teacher_rest, first + n, batch->rest_cap);
    if (labels) memcpy(batch->teacher_logits + at, taught->logits, labels * sizeof(float));
    if (n) memcpy(batch->teacher_rest + first, taught->rest, n * sizeof(float));
    add_topk(batch, taught, first, n);
    batch->teacher_splits[r + 1] = (int64_t)(at + labels);
    batch->taught = true;
}

// The item whose labels answer a has: its own, or for a past answer one with the same label set.
static size_t item_like(const brew_star *star, size_t r, size_t a) {
    size_t first = (size_t)star->answer_splits[r], items = brew_star_items(star, r);
    if (a - first < items) return a - first;
    for (size_t i = 0; i < items; i++)
        if (star->answer_set[first + i] == star->answer_set[a]) return i;
    return 0;
}

// The masks of the last request's answers.
static int add_masks(brew_batch *batch, const char *line, size_t len, brew_err *err) {
    const brew_star *star = &batch->star;
    size_t r = star->n_requests - 1, first = (size_t)star->answer_splits[r];
    brew_json *meta = NULL;
    int rc = 0;
    for (size_t a = first; !rc && a < star->n_answers; a++) {
        uint8_t mask[256] = {0}, *wide = NULL;
        size_t n = star->offsets[a] != 0 ? labels_of(star, a) : 0;
        if (n && !meta && !(meta = brew_json_parse(line, len, err))) rc = -1;
        uint8_t *marks = n > sizeof mask ? (wide = brew_alloc(n)) : mask;
        if (!rc && n) rc = brew_request_positive(meta, item_like(star, r, a), n, marks, err);
        if (!rc) add_positive(batch, a, marks, n);
        free(wide);
    }
    brew_json_free(meta);
    return rc;
}

int brew_batch_add(brew_batch *batch, const brew_star *star, size_t r, int32_t task,
                   const brew_taught *taught, brew_err *err) {
    size_t len = 0;
    const char *line = brew_star_meta(star, r, &len);
    brew_star_append(&batch->star, star, r);
    brew_buf_reset(&batch->star.meta);
    make_room(batch);
    batch->tasks[batch->star.n_requests - 1] = task;
    if (add_masks(batch, line ? line : "", len, err)) {
        brew_star_drop_request(&batch->star);
        return -1;
    }
    if (taught) add_teacher(batch, taught);
    return 0;
}

void brew_batch_append(brew_batch *batch, const brew_batch *from, size_t r) {
    size_t a = batch->star.n_answers;
    brew_star_append(&batch->star, &from->star, r);
    make_room(batch);
    batch->tasks[batch->star.n_requests - 1] = from->tasks[r];
    int64_t first = from->star.answer_splits[r], end = from->star.answer_splits[r + 1];
    for (int64_t b = first; b < end; b++, a++) {
        int64_t at = from->positive_splits[b];
        add_positive(batch, a, from->positive ? from->positive + at : NULL,
                     (size_t)(from->positive_splits[b + 1] - at));
    }
    if (!from->taught) return;
    brew_taught taught = {.logits = from->teacher_logits + from->teacher_splits[r],
                          .rest = from->teacher_rest + first,
                          .topk = from->topk};
    if (from->topk) {
        taught.topk_ids = from->topk_ids + first * from->topk;
        taught.topk_logits = from->topk_logits + first * from->topk;
        taught.topk_rest = from->topk_rest + first;
    }
    add_teacher(batch, &taught);
}

size_t brew_batch_bytes(const brew_batch *batch) {
    const brew_star *star = &batch->star;
    return star->ids_cap * 4 + star->segments_cap * 8 + star->requests_cap * 16 +
           star->answers_cap * 24 + star->label_ids_cap * 4 + star->sets_cap * 8 +
           batch->tasks_cap * 4 + batch->positive_cap + batch->answers_cap * 8 +
           batch->logits_cap * 4 + batch->rest_cap * 4 + batch->taught_cap * 8 +
           batch->topk_ids_cap * 4 + batch->topk_logits_cap * 4 + batch->topk_rest_cap * 4;
}
