// One sort by twice the time, and 1 for a test question: a training event stands before the questions of its
// own moment, so that at each one all questions passed are strictly earlier.
#include "text/prompt/later.h"

#include <stdlib.h>

#include "base/mem.h"
#include "text/prompt/plan.h"
#include "text/prompt/sorter.h"
#include "text/prompt/sortkey.h"

struct brew_later {
    const brew_task *task;
    brew_sorter *sorter;
};

bool brew_later_possible(const brew_task *task) {
    bool given = false;
    for (size_t i = 0; i < task->n_logs; i++)
        given |= task->logs[i].split >= 0 || task->logs[i].split_column;
    return given || task->split.by == BREW_SPLIT_BY_LAST;
}

brew_later *brew_later_new(const brew_task *task, size_t memory_bytes, brew_err *err) {
    brew_later *later = brew_calloc(1, sizeof *later);
    later->task = task;
    if ((later->sorter = brew_sorter_new(memory_bytes, NULL, err))) return later;
    free(later);
    return NULL;
}

void brew_later_free(brew_later *later) {
    if (!later) return;
    brew_sorter_free(later->sorter);
    free(later);
}

int brew_later_add(brew_later *later, const brew_member *member, brew_err *err) {
    const brew_task *task = later->task;
    bool held_out =
        brew_datasplit_holds_out(&task->split, BREW_HOLD_MEMBERS, member->id, member->id_len);
    for (size_t i = 0; i < member->n; i++) {
        const brew_event *e = &member->events[i];
        bool test = e->split == BREW_SPLIT_TEST;
        if (e->action < 0 || e->gap || e->split == BREW_SPLIT_VALID) continue;
        if (test && task->asked && !task->asked[e->log]) continue;
        if (!test && (held_out || !brew_plan_is_known_to_train(task, e))) continue;
        char key[8];
        brew_key_store(key, brew_key_of_time(2 * e->time + test));
        if (brew_sorter_add(later->sorter, key, sizeof key, err)) return -1;
    }
    return 0;
}

int brew_later_share(brew_later *later, brew_pool *pool, double *share, brew_err *err) {
    uint64_t n_train = 0, n_test = 0, pairs = 0;
    const unsigned char *bytes;
    size_t len;
    brew_sorter_use(later->sorter, pool);
    int got = brew_sorter_finish(later->sorter, err) ? -1 : 1;
    while (got > 0 && (got = brew_sorter_next(later->sorter, &bytes, &len, err)) > 0) {
        if (bytes[len - 1] & 1) {
            n_test++;
        } else {
            n_train++;
            pairs += n_test;
        }
    }
    *share = n_train && n_test ? (double)pairs / (double)n_train / (double)n_test : 0;
    return got;
}
