#include "text/task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "text/keys.h"

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
    int format;
    char *path = NULL;
    if (brew_keys_string(keys, object, where, "file", false, &path) < 0) return -1;
    if (path) out->path = beside(keys->path, path);
    free(path);
    int status = brew_keys_choice(keys, object, where, "format", "csv tsv jsonl", &format);
    if (status > 0) brew_keys_string(keys, object, where, "format", false, &out->format);
    return status < 0 ? -1 : 0;
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

static int read_table(const brew_keys *keys, const char *key, brew_source *out) {
    brew_json *object;
    int status = brew_keys_object(keys, keys->root, "", key, false, &object);
    if (status <= 0) return status;
    if (brew_keys_known(keys, object, key, "file format id") ||
        read_source(keys, object, key, out) ||
        brew_keys_string(keys, object, key, "id", true, &out->id) < 0)
        return -1;
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

static bool has_control(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) return true;
    return false;
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
    if (has_control(out->label))
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

// A template; `line` ones must stay on one line, sections get a newline where they lack one.
static int read_template(const brew_keys *keys, const brew_json *object, const char *key, bool line,
                         brew_template *out) {
    char *text = NULL;
    int status = brew_keys_string(keys, object, "templates", key, false, &text);
    brew_place where = brew_place_of("templates", key);
    if (status > 0 && line && has_control(text)) {
        status = brew_keys_fail(keys, where.text, "must not hold a newline or control character");
    } else if (status > 0) {
        brew_buf whole = {0};
        brew_buf_adds(&whole, text);
        if (!line && whole.len && whole.ptr[whole.len - 1] != '\n') brew_buf_addc(&whole, '\n');
        brew_err why = {0};
        if (whole.len && brew_template_parse(out, whole.ptr, whole.len, &why))
            status = brew_keys_fail(keys, where.text, "has %s", why.text);
        brew_buf_release(&whole);
    }
    free(text);
    return status < 0 ? -1 : 0;
}

static int read_templates(const brew_keys *keys, brew_task *task) {
    brew_json *object;
    if (brew_keys_object(keys, keys->root, "", "templates", true, &object) < 0 ||
        brew_keys_known(keys, object, "templates",
                        "instruction note profile heading line question") ||
        read_template(keys, object, "instruction", false, &task->instruction) ||
        read_template(keys, object, "note", false, &task->note) ||
        read_template(keys, object, "profile", false, &task->profile) ||
        read_template(keys, object, "heading", false, &task->heading) ||
        read_template(keys, object, "question", true, &task->question) ||
        read_template(keys, object, brew_json_get(object, "line") ? "line" : "question", true,
                      &task->line))
        return -1;
    if (!task->question.n_parts)
        return brew_keys_fail(keys, "templates", "lacks the key \"question\", a string");
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

// A boundary in time: a number in the events' unit, or an ISO 8601 text. 1 if given.
static int read_boundary(const brew_keys *keys, const brew_task *task, const brew_json *object,
                         const char *key, int64_t *out) {
    brew_json *value = brew_json_get(object, key);
    if (!value) return 0;
    brew_buf text = {0};
    enum brew_time_unit unit = BREW_TIME_ISO;
    if (brew_json_is(value, BREW_JSON_STRING)) {
        brew_buf_adds(&text, brew_json_string(value, NULL));
    } else {
        brew_json_write(&text, value);
        unit = task->time_unit == BREW_TIME_MS ? BREW_TIME_MS : BREW_TIME_S;
    }
    bool fits = brew_time_parse(text.ptr ? text.ptr : "", text.len, unit, out);
    brew_buf_release(&text);
    if (fits) return 1;
    return brew_keys_fail(keys, brew_place_of("split", key).text,
                          "must be a time: ISO 8601, or a number in the unit of the events");
}

static int read_split_by_time(const brew_keys *keys, const brew_task *task, const brew_json *object,
                              brew_datasplit *split) {
    int valid = read_boundary(keys, task, object, "valid_from", &split->valid_from);
    int test = valid < 0 ? -1 : read_boundary(keys, task, object, "test_from", &split->test_from);
    if (valid < 0 || test < 0) return -1;
    if (!valid && !test) {
        split->by = BREW_SPLIT_BY_SHARE;
        return 0;
    }
    split->by = BREW_SPLIT_BY_TIME;
    if (brew_json_get(object, "train") || brew_json_get(object, "valid") ||
        brew_json_get(object, "test"))
        return brew_keys_fail(keys, "split", "must not have shares and times");
    if (!test) split->test_from = INT64_MAX;
    if (!valid) split->valid_from = split->test_from;
    if (split->valid_from > split->test_from)
        return brew_keys_fail(keys, "split.valid_from", "is later than \"test_from\"");
    return 0;
}

static int read_split(const brew_keys *keys, brew_task *task) {
    brew_datasplit *split = &task->split;
    brew_json *object;
    int by = -1;
    if (brew_keys_object(keys, keys->root, "", "split", false, &object) < 0) return -1;
    if (!object) return 0;
    if (brew_keys_known(keys, object, "split", "by train valid test valid_from test_from") ||
        brew_keys_choice(keys, object, "split", "by", "time last", &by) < 0)
        return -1;
    if (by < 0) return brew_keys_fail(keys, "split", "lacks the key \"by\", \"time\" or \"last\"");
    split->by = BREW_SPLIT_BY_LAST;
    if (by == 1 && (brew_json_get(object, "valid_from") || brew_json_get(object, "test_from")))
        return brew_keys_fail(keys, "split", "by \"last\" takes shares, not times");
    if (by == 0 && read_split_by_time(keys, task, object, split)) return -1;
    if (split->by == BREW_SPLIT_BY_TIME) return 0;
    double train = -1;
    if (brew_keys_real(keys, object, "split", "train", 0, 1, &train) < 0 ||
        brew_keys_real(keys, object, "split", "valid", 0, 1, &split->valid) < 0 ||
        brew_keys_real(keys, object, "split", "test", 0, 1, &split->test) < 0)
        return -1;
    if (split->valid + split->test <= 0 || split->valid + split->test > 1 + 1e-9)
        return brew_keys_fail(keys, "split",
                              "needs \"valid\" and \"test\" with a sum above 0 and "
                              "at most 1, not %g",
                              split->valid + split->test);
    if (by == 1 && split->test <= 0)
        return brew_keys_fail(keys, "split", "by \"last\" needs \"test\", a share above 0");
    if (train >= 0 && fabs(train + split->valid + split->test - 1) > 1e-9)
        return brew_keys_fail(keys, "split", "has shares with a sum of %g, not 1",
                              train + split->valid + split->test);
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
                        "task events members items actions positive templates history questions "
                        "split") ||
        read_name(&keys, task) || read_events(&keys, task) ||
        read_table(&keys, "members", &task->members) || read_table(&keys, "items", &task->items) ||
        read_actions(&keys, task) || read_templates(&keys, task) ||
        read_limits(&keys, task, &until_given) || read_split(&keys, task)) {
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
        free(sources[i]->format);
        free(sources[i]->id);
    }
    for (size_t a = 0; a < task->n_actions; a++) {
        brew_action *action = &task->actions[a];
        for (size_t i = 0; i < action->n_values; i++) free(action->values[i]);
        free(action->values);
        free(action->name);
        free(action->label);
    }
    brew_template *templates[] = {&task->instruction, &task->note, &task->profile,
                                  &task->heading,     &task->line, &task->question};
    for (size_t i = 0; i < 6; i++) brew_template_release(templates[i]);
    free(task->actions);
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
