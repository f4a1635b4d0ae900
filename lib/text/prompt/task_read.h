// Private to the task file's readers: its parts, each with the complaints of brew_keys.
#ifndef BREW_TEXT_TASK_READ_H
#define BREW_TEXT_TASK_READ_H

#include "text/prompt/keys.h"
#include "text/prompt/task.h"

// In this order. A log's place is "events", or "sources[i]"; what it lacks, the task's own place ("") gives.
int brew_task_read_table(const brew_keys *keys, const brew_json *object, const char *where,
                         const char *key, const char *taken, enum brew_time_unit events_unit,
                         brew_entity_table *out);
int brew_task_read_logs(const brew_keys *keys, brew_task *task);
int brew_task_read_actions(const brew_keys *keys, const brew_json *object, const char *where,
                           brew_actions *out);
int brew_task_read_features(const brew_keys *keys, brew_task *task);   // after the actions
int brew_task_read_templates(const brew_keys *keys, brew_task *task);  // of all styles
int brew_task_read_limits(const brew_keys *keys, brew_task *task);     // "history" and "questions"
int brew_task_read_negatives(const brew_keys *keys, brew_task *task);  // before the features
int brew_task_read_candidates(const brew_keys *keys, brew_task *task); // behind the limits
int brew_task_read_split(const brew_keys *keys, brew_task *task);

int brew_task_check_name(const brew_keys *keys, const char *where, const char *name);
// A path written in a file, made relative to that file's folder; the caller frees it.
char *brew_task_beside(const char *file, const char *path);
// A file of rows: "file" and "format" of the object.
int brew_task_read_source(const brew_keys *keys, const brew_json *object, const char *where,
                          brew_source *out);
// An array of names of columns, each once. Absent: none.
int brew_task_read_columns(const brew_keys *keys, const brew_json *object, const char *where,
                           const char *key, brew_columns *out);
// The same of "meta", whose columns go where the tools write some themselves: not under a name of those.
int brew_task_read_meta(const brew_keys *keys, const brew_json *object, const char *where,
                        const char *taken, brew_columns *out);
#define BREW_ITEM_META_TAKEN "item_history time kind cold_item"
// One template, if the object has it: of a log (not NULL) it must stay on one line; a section gets a
// newline where it lacks one.
int brew_task_read_template(const brew_keys *keys, const brew_json *object, const char *where,
                            const char *key, brew_task *task, brew_log *log, brew_template *out);
// The position of a column among those wanted, where it is put if it is new.
size_t brew_columns_add(brew_columns *columns, const char *name);
// A time: a number in the unit (seconds for iso8601), or an ISO 8601 text. 1 if given, -1 if wrong.
int brew_task_read_time(const brew_keys *keys, const brew_json *object, const char *where,
                        const char *key, enum brew_time_unit unit, int64_t *out);

// Complains that what stands at `where` would measure times in a log that has none.
static inline int brew_task_fail_timeless(const brew_keys *keys, const char *where) {
    return brew_keys_fail(keys, where,
                          "needs times, and rows stand for them: \"time_unit\" is row");
}

static inline bool brew_has_control(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) return true;
    return false;
}

#endif
