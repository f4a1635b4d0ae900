// The task file's "history" and "questions": how much is shown and asked, and of what.
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/prompt/task_read.h"

// A choice among the logs by the names of their surfaces: all, unless told.
static int read_chosen(const brew_keys *keys, const brew_json *object, const char *where,
                       const brew_task *task, bool **out) {
    brew_json *array = NULL;
    *out = brew_calloc(task->n_logs, sizeof **out);
    if (object && brew_keys_array(keys, object, where, "sources", false, &array) < 0) return -1;
    for (size_t i = 0; i < task->n_logs; i++) (*out)[i] = !array;
    for (size_t i = 0; i < brew_json_length(array); i++) {
        const brew_json *name = brew_json_at(array, i);
        size_t k = 0;
        if (brew_json_is(name, BREW_JSON_STRING))
            while (k < task->n_logs &&
                   (!task->logs[k].surface ||
                    strcmp(task->logs[k].surface, brew_json_string(name, NULL))))
                k++;
        if (!brew_json_is(name, BREW_JSON_STRING) || k == task->n_logs)
            return brew_keys_fail(keys, brew_place_at(brew_place_of(where, "sources").text, i).text,
                                  "must be the name of a source");
        (*out)[k] = true;
    }
    if (array && !brew_json_length(array))
        return brew_keys_fail(keys, brew_place_of(where, "sources").text, "must not be empty");
    return 0;
}

static int read_rates(const brew_keys *keys, const brew_json *object, brew_task *task) {
    brew_json *rates;
    int status = brew_keys_object(keys, object, "history", "rates",
                                  task->select == BREW_HISTORY_SAMPLE, &rates);
    if (status <= 0) return status;
    if (task->select != BREW_HISTORY_SAMPLE)
        return brew_keys_fail(keys, "history.rates", "needs \"select\": \"sample\"");
    brew_json_iter it = {0};
    while (brew_json_next(rates, &it)) {
        double rate;
        bool found = false;
        if (brew_keys_real(keys, rates, "history.rates", it.key, 0, 1, &rate) < 0) return -1;
        for (size_t s = 0; s < task->n_action_sets; s++)
            for (size_t a = 0; a < task->action_sets[s].n; a++)
                if (!strcmp(task->action_sets[s].list[a].name, it.key)) {
                    task->action_sets[s].list[a].rate = rate;
                    found = true;
                }
        if (!found)
            return brew_keys_fail(keys, brew_place_of("history.rates", it.key).text,
                                  "is not the name of an action");
    }
    return 0;
}

static int read_history(const brew_keys *keys, brew_task *task) {
    brew_json *object;
    int until = task->split.by == BREW_SPLIT_BY_LAST, select = 0, drop = 0;
    if (brew_keys_object(keys, keys->root, "", "history", false, &object) < 0 ||
        read_chosen(keys, object, "history", task, &task->told))
        return -1;
    if (object) {
        if (brew_keys_known(keys, object, "history",
                            "max until sources select rates drop answers") ||
            brew_keys_int(keys, object, "history", "max", 0, 1 << 20, &task->max_history) < 0 ||
            brew_keys_choice(keys, object, "history", "until", "question split", &until) < 0 ||
            brew_keys_choice(keys, object, "history", "select", "recent all sample similar",
                             &select) < 0 ||
            brew_keys_choice(keys, object, "history", "drop", "line quarter", &drop) < 0)
            return -1;
        brew_json *answers = brew_json_get(object, "answers");
        if (answers && !brew_json_is(answers, BREW_JSON_BOOL))
            return brew_keys_fail(keys, "history.answers", "must be true or false, not %s",
                                  brew_json_type_name(answers));
        task->plain = answers && !brew_json_bool(answers);
        task->select = (enum brew_history_select)select;
        if (read_rates(keys, object, task) < 0) return -1;
    }
    task->history_until_split = until == 1;
    task->drop_quarters = drop == 1;
    return 0;
}

// Why answers in the history cannot be learned from, or NULL.
static const char *unlearnable(const brew_task *task) {
    if (task->plain) return "\"history.answers\" is false";
    if (task->negatives) return "negatives are chosen by their labels";
    if (task->n_action_sets > 1) return "the sources differ in their actions";
    if (task->select > BREW_HISTORY_ALL) return "\"history.select\" chooses its events";
    for (size_t i = 0; i < task->n_logs; i++) {
        if (!task->told[i] || !task->asked[i]) return "not all sources are both shown and asked";
        if (task->logs[i].split >= 0 || task->logs[i].split_column) return "the split is given";
        bool choice = false;
        for (size_t k = 0; k < task->logs[i].n_questions; k++)
            choice |= task->logs[i].questions[k].action < 0;
        if (!choice) return "no question is the choice among the actions";
    }
    return NULL;
}

int brew_task_read_limits(const brew_keys *keys, brew_task *task) {
    brew_json *object;
    int train = BREW_TRAIN_ONCE, status = 0;
    if (read_history(keys, task) ||
        brew_keys_object(keys, keys->root, "", "questions", false, &object) < 0 ||
        read_chosen(keys, object, "questions", task, &task->asked))
        return -1;
    if (object &&
        (brew_keys_known(keys, object, "questions", "max train sources kinds") ||
         brew_keys_int(keys, object, "questions", "max", 1, 1 << 20, &task->max_questions) < 0 ||
         (status = brew_keys_choice(keys, object, "questions", "train", "once all", &train)) < 0))
        return -1;
    const char *why = unlearnable(task);
    if (why && status && train == BREW_TRAIN_ONCE)
        return brew_keys_fail(keys, "questions.train", "cannot be \"once\": %s", why);
    task->train = why ? BREW_TRAIN_ALL : (enum brew_train_questions)train;
    return 0;
}
