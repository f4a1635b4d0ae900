#include "rank/past_read.h"

int brew_past_read(const char *task_path, const brew_events_options *how, brew_reader *reader,
                   brew_baselines *baselines, brew_past *past, brew_err *err) {
    brew_task *task = brew_task_load(task_path, err);
    if (!task) return -1;
    brew_events *events = brew_events_open(task, how, err);
    brew_member member = {0};
    int got = events ? 0 : -1;
    brew_baselines_init(baselines, reader);
    while (events && (got = brew_events_next(events, &member, err)) > 0) {
        size_t number = brew_reader_member(reader, member.id, member.id_len);
        for (size_t i = 0; i < member.n; i++) {
            const brew_event *e = &member.events[i];
            if (past && (e->split < BREW_SPLIT_TEST || !task->history_until_split))
                brew_past_add(past, member.id, member.id_len, e->item, e->item_len, e->known,
                              e->positive);
            if (e->split != BREW_SPLIT_TRAIN) continue;
            size_t item = brew_reader_item(reader, e->item, e->item_len);
            brew_baselines_add(baselines, number, item, e->positive);
        }
    }
    brew_member_release(&member);
    brew_events_close(events);
    brew_task_free(task);
    if (got == 0 && baselines->all.n == 0)
        return brew_fail(err, BREW_DATA, "no event lies before the split of %s", task_path);
    return got;
}
