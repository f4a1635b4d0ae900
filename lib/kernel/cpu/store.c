#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/cpu/cpu.h"

int64_t brew_cpu_kv_tile_bytes(const brew_backend *be, const brew_attention_shape *shape) {
    int64_t d = shape->head_dim;
    return BREW_KEY_TILE * (d + round_up(d, PANEL)) * element_bytes(brew_cpu_kernels(be));
}

brew_kv *brew_cpu_kv_new(brew_backend *be, const brew_attention_shape *shape, int64_t layers,
                         int64_t cap, brew_err *err) {
    if (brew_host_shape_check(shape, err) < 0) return NULL;
    brew_kv *kv = brew_calloc(1, sizeof *kv);
    float *data;
    kv->shape = *shape;
    kv->tiles = divide_up(cap, BREW_KEY_TILE);
    kv->tile_bytes = brew_cpu_kv_tile_bytes(be, shape);
    if (brew_host_floats(&data, layers * shape->kv_heads, kv->tiles, kv->tile_bytes / 4,
                         "keys and values", err) < 0) {
        free(kv);
        return NULL;
    }
    kv->data = (char *)data;
    return kv;
}

void brew_cpu_kv_free(brew_backend *be, brew_kv *kv) {
    if (!kv) return;
    brew_host_free(be, kv->data);
    free(kv);
}

size_t brew_cpu_kv_bytes(brew_backend *be, const brew_attention_shape *shape, int64_t layers,
                         int64_t cap) {
    return (size_t)(layers * shape->kv_heads * divide_up(cap, BREW_KEY_TILE) *
                    brew_cpu_kv_tile_bytes(be, shape));
}

static int new_store(char **out, int64_t heads, int64_t bytes, const char *what, brew_err *err) {
    float *data;
    if (brew_host_floats(&data, heads, bytes / 4, 1, what, err) < 0) return -1;
    *out = (char *)data;
    return 0;
}

void brew_cpu_attention_plan(brew_backend *be, const brew_attention_shape *shape, int64_t rows_cap,
                             int64_t spans_cap, brew_attention *at) {
    const struct brew_cpu_kernels *kernels = brew_cpu_kernels(be);
    int64_t group = shape->heads / shape->kv_heads, d = shape->head_dim;
    int64_t dp = round_up(d, PANEL), bytes = element_bytes(kernels);
    *at = (brew_attention){.shape = *shape, .group = group, .dp = dp};
    at->rows_cap = rows_cap;
    at->spans_cap = spans_cap;
    // an item's keys come in whole panels, its values in whole steps
    at->q_bytes = divide_up(rows_cap * group, TILE_ROWS) * tile_bytes(kernels, d);
    at->k_bytes = round_up((rows_cap + spans_cap * (PANEL - 1)) * d * bytes, 64);
    at->v_bytes = (rows_cap + spans_cap * (kernels->s - 1)) * dp * bytes;
    at->item_k = brew_calloc((size_t)spans_cap, sizeof *at->item_k);
    at->item_v = brew_calloc((size_t)spans_cap, sizeof *at->item_v);
}

brew_attention *brew_cpu_attention_new(brew_backend *be, const brew_attention_shape *shape,
                                       int64_t rows_cap, int64_t spans_cap, brew_err *err) {
    if (brew_host_shape_check(shape, err) < 0) return NULL;
    brew_attention *at = brew_alloc(sizeof *at);
    brew_cpu_attention_plan(be, shape, rows_cap, spans_cap, at);
    if (new_store(&at->q, shape->kv_heads, at->q_bytes, "queries", err) < 0 ||
        new_store(&at->k, shape->kv_heads, at->k_bytes, "keys of items", err) < 0 ||
        new_store(&at->v, shape->kv_heads, at->v_bytes, "values of items", err) < 0) {
        brew_cpu_attention_free(be, at);
        return NULL;
    }
    return at;
}

void brew_cpu_attention_free(brew_backend *be, brew_attention *at) {
    if (!at) return;
    brew_host_free(be, at->q);
    brew_host_free(be, at->k);
    brew_host_free(be, at->v);
    free(at->item_k);
    free(at->item_v);
    free(at->chunks);
    free(at);
}

struct heads_job {
    const struct brew_cpu_kernels *kernels;
    brew_attention *at;
    const brew_span *spans;
    size_t n_spans;
    int64_t layer, rows;
    const float *qkv, *q_gain, *k_gain;
    double eps;
    const brew_rope *rope;
};

// Key `index` of a tile: panels [D/s][32][s].
static void put_key(const struct heads_job *job, char *tile, int64_t index, const float *key,
                    int64_t d) {
    char elements[4 * BREW_MAX_HEAD_DIM];
    int64_t steps = divide_up(d, job->kernels->s);
    job->kernels->elements(key, d, elements);
    char *to = tile + index / PANEL * steps * 4 * PANEL + index % PANEL * 4;
    for (int64_t i = 0; i < steps; i++) memcpy(to + i * 4 * PANEL, elements + 4 * i, 4);
}

// Value `index` of a tile: panels [steps][32][s], `panel_bytes` apart; zeros for NULL.
static void put_value(const struct heads_job *job, char *tile, int64_t panel_bytes, int64_t index,
                      const float *value, int64_t d) {
    char elements[4 * BREW_MAX_HEAD_DIM] = {0};
    int64_t s = job->kernels->s, bytes = element_bytes(job->kernels);
    if (value) job->kernels->elements(value, d, elements);
    for (int64_t start = 0; start < d; start += PANEL) {
        char *to = tile + start / PANEL * panel_bytes + index / s * 4 * PANEL + index % s * bytes;
        for (int64_t i = start; i < least(start + PANEL, d); i++, to += 4)
            memcpy(to, elements + i * bytes, (size_t)bytes);
    }
}

// Where key and value `index` of a span go, for one kv head.
struct place {
    char *k, *v;
    int64_t index, v_panel_bytes;
};

static struct place find_place(const struct heads_job *job, size_t s, int64_t index, int64_t head) {
    const brew_attention *at = job->at;
    const brew_span *span = &job->spans[s];
    int64_t bytes = element_bytes(job->kernels), d = at->shape.head_dim;
    if (!span->is_item) {
        int64_t key = span->pos + index;
        char *tile = brew_cpu_kv_tile(span->query, job->layer, head, key / BREW_KEY_TILE);
        return (struct place){tile, tile + BREW_KEY_TILE * d * bytes, key % BREW_KEY_TILE,
                              BREW_KEY_TILE * PANEL * bytes};
    }
    int64_t tile = index / BREW_KEY_TILE;
    int64_t keys = least(BREW_KEY_TILE, span->rows - tile * BREW_KEY_TILE);
    return (struct place){brew_cpu_item_keys(job->kernels, at, s, head, tile),
                          brew_cpu_item_values(job->kernels, at, s, head, tile),
                          index % BREW_KEY_TILE, round_up(keys, job->kernels->s) * PANEL * bytes};
}

// One head of a row as it is stored.
static const float *turn(const struct heads_job *job, const float *x, const float *gain,
                         int64_t pos, float *out) {
    if (!job->rope) return x;
    int64_t d = job->at->shape.head_dim, at = pos * (d / 2);
    job->kernels->turn(x, d, gain, job->eps, job->rope->cos + at, job->rope->sin + at, out);
    return out;
}

static void put_row(const struct heads_job *job, size_t s, int64_t index) {
    const struct brew_cpu_kernels *kernels = job->kernels;
    const brew_attention *at = job->at;
    const brew_span *span = &job->spans[s];
    int64_t d = at->shape.head_dim, heads = at->shape.heads, kv_heads = at->shape.kv_heads;
    int64_t row = span->row + index, pos = span->pos + index;
    const float *q = job->qkv + row * (heads + 2 * kv_heads) * d;
    const float *k = q + heads * d, *v = k + kv_heads * d;
    float turned[BREW_MAX_HEAD_DIM];
    for (int64_t h = 0; h < heads; h++) {
        int64_t stacked = row * at->group + h % at->group;
        char *tile =
            at->q + h / at->group * at->q_bytes + stacked / TILE_ROWS * tile_bytes(kernels, d);
        kernels->put(tile, (int)(stacked % TILE_ROWS), 0,
                     turn(job, q + h * d, job->q_gain, pos, turned), d);
    }
    for (int64_t h = 0; h < kv_heads; h++) {
        struct place place = find_place(job, s, index, h);
        put_key(job, place.k, place.index, turn(job, k + h * d, job->k_gain, pos, turned), d);
        put_value(job, place.v, place.v_panel_bytes, place.index, v + h * d, d);
        // the last step's other half must be zero: whatever lay there may be NaN, and 0 * NaN is NaN
        if (index == span->rows - 1 && (place.index + 1) % kernels->s)
            put_value(job, place.v, place.v_panel_bytes, place.index + 1, NULL, d);
    }
}

enum { HEADS_ROWS = 24 };

static void heads_task(void *arg, size_t task, int worker) {
    (void)worker;
    const struct heads_job *job = arg;
    int64_t row = (int64_t)task * HEADS_ROWS, end = least(row + HEADS_ROWS, job->rows);
    size_t s = 0, past = job->n_spans; // the span that holds the row
    while (past - s > 1) {
        size_t middle = s + (past - s) / 2;
        if (job->spans[middle].row <= row)
            s = middle;
        else
            past = middle;
    }
    for (; row < end; row++) {
        if (row >= job->spans[s].row + job->spans[s].rows) s++;
        put_row(job, s, row - job->spans[s].row);
    }
}

void brew_cpu_heads(brew_backend *be, brew_attention *at, const brew_span *spans, size_t n_spans,
                    int64_t layer, const float *qkv, const float *q_gain, const float *k_gain,
                    double eps, const brew_rope *rope) {
    const struct brew_cpu_kernels *kernels = brew_cpu_kernels(be);
    if (!n_spans) return;
    int64_t bytes = element_bytes(kernels), k = 0, v = 0;
    for (size_t s = 0; s < n_spans; s++) {
        at->item_k[s] = k;
        at->item_v[s] = v;
        if (!spans[s].is_item) continue;
        k += round_up(spans[s].rows, PANEL) * at->shape.head_dim * bytes;
        v += round_up(spans[s].rows, kernels->s) * at->dp * bytes;
    }
    const brew_span *last = &spans[n_spans - 1];
    struct heads_job job = {kernels, at,     spans,  n_spans, layer, last->row + last->rows,
                            qkv,     q_gain, k_gain, eps,     rope};
    brew_cpu_run(be, (size_t)divide_up(job.rows, HEADS_ROWS), heads_task, &job);
}
