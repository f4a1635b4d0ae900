#include "model/workspace.h"

#include <stdlib.h>

#include "base/mem.h"

static float *floats(brew_backend *be, int64_t rows, int64_t width, const char *what,
                     brew_err *err) {
    size_t bytes;
    if (!brew_mul((size_t)rows, (size_t)width, &bytes) || !brew_mul(bytes, sizeof(float), &bytes)) {
        brew_fail(err, BREW_INTERNAL, "%s of %lld rows do not fit memory", what, (long long)rows);
        return NULL;
    }
    return be->ops->alloc(be, bytes, what, err);
}

static int init(brew_workspace *ws, brew_backend *be, const brew_workspace_sizes *z,
                brew_err *err) {
    const brew_attention_shape *s = &z->shape;
    int64_t heads = s->heads * s->head_dim, qkv = heads + 2 * s->kv_heads * s->head_dim;
    if (!(ws->x = floats(be, z->rows, z->width, "activations", err)) ||
        !(ws->qkv = floats(be, z->rows, qkv, "queries, keys and values", err)) ||
        !(ws->picked = floats(be, z->read_rows, z->width, "answer rows", err)) ||
        !(ws->hidden = floats(be, z->read_rows, z->width, "answer rows", err)) ||
        !(ws->logits = floats(be, z->pairs, 1, "logits", err)) ||
        !(ws->lse = floats(be, z->read_rows, 1, "logits", err)) ||
        be->ops->operand_init(be, &ws->normed, z->rows, z->width, err) < 0 ||
        be->ops->operand_init(be, &ws->attended, z->rows, heads, err) < 0 ||
        be->ops->operand_init(be, &ws->read, z->read_rows, heads, err) < 0 ||
        be->ops->operand_init(be, &ws->mlp, z->rows, z->mlp, err) < 0 ||
        !(ws->attention = be->ops->attention_new(be, s, z->rows, (int64_t)z->spans, err)))
        return -1;
    size_t most = (size_t)(z->pairs > z->read_rows ? z->pairs : z->read_rows);
    ws->ids = brew_calloc((size_t)z->rows, sizeof *ws->ids);
    ws->wanted = brew_calloc((size_t)z->rows, 1);
    ws->row_list = brew_calloc((size_t)z->read_rows, sizeof *ws->row_list);
    ws->pair_rows = brew_calloc((size_t)z->pairs, sizeof *ws->pair_rows);
    ws->pair_ids = brew_calloc((size_t)z->pairs, sizeof *ws->pair_ids);
    ws->pair_splits = brew_calloc((size_t)z->read_rows + 1, sizeof *ws->pair_splits);
    ws->host = brew_calloc(most, sizeof *ws->host);
    ws->rows = z->rows;
    ws->read_rows = z->read_rows;
    ws->pairs = z->pairs;
    ws->spans = z->spans;
    return 0;
}

int brew_workspace_reserve(brew_workspace *ws, brew_backend *be, const brew_workspace_sizes *sizes,
                           brew_err *err) {
    if (ws->rows >= sizes->rows && ws->read_rows >= sizes->read_rows && ws->pairs >= sizes->pairs &&
        ws->spans >= sizes->spans)
        return 0;
    brew_workspace_sizes z = *sizes;
    if (z.rows < ws->rows) z.rows = ws->rows;
    if (z.read_rows < ws->read_rows) z.read_rows = ws->read_rows;
    if (z.pairs < ws->pairs) z.pairs = ws->pairs;
    if (z.spans < ws->spans) z.spans = ws->spans;
    brew_workspace_release(ws, be);
    if (init(ws, be, &z, err) == 0) return 0;
    brew_workspace_release(ws, be);
    return -1;
}

void brew_workspace_release(brew_workspace *ws, brew_backend *be) {
    float *device[] = {ws->x, ws->qkv, ws->picked, ws->hidden, ws->logits, ws->lse};
    for (size_t i = 0; i < sizeof device / sizeof *device; i++)
        if (device[i]) be->ops->free(be, device[i]);
    brew_operand *operands[] = {&ws->normed, &ws->attended, &ws->read, &ws->mlp};
    for (size_t i = 0; i < sizeof operands / sizeof *operands; i++)
        if (operands[i]->data) be->ops->operand_release(be, operands[i]);
    if (ws->attention) be->ops->attention_free(be, ws->attention);
    free(ws->ids);
    free(ws->wanted);
    free(ws->row_list);
    free(ws->pair_rows);
    free(ws->pair_ids);
    free(ws->pair_splits);
    free(ws->host);
    *ws = (brew_workspace){0};
}
