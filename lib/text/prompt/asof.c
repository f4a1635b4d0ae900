// Three sorts. By entity and moment, where questions and changes of the counts pass in order; by event, to
// give each its numbers back; by feature and number, to find the edges:
//
//     moments:  of | entity NUL | moment | kind | payload
//               kind 0, a question:   at the split? | side | ordinal of the event (~0: only for the edges)
//               kind 1, a change:     span | leaves? | side | action
//     answers:  ordinal | of | at the split? | numbers of the features it is about
//     numbers:  feature | number
//
// A question stands before the changes of its moment: what counts is strictly before.
#include "text/prompt/asof.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "text/prompt/sortkey.h"
#include "text/prompt/sorter.h"

enum { CANDIDATE = BREW_SPLITS }; // a side behind all others

// A lag and a window that some features share.
struct span {
    enum brew_feature_of of;
    int64_t lag, window;
};

struct brew_asof {
    const brew_task *task;
    const brew_features *features;
    struct span spans[BREW_FEATURES_MAX];
    size_t n_spans, span_of[BREW_FEATURES_MAX];
    brew_fitted fitted[BREW_FEATURES_MAX];
    double mean; // of the positive actions
    brew_negatives *negatives;
    bool given; // means and edges, not fitted
    brew_sorter *moments, *answers, *numbers;
    brew_buf key, entity;
    enum brew_feature_of entity_of;
    uint64_t *trained; // [n_actions] training events
    uint64_t *counts;  // [spans][splits][n_actions] of the entity whose moments are passing
    uint64_t n_numbers[BREW_FEATURES_MAX];
    uint64_t n_asked, n_answered; // ordinals
};

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

static int side_of(const brew_event *event) {
    return event->action < 0 ? CANDIDATE : event->split;
}

// Is this feature's number, for an event of this side, told by this kind of question?
static bool told_by(const brew_feature *feature, enum brew_feature_of of, bool at_split, int side) {
    return feature->of == of && at_split == (feature->as_of_split && side != BREW_SPLIT_TRAIN);
}

// Begins a row of `moments`.
static brew_buf *moment(brew_asof *asof, enum brew_feature_of of, const brew_member *member,
                        const brew_event *event, int64_t time, char kind) {
    brew_buf *key = &asof->key;
    brew_buf_reset(key);
    brew_buf_addc(key, (char)of);
    if (of == BREW_OF_ITEM) { // an item is one of its table
        brew_buf_addc(key, (char)(asof->task->logs[event->log].items + 1));
        brew_key_id(key, event->item, event->item_len);
    } else
        brew_key_id(key, member->id, member->id_len);
    brew_key_time(key, time);
    brew_buf_addc(key, kind);
    return key;
}

// Of an event, counted through all sets.
static size_t action_number(const brew_asof *asof, const brew_event *event) {
    return brew_log_actions(asof->task, event->log)->first + (size_t)event->action;
}

static bool asks(const brew_asof *asof, enum brew_feature_of of, bool at_split, int side) {
    for (size_t f = 0; f < asof->features->n; f++)
        if (told_by(&asof->features->list[f], of, at_split, side)) return true;
    return false;
}

static int add_questions(brew_asof *asof, const brew_member *member, const brew_event *event,
                         uint64_t ordinal, brew_err *err) {
    int side = side_of(event);
    if (ordinal == UINT64_MAX && (asof->given || side != BREW_SPLIT_TRAIN)) return 0;
    for (int of = 0; of < BREW_OF; of++)
        for (int at_split = 0; at_split < 2; at_split++) {
            if (!asks(asof, (enum brew_feature_of)of, at_split, side)) continue;
            brew_buf *key = moment(asof, (enum brew_feature_of)of, member, event,
                                   at_split ? BREW_TIME_NEVER : event->time, 0);
            brew_buf_addc(key, (char)at_split);
            brew_buf_addc(key, (char)side);
            brew_key_u64(key, ordinal);
            if (brew_sorter_add(asof->moments, key->ptr, key->len, err)) return -1;
        }
    return 0;
}

static int add_changes(brew_asof *asof, const brew_member *member, const brew_event *event,
                       brew_err *err) {
    for (size_t s = 0; s < asof->n_spans; s++) {
        const struct span *span = &asof->spans[s];
        for (int leaves = 0; leaves < (span->window ? 2 : 1); leaves++) {
            int64_t time = event->known + span->lag + (leaves ? span->window : 0);
            brew_buf *key = moment(asof, span->of, member, event, time, 1);
            brew_buf_addc(key, (char)s);
            brew_buf_addc(key, (char)leaves);
            brew_buf_addc(key, (char)event->split);
            brew_key_u64(key, action_number(asof, event));
            if (brew_sorter_add(asof->moments, key->ptr, key->len, err)) return -1;
        }
    }
    return 0;
}

static int add_all(brew_asof *asof, brew_events *events, brew_err *err) {
    brew_member member = {0};
    int got;
    while ((got = brew_events_next(events, &member, err)) > 0) {
        bool ours = brew_events_in_shard(events, member.id, member.id_len);
        for (size_t i = 0; i < member.n && got > 0; i++) {
            const brew_event *event = &member.events[i];
            if (event->action < 0) continue;
            if (event->split == BREW_SPLIT_TRAIN) asof->trained[action_number(asof, event)]++;
            if (add_changes(asof, &member, event, err)) got = -1;
        }
        if (asof->negatives) brew_negatives_apply(asof->negatives, &member);
        for (size_t i = 0; i < member.n && got > 0; i++)
            if (add_questions(asof, &member, &member.events[i], ours ? asof->n_asked++ : UINT64_MAX,
                              err))
                got = -1;
        if (got < 0) break;
    }
    brew_member_release(&member);
    return got;
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

// May a question of one side count events of another?
static bool counts_for(const brew_task *task, bool at_split, int question, int side) {
    if (at_split) return side == BREW_SPLIT_TRAIN;
    return side < question ||
           (side == question && (side == BREW_SPLIT_TRAIN || !task->history_until_split));
}

static double number_of(const brew_asof *asof, size_t f, bool at_split, int question) {
    const brew_feature *feature = &asof->features->list[f];
    size_t n_actions = asof->task->n_actions;
    uint64_t k = 0, n = 0;
    for (int side = 0; side < BREW_SPLITS; side++) {
        if (feature->measure != BREW_MEASURE_HISTORY &&
            !counts_for(asof->task, at_split, question, side))
            continue;
        const uint64_t *counts =
            asof->counts + (asof->span_of[f] * BREW_SPLITS + (size_t)side) * n_actions;
        for (size_t a = 0; a < n_actions; a++) {
            n += counts[a];
            k += feature->actions[a] ? counts[a] : 0;
        }
    }
    return brew_feature_value(feature, asof->fitted[f].mean, k, n);
}

static int answer(brew_asof *asof, enum brew_feature_of of, brew_key_cursor *c, brew_err *err) {
    bool at_split = brew_key_take_u8(c);
    int side = brew_key_take_u8(c);
    uint64_t ordinal = brew_key_take_u64(c);
    brew_buf *key = &asof->key;
    double numbers[BREW_FEATURES_MAX];
    for (size_t f = 0; f < asof->features->n; f++) {
        const brew_feature *feature = &asof->features->list[f];
        if (!told_by(feature, of, at_split, side)) continue;
        numbers[f] = number_of(asof, f, at_split, side);
        if (asof->given || side != BREW_SPLIT_TRAIN || !feature->n_edges || isnan(numbers[f]))
            continue;
        asof->n_numbers[f]++;
        brew_buf_reset(key);
        brew_buf_addc(key, (char)f);
        brew_key_u64(key, brew_key_bits(numbers[f]));
        if (brew_sorter_add(asof->numbers, key->ptr, key->len, err)) return -1;
    }
    if (ordinal == UINT64_MAX) return 0;
    brew_buf_reset(key);
    brew_key_u64(key, ordinal);
    brew_buf_addc(key, (char)of);
    brew_buf_addc(key, (char)at_split);
    for (size_t f = 0; f < asof->features->n; f++)
        if (told_by(&asof->features->list[f], of, at_split, side))
            brew_key_u64(key, brew_key_bits(numbers[f]));
    return brew_sorter_add(asof->answers, key->ptr, key->len, err);
}

static void change(brew_asof *asof, brew_key_cursor *c) {
    size_t s = brew_key_take_u8(c);
    bool leaves = brew_key_take_u8(c);
    size_t side = brew_key_take_u8(c), action = (size_t)brew_key_take_u64(c);
    uint64_t *count = asof->counts + (s * BREW_SPLITS + side) * asof->task->n_actions + action;
    *count += leaves ? (uint64_t)-1 : 1;
}

// The moments in order: of each entity, from nothing known to all.
static int pass(brew_asof *asof, brew_err *err) {
    size_t n_counts = asof->n_spans * BREW_SPLITS * asof->task->n_actions;
    const unsigned char *bytes;
    size_t len, entity_len = 0;
    int got = brew_sorter_finish(asof->moments, err) ? -1 : 1;
    asof->counts = brew_calloc(n_counts, sizeof *asof->counts);
    while (got > 0 && (got = brew_sorter_next(asof->moments, &bytes, &len, err)) > 0) {
        brew_key_cursor c = {(const char *)bytes};
        enum brew_feature_of of = (enum brew_feature_of)brew_key_take_u8(&c);
        const char *entity = brew_key_take_id(&c, &entity_len);
        if (asof->entity_of != of || asof->entity.len != entity_len ||
            memcmp(asof->entity.ptr, entity, entity_len)) {
            asof->entity_of = of;
            brew_buf_reset(&asof->entity);
            brew_buf_add(&asof->entity, entity, entity_len);
            memset(asof->counts, 0, n_counts * sizeof *asof->counts);
        }
        brew_key_take_u64(&c); // the moment
        if (brew_key_take_u8(&c))
            change(asof, &c);
        else if (answer(asof, of, &c, err))
            got = -1;
    }
    brew_sorter_free(asof->moments);
    asof->moments = NULL;
    return got;
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
    if (add_all(asof, events, err)) return -1;
    for (size_t f = 0; f < asof->features->n; f++) {
        const brew_feature *feature = &asof->features->list[f];
        brew_fitted *fitted = &asof->fitted[f];
        fitted->mean = state ? state->fitted[f].mean : mean_of(asof, feature);
        if (feature->measure == BREW_MEASURE_DEVIATION) asof->mean = fitted->mean;
        fitted->edges = brew_calloc(feature->n_edges + 1, sizeof(double));
        for (size_t i = 0; i < feature->n_edges; i++)
            fitted->edges[i] = state ? state->fitted[f].edges[i] : (double)INFINITY;
    }
    if (pass(asof, err) || (!state && fit_edges(asof, err))) return -1;
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
    brew_pool *pool = brew_events_pool(events);
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
    brew_buf_release(&asof->key);
    brew_buf_release(&asof->entity);
    for (size_t f = 0; f < asof->features->n; f++) free(asof->fitted[f].edges);
    free(asof->trained);
    free(asof->counts);
    free(asof);
}

// How many questions an event asked.
static int questions_of(const brew_asof *asof, int side) {
    int n = 0;
    for (int of = 0; of < BREW_OF; of++)
        for (int at_split = 0; at_split < 2; at_split++)
            n += asks(asof, (enum brew_feature_of)of, at_split, side);
    return n;
}

int brew_asof_next(brew_asof *asof, brew_member *member, brew_err *err) {
    size_t n = asof->features->n, history = asof->features->history;
    if (asof->negatives) brew_negatives_apply(asof->negatives, member);
    BREW_GROW(member->values, member->n * n, member->values_cap);
    for (size_t i = 0; i < member->n; i++) {
        int side = side_of(&member->events[i]);
        double *values = member->values + i * n;
        for (int q = questions_of(asof, side); q > 0; q--) {
            const unsigned char *bytes;
            size_t len;
            int got = brew_sorter_next(asof->answers, &bytes, &len, err);
            if (got < 0) return -1;
            brew_key_cursor c = {(const char *)bytes};
            if (!got || brew_key_take_u64(&c) != asof->n_answered)
                brew_bug("features and events do not come in one order");
            enum brew_feature_of of = (enum brew_feature_of)brew_key_take_u8(&c);
            bool at_split = brew_key_take_u8(&c);
            for (size_t f = 0; f < n; f++)
                if (told_by(&asof->features->list[f], of, at_split, side))
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
