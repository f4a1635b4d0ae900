// Splits and plans: who is asked what, and what stands before it. Random members are checked against the
// promises in plan.h, small ones against what was worked out by hand.
#include "text/prompt/plan.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"

static void test_splits(void) {
    static const struct {
        size_t n;
        double valid, test;
        size_t want_valid, want_test;
    } cases[] = {{20, 0, 0.2, 16, 16}, {24, 0, 0.2, 20, 20},       {4, 0, 0.2, 3, 3},
                 {1, 0, 0.2, 0, 0},    {1, 0.1, 0.2, 0, 0},        {2, 0.1, 0.2, 0, 1},
                 {10, 0.1, 0.2, 7, 8}, {100, 0, 0.29, 71, 71},     {30, 0.1, 0.1, 24, 27},
                 {5, 0.5, 0.5, 1, 3},  {1000, 0, 0.001, 999, 999}, {3, 0, 1, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        brew_datasplit split = {BREW_SPLIT_BY_LAST, cases[i].valid, cases[i].test, 0, 0};
        size_t valid, test;
        brew_datasplit_of_member(&split, cases[i].n, &valid, &test);
        ok(valid == cases[i].want_valid && test == cases[i].want_test,
           "%zu events, last %g and %g: %zu, %zu", cases[i].n, cases[i].valid, cases[i].test, valid,
           test);
    }
    brew_datasplit split = {BREW_SPLIT_BY_TIME, 0, 0, 10, 20};
    ok(brew_datasplit_of_time(&split, 9) == BREW_SPLIT_TRAIN &&
           brew_datasplit_of_time(&split, 10) == BREW_SPLIT_VALID &&
           brew_datasplit_of_time(&split, 20) == BREW_SPLIT_TEST,
       "a boundary belongs to what follows it");
}

static void test_gap(void) {
    brew_datasplit split = {BREW_SPLIT_BY_TIME, 0, 0, 100, 200, .gap_ms = 10, .window_ms = 30};
    const struct {
        int64_t time;
        enum brew_split side;
        bool gap;
        unsigned window;
    } cases[] = {{89, BREW_SPLIT_TRAIN, false, 0},  {90, BREW_SPLIT_VALID, true, 0},
                 {99, BREW_SPLIT_VALID, true, 0},   {100, BREW_SPLIT_VALID, false, 0},
                 {189, BREW_SPLIT_VALID, false, 0}, {190, BREW_SPLIT_TEST, true, 0},
                 {199, BREW_SPLIT_TEST, true, 0},   {200, BREW_SPLIT_TEST, false, 1},
                 {229, BREW_SPLIT_TEST, false, 1},  {230, BREW_SPLIT_TEST, false, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t time = cases[i].time;
        ok(brew_datasplit_of_time(&split, time) == cases[i].side &&
               brew_datasplit_in_gap(&split, time) == cases[i].gap &&
               brew_datasplit_window(&split, time) == cases[i].window,
           "a gap of 10, windows of 30: %d", (int)time);
    }
    split.test_from = INT64_MAX;
    split.valid_from = INT64_MIN + 5;
    ok(brew_datasplit_of_time(&split, INT64_MAX - 1) == BREW_SPLIT_VALID &&
           brew_datasplit_of_time(&split, INT64_MIN) == BREW_SPLIT_TRAIN,
       "boundaries at the ends of time have no gap");
}

static void test_hold_out(void) {
    brew_datasplit split = {.hold_out = {0.25, 1, 0}};
    size_t n = 0;
    for (int i = 0; i < 10000; i++) {
        char name[16];
        int len = snprintf(name, sizeof name, "%d", i);
        n += brew_datasplit_holds_out(&split, BREW_HOLD_MEMBERS, name, (size_t)len);
    }
    ok(n > 2350 && n < 2650, "a quarter held out: %zu of 10000", n);
    ok(brew_datasplit_holds_out(&split, BREW_HOLD_ITEMS, "x", 1) &&
           !brew_datasplit_holds_out(&split, BREW_HOLD_TASKS, "x", 1),
       "all, and none");
}

// Events with these times and splits; candidates are marked 'c'.
static brew_member member_of(const int *times, const char *splits) {
    brew_member member = {.id = "m", .id_len = 1, .n = strlen(splits)};
    member.events = brew_calloc(member.n + 1, sizeof *member.events);
    for (size_t i = 0; i < member.n; i++) {
        brew_event *event = &member.events[i];
        event->time = event->known = splits[i] == 'c' ? BREW_TIME_NEVER : times[i];
        event->at_once = true;
        event->action = splits[i] == 'c' ? -1 : (int32_t)(i & 1);
        event->split = splits[i] == 'v'   ? BREW_SPLIT_VALID
                       : splits[i] == 'e' ? BREW_SPLIT_TEST
                                          : BREW_SPLIT_TRAIN;
    }
    return member;
}

static void plans(const char *name, const brew_task *task, size_t shown, size_t asked,
                  const int *times, const char *splits, const char *want) {
    brew_member member = member_of(times, splits);
    brew_plan plan = {0};
    brew_buf got = {0};
    brew_plan_member(&plan, task, &member, shown, asked, 0);
    for (size_t i = 0; i < plan.n; i++) {
        const brew_plan_record *r = &plan.records[i];
        brew_buf_addf(&got, "%s%zu-%zu*%zu>%zu+%zu", i ? " " : "", r->begin, r->end, r->fresh,
                      plan.asked[r->asked], r->n_asked);
    }
    is_str(got.ptr ? got.ptr : "", want, name);
    brew_buf_release(&got);
    brew_plan_release(&plan);
    free(member.events);
}

static const int ascending[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static void test_small(void) {
    brew_log log = {0};
    brew_task task = {.train = BREW_TRAIN_ONCE, .logs = &log, .n_logs = 1};
    const int tied[] = {0, 1, 1, 1, 1, 2, 2, 3, 3, 3};
    plans("history and questions share the events", &task, 3, 2, ascending, "tttttttttttt",
          "0-3*0>3+2 5-8*5>8+2 7-10*10>10+2");
    plans("of few events half are asked", &task, 3, 4, ascending, "ttt", "0-1*0>1+2");
    plans("a single event is asked", &task, 3, 4, ascending, "t", "0-0*0>0+1");
    plans("no history wanted", &task, 0, 2, ascending, "ttt", "0-0*0>0+2 2-2*2>2+1");
    plans("events of one time are never history of each other", &task, 3, 2, tied, "tttttttttt",
          "0-1*0>1+2 2-5*3>5+2 4-7*7>7+2 4-7*7>9+1");
    plans("valid and test: all asked, nothing fresh", &task, 3, 2, ascending, "ttttvveee",
          "0-2*0>2+2 1-4*4>4+2 3-6*6>6+2 5-8*8>8+1");
    plans("a candidate has all events behind it", &task, 3, 2, ascending, "ttttccc",
          "0-2*0>2+2 1-4*4>4+2 1-4*4>6+1");
    plans("a member with candidates alone", &task, 3, 2, ascending, "c", "0-0*0>0+1");
    task.history_until_split = true;
    plans("the history ends at the split", &task, 3, 2, ascending, "ttttvveee",
          "0-2*0>2+2 1-4*4>4+2 3-6*6>6+2 3-6*6>8+1");
    plans("and before the time of the question", &task, 3, 2, tied, "tttteeeeee",
          "0-1*0>1+2 0-1*1>3+1 0-1*1>4+2 1-4*4>6+2 1-4*4>8+2");
    task.train = BREW_TRAIN_ALL;
    plans("all train events asked, none fresh", &task, 3, 2, ascending, "ttttt",
          "0-0*0>0+2 0-2*2>2+2 1-4*4>4+1");
}

// Each event is asked or answered exactly once; histories are strictly earlier, most recent, in range.
static void test_promises(void) {
    size_t wrong = 0, records = 0;
    for (uint64_t round = 0; round < 2000; round++) {
        int times[64] = {0};
        char splits[65] = "";
        size_t n = brew_rand_below(3, 0, round, 64), shown = brew_rand_below(3, 1, round, 9);
        size_t asked = 1 + brew_rand_below(3, 2, round, 5);
        size_t train = brew_rand_below(3, 3, round, n + 1);
        for (size_t i = 0; i < n; i++) {
            times[i] = (i ? times[i - 1] : 0) + (int)brew_rand_below(3, 4 + round, i, 3) / 2;
            splits[i] = i < train ? 't' : 'e';
        }
        brew_log log = {0};
        brew_task task = {
            .train = BREW_TRAIN_ONCE, .logs = &log, .n_logs = 1, .history_until_split = round & 1};
        brew_member member = member_of(times, splits);
        brew_plan plan = {0};
        brew_plan_member(&plan, &task, &member, shown, asked, 0);
        int uses[64] = {0};
        for (size_t i = 0; i < plan.n; i++) {
            const brew_plan_record *r = &plan.records[i];
            size_t question = plan.asked[r->asked];
            wrong += r->n_asked < 1 || r->n_asked > asked || r->number != i + 1;
            wrong += r->end - r->begin > shown || r->fresh < r->begin || r->fresh > r->end;
            for (size_t k = r->begin; k < r->end; k++)
                wrong += times[r->seen[k]] >= times[question];
            for (size_t k = r->fresh; k < r->end; k++) uses[r->seen[k]]++;
            for (size_t k = 0; k < r->n_asked; k++) uses[plan.asked[r->asked + k]]++;
            bool test = question >= train;
            wrong += test != (r->split == BREW_SPLIT_TEST) || (test && r->fresh != r->end);
            size_t limit = test && task.history_until_split ? train : n;
            size_t next = r->end; // the next event is too late, or behind the limit
            wrong += next < limit && times[next] < times[question];
            wrong += r->begin && r->end - r->begin < shown;
            records++;
        }
        for (size_t i = 0; i < n; i++) wrong += uses[i] != 1;
        brew_plan_release(&plan);
        free(member.events);
    }
    is_int((long long)wrong, 0,
           "2,000 random members: each event learned from once, history earlier");
    ok(records > 10000, "in %zu records", records);
}

int main(void) {
    test_gap();
    test_hold_out();
    test_splits();
    test_small();
    test_promises();
    return tap_done();
}
