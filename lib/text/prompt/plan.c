#include "text/prompt/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

typedef struct planner {
    brew_plan *plan;
    const brew_task *task;
    const brew_member *member;
    const brew_event *events;
    size_t max_history, max_questions;
    uint64_t seed;
    bool held_out; // the member
} planner;

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

// ---- what may be seen ----

// Is the event kept in a sampled history? One draw for each event, whoever asks.
static bool sampled(const planner *p, const brew_event *e) {
    double rate = brew_log_actions(p->task, e->log)->list[e->action].rate;
    if (rate >= 1) return true;
    uint64_t hash = brew_hash64(e->item, e->item_len, p->seed + (uint64_t)e->time);
    hash = brew_hash64(p->member->id, p->member->id_len, hash);
    return (double)(hash >> 11) * 0x1p-53 < rate;
}

static bool task_held_out(const brew_task *task, size_t log) {
    if (task->split.hold_out[BREW_HOLD_TASKS] <= 0) return false;
    const char *name = task->logs[log].task ? task->logs[log].task : task->name;
    return brew_datasplit_holds_out(&task->split, BREW_HOLD_TASKS, name, strlen(name));
}

bool brew_plan_is_known_to_train(const brew_task *task, const brew_event *event) {
    return !brew_datasplit_holds_out(&task->split, BREW_HOLD_ITEMS, event->item, event->item_len) &&
           !task_held_out(task, event->log);
}

bool brew_plan_may_see(const brew_task *task, const brew_event *event, int split) {
    if (task->told && !task->told[event->log]) return false;
    if (split == BREW_SPLIT_TRAIN && !brew_plan_is_known_to_train(task, event)) return false;
    if (split == BREW_SPLITS) return true;
    if (task->history_until_split && split != BREW_SPLIT_TRAIN) return event->split < split;
    return event->split <= split;
}

static bool is_seen(const planner *p, const brew_event *e, int split) {
    if (!brew_plan_may_see(p->task, e, split)) return false;
    return p->task->select != BREW_HISTORY_SAMPLE || sampled(p, e);
}

// Events by (known, place). They come by time, so that those of one log are in order already.
static void order_known(planner *p, size_t n) {
    brew_plan *plan = p->plan;
    BREW_GROW(plan->known, n, plan->known_cap);
    plan->n_known = n;
    for (size_t i = 0; i < n; i++) { // insertion: windows of logs differ by little
        size_t at = i;
        for (; at && p->events[plan->known[at - 1]].known > p->events[i].known; at--)
            plan->known[at] = plan->known[at - 1];
        plan->known[at] = i;
    }
    for (int split = 0; split <= BREW_SPLITS; split++) {
        BREW_GROW(plan->seen[split], n, plan->seen_cap[split]);
        plan->n_seen[split] = 0;
        for (size_t i = 0; i < n; i++)
            if (is_seen(p, &p->events[plan->known[i]], split))
                plan->seen[split][plan->n_seen[split]++] = plan->known[i];
    }
}

// How many of a list of events were known before `time`.
static size_t known_before(const planner *p, const size_t *list, size_t n, int64_t time) {
    size_t low = 0;
    while (low < n) {
        size_t middle = low + (n - low) / 2;
        if (p->events[list[middle]].known < time)
            low = middle + 1;
        else
            n = middle;
    }
    return low;
}

// Where a history that ends at `end` begins.
static size_t begin_of(const planner *p, size_t end) {
    const brew_task *task = p->task;
    if (task->select == BREW_HISTORY_ALL || task->select == BREW_HISTORY_SIMILAR) return 0;
    if (end <= p->max_history) return 0;
    size_t step = task->drop_quarters ? (p->max_history + 3) / 4 : 1, over = end - p->max_history;
    return step ? least((over + step - 1) / step * step, end) : end;
}

// ---- records ----

// Adds a record that asks plan->asked[from, from + n).
static brew_plan_record *add(planner *p, size_t from, size_t n, int split) {
    brew_plan *plan = p->plan;
    BREW_GROW(plan->records, plan->n + 1, plan->cap);
    brew_plan_record *record = &plan->records[plan->n++];
    int64_t time = p->events[plan->asked[from]].time;
    *record = (brew_plan_record){.number = plan->n, .asked = from, .n_asked = n};
    record->candidates = split == BREW_SPLITS;
    record->split = record->candidates ? BREW_SPLIT_TRAIN : (enum brew_split)split;
    record->seen = plan->seen[split];
    record->earlier = known_before(p, plan->known, plan->n_known, time);
    record->end = known_before(p, plan->seen[split], plan->n_seen[split], time);
    record->begin = begin_of(p, record->end);
    record->fresh = record->end;
    record->kept = SIZE_MAX;
    return record;
}

brew_plan_record brew_plan_cut_short(const brew_plan_record *record, size_t kept) {
    brew_plan_record out = *record;
    out.kept = kept;
    out.fresh = out.end;
    return out;
}

static void ask(planner *p, size_t event) {
    brew_plan *plan = p->plan;
    BREW_GROW(plan->asked, plan->n_asked + 1, plan->asked_cap);
    plan->asked[plan->n_asked++] = event;
}

// May b be asked in the record whose first question is a?
static bool together(const planner *p, const brew_event *a, const brew_event *b) {
    const brew_log *log = &p->task->logs[a->log];
    if (a->log != b->log || a->window != b->window) return false;
    if (a->action < 0 && a->time != b->time) return false;
    if (a->action >= 0 && log->units && b->time > a->known) return false; // it could be told of a
    if (log->request_column || a->action < 0)
        return a->request_len == b->request_len &&
               (!a->request_len || !memcmp(a->request, b->request, a->request_len));
    return !log->slate || a->time == b->time;
}

// When what has passed became known: as such, and from when on a line may be learned from behind it
// (a unit's answer was not there yet at the very time it became known).
typedef struct passed {
    int64_t known, learned;
} passed;

static void pass(passed *p, const brew_event *e) {
    int64_t learned = e->known + !e->at_once;
    if (e->known > p->known) p->known = e->known;
    if (learned > p->learned) p->learned = learned;
}

static const brew_event *train_event(const planner *p, size_t i) {
    return &p->events[p->plan->train[i]];
}

// The last event, in [start, target], that may be the first question of a record whose lines from `start`
// on are to be learned from. What lies before `start` has passed.
static size_t question_after(const planner *p, size_t start, size_t target, passed before) {
    size_t question = start;
    for (size_t i = start; i <= target; i++) {
        const brew_event *e = train_event(p, i);
        if (before.known < e->time) question = i;
        if (before.learned > e->time) break; // no line to learn from
        pass(&before, e);
    }
    return question;
}

static void plan_once(planner *p, size_t n) {
    size_t max_shown = p->max_history;
    if (p->task->select == BREW_HISTORY_ALL) max_shown = n;
    if (p->task->drop_quarters) max_shown -= least((max_shown + 3) / 4, max_shown);
    passed before = {INT64_MIN, INT64_MIN};
    for (size_t start = 0; start < n;) {
        // The last record is kept full; the first tells at least as much as it asks, where it can.
        size_t asks = start ? p->max_questions : least(p->max_questions, (n + 1) / 2);
        size_t last = n > asks ? n - asks : 0, target = least(start + max_shown, last);
        size_t question = target > start ? question_after(p, start, target, before) : start;
        size_t from = p->plan->n_asked, end = question;
        while (end < n && end - question < p->max_questions &&
               together(p, train_event(p, question), train_event(p, end)))
            ask(p, p->plan->train[end++]);
        brew_plan_record *record = add(p, from, end - question, BREW_SPLIT_TRAIN);
        record->fresh = record->end - (question - start);
        while (start < end) pass(&before, train_event(p, start++));
    }
}

// May train ask about it? (For a member who is not held out.)
static bool is_trained(const planner *p, const brew_event *e) {
    return e->split == BREW_SPLIT_TRAIN && !p->held_out && brew_plan_is_known_to_train(p->task, e);
}

// Asks all events of a split (BREW_SPLITS: candidates), each log for itself.
static void plan_all(planner *p, int split) {
    brew_plan *plan = p->plan;
    for (size_t log = 0; log < p->task->n_logs; log++) {
        if (p->task->asked && !p->task->asked[log]) continue;
        size_t from = plan->n_asked;
        for (size_t i = 0; i < p->member->n; i++) {
            const brew_event *e = &p->events[i];
            bool candidate = e->action < 0;
            if (e->log != log || candidate != (split == BREW_SPLITS)) continue;
            if (!candidate && (e->split != split || e->gap)) continue;
            if (!split && !is_trained(p, e)) continue;
            size_t n = plan->n_asked - from;
            bool whole = candidate && p->task->candidates.whole_requests;
            if ((n == p->max_questions && !whole) ||
                (n && !together(p, &p->events[plan->asked[from]], e))) {
                add(p, from, n, split);
                from = plan->n_asked;
            }
            ask(p, i);
        }
        if (plan->n_asked > from) add(p, from, plan->n_asked - from, split);
    }
}

void brew_plan_member(brew_plan *plan, const brew_task *task, const brew_member *member,
                      size_t max_history, size_t max_questions, uint64_t seed) {
    planner p = {plan, task, member, member->events, max_history, max_questions, seed, false};
    p.held_out =
        brew_datasplit_holds_out(&task->split, BREW_HOLD_MEMBERS, member->id, member->id_len);
    plan->n = plan->n_asked = plan->n_train = 0;
    size_t n = member->n;
    while (n && member->events[n - 1].action < 0) n--;
    order_known(&p, n);
    BREW_GROW(plan->train, n, plan->train_cap);
    for (size_t i = 0; i < n; i++)
        if (is_trained(&p, &member->events[i])) plan->train[plan->n_train++] = i;
    if (task->train == BREW_TRAIN_ONCE)
        plan_once(&p, plan->n_train);
    else
        plan_all(&p, BREW_SPLIT_TRAIN);
    for (int split = BREW_SPLIT_VALID; split <= BREW_SPLITS; split++) plan_all(&p, split);
}

void brew_plan_release(brew_plan *plan) {
    free(plan->records);
    free(plan->asked);
    free(plan->known);
    free(plan->train);
    for (int split = 0; split <= BREW_SPLITS; split++) free(plan->seen[split]);
    *plan = (brew_plan){0};
}
