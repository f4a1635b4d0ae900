#include "train/hearing.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void brew_hearing_release(brew_hearing *h) {
    brew_star_view_release(&h->asked);
    brew_forward_result_release(&h->said);
    free(h->own_splits);
    free(h->block);
    free(h->streams);
    *h = (brew_hearing){0};
}

// Rows of the residual stream, to wherever streams after that layer are wanted.
static void keep_rows(void *arg, const brew_probed *seen) {
    brew_hearing *h = arg;
    size_t bytes = (size_t)seen->width * sizeof(float);
    for (size_t i = 0; i < h->wish->n_layers; i++) {
        if (h->wish->layers[i] != seen->layer + 1) continue;
        for (int64_t row = 0; row < seen->m; row++)
            memcpy(h->streams[i] + seen->rows[row] * seen->width, seen->values + row * seen->width,
                   bytes);
    }
}

static void make_room(brew_hearing *h, const brew_hearing_wish *wish, size_t floats) {
    BREW_GROW(h->block, wish->n_layers * floats + 1, h->block_cap);
    BREW_GROW(h->streams, wish->n_layers + 1, h->streams_cap);
    for (size_t i = 0; i < wish->n_layers; i++) h->streams[i] = h->block + i * floats;
}

static int hear_model(brew_hearing *h, brew_model *model, const brew_hearing_wish *wish,
                      const brew_star *star, brew_err *err) {
    brew_forward_options options = {.with_rest = true, .topk = wish->topk};
    h->wish = wish;
    make_room(h, wish, star->n_ids * (size_t)brew_model_config(model)->width);
    if (wish->n_layers) {
        options.probe = keep_rows;
        options.probe_arg = h;
        options.probes = BREW_PROBE_RESIDUAL;
        options.all_rows = wish->all_rows;
    }
    if (wish->ids) {
        brew_star_view_set(&h->asked, star, wish->ids);
        star = &h->asked.star;
    }
    if (brew_model_forward(model, star, &options, &h->said, err))
        return brew_err_context(err, "the teacher");
    h->logits = h->said.label_logits;
    h->rest = h->said.rest;
    h->splits = h->said.logit_splits;
    h->topk_ids = h->said.topk_ids;
    h->topk_logits = h->said.topk_logits;
    h->topk_rest = h->said.topk_rest;
    return 0;
}

int brew_hearing_listen(brew_hearing *h, brew_model *model, const brew_hearing_wish *wish,
                        const brew_batch *micro, brew_err *err) {
    const brew_star *star = &micro->star;
    if (model) return hear_model(h, model, wish, star, err);
    BREW_GROW(h->own_splits, star->n_answers + 1, h->splits_cap);
    h->own_splits[0] = 0;
    for (size_t a = 0; a < star->n_answers; a++)
        h->own_splits[a + 1] = h->own_splits[a] + brew_star_labels(star, a);
    h->logits = micro->teacher_logits;
    h->rest = micro->teacher_rest;
    h->topk_ids = micro->topk_ids;
    h->topk_logits = micro->topk_logits;
    h->topk_rest = micro->topk_rest;
    h->splits = h->own_splits;
    return 0;
}
