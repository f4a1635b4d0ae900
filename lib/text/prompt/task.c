#include "text/prompt/task.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "text/prompt/features.h"
#include "text/prompt/keys.h"
#include "text/prompt/task_read.h"

// A path written in the file, made relative to the file's folder.
static char *beside(const char *file, const char *path) {
    const char *slash = strrchr(file, '/');
    if (*path == '/' || !slash || !strcmp(path, "-")) return brew_strdup(path);
    brew_buf joined = {0};
    brew_buf_add(&joined, file, (size_t)(slash - file) + 1);
    brew_buf_adds(&joined, path);
    return joined.ptr;
}

static int read_source(const brew_keys *keys, const brew_json *object, const char *where,
                       brew_source *out) {
    int format = BREW_TABLE_AUTO;
    char *path = NULL;
    if (brew_keys_string(keys, object, where, "file", false, &path) < 0) return -1;
    if (path) out->path = beside(keys->path, path);
    free(path);
    if (brew_keys_choice(keys, object, where, "format", "auto csv tsv atomic jsonl", &format) < 0)
        return -1;
    out->format = (enum brew_table_format)format;
    return 0;
}

static int read_events(const brew_keys *keys, brew_task *task) {
    brew_json *object;
    int unit = BREW_TIME_S;
    if (brew_keys_object(keys, keys->root, "", "events", true, &object) < 0 ||
        brew_keys_known(keys, object, "events", "file format member item time time_unit value") ||
        read_source(keys, object, "events", &task->events) ||
        brew_keys_string(keys, object, "events", "member", true, &task->member_column) < 0 ||
        brew_keys_string(keys, object, "events", "item", true, &task->item_column) < 0 ||
        brew_keys_string(keys, object, "events", "time", true, &task->time_column) < 0 ||
        brew_keys_string(keys, object, "events", "value", false, &task->value_column) < 0 ||
        brew_keys_choice(keys, object, "events", "time_unit", "s ms iso8601", &unit) < 0)
        return -1;
    task->time_unit = (enum brew_time_unit)unit;
    return 0;
}

static int read_table(const brew_keys *keys, const char *key, enum brew_time_unit events_unit,
                      brew_source *out) {
    brew_json *object;
    int unit = (int)events_unit;
    int status = brew_keys_object(keys, keys->root, "", key, false, &object);
    if (status <= 0) return status;
    if (brew_keys_known(keys, object, key, "file format id valid_from time_unit") ||
        read_source(keys, object, key, out) ||
        brew_keys_string(keys, object, key, "id", true, &out->id) < 0 ||
        brew_keys_string(keys, object, key, "valid_from", false, &out->valid_from) < 0 ||
        brew_keys_choice(keys, object, key, "time_unit", "s ms iso8601", &unit) < 0)
        return -1;
    out->time_unit = (enum brew_time_unit)unit;
    return out->path ? 0 : brew_keys_fail(keys, key, "lacks the key \"file\", a string");
}

static int read_values(const brew_keys *keys, const brew_json *object, const char *where,
                       brew_action *out) {
    brew_json *values;
    int status = brew_keys_array(keys, object, where, "values", false, &values);
    if (status <= 0) return status;
    brew_place place = brew_place_of(where, "values");
    size_t n = brew_json_length(values);
    if (!n) return brew_keys_fail(keys, place.text, "must not be empty");
    out->values = brew_calloc(n, sizeof *out->values);
    for (size_t i = 0; i < n; i++) {
        brew_json *value = brew_json_at(values, i);
        brew_buf text = {0};
        if (brew_json_is(value, BREW_JSON_STRING)) {
            size_t len;
            const char *chars = brew_json_string(value, &len);
            brew_buf_add(&text, chars, len);
        } else if (brew_json_is(value, BREW_JSON_INT) || brew_json_is(value, BREW_JSON_BOOL)) {
            brew_json_write(&text, value);
        } else {
            return brew_keys_fail(keys, brew_place_at(place.text, i).text,
                                  "must be a string, a whole number or a truth value, not %s",
                                  brew_json_type_name(value));
        }
        out->values[out->n_values++] = text.ptr ? text.ptr : brew_strdup("");
    }
    return 0;
}

static int read_action(const brew_keys *keys, const brew_json *object, const char *where,
                       brew_action *out) {
    if (!brew_json_is(object, BREW_JSON_OBJECT))
        return brew_keys_fail(keys, where, "must be an object, not %s",
                              brew_json_type_name(object));
    int min, below;
    if (brew_keys_known(keys, object, where, "name label values min below") ||
        brew_keys_string(keys, object, where, "name", true, &out->name) < 0 ||
        brew_keys_string(keys, object, where, "label", true, &out->label) < 0 ||
        read_values(keys, object, where, out) < 0 ||
        (min = brew_keys_real(keys, object, where, "min", -1e308, 1e308, &out->min)) < 0 ||
        (below = brew_keys_real(keys, object, where, "below", -1e308, 1e308, &out->below)) < 0)
        return -1;
    out->has_min = min > 0;
    out->has_below = below > 0;
    brew_place label = brew_place_of(where, "label");
    if (brew_has_control(out->label))
        return brew_keys_fail(keys, label.text, "must not hold a control character");
    if (out->n_values && (out->has_min || out->has_below))
        return brew_keys_fail(keys, where, "must not have \"values\" and a range");
    return 0;
}

static int check_action(const brew_keys *keys, const brew_task *task, size_t index,
                        const char *where) {
    const brew_action *action = &task->actions[index];
    bool ruled = action->n_values || action->has_min || action->has_below;
    if (ruled && !task->value_column)
        return brew_keys_fail(keys, where, "has a rule, but \"events.value\" names no column");
    for (size_t i = 0; i < index; i++) {
        const brew_action *other = &task->actions[i];
        if (!strcmp(other->name, action->name))
            return brew_keys_fail(keys, brew_place_of(where, "name").text,
                                  "is that of action %zu too", i);
        if (!strcmp(other->label, action->label))
            return brew_keys_fail(keys, brew_place_of(where, "label").text,
                                  "is that of action %zu too", i);
        if (!other->n_values && !other->has_min && !other->has_below)
            return brew_keys_fail(keys, where, "is never reached: action %zu takes every value", i);
    }
    return 0;
}

static int read_actions(const brew_keys *keys, brew_task *task) {
    brew_json *array, *positive;
    if (brew_keys_array(keys, keys->root, "", "actions", true, &array) < 0) return -1;
    size_t n = brew_json_length(array);
    if (n < 2 || n > 1000)
        return brew_keys_fail(keys, "actions", "holds %zu actions, not from 2 to 1000", n);
    task->actions = brew_calloc(n, sizeof *task->actions);
    for (size_t i = 0; i < n; i++) {
        brew_place where = brew_place_at("actions", i);
        task->n_actions = i + 1;
        if (read_action(keys, brew_json_at(array, i), where.text, &task->actions[i]) ||
            check_action(keys, task, i, where.text))
            return -1;
    }
    int status = brew_keys_array(keys, keys->root, "", "positive", false, &positive);
    if (status < 0) return -1;
    if (!status) task->actions[0].positive = true;
    size_t n_positive = status ? brew_json_length(positive) : 1;
    for (size_t i = 0; status && i < n_positive; i++) {
        brew_json *value = brew_json_at(positive, i);
        size_t a = 0;
        if (brew_json_is(value, BREW_JSON_STRING))
            while (a < n && strcmp(task->actions[a].name, brew_json_string(value, NULL))) a++;
        if (!brew_json_is(value, BREW_JSON_STRING) || a == n || task->actions[a].positive)
            return brew_keys_fail(keys, brew_place_at("positive", i).text,
                                  "must be the name of an action, each once");
        task->actions[a].positive = true;
    }
    if (!n_positive || n_positive == n)
        return brew_keys_fail(keys, "positive", "must name some of the %zu actions, not %zu", n,
                              n_positive);
    return 0;
}

static int read_limits(const brew_keys *keys, brew_task *task, bool *until_given) {
    brew_json *object;
    int until = 0, train = BREW_TRAIN_ONCE, status;
    if (brew_keys_object(keys, keys->root, "", "history", false, &object) < 0) return -1;
    if (object) {
        if (brew_keys_known(keys, object, "history", "max until") ||
            brew_keys_int(keys, object, "history", "max", 0, 1 << 20, &task->max_history) < 0 ||
            (status =
                 brew_keys_choice(keys, object, "history", "until", "question split", &until)) < 0)
            return -1;
        *until_given = status > 0;
    }
    if (brew_keys_object(keys, keys->root, "", "questions", false, &object) < 0) return -1;
    if (object &&
        (brew_keys_known(keys, object, "questions", "max train") ||
         brew_keys_int(keys, object, "questions", "max", 1, 1 << 20, &task->max_questions) < 0 ||
         brew_keys_choice(keys, object, "questions", "train", "once all", &train) < 0))
        return -1;
    task->history_until_split = until == 1;
    task->train = (enum brew_train_questions)train;
    return 0;
}

static int read_name(const brew_keys *keys, brew_task *task) {
    if (brew_keys_string(keys, keys->root, "", "task", true, &task->name) < 0) return -1;
    const char *fine = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (task->name[strspn(task->name, fine)])
        return brew_keys_fail(keys, "task", "must be made of letters, digits, \".\", \"_\", \"-\"");
    return 0;
}

brew_task *brew_task_load(const char *path, brew_err *err) {
    brew_keys keys;
    if (brew_keys_load(&keys, path, err)) return NULL;
    brew_task *task = brew_calloc(1, sizeof *task);
    task->path = brew_strdup(path);
    task->max_history = 30;
    task->max_questions = 10;
    bool until_given = false;
    if (brew_keys_known(&keys, keys.root, "",
                        "task events members items actions positive features offsets templates "
                        "history questions split") ||
        read_name(&keys, task) || read_events(&keys, task) ||
        read_table(&keys, "members", task->time_unit, &task->members) ||
        read_table(&keys, "items", task->time_unit, &task->items) || read_actions(&keys, task) ||
        brew_task_read_features(&keys, task) || brew_task_read_templates(&keys, task) ||
        read_limits(&keys, task, &until_given) || brew_task_read_split(&keys, task)) {
        brew_task_free(task);
        task = NULL;
    } else if (!until_given) {
        task->history_until_split = task->split.by == BREW_SPLIT_BY_LAST;
    }
    brew_keys_release(&keys);
    return task;
}

void brew_task_free(brew_task *task) {
    if (!task) return;
    brew_source *sources[] = {&task->events, &task->members, &task->items};
    for (size_t i = 0; i < 3; i++) {
        free(sources[i]->path);
        free(sources[i]->id);
        free(sources[i]->valid_from);
    }
    for (size_t a = 0; a < task->n_actions; a++) {
        brew_action *action = &task->actions[a];
        for (size_t i = 0; i < action->n_values; i++) free(action->values[i]);
        free(action->values);
        free(action->name);
        free(action->label);
    }
    brew_template *templates[] = {&task->instruction, &task->note, &task->profile,
                                  &task->heading,     &task->line, &task->summary,
                                  &task->question};
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++)
        brew_template_release(templates[i]);
    brew_columns *columns[] = {&task->member_columns, &task->item_columns};
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < columns[i]->n; k++) free(columns[i]->names[k]);
        free(columns[i]->names);
    }
    free(task->actions);
    if (task->features) brew_features_release(task->features);
    free(task->features);
    free(task->path);
    free(task->name);
    free(task->member_column);
    free(task->item_column);
    free(task->time_column);
    free(task->value_column);
    free(task);
}

int brew_task_action(const brew_task *task, const char *value, size_t len) {
    double number = 0;
    int parsed = -1; // not yet tried
    for (size_t a = 0; a < task->n_actions; a++) {
        const brew_action *action = &task->actions[a];
        for (size_t i = 0; i < action->n_values; i++)
            if (strlen(action->values[i]) == len && !memcmp(action->values[i], value, len))
                return (int)a;
        if (action->n_values) continue;
        if (action->has_min || action->has_below) {
            if (parsed < 0) parsed = brew_parse_double(value, len, &number);
            if (!parsed || (action->has_min && number < action->min) ||
                (action->has_below && number >= action->below))
                continue;
        }
        return (int)a;
    }
    return -1;
}
