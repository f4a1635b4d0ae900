// One sort by time | 0 training, 1 test: a training event stands before the questions of its own moment,
// so that at each one all questions passed are strictly earlier.
#include "text/prompt/later.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "text/prompt/plan.h"
#include "text/prompt/sorter.h"
#include "text/prompt/sortkey.h"

struct brew_later {
    const brew_task *task;
    brew_sorter *sorter;
    brew_buf key;
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
    brew_buf_release(&later->key);
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
        brew_buf_reset(&later->key);
        brew_key_time(&later->key, e->time);
        brew_buf_addc(&later->key, (char)test);
        if (brew_sorter_add(later->sorter, later->key.ptr, later->key.len, err)) return -1;
    }
    return 0;
}

int brew_later_share(brew_later *later, double *share, brew_err *err) {
    uint64_t n_train = 0, n_test = 0, pairs = 0;
    const unsigned char *bytes;
    size_t len;
    int got = brew_sorter_finish(later->sorter, err) ? -1 : 1;
    while (got > 0 && (got = brew_sorter_next(later->sorter, &bytes, &len, err)) > 0) {
        if (bytes[len - 1]) {
            n_test++;
        } else {
            n_train++;
            pairs += n_test;
        }
    }
    *share = n_train && n_test ? (double)pairs / (double)n_train / (double)n_test : 0;
    return got;
}
