// The task file's "split".
#include "text/prompt/task_read.h"

#include <math.h>
#include <string.h>

static int read_split_by_time(const brew_keys *keys, const brew_task *task, const brew_json *object,
                              brew_datasplit *split) {
    enum brew_time_unit unit = task->logs[0].time_unit;
    int valid = brew_task_read_time(keys, object, "split", "valid_from", unit, &split->valid_from);
    int test = valid < 0 ? -1
                         : brew_task_read_time(keys, object, "split", "test_from", unit,
                                               &split->test_from);
    if (valid < 0 || test < 0) return -1;
    if (!valid && !test) {
        split->by = BREW_SPLIT_BY_SHARE;
        return 0;
    }
    if (!task->logs[0].time_column) return brew_task_fail_timeless(keys, "split");
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

// What only a split by time has.
static int read_time_only(const brew_keys *keys, const brew_task *task, const brew_json *object,
                          int by, brew_datasplit *split) {
    int gap = brew_keys_duration(keys, object, "split", "gap", &split->gap_ms);
    int window = brew_keys_duration(keys, object, "split", "window", &split->window_ms);
    if (gap < 0 || window < 0) return -1;
    if (by == 1 && (gap || window))
        return brew_keys_fail(keys, gap ? "split.gap" : "split.window",
                              "needs a split by \"time\"");
    if ((gap || window) && !task->logs[0].time_column)
        return brew_task_fail_timeless(keys, gap ? "split.gap" : "split.window");
    if (window && !split->window_ms)
        return brew_keys_fail(keys, "split.window", "must be longer than nothing");
    return 0;
}

static int read_hold_out(const brew_keys *keys, const brew_json *object, brew_datasplit *split) {
    static const char *const names[] = {"members", "items", "tasks"};
    brew_json *shares;
    int status = brew_keys_object(keys, object, "split", "hold_out", false, &shares);
    if (status <= 0) return status;
    if (brew_keys_known(keys, shares, "split.hold_out", "members items tasks")) return -1;
    for (int i = 0; i < BREW_HOLD_OUTS; i++)
        if (brew_keys_real(keys, shares, "split.hold_out", names[i], 0, 1, &split->hold_out[i]) < 0)
            return -1;
    return 0;
}

int brew_task_read_split(const brew_keys *keys, brew_task *task) {
    brew_datasplit *split = &task->split;
    brew_json *object;
    int by = 0;
    if (brew_keys_object(keys, keys->root, "", "split", false, &object) < 0) return -1;
    if (!object) return 0;
    if (brew_keys_known(keys, object, "split",
                        "by train valid test valid_from test_from gap window hold_out") ||
        brew_keys_choice(keys, object, "split", "by", "time last", &by) < 0 ||
        read_time_only(keys, task, object, by, split) || read_hold_out(keys, object, split))
        return -1;
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
