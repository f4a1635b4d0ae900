// The forward pass of learning: all rows of a micro-batch through all layers; in the last one, attention,
// output projection and MLP for the rows read only.
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "model/learner_parts.h"
#include "model/weights.h"

static int check_reads(const brew_learner *learner, const brew_star *star, const brew_reads *reads,
                       brew_err *err) {
    for (size_t i = 0; i < reads->n; i++) {
        if (reads->rows[i] < 0 || reads->rows[i] >= (int64_t)star->n_ids)
            return brew_fail(err, BREW_INTERNAL, "read %zu is at row %lld of %zu", i,
                             (long long)reads->rows[i], star->n_ids);
        if (reads->splits[i + 1] <= reads->splits[i])
            return brew_fail(err, BREW_INTERNAL, "read %zu has no labels", i);
    }
    for (int64_t k = 0; reads->n && k < reads->splits[reads->n]; k++)
        if (reads->ids[k] < 0 || reads->ids[k] >= learner->config.vocab)
            return brew_fail(err, BREW_DATA, "label id %d is not in the vocabulary of %lld",
                             (int)reads->ids[k], (long long)learner->config.vocab);
    return 0;
}

// The longest request's positions, or -1 if one does not fit.
static int64_t longest_span(const brew_learner *learner, const brew_star *star, brew_err *err) {
    int64_t longest = 1;
    for (size_t r = 0; r < star->n_requests; r++) {
        int64_t span = brew_star_span(star, r);
        if (span > learner->config.context)
            return brew_fail(err, BREW_DATA,
                             "request %zu spans %lld tokens (query and longest item), the model's "
                             "context is %lld",
                             r, (long long)span, (long long)learner->config.context);
        if (span > longest) longest = span;
    }
    return longest;
}

// Positions of rows, which of them are read, and whose labels are whose.
static void fill_rows(brew_learner *learner) {
    const brew_star *star = learner->star;
    const brew_reads *reads = learner->reads;
    brew_activations *act = &learner->act;
    for (size_t r = 0; r < star->n_requests; r++) {
        int64_t query = star->requests[r];
        for (int64_t s = query; s < star->requests[r + 1]; s++) {
            int32_t position = s == query ? 0 : (int32_t)brew_star_query_len(star, r);
            for (int64_t row = star->segments[s]; row < star->segments[s + 1]; row++)
                act->positions[row] = position++;
        }
    }
    memset(act->wanted, 0, star->n_ids);
    for (size_t i = 0; i < reads->n; i++) {
        act->wanted[reads->rows[i]] = 1;
        for (int64_t k = reads->splits[i]; k < reads->splits[i + 1]; k++)
            act->pair_rows[k] = (int64_t)i;
    }
}

static brew_layout layout(const brew_star *star) {
    return (brew_layout){star->segments, star->requests, star->n_requests};
}

void brew_learner_attention(brew_learner *learner, int64_t l, bool keep) {
    brew_backend *be = learner->be;
    const brew_ops *ops = be->ops;
    const brew_config *c = &learner->config;
    const brew_learner_layer *layer = &learner->layers[l];
    brew_activations *act = &learner->act;
    brew_kept *k = &act->kept[l];
    bool last = l == c->layers - 1;
    int64_t M = (int64_t)learner->star->n_ids, R = (int64_t)learner->reads->n;
    brew_layout who = layout(learner->star);
    float *rotated = c->qk_norm ? act->rotated : k->qkv;

    ops->norm(be, k->x_in, M, c->width, brew_value(learner, layer->attn_gain), c->norm_eps,
              &act->normed);
    ops->matmul(be, &act->normed, M, layer->qkv.operand, k->qkv, false);
    ops->train->rotate(be, &learner->shape, k->qkv, M, act->positions,
                       brew_value(learner, layer->q_gain), brew_value(learner, layer->k_gain),
                       c->norm_eps, learner->rope, rotated);
    ops->train->attend_keep(be, &learner->shape, &who, 1 / sqrt((double)c->head_dim),
                            c->layer_windowed[l] ? c->window : 0, last ? act->wanted : NULL,
                            rotated, &act->attended, k->lse);
    if (keep) ops->train->operand_rows(be, &act->attended, NULL, M, k->att);
    if (!last) {
        ops->matmul(be, &act->attended, M, layer->out.operand, k->x_mid, false);
        ops->train->add(be, k->x_mid, k->x_in, M * c->width);
    } else {
        ops->gather_operand(be, &act->attended, learner->reads->rows, R, &act->read);
        ops->gather(be, k->x_in, c->width, learner->reads->rows, R, k->x_mid);
        ops->matmul(be, &act->read, R, layer->out.operand, k->x_mid, true);
    }
}

void brew_learner_gate_up(brew_learner *learner, int64_t l) {
    const brew_config *c = &learner->config;
    const brew_learner_layer *layer = &learner->layers[l];
    brew_activations *act = &learner->act;
    brew_kept *k = &act->kept[l];
    int64_t m = brew_learner_rows(learner, l);
    learner->be->ops->norm(learner->be, k->x_mid, m, c->width, brew_value(learner, layer->mlp_gain),
                           c->norm_eps, &act->normed);
    learner->be->ops->matmul(learner->be, &act->normed, m, layer->gate_up.operand, k->gate_up,
                             false);
}

static void run_layers(brew_learner *learner, bool keep) {
    brew_backend *be = learner->be;
    const brew_config *c = &learner->config;
    brew_activations *act = &learner->act;
    be->ops->embed(be, learner->embedding, learner->star->ids, (int64_t)learner->star->n_ids,
                   act->kept[0].x_in);
    for (int64_t l = 0; l < c->layers; l++) {
        brew_kept *k = &act->kept[l];
        int64_t m = brew_learner_rows(learner, l);
        float *next = l == c->layers - 1 ? act->x_last : act->kept[l + 1].x_in;
        brew_learner_attention(learner, l, keep);
        brew_learner_gate_up(learner, l);
        be->ops->train->swiglu(be, k->gate_up, m, c->mlp, &act->mlp);
        be->ops->matmul(be, &act->mlp, m, learner->layers[l].down.operand, next, false);
        be->ops->train->add(be, next, k->x_mid, m * c->width);
    }
}

static void run_head(brew_learner *learner, brew_read_result *result) {
    brew_backend *be = learner->be;
    const brew_config *c = &learner->config;
    const brew_reads *reads = learner->reads;
    brew_activations *act = &learner->act;
    int64_t R = (int64_t)reads->n, labels = reads->splits[R];
    be->ops->norm_rows(be, act->x_last, R, c->width, brew_value(learner, learner->final_gain),
                       c->norm_eps, act->hidden);
    be->ops->label_logits(be, learner->head, act->hidden, c->width, act->pair_rows, reads->ids,
                          labels, act->logits);
    be->ops->download(be, result->logits, act->logits, (size_t)labels * sizeof(float));
    if (!reads->rest) return;
    be->ops->head_lse(be, learner->head, act->hidden, R, c->width, reads->splits, reads->ids,
                      act->rest);
    be->ops->download(be, result->rest, act->rest, (size_t)R * sizeof(float));
}

void brew_learner_hidden(const brew_learner *learner, int64_t layers, float *rows) {
    const brew_config *c = &learner->config;
    bool last = layers == c->layers;
    size_t n = last ? learner->reads->n : learner->star->n_ids;
    learner->be->ops->download(learner->be, rows,
                               last ? learner->act.x_last : learner->act.kept[layers].x_in,
                               n * (size_t)c->width * sizeof *rows);
}

int brew_learner_forward(brew_learner *learner, const brew_star *star, const brew_reads *reads,
                         bool keep, brew_read_result *result, brew_err *err) {
    learner->star = NULL;
    if (brew_star_check(star, (size_t)learner->config.vocab, err) < 0 ||
        check_reads(learner, star, reads, err) < 0)
        return -1;
    int64_t positions = longest_span(learner, star, err);
    if (positions < 0 || brew_rope_reserve(learner->be, &learner->config, positions, &learner->rope,
                                           &learner->rope_positions, err) < 0)
        return -1;
    size_t labels = reads->n ? (size_t)reads->splits[reads->n] : 0;
    BREW_GROW(result->logits, labels + 1, result->logits_cap);
    if (reads->rest) BREW_GROW(result->rest, reads->n + 1, result->rest_cap);
    if (reads->n) {
        if (brew_learner_reserve(learner, (int64_t)star->n_ids, (int64_t)reads->n, (int64_t)labels,
                                 err) < 0)
            return -1;
        learner->star = star;
        learner->reads = reads;
        fill_rows(learner);
        run_layers(learner, keep);
        run_head(learner, result);
        if (keep) // gradients are added to it from here on
            learner->be->ops->train->zero(learner->be, learner->act.dhidden,
                                          reads->n * (size_t)learner->config.width * sizeof(float));
    }
    learner->star = keep ? star : NULL;
    learner->reads = reads;
    return 0;
}
