// The task file's "events", or "sources": where rows are, and what their columns mean.
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/prompt/task_read.h"

int brew_task_check_name(const brew_keys *keys, const char *where, const char *name) {
    const char *fine = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (*name && !name[strspn(name, fine)]) return 0;
    return brew_keys_fail(keys, where, "must be made of letters, digits, \".\", \"_\", \"-\"");
}

int brew_task_read_time(const brew_keys *keys, const brew_json *object, const char *where,
                        const char *key, enum brew_time_unit unit, int64_t *out) {
    brew_json *value = brew_json_get(object, key);
    if (!value) return 0;
    brew_buf text = {0};
    if (brew_json_is(value, BREW_JSON_STRING)) {
        brew_buf_adds(&text, brew_json_string(value, NULL));
        unit = BREW_TIME_ISO;
    } else {
        brew_json_write(&text, value);
        unit = unit == BREW_TIME_MS ? BREW_TIME_MS : BREW_TIME_S;
    }
    bool fits = brew_time_parse(text.ptr ? text.ptr : "", text.len, unit, out);
    brew_buf_release(&text);
    if (fits) return 1;
    return brew_keys_fail(keys, brew_place_of(where, key).text,
                          "must be a time: ISO 8601, or a number in the unit of the events");
}

int brew_task_read_columns(const brew_keys *keys, const brew_json *object, const char *where,
                           const char *key, brew_columns *out) {
    brew_json *array;
    int status = brew_keys_array(keys, object, where, key, false, &array);
    for (size_t i = 0; status > 0 && i < brew_json_length(array); i++) {
        const brew_json *name = brew_json_at(array, i);
        if (!brew_json_is(name, BREW_JSON_STRING) || !*brew_json_string(name, NULL))
            return brew_keys_fail(keys, brew_place_at(brew_place_of(where, key).text, i).text,
                                  "must be the name of a column");
        brew_columns_add(out, brew_json_string(name, NULL));
        if (out->n <= i)
            return brew_keys_fail(keys, brew_place_at(brew_place_of(where, key).text, i).text,
                                  "stands there twice");
    }
    return status < 0 ? -1 : 0;
}

int brew_task_read_meta(const brew_keys *keys, const brew_json *object, const char *where,
                        const char *taken, brew_columns *out) {
    if (brew_task_read_columns(keys, object, where, "meta", out)) return -1;
    for (size_t i = 0; i < out->n; i++)
        for (const char *at = taken; *at; at += strspn(at, " ")) {
            size_t n = strcspn(at, " ");
            if (strlen(out->names[i]) == n && !strncmp(out->names[i], at, n))
                return brew_keys_fail(keys,
                                      brew_place_at(brew_place_of(where, "meta").text, i).text,
                                      "has the name of what records have anyway");
            at += n;
        }
    return 0;
}

// The columns of what, who and when.
static int read_rows(const brew_keys *keys, const brew_json *object, const char *where,
                     brew_log *log) {
    int unit = BREW_TIME_S;
    log->slate = brew_json_get(object, "slate") != NULL;
    const char *item = log->slate ? "slate" : "item";
    if (log->slate && brew_json_get(object, "item"))
        return brew_keys_fail(keys, where, "must not have \"item\" and \"slate\"");
    if (log->slate && brew_json_get(object, "value"))
        return brew_keys_fail(keys, where, "must not have \"value\": the slate holds it");
    if (brew_task_read_source(keys, object, where, &log->events) ||
        brew_keys_string(keys, object, where, "member", true, &log->member_column) < 0 ||
        brew_keys_string(keys, object, where, item, true, &log->item_column) < 0 ||
        brew_keys_string(keys, object, where, "value", false, &log->value_column) < 0 ||
        brew_keys_string(keys, object, where, "weight", false, &log->weight_column) < 0 ||
        brew_keys_choice(keys, object, where, "time_unit", "s ms iso8601 mdy row", &unit) < 0 ||
        brew_keys_string(keys, object, where, "time", unit != BREW_TIME_ROW, &log->time_column) < 0)
        return -1;
    if (unit == BREW_TIME_ROW && log->time_column)
        return brew_keys_fail(keys, where, "must not have \"time\" where rows stand for it");
    log->time_unit = (enum brew_time_unit)unit;
    return 0;
}

// What makes rows one event, and when it is known.
static int read_units(const brew_keys *keys, const brew_json *object, const char *where,
                      brew_log *log) {
    brew_columns meta = {0};
    log->until = INT64_MAX;
    int window, status = 0;
    if (brew_keys_string(keys, object, where, "request", false, &log->request_column) < 0 ||
        brew_task_read_columns(keys, object, where, "key", &log->key) ||
        (window = brew_keys_duration(keys, object, where, "window", &log->window_ms)) < 0 ||
        brew_keys_duration(keys, object, where, "lag", &log->lag_ms) < 0 ||
        brew_task_read_time(keys, object, where, "until", log->time_unit, &log->until) < 0)
        return -1;
    if (!log->time_column && (window || log->lag_ms || log->until != INT64_MAX))
        return brew_task_fail_timeless(keys, brew_place_of(where, window        ? "window"
                                                                  : log->lag_ms ? "lag"
                                                                                : "until")
                                                 .text);
    log->units = log->slate || window || log->request_column || log->key.n;
    if (log->units && !log->slate && !window)
        return brew_keys_fail(keys, where,
                              "has a key, and so needs \"window\": for how long after "
                              "the first row others belong to it");
    if (!log->units && (log->lag_ms || log->until != INT64_MAX))
        return brew_keys_fail(keys, where, "has \"lag\" or \"until\", and so needs \"window\"");
    status = brew_task_read_meta(keys, object, where, BREW_ITEM_META_TAKEN, &meta);
    log->meta = brew_calloc(meta.n + 1, sizeof *log->meta);
    for (size_t i = 0; i < meta.n; i++) {
        log->meta[log->n_meta++] = brew_columns_add(&log->context, meta.names[i]);
        free(meta.names[i]);
    }
    free(meta.names);
    return status;
}

static int read_given_split(const brew_keys *keys, const brew_json *object, const char *where,
                            brew_log *log) {
    log->split = -1;
    if (brew_keys_choice(keys, object, where, "split", "train valid test", &log->split) < 0 ||
        brew_keys_string(keys, object, where, "split_column", false, &log->split_column) < 0)
        return -1;
    if (log->split >= 0 && log->split_column)
        return brew_keys_fail(keys, where, "must not have \"split\" and \"split_column\"");
    return 0;
}

// The set of actions: the log's own, or the task's, which is read when it is first needed.
static int read_log_actions(const brew_keys *keys, const brew_json *object, const char *where,
                            brew_task *task, brew_log *log, size_t *shared) {
    bool own = object && brew_json_get(object, "actions");
    if (!own && *shared != SIZE_MAX) {
        log->actions = *shared;
    } else {
        log->actions = task->n_action_sets++;
        if (!own) *shared = log->actions;
        if (brew_task_read_actions(keys, own ? object : keys->root, own ? where : "",
                                   &task->action_sets[log->actions]))
            return -1;
    }
    const brew_actions *set = &task->action_sets[log->actions];
    for (size_t a = 0; a < set->n; a++) {
        const brew_action *action = &set->list[a];
        if ((action->n_values || action->has_min || action->has_below) && !log->value_column &&
            !log->slate)
            return brew_keys_fail(
                keys, brew_place_at(brew_place_of(own ? where : "", "actions").text, a).text,
                "has a rule, but \"%s.value\" names no column", where);
    }
    return 0;
}

static int read_log_items(const brew_keys *keys, const brew_json *object, const char *where,
                          brew_task *task, brew_log *log, size_t *shared) {
    bool own = object && brew_json_get(object, "items");
    if (!own && *shared != SIZE_MAX) {
        log->items = *shared;
    } else {
        log->items = task->n_item_tables++;
        if (!own) *shared = log->items;
        if (brew_task_read_table(keys, own ? object : keys->root, own ? where : "", "items",
                                 BREW_ITEM_META_TAKEN " position", log->time_unit,
                                 &task->item_tables[log->items]) < 0)
            return -1;
    }
    const brew_entity_table *table = &task->item_tables[log->items];
    for (size_t i = 0; i < table->n_meta; i++)
        for (size_t k = 0; k < log->n_meta; k++)
            if (!strcmp(table->columns.names[i], log->context.names[log->meta[k]]))
                return brew_keys_fail(keys, brew_place_of(where, "meta").text,
                                      "names a column that \"items.meta\" names, too: %s",
                                      table->columns.names[i]);
    return 0;
}

static int read_log(const brew_keys *keys, const brew_json *object, const char *where, bool source,
                    brew_task *task, size_t shared[2]) {
    brew_log *log = &task->logs[task->n_logs++];
#define ROWS                                                                                  \
    "file format header member item slate time time_unit value request key window lag until " \
    "weight meta split split_column"
    if (brew_keys_known(keys, object, where,
                        source ? "name task items actions positive templates styles kinds " ROWS
                               : ROWS) ||
        read_rows(keys, object, where, log) || read_units(keys, object, where, log) ||
        read_given_split(keys, object, where, log))
        return -1;
#undef ROWS
    const char *const names[] = {"name", "task"};
    char **texts[] = {&log->surface, &log->task};
    for (size_t i = 0; source && i < 2; i++) {
        int status = brew_keys_string(keys, object, where, names[i], false, texts[i]);
        if (status < 0 ||
            (status && brew_task_check_name(keys, brew_place_of(where, names[i]).text, *texts[i])))
            return -1;
    }
    const brew_json *own = source ? object : NULL;
    return read_log_items(keys, own, where, task, log, &shared[0]) ||
           read_log_actions(keys, own, where, task, log, &shared[1]);
}

int brew_task_read_logs(const brew_keys *keys, brew_task *task) {
    brew_json *events, *sources;
    if (brew_keys_array(keys, keys->root, "", "sources", false, &sources) < 0 ||
        brew_keys_object(keys, keys->root, "", "events", !sources, &events) < 0)
        return -1;
    if (events && sources) return brew_keys_fail(keys, "sources", "excludes \"events\"");
    size_t n = sources ? brew_json_length(sources) : 1, shared[2] = {SIZE_MAX, SIZE_MAX};
    if (n < 1 || n > 200)
        return brew_keys_fail(keys, "sources", "holds %zu sources, not from 1 to 200", n);
    task->logs = brew_calloc(n, sizeof *task->logs);
    task->action_sets = brew_calloc(n, sizeof *task->action_sets);
    task->item_tables = brew_calloc(n, sizeof *task->item_tables);
    for (size_t i = 0; i < n; i++) {
        brew_place where = brew_place_at("sources", i);
        const brew_json *object = sources ? brew_json_at(sources, i) : events;
        if (!brew_json_is(object, BREW_JSON_OBJECT))
            return brew_keys_fail(keys, where.text, "must be an object, not %s",
                                  brew_json_type_name(object));
        if (read_log(keys, object, sources ? where.text : "events", sources, task, shared))
            return -1;
        if (!task->logs[i].time_column != !task->logs[0].time_column)
            return brew_keys_fail(keys, where.text,
                                  "has %s times, unlike source 0: nobody can tell their order",
                                  task->logs[i].time_column ? "the" : "no");
        for (size_t k = 0; k < i; k++)
            if (task->logs[k].surface && task->logs[i].surface &&
                !strcmp(task->logs[k].surface, task->logs[i].surface))
                return brew_keys_fail(keys, brew_place_of(where.text, "name").text,
                                      "is that of source %zu too", k);
    }
    for (size_t i = 0; i < task->n_action_sets; i++) {
        task->action_sets[i].first = task->n_actions;
        task->n_actions += task->action_sets[i].n;
    }
    return 0;
}
