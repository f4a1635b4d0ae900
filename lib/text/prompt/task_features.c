// The task file's "features" and "offsets".
#include "text/prompt/task_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/prompt/features.h"

static const double DAY_MS = 86400000, DAYS_MAX = 100000;

static int read_days(const brew_keys *keys, const brew_json *object, const char *where,
                     const char *key, int64_t *ms) {
    double days = 0;
    int status = brew_keys_real(keys, object, where, key, 0, DAYS_MAX, &days);
    *ms = llround(days * DAY_MS);
    if (status > 0 && days > 0 && !*ms)
        return brew_keys_fail(keys, brew_place_of(where, key).text, "is less than a millisecond");
    return status;
}

// The actions of all sets that count: those with a name or, without one, all or the positive ones. How
// many were added.
static size_t choose(const brew_task *task, const char *name, bool all, bool *out) {
    size_t n = 0;
    for (size_t s = 0; s < task->n_action_sets; s++)
        for (size_t a = 0; a < task->action_sets[s].n; a++) {
            const brew_action *action = &task->action_sets[s].list[a];
            bool *chosen = &out[task->action_sets[s].first + a];
            if (*chosen || (name ? strcmp(action->name, name) : !all && !action->positive))
                continue;
            *chosen = true;
            n++;
        }
    return n;
}

// Which actions count: those named; by default the positive ones for a rate, all for a count.
static int read_feature_actions(const brew_keys *keys, const brew_json *object, const char *where,
                                const brew_task *task, brew_feature *out) {
    brew_json *names;
    out->actions = brew_calloc(task->n_actions, sizeof *out->actions);
    int status = brew_keys_array(keys, object, where, "actions", false, &names);
    if (status < 0) return -1;
    if (!status) {
        choose(task, NULL, out->measure == BREW_MEASURE_COUNT, out->actions);
        return 0;
    }
    brew_place place = brew_place_of(where, "actions");
    if (!brew_json_length(names)) return brew_keys_fail(keys, place.text, "must not be empty");
    for (size_t i = 0; i < brew_json_length(names); i++) {
        const brew_json *name = brew_json_at(names, i);
        if (!brew_json_is(name, BREW_JSON_STRING) ||
            !choose(task, brew_json_string(name, NULL), false, out->actions))
            return brew_keys_fail(keys, brew_place_at(place.text, i).text,
                                  "must be the name of an action, each once");
    }
    return 0;
}

static int read_percentiles(const brew_keys *keys, const brew_json *object, const char *where,
                            brew_feature *out) {
    static const double usual[] = {10, 35, 65, 90};
    brew_json *array;
    int status = brew_keys_array(keys, object, where, "percentiles", false, &array);
    if (status < 0) return -1;
    out->n_edges = status ? brew_json_length(array) : sizeof usual / sizeof *usual;
    brew_place place = brew_place_of(where, "percentiles");
    if (!out->n_edges || out->n_edges > 99)
        return brew_keys_fail(keys, place.text, "holds %zu numbers, not from 1 to 99",
                              out->n_edges);
    out->percentiles = brew_calloc(out->n_edges, sizeof *out->percentiles);
    for (size_t i = 0; i < out->n_edges; i++) {
        const brew_json *value = status ? brew_json_at(array, i) : NULL;
        if (value && !brew_json_is(value, BREW_JSON_INT) && !brew_json_is(value, BREW_JSON_REAL))
            return brew_keys_fail(keys, brew_place_at(place.text, i).text,
                                  "must be a number, not %s", brew_json_type_name(value));
        double p = value ? brew_json_real(value) : usual[i];
        if (p <= 0 || p >= 100 || (i && p <= out->percentiles[i - 1]))
            return brew_keys_fail(keys, brew_place_at(place.text, i).text,
                                  "must lie between 0 and 100, and above the one before");
        out->percentiles[i] = p;
    }
    return 0;
}

static int read_word(const brew_keys *keys, const char *where, const brew_json *value, char **out) {
    size_t len;
    if (!brew_json_is(value, BREW_JSON_STRING))
        return brew_keys_fail(keys, where, "must be a string, not %s", brew_json_type_name(value));
    const char *text = brew_json_string(value, &len);
    if (strlen(text) != len || brew_has_control(text))
        return brew_keys_fail(keys, where, "must not hold a control character");
    *out = brew_strdup(text);
    return 0;
}

static int read_words(const brew_keys *keys, const brew_json *object, const char *where,
                      brew_feature *out) {
    static const char *const usual[] = {"bottom 10 %", "low", "average", "high", "top 10 %"};
    brew_json *array, *none = brew_json_get(object, "none");
    int status = brew_keys_array(keys, object, where, "words", false, &array);
    brew_place place = brew_place_of(where, "words");
    if (status < 0) return -1;
    size_t n = status ? brew_json_length(array) : sizeof usual / sizeof *usual;
    if ((!status && brew_json_get(object, "percentiles")) || n != out->n_edges + 1)
        return brew_keys_fail(keys, status ? place.text : where,
                              "needs %zu words for %zu percentiles, not %zu", out->n_edges + 1,
                              out->n_edges, status ? n : 0);
    out->words = brew_calloc(n, sizeof *out->words);
    for (size_t i = 0; i < n; i++) {
        if (!status)
            out->words[i] = brew_strdup(usual[i]);
        else if (read_word(keys, brew_place_at(place.text, i).text, brew_json_at(array, i),
                           &out->words[i]))
            return -1;
    }
    if (none && read_word(keys, brew_place_of(where, "none").text, none, &out->none)) return -1;
    return 0;
}

static int read_feature(const brew_keys *keys, const char *name, const brew_json *object,
                        const brew_task *task, brew_feature *out) {
    brew_place place = brew_place_of("features", name);
    const char *where = place.text;
    int of = -1, measure = BREW_MEASURE_RATE, as_of = 0;
    if (!*name || strpbrk(name, "{}"))
        return brew_keys_fail(keys, "features", "has a name that is empty or holds a brace");
    if (!brew_json_is(object, BREW_JSON_OBJECT))
        return brew_keys_fail(keys, where, "must be an object, not %s",
                              brew_json_type_name(object));
    out->name = brew_strdup(name);
    out->shrink = 5;
    if (brew_keys_known(keys, object, where,
                        "of measure actions shrink window_days lag_days as_of percentiles words "
                        "none") ||
        brew_keys_choice(keys, object, where, "of", "item member", &of) < 0 ||
        brew_keys_choice(keys, object, where, "measure", "count rate", &measure) < 0 ||
        brew_keys_choice(keys, object, where, "as_of", "question split", &as_of) < 0 ||
        brew_keys_real(keys, object, where, "shrink", 0, 1e9, &out->shrink) < 0 ||
        read_days(keys, object, where, "window_days", &out->window) < 0 ||
        read_days(keys, object, where, "lag_days", &out->lag) < 0)
        return -1;
    if (of < 0) return brew_keys_fail(keys, where, "lacks the key \"of\", \"item\" or \"member\"");
    out->of = (enum brew_feature_of)of;
    out->measure = (enum brew_measure)measure;
    out->as_of_split = as_of == 1;
    if (!task->logs[0].time_column && (out->window || out->lag))
        return brew_task_fail_timeless(keys, where);
    if (out->as_of_split && (out->window || out->lag))
        return brew_keys_fail(keys, where, "as of the split takes no window and no lag");
    return read_feature_actions(keys, object, where, task, out) ||
                   read_percentiles(keys, object, where, out) ||
                   read_words(keys, object, where, out)
               ? -1
               : 0;
}

// One that no template names.
static size_t add_hidden(const brew_task *task, enum brew_feature_of of, enum brew_measure measure,
                         bool as_of_split) {
    brew_feature *out = &task->features->list[task->features->n];
    *out = (brew_feature){.of = of, .measure = measure, .as_of_split = as_of_split};
    out->actions = brew_calloc(task->n_actions, sizeof *out->actions);
    choose(task, NULL, false, out->actions);
    return task->features->n++;
}

static int read_offsets(const brew_keys *keys, brew_task *task) {
    brew_json *object;
    int of = -1, as_of = 0;
    int status = brew_keys_object(keys, keys->root, "", "offsets", false, &object);
    if (status <= 0) return status;
    if (brew_keys_known(keys, object, "offsets", "of as_of") ||
        brew_keys_choice(keys, object, "offsets", "of", "item member member_item", &of) < 0 ||
        brew_keys_choice(keys, object, "offsets", "as_of", "question split", &as_of) < 0)
        return -1;
    if (of < 0)
        return brew_keys_fail(keys, "offsets",
                              "lacks the key \"of\", \"item\", \"member\" or "
                              "\"member_item\"");
    task->features->offsets = true;
    if (of != 1)
        task->features->item_offset =
            add_hidden(task, BREW_OF_ITEM, BREW_MEASURE_DEVIATION, as_of == 1);
    if (of != 0)
        task->features->member_offset =
            add_hidden(task, BREW_OF_MEMBER, BREW_MEASURE_DEVIATION, as_of == 1);
    return 0;
}

int brew_task_read_features(const brew_keys *keys, brew_task *task) {
    brew_json *object;
    if (brew_keys_object(keys, keys->root, "", "features", false, &object) < 0) return -1;
    if (!object && !brew_json_get(keys->root, "offsets") && !task->negatives) return 0;
    brew_features *features = task->features = brew_calloc(1, sizeof *features);
    features->item_offset = features->member_offset = SIZE_MAX;
    brew_json_iter it = {0};
    while (object && brew_json_next(object, &it)) {
        if (features->n == BREW_FEATURES_MAX - 3)
            return brew_keys_fail(keys, "features", "holds more than %d features",
                                  BREW_FEATURES_MAX - 3);
        features->n++;
        if (read_feature(keys, it.key, it.value, task, &features->list[features->n - 1])) return -1;
    }
    if (task->negatives)
        features->history = add_hidden(task, BREW_OF_ITEM, BREW_MEASURE_HISTORY, false);
    return read_offsets(keys, task);
}
