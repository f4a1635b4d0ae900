// A prompt record's members behind the query: brew-formats(5).
#include "text/prompt/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "io/json.h"
#include "text/prompt/features.h"

// The items of a record: each event asked about, for each kind of question.
typedef struct items {
    const brew_prompter *prompter;
    const brew_member *member;
    const brew_task *task;
    const brew_log *log;
    const brew_actions *actions;
    const brew_event *events;
    const size_t *asked, *item_rows; // item_rows: of each event
    size_t n, kinds;                 // n items: events times kinds
} items;

static const brew_event *event_of(const items *it, size_t i) {
    return &it->events[it->asked[i / it->kinds]];
}
static const brew_question *kind_of(const items *it, size_t i) {
    return &it->log->questions[i % it->kinds];
}

// Do the events asked about have a time? All candidates of a record have the same.
static bool has_time(const items *it) {
    const brew_event *first = event_of(it, 0);
    return first->time != BREW_TIME_NEVER && (first->action < 0 || it->log->time_column);
}

// Array members of the record: `begin` writes the key, `between` the comma.
static void begin(brew_buf *out, const char *key) {
    brew_buf_adds(out, ",\"");
    brew_buf_adds(out, key);
    brew_buf_adds(out, "\":[");
}
static void between(brew_buf *out, size_t i) {
    if (i) brew_buf_addc(out, ',');
}

// Seconds: whole where they are, else with up to three decimals.
static void add_seconds(brew_buf *out, int64_t ms) {
    int64_t whole = ms / 1000, rest = ms % 1000;
    if (ms < 0 && !whole && rest) brew_buf_addc(out, '-');
    brew_buf_add_i64(out, whole);
    if (rest < 0) rest = -rest;
    if (rest) {
        brew_buf_addf(out, ".%03d", (int)rest);
        while (out->ptr[out->len - 1] == '0') out->ptr[--out->len] = 0;
    }
}

static void add_string(brew_buf *out, const char *text) {
    brew_json_write_string(out, text, strlen(text));
}

static void add_questions(brew_subject *s, const items *it, brew_buf *text, brew_buf *out) {
    begin(out, "items");
    for (size_t i = 0; i < it->n; i++) {
        brew_buf_reset(text);
        brew_subject_take(s, it->asked[i / it->kinds]);
        brew_template_render(&kind_of(it, i)->texts[s->style], brew_subject_value, s, text);
        between(out, i);
        brew_json_write_string(out, text->ptr ? text->ptr : "", text->len);
    }
    brew_buf_addc(out, ']');
}

// What a label set says of itself, between brackets.
static void add_set(const items *it, const brew_question *kind, brew_buf *out) {
    brew_buf_addc(out, '[');
    for (size_t a = 0; a < (kind->action < 0 ? it->actions->n : 2); a++) {
        between(out, a);
        add_string(out, kind->action < 0 ? it->actions->list[a].label : kind->labels[a]);
    }
    brew_buf_addc(out, ']');
}

static void add_positive(const items *it, const brew_question *kind, brew_buf *out) {
    bool any = false;
    brew_buf_addc(out, '[');
    if (kind->action >= 0) brew_buf_addc(out, '0');
    for (size_t a = 0; kind->action < 0 && a < it->actions->n; a++) {
        if (!it->actions->list[a].positive) continue;
        between(out, any);
        any = true;
        brew_buf_add_i64(out, (int64_t)a);
    }
    brew_buf_addc(out, ']');
}

static void add_gains(const items *it, const brew_question *kind, brew_buf *out) {
    brew_buf_addc(out, '[');
    for (size_t a = 0; kind->action < 0 && a < it->actions->n; a++) {
        between(out, a);
        brew_buf_add_double(out, it->actions->list[a].gain);
    }
    if (kind->action >= 0) {
        double gain = it->actions->list[kind->action].gain;
        brew_buf_add_double(out, gain > 0 ? gain : 1);
        brew_buf_adds(out, ",0");
    }
    brew_buf_addc(out, ']');
}

// One set for all items, or with several kinds one for each item.
static void add_sets(const items *it, const char *key, brew_buf *out,
                     void (*add)(const items *, const brew_question *, brew_buf *)) {
    brew_buf_adds(out, ",\"");
    brew_buf_adds(out, key);
    brew_buf_adds(out, "\":");
    if (it->kinds == 1) {
        add(it, kind_of(it, 0), out);
        return;
    }
    brew_buf_addc(out, '[');
    for (size_t i = 0; i < it->n; i++) {
        between(out, i);
        add(it, kind_of(it, i), out);
    }
    brew_buf_addc(out, ']');
}

static int64_t target_of(const items *it, size_t i) {
    const brew_event *event = event_of(it, i);
    const brew_question *kind = kind_of(it, i);
    if (event->action < 0 || kind->action < 0) return event->action;
    return !it->actions->list[event->action].implies[kind->action];
}

// A field as JSON: a number if it is written as JSON writes one, null if there is none.
static void add_field(brew_buf *out, brew_field field) {
    double number;
    bool digits = field.len && (*field.ptr == '-' || (*field.ptr >= '0' && *field.ptr <= '9'));
    size_t sign = digits && *field.ptr == '-';
    bool zeros = digits && field.len > sign + 1 && field.ptr[sign] == '0' &&
                 field.ptr[sign + 1] >= '0' && field.ptr[sign + 1] <= '9';
    if (!field.ptr)
        brew_buf_adds(out, "null");
    else if (digits && !zeros && field.len <= 17 && field.ptr[field.len - 1] != '.' &&
             brew_parse_double(field.ptr, field.len, &number))
        brew_buf_add_double(out, number);
    else
        brew_json_write_string(out, field.ptr, field.len);
}

static void add_key(brew_buf *out, const char *name) {
    brew_buf_addc(out, ',');
    add_string(out, name);
    brew_buf_addc(out, ':');
}

// A column of the log, as an array of item_meta.
static void add_column(const items *it, size_t column, brew_buf *out) {
    add_key(out, it->log->context.names[column]);
    for (size_t i = 0; i < it->n; i++) {
        const brew_event *event = event_of(it, i);
        brew_buf_addc(out, i ? ',' : '[');
        add_field(out, event->context ? event->context[column] : (brew_field){NULL, 0});
    }
    brew_buf_addc(out, ']');
}

// A column of the log's item table, as of each question.
static void add_item_column(const items *it, size_t column, brew_buf *out) {
    const brew_entities *table = &it->prompter->items[it->log->items];
    add_key(out, it->task->item_tables[it->log->items].columns.names[column]);
    for (size_t i = 0; i < it->n; i++) {
        brew_buf_addc(out, i ? ',' : '[');
        add_field(out, brew_entities_field(table, it->item_rows[it->asked[i / it->kinds]], column));
    }
    brew_buf_addc(out, ']');
}

static void add_item_meta(const items *it, brew_buf *out) {
    bool own_position = false;
    for (size_t k = 0; k < it->log->n_meta; k++)
        own_position |= !strcmp(it->log->context.names[it->log->meta[k]], "position");
    brew_buf_adds(out, ",\"item_meta\":{");
    if (!own_position) {
        brew_buf_adds(out, "\"position\":[");
        for (size_t i = 0; i < it->n; i++) {
            between(out, i);
            brew_buf_add_i64(out, (int64_t)(i / it->kinds) + 1);
        }
        brew_buf_adds(out, "],");
    }
    brew_buf_adds(out, "\"item_history\":[");
    for (size_t i = 0; i < it->n; i++) {
        between(out, i);
        brew_buf_add_i64(out, (int64_t)event_of(it, i)->item_history);
    }
    brew_buf_addc(out, ']');
    if (has_time(it)) {
        begin(out, "time");
        for (size_t i = 0; i < it->n; i++) {
            between(out, i);
            add_seconds(out, event_of(it, i)->time);
        }
        brew_buf_addc(out, ']');
    }
    if (it->task->split.hold_out[BREW_HOLD_ITEMS] > 0) {
        begin(out, "cold_item");
        for (size_t i = 0; i < it->n; i++) {
            const brew_event *event = event_of(it, i);
            between(out, i);
            brew_buf_adds(out, brew_datasplit_holds_out(&it->task->split, BREW_HOLD_ITEMS,
                                                        event->item, event->item_len)
                                   ? "true"
                                   : "false");
        }
        brew_buf_addc(out, ']');
    }
    if (it->kinds > 1) {
        begin(out, "kind");
        for (size_t i = 0; i < it->n; i++) {
            between(out, i);
            add_string(out, kind_of(it, i)->name);
        }
        brew_buf_addc(out, ']');
    }
    for (size_t k = 0; k < it->log->n_meta; k++) add_column(it, it->log->meta[k], out);
    for (size_t k = 0; k < it->task->item_tables[it->log->items].n_meta; k++)
        add_item_column(it, k, out);
    brew_buf_addc(out, '}');
}

// The parallel arrays: item_ids, targets, item_meta, weights.
static void add_items(const items *it, bool candidates, brew_buf *out) {
    begin(out, "item_ids");
    for (size_t i = 0; i < it->n; i++) {
        between(out, i);
        brew_json_write_string(out, event_of(it, i)->item, event_of(it, i)->item_len);
    }
    brew_buf_adds(out, "],\"targets\":[");
    for (size_t i = 0; i < it->n; i++) {
        between(out, i);
        brew_buf_add_i64(out, target_of(it, i));
    }
    brew_buf_addc(out, ']');
    add_item_meta(it, out);
    if (it->task->negatives && !candidates) {
        begin(out, "sample_rates");
        for (size_t i = 0; i < it->n; i++) {
            between(out, i);
            brew_buf_addf(out, "%.6g", event_of(it, i)->rate);
        }
        brew_buf_addc(out, ']');
    }
    if (!it->log->weight_column || candidates) return;
    begin(out, "weights");
    for (size_t i = 0; i < it->n; i++) {
        between(out, i);
        brew_buf_add_double(out, event_of(it, i)->weight);
    }
    brew_buf_addc(out, ']');
}

// The item whose label set is that of the history's lines.
static size_t choice_item(const items *it) {
    size_t i = 0;
    while (i + 1 < it->kinds && kind_of(it, i)->action >= 0) i++;
    return i;
}

static bool has_log_odds(const items *it) {
    return it->task->features && it->task->features->offsets;
}

// Of a model of the training events, in log-odds.
static void add_log_odds(const items *it, size_t event, brew_buf *out) {
    double log_odds = brew_asof_offset(it->prompter->asof, it->member, event);
    brew_buf_add_double(out, rint(log_odds * 1e4) / 1e4);
}

// Only a question about what counts as positive starts from them.
static void add_item_offsets(const items *it, brew_buf *out) {
    begin(out, "offsets");
    for (size_t i = 0; i < it->n; i++) {
        int action = kind_of(it, i)->action;
        between(out, i);
        if (action < 0 || it->actions->list[action].positive)
            add_log_odds(it, it->asked[i / it->kinds], out);
        else
            brew_buf_addc(out, '0');
    }
    brew_buf_addc(out, ']');
}

static void add_lines(const brew_prompt_scratch *scratch, const items *it,
                      const brew_plan_record *record, brew_buf *out) {
    size_t answered = record->end - record->fresh, fresh = scratch->n_shown - answered,
           set = choice_item(it);
    if (record->fresh < record->end) {
        begin(out, "answered");
        for (size_t i = fresh; i < scratch->n_shown; i++) {
            between(out, i - fresh);
            brew_buf_addc(out, '[');
            brew_buf_add_i64(out, scratch->offsets[i]);
            brew_buf_addc(out, ',');
            brew_buf_add_i64(out, it->events[scratch->shown[i]].action);
            if (set || has_log_odds(it)) brew_buf_addf(out, ",%zu", set);
            if (has_log_odds(it)) {
                brew_buf_addc(out, ',');
                add_log_odds(it, scratch->shown[i], out);
            }
            brew_buf_addc(out, ']');
        }
        brew_buf_addc(out, ']');
    }
    begin(out, "lines");
    for (size_t i = 0; i < scratch->n_shown; i++) {
        between(out, i);
        brew_buf_add_i64(out, scratch->lines[i]);
    }
    brew_buf_addc(out, ']');
}

static void add_cold(brew_buf *out, const char *key, bool cold) {
    brew_buf_addf(out, ",\"%s\":%s", key, cold ? "true" : "false");
}

static void add_meta(const items *it, const brew_subject *s, size_t shown,
                     const brew_plan_record *record, brew_buf *out) {
    const brew_event *first = event_of(it, 0);
    const brew_member *member = s->member;
    brew_buf_adds(out, ",\"meta\":{\"task\":\"");
    brew_buf_adds(out, it->log->task ? it->log->task : it->task->name);
    if (it->log->surface) {
        brew_buf_adds(out, "\",\"surface\":\"");
        brew_buf_adds(out, it->log->surface);
    }
    brew_buf_adds(out, "\"");
    brew_buf_adds(out, ",\"member\":");
    brew_json_write_string(out, member->id, member->id_len);
    if (first->request_len || (it->log->request_column && !record->candidates)) {
        brew_buf_adds(out, ",\"request\":");
        brew_json_write_string(out, first->request, first->request_len);
    }
    if (has_time(it)) {
        brew_buf_adds(out, ",\"time\":");
        add_seconds(out, first->time);
    }
    const brew_datasplit *split = &it->task->split;
    const char *task = it->log->task ? it->log->task : it->task->name;
    if (it->task->styles[s->style].name)
        brew_buf_addf(out, ",\"style\":\"%s\"", it->task->styles[s->style].name);
    if (it->prompter->control)
        brew_buf_addf(out, ",\"control\":\"%s\"", brew_control_name(it->prompter->control));
    if (record->kept != SIZE_MAX) brew_buf_addf(out, ",\"truncated\":%zu", record->kept);
    if (first->window) brew_buf_addf(out, ",\"window\":%u", (unsigned)first->window);
    if (split->hold_out[BREW_HOLD_MEMBERS] > 0)
        add_cold(out, "cold_member",
                 brew_datasplit_holds_out(split, BREW_HOLD_MEMBERS, member->id, member->id_len));
    if (split->hold_out[BREW_HOLD_TASKS] > 0)
        add_cold(out, "cold_task",
                 brew_datasplit_holds_out(split, BREW_HOLD_TASKS, task, strlen(task)));
    brew_buf_adds(out, ",\"history\":");
    brew_buf_add_i64(out, (int64_t)record->earlier);
    brew_buf_adds(out, ",\"shown\":");
    brew_buf_add_i64(out, (int64_t)shown);
    brew_buf_adds(out, ",\"split\":\"");
    brew_buf_adds(out, record->candidates ? "candidates" : brew_split_name(record->split));
    brew_buf_addc(out, '"');
    for (size_t k = 0; k < it->task->members.n_meta; k++) {
        add_key(out, it->task->members.columns.names[k]);
        add_field(out, brew_entities_field(&it->prompter->members, s->member_row, k));
    }
    brew_buf_adds(out, "}}\n");
}

// For brew_stats: what is asked, and what the history answers.
static void count(brew_subject *s, const items *it, brew_prompt_scratch *scratch,
                  const brew_plan_record *record) {
    brew_stats *stats = scratch->stats;
    int side = record->candidates ? BREW_SPLITS : (int)record->split;
    brew_buf *text = &scratch->text;
    brew_stats_text(stats, side, BREW_STATS_QUERY, scratch->query.ptr, scratch->query.len);
    for (size_t i = 0; i < it->n; i++) {
        brew_buf_reset(text);
        brew_subject_take(s, it->asked[i / it->kinds]);
        brew_template_render(&kind_of(it, i)->texts[s->style], brew_subject_value, s, text);
        brew_stats_text(stats, side, BREW_STATS_ITEM, text->ptr, text->len);
        brew_stats_answer(stats, side, event_of(it, i)->log, i % it->kinds, target_of(it, i));
    }
    for (size_t i = scratch->n_shown - (record->end - record->fresh); i < scratch->n_shown; i++) {
        const brew_event *e = &it->events[scratch->shown[i]];
        brew_stats_answer(stats, side, e->log, choice_item(it), e->action);
    }
}

void brew_record_write(brew_subject *s, brew_prompt_scratch *scratch,
                       const brew_plan_record *record, brew_buf *out) {
    const brew_task *task = s->prompter->task;
    items it = {.prompter = s->prompter,
                .member = s->member,
                .task = task,
                .events = s->member->events,
                .item_rows = s->item_rows,
                .asked = scratch->plan.asked + record->asked};
    size_t log = it.events[it.asked[0]].log;
    it.log = &task->logs[log];
    it.actions = brew_log_actions(task, log);
    it.kinds = it.log->n_questions;
    it.n = record->n_asked * it.kinds;
    if (scratch->stats) count(s, &it, scratch, record);
    add_questions(s, &it, &scratch->text, out);
    add_sets(&it, "label_tokens", out, add_set);
    add_sets(&it, "positive", out, add_positive);
    if (it.actions->gains) add_sets(&it, "gains", out, add_gains);
    add_items(&it, record->candidates, out);
    if (has_log_odds(&it)) add_item_offsets(&it, out);
    add_lines(scratch, &it, record, out);
    brew_subject_take(s, it.asked[0]);
    add_meta(&it, s, scratch->n_shown, record, out);
}
