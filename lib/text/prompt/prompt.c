#include "text/prompt/prompt.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "io/json.h"
#include "text/prompt/record.h"

// Which actions the summary counts: those that imply one of the name.
static bool *find_counted(const brew_task *task) {
    bool *out = brew_calloc(task->counted.n * task->n_actions, sizeof *out);
    for (size_t k = 0; k < task->counted.n; k++)
        for (size_t set = 0; set < task->n_action_sets; set++) {
            const brew_actions *actions = &task->action_sets[set];
            bool *is = out + k * task->n_actions + actions->first;
            for (size_t a = 0; a < actions->n; a++)
                for (size_t b = 0; b < actions->n; b++)
                    is[a] |= actions->list[a].implies[b] &&
                             !strcmp(actions->list[b].name, task->counted.names[k]);
        }
    return out;
}

int brew_prompter_open(brew_prompter *out, const brew_task *task, brew_reject_fn *reject, void *arg,
                       brew_err *err) {
    *out = (brew_prompter){.task = task};
    out->share = 1;
    out->style = SIZE_MAX;
    out->max_history = (size_t)task->max_history;
    out->max_questions = (size_t)task->max_questions;
    for (int split = 0; split < BREW_SPLITS; split++) out->wanted[split] = true;
    out->counts_as = find_counted(task);
    out->items = brew_calloc(task->n_item_tables, sizeof *out->items);
    int status = brew_entities_load(&out->members, &task->members.source, &task->members.columns,
                                    reject, arg, &out->counts, err);
    for (size_t i = 0; i < task->n_item_tables && !status; i++)
        status = brew_entities_load(&out->items[i], &task->item_tables[i].source,
                                    &task->item_tables[i].columns, reject, arg, &out->counts, err);
    if (status) brew_prompter_close(out);
    return status;
}

void brew_prompter_close(brew_prompter *prompter) {
    brew_entities_release(&prompter->members);
    for (size_t i = 0; prompter->items && i < prompter->task->n_item_tables; i++)
        brew_entities_release(&prompter->items[i]);
    free(prompter->items);
    prompter->items = NULL;
    free(prompter->counts_as);
    prompter->counts_as = NULL;
}

bool brew_prompter_knows_member(void *prompter, size_t log, const char *id, size_t len) {
    const brew_prompter *p = prompter;
    (void)log;
    return !p->task->members.source.path || brew_entities_find(&p->members, id, len) != SIZE_MAX;
}

bool brew_prompter_knows_item(void *prompter, size_t log, const char *id, size_t len) {
    const brew_prompter *p = prompter;
    size_t table = p->task->logs[log].items;
    return !p->task->item_tables[table].source.path ||
           brew_entities_find(&p->items[table], id, len) != SIZE_MAX;
}

void brew_prompt_scratch_release(brew_prompt_scratch *scratch) {
    brew_stats_free(scratch->stats);
    brew_plan_release(&scratch->plan);
    brew_similar_release(&scratch->similar);
    brew_buf_release(&scratch->query);
    brew_buf_release(&scratch->text);
    brew_buf_release(&scratch->value);
    free(scratch->shown);
    free(scratch->draws);
    free(scratch->sorted);
    free(scratch->lines);
    free(scratch->offsets);
    free(scratch->labels);
    free(scratch->item_rows);
    *scratch = (brew_prompt_scratch){0};
}

// Looks the member and its items up once, however often they are shown.
static brew_subject subject_of(const brew_prompter *prompter, brew_prompt_scratch *scratch,
                               const brew_member *member) {
    const brew_task *task = prompter->task;
    brew_subject s = {
        .prompter = prompter, .member = member, .plan = &scratch->plan, .value = &scratch->value};
    if (task->members.source.path)
        s.member_id = brew_entities_find(&prompter->members, member->id, member->id_len);
    BREW_GROW(scratch->item_rows, member->n, scratch->item_rows_cap);
    s.item_rows = scratch->item_rows;
    for (size_t i = 0; i < member->n; i++) {
        const brew_event *event = &member->events[i];
        size_t table = task->logs[event->log].items;
        const brew_entities *items = &prompter->items[table];
        scratch->item_rows[i] =
            task->item_tables[table].source.path
                ? brew_entities_row(items, brew_entities_find(items, event->item, event->item_len),
                                    event->time)
                : 0;
    }
    return s;
}

// Tells the member's records apart, whatever a shard holds; those cut short share it.
static uint64_t record_hash(const brew_subject *s) {
    const char *task = s->prompter->task->name;
    return brew_hash64(s->member->id, s->member->id_len,
                       brew_hash64(task, strlen(task), s->record->number));
}

// Training reads all styles, judging one.
static size_t style_of(const brew_subject *s) {
    const brew_prompter *p = s->prompter;
    if (p->style != SIZE_MAX) return p->style;
    if (s->record->candidates || s->record->split != BREW_SPLIT_TRAIN) return 0;
    uint64_t record = record_hash(s);
    return brew_hash64(&record, sizeof record, p->seed) % p->task->n_styles;
}

// A section, of the member or of another one.
static void write_section(brew_subject *s, const brew_template *section, bool other, uint64_t draw,
                          brew_buf *query) {
    brew_subject of = *s;
    if (other) {
        of.member_id = brew_control_other(s->prompter->seed, draw, s->member_id,
                                          s->prompter->members.ids.count);
        brew_subject_take(&of, (size_t)(s->event - s->member->events));
    }
    brew_template_render(section, brew_subject_value, &of, query);
}

// The query's text into scratch->query, with the offsets of lines and labels.
static void write_query(brew_subject *s, brew_prompt_scratch *scratch) {
    const brew_task *task = s->prompter->task;
    brew_buf *query = &scratch->query;
    BREW_GROW(scratch->lines, scratch->n_shown, scratch->lines_cap);
    BREW_GROW(scratch->offsets, scratch->n_shown, scratch->offsets_cap);
    BREW_GROW(scratch->labels, scratch->n_shown, scratch->labels_cap);
    enum brew_control control = s->prompter->control;
    uint64_t draw = record_hash(s);
    brew_control_labels(control, s->prompter->seed, draw, task, s->member->events, scratch->shown,
                        scratch->n_shown, scratch->labels);
    brew_buf_reset(query);
    brew_subject_take(s, scratch->plan.asked[s->record->asked]);
    s->shown = scratch->shown;
    s->n_shown = scratch->n_shown;
    const brew_style *style = &task->styles[s->style];
    const brew_template *sections[] = {&style->instruction, &style->note, &style->profile,
                                       &style->heading};
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        write_section(s, sections[i], control == BREW_CONTROL_OTHER_NOTE && (i == 1 || i == 2),
                      draw, query);
    for (size_t i = 0; i < scratch->n_shown; i++) {
        brew_subject_take(s, scratch->shown[i]);
        scratch->lines[i] = (int64_t)query->len;
        brew_template_render(&task->logs[s->event->log].lines[s->style], brew_subject_value, s,
                             query);
        scratch->offsets[i] = (int64_t)query->len;
        if (scratch->labels[i] >= 0)
            brew_buf_adds(query,
                          brew_log_actions(task, s->event->log)->list[scratch->labels[i]].label);
        brew_buf_addc(query, '\n');
    }
    brew_subject_take(s, scratch->plan.asked[s->record->asked]);
    if (brew_control_keeps_summary(control))
        brew_template_render(&style->summary, brew_subject_value, s, query);
}

// The texts of all lines in the first style, to choose among: the others' choice is the same.
static void learn_lines(brew_subject *s, brew_prompt_scratch *scratch) {
    brew_similar_reset(&scratch->similar);
    for (size_t i = 0; i < s->member->n; i++) {
        brew_buf_reset(&scratch->text);
        brew_subject_take(s, i);
        brew_template_render(&s->prompter->task->logs[s->event->log].lines[0], brew_subject_value,
                             s, &scratch->text);
        brew_similar_add(&scratch->similar, scratch->text.ptr, scratch->text.len);
    }
}

static brew_subject begin_member(const brew_prompter *prompter, brew_prompt_scratch *scratch,
                                 const brew_member *member) {
    brew_subject s = subject_of(prompter, scratch, member);
    brew_plan_member(&scratch->plan, prompter->task, member, prompter->max_history,
                     prompter->max_questions, prompter->seed);
    if (prompter->task->select == BREW_HISTORY_SIMILAR) learn_lines(&s, scratch);
    if (prompter->stats && !scratch->stats) scratch->stats = brew_stats_new(prompter->task);
    return s;
}

static void count_dropped(brew_prompt_scratch *scratch, const brew_member *member) {
    size_t n_train = 0;
    for (size_t i = 0; i < member->n; i++) {
        const brew_event *e = &member->events[i];
        if (e->gap) brew_stats_drop(scratch->stats, BREW_STATS_GAP);
        n_train += e->action >= 0 && e->split == BREW_SPLIT_TRAIN;
    }
    for (size_t i = scratch->plan.n_train; i < n_train; i++)
        brew_stats_drop(scratch->stats, BREW_STATS_HELD_OUT);
}

// Which of the events that may be seen are shown, into scratch->shown.
static void choose_lines(brew_subject *s, brew_prompt_scratch *scratch,
                         const brew_plan_record *record) {
    const brew_task *task = s->prompter->task;
    size_t n = record->end - record->begin;
    if (task->select != BREW_HISTORY_SIMILAR && n > record->kept) n = record->kept;
    const size_t *seen = record->seen + record->end - n;
    scratch->n_shown = n;
    BREW_GROW(scratch->shown, n, scratch->shown_cap);
    if (task->select != BREW_HISTORY_SIMILAR) {
        if (n) memcpy(scratch->shown, seen, n * sizeof *seen);
        return;
    }
    brew_buf_reset(&scratch->text);
    for (size_t i = 0; i < record->n_asked; i++) {
        brew_subject_take(s, scratch->plan.asked[record->asked + i]);
        const brew_log *log = &task->logs[s->event->log];
        for (size_t k = 0; k < log->n_questions; k++) {
            brew_template_render(&log->questions[k].texts[0], brew_subject_value, s,
                                 &scratch->text);
            brew_buf_addc(&scratch->text, '\n');
        }
    }
    scratch->n_shown = brew_similar_choose(
        &scratch->similar, seen, n, scratch->text.ptr, scratch->text.len,
        record->kept < s->prompter->max_history ? record->kept : s->prompter->max_history,
        scratch->shown);
}

static int compare_draws(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

// A draw for each train record, and the lowest that does not stay. All others draw 0 and stay.
static uint64_t draw_records(const brew_prompter *p, brew_prompt_scratch *scratch,
                             const brew_member *member) {
    const brew_plan *plan = &scratch->plan;
    uint64_t limit = p->share >= 1 ? UINT64_MAX : (uint64_t)(p->share * 0x1p63);
    size_t n = 0;
    BREW_GROW(scratch->draws, plan->n, scratch->draws_cap);
    BREW_GROW(scratch->sorted, plan->n, scratch->sorted_cap);
    uint64_t base = brew_hash64(member->id, member->id_len,
                                brew_hash64(p->task->name, strlen(p->task->name), p->seed));
    for (size_t i = 0; i < plan->n; i++) {
        const brew_plan_record *record = &plan->records[i];
        scratch->draws[i] = 0;
        if (record->split != BREW_SPLIT_TRAIN || record->candidates) continue;
        uint64_t number = record->number;
        scratch->draws[i] = brew_hash64(&number, sizeof number, base) >> 1 | 1;
        if (scratch->draws[i] < limit) scratch->sorted[n++] = scratch->draws[i];
    }
    if (!p->max_records || n <= p->max_records) return limit;
    qsort(scratch->sorted, n, sizeof *scratch->sorted, compare_draws);
    return scratch->sorted[p->max_records];
}

// Writes it and counts it.
static void write_record(brew_subject *s, brew_prompt_scratch *scratch,
                         const brew_plan_record *record, brew_buf *out,
                         brew_prompt_counts counts[BREW_SPLITS]) {
    brew_buf *text = &scratch->text;
    brew_buf_reset(text);
    brew_buf_adds(text, s->prompter->task->name);
    brew_buf_addc(text, '/');
    brew_buf_add(text, s->member->id, s->member->id_len);
    brew_buf_addc(text, '/');
    brew_buf_add_i64(text, (int64_t)record->number);
    if (record->kept != SIZE_MAX) brew_buf_addf(text, "@%zu", record->kept);
    brew_buf_adds(out, "{\"id\":");
    brew_json_write_string(out, text->ptr, text->len);
    s->record = record;
    s->style = style_of(s);
    choose_lines(s, scratch, record);
    brew_control_lines(s->prompter->control, s->prompter->seed, record_hash(s), scratch->shown,
                       &scratch->n_shown);
    write_query(s, scratch);
    brew_buf_adds(out, ",\"query\":");
    brew_json_write_string(out, scratch->query.ptr ? scratch->query.ptr : "", scratch->query.len);
    brew_record_write(s, scratch, record, out);
    const brew_event *first = &s->member->events[scratch->plan.asked[record->asked]];
    brew_prompt_counts *count = &counts[record->split];
    count->records++;
    count->questions += record->n_asked * s->prompter->task->logs[first->log].n_questions;
    count->answered += record->end - record->fresh;
    count->shown += scratch->n_shown;
}

bool brew_prompter_choose(const brew_prompter *prompter, brew_prompt_scratch *scratch,
                          const brew_member *member, size_t number, size_t kept,
                          brew_plan_record *out) {
    brew_subject s = begin_member(prompter, scratch, member);
    if (!number || number > scratch->plan.n) return false;
    *out = scratch->plan.records[number - 1];
    if (out->candidates != prompter->candidates) return false;
    if (kept != SIZE_MAX) *out = brew_plan_cut_short(out, kept);
    if (prompter->control) out->fresh = out->end;
    s.record = out;
    choose_lines(&s, scratch, out);
    brew_control_lines(prompter->control, prompter->seed, record_hash(&s), scratch->shown,
                       &scratch->n_shown);
    return true;
}

void brew_prompter_write(const brew_prompter *prompter, brew_prompt_scratch *scratch,
                         const brew_member *member, brew_buf *out,
                         brew_prompt_counts counts[BREW_SPLITS]) {
    brew_subject s = begin_member(prompter, scratch, member);
    if (prompter->stats) count_dropped(scratch, member);
    bool drawn = prompter->share < 1 || prompter->max_records;
    uint64_t limit = drawn ? draw_records(prompter, scratch, member) : 0;
    for (size_t i = 0; i < member->n; i++) {
        counts[0].events += member->events[i].action >= 0;
        counts[0].positives += member->events[i].positive;
    }
    for (size_t i = 0; i < scratch->plan.n; i++) {
        brew_plan_record *record = &scratch->plan.records[i];
        if (prompter->control) record->fresh = record->end;
        if (drawn && scratch->draws[i] >= limit) continue;
        if (record->candidates != prompter->candidates) continue;
        if (!record->candidates && !prompter->wanted[record->split]) continue;
        write_record(&s, scratch, record, out, counts);
        bool judged = record->candidates || record->split != BREW_SPLIT_TRAIN;
        for (size_t k = 0; judged && k < prompter->n_cuts; k++) {
            brew_plan_record cut = brew_plan_cut_short(record, prompter->cuts[k]);
            write_record(&s, scratch, &cut, out, counts);
        }
    }
}
