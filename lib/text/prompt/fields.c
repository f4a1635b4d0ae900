// What placeholders stand for.
#include <string.h>

#include "text/prompt/record.h"

// A time between two events, in words: a model reads them better than digits, and they are few.
static const char *gap_words(int64_t ms) {
    static const struct {
        int64_t minutes;
        const char *words;
    } below[] = {{1, "seconds later"},
                 {60, "minutes later"},
                 {24 * 60, "hours later"},
                 {2 * 24 * 60, "a day later"},
                 {7 * 24 * 60, "days later"},
                 {14 * 24 * 60, "a week later"},
                 {30 * 24 * 60, "weeks later"},
                 {60 * 24 * 60, "a month later"},
                 {365 * 24 * 60, "months later"},
                 {730 * 24 * 60, "a year later"}};
    for (size_t i = 0; i < sizeof below / sizeof *below; i++)
        if (ms < below[i].minutes * 60000) return below[i].words;
    return "years later";
}

// Since the member's last event of an earlier time, whatever became of it.
static void put_gap(const brew_subject *s) {
    const brew_event *e = s->event;
    while (e > s->member->events && e->time >= s->event->time) e--;
    if (e->time >= s->event->time)
        brew_buf_adds(s->value, "first");
    else if (s->event->time == BREW_TIME_NEVER)
        brew_buf_adds(s->value, "later");
    else
        brew_buf_adds(s->value, gap_words(s->event->time - e->time));
}

// The day in UTC, by the civil calendar (derived from counting days in 400-year cycles that begin in March).
static void put_date(const brew_subject *s) {
    int64_t ms = s->event->time;
    if (ms == BREW_TIME_NEVER) return;
    int64_t days = ms / 86400000 - (ms % 86400000 < 0) + 719468; // since 0000-03-01
    int64_t cycle = days / 146097, day = days % 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    day -= 365 * year + year / 4 - year / 100;
    int64_t month = (5 * day + 2) / 153;
    day -= (153 * month + 2) / 5;
    year += 400 * cycle + (month >= 10);
    brew_buf_addf(s->value, "%04d-%02d-%02d", (int)year, (int)(month < 10 ? month + 3 : month - 9),
                  (int)day + 1);
}

static void put_count(const brew_subject *s, size_t counted) {
    const brew_prompter *p = s->prompter;
    const brew_task *task = p->task;
    const brew_plan_record *record = s->record;
    const bool *is = counted ? p->counts_as + (counted - 1) * task->n_actions : NULL;
    int split = record->candidates ? BREW_SPLITS : (int)record->split;
    bool cut = record->kept != SIZE_MAX; // then it counts what is shown
    size_t n = 0, n_known = cut ? s->n_shown : record->earlier;
    for (size_t i = 0; i < n_known; i++) {
        const brew_event *e = &s->member->events[cut ? s->shown[i] : s->plan->known[i]];
        if (is && !is[brew_log_actions(task, e->log)->first + (size_t)e->action]) continue;
        n += brew_plan_may_see(task, e, split);
    }
    brew_buf_add_i64(s->value, (int64_t)n);
}

static brew_field value_of(brew_subject *s, int kind, size_t column) {
    const brew_prompter *p = s->prompter;
    const brew_event *e = s->event;
    brew_buf_reset(s->value);
    switch (kind) {
    case BREW_FIELD_MEMBER_ID:
        return (brew_field){s->member->id, s->member->id_len};
    case BREW_FIELD_ITEM_ID:
        return (brew_field){e->item, e->item_len};
    case BREW_FIELD_MEMBER_COLUMN:
        return brew_entities_field(&p->members, s->member_row, column);
    case BREW_FIELD_ITEM_COLUMN:
        return brew_entities_field(&p->items[p->task->logs[e->log].items],
                                   s->item_rows[e - s->member->events], column);
    case BREW_FIELD_EVENT_COLUMN:
        return e->context ? e->context[column] : (brew_field){NULL, 0};
    case BREW_FIELD_SURFACE:
        if (p->task->logs[e->log].surface) brew_buf_adds(s->value, p->task->logs[e->log].surface);
        break;
    case BREW_FIELD_GAP:
        put_gap(s);
        break;
    case BREW_FIELD_DATE:
        put_date(s);
        break;
    case BREW_FIELD_COUNT:
        put_count(s, column);
        break;
    case BREW_FIELD_FEATURE:
        brew_buf_adds(s->value,
                      brew_asof_word(p->asof, s->member, (size_t)(e - s->member->events), column));
        break;
    default:
        break;
    }
    return (brew_field){s->value->ptr, s->value->len};
}

void brew_subject_take(brew_subject *s, size_t event) {
    s->event = &s->member->events[event];
    if (s->prompter->task->members.source.path)
        s->member_row = brew_entities_row(&s->prompter->members, s->member_id, s->event->time);
}

const char *brew_subject_value(void *arg, int field, size_t *len) {
    brew_field value = value_of(arg, field % BREW_FIELD_KINDS, (size_t)field / BREW_FIELD_KINDS);
    *len = value.len;
    return value.ptr;
}
