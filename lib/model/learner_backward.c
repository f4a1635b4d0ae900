// The backward pass, layer by layer from the reads to the embedding.
//
// The first micro-batch of a step overwrites the weights' gradients; those of vectors, tables and adapters,
// into which is added, are zeroed before it.
#include <math.h>

#include "model/learner_parts.h"

static void start(brew_learner *learner) {
    brew_backend *be = learner->be;
    if (learner->started || learner->cleared) return;
    learner->cleared = true;
    int64_t tables = learner->embedding_at, end = learner->n_learning;
    int64_t first = learner->n_adapters ? end : learner->n_vectors;
    be->ops->train->zero(be, learner->gradients, (size_t)first * sizeof(float));
    if (end > tables)
        be->ops->train->zero(be, learner->gradients + tables,
                             (size_t)(end - tables) * sizeof(float));
}

static void weight_back(brew_learner *learner, const brew_learner_weight *w, const float *dy,
                        const float *x, int64_t m) {
    brew_backend *be = learner->be;
    if (learner->n_adapters)
        brew_learner_adapters_back(learner, w, dy, x, m);
    else
        be->ops->train->matmul_dw(be, dy, x, m, w->n, w->c, brew_gradient(learner, w->at),
                                  learner->started);
}

// dw += dy^T x, db += the column sums of dy, dx = dy W.
static void product_back(brew_learner *learner, const brew_learner_weight *w, int64_t bias,
                         const float *dy, const float *x, int64_t m, float *dx) {
    brew_backend *be = learner->be;
    const brew_train_ops *train = be->ops->train;
    float *dbias = brew_gradient(learner, bias);
    weight_back(learner, w, dy, x, m);
    if (dbias) train->column_sums(be, dy, m, w->n, dbias, true);
    train->matmul_dx(be, dy, m, w->operand, dx, false);
}

// The rows that a product saw of x after its norm, and afterwards the way back through that norm.
static void normed_rows(brew_learner *learner, const float *x, int64_t m, int64_t gain) {
    brew_backend *be = learner->be;
    const brew_config *c = &learner->config;
    brew_activations *act = &learner->act;
    be->ops->norm(be, x, m, c->width, brew_value(learner, gain), c->norm_eps, &act->normed);
    be->ops->train->operand_rows(be, &act->normed, NULL, m, act->xn);
}

static void norm_back(brew_learner *learner, const float *x, int64_t m, int64_t gain,
                      const float *dy, float *dx) {
    const brew_config *c = &learner->config;
    learner->be->ops->train->norm_back(learner->be, x, m, c->width, brew_value(learner, gain),
                                       c->norm_eps, dy, dx, brew_gradient(learner, gain));
}

// dx [m, C] turns from the gradient of the MLP's sum to that of x_mid.
static void mlp_back(brew_learner *learner, int64_t l, float *dx) {
    brew_backend *be = learner->be;
    const brew_config *c = &learner->config;
    const brew_learner_layer *layer = &learner->layers[l];
    brew_activations *act = &learner->act;
    const brew_kept *k = &act->kept[l];
    int64_t m = brew_learner_rows(learner, l);
    be->ops->train->matmul_dx(be, dx, m, layer->down.operand, act->dh, false);
    be->ops->train->swiglu_back(be, k->gate_up, act->dh, m, c->mlp, act->dgu, act->h);
    weight_back(learner, &layer->down, dx, act->h, m);
    normed_rows(learner, k->x_mid, m, layer->mlp_gain);
    product_back(learner, &layer->gate_up, -1, act->dgu, act->xn, m, act->dn);
    norm_back(learner, k->x_mid, m, layer->mlp_gain, act->dn, dx);
}

// In the last layer only rows that are read have a gradient: from dlast [R, C] to dx and dout of all.
static void last_out_back(brew_learner *learner, const brew_learner_layer *layer,
                          const brew_kept *k) {
    brew_backend *be = learner->be;
    const brew_config *c = &learner->config;
    brew_activations *act = &learner->act;
    const int64_t *rows = learner->reads->rows;
    int64_t M = (int64_t)learner->star->n_ids, R = (int64_t)learner->reads->n;
    int64_t C = c->width, HD = c->heads * c->head_dim;
    be->ops->gather(be, k->att, HD, rows, R, act->read_att);
    product_back(learner, &layer->out, layer->out_bias, act->dlast, act->read_att, R, act->dread);
    be->ops->train->zero(be, act->dout, (size_t)(M * HD) * sizeof(float));
    be->ops->train->scatter(be, act->dread, HD, rows, R, act->dout);
    be->ops->train->zero(be, act->dx, (size_t)(M * C) * sizeof(float));
    be->ops->train->scatter(be, act->dlast, C, rows, R, act->dx);
}

// dx [M, C] turns from the gradient of x_mid to that of x_in.
static void attention_back(brew_learner *learner, int64_t l) {
    brew_backend *be = learner->be;
    const brew_train_ops *train = be->ops->train;
    const brew_config *c = &learner->config;
    const brew_learner_layer *layer = &learner->layers[l];
    const brew_star *star = learner->star;
    brew_activations *act = &learner->act;
    const brew_kept *k = &act->kept[l];
    int64_t M = (int64_t)star->n_ids;
    bool last = l == c->layers - 1;
    const float *q_gain = brew_value(learner, layer->q_gain),
                *k_gain = brew_value(learner, layer->k_gain), *rotated = k->qkv;
    brew_layout who = {star->segments, star->requests, star->n_requests};
    if (last)
        last_out_back(learner, layer, k);
    else
        product_back(learner, &layer->out, layer->out_bias, act->dx, k->att, M, act->dout);
    if (c->qk_norm) {
        train->rotate(be, &learner->shape, k->qkv, M, act->positions, q_gain, k_gain, c->norm_eps,
                      learner->rope, act->rotated);
        rotated = act->rotated;
    }
    train->attend_back(be, &learner->shape, &who, 1 / sqrt((double)c->head_dim),
                       c->layer_windowed[l] ? c->window : 0, last ? act->wanted : NULL, rotated,
                       k->att, k->lse, act->dout, act->dqkv);
    train->rotate_back(be, &learner->shape, k->qkv, M, act->positions, q_gain, k_gain, c->norm_eps,
                       learner->rope, act->dqkv, brew_gradient(learner, layer->q_gain),
                       brew_gradient(learner, layer->k_gain));
    normed_rows(learner, k->x_in, M, layer->attn_gain);
    product_back(learner, &layer->qkv, layer->qkv_bias, act->dqkv, act->xn, M, act->dn);
    norm_back(learner, k->x_in, M, layer->attn_gain, act->dn, act->dx);
}

brew_head brew_learner_head(brew_learner *learner) {
    const brew_config *c = &learner->config;
    start(learner);
    return (brew_head){.be = learner->be,
                       .table = learner->head,
                       .vocab = c->vocab,
                       .width = c->width,
                       .gain = brew_value(learner, learner->final_gain),
                       .eps = c->norm_eps,
                       .hidden = learner->act.hidden,
                       .dhidden = learner->act.dhidden,
                       .dtable = brew_gradient(learner, learner->head_at)};
}

// From the gradients of what was read to that of the last layer's rows, in dlast.
static void head_back(brew_learner *learner, const float *d_logits, const float *d_rest) {
    brew_backend *be = learner->be;
    const brew_config *c = &learner->config;
    const brew_reads *reads = learner->reads;
    brew_activations *act = &learner->act;
    int64_t R = (int64_t)reads->n, labels = reads->splits[R];
    float *dhead = brew_gradient(learner, learner->head_at);
    be->ops->upload(be, act->dlogits, d_logits, (size_t)labels * sizeof(float));
    be->ops->train->label_logits_back(be, learner->head, act->hidden, c->width, act->pair_rows,
                                      reads->ids, labels, act->dlogits, act->dhidden, dhead);
    if (reads->rest && d_rest) {
        be->ops->upload(be, act->drest, d_rest, (size_t)R * sizeof(float));
        be->ops->train->head_lse_back(be, learner->head, act->hidden, R, c->width, reads->splits,
                                      reads->ids, act->rest, act->drest, act->dhidden, dhead);
    }
    be->ops->train->zero(be, act->dlast, (size_t)(R * c->width) * sizeof(float));
    norm_back(learner, act->x_last, R, learner->final_gain, act->dhidden, act->dlast);
}

// dx [m, C] of the residual stream after `layers` layers, plus what the loss gives of it directly.
static void hidden_back(brew_learner *learner, int64_t layers, int64_t m, float *const *d_hidden,
                        float *dx) {
    brew_backend *be = learner->be;
    int64_t n = m * learner->config.width;
    if (!d_hidden || !d_hidden[layers]) return;
    be->ops->upload(be, learner->act.dn, d_hidden[layers], (size_t)n * sizeof *dx);
    be->ops->train->add(be, dx, learner->act.dn, n);
}

int brew_learner_backward(brew_learner *learner, const float *d_logits, const float *d_rest,
                          float *const *d_hidden, brew_err *err) {
    if (!learner->star)
        return brew_fail(err, BREW_INTERNAL, "a backward pass without the forward pass before it");
    const brew_star *star = learner->star;
    brew_activations *act = &learner->act;
    if (learner->reads->n) {
        start(learner);
        int64_t layers = learner->config.layers;
        head_back(learner, d_logits, d_rest);
        hidden_back(learner, layers, (int64_t)learner->reads->n, d_hidden, act->dlast);
        for (int64_t l = layers - 1; l >= 0; l--) {
            if (learner->options.recompute == BREW_RECOMPUTE_LAYER)
                brew_learner_attention(learner, l, true);
            if (learner->options.recompute != BREW_RECOMPUTE_NONE) brew_learner_gate_up(learner, l);
            mlp_back(learner, l, l == layers - 1 ? act->dlast : act->dx);
            attention_back(learner, l);
            if (l) hidden_back(learner, l, (int64_t)star->n_ids, d_hidden, act->dx);
        }
        float *dtable = brew_gradient(learner, learner->embedding_at);
        if (dtable)
            learner->be->ops->train->embed_back(learner->be, star->ids, (int64_t)star->n_ids,
                                                learner->config.width, act->dx, dtable);
        learner->started = true;
    }
    learner->star = NULL;
    return 0;
}
