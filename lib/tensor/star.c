#include "tensor/star.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

void brew_star_release(brew_star *star) {
    free(star->ids);
    free(star->segments);
    free(star->requests);
    free(star->answers);
    free(star->answer_splits);
    free(star->answer_set);
    free(star->targets);
    free(star->weights);
    free(star->offsets);
    free(star->label_ids);
    free(star->label_splits);
    free(star->set_slots);
    brew_buf_release(&star->meta);
    *star = (brew_star){0};
}

void brew_star_reset(brew_star *star) {
    star->n_ids = star->n_segments = star->n_requests = star->n_answers = star->n_sets = 0;
    star->sets_indexed = 0;
    brew_buf_reset(&star->meta);
}

static void open_segment(brew_star *star) {
    BREW_GROW(star->segments, star->n_segments + 2, star->segments_cap);
    star->segments[0] = 0;
    star->segments[++star->n_segments] = (int64_t)star->n_ids;
    star->requests[star->n_requests] = (int64_t)star->n_segments;
}

void brew_star_add_request(brew_star *star) {
    size_t cap = star->requests_cap; // two arrays, one capacity
    BREW_GROW(star->requests, star->n_requests + 2, star->requests_cap);
    BREW_GROW(star->answer_splits, star->n_requests + 2, cap);
    star->requests[0] = star->answer_splits[0] = 0;
    star->answer_splits[++star->n_requests] = (int64_t)star->n_answers;
    open_segment(star);
}

void brew_star_add_item(brew_star *star) {
    open_segment(star);
}

void brew_star_add_ids(brew_star *star, const int32_t *ids, size_t n) {
    if (!n) return;
    BREW_GROW(star->ids, star->n_ids + n, star->ids_cap);
    memcpy(star->ids + star->n_ids, ids, n * sizeof *ids);
    star->n_ids += n;
    star->segments[star->n_segments] = (int64_t)star->n_ids;
}

static size_t set_len(const brew_star *star, size_t set) {
    return (size_t)(star->label_splits[set + 1] - star->label_splits[set]);
}

static const int32_t *set_ids(const brew_star *star, size_t set) {
    return star->label_ids + star->label_splits[set];
}

// The slot that holds a set equal to these ids, or the empty one where it would go (-1).
static int32_t *set_slot(brew_star *star, const int32_t *ids, size_t n) {
    size_t mask = star->set_slots_cap - 1, at = brew_hash64(ids, n * sizeof *ids, 0) & mask;
    for (; star->set_slots[at] >= 0; at = (at + 1) & mask) {
        size_t set = (size_t)star->set_slots[at];
        if (set_len(star, set) == n && !memcmp(set_ids(star, set), ids, n * sizeof *ids)) break;
    }
    return star->set_slots + at;
}

// Brings the table up to the sets there are; half of it stays empty.
static void index_sets(brew_star *star) {
    bool grow = (star->n_sets + 1) * 2 > star->set_slots_cap;
    if (grow) {
        size_t cap = star->set_slots_cap ? star->set_slots_cap : 16;
        while ((star->n_sets + 1) * 2 > cap) cap *= 2;
        free(star->set_slots);
        star->set_slots = brew_alloc(cap * sizeof *star->set_slots);
        star->set_slots_cap = cap;
    }
    if (grow || !star->sets_indexed || star->sets_indexed > star->n_sets) {
        memset(star->set_slots, -1, star->set_slots_cap * sizeof *star->set_slots);
        star->sets_indexed = 0;
    }
    for (; star->sets_indexed < star->n_sets; star->sets_indexed++) {
        size_t set = star->sets_indexed;
        int32_t *slot = set_slot(star, set_ids(star, set), set_len(star, set));
        if (*slot < 0) *slot = (int32_t)set;
    }
}

int32_t brew_star_add_set(brew_star *star, const int32_t *label_ids, size_t n) {
    index_sets(star);
    int32_t *slot = set_slot(star, label_ids, n);
    if (*slot >= 0) return *slot;
    BREW_GROW(star->label_splits, star->n_sets + 2, star->sets_cap);
    if (!star->n_sets) star->label_splits[0] = 0;
    size_t used = (size_t)star->label_splits[star->n_sets];
    BREW_GROW(star->label_ids, used + n, star->label_ids_cap);
    memcpy(star->label_ids + used, label_ids, n * sizeof *label_ids);
    star->label_splits[star->n_sets + 1] = (int64_t)(used + n);
    star->sets_indexed = star->n_sets + 1;
    return *slot = (int32_t)star->n_sets++;
}

void brew_star_add_answer(brew_star *star, int64_t row, int32_t set, int32_t target, float weight,
                          float offset) {
    size_t need = star->n_answers + 1, cap = star->answers_cap;
    if (need > cap) { // five arrays, one capacity
        BREW_GROW(star->answers, need, star->answers_cap);
        cap = star->answers_cap;
        star->answer_set = brew_realloc_array(star->answer_set, cap, sizeof *star->answer_set);
        star->targets = brew_realloc_array(star->targets, cap, sizeof *star->targets);
        star->weights = brew_realloc_array(star->weights, cap, sizeof *star->weights);
        star->offsets = brew_realloc_array(star->offsets, cap, sizeof *star->offsets);
    }
    star->answers[star->n_answers] = row;
    star->answer_set[star->n_answers] = set;
    star->targets[star->n_answers] = target;
    star->weights[star->n_answers] = weight;
    star->offsets[star->n_answers] = offset;
    star->answer_splits[star->n_requests] = (int64_t)++star->n_answers;
}

void brew_star_add_meta(brew_star *star, const char *json, size_t len) {
    brew_buf_add(&star->meta, json, len);
    brew_buf_addc(&star->meta, '\n');
}

static size_t count_lines(const brew_buf *meta) {
    size_t lines = 0;
    const char *at = meta->ptr, *end = at ? at + meta->len : at;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) lines++, at++;
    return lines;
}

void brew_star_drop_request(brew_star *star) {
    if (!star->n_requests) return;
    if (count_lines(&star->meta) == star->n_requests) {
        size_t len = star->meta.len - 1;
        while (len && star->meta.ptr[len - 1] != '\n') len--;
        star->meta.len = len;
        star->meta.ptr[len] = 0;
    }
    star->n_requests--;
    star->n_segments = (size_t)star->requests[star->n_requests];
    star->n_ids = (size_t)star->segments[star->n_segments];
    star->n_answers = (size_t)star->answer_splits[star->n_requests];
    // Sets are numbered by first use: those that only this request used are the last.
    int32_t used = -1;
    for (size_t a = 0; a < star->n_answers; a++)
        if (star->answer_set[a] > used) used = star->answer_set[a];
    if (star->n_sets > (size_t)(used + 1)) {
        star->n_sets = (size_t)(used + 1);
        star->sets_indexed = 0;
    }
}

void brew_star_drop_history(brew_star *star) {
    size_t r = star->n_requests - 1;
    star->answer_splits[r + 1] = star->answer_splits[r] + (int64_t)brew_star_items(star, r);
    star->n_answers = (size_t)star->answer_splits[r + 1];
}

void brew_star_append(brew_star *star, const brew_star *from, size_t r) {
    int64_t first = from->segments[from->requests[r]], base = (int64_t)star->n_ids;
    for (int64_t s = from->requests[r]; s < from->requests[r + 1]; s++) {
        if (s == from->requests[r])
            brew_star_add_request(star);
        else
            brew_star_add_item(star);
        brew_star_add_ids(star, from->ids + from->segments[s],
                          (size_t)(from->segments[s + 1] - from->segments[s]));
    }
    for (int64_t a = from->answer_splits[r]; a < from->answer_splits[r + 1]; a++) {
        size_t set = (size_t)from->answer_set[a];
        brew_star_add_answer(star, from->answers[a] - first + base,
                             brew_star_add_set(star, set_ids(from, set), set_len(from, set)),
                             from->targets[a], from->weights[a], from->offsets[a]);
    }
    size_t len;
    const char *line = brew_star_meta(from, r, &len);
    if (line) brew_star_add_meta(star, line, len);
}

const char *brew_star_meta(const brew_star *star, size_t r, size_t *len) {
    const char *at = star->meta.ptr, *end = at ? at + star->meta.len : at, *stop;
    for (; at < end; at = stop + 1, r--) {
        stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) return NULL;
        if (r) continue;
        *len = (size_t)(stop - at);
        return at;
    }
    return NULL;
}

int64_t brew_star_span(const brew_star *star, size_t r) {
    int64_t longest = 0;
    for (int64_t s = star->requests[r] + 1; s < star->requests[r + 1]; s++) {
        int64_t n = star->segments[s + 1] - star->segments[s];
        if (n > longest) longest = n;
    }
    return brew_star_query_len(star, r) + longest;
}

// splits [n+1] must begin at 0, end at `total`, and grow by at least `least` each step.
static int check_splits(const int64_t *splits, size_t n, size_t total, int64_t least,
                        const char *name, brew_err *err) {
    if (!n && !total) return 0;
    if (!n)
        return brew_fail(err, BREW_DATA, "%s is empty, but %zu are there to split", name, total);
    if (splits[0])
        return brew_fail(err, BREW_DATA, "%s begins at %lld, not at 0", name, (long long)splits[0]);
    for (size_t i = 0; i < n; i++)
        if (splits[i + 1] < splits[i] || splits[i + 1] - splits[i] < least)
            return brew_fail(err, BREW_DATA, "%s[%zu] is %lld, but at least %lld is needed", name,
                             i + 1, (long long)splits[i + 1], (long long)(splits[i] + least));
    if ((uint64_t)splits[n] != total)
        return brew_fail(err, BREW_DATA, "%s ends at %lld, not at %zu", name, (long long)splits[n],
                         total);
    return 0;
}

static int check_ids(const int32_t *ids, size_t n, size_t vocab, const char *name, brew_err *err) {
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= 0 && (!vocab || (size_t)ids[i] < vocab)) continue;
        if (!vocab) return brew_fail(err, BREW_DATA, "%s[%zu] is %d", name, i, (int)ids[i]);
        return brew_fail(err, BREW_DATA, "%s[%zu] is %d, the vocabulary holds %zu", name, i,
                         (int)ids[i], vocab);
    }
    return 0;
}

// One answer at each item's last row in order, then ascending rows of the query.
static int check_rows(const brew_star *star, size_t r, brew_err *err) {
    int64_t a = star->answer_splits[r], end = star->answer_splits[r + 1];
    for (int64_t s = star->requests[r] + 1; s < star->requests[r + 1]; s++, a++) {
        if (star->segments[s + 1] == star->segments[s])
            return brew_fail(err, BREW_DATA, "request %zu has an empty item", r);
        if (a == end)
            return brew_fail(err, BREW_DATA, "request %zu has %zu items but %lld answers", r,
                             brew_star_items(star, r), (long long)(end - star->answer_splits[r]));
        if (star->answers[a] != star->segments[s + 1] - 1)
            return brew_fail(err, BREW_DATA, "answers[%lld] is %lld, its item ends at row %lld",
                             (long long)a, (long long)star->answers[a],
                             (long long)(star->segments[s + 1] - 1));
    }
    int64_t first = star->segments[star->requests[r]];
    int64_t stop = first + brew_star_query_len(star, r), least = first;
    for (; a < end; a++) {
        if (star->answers[a] < least || star->answers[a] >= stop)
            return brew_fail(
                err, BREW_DATA,
                "answers[%lld] is %lld, not an ascending row of its query [%lld, %lld)",
                (long long)a, (long long)star->answers[a], (long long)first, (long long)stop);
        least = star->answers[a] + 1;
    }
    return 0;
}

static int check_answers(const brew_star *star, brew_err *err) {
    for (size_t a = 0; a < star->n_answers; a++) {
        int32_t set = star->answer_set[a], target = star->targets[a];
        if (set < 0 || (size_t)set >= star->n_sets)
            return brew_fail(err, BREW_DATA, "answer_set[%zu] is %d, there are %zu label sets", a,
                             (int)set, star->n_sets);
        size_t n = set_len(star, (size_t)set);
        if (target < -1 || (target >= 0 && (size_t)target >= n))
            return brew_fail(err, BREW_DATA, "targets[%zu] is %d, its label set holds %zu", a,
                             (int)target, n);
        if (!isfinite(star->weights[a]) || star->weights[a] < 0)
            return brew_fail(err, BREW_DATA, "weights[%zu] is negative or not finite", a);
        if (!isfinite(star->offsets[a]))
            return brew_fail(err, BREW_DATA, "offsets[%zu] is not finite", a);
    }
    return 0;
}

int brew_star_check(const brew_star *star, size_t vocab, brew_err *err) {
    size_t n_labels = star->n_sets ? (size_t)star->label_splits[star->n_sets] : 0;
    if (check_splits(star->requests, star->n_requests, star->n_segments, 1, "requests", err) ||
        check_splits(star->segments, star->n_segments, star->n_ids, 0, "segments", err) ||
        check_splits(star->answer_splits, star->n_requests, star->n_answers, 0, "answer_splits",
                     err) ||
        check_splits(star->label_splits, star->n_sets, n_labels, 1, "label_splits", err) ||
        check_ids(star->ids, star->n_ids, vocab, "ids", err) ||
        check_ids(star->label_ids, n_labels, vocab, "label_ids", err))
        return -1;
    for (size_t r = 0; r < star->n_requests; r++)
        if (check_rows(star, r, err)) return -1;
    if (check_answers(star, err)) return -1;
    size_t lines = count_lines(&star->meta);
    if (lines != star->n_requests || (lines && star->meta.ptr[star->meta.len - 1] != '\n'))
        return brew_fail(err, BREW_DATA, "meta holds %zu lines, there are %zu requests", lines,
                         star->n_requests);
    return 0;
}
