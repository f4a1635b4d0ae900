// The forward pass: blocks outside, layers inside.
//
// A block's rows go through all layers before the next block starts, so memory is that of one block
// plus the query caches of the requests in it. In the last layer every row still gives its keys and
// values (later rows may read them), but attention, output projection and MLP run for the rows that are
// read only, and not at all in a block without any; unless all rows are asked for.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/train_ops.h"
#include "model/blocks.h"
#include "model/topk.h"
#include "model/weights.h"

enum { DEFAULT_BLOCK_ROWS = 2048 };
static const size_t KV_BUDGET = (size_t)256
                                << 20; // bytes of query caches in a block, beyond the first

typedef struct pass {
    brew_model *model;
    brew_backend *be;
    const brew_ops *ops;
    const brew_star *star;
    brew_blocks blocks;
    brew_attention_shape shape;
    struct cache {
        brew_kv *kv;
        size_t request;
    } * caches; // of the requests in the block
    size_t n_caches, caches_cap;
    brew_kv *empty; // for requests without a query
    bool with_lse, with_rest;
    int64_t topk;
    const bool *skip; // [L] or NULL
    int64_t last;     // the last layer that is not skipped
    bool all_rows, absent;
    brew_probe_fn *probe;
    void *probe_arg;
    unsigned probes;
    const uint8_t *probe_rows;
    float *probed; // [n_seen, width], grown
    // The rows that are shown: of the block or of those read of it, and of the star.
    int64_t *list, *rows, n_seen;
    size_t probed_cap, list_cap, rows_cap;
    brew_forward_result *result;
} pass;

void brew_forward_result_release(brew_forward_result *result) {
    free(result->label_logits);
    free(result->logit_splits);
    free(result->lse);
    free(result->rest);
    free(result->absent_logits);
    free(result->topk_ids);
    free(result->topk_logits);
    free(result->topk_rest);
    *result = (brew_forward_result){0};
}

static size_t cache_bytes(void *arg, int64_t query_len) {
    pass *p = arg;
    if (query_len == 0) return 0;
    return p->ops->kv_bytes(p->be, &p->shape, p->model->config.layers, query_len);
}

static int check(const brew_model *model, const brew_star *star, brew_err *err) {
    if (brew_star_check(star, (size_t)model->config.vocab, err) < 0) return -1;
    for (size_t r = 0; r < star->n_requests; r++)
        if (brew_star_span(star, r) > model->config.context)
            return brew_fail(err, BREW_DATA,
                             "request %zu spans %lld tokens (query and longest item), the model's "
                             "context is %lld",
                             r, (long long)brew_star_span(star, r),
                             (long long)model->config.context);
    return 0;
}

static void result_init(const pass *p) {
    const brew_star *star = p->star;
    brew_forward_result *result = p->result;
    BREW_GROW(result->logit_splits, star->n_answers + 1, result->splits_cap);
    int64_t total = 0;
    for (size_t a = 0; a < star->n_answers; a++) {
        result->logit_splits[a] = total;
        total += brew_star_labels(star, a);
    }
    result->logit_splits[star->n_answers] = total;
    BREW_GROW(result->label_logits, (size_t)total + 1, result->label_logits_cap);
    if (p->with_lse) BREW_GROW(result->lse, star->n_answers + 1, result->lse_cap);
    if (p->with_rest) BREW_GROW(result->rest, star->n_answers + 1, result->rest_cap);
    if (p->absent)
        BREW_GROW(result->absent_logits, (size_t)(total * p->model->config.layers) + 1,
                  result->absent_cap);
    if (!p->topk) return;
    size_t top = star->n_answers * (size_t)p->topk + 1;
    BREW_GROW(result->topk_ids, top, result->topk_ids_cap);
    BREW_GROW(result->topk_logits, top, result->topk_logits_cap);
    BREW_GROW(result->topk_rest, star->n_answers + 1, result->topk_rest_cap);
}

// Frees the caches of finished requests, all of them if `all`.
static void drop_caches(pass *p, bool all) {
    size_t kept = 0;
    for (size_t i = 0; i < p->n_caches; i++)
        if (!all && p->caches[i].request == p->blocks.request)
            p->caches[kept++] = p->caches[i];
        else
            p->ops->kv_free(p->be, p->caches[i].kv);
    p->n_caches = kept;
}

// Gives every span its request's query cache, made when the request first appears.
static int set_caches(pass *p, brew_err *err) {
    brew_blocks *b = &p->blocks;
    for (size_t i = 0; i < b->n_spans; i++) {
        size_t r = b->span_requests[i];
        int64_t len = b->need[p->star->requests[r]];
        brew_kv **kv = &p->empty;
        if (len > 0) {
            if (!p->n_caches || p->caches[p->n_caches - 1].request != r) {
                BREW_GROW(p->caches, p->n_caches + 1, p->caches_cap);
                p->caches[p->n_caches++] = (struct cache){NULL, r};
            }
            kv = &p->caches[p->n_caches - 1].kv;
        }
        if (!*kv)
            *kv = p->ops->kv_new(p->be, &p->shape, p->model->config.layers, len > 0 ? len : 1, err);
        if (!*kv) {
            p->n_caches -= len > 0;
            return -1;
        }
        b->spans[i].query = *kv;
    }
    return 0;
}

// The block's ids, and which of its rows are read; returns how many.
static int64_t fill_rows(pass *p) {
    const brew_blocks *b = &p->blocks;
    brew_workspace *ws = &p->model->workspace;
    const brew_reading *reading = b->readings + b->first_reading, *end = reading + b->n_readings;
    int64_t n_read = 0;
    memset(ws->wanted, 0, (size_t)b->n_rows);
    for (size_t i = 0; i < b->n_spans; i++) {
        const brew_span *span = &b->spans[i];
        memcpy(ws->ids + span->row, p->star->ids + b->span_starts[i],
               (size_t)span->rows * sizeof *ws->ids);
        for (; reading < end && reading->row < b->span_starts[i] + span->rows; reading++) {
            int64_t row = span->row + reading->row - b->span_starts[i];
            ws->row_list[n_read++] = row;
            ws->wanted[row] = 1;
        }
    }
    return n_read;
}

static void see_row(pass *p, int64_t row, int64_t of_star, uint8_t bit) {
    if (p->probe_rows && !(p->probe_rows[of_star] & bit)) return;
    p->list[p->n_seen] = row;
    p->rows[p->n_seen++] = of_star;
}

// Which rows a probe of the block sees: of all, or of those read.
static void list_rows(pass *p, bool read) {
    const brew_blocks *b = &p->blocks;
    if (!p->probe) return;
    BREW_GROW(p->list, (size_t)b->n_rows, p->list_cap);
    BREW_GROW(p->rows, (size_t)b->n_rows, p->rows_cap);
    p->n_seen = 0;
    for (size_t i = 0; !read && i < b->n_spans; i++)
        for (int64_t k = 0; k < b->spans[i].rows; k++)
            see_row(p, b->spans[i].row + k, b->span_starts[i] + k, 1);
    for (size_t i = 0; read && i < b->n_readings; i++)
        see_row(p, (int64_t)i, b->readings[b->first_reading + i].row, 2);
}

// Hands rows of an operand, or rows of F32, to whoever wants to look at them.
static void show(pass *p, int64_t layer, enum brew_probe what, const brew_operand *a,
                 const float *x, int64_t width) {
    if (!p->probe || !(p->probes & what) || !p->n_seen) return;
    BREW_GROW(p->probed, (size_t)(p->n_seen * width), p->probed_cap);
    if (a)
        p->ops->train->operand_rows(p->be, a, p->list, p->n_seen, p->probed);
    else
        p->ops->gather(p->be, x, width, p->list, p->n_seen, p->probed);
    brew_probed seen = {layer, what, p->probed, p->rows, p->n_seen, width};
    p->probe(p->probe_arg, &seen);
}

static void run_mlp(pass *p, int64_t l, float *x, int64_t m) {
    const brew_config *c = &p->model->config;
    const brew_layer *layer = &p->model->layers[l];
    brew_workspace *ws = &p->model->workspace;
    show(p, l, BREW_PROBE_BETWEEN, NULL, x, c->width);
    p->ops->norm(p->be, x, m, c->width, layer->mlp_gain, c->norm_eps, &ws->normed);
    p->ops->quantise(p->be, &ws->normed, m, layer->gate_up);
    p->ops->matmul_swiglu(p->be, &ws->normed, m, layer->gate_up, &ws->mlp);
    show(p, l, BREW_PROBE_MLP, &ws->mlp, NULL, c->mlp);
    p->ops->quantise(p->be, &ws->mlp, m, layer->down);
    p->ops->matmul(p->be, &ws->mlp, m, layer->down, x, true);
    show(p, l, BREW_PROBE_RESIDUAL, NULL, x, c->width);
}

// One layer, over all rows of the block; or, of the last, only what the rows read need of it, whose residual
// stream it leaves in ws->picked.
static void run_layer(pass *p, int64_t l, bool last, int64_t n_read) {
    const brew_config *c = &p->model->config;
    const brew_blocks *b = &p->blocks;
    const brew_layer *layer = &p->model->layers[l];
    const brew_ops *ops = p->ops;
    brew_workspace *ws = &p->model->workspace;
    double scale = 1 / sqrt((double)c->head_dim);
    int64_t window = c->layer_windowed[l] ? c->window : 0;
    ops->norm(p->be, ws->x, b->n_rows, c->width, layer->attn_gain, c->norm_eps, &ws->normed);
    ops->quantise(p->be, &ws->normed, b->n_rows, layer->qkv);
    ops->matmul(p->be, &ws->normed, b->n_rows, layer->qkv, ws->qkv, false);
    ops->heads(p->be, ws->attention, b->spans, b->n_spans, l, ws->qkv, layer->q_gain, layer->k_gain,
               c->norm_eps, p->model->rope);
    if (last && !n_read) return;
    ops->attend(p->be, ws->attention, b->spans, b->n_spans, l, scale, window,
                last ? ws->wanted : NULL, &ws->attended);
    if (!last) {
        show(p, l, BREW_PROBE_ATTENDED, &ws->attended, NULL, ws->attended.width);
        ops->quantise(p->be, &ws->attended, b->n_rows, layer->out);
        ops->matmul(p->be, &ws->attended, b->n_rows, layer->out, ws->x, true);
        run_mlp(p, l, ws->x, b->n_rows);
        return;
    }
    ops->gather_operand(p->be, &ws->attended, ws->row_list, n_read, &ws->read);
    ops->gather(p->be, ws->x, c->width, ws->row_list, n_read, ws->picked);
    list_rows(p, true);
    show(p, l, BREW_PROBE_ATTENDED, &ws->read, NULL, ws->read.width);
    ops->quantise(p->be, &ws->read, n_read, layer->out);
    ops->matmul(p->be, &ws->read, n_read, layer->out, ws->picked, true);
    run_mlp(p, l, ws->picked, n_read);
}

static void embed(pass *p) {
    brew_workspace *ws = &p->model->workspace;
    list_rows(p, false);
    p->ops->embed(p->be, p->model->embedding, ws->ids, p->blocks.n_rows, ws->x);
    show(p, -1, BREW_PROBE_RESIDUAL, NULL, ws->x, p->model->config.width);
}

// Layer `from` and those behind it. Leaves the final residual stream of the rows read in ws->picked.
static void run_layers(pass *p, int64_t from, int64_t n_read) {
    const brew_config *c = &p->model->config;
    brew_workspace *ws = &p->model->workspace;
    for (int64_t l = from; l < c->layers; l++) {
        bool last = l == p->last && !p->all_rows;
        if (p->skip && p->skip[l]) continue;
        run_layer(p, l, last, n_read);
        if (last) return;
    }
    p->ops->gather(p->be, ws->x, c->width, ws->row_list, n_read, ws->picked);
}

// The log-sum-exp of the rows read, without their labels if `rest`, to each answer's place.
static int run_lse(pass *p, int64_t n_read, bool rest, float *to, brew_err *err) {
    const brew_blocks *b = &p->blocks;
    brew_workspace *ws = &p->model->workspace;
    p->ops->head_lse(p->be, p->model->head, ws->hidden, n_read, p->model->config.width,
                     rest ? ws->pair_splits : NULL, rest ? ws->pair_ids : NULL, ws->lse);
    p->ops->download(p->be, ws->host, ws->lse, (size_t)n_read * sizeof(float));
    for (size_t i = 0; i < b->n_readings; i++) {
        if (!(ws->host[i] < INFINITY))
            return brew_fail(err, BREW_DATA, "the model computes a logit that is not finite");
        to[b->readings[b->first_reading + i].answer] = ws->host[i];
    }
    return 0;
}

// The largest logits of the rows read, to each answer's place.
static int run_topk(pass *p, int64_t n_read, brew_err *err) {
    const brew_config *c = &p->model->config;
    const brew_blocks *b = &p->blocks;
    brew_workspace *ws = &p->model->workspace;
    brew_forward_result *result = p->result;
    size_t k = (size_t)p->topk, n = (size_t)n_read * k;
    brew_topk top = {p->topk, brew_realloc_array(NULL, n, sizeof *top.ids),
                     brew_realloc_array(NULL, n, sizeof *top.logits),
                     brew_realloc_array(NULL, (size_t)n_read, sizeof *top.rest)};
    int rc = brew_topk_find(p->be, p->model->head, c->vocab, ws->hidden, n_read, c->width,
                            ws->pair_splits, ws->pair_ids, &top, err);
    for (size_t i = 0; i < b->n_readings && !rc; i++) {
        size_t a = b->readings[b->first_reading + i].answer;
        memcpy(result->topk_ids + a * k, top.ids + i * k, k * sizeof *top.ids);
        memcpy(result->topk_logits + a * k, top.logits + i * k, k * sizeof *top.logits);
        result->topk_rest[a] = top.rest[i];
        bool good = top.rest[i] < INFINITY;
        for (size_t j = 0; j < k; j++) good &= !!isfinite(top.logits[i * k + j]);
        if (!good) rc = brew_fail(err, BREW_DATA, "the model computes a logit that is not finite");
    }
    free(top.ids);
    free(top.logits);
    free(top.rest);
    return rc;
}

// Final norm and label logits of the rows read, to each answer's place among `to`.
static int run_labels(pass *p, int64_t n_read, float *to, brew_err *err) {
    const brew_config *c = &p->model->config;
    const brew_star *star = p->star;
    const brew_blocks *b = &p->blocks;
    brew_workspace *ws = &p->model->workspace;
    p->ops->norm_rows(p->be, ws->picked, n_read, c->width, p->model->final_gain, c->norm_eps,
                      ws->hidden);
    int64_t n = 0;
    for (size_t i = 0; i < b->n_readings; i++) {
        int32_t set = star->answer_set[b->readings[b->first_reading + i].answer];
        for (int64_t k = star->label_splits[set]; k < star->label_splits[set + 1]; k++, n++) {
            ws->pair_rows[n] = (int64_t)i;
            ws->pair_ids[n] = star->label_ids[k];
        }
        ws->pair_splits[i + 1] = n;
    }
    p->ops->label_logits(p->be, p->model->head, ws->hidden, c->width, ws->pair_rows, ws->pair_ids,
                         n, ws->logits);
    p->ops->download(p->be, ws->host, ws->logits, (size_t)n * sizeof(float));
    const float *from = ws->host;
    for (size_t i = 0; i < b->n_readings; i++) {
        size_t a = b->readings[b->first_reading + i].answer;
        int64_t count = brew_star_labels(star, a);
        for (int64_t k = 0; k < count; k++)
            if (!isfinite(from[k]))
                return brew_fail(err, BREW_DATA, "the model computes a logit that is not finite");
        memcpy(to + p->result->logit_splits[a], from, (size_t)count * sizeof *from);
        from += count;
    }
    return 0;
}

// And log-sum-exp, away into the result.
static int run_head(pass *p, int64_t n_read, brew_err *err) {
    brew_forward_result *result = p->result;
    if (run_labels(p, n_read, result->label_logits, err)) return -1;
    if (p->with_lse && run_lse(p, n_read, false, result->lse, err)) return -1;
    if (p->with_rest && run_lse(p, n_read, true, result->rest, err)) return -1;
    return p->topk ? run_topk(p, n_read, err) : 0;
}

// The block, as run_layers and run_head do it; and again behind each layer as if it were not there. The query caches
// of later layers are then written over, each in its turn.
static int run_absent(pass *p, int64_t n_read, brew_err *err) {
    const brew_config *c = &p->model->config;
    brew_workspace *ws = &p->model->workspace;
    size_t bytes = (size_t)(p->blocks.n_rows * c->width) * sizeof(float);
    int64_t labels = p->result->logit_splits[p->star->n_answers];
    float *kept = brew_realloc_array(NULL, bytes, 1);
    int status = 0;
    for (int64_t l = 0; l < c->layers && !status; l++) {
        p->ops->download(p->be, kept, ws->x, bytes);
        run_layers(p, l + 1, n_read);
        status = run_labels(p, n_read, p->result->absent_logits + l * labels, err);
        p->ops->upload(p->be, ws->x, kept, bytes);
        run_layer(p, l, l == p->last, n_read);
    }
    free(kept);
    return status;
}

// The most rows read, and label logits, that a block of this cut can hold.
static int reserve(pass *p, brew_err *err) {
    const brew_config *c = &p->model->config;
    brew_blocks *b = &p->blocks;
    brew_workspace_sizes sizes = {.rows = b->rows_cap,
                                  .spans = b->spans_cap,
                                  .width = c->width,
                                  .mlp = c->mlp,
                                  .read_rows = 1,
                                  .pairs = 1,
                                  .shape = p->shape};
    // A dry run over the blocks: cutting costs next to nothing.
    while (brew_blocks_next(b, cache_bytes, p, KV_BUDGET)) {
        int64_t pairs = 0, rows = (int64_t)b->n_readings;
        for (size_t i = 0; i < b->n_readings; i++)
            pairs += brew_star_labels(p->star, b->readings[b->first_reading + i].answer);
        if (pairs > sizes.pairs) sizes.pairs = pairs;
        if (rows > sizes.read_rows) sizes.read_rows = rows;
    }
    brew_blocks_rewind(b);
    return brew_workspace_reserve(&p->model->workspace, p->be, &sizes, err);
}

static int run_blocks(pass *p, brew_err *err) {
    if (p->blocks.rows_cap == 0) return 0; // nothing is read
    brew_model *model = p->model;
    if (brew_rope_reserve(p->be, &model->config, p->blocks.positions, &model->rope,
                          &model->rope_positions, err) < 0 ||
        reserve(p, err) < 0)
        return -1;
    while (brew_blocks_next(&p->blocks, cache_bytes, p, KV_BUDGET)) {
        if (set_caches(p, err) < 0) return -1;
        int64_t n_read = fill_rows(p);
        embed(p);
        if (p->absent) {
            if (run_absent(p, n_read, err) < 0) return -1;
        } else
            run_layers(p, 0, n_read);
        if (n_read && run_head(p, n_read, err) < 0) return -1;
        drop_caches(p, false);
    }
    return 0;
}

int brew_model_forward(brew_model *model, const brew_star *star,
                       const brew_forward_options *options, brew_forward_result *result,
                       brew_err *err) {
    if (check(model, star, err) < 0) return -1;
    const brew_config *c = &model->config;
    pass p = {.model = model,
              .be = model->be,
              .ops = model->be->ops,
              .star = star,
              .shape = {c->heads, c->kv_heads, c->head_dim},
              .with_lse = options && options->with_lse,
              .with_rest = options && options->with_rest,
              .result = result};
    int64_t rows = options && options->block_rows > 0 ? options->block_rows : DEFAULT_BLOCK_ROWS;
    if (options) {
        p.skip = options->skip;
        p.topk = options->topk;
        p.probe = options->probe;
        p.probe_arg = options->probe_arg;
        p.probes = options->probes;
        p.probe_rows = options->probe_rows;
        p.all_rows = options->all_rows;
        p.absent = options->each_absent;
        if (p.absent) rows = star->n_ids ? (int64_t)star->n_ids : 1; // one block
    }
    p.last = c->layers - 1;
    while (p.last > 0 && p.skip && p.skip[p.last]) p.last--;
    result_init(&p);
    brew_blocks_init(&p.blocks, star, rows, p.all_rows);
    int status = run_blocks(&p, err);
    drop_caches(&p, true);
    free(p.caches);
    free(p.probed);
    free(p.list);
    free(p.rows);
    if (p.empty) p.ops->kv_free(p.be, p.empty);
    brew_blocks_release(&p.blocks);
    return status;
}
