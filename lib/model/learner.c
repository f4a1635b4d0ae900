#include "model/learner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/learner_parts.h"
#include "model/weights.h"

// ---- reads ----

void brew_reads_reset(brew_reads *reads) {
    reads->n = 0;
}

void brew_reads_release(brew_reads *reads) {
    free(reads->rows);
    free(reads->splits);
    free(reads->ids);
    *reads = (brew_reads){0};
}

void brew_reads_add(brew_reads *reads, int64_t row, const int32_t *ids, size_t n) {
    BREW_GROW(reads->rows, reads->n + 1, reads->rows_cap);
    BREW_GROW(reads->splits, reads->n + 2, reads->splits_cap);
    if (!reads->n) reads->splits[0] = 0;
    int64_t from = reads->splits[reads->n];
    BREW_GROW(reads->ids, (size_t)from + n, reads->ids_cap);
    memcpy(reads->ids + from, ids, n * sizeof *ids);
    reads->rows[reads->n++] = row;
    reads->splits[reads->n] = from + (int64_t)n;
}

void brew_read_result_release(brew_read_result *result) {
    free(result->logits);
    free(result->rest);
    *result = (brew_read_result){0};
}

// ---- life ----

static int make_blocks(brew_learner *learner, brew_err *err) {
    brew_backend *be = learner->be;
    struct {
        float **block;
        int64_t floats;
        const char *what;
    } blocks[] = {{&learner->values, learner->n_values, "weights"},
                  {&learner->gradients, learner->n_learning, "gradients"},
                  {&learner->moments[0], learner->n_learning, "first moments"},
                  {&learner->moments[1], learner->n_learning, "second moments"}};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        *blocks[i].block =
            be->ops->alloc(be, (size_t)blocks[i].floats * sizeof(float), blocks[i].what, err);
        if (!*blocks[i].block) return -1;
    }
    int64_t floats = brew_learner_product_floats(learner);
    if (!floats) return 0;
    learner->product =
        be->ops->alloc(be, (size_t)floats * sizeof(float), "a weight's gradient", err);
    return learner->product ? 0 : -1;
}

static int make_weight(brew_learner *learner, brew_learner_weight *w, int64_t bias, brew_err *err) {
    w->operand = learner->be->ops->train->weight_learn(
        learner->be, w->n, w->c, brew_value(learner, w->at), brew_value(learner, bias), err);
    return w->operand ? 0 : -1;
}

static int make_table(brew_learner *learner, enum brew_role role, int64_t at, brew_table **table,
                      brew_err *err) {
    const brew_config *c = &learner->config;
    brew_tensor view = {.dtype = BREW_F32, .n_dims = 2, .shape = {c->vocab, c->width}};
    if (at >= 0)
        view.data = learner->values + at;
    else if (brew_role_find(c, learner->dir, role, 0, &view, err) < 0)
        return -1;
    learner->scales[role == BREW_HEAD] = view.row_scales;
    *table = learner->be->ops->table_new(learner->be, &view, err);
    return *table ? 0 : -1;
}

static int make_operands(brew_learner *learner, brew_err *err) {
    for (int64_t l = 0; l < learner->config.layers; l++) {
        brew_learner_layer *layer = &learner->layers[l];
        if (make_weight(learner, &layer->qkv, layer->qkv_bias, err) < 0 ||
            make_weight(learner, &layer->out, layer->out_bias, err) < 0 ||
            make_weight(learner, &layer->gate_up, -1, err) < 0 ||
            make_weight(learner, &layer->down, -1, err) < 0)
            return -1;
    }
    if (make_table(learner, BREW_EMBEDDING, learner->embedding_at, &learner->embedding, err) < 0)
        return -1;
    learner->head = learner->embedding;
    if (learner->config.tied) return 0;
    return make_table(learner, BREW_HEAD, learner->head_at, &learner->head, err);
}

brew_learner *brew_learner_open(const brew_modeldir *dir, brew_backend *be,
                                const brew_learner_options *options, brew_err *err) {
    if (!be->ops->train) {
        brew_fail(err, BREW_USAGE, "the %s backend cannot train", be->ops->name);
        return NULL;
    }
    brew_learner *learner = brew_calloc(1, sizeof *learner);
    learner->be = be;
    learner->options = *options;
    learner->dir = dir;
    if (brew_config_read(&learner->config, dir, err) < 0) {
        free(learner);
        return NULL;
    }
    learner->lean = options->lora.rank > 0 && be->precision == BREW_PRECISION_BF16;
    brew_learner_lay_out(learner, be->ops->train->weight_floats);
    if (make_blocks(learner, err) == 0 && brew_learner_load(learner, dir, err) == 0 &&
        make_operands(learner, err) == 0) {
        brew_learner_refresh(learner);
        return learner;
    }
    brew_err_context(err, "%s", brew_modeldir_name(dir));
    brew_learner_free(learner);
    return NULL;
}

void brew_learner_free(brew_learner *learner) {
    if (!learner) return;
    brew_backend *be = learner->be;
    brew_activations_release(learner);
    for (int64_t l = 0; l < learner->config.layers; l++) {
        brew_learner_layer *layer = &learner->layers[l];
        brew_weight *weights[] = {layer->qkv.operand, layer->out.operand, layer->gate_up.operand,
                                  layer->down.operand};
        for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
            if (weights[i]) be->ops->weight_free(be, weights[i]);
    }
    if (learner->head && learner->head != learner->embedding)
        be->ops->table_free(be, learner->head);
    if (learner->embedding) be->ops->table_free(be, learner->embedding);
    if (learner->rope) be->ops->rope_free(be, learner->rope);
    for (int i = 0; i < 2; i++) free((void *)(uintptr_t)learner->scales[i]);
    float *blocks[] = {learner->values, learner->gradients, learner->moments[0],
                       learner->moments[1], learner->product};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (blocks[i]) be->ops->free(be, blocks[i]);
    brew_learner_release_adapters(learner);
    free(learner->layers);
    free(learner->slots);
    brew_config_release(&learner->config);
    free(learner);
}

const brew_config *brew_learner_config(const brew_learner *learner) {
    return &learner->config;
}

// ---- steps ----

double brew_learner_norm(brew_learner *learner) {
    if (!learner->started) return 0;
    brew_backend *be = learner->be;
    return sqrt(be->ops->train->sum_squares(be, learner->gradients, learner->n_learning));
}

static void adamw(brew_learner *learner, const brew_adamw *step, int64_t from, int64_t to) {
    learner->be->ops->train->adamw(learner->be, step, learner->values + from,
                                   learner->gradients + from, learner->moments[0] + from,
                                   learner->moments[1] + from, to - from);
}

static void start_gradients(brew_learner *learner) {
    if (learner->started) return;
    learner->be->ops->train->zero(learner->be, learner->gradients,
                                  (size_t)learner->n_learning * sizeof(float));
    learner->started = true;
}

void brew_learner_update(brew_learner *learner, const brew_adamw *step) {
    start_gradients(learner);
    brew_adamw without_decay = *step;
    without_decay.decay = 0;
    adamw(learner, &without_decay, 0, learner->n_vectors);
    adamw(learner, step, learner->n_vectors, learner->n_learning);
    brew_learner_drop(learner);
    brew_learner_refresh(learner);
}

void brew_learner_drop(brew_learner *learner) {
    learner->started = learner->cleared = false;
}

void brew_learner_refresh(brew_learner *learner) {
    brew_backend *be = learner->be;
    brew_learner_merge(learner);
    for (int64_t l = 0; l < learner->config.layers && !learner->lean; l++) {
        brew_learner_layer *layer = &learner->layers[l];
        be->ops->train->weight_refresh(be, layer->qkv.operand);
        be->ops->train->weight_refresh(be, layer->out.operand);
        be->ops->train->weight_refresh(be, layer->gate_up.operand);
        be->ops->train->weight_refresh(be, layer->down.operand);
    }
}

// ---- parameters by name ----

size_t brew_learner_n(const brew_learner *learner) {
    return learner->n_slots;
}

const brew_parameter *brew_learner_parameter(const brew_learner *learner, size_t index) {
    return &learner->slots[index].as;
}

static float *store_block(const brew_learner *learner, enum brew_learner_store store) {
    switch (store) {
    case BREW_VALUES:
        return learner->values;
    case BREW_GRADIENTS:
        return learner->gradients;
    case BREW_MOMENTS_1:
        return learner->moments[0];
    case BREW_MOMENTS_2:
        return learner->moments[1];
    }
    brew_bug("no such store of a learner: %d", (int)store);
}

void brew_learner_get(const brew_learner *learner, enum brew_learner_store store, size_t index,
                      int64_t first, int64_t count, float *rows) {
    const brew_learner_slot *slot = &learner->slots[index];
    const brew_learner_weight *w = slot->weight;
    brew_backend *be = learner->be;
    float *block = store_block(learner, store);
    size_t bytes = (size_t)(count * slot->as.cols) * sizeof *rows;
    if (store != BREW_VALUES && slot->as.frozen)
        brew_bug("%s is frozen: it has values only", slot->as.name);
    bool stored = learner->n_adapters && (w ? learner->lean : slot->at < 0);
    if (store == BREW_GRADIENTS && !learner->started)
        memset(rows, 0, bytes);
    else if (stored)
        brew_learner_merged_rows(learner, index, first, count, rows);
    else if (w)
        be->ops->train->weight_unpack(be, w->n, w->c, slot->row + first, count, block + w->at,
                                      rows);
    else
        be->ops->download(be, rows, block + slot->at + first * slot->as.cols, bytes);
}

void brew_learner_set(brew_learner *learner, enum brew_learner_store store, size_t index,
                      int64_t first, int64_t count, const float *rows) {
    const brew_learner_slot *slot = &learner->slots[index];
    const brew_learner_weight *w = slot->weight;
    brew_backend *be = learner->be;
    float *block = store_block(learner, store);
    if (store != BREW_VALUES && slot->as.frozen)
        brew_bug("%s is frozen: it has values only", slot->as.name);
    if (store == BREW_GRADIENTS) start_gradients(learner);
    if (w)
        be->ops->train->weight_pack(be, w->n, w->c, slot->row + first, count, rows, block + w->at);
    else
        be->ops->upload(be, block + slot->at + first * slot->as.cols, rows,
                        (size_t)(count * slot->as.cols) * sizeof *rows);
}

int64_t brew_learner_n_learning(const brew_learner *learner) {
    return learner->n_learning;
}

void brew_learner_get_part(const brew_learner *learner, enum brew_learner_store store,
                           int64_t first, int64_t count, float *to) {
    size_t bytes = (size_t)count * sizeof *to;
    if (store == BREW_GRADIENTS && !learner->started)
        memset(to, 0, bytes);
    else
        learner->be->ops->download(learner->be, to, store_block(learner, store) + first, bytes);
}

void brew_learner_set_gradients(brew_learner *learner, int64_t first, int64_t count,
                                const float *from) {
    start_gradients(learner);
    learner->be->ops->upload(learner->be, learner->gradients + first, from,
                             (size_t)count * sizeof *from);
}
