#include "text/prompt/asof.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "text/prompt/asof_parts.h"
#include "text/prompt/sortkey.h"

static void find_spans(brew_asof *asof) {
    for (size_t f = 0; f < asof->features->n; f++) {
        const brew_feature *feature = &asof->features->list[f];
        size_t s = 0;
        while (s < asof->n_spans &&
               (asof->spans[s].of != feature->of || asof->spans[s].lag != feature->lag ||
                asof->spans[s].window != feature->window))
            s++;
        asof->span_of[f] = s;
        if (s == asof->n_spans)
            asof->spans[asof->n_spans++] =
                (struct span){feature->of, feature->lag, feature->window};
    }
}

static void find_questions(brew_asof *asof) {
    for (size_t f = 0; f < asof->features->n; f++) {
        const brew_feature *feature = &asof->features->list[f];
        for (int at_split = 0; at_split < 2; at_split++)
            for (int side = 0; side < BREW_ASOF_SIDES; side++)
                asof->asks[feature->of][at_split][side] |=
                    brew_asof_told_by(feature, feature->of, at_split, side);
    }
}

// The share of the actions among the training events, a half without any.
static double mean_of(const brew_asof *asof, const brew_feature *feature) {
    uint64_t k = 0, n = 0;
    for (size_t a = 0; a < asof->task->n_actions; a++) {
        n += asof->trained[a];
        k += feature->actions[a] ? asof->trained[a] : 0;
    }
    return n ? (double)k / (double)n : 0.5;
}

// Edge p: the number at rank ceil(n p / 100) of n, the smallest that p % do not exceed.
static int fit_edges(brew_asof *asof, brew_err *err) {
    const unsigned char *bytes;
    size_t len, feature = SIZE_MAX, edge = 0;
    uint64_t rank = 0;
    int got = brew_sorter_finish(asof->numbers, err) ? -1 : 1;
    while (got > 0 && (got = brew_sorter_next(asof->numbers, &bytes, &len, err)) > 0) {
        brew_key_cursor c = {(const char *)bytes};
        size_t f = brew_key_take_u8(&c);
        double number = brew_key_take_double(&c);
        if (f != feature) edge = rank = 0;
        feature = f;
        rank++;
        const brew_feature *of = &asof->features->list[f];
        while (edge < of->n_edges &&
               (double)rank >= (double)asof->n_numbers[f] * of->percentiles[edge] / 100)
            asof->fitted[f].edges[edge++] = number;
    }
    brew_sorter_free(asof->numbers);
    asof->numbers = NULL;
    return got;
}

// One reading more, to know which items there are.
static int ready_negatives(brew_negatives *negatives, brew_events *events, brew_err *err) {
    brew_member member = {0};
    int got;
    while ((got = brew_events_next(events, &member, err)) > 0)
        brew_negatives_count(negatives, &member);
    brew_member_release(&member);
    brew_negatives_ready(negatives);
    return got < 0 ? -1 : brew_events_rewind(events, true, err);
}

static int run(brew_asof *asof, brew_events *events, const brew_state *state, brew_err *err) {
    if (asof->negatives && ready_negatives(asof->negatives, events, err)) return -1;
    if (brew_asof_take_members(asof, events, err)) return -1;
    for (size_t f = 0; f < asof->features->n; f++) {
        const brew_feature *feature = &asof->features->list[f];
        brew_fitted *fitted = &asof->fitted[f];
        fitted->mean = state ? state->fitted[f].mean : mean_of(asof, feature);
        if (feature->measure == BREW_MEASURE_DEVIATION) asof->mean = fitted->mean;
        fitted->edges = brew_calloc(feature->n_edges + 1, sizeof(double));
        for (size_t i = 0; i < feature->n_edges; i++)
            fitted->edges[i] = state ? state->fitted[f].edges[i] : (double)INFINITY;
    }
    if (brew_asof_pass(asof, err) || (!state && fit_edges(asof, err))) return -1;
    return brew_sorter_finish(asof->answers, err) ? -1 : brew_events_rewind(events, false, err);
}

brew_asof *brew_asof_new(const brew_task *task, brew_events *events, size_t memory_bytes,
                         const brew_state *state, brew_negatives *negatives, brew_err *err) {
    brew_asof *asof = brew_calloc(1, sizeof *asof);
    asof->given = state != NULL;
    asof->negatives = negatives;
    asof->task = task;
    asof->features = task->features;
    asof->trained = brew_calloc(task->n_actions, sizeof *asof->trained);
    find_spans(asof);
    find_questions(asof);
    brew_pool *pool = asof->pool = brew_events_pool(events);
    if ((asof->moments = brew_sorter_new(memory_bytes / 3, pool, err)) &&
        (asof->answers = brew_sorter_new(memory_bytes / 3, pool, err)) &&
        (asof->numbers = brew_sorter_new(memory_bytes / 3, pool, err)) &&
        !run(asof, events, state, err))
        return asof;
    brew_asof_free(asof);
    return NULL;
}

void brew_asof_free(brew_asof *asof) {
    if (!asof) return;
    brew_sorter_free(asof->moments);
    brew_sorter_free(asof->answers);
    brew_sorter_free(asof->numbers);
    for (size_t f = 0; f < asof->features->n; f++) free(asof->fitted[f].edges);
    free(asof->trained);
    free(asof);
}

int brew_asof_next(brew_asof *asof, brew_member *member, brew_err *err) {
    size_t n = asof->features->n, history = asof->features->history;
    if (asof->negatives) brew_negatives_apply(asof->negatives, member);
    BREW_GROW(member->values, member->n * n, member->values_cap);
    for (size_t i = 0; i < member->n; i++) {
        int side = brew_asof_side(&member->events[i]);
        double *values = member->values + i * n;
        for (int q = 0; q < BREW_OF * 2; q++) {
            enum brew_feature_of of = (enum brew_feature_of)(q / 2);
            bool at_split = q % 2;
            if (!asof->asks[of][at_split][side]) continue;
            const unsigned char *bytes;
            size_t len;
            int got = brew_sorter_next(asof->answers, &bytes, &len, err);
            if (got < 0) return -1;
            brew_key_cursor c = {(const char *)bytes};
            if (!got || brew_key_take_u64(&c) != brew_asof_place(asof->n_answered, of, at_split))
                brew_bug("features and events do not come in one order");
            for (size_t f = 0; f < n; f++)
                if (brew_asof_told_by(&asof->features->list[f], of, at_split, side))
                    values[f] = brew_key_take_double(&c);
        }
        if (member->events[i].drawn) member->events[i].item_history = (uint64_t)values[history];
        asof->n_answered++;
    }
    return 0;
}

const char *brew_asof_word(const brew_asof *asof, const brew_member *member, size_t event,
                           size_t feature) {
    return brew_feature_word(&asof->features->list[feature], &asof->fitted[feature],
                             member->values[event * asof->features->n + feature]);
}

double brew_asof_offset(const brew_asof *asof, const brew_member *member, size_t event) {
    const brew_features *features = asof->features;
    const double *values = member->values + event * features->n;
    double deviations = 0;
    if (features->item_offset != SIZE_MAX) deviations += values[features->item_offset];
    if (features->member_offset != SIZE_MAX) deviations += values[features->member_offset];
    return brew_offset_of(asof->mean, deviations);
}

const brew_fitted *brew_asof_fitted(const brew_asof *asof) {
    return asof->fitted;
}
