#include "model/blocks.h"

#include <stdlib.h>

#include "base/mem.h"

// A checked star reads the last row of every item, then some rows of the query in ascending order: so
// items are computed whole, and the answers in order of rows are the query's, then the items'.
static void plan_request(brew_blocks *blocks, size_t r, bool all_rows) {
    const brew_star *star = blocks->star;
    int64_t query = star->requests[r], first_item = query + 1, end = star->requests[r + 1];
    int64_t items = end - first_item, longest = 0;
    size_t a = (size_t)star->answer_splits[r], history = a + (size_t)items;
    size_t stop = (size_t)star->answer_splits[r + 1], at = a;
    for (size_t h = history; h < stop; h++)
        blocks->readings[at++] = (brew_reading){star->answers[h], h, r};
    for (; a < history; a++) blocks->readings[at++] = (brew_reading){star->answers[a], a, r};
    if (items || all_rows)
        blocks->need[query] = brew_star_query_len(star, r);
    else if (stop > history)
        blocks->need[query] = star->answers[stop - 1] + 1 - star->segments[query];
    for (int64_t s = first_item; s < end; s++) {
        blocks->need[s] = star->segments[s + 1] - star->segments[s];
        if (blocks->need[s] > longest) longest = blocks->need[s];
    }
    if (longest > blocks->rows_cap) blocks->rows_cap = longest;
    if (blocks->need[query] + longest > blocks->positions)
        blocks->positions = blocks->need[query] + longest;
}

void brew_blocks_init(brew_blocks *blocks, const brew_star *star, int64_t rows, bool all_rows) {
    *blocks = (brew_blocks){.star = star, .rows = rows, .rows_cap = rows};
    blocks->need = brew_calloc(star->n_segments + 1, sizeof *blocks->need);
    blocks->readings = brew_calloc(star->n_answers + 1, sizeof *blocks->readings);
    for (size_t r = 0; r < star->n_requests; r++) plan_request(blocks, r, all_rows);
    int64_t total = 0;
    size_t used = 0;
    for (size_t s = 0; s < star->n_segments; s++) {
        total += blocks->need[s];
        used += blocks->need[s] > 0;
    }
    if (blocks->rows_cap > total) blocks->rows_cap = total;
    // A block holds at most one piece of any segment.
    blocks->spans_cap = used < (size_t)blocks->rows_cap ? used : (size_t)blocks->rows_cap;
    blocks->spans = brew_calloc(blocks->spans_cap + 1, sizeof *blocks->spans);
    blocks->span_starts = brew_calloc(blocks->spans_cap + 1, sizeof *blocks->span_starts);
    blocks->span_requests = brew_calloc(blocks->spans_cap + 1, sizeof *blocks->span_requests);
}

void brew_blocks_release(brew_blocks *blocks) {
    free(blocks->need);
    free(blocks->readings);
    free(blocks->spans);
    free(blocks->span_starts);
    free(blocks->span_requests);
    *blocks = (brew_blocks){0};
}

// Moves the cursor to the next segment with rows to compute; false at the end.
static bool seek(brew_blocks *blocks) {
    const brew_star *star = blocks->star;
    while (blocks->request < star->n_requests) {
        if (blocks->segment == star->requests[blocks->request + 1])
            blocks->request++;
        else if (blocks->offset < blocks->need[blocks->segment])
            return true;
        else {
            blocks->segment++;
            blocks->offset = 0;
        }
    }
    return false;
}

static void add_span(brew_blocks *blocks, int64_t rows) {
    const brew_star *star = blocks->star;
    size_t i = blocks->n_spans++;
    bool is_item = blocks->segment != star->requests[blocks->request];
    blocks->spans[i] = (brew_span){
        .row = blocks->n_rows,
        .rows = rows,
        .pos = is_item ? brew_star_query_len(star, blocks->request) : blocks->offset,
        .is_item = is_item,
    };
    blocks->span_starts[i] = star->segments[blocks->segment] + blocks->offset;
    blocks->span_requests[i] = blocks->request;
    blocks->n_rows += rows;
    blocks->offset += rows;
    int64_t end = blocks->span_starts[i] + rows;
    while (blocks->reading < star->n_answers && blocks->readings[blocks->reading].row < end) {
        blocks->reading++;
        blocks->n_readings++;
    }
}

bool brew_blocks_next(brew_blocks *blocks, brew_cache_bytes_fn *cache_bytes, void *arg,
                      size_t kv_budget) {
    const brew_star *star = blocks->star;
    blocks->n_spans = 0;
    blocks->n_rows = 0;
    blocks->first_reading = blocks->reading;
    blocks->n_readings = 0;
    size_t kv_used = 0;
    while (seek(blocks)) {
        int64_t left = blocks->rows - blocks->n_rows;
        int64_t query = star->requests[blocks->request];
        int64_t rows = blocks->need[blocks->segment] - blocks->offset;
        if (left <= 0) break;
        if (rows > left) {
            if (blocks->segment == query)
                rows = left;
            else if (blocks->n_rows > 0)
                break;
        }
        if (!blocks->n_spans || blocks->span_requests[blocks->n_spans - 1] != blocks->request) {
            size_t bytes = cache_bytes(arg, blocks->need[query]);
            if (blocks->n_spans && (bytes > kv_budget || kv_used > kv_budget - bytes)) break;
            kv_used = bytes > SIZE_MAX - kv_used ? SIZE_MAX : kv_used + bytes;
        }
        add_span(blocks, rows);
    }
    seek(blocks); // so that `request` is the next block's
    return blocks->n_spans > 0;
}

void brew_blocks_rewind(brew_blocks *blocks) {
    blocks->request = 0;
    blocks->segment = 0;
    blocks->offset = 0;
    blocks->reading = 0;
}
