#include "text/prompt/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BANKS = 3 };
enum { MEMBERS = 64, EVENTS = 2048 }; // a batch ends at either, of events so many for each thread

typedef struct slot {     // one member
    brew_member *members; // [n_parts] as each part knows it; without events where it does not
    brew_buf out;
    brew_prompt_counts counts[BREW_SPLITS];
} slot;

struct brew_batch {
    brew_batch_part *parts; // [n_parts]
    size_t n_parts;
    brew_pool *pool;
    brew_prompt_scratch *scratch; // [threads]
    // Members whose records are made now, those read meanwhile, and those whose records go out meanwhile.
    struct bank {
        slot slots[MEMBERS];
        size_t n;
    } banks[BANKS], *now, *ahead, *made;
    brew_out *out;
    bool begun;
    int read_status, write_status;
    brew_err read_err, write_err;
};

static slot *any_slot(brew_batch *batch, size_t i) {
    return &batch->banks[i % BANKS].slots[i / BANKS];
}

brew_batch *brew_batch_new(const brew_batch_part *parts, size_t n_parts, brew_pool *pool) {
    brew_batch *batch = brew_calloc(1, sizeof *batch);
    batch->parts = brew_calloc(n_parts, sizeof *parts);
    memcpy(batch->parts, parts, n_parts * sizeof *parts);
    batch->n_parts = n_parts;
    batch->pool = pool;
    batch->scratch = brew_calloc((size_t)brew_pool_threads(pool), sizeof *batch->scratch);
    batch->now = &batch->banks[0];
    batch->ahead = &batch->banks[1];
    batch->made = &batch->banks[2];
    for (size_t i = 0; i < (size_t)BANKS * MEMBERS; i++)
        any_slot(batch, i)->members = brew_calloc(n_parts, sizeof(brew_member));
    return batch;
}

void brew_batch_free(brew_batch *batch) {
    if (!batch) return;
    for (int i = 0; i < brew_pool_threads(batch->pool); i++)
        brew_prompt_scratch_release(&batch->scratch[i]);
    for (size_t i = 0; i < (size_t)BANKS * MEMBERS; i++) {
        slot *s = any_slot(batch, i);
        for (size_t k = 0; k < batch->n_parts; k++) brew_member_release(&s->members[k]);
        free(s->members);
        brew_buf_release(&s->out);
    }
    free(batch->scratch);
    free(batch->parts);
    free(batch);
}

static void write_member(brew_batch *batch, slot *s, int worker) {
    brew_buf_reset(&s->out);
    for (int i = 0; i < BREW_SPLITS; i++) s->counts[i] = (brew_prompt_counts){0};
    for (size_t k = 0; k < batch->n_parts; k++)
        if (s->members[k].n)
            brew_prompter_write(batch->parts[k].prompter, &batch->scratch[worker], &s->members[k],
                                &s->out, s->counts);
}

// The next member of all parts, its events counted: 1, 0 when none is left, -1 on error.
static int read_member(brew_batch *batch, slot *s, size_t *n_events, brew_err *err) {
    size_t first = 0;
    for (size_t k = 1; k < batch->n_parts; k++)
        if (brew_events_compare(batch->parts[k].events, batch->parts[first].events) < 0) first = k;
    // The first part is read last: the others are compared with what it is about to give.
    for (size_t i = 1; i <= batch->n_parts; i++) {
        size_t k = (first + i) % batch->n_parts;
        const brew_batch_part *part = &batch->parts[k];
        brew_member *member = &s->members[k];
        member->n = 0;
        if (brew_events_compare(part->events, batch->parts[first].events)) continue;
        int got = brew_events_next(part->events, member, err);
        if (got > 0 && part->prompter->asof && brew_asof_next(part->prompter->asof, member, err))
            got = -1;
        if (got > 0 && part->later && brew_later_add(part->later, member, err)) got = -1;
        if (got <= 0) return got;
        *n_events += member->n;
    }
    return 1;
}

static void read_ahead(brew_batch *batch) {
    struct bank *bank = batch->ahead;
    size_t n_events = 0, enough = EVENTS * (size_t)brew_pool_threads(batch->pool);
    batch->read_status = 1;
    for (bank->n = 0; bank->n < MEMBERS && n_events < enough; bank->n++) {
        batch->read_status = read_member(batch, &bank->slots[bank->n], &n_events, &batch->read_err);
        if (batch->read_status <= 0) break;
    }
}

static void write_out(brew_batch *batch) {
    const struct bank *bank = batch->made;
    for (size_t i = 0; i < bank->n && batch->out && !batch->write_status; i++) {
        const slot *s = &bank->slots[i];
        if (s->out.len)
            batch->write_status =
                brew_out_write(batch->out, s->out.ptr, s->out.len, &batch->write_err);
    }
}

// Task 0 reads the next members, task 1 writes the last ones' records, the others make those of one each.
static void work(void *arg, size_t task, int worker) {
    brew_batch *batch = arg;
    if (task > 1)
        write_member(batch, &batch->now->slots[task - 2], worker);
    else if (task)
        write_out(batch);
    else
        read_ahead(batch);
}

static void add_counts(brew_prompt_counts *to, const brew_prompt_counts *from) {
    to->records += from->records;
    to->questions += from->questions;
    to->answered += from->answered;
    to->shown += from->shown;
    to->events += from->events;
    to->positives += from->positives;
}

int brew_batch_next(brew_batch *batch, brew_out *out, brew_prompt_counts counts[BREW_SPLITS],
                    uint64_t *members, brew_err *err) {
    if (!batch->begun) read_ahead(batch);
    batch->begun = true;
    if (batch->read_status < 0) {
        if (err) *err = batch->read_err;
        return -1;
    }
    struct bank *free_bank = batch->made;
    batch->made = batch->now;
    batch->now = batch->ahead;
    batch->ahead = free_bank;
    batch->out = out;
    if (!batch->now->n && !batch->made->n) return 0;
    brew_pool_run(batch->pool, batch->now->n + 2, work, batch);
    for (size_t i = 0; i < batch->now->n; i++)
        for (int k = 0; k < BREW_SPLITS; k++)
            add_counts(&counts[k], &batch->now->slots[i].counts[k]);
    *members += batch->now->n;
    if (batch->write_status && err) *err = batch->write_err;
    return batch->write_status ? -1 : 1;
}

brew_stats *brew_batch_stats(const brew_batch *batch) {
    brew_stats *all = brew_stats_new(batch->parts[0].prompter->task);
    for (int i = 0; i < brew_pool_threads(batch->pool); i++)
        if (batch->scratch[i].stats) brew_stats_merge(all, batch->scratch[i].stats);
    return all;
}
