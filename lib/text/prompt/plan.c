#include "text/prompt/plan.h"

#include <stdlib.h>

#include "base/mem.h"

typedef struct planner {
    brew_plan *plan;
    const brew_event *events;
    size_t max_history, max_questions;
} planner;

// The first event with the time of event i: what is strictly before it ends here.
static size_t strictly_before(const planner *p, size_t i) {
    int64_t time = p->events[i].time;
    while (i && p->events[i - 1].time == time) i--;
    return i;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

// Adds a record that asks [question, question + n), whose history lies before `limit`.
static brew_plan_record *add(planner *p, size_t question, size_t n, size_t limit) {
    brew_plan *plan = p->plan;
    BREW_GROW(plan->records, plan->n + 1, plan->cap);
    brew_plan_record *record = &plan->records[plan->n++];
    *record = (brew_plan_record){.number = plan->n, .question = question, .n_questions = n};
    record->earlier = strictly_before(p, question);
    record->end = least(record->earlier, limit);
    record->begin = record->end > p->max_history ? record->end - p->max_history : 0;
    record->fresh = record->end;
    return record;
}

static void plan_once(planner *p, size_t n) {
    for (size_t start = 0; start < n;) {
        // The last record is kept full; the first tells at least as much as it asks, where it can.
        size_t asks = start ? p->max_questions : least(p->max_questions, (n + 1) / 2);
        size_t last = n > asks ? n - asks : 0;
        size_t question = least(start + p->max_history, last);
        if (question < start) question = start;
        size_t tied = strictly_before(p, question);
        question = tied > start ? tied : start; // events of one time are asked, not shown
        brew_plan_record *record =
            add(p, question, least(p->max_questions, n - question), SIZE_MAX);
        if (start < record->end) record->fresh = start;
        start = question + record->n_questions;
    }
}

static void plan_all(planner *p, size_t from, size_t to, size_t limit, enum brew_split split,
                     bool candidates) {
    for (size_t i = from; i < to; i += p->max_questions) {
        brew_plan_record *record = add(p, i, least(p->max_questions, to - i), limit);
        record->split = split;
        record->candidates = candidates;
    }
}

void brew_plan_member(brew_plan *plan, const brew_task *task, const brew_member *member,
                      size_t max_history, size_t max_questions) {
    planner p = {plan, member->events, max_history, max_questions};
    plan->n = 0;
    size_t from = 0;
    for (int split = BREW_SPLIT_TRAIN; split < BREW_SPLITS; split++) {
        size_t to = from;
        while (to < member->n && member->events[to].action >= 0 &&
               member->events[to].split == split)
            to++;
        if (split == BREW_SPLIT_TRAIN && task->train == BREW_TRAIN_ONCE)
            plan_once(&p, to);
        else
            plan_all(&p, from, to,
                     task->history_until_split && split != BREW_SPLIT_TRAIN ? from : SIZE_MAX,
                     (enum brew_split)split, false);
        from = to;
    }
    plan_all(&p, from, member->n, SIZE_MAX, BREW_SPLIT_TRAIN, true);
}

void brew_plan_release(brew_plan *plan) {
    free(plan->records);
    *plan = (brew_plan){0};
}
