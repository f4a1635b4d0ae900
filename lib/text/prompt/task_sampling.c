// The task file's "candidates".
#include "text/prompt/task_read.h"

int brew_task_read_candidates(const brew_keys *keys, brew_task *task) {
    brew_candidates *out = &task->candidates;
    brew_json *object;
    int unit = task->logs[0].time_unit == BREW_TIME_ROW ? BREW_TIME_S : (int)task->logs[0].time_unit;
    int status = brew_keys_object(keys, keys->root, "", "candidates", false, &object);
    if (status <= 0) return status;
    if (brew_keys_known(keys, object, "candidates", "request time time_unit context") ||
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
