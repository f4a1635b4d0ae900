#include "text/prompt/batch.h"

#include <stdlib.h>

#include "base/mem.h"

enum { MEMBERS = 64, EVENTS = 1 << 16 }; // a batch ends at either

typedef struct slot {
    brew_member member;
    brew_buf out;
    brew_prompt_counts counts[BREW_SPLITS];
} slot;

struct brew_batch {
    const brew_prompter *prompter;
    brew_events *events;
    brew_pool *pool;
    brew_prompt_scratch *scratch; // [threads]
    slot slots[MEMBERS];
};

brew_batch *brew_batch_new(const brew_prompter *prompter, brew_events *events, brew_pool *pool) {
    brew_batch *batch = brew_calloc(1, sizeof *batch);
    batch->prompter = prompter;
    batch->events = events;
    batch->pool = pool;
    batch->scratch = brew_calloc((size_t)brew_pool_threads(pool), sizeof *batch->scratch);
    return batch;
}

void brew_batch_free(brew_batch *batch) {
    if (!batch) return;
    for (int i = 0; i < brew_pool_threads(batch->pool); i++)
        brew_prompt_scratch_release(&batch->scratch[i]);
    for (size_t i = 0; i < MEMBERS; i++) {
        brew_member_release(&batch->slots[i].member);
        brew_buf_release(&batch->slots[i].out);
    }
    free(batch->scratch);
    free(batch);
}

static void write_member(void *arg, size_t task, int worker) {
    brew_batch *batch = arg;
    slot *s = &batch->slots[task];
    brew_buf_reset(&s->out);
    for (int i = 0; i < BREW_SPLITS; i++) s->counts[i] = (brew_prompt_counts){0};
    brew_prompter_write(batch->prompter, &batch->scratch[worker], &s->member, &s->out, s->counts);
}

int brew_batch_next(brew_batch *batch, brew_out *out, brew_prompt_counts counts[BREW_SPLITS],
                    uint64_t *members, brew_err *err) {
    size_t n = 0;
    int got = 1;
    for (size_t n_events = 0; n < MEMBERS && n_events < EVENTS; n++) {
        got = brew_events_next(batch->events, &batch->slots[n].member, err);
        if (got < 0) return -1;
        if (!got) break;
        if (batch->prompter->asof &&
            brew_asof_next(batch->prompter->asof, &batch->slots[n].member, err))
            return -1;
        n_events += batch->slots[n].member.n;
    }
    brew_pool_run(batch->pool, n, write_member, batch);
    for (size_t i = 0; i < n; i++) {
        const slot *s = &batch->slots[i];
        if (s->out.len && brew_out_write(out, s->out.ptr, s->out.len, err)) return -1;
        for (int k = 0; k < BREW_SPLITS; k++) {
            counts[k].records += s->counts[k].records;
            counts[k].questions += s->counts[k].questions;
            counts[k].answered += s->counts[k].answered;
            counts[k].shown += s->counts[k].shown;
        }
    }
    *members += n;
    return n > 0;
}
