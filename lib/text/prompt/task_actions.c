// The task file's "actions" and "positive", of the task or of one of its sources.
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "text/prompt/task_read.h"

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
    if (brew_keys_known(keys, object, where, "name label values min below gain implies drawn") ||
        brew_keys_string(keys, object, where, "name", true, &out->name) < 0 ||
        brew_keys_string(keys, object, where, "label", true, &out->label) < 0 ||
        read_values(keys, object, where, out) < 0 ||
        (min = brew_keys_real(keys, object, where, "min", -1e308, 1e308, &out->min)) < 0 ||
        (below = brew_keys_real(keys, object, where, "below", -1e308, 1e308, &out->below)) < 0)
        return -1;
    brew_json *drawn = brew_json_get(object, "drawn");
    if (drawn && !brew_json_is(drawn, BREW_JSON_BOOL))
        return brew_keys_fail(keys, brew_place_of(where, "drawn").text,
                              "must be true or false, not %s", brew_json_type_name(drawn));
    out->drawn = drawn && brew_json_bool(drawn);
    out->has_min = min > 0;
    out->has_below = below > 0;
    brew_place label = brew_place_of(where, "label");
    if (brew_has_control(out->label))
        return brew_keys_fail(keys, label.text, "must not hold a control character");
    if (out->n_values && (out->has_min || out->has_below))
        return brew_keys_fail(keys, where, "must not have \"values\" and a range");
    return 0;
}

static int check_action(const brew_keys *keys, const brew_actions *actions, size_t index,
                        const char *where) {
    const brew_action *action = &actions->list[index];
    for (size_t i = 0; i < index; i++) {
        const brew_action *other = &actions->list[i];
        if (!strcmp(other->name, action->name))
            return brew_keys_fail(keys, brew_place_of(where, "name").text,
                                  "is that of action %zu too", i);
        if (!strcmp(other->label, action->label))
            return brew_keys_fail(keys, brew_place_of(where, "label").text,
                                  "is that of action %zu too", i);
        if (!action->drawn && !other->drawn && !other->n_values && !other->has_min &&
            !other->has_below)
            return brew_keys_fail(keys, where, "is never reached: action %zu takes every value", i);
    }
    return 0;
}

// The action an array's element names, or n.
static size_t named(const brew_actions *actions, const brew_json *name) {
    size_t a = 0;
    if (!brew_json_is(name, BREW_JSON_STRING)) return actions->n;
    while (a < actions->n && strcmp(actions->list[a].name, brew_json_string(name, NULL))) a++;
    return a;
}

static int read_positive(const brew_keys *keys, const brew_json *object, const char *where,
                         brew_actions *actions) {
    brew_json *positive;
    brew_place place = brew_place_of(where, "positive");
    int status = brew_keys_array(keys, object, where, "positive", false, &positive);
    if (status < 0) return -1;
    if (!status) actions->list[0].positive = true;
    size_t n = status ? brew_json_length(positive) : 1;
    for (size_t i = 0; status && i < n; i++) {
        size_t a = named(actions, brew_json_at(positive, i));
        if (a == actions->n || actions->list[a].positive)
            return brew_keys_fail(keys, brew_place_at(place.text, i).text,
                                  "must be the name of an action, each once");
        actions->list[a].positive = true;
    }
    if (!n || n == actions->n)
        return brew_keys_fail(keys, place.text, "must name some of the %zu actions, not %zu",
                              actions->n, n);
    return 0;
}

// What each action implies, and what that implies.
static int read_implied(const brew_keys *keys, const brew_json *array, const char *where,
                        brew_actions *actions) {
    size_t n = actions->n;
    for (size_t a = 0; a < n; a++) {
        brew_json *names;
        brew_place at = brew_place_at(where, a), place = brew_place_of(at.text, "implies");
        bool *implies = actions->list[a].implies = brew_calloc(n, sizeof *implies);
        implies[a] = true;
        if (brew_keys_array(keys, brew_json_at(array, a), at.text, "implies", false, &names) < 0)
            return -1;
        for (size_t i = 0; i < brew_json_length(names); i++) {
            size_t b = named(actions, brew_json_at(names, i));
            if (b <= a || b == n)
                return brew_keys_fail(keys, brew_place_at(place.text, i).text,
                                      "must be the name of a weaker action, one further below");
            implies[b] = true;
        }
    }
    for (size_t a = n; a-- > 0;) // what stands below is complete
        for (size_t b = a + 1; b < n; b++)
            for (size_t c = b + 1; actions->list[a].implies[b] && c < n; c++)
                actions->list[a].implies[c] |= actions->list[b].implies[c];
    return 0;
}

int brew_task_read_actions(const brew_keys *keys, const brew_json *object, const char *where,
                           brew_actions *out) {
    brew_json *array;
    brew_place place = brew_place_of(where, "actions");
    if (brew_keys_array(keys, object, where, "actions", true, &array) < 0) return -1;
    size_t n = brew_json_length(array);
    if (n < 2 || n > 1000)
        return brew_keys_fail(keys, place.text, "holds %zu actions, not from 2 to 1000", n);
    out->list = brew_calloc(n, sizeof *out->list);
    for (size_t i = 0; i < n; i++) {
        brew_place at = brew_place_at(place.text, i);
        out->n = i + 1;
        if (read_action(keys, brew_json_at(array, i), at.text, &out->list[i]) ||
            check_action(keys, out, i, at.text))
            return -1;
    }
    if (read_positive(keys, object, where, out) || read_implied(keys, array, place.text, out))
        return -1;
    for (size_t i = 0; i < n; i++) {
        brew_place at = brew_place_at(place.text, i);
        int status = brew_keys_real(keys, brew_json_at(array, i), at.text, "gain", 0, 1e6,
                                    &out->list[i].gain);
        if (status < 0) return -1;
        if (status && out->list[i].positive && out->list[i].gain <= 0)
            return brew_keys_fail(keys, brew_place_of(at.text, "gain").text,
                                  "must be above 0 for a positive action");
        if (!status) out->list[i].gain = out->list[i].positive;
        out->gains |= status > 0;
        out->list[i].rate = 1;
    }
    return 0;
}

int brew_actions_find(const brew_actions *actions, const char *value, size_t len) {
    double number = 0;
    int parsed = -1; // not yet tried
    for (size_t a = 0; a < actions->n; a++) {
        const brew_action *action = &actions->list[a];
        if (action->drawn) continue;
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
