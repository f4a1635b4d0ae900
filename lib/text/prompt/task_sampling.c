// The task file's "negatives" and "candidates".
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/prompt/negatives.h"
#include "text/prompt/task_read.h"

// Negatives that are drawn need an action for them in each set; without them there must be none.
static int check_drawn(const brew_keys *keys, const brew_task *task, bool needed) {
    for (size_t s = 0; s < task->n_action_sets; s++) {
        size_t n = 0;
        for (size_t a = 0; a < task->action_sets[s].n; a++) {
            const brew_action *action = &task->action_sets[s].list[a];
            n += action->drawn;
            if (action->drawn && action->positive)
                return brew_keys_fail(keys, "positive", "must not name the action that is drawn");
        }
        if (n != needed)
            return brew_keys_fail(keys, needed ? "negatives" : "actions",
                                  needed
                                      ? "need one action with \"drawn\": true, not %zu"
                                      : "hold %zu that are drawn, but no \"negatives\" draw them",
                                  n);
    }
    return 0;
}

int brew_task_read_negatives(const brew_keys *keys, brew_task *task) {
    brew_json *object;
    int from = -1, in = 1, rate, many;
    int status = brew_keys_object(keys, keys->root, "", "negatives", false, &object);
    if (status < 0) return -1;
    if (!status) return check_drawn(keys, task, false);
    brew_negatives_how *how = task->negatives = brew_calloc(1, sizeof *how);
    if (brew_keys_known(keys, object, "negatives", "from rate per_positive in file format item") ||
        brew_keys_choice(keys, object, "negatives", "from", "request uniform popularity file",
                         &from) < 0 ||
        brew_keys_choice(keys, object, "negatives", "in", "train all", &in) < 0 ||
        (rate = brew_keys_real(keys, object, "negatives", "rate", 1e-9, 1, &how->rate)) < 0 ||
        (many = brew_keys_int(keys, object, "negatives", "per_positive", 1, 10000,
                              &how->per_positive)) < 0 ||
        brew_task_read_source(keys, object, "negatives", &how->file) ||
        brew_keys_string(keys, object, "negatives", "item", from == BREW_NEGATIVES_FILE,
                         &how->file.id) < 0)
        return -1;
    if (from < 0)
        return brew_keys_fail(keys, "negatives",
                              "lack the key \"from\", \"request\", \"uniform\", "
                              "\"popularity\" or \"file\"");
    how->from = (enum brew_negatives_from)from;
    how->train_only = in == 0;
    bool request = from == BREW_NEGATIVES_REQUEST, file = from == BREW_NEGATIVES_FILE;
    if (!(request ? rate && !many : many && !rate))
        return brew_keys_fail(keys, "negatives",
                              request ? "from the request need \"rate\" alone"
                                      : "that are drawn need \"per_positive\" alone");
    if (file != (how->file.path != NULL))
        return brew_keys_fail(keys, "negatives", "from a file, and only they, need \"file\"");
    return check_drawn(keys, task, !request);
}

// The source whose questions candidates are asked, by its name.
static int read_source(const brew_keys *keys, const brew_json *object, const brew_task *task,
                       size_t *log) {
    char *name = NULL;
    *log = 0;
    while (*log + 1 < task->n_logs && !task->asked[*log]) ++*log;
    int status = object ? brew_keys_string(keys, object, "candidates", "source", false, &name) : 0;
    for (size_t i = 0; status > 0 && i < task->n_logs; i++) {
        if (!task->logs[i].surface || strcmp(task->logs[i].surface, name)) continue;
        *log = i;
        status = 0;
    }
    free(name);
    return status > 0 ? brew_keys_fail(keys, "candidates.source", "must be the name of a source")
                      : status;
}

// The column of items, or of slates of them.
static int read_items(const brew_keys *keys, const brew_json *object, brew_candidates *out) {
    int slate = brew_keys_string(keys, object, "candidates", "slate", false, &out->item_column);
    if (slate < 0) return -1;
    out->slate = slate;
    if (slate && brew_json_get(object, "item"))
        return brew_keys_fail(keys, "candidates", "must not have \"item\" and \"slate\"");
    return brew_keys_string(keys, object, "candidates", "item", false, &out->item_column) < 0 ? -1
                                                                                              : 0;
}

int brew_task_read_candidates(const brew_keys *keys, brew_task *task) {
    brew_candidates *out = &task->candidates;
    brew_json *object;
    int unit =
        task->logs[0].time_unit == BREW_TIME_ROW ? BREW_TIME_S : (int)task->logs[0].time_unit;
    int status = brew_keys_object(keys, keys->root, "", "candidates", false, &object);
    if (status < 0 || read_source(keys, object, task, &out->log)) return -1;
    if (!status) return 0;
    if (brew_keys_known(keys, object, "candidates",
                        "source format header item slate request time time_unit context") ||
        brew_task_read_source(keys, object, "candidates", &out->form) ||
        read_items(keys, object, out) ||
        brew_keys_string(keys, object, "candidates", "request", false, &out->request_column) < 0 ||
        brew_keys_string(keys, object, "candidates", "time", false, &out->time_column) < 0 ||
        brew_keys_choice(keys, object, "candidates", "time_unit", "s ms iso8601 mdy", &unit) < 0)
        return -1;
    out->time_unit = (enum brew_time_unit)unit;
    out->whole_requests = out->request_column != NULL;
    brew_json *context = brew_json_get(object, "context");
    if (context && !brew_json_is(context, BREW_JSON_BOOL))
        return brew_keys_fail(keys, "candidates.context", "must be true or false, not %s",
                              brew_json_type_name(context));
    out->context = context && brew_json_bool(context);
    return 0;
}
