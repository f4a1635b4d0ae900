#include "text/prompt/task.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/prompt/features.h"
#include "text/prompt/negatives.h"
#include "text/prompt/task_read.h"

char *brew_task_beside(const char *file, const char *path) {
    const char *slash = strrchr(file, '/');
    if (*path == '/' || !slash || !strcmp(path, "-")) return brew_strdup(path);
    brew_buf joined = {0};
    brew_buf_add(&joined, file, (size_t)(slash - file) + 1);
    brew_buf_adds(&joined, path);
    return joined.ptr;
}

int brew_task_read_source(const brew_keys *keys, const brew_json *object, const char *where,
                          brew_source *out) {
    int format = BREW_TABLE_AUTO;
    char *path = NULL;
    if (brew_keys_string(keys, object, where, "file", false, &path) < 0) return -1;
    if (path) out->path = brew_task_beside(keys->path, path);
    free(path);
    if (brew_keys_choice(keys, object, where, "format", "auto csv tsv atomic jsonl", &format) < 0)
        return -1;
    out->format = (enum brew_table_format)format;
    brew_columns header = {0};
    if (brew_task_read_columns(keys, object, where, "header", &header)) return -1;
    out->header = header.names;
    out->n_header = header.n;
    return 0;
}

int brew_task_read_table(const brew_keys *keys, const brew_json *object, const char *where,
                         const char *key, const char *taken, enum brew_time_unit events_unit,
                         brew_entity_table *out) {
    brew_json *table;
    int unit = events_unit == BREW_TIME_ROW ? BREW_TIME_S : (int)events_unit;
    int status = brew_keys_object(keys, object, where, key, false, &table);
    if (status <= 0) return status;
    brew_place place = brew_place_of(where, key);
    brew_source *source = &out->source;
    if (brew_keys_known(keys, table, place.text,
                        "file format header id valid_from time_unit meta") ||
        brew_task_read_source(keys, table, place.text, source) ||
        brew_keys_string(keys, table, place.text, "id", true, &source->id) < 0 ||
        brew_keys_string(keys, table, place.text, "valid_from", false, &source->valid_from) < 0 ||
        brew_keys_choice(keys, table, place.text, "time_unit", "s ms iso8601 mdy", &unit) < 0 ||
        brew_task_read_meta(keys, table, place.text, taken, &out->columns))
        return -1;
    if (source->valid_from && events_unit == BREW_TIME_ROW)
        return brew_task_fail_timeless(keys, brew_place_of(place.text, "valid_from").text);
    source->time_unit = (enum brew_time_unit)unit;
    out->n_meta = out->columns.n;
    if (out->source.path) return 1;
    return brew_keys_fail(keys, place.text, "lacks the key \"file\", a string");
}

size_t brew_columns_add(brew_columns *columns, const char *name) {
    for (size_t i = 0; i < columns->n; i++)
        if (!strcmp(columns->names[i], name)) return i;
    columns->names = brew_realloc_array(columns->names, columns->n + 1, sizeof *columns->names);
    columns->names[columns->n] = brew_strdup(name);
    return columns->n++;
}

static int read_name(const brew_keys *keys, brew_task *task) {
    if (brew_keys_string(keys, keys->root, "", "task", true, &task->name) < 0) return -1;
    return brew_task_check_name(keys, "task", task->name);
}

brew_task *brew_task_load(const char *path, brew_err *err) {
    brew_keys keys;
    if (brew_keys_load(&keys, path, err)) return NULL;
    brew_task *task = brew_calloc(1, sizeof *task);
    task->path = brew_strdup(path);
    task->max_history = 30;
    task->max_questions = 10;
    if (brew_keys_known(
            &keys, keys.root, "",
            "task events sources members items actions positive features offsets negatives "
            "templates styles history questions candidates split") ||
        read_name(&keys, task) || brew_task_read_logs(&keys, task) ||
        brew_task_read_table(&keys, keys.root, "", "members",
                             "task surface member request time control truncated window style "
                             "cold_member cold_task history shown split sampled",
                             task->logs[0].time_unit, &task->members) < 0 ||
        brew_task_read_negatives(&keys, task) || brew_task_read_features(&keys, task) ||
        brew_task_read_templates(&keys, task) || brew_task_read_split(&keys, task) ||
        brew_task_read_limits(&keys, task) || brew_task_read_candidates(&keys, task)) {
        brew_task_free(task);
        task = NULL;
    }
    brew_keys_release(&keys);
    return task;
}

size_t brew_task_style(const brew_task *task, const char *name) {
    for (size_t i = 0; i < task->n_styles; i++)
        if (task->styles[i].name && !strcmp(task->styles[i].name, name)) return i;
    return SIZE_MAX;
}

static void free_source(brew_source *source) {
    for (size_t i = 0; i < source->n_header; i++) free(source->header[i]);
    free(source->header);
    free(source->path);
    free(source->id);
    free(source->valid_from);
}

static void free_columns(brew_columns *columns) {
    for (size_t i = 0; i < columns->n; i++) free(columns->names[i]);
    free(columns->names);
}

static void free_table(brew_entity_table *table) {
    free_source(&table->source);
    free_columns(&table->columns);
}

static void free_actions(brew_actions *actions) {
    for (size_t a = 0; a < actions->n; a++) {
        brew_action *action = &actions->list[a];
        for (size_t i = 0; i < action->n_values; i++) free(action->values[i]);
        free(action->values);
        free(action->implies);
        free(action->name);
        free(action->label);
    }
    free(actions->list);
}

static void free_templates(brew_template *templates, size_t n) {
    for (size_t i = 0; templates && i < n; i++) brew_template_release(&templates[i]);
    free(templates);
}

static void free_style(brew_style *style) {
    brew_template *sections[] = {&style->instruction, &style->note, &style->profile,
                                 &style->heading, &style->summary};
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        brew_template_release(sections[i]);
    free(style->name);
}

static void free_log(const brew_task *task, brew_log *log) {
    char *texts[] = {log->surface,        log->task,          log->member_column,
                     log->item_column,    log->value_column,  log->time_column,
                     log->request_column, log->weight_column, log->split_column};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) free(texts[i]);
    free_source(&log->events);
    free_columns(&log->key);
    free_columns(&log->context);
    free(log->meta);
    free_templates(log->lines, task->n_styles);
    for (size_t i = 0; i < log->n_questions; i++) {
        free(log->questions[i].name);
        free(log->questions[i].labels[0]);
        free(log->questions[i].labels[1]);
        free_templates(log->questions[i].texts, task->n_styles);
    }
    free(log->questions);
}

void brew_task_free(brew_task *task) {
    if (!task) return;
    for (size_t i = 0; i < task->n_logs; i++) free_log(task, &task->logs[i]);
    for (size_t i = 0; i < task->n_action_sets; i++) free_actions(&task->action_sets[i]);
    for (size_t i = 0; i < task->n_item_tables; i++) free_table(&task->item_tables[i]);
    free_table(&task->members);
    for (size_t i = 0; i < task->n_styles; i++) free_style(&task->styles[i]);
    free(task->styles);
    free_columns(&task->counted);
    if (task->features) brew_features_release(task->features);
    free(task->features);
    free(task->logs);
    free(task->action_sets);
    free(task->item_tables);
    free(task->told);
    free(task->asked);
    if (task->negatives) {
        free(task->negatives->file.path);
        free(task->negatives->file.id);
        free(task->negatives);
    }
    free_source(&task->candidates.form);
    free(task->candidates.item_column);
    free(task->candidates.request_column);
    free(task->candidates.time_column);
    free(task->path);
    free(task->name);
    free(task);
}
