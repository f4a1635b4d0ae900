#include "rank/chosen.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool names_digest(const brew_json *json, const char *digest) {
    brew_json_iter it = {0};
    for (size_t i = 0; i < brew_json_length(json); i++)
        if (names_digest(brew_json_at(json, i), digest)) return true;
    while (brew_json_is(json, BREW_JSON_OBJECT) && brew_json_next(json, &it)) {
        bool questions = !strcmp(it.key, "questions") && brew_json_is(it.value, BREW_JSON_STRING);
        if (questions && !strcmp(brew_json_string(it.value, NULL), digest)) return true;
        if (names_digest(it.value, digest)) return true;
    }
    return false;
}

int brew_chosen_check(const brew_reader *reader, const char *const *files, size_t n,
                      brew_err *err) {
    char digest[33];
    brew_reader_questions(reader, digest);
    if (brew_intern_get(&reader->calibrated_on, digest, 32) != SIZE_MAX)
        return brew_fail(
            err, BREW_DATA,
            "the scores were calibrated on these very answers (equal digests): judge them "
            "on others");
    for (size_t i = 0; i < n; i++) {
        brew_json *json = brew_json_load(files[i], err);
        if (!json) return -1;
        bool same = names_digest(json, digest);
        brew_json_free(json);
        if (same)
            return brew_fail(err, BREW_DATA,
                             "%s was made on these very answers (equal digests): judge on others",
                             files[i]);
    }
    return 0;
}

static int calibrate(brew_reader *reader, const brew_calibration *c, brew_err *err) {
    brew_answers *a = &reader->answers;
    for (size_t i = 0; i < a->n; i++) {
        const char *task = brew_by_text(&reader->task, reader->task.value[i]);
        const brew_curve *curve = brew_calibration_of(c, task);
        if (!curve)
            return task ? brew_fail(err, BREW_DATA, "the calibration has no curve for the task %s",
                                    task)
                        : brew_fail(err, BREW_DATA,
                                    "the calibration has no curve for answers without a task");
        a->score[i] = brew_curve_at(curve, a->score[i]);
    }
    return 0;
}

int brew_chosen_calibrate(brew_reader *reader, const brew_calibration *c, brew_systems *systems,
                          brew_err *err) {
    const brew_answers *a = &reader->answers;
    char digest[33];
    brew_reader_questions(reader, digest);
    if (!strcmp(digest, c->questions))
        return brew_fail(
            err, BREW_DATA,
            "the calibration was fitted on these very answers (equal digests): its effect "
            "shows only on others");
    brew_system *before = brew_systems_add(systems, "systems", "uncalibrated", true, a->n);
    for (size_t i = 0; i < a->n; i++) before->score[i] = a->score[i];
    if (calibrate(reader, c, err) < 0) return -1;
    return reader->cut ? calibrate(reader->cut, c, err) : 0;
}
