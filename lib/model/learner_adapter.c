// Adapters of a learner: W + alpha / r B A in the weights' places, and the way back to A and B.
//
// The factors are small; what is done with them is done on the host, a few rows of the weight at a time:
//
//     forward    rows of W as stored -> + alpha / r B A -> the weight's place
//     backward   dW of the micro-batch -> rows -> dB += alpha / r dW A^T,  dA += alpha / r B^T dW
//
// Sums run over ascending rows or columns, whatever the threads.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/learner_parts.h"

enum { CHUNK_ROWS = 256, COLUMNS = 64, LANES = 16 };

static double scale(const brew_learner *learner) {
    return learner->options.lora.alpha / (double)learner->options.lora.rank;
}

// ---- where they lie ----

void brew_learner_lay_out_adapters(brew_learner *learner, int64_t *top) {
    const brew_config *c = &learner->config;
    const brew_lora *lora = &learner->options.lora;
    learner->adapters = brew_calloc((size_t)(c->layers * BREW_ROLES), sizeof *learner->adapters);
    for (int64_t l = 0; l < c->layers; l++)
        for (int role = BREW_FIRST_OF_LAYER; role < BREW_ROLES; role++) {
            if (!brew_lora_targets(lora, (enum brew_role)role)) continue;
            int64_t shape[2];
            brew_role_shape(c, (enum brew_role)role, shape);
            learner->adapters[learner->n_adapters++] =
                (brew_learner_adapter){.role = (enum brew_role)role,
                                       .layer = l,
                                       .a_at = brew_learner_take(top, lora->rank * shape[1]),
                                       .b_at = brew_learner_take(top, shape[0] * lora->rank)};
        }
}

// PEFT's name of a factor of the matrix in `base`: its module stands between PEFT's words.
static size_t add_factor(brew_learner *learner, const brew_learner_slot *base, char factor,
                         int64_t rows, int64_t cols, int64_t at) {
    brew_learner_slot *slot = &learner->slots[learner->n_slots];
    int module = (int)(strlen(base->name) - strlen(".weight"));
    *slot = (brew_learner_slot){.role = base->role, .layer = base->layer, .at = at};
    snprintf(slot->name, sizeof slot->name, "base_model.model.%.*s.lora_%c.weight", module,
             base->name, factor);
    slot->as = (brew_parameter){
        .name = slot->name, .n_dims = 2, .rows = rows, .cols = cols, .adapter = true};
    return learner->n_slots++;
}

void brew_learner_add_adapters(brew_learner *learner) {
    int64_t rank = learner->options.lora.rank;
    size_t slot = 0;
    for (size_t i = 0; i < learner->n_adapters; i++) {
        brew_learner_adapter *a = &learner->adapters[i];
        const brew_learner_slot *base = &learner->slots[slot];
        for (; base->role != a->role || base->layer != a->layer; base++) slot++;
        a->slot = slot;
        a->weight = base->weight;
        a->row = base->row;
        a->a = add_factor(learner, base, 'A', rank, base->as.cols, a->a_at);
        a->b = add_factor(learner, base, 'B', base->as.rows, rank, a->b_at);
    }
}

void brew_learner_release_adapters(brew_learner *learner) {
    for (size_t i = 0; i < learner->n_adapters; i++)
        brew_role_release(&learner->adapters[i].stored);
    free(learner->adapters);
    learner->adapters = NULL;
    learner->n_adapters = 0;
}

int64_t brew_learner_product_floats(const brew_learner *learner) {
    int64_t most = 0;
    for (size_t i = 0; i < learner->n_adapters; i++) {
        const brew_learner_weight *w = learner->adapters[i].weight;
        int64_t panels = (w->n + 31) / 32 * 32 * w->c;
        int64_t floats = learner->be
                             ? learner->be->ops->train->weight_floats(learner->be, w->n, w->c)
                             : panels; // the plan's: a CPU's
        if (floats > most) most = floats;
    }
    return most;
}

// ---- rows on the way ----

// One adapter at work: its factors, their gradients, and rows of its matrix.
struct work {
    brew_learner *learner;
    const brew_learner_adapter *adapter;
    int64_t rank, rows, cols; // of the matrix
    float scale;
    float *a, *b, *da, *db, *chunk; // [r, cols], [rows, r], the same, [CHUNK_ROWS, cols]
    int64_t first;                  // row of the chunk
    int64_t n;
};

static int64_t work_floats(int64_t rank, int64_t rows, int64_t cols) {
    return 2 * rank * (rows + cols) + CHUNK_ROWS * cols;
}

int64_t brew_learner_adapter_floats(const brew_learner *learner) {
    int64_t most = 0;
    for (size_t i = 0; i < learner->n_adapters; i++) {
        const brew_parameter *p = &learner->slots[learner->adapters[i].slot].as;
        int64_t floats = work_floats(learner->options.lora.rank, p->rows, p->cols);
        if (floats > most) most = floats;
    }
    return most;
}

// `host` holds brew_learner_adapter_floats.
static struct work begin(brew_learner *learner, const brew_learner_adapter *adapter, float *host) {
    const brew_parameter *p = &learner->slots[adapter->slot].as;
    int64_t rank = learner->options.lora.rank;
    struct work w = {.learner = learner,
                     .adapter = adapter,
                     .rank = rank,
                     .rows = p->rows,
                     .cols = p->cols,
                     .scale = (float)scale(learner)};
    w.a = host;
    w.da = w.a + rank * w.cols;
    w.b = w.da + rank * w.cols;
    w.db = w.b + w.rows * rank;
    w.chunk = w.db + w.rows * rank;
    brew_learner_get(learner, BREW_VALUES, adapter->a, 0, rank, w.a);
    brew_learner_get(learner, BREW_VALUES, adapter->b, 0, w.rows, w.b);
    return w;
}

// ---- forward ----

static void merge_row(void *arg, size_t task, int worker) {
    (void)worker;
    const struct work *w = arg;
    int64_t row = w->first + (int64_t)task;
    brew_lora_row(&w->adapter->stored, row, w->a, w->b + row * w->rank, w->rank, w->scale,
                  w->chunk + (int64_t)task * w->cols);
}

// The adapter of a matrix, or NULL.
static const brew_learner_adapter *adapter_of(const brew_learner *learner, size_t slot) {
    for (size_t i = 0; i < learner->n_adapters; i++)
        if (learner->adapters[i].slot == slot) return &learner->adapters[i];
    return NULL;
}

void brew_learner_merged_rows(const brew_learner *learner, size_t slot, int64_t first,
                              int64_t count, float *rows) {
    const brew_learner_adapter *adapter = adapter_of(learner, slot);
    const brew_learner_slot *at = &learner->slots[slot];
    brew_learner_adapter plain = {0};
    brew_err err;
    struct work w = {.adapter = adapter, .cols = at->as.cols, .first = first, .chunk = rows};
    if (adapter) {
        w.rank = learner->options.lora.rank;
        w.scale = (float)scale(learner);
        w.a = brew_alloc((size_t)(w.rank * (w.cols + at->as.rows)) * sizeof *w.a);
        w.b = w.a + w.rank * w.cols;
        brew_learner_get(learner, BREW_VALUES, adapter->a, 0, w.rank, w.a);
        brew_learner_get(learner, BREW_VALUES, adapter->b, 0, at->as.rows, w.b);
    } else {
        w.adapter = &plain;
        if (brew_role_find(&learner->config, learner->dir, at->role, at->layer, &plain.stored,
                           &err) < 0)
            brew_bug("%s: was there and is gone", at->name);
    }
    brew_pool_run(learner->be->pool, (size_t)count, merge_row, &w);
    brew_role_release(&plain.stored);
    free(w.a);
}

// Weight after weight through the one place there is.
static void merge_lean(brew_learner *learner, const brew_learner_weight *weight) {
    brew_backend *be = learner->be;
    bool any = !learner->settled;
    for (size_t i = 0; i < learner->n_adapters; i++) any |= learner->adapters[i].weight == weight;
    if (!any) return;
    be->ops->train->zero(be, learner->values + weight->at,
                         (size_t)be->ops->train->weight_floats(be, weight->n, weight->c) *
                             sizeof(float));
    float *rows = brew_alloc((size_t)(CHUNK_ROWS * weight->c) * sizeof *rows);
    for (size_t slot = 0; slot < learner->n_slots; slot++) {
        const brew_learner_slot *at = &learner->slots[slot];
        for (int64_t row = 0; at->weight == weight && row < at->as.rows; row += CHUNK_ROWS) {
            int64_t n = at->as.rows - row < CHUNK_ROWS ? at->as.rows - row : CHUNK_ROWS;
            brew_learner_merged_rows(learner, slot, row, n, rows);
            brew_learner_set(learner, BREW_VALUES, slot, row, n, rows);
        }
    }
    free(rows);
    be->ops->train->weight_refresh(be, weight->operand);
}

static void merge_all_lean(brew_learner *learner) {
    for (int64_t l = 0; l < learner->config.layers; l++) {
        const brew_learner_layer *layer = &learner->layers[l];
        merge_lean(learner, &layer->qkv);
        merge_lean(learner, &layer->out);
        merge_lean(learner, &layer->gate_up);
        merge_lean(learner, &layer->down);
    }
    for (size_t i = 0; i < learner->n_adapters; i++)
        brew_modeldir_forget(learner->dir, &learner->adapters[i].stored);
    learner->settled = true;
}

void brew_learner_merge(brew_learner *learner) {
    if (!learner->n_adapters) return;
    if (learner->lean) {
        merge_all_lean(learner);
        return;
    }
    float *host = brew_calloc((size_t)brew_learner_adapter_floats(learner), sizeof *host);
    for (size_t i = 0; i < learner->n_adapters; i++) {
        const brew_learner_adapter *adapter = &learner->adapters[i];
        struct work w = begin(learner, adapter, host);
        for (; w.first < w.rows; w.first += w.n) {
            w.n = w.rows - w.first < CHUNK_ROWS ? w.rows - w.first : CHUNK_ROWS;
            brew_pool_run(learner->be->pool, (size_t)w.n, merge_row, &w);
            brew_learner_set(learner, BREW_VALUES, adapter->slot, w.first, w.n, w.chunk);
        }
        brew_modeldir_forget(learner->dir, &adapter->stored);
    }
    free(host);
}

// ---- backward ----

// Lane by lane, then the lanes in order.
static float dot(const float *x, const float *y, int64_t n) {
    float lanes[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) lanes[k] += x[i + k] * y[i + k];
    for (int k = 0; k < LANES; k++) sum += lanes[k];
    for (; i < n; i++) sum += x[i] * y[i];
    return sum;
}

static void b_row(void *arg, size_t task, int worker) {
    (void)worker;
    const struct work *w = arg;
    float *db = w->db + (w->first + (int64_t)task) * w->rank;
    for (int64_t k = 0; k < w->rank; k++)
        db[k] += w->scale * dot(w->chunk + (int64_t)task * w->cols, w->a + k * w->cols, w->cols);
}

static void a_columns(void *arg, size_t task, int worker) {
    (void)worker;
    const struct work *w = arg;
    int64_t column = (int64_t)task * COLUMNS;
    int64_t n = w->cols - column < COLUMNS ? w->cols - column : COLUMNS;
    for (int64_t row = 0; row < w->n; row++)
        for (int64_t k = 0; k < w->rank; k++) {
            float factor = w->scale * w->b[(w->first + row) * w->rank + k];
            const float *dw = w->chunk + row * w->cols + column;
            float *da = w->da + k * w->cols + column;
            for (int64_t i = 0; i < n; i++) da[i] += factor * dw[i];
        }
}

static void adapter_back(brew_learner *learner, const brew_learner_adapter *adapter, float *host) {
    brew_backend *be = learner->be;
    const brew_learner_weight *weight = adapter->weight;
    struct work w = begin(learner, adapter, host);
    float *da = learner->gradients + adapter->a_at, *db = learner->gradients + adapter->b_at;
    size_t a_bytes = (size_t)(w.rank * w.cols) * sizeof(float),
           b_bytes = (size_t)(w.rows * w.rank) * sizeof(float);
    be->ops->download(be, w.da, da, a_bytes);
    be->ops->download(be, w.db, db, b_bytes);
    for (; w.first < w.rows; w.first += w.n) {
        w.n = w.rows - w.first < CHUNK_ROWS ? w.rows - w.first : CHUNK_ROWS;
        be->ops->train->weight_unpack(be, weight->n, weight->c, adapter->row + w.first, w.n,
                                      learner->product, w.chunk);
        brew_pool_run(be->pool, (size_t)w.n, b_row, &w);
        brew_pool_run(be->pool, (size_t)((w.cols + COLUMNS - 1) / COLUMNS), a_columns, &w);
    }
    be->ops->upload(be, da, w.da, a_bytes);
    be->ops->upload(be, db, w.db, b_bytes);
}

void brew_learner_adapters_back(brew_learner *learner, const brew_learner_weight *weight,
                                const float *dy, const float *x, int64_t m) {
    brew_backend *be = learner->be;
    float *host = NULL;
    for (size_t i = 0; i < learner->n_adapters; i++) {
        if (learner->adapters[i].weight != weight) continue;
        if (!host) {
            host = brew_calloc((size_t)brew_learner_adapter_floats(learner), sizeof *host);
            be->ops->train->matmul_dw(be, dy, x, m, weight->n, weight->c, learner->product, false);
        }
        adapter_back(learner, &learner->adapters[i], host);
    }
    free(host);
}

// ---- the start ----

// As PEFT begins: A uniform within 1 / sqrt(C) (He's bound for a slope of sqrt(5)), B 0.
int brew_learner_load_adapters(brew_learner *learner, brew_err *err) {
    for (size_t i = 0; i < learner->n_adapters; i++) {
        brew_learner_adapter *adapter = &learner->adapters[i];
        const brew_learner_slot *a = &learner->slots[adapter->a], *b = &learner->slots[adapter->b];
        if (brew_role_find(&learner->config, learner->dir, adapter->role, adapter->layer,
                           &adapter->stored, err) < 0)
            return -1;
        uint64_t stream = brew_hash64(a->name, strlen(a->name), 0);
        size_t n_a = (size_t)(a->as.rows * a->as.cols), n_b = (size_t)(b->as.rows * b->as.cols);
        double bound = 1 / sqrt((double)a->as.cols);
        float *values = brew_calloc(n_a, sizeof *values);
        for (size_t k = 0; k < n_a; k++)
            values[k] = (float)(bound * (2 * brew_rand_unit(learner->options.seed, stream, k) - 1));
        brew_learner_set(learner, BREW_VALUES, adapter->a, 0, a->as.rows, values);
        free(values);
        learner->be->ops->train->zero(learner->be, learner->values + b->at, n_b * sizeof(float));
    }
    return 0;
}
