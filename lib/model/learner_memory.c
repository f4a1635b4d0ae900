// The activations of a micro-batch: one layout, for the plan and for the memory itself.
#include <stdlib.h>

#include "base/mem.h"
#include "model/learner_parts.h"

enum { ALIGN = 16 };

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

// Hands out [rows, width] floats of the block, or only counts them while there is no block.
struct cursor {
    float *block;
    int64_t top;
};

static float *take(struct cursor *cursor, int64_t rows, int64_t width) {
    float *at = cursor->block ? cursor->block + cursor->top : NULL;
    cursor->top += (rows * width + ALIGN - 1) / ALIGN * ALIGN;
    return at;
}

static void take_kept(const brew_config *c, enum brew_recompute level, brew_activations *act,
                      struct cursor *cursor) {
    int64_t M = act->rows, R = act->reads, most = larger(M, R);
    for (int64_t l = 0; l < c->layers; l++) {
        brew_kept *k = &act->kept[l], *first = &act->kept[0];
        bool all = level != BREW_RECOMPUTE_LAYER, own_mlp = level == BREW_RECOMPUTE_NONE;
        int64_t rows = l == c->layers - 1 ? R : M;
        k->x_in = take(cursor, M, c->width);
        k->qkv = all || !l ? take(cursor, M, brew_learner_qkv(c)) : first->qkv;
        k->att = all || !l ? take(cursor, M, c->heads * c->head_dim) : first->att;
        k->lse = all || !l ? take(cursor, M, c->heads) : first->lse;
        // What all layers share must do for the last one, too.
        k->x_mid = all || !l ? take(cursor, all ? rows : most, c->width) : first->x_mid;
        k->gate_up =
            own_mlp || !l ? take(cursor, own_mlp ? rows : most, 2 * c->mlp) : first->gate_up;
    }
}

static void take_scratch(const brew_config *c, brew_activations *act, struct cursor *cursor) {
    int64_t M = act->rows, R = act->reads, most = larger(M, R);
    int64_t C = c->width, F = c->mlp, HD = c->heads * c->head_dim, QKV = brew_learner_qkv(c);
    act->rotated = c->qk_norm ? take(cursor, M, QKV) : NULL;
    act->x_last = take(cursor, R, C);
    act->hidden = take(cursor, R, C);
    act->read_att = take(cursor, R, HD);
    act->logits = take(cursor, act->labels, 1);
    act->rest = take(cursor, R, 1);
    act->dx = take(cursor, M, C);
    act->dn = take(cursor, most, C);
    act->xn = take(cursor, most, C);
    act->dlast = take(cursor, R, C);
    act->dhidden = take(cursor, R, C);
    act->dread = take(cursor, R, HD);
    act->dqkv = take(cursor, M, QKV);
    act->dout = take(cursor, M, HD);
    act->dgu = take(cursor, most, 2 * F);
    act->dh = take(cursor, most, F);
    act->h = take(cursor, most, F);
    act->dlogits = take(cursor, act->labels, 1);
    act->drest = take(cursor, R, 1);
}

static int init_operands(brew_learner *learner, brew_err *err) {
    const brew_config *c = &learner->config;
    brew_backend *be = learner->be;
    brew_activations *act = &learner->act;
    int64_t most = larger(act->rows, act->reads), HD = c->heads * c->head_dim;
    struct {
        brew_operand *operand;
        int64_t rows, width;
    } operands[] = {{&act->normed, most, c->width},
                    {&act->attended, act->rows, HD},
                    {&act->read, act->reads, HD},
                    {&act->mlp, most, c->mlp}};
    for (size_t i = 0; i < sizeof operands / sizeof *operands; i++)
        if (be->ops->operand_init(be, operands[i].operand, operands[i].rows, operands[i].width,
                                  err) < 0)
            return -1;
    return 0;
}

static int init(brew_learner *learner, brew_err *err) {
    brew_backend *be = learner->be;
    brew_activations *act = &learner->act;
    struct cursor cursor = {0};
    act->kept = brew_calloc((size_t)learner->config.layers, sizeof *act->kept);
    take_kept(&learner->config, learner->options.recompute, act, &cursor);
    take_scratch(&learner->config, act, &cursor);
    act->block = be->ops->alloc(be, (size_t)cursor.top * sizeof(float), "activations", err);
    if (!act->block) return -1;
    cursor = (struct cursor){.block = act->block};
    take_kept(&learner->config, learner->options.recompute, act, &cursor);
    take_scratch(&learner->config, act, &cursor);
    act->positions = brew_calloc((size_t)act->rows, sizeof *act->positions);
    act->wanted = brew_calloc((size_t)act->rows, sizeof *act->wanted);
    act->pair_rows = brew_calloc((size_t)act->labels, sizeof *act->pair_rows);
    return init_operands(learner, err);
}

int brew_learner_reserve(brew_learner *learner, int64_t rows, int64_t reads, int64_t labels,
                         brew_err *err) {
    brew_activations *act = &learner->act;
    if (act->rows >= rows && act->reads >= reads && act->labels >= labels) return 0;
    brew_activations sizes = {.rows = larger(rows, act->rows),
                              .reads = larger(reads, act->reads),
                              .labels = larger(labels, act->labels)};
    brew_activations_release(learner);
    learner->act = sizes;
    if (init(learner, err) == 0) return 0;
    brew_activations_release(learner);
    return -1;
}

void brew_activations_release(brew_learner *learner) {
    brew_backend *be = learner->be;
    brew_activations *act = &learner->act;
    brew_operand *operands[] = {&act->normed, &act->attended, &act->read, &act->mlp};
    for (size_t i = 0; i < sizeof operands / sizeof *operands; i++)
        if (operands[i]->data) be->ops->operand_release(be, operands[i]);
    if (act->block) be->ops->free(be, act->block);
    free(act->kept);
    free(act->positions);
    free(act->wanted);
    free(act->pair_rows);
    *act = (brew_activations){0};
}

// ---- the plan ----

// What a [N, C] weight takes on the CPU, as values and as an operand: panels of 32 outputs.
static int64_t panel_floats(brew_backend *be, int64_t n, int64_t c) {
    (void)be;
    return (n + 31) / 32 * 32 * c;
}

// Working memory of a product's backward pass: the weight the other way round and rows of dy, or up to
// 1,024 rows of dy and x.
static int64_t product_floats(int64_t rows, int64_t n, int64_t c) {
    int64_t dx = panel_floats(NULL, n, c) + rows * n, dw = (rows < 1024 ? rows : 1024) * (n + c);
    return larger(dx, dw);
}

void brew_learner_plan_bytes(const brew_config *config, enum brew_precision precision,
                             const brew_learner_options *options, int64_t rows, int64_t reads,
                             int64_t labels, brew_learner_plan *plan) {
    brew_learner learner = {.config = *config, .options = *options};
    brew_activations act = {.rows = rows, .reads = reads, .labels = labels};
    struct cursor kept = {0}, scratch = {0};
    size_t element = precision == BREW_PRECISION_BF16 ? 2 : 4;
    int64_t C = config->width, F = config->mlp, HD = config->heads * config->head_dim;
    int64_t QKV = brew_learner_qkv(config), most = larger(rows, reads), products = 0, panels = 0;

    learner.lean = options->lora.rank > 0 && precision == BREW_PRECISION_BF16;
    brew_learner_lay_out(&learner, panel_floats);
    act.kept = brew_calloc((size_t)config->layers, sizeof *act.kept);
    take_kept(config, options->recompute, &act, &kept);
    take_scratch(config, &act, &scratch);
    int64_t product = brew_learner_product_floats(&learner);
    scratch.top += brew_learner_adapter_floats(&learner);
    free(act.kept);
    brew_learner_release_adapters(&learner);
    free(learner.layers);
    free(learner.slots);

    const int64_t shapes[][2] = {{QKV, C}, {C, HD}, {2 * F, C}, {C, F}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        products = larger(products, product_floats(most, shapes[i][0], shapes[i][1]));
        panels += panel_floats(NULL, shapes[i][0], shapes[i][1]);
    }
    // With adapters, embedding and head are looked up in the file.
    size_t tables = options->lora.rank > 0 ? (size_t)(config->vocab * C) : 0;
    tables *= (config->tied ? 1 : 2) * (config->dtype == BREW_F32 ? 4 : 2);
    int64_t operands = most * (C + F) + (rows + reads) * HD;
    *plan = (brew_learner_plan){
        .weights = (size_t)learner.n_values * sizeof(float),
        .gradients = (size_t)(learner.n_learning + product) * sizeof(float),
        .moments = (size_t)learner.n_learning * 2 * sizeof(float),
        .operands =
            tables +
            (precision == BREW_PRECISION_BF16 ? (size_t)(panels * config->layers) * element : 0),
        .activations = (size_t)kept.top * sizeof(float),
        .scratch = (size_t)scratch.top * sizeof(float) + (size_t)(operands + products) * element,
    };
    plan->total = plan->weights + plan->gradients + plan->moments + plan->operands +
                  plan->activations + plan->scratch;
}
