#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/cpu/train.h"

// Every segment as a span, every query with a cache of its own in the working memory.
static brew_span *new_spans(const brew_layout *layout, brew_kv *kvs, size_t *n_spans) {
    size_t most_spans = (size_t)layout->requests[layout->n_requests];
    brew_span *spans = brew_calloc(most_spans + 1, sizeof *spans);
    *n_spans = 0;
    for (size_t r = 0; r < layout->n_requests; r++) {
        int64_t first = layout->requests[r];
        int64_t query = layout->segments[first + 1] - layout->segments[first];
        for (int64_t s = first; s < layout->requests[r + 1]; s++) {
            int64_t row = layout->segments[s], rows = layout->segments[s + 1] - row;
            if (rows)
                spans[(*n_spans)++] =
                    (brew_span){row, rows, s == first ? 0 : query, &kvs[r], s > first};
        }
    }
    return spans;
}

// Sets the caches' sizes; how many tiles they have together.
static int64_t plan_kvs(const brew_backend *be, const brew_attention_shape *shape,
                        const brew_layout *layout, brew_kv *kvs) {
    int64_t tiles = 0;
    for (size_t r = 0; r < layout->n_requests; r++) {
        const int64_t *query = layout->segments + layout->requests[r];
        kvs[r].shape = *shape;
        kvs[r].tiles = divide_up(query[1] - query[0], BREW_KEY_TILE);
        kvs[r].tile_bytes = brew_cpu_kv_tile_bytes(be, shape);
        tiles += shape->kv_heads * kvs[r].tiles;
    }
    return tiles;
}

static void clear_unwanted(const struct brew_cpu_kernels *kernels, const uint8_t *wanted,
                           int64_t rows, brew_operand *out) {
    int64_t bytes = tile_bytes(kernels, out->width);
    for (int64_t row = 0; wanted && row < rows; row++) {
        if (wanted[row]) continue;
        char *lane = (char *)out->data + row / TILE_ROWS * bytes + row % TILE_ROWS * 4;
        for (int64_t at = 0; at < bytes; at += 4 * TILE_ROWS) memset(lane + at, 0, 4);
    }
}

void brew_cpu_attend_keep(brew_backend *be, const brew_attention_shape *shape,
                          const brew_layout *layout, double scale, int64_t window,
                          const uint8_t *wanted, const float *qkv, brew_operand *out, float *lse) {
    size_t n_spans;
    int64_t rows = layout->segments[layout->requests[layout->n_requests]];
    brew_kv *kvs = brew_calloc(layout->n_requests + 1, sizeof *kvs);
    int64_t tiles = plan_kvs(be, shape, layout, kvs), tile = brew_cpu_kv_tile_bytes(be, shape);
    brew_span *spans = new_spans(layout, kvs, &n_spans);
    brew_attention at;
    brew_cpu_attention_plan(be, shape, rows, (int64_t)n_spans, &at);
    int64_t kv_heads = shape->kv_heads;
    int64_t common = kv_heads * (at.q_bytes + at.k_bytes + at.v_bytes) + tiles * tile + 4 * 64;
    char *memory = brew_cpu_shared(be, common);
    at.q = brew_cpu_carve(&memory, kv_heads * at.q_bytes);
    at.k = brew_cpu_carve(&memory, kv_heads * at.k_bytes);
    at.v = brew_cpu_carve(&memory, kv_heads * at.v_bytes);
    for (size_t r = 0; r < layout->n_requests; r++)
        kvs[r].data = brew_cpu_carve(&memory, kv_heads * kvs[r].tiles * tile);
    brew_cpu_heads(be, &at, spans, n_spans, 0, qkv, NULL, NULL, 0, NULL);
    brew_cpu_attend_with_lse(be, &at, spans, n_spans, 0, scale, window, wanted, out, lse);
    clear_unwanted(brew_cpu_kernels(be), wanted, rows, out);
    free(at.item_k);
    free(at.item_v);
    free(at.chunks);
    free(spans);
    free(kvs);
}
