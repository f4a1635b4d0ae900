#include "rank/baseline.h"

#include <stdlib.h>

#include "base/mem.h"

static const double SHRINK = 5;

const char *brew_baseline_name(enum brew_baseline baseline) {
    static const char *const names[] = {"rate", "item", "member", "member_item", "like_ratio"};
    return names[baseline];
}

bool brew_baseline_is_probability(enum brew_baseline baseline) {
    return baseline != BREW_BASELINE_MEMBER_ITEM;
}

void brew_baselines_init(brew_baselines *b, const brew_reader *reader) {
    *b = (brew_baselines){0};
    b->members = brew_calloc(reader->members.count + 1, sizeof *b->members);
    b->items = brew_calloc(reader->items.count + 1, sizeof *b->items);
}

void brew_baselines_release(brew_baselines *b) {
    free(b->members);
    free(b->items);
    *b = (brew_baselines){0};
}

static void count(struct brew_tally *tally, bool positive) {
    tally->n++;
    tally->positives += positive;
}

void brew_baselines_add(brew_baselines *b, size_t member, size_t item, bool positive) {
    count(&b->all, positive);
    if (member != SIZE_MAX) count(&b->members[member], positive);
    if (item != SIZE_MAX) count(&b->items[item], positive);
}

static double deviation(const struct brew_tally *t, double mean) {
    return ((double)t->positives - (double)t->n * mean) / ((double)t->n + SHRINK);
}

void brew_baselines_score(const brew_baselines *b, const brew_answers *a,
                          enum brew_baseline baseline, double *score) {
    double mean = b->all.n ? (double)b->all.positives / (double)b->all.n : .5;
    for (size_t i = 0; i < a->n; i++) {
        const struct brew_tally *member = &b->members[a->member[i]], *item = &b->items[a->item[i]];
        score[i] = mean;
        if (baseline == BREW_BASELINE_ITEM || baseline == BREW_BASELINE_MEMBER_ITEM)
            score[i] += deviation(item, mean);
        if (baseline == BREW_BASELINE_MEMBER || baseline == BREW_BASELINE_MEMBER_ITEM)
            score[i] += deviation(member, mean);
        if (baseline == BREW_BASELINE_LIKE_RATIO)
            score[i] = ((double)member->positives + 1) / ((double)member->n + 2);
    }
}

void brew_baselines_unseen(const brew_baselines *b, const brew_answers *a, uint64_t *members,
                           uint64_t *items) {
    *members = *items = 0;
    for (size_t i = 0; i < a->n; i++) {
        *members += b->members[a->member[i]].n == 0;
        *items += b->items[a->item[i]].n == 0;
    }
}

void brew_baselines_list(const brew_baselines *b, const brew_answers *a, brew_systems *systems) {
    for (int i = 0; i < BREW_BASELINES; i++) {
        bool probability = brew_baseline_is_probability(i);
        brew_system *s =
            brew_systems_add(systems, "baselines", brew_baseline_name(i), probability, a->n);
        brew_baselines_score(b, a, i, s->score);
    }
}

brew_json *brew_baselines_events(const brew_baselines *b, const brew_answers *a) {
    brew_json *out = brew_json_new_object();
    uint64_t members, items;
    brew_baselines_unseen(b, a, &members, &items);
    brew_json_set(out, "before_split", brew_json_new_int((int64_t)b->all.n));
    brew_json_set(out, "positive", brew_json_new_int((int64_t)b->all.positives));
    brew_json_set(out, "answers_of_unseen_members", brew_json_new_int((int64_t)members));
    brew_json_set(out, "answers_of_unseen_items", brew_json_new_int((int64_t)items));
    return out;
}
