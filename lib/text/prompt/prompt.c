#include "text/prompt/prompt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/json.h"

int brew_prompter_open(brew_prompter *out, const brew_task *task, brew_reject_fn *reject, void *arg,
                       brew_err *err) {
    *out = (brew_prompter){.task = task};
    out->max_history = (size_t)task->max_history;
    out->max_questions = (size_t)task->max_questions;
    for (int split = 0; split < BREW_SPLITS; split++) out->wanted[split] = true;
    if (brew_entities_load(&out->members, &task->members, &task->member_columns, reject, arg,
                           &out->counts, err))
        return -1;
    if (!brew_entities_load(&out->items, &task->items, &task->item_columns, reject, arg,
                            &out->counts, err))
        return 0;
    brew_prompter_close(out);
    return -1;
}

void brew_prompter_close(brew_prompter *prompter) {
    brew_entities_release(&prompter->members);
    brew_entities_release(&prompter->items);
}

bool brew_prompter_knows_member(void *prompter, const char *id, size_t len) {
    const brew_prompter *p = prompter;
    return !p->task->members.path || brew_entities_find(&p->members, id, len) != SIZE_MAX;
}

bool brew_prompter_knows_item(void *prompter, const char *id, size_t len) {
    const brew_prompter *p = prompter;
    return !p->task->items.path || brew_entities_find(&p->items, id, len) != SIZE_MAX;
}

void brew_prompt_scratch_release(brew_prompt_scratch *scratch) {
    brew_plan_release(&scratch->plan);
    brew_buf_release(&scratch->query);
    brew_buf_release(&scratch->text);
    free(scratch->lines);
    free(scratch->offsets);
    free(scratch->item_rows);
    *scratch = (brew_prompt_scratch){0};
}

// What placeholders are filled from.
typedef struct subject {
    const brew_prompter *prompter;
    const brew_member *member;
    const brew_event *event; // in the sections the earliest question
    size_t member_id, member_row, item_row;
    const size_t *item_rows; // [member->n] as of each event
} subject;

static const char *value_of(void *arg, int field, size_t *len) {
    const subject *s = arg;
    if (field >= BREW_FIELD_FEATURE) {
        const char *word =
            brew_asof_word(s->prompter->asof, s->member, (size_t)(s->event - s->member->events),
                           (size_t)(field - BREW_FIELD_FEATURE));
        *len = strlen(word);
        return word;
    }
    if (field == BREW_FIELD_MEMBER_ID) {
        *len = s->member->id_len;
        return s->member->id;
    }
    if (field == BREW_FIELD_ITEM_ID) {
        *len = s->event->item_len;
        return s->event->item;
    }
    bool of_item = (field - BREW_FIELD_MEMBER_COLUMN) & 1;
    size_t column = (size_t)(field - BREW_FIELD_MEMBER_COLUMN) / 2;
    brew_field value = of_item ? brew_entities_field(&s->prompter->items, s->item_row, column)
                               : brew_entities_field(&s->prompter->members, s->member_row, column);
    *len = value.len;
    return value.ptr;
}

// Looks the member and its items up once, however often they are shown.
static subject subject_of(const brew_prompter *prompter, brew_prompt_scratch *scratch,
                          const brew_member *member) {
    subject s = {.prompter = prompter, .member = member};
    if (prompter->task->members.path)
        s.member_id = brew_entities_find(&prompter->members, member->id, member->id_len);
    BREW_GROW(scratch->item_rows, member->n, scratch->item_rows_cap);
    s.item_rows = scratch->item_rows;
    for (size_t i = 0; i < member->n; i++) {
        const brew_event *event = &member->events[i];
        scratch->item_rows[i] =
            prompter->task->items.path
                ? brew_entities_row(
                      &prompter->items,
                      brew_entities_find(&prompter->items, event->item, event->item_len),
                      event->time)
                : 0;
    }
    return s;
}

// From here on values are as of this event.
static void subject_take(subject *s, size_t event) {
    s->event = &s->member->events[event];
    s->item_row = s->item_rows[event];
    if (s->prompter->task->members.path)
        s->member_row = brew_entities_row(&s->prompter->members, s->member_id, s->event->time);
}

// The query's text into scratch->query, with the offsets of lines and labels.
static void write_query(subject *s, brew_prompt_scratch *scratch, const brew_plan_record *record) {
    const brew_task *task = s->prompter->task;
    brew_buf *query = &scratch->query;
    size_t shown = record->end - record->begin;
    BREW_GROW(scratch->lines, shown, scratch->lines_cap);
    BREW_GROW(scratch->offsets, shown, scratch->offsets_cap);
    brew_buf_reset(query);
    subject_take(s, record->question);
    brew_template_render(&task->instruction, value_of, s, query);
    brew_template_render(&task->note, value_of, s, query);
    brew_template_render(&task->profile, value_of, s, query);
    brew_template_render(&task->heading, value_of, s, query);
    for (size_t i = 0; i < shown; i++) {
        subject_take(s, record->begin + i);
        scratch->lines[i] = (int64_t)query->len;
        brew_template_render(&task->line, value_of, s, query);
        scratch->offsets[i] = (int64_t)query->len;
        brew_buf_adds(query, task->actions[s->event->action].label);
        brew_buf_addc(query, '\n');
    }
    subject_take(s, record->question);
    brew_template_render(&task->summary, value_of, s, query);
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

// Array members of the record: `begin` writes the key, `between` the comma.
static void begin(brew_buf *out, const char *key) {
    brew_buf_adds(out, ",\"");
    brew_buf_adds(out, key);
    brew_buf_adds(out, "\":[");
}
static void between(brew_buf *out, size_t i) {
    if (i) brew_buf_addc(out, ',');
}

static void add_questions(subject *s, brew_prompt_scratch *scratch, const brew_plan_record *record,
                          brew_buf *out) {
    begin(out, "items");
    for (size_t i = 0; i < record->n_questions; i++) {
        brew_buf_reset(&scratch->text);
        subject_take(s, record->question + i);
        brew_template_render(&s->prompter->task->question, value_of, s, &scratch->text);
        between(out, i);
        brew_json_write_string(out, scratch->text.ptr ? scratch->text.ptr : "", scratch->text.len);
    }
    brew_buf_addc(out, ']');
}

static void add_labels(const brew_task *task, brew_buf *out) {
    begin(out, "label_tokens");
    for (size_t a = 0; a < task->n_actions; a++) {
        between(out, a);
        brew_json_write_string(out, task->actions[a].label, strlen(task->actions[a].label));
    }
    brew_buf_adds(out, "],\"positive\":[");
    bool any = false;
    for (size_t a = 0; a < task->n_actions; a++) {
        if (!task->actions[a].positive) continue;
        between(out, any);
        any = true;
        brew_buf_add_i64(out, (int64_t)a);
    }
    brew_buf_addc(out, ']');
}

// The parallel arrays: item_ids, targets, item_meta.
static void add_items(const brew_event *asked, const brew_plan_record *record, brew_buf *out) {
    size_t n = record->n_questions;
    begin(out, "item_ids");
    for (size_t i = 0; i < n; i++) {
        between(out, i);
        brew_json_write_string(out, asked[i].item, asked[i].item_len);
    }
    brew_buf_adds(out, "],\"targets\":[");
    for (size_t i = 0; i < n; i++) {
        between(out, i);
        brew_buf_add_i64(out, asked[i].action);
    }
    brew_buf_adds(out, "],\"item_meta\":{\"position\":[");
    for (size_t i = 0; i < n; i++) {
        between(out, i);
        brew_buf_add_i64(out, (int64_t)i + 1);
    }
    brew_buf_addc(out, ']');
    begin(out, "item_history");
    for (size_t i = 0; i < n; i++) {
        between(out, i);
        brew_buf_add_i64(out, (int64_t)asked[i].item_history);
    }
    brew_buf_addc(out, ']');
    if (!record->candidates) {
        begin(out, "time");
        for (size_t i = 0; i < n; i++) {
            between(out, i);
            add_seconds(out, asked[i].time);
        }
        brew_buf_addc(out, ']');
    }
    brew_buf_addc(out, '}');
}

// Of a model of the training events, in log-odds.
static void add_log_odds(const brew_asof *asof, const brew_member *member, size_t event,
                         brew_buf *out) {
    brew_buf_add_double(out, rint(brew_asof_offset(asof, member, event) * 1e4) / 1e4);
}

static bool has_log_odds(const subject *s) {
    return s->prompter->task->features && s->prompter->task->features->offsets;
}

static void add_offsets(const subject *s, const brew_prompt_scratch *scratch,
                        const brew_plan_record *record, brew_buf *out) {
    if (record->fresh < record->end) {
        begin(out, "answered");
        for (size_t i = record->fresh; i < record->end; i++) {
            between(out, i - record->fresh);
            brew_buf_addc(out, '[');
            brew_buf_add_i64(out, scratch->offsets[i - record->begin]);
            brew_buf_addc(out, ',');
            brew_buf_add_i64(out, s->member->events[i].action);
            if (has_log_odds(s)) {
                brew_buf_adds(out, ",0,");
                add_log_odds(s->prompter->asof, s->member, i, out);
            }
            brew_buf_addc(out, ']');
        }
        brew_buf_addc(out, ']');
    }
    begin(out, "lines");
    for (size_t i = 0; i < record->end - record->begin; i++) {
        between(out, i);
        brew_buf_add_i64(out, scratch->lines[i]);
    }
    brew_buf_addc(out, ']');
}

static void add_meta(const brew_prompter *prompter, const brew_member *member,
                     const brew_plan_record *record, brew_buf *out) {
    brew_buf_addf(out, ",\"meta\":{\"task\":\"%s\",\"member\":", prompter->task->name);
    brew_json_write_string(out, member->id, member->id_len);
    if (!record->candidates) {
        brew_buf_adds(out, ",\"time\":");
        add_seconds(out, member->events[record->question].time);
    }
    brew_buf_addf(out, ",\"history\":%zu,\"shown\":%zu,\"split\":\"%s\"}}\n", record->earlier,
                  record->end - record->begin,
                  record->candidates ? "candidates" : brew_split_name(record->split));
}

static void write_record(subject *s, brew_prompt_scratch *scratch, const brew_plan_record *record,
                         brew_buf *out) {
    const brew_task *task = s->prompter->task;
    brew_buf *text = &scratch->text;
    brew_buf_reset(text);
    brew_buf_addf(text, "%s/", task->name);
    brew_buf_add(text, s->member->id, s->member->id_len);
    brew_buf_addf(text, "/%zu", record->number);
    brew_buf_adds(out, "{\"id\":");
    brew_json_write_string(out, text->ptr, text->len);
    write_query(s, scratch, record);
    brew_buf_adds(out, ",\"query\":");
    brew_json_write_string(out, scratch->query.ptr ? scratch->query.ptr : "", scratch->query.len);
    add_questions(s, scratch, record, out);
    add_labels(task, out);
    add_items(&s->member->events[record->question], record, out);
    if (has_log_odds(s)) {
        begin(out, "offsets");
        for (size_t i = 0; i < record->n_questions; i++) {
            between(out, i);
            add_log_odds(s->prompter->asof, s->member, record->question + i, out);
        }
        brew_buf_addc(out, ']');
    }
    add_offsets(s, scratch, record, out);
    add_meta(s->prompter, s->member, record, out);
}

void brew_prompter_write(const brew_prompter *prompter, brew_prompt_scratch *scratch,
                         const brew_member *member, brew_buf *out,
                         brew_prompt_counts counts[BREW_SPLITS]) {
    subject s = subject_of(prompter, scratch, member);
    brew_plan_member(&scratch->plan, prompter->task, member, prompter->max_history,
                     prompter->max_questions);
    for (size_t i = 0; i < scratch->plan.n; i++) {
        const brew_plan_record *record = &scratch->plan.records[i];
        if (record->candidates != prompter->candidates) continue;
        if (!record->candidates && !prompter->wanted[record->split]) continue;
        write_record(&s, scratch, record, out);
        brew_prompt_counts *count = &counts[record->split];
        count->records++;
        count->questions += record->n_questions;
        count->answered += record->end - record->fresh;
        count->shown += record->end - record->begin;
    }
}
