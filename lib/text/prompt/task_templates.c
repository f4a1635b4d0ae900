// The task file's "templates", and what their placeholders mean.
#include "text/prompt/task_read.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/prompt/features.h"

// The position of a column among those wanted, where it is put if it is new.
static size_t column_of(brew_columns *columns, const char *name) {
    for (size_t i = 0; i < columns->n; i++)
        if (!strcmp(columns->names[i], name)) return i;
    columns->names = brew_realloc_array(columns->names, columns->n + 1, sizeof *columns->names);
    columns->names[columns->n] = brew_strdup(name);
    return columns->n++;
}

// A feature: of members behind the history, of both in lines and questions. Sections before the history
// must not change from question to question.
static int bind_feature(const brew_keys *keys, const brew_task *task, const char *where, bool line,
                        size_t feature, brew_template_part *part) {
    bool summary = !strcmp(where, "templates.summary");
    if (!line && !summary)
        return brew_keys_fail(keys, where,
                              "has the feature {%s}, which changes with the question: only line, "
                              "question and summary may",
                              part->text);
    if (summary && task->features->list[feature].of == BREW_OF_ITEM)
        return brew_keys_fail(keys, where, "has the feature {%s}, which is of an item", part->text);
    part->field = BREW_FIELD_FEATURE + (int)feature;
    return 0;
}

// Says for each placeholder what it stands for: an id, a feature, or a column of a table.
static int bind(const brew_keys *keys, brew_task *task, const char *where, bool line,
                brew_template *tmpl) {
    for (size_t i = 0; i < tmpl->n_parts; i++) {
        brew_template_part *part = &tmpl->parts[i];
        if (part->field < 0) continue;
        size_t feature = task->features ? brew_features_find(task->features, part->text) : SIZE_MAX;
        if (feature != SIZE_MAX) {
            if (bind_feature(keys, task, where, line, feature, part)) return -1;
            continue;
        }
        bool of_member = !strncmp(part->text, "member.", 7), of_item = line && !of_member;
        if (!strcmp(part->text, "member")) {
            part->field = BREW_FIELD_MEMBER_ID;
        } else if (!strcmp(part->text, "item") && line) {
            part->field = BREW_FIELD_ITEM_ID;
        } else if (of_item ? !task->items.path : !task->members.path) {
            return brew_keys_fail(keys, where, "has the placeholder {%s}, but there is no \"%s\"",
                                  part->text, of_item ? "items" : "members");
        } else if (of_item) {
            part->field =
                BREW_FIELD_ITEM_COLUMN + 2 * (int)column_of(&task->item_columns, part->text);
        } else {
            part->field = BREW_FIELD_MEMBER_COLUMN +
                          2 * (int)column_of(&task->member_columns, part->text + 7 * of_member);
        }
    }
    return 0;
}

// A template; `line` ones must stay on one line, sections get a newline where they lack one.
static int read_template(const brew_keys *keys, const brew_json *object, const char *key, bool line,
                         brew_task *task, brew_template *out) {
    char *text = NULL;
    int status = brew_keys_string(keys, object, "templates", key, false, &text);
    brew_place where = brew_place_of("templates", key);
    if (status > 0 && line && brew_has_control(text)) {
        status = brew_keys_fail(keys, where.text, "must not hold a newline or control character");
    } else if (status > 0) {
        brew_buf whole = {0};
        brew_buf_adds(&whole, text);
        if (!line && whole.len && whole.ptr[whole.len - 1] != '\n') brew_buf_addc(&whole, '\n');
        brew_err why = {0};
        if (whole.len && brew_template_parse(out, whole.ptr, whole.len, &why))
            status = brew_keys_fail(keys, where.text, "has %s", why.text);
        brew_buf_release(&whole);
        if (status > 0) status = bind(keys, task, where.text, line, out);
    }
    free(text);
    return status < 0 ? -1 : 0;
}

int brew_task_read_templates(const brew_keys *keys, brew_task *task) {
    brew_json *object;
    if (brew_keys_object(keys, keys->root, "", "templates", true, &object) < 0 ||
        brew_keys_known(keys, object, "templates",
                        "instruction note profile heading line summary question") ||
        read_template(keys, object, "instruction", false, task, &task->instruction) ||
        read_template(keys, object, "note", false, task, &task->note) ||
        read_template(keys, object, "profile", false, task, &task->profile) ||
        read_template(keys, object, "heading", false, task, &task->heading) ||
        read_template(keys, object, "summary", false, task, &task->summary) ||
        read_template(keys, object, "question", true, task, &task->question) ||
        read_template(keys, object, brew_json_get(object, "line") ? "line" : "question", true, task,
                      &task->line))
        return -1;
    if (!task->question.n_parts)
        return brew_keys_fail(keys, "templates", "lacks the key \"question\", a string");
    return 0;
}
