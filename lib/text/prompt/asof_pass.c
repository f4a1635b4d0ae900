// The moments in order: of each entity, from nothing known to all. Threads take a stretch each; what was known of
// an entity before its stretch is added up first.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/prompt/asof_parts.h"
#include "text/prompt/sortkey.h"
#include "text/prompt/stretch.h"

enum { AHEAD = 8, HASH = 4 };

typedef struct stretch {
    const brew_stretch *in;
    bool whole;       // all of it is of the entity that `last` is of
    uint64_t *before; // [counts] of that entity behind `last`
    uint64_t *tail;   // [counts] what the last entity's moments in here change
    brew_strings answers, numbers;
    uint64_t n_numbers[BREW_FEATURES_MAX];
} stretch;

typedef struct run {
    const brew_asof *asof;
    size_t n_counts; // [spans][splits][actions]
    brew_round round;
    stretch *stretches; // [round.most]
    uint64_t *known;    // [n_counts] of its entity
} run;

// A moment, and how many bytes its entity's have in common.
typedef struct moment {
    enum brew_feature_of of;
    bool change, flag; // flag: whether the change leaves, or the question is as of the split
    int side;
    size_t entity_len;
    brew_key_cursor rest;
} moment;

static moment moment_of(const unsigned char *string) {
    const char *bytes = (const char *)string + 4;
    brew_key_cursor c = {bytes + HASH};
    moment m = {.of = brew_key_take_u8(&c) ? BREW_OF_ITEM : BREW_OF_MEMBER};
    size_t len;
    brew_key_take_id(&c, &len);
    m.entity_len = (size_t)(c.at - bytes);
    brew_key_take_u64(&c); // the moment
    int kind = brew_key_take_u8(&c);
    m.change = kind & BREW_ASOF_CHANGE;
    m.flag = kind & 1;
    m.side = (kind & ~BREW_ASOF_CHANGE) >> 1;
    m.rest = c;
    return m;
}

static void change(const brew_asof *asof, const moment *m, uint64_t *counts) {
    brew_key_cursor c = m->rest;
    size_t s = brew_key_take_u8(&c), action = brew_key_take_u8(&c);
    action = action << 16 | brew_key_take_u16(&c);
    counts += (s * BREW_SPLITS + (size_t)m->side) * asof->task->n_actions;
    counts[action] += m->flag ? UINT64_MAX : 1;
}

static void add_tail(void *arg, size_t task, int worker) {
    const run *r = arg;
    stretch *s = &r->stretches[task];
    const unsigned char *end = s->in->strings[s->in->n - 1];
    size_t len = moment_of(end).entity_len, k = s->in->n;
    (void)worker;
    memset(s->tail, 0, r->n_counts * sizeof *s->tail);
    while (k && brew_stretch_alike(end, s->in->strings[k - 1]) >= len) {
        moment m = moment_of(s->in->strings[--k]);
        if (m.change) change(r->asof, &m, s->tail);
    }
    s->whole = !k && s->in->last && brew_stretch_alike(end, s->in->last) >= len;
}

// May a question of one side count events of another?
static bool counts_for(const brew_task *task, bool at_split, int question, int side) {
    if (at_split) return side == BREW_SPLIT_TRAIN;
    return side < question ||
           (side == question && (side == BREW_SPLIT_TRAIN || !task->history_until_split));
}

static double number_of(const brew_asof *asof, const uint64_t *all, size_t f, bool at_split,
                        int question) {
    const brew_feature *feature = &asof->features->list[f];
    size_t n_actions = asof->task->n_actions;
    uint64_t k = 0, n = 0;
    for (int side = 0; side < BREW_SPLITS; side++) {
        if (feature->measure != BREW_MEASURE_HISTORY &&
            !counts_for(asof->task, at_split, question, side))
            continue;
        const uint64_t *counts = all + (asof->span_of[f] * BREW_SPLITS + (size_t)side) * n_actions;
        for (size_t a = 0; a < n_actions; a++) {
            n += counts[a];
            k += feature->actions[a] ? counts[a] : 0;
        }
    }
    return brew_feature_value(feature, asof->fitted[f].mean, k, n);
}

static void answer(const brew_asof *asof, stretch *s, const moment *m) {
    brew_key_cursor c = m->rest;
    bool at_split = m->flag;
    int side = m->side;
    uint64_t ordinal = brew_key_take_u64(&c);
    bool wanted = ordinal != UINT64_MAX, fits = !asof->given && side == BREW_SPLIT_TRAIN;
    size_t begin = 0;
    if (wanted) {
        begin = brew_strings_begin(&s->answers);
        brew_key_u64(&s->answers.bytes, brew_asof_place(ordinal, m->of, at_split));
    }
    for (size_t f = 0; f < asof->features->n; f++) {
        const brew_feature *feature = &asof->features->list[f];
        if (!brew_asof_told_by(feature, m->of, at_split, side)) continue;
        double number = number_of(asof, s->before, f, at_split, side);
        if (wanted) brew_key_u64(&s->answers.bytes, brew_key_bits(number));
        if (!fits || !feature->n_edges || isnan(number)) continue;
        s->n_numbers[f]++;
        size_t at = brew_strings_begin(&s->numbers);
        brew_buf_addc(&s->numbers.bytes, (char)f);
        brew_key_u64(&s->numbers.bytes, brew_key_bits(number));
        brew_strings_end(&s->numbers, at);
    }
    if (wanted) brew_strings_end(&s->answers, begin);
}

static void pass_stretch(void *arg, size_t task, int worker) {
    const run *r = arg;
    stretch *s = &r->stretches[task];
    const unsigned char *last = s->in->last;
    size_t entity_len = last ? moment_of(last).entity_len : 0;
    (void)worker;
    brew_strings_reset(&s->answers);
    brew_strings_reset(&s->numbers);
    memset(s->n_numbers, 0, sizeof s->n_numbers);
    for (size_t k = 0; k < s->in->n; k++) {
        if (k + AHEAD < s->in->n) __builtin_prefetch(s->in->strings[k + AHEAD]);
        moment m = moment_of(s->in->strings[k]);
        if (!last || m.entity_len != entity_len ||
            brew_stretch_alike(last, s->in->strings[k]) < entity_len)
            memset(s->before, 0, r->n_counts * sizeof *s->before);
        last = s->in->strings[k];
        entity_len = m.entity_len;
        if (m.change)
            change(r->asof, &m, s->before);
        else
            answer(r->asof, s, &m);
    }
}

static int pass_round(run *r, brew_asof *asof, const brew_strings **lists, brew_err *err) {
    int got = brew_round_next(&r->round, asof->moments, err);
    if (got <= 0) return got;
    size_t n = r->round.n, bytes = r->n_counts * sizeof *r->known;
    brew_pool_run(asof->pool, n, add_tail, r);
    for (size_t i = 0; i < n; i++) {
        const stretch *s = &r->stretches[i];
        memcpy(s->before, r->known, bytes);
        if (!s->whole) memset(r->known, 0, bytes);
        for (size_t k = 0; k < r->n_counts; k++) r->known[k] += s->tail[k];
    }
    brew_pool_run(asof->pool, n, pass_stretch, r);
    for (size_t i = 0; i < n; i++) {
        lists[i] = &r->stretches[i].answers;
        for (size_t f = 0; f < asof->features->n; f++)
            asof->n_numbers[f] += r->stretches[i].n_numbers[f];
    }
    if (brew_sorter_add_lists(asof->answers, lists, n, err)) return -1;
    for (size_t i = 0; i < n; i++) lists[i] = &r->stretches[i].numbers;
    if (brew_sorter_add_lists(asof->numbers, lists, n, err)) return -1;
    return 1;
}

int brew_asof_pass(brew_asof *asof, brew_err *err) {
    run r = {.asof = asof};
    brew_round_init(&r.round, brew_pool_threads(asof->pool));
    size_t most = r.round.most;
    r.n_counts = asof->n_spans * BREW_SPLITS * asof->task->n_actions;
    r.known = brew_calloc(r.n_counts, sizeof *r.known);
    r.stretches = brew_calloc(most, sizeof *r.stretches);
    const brew_strings **lists = brew_calloc(most, sizeof *lists);
    for (size_t i = 0; i < most; i++) {
        r.stretches[i].in = &r.round.stretches[i];
        r.stretches[i].before = brew_calloc(r.n_counts, sizeof *r.known);
        r.stretches[i].tail = brew_calloc(r.n_counts, sizeof *r.known);
    }
    int status = brew_sorter_finish(asof->moments, err) ? -1 : 1;
    while (status > 0) status = pass_round(&r, asof, lists, err);
    for (size_t i = 0; i < most; i++) {
        stretch *s = &r.stretches[i];
        free(s->before);
        free(s->tail);
        brew_buf_release(&s->answers.bytes);
        brew_buf_release(&s->numbers.bytes);
    }
    free(r.stretches);
    free(lists);
    free(r.known);
    brew_round_release(&r.round);
    brew_sorter_free(asof->moments);
    asof->moments = NULL;
    return status;
}
