// The task file's templates, one by one, and what their placeholders mean.
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/prompt/features.h"
#include "text/prompt/task_read.h"

// The name behind a prefix, or NULL.
static const char *behind(const char *text, const char *prefix) {
    size_t n = strlen(prefix);
    return strncmp(text, prefix, n) ? NULL : text + n;
}

static int field_of(enum brew_field_kind kind, size_t k) {
    return (int)kind + BREW_FIELD_KINDS * (int)k;
}

static int bind_column(const brew_keys *keys, const char *where, const char *text,
                       const char *table, brew_entity_table *entities, enum brew_field_kind kind,
                       const char *column, int *out) {
    if (!entities->source.path)
        return brew_keys_fail(keys, where, "has the placeholder {%s}, but there is no \"%s\"", text,
                              table);
    entities->told = true;
    *out = field_of(kind, brew_columns_add(&entities->columns, column));
    return 0;
}

// The feature of a name: 1 if there is one. Of members behind the history, of both in lines and questions;
// sections before the history must not change from question to question.
static int bind_feature(const brew_keys *keys, const brew_task *task, const char *where, bool line,
                        bool summary, const char *text, int *out) {
    size_t feature = task->features ? brew_features_find(task->features, text) : SIZE_MAX;
    if (feature == SIZE_MAX) return 0;
    if (!line && !summary)
        return brew_keys_fail(keys, where,
                              "has the feature {%s}, which changes with the question: only line, "
                              "question and summary may",
                              text);
    if (summary && task->features->list[feature].of == BREW_OF_ITEM)
        return brew_keys_fail(keys, where, "has the feature {%s}, which is of an item", text);
    *out = field_of(BREW_FIELD_FEATURE, feature);
    return 1;
}

// Says what a section's placeholder stands for. Only the summary may count.
static int bind_section(const brew_keys *keys, brew_task *task, const char *where, bool counts,
                        const char *text, int *out) {
    int feature = bind_feature(keys, task, where, false, counts, text, out);
    if (feature) return feature < 0 ? -1 : 0;
    const char *column = behind(text, "member."), *action = behind(text, "count.");
    if (!strcmp(text, "member")) {
        *out = BREW_FIELD_MEMBER_ID;
    } else if (counts && !strcmp(text, "count")) {
        *out = BREW_FIELD_COUNT;
    } else if (counts && action) {
        bool found = false;
        for (size_t s = 0; s < task->n_action_sets; s++)
            for (size_t a = 0; a < task->action_sets[s].n; a++)
                found |= !strcmp(task->action_sets[s].list[a].name, action);
        if (!found)
            return brew_keys_fail(keys, where, "has the placeholder {%s}, but no such action",
                                  text);
        *out = field_of(BREW_FIELD_COUNT, brew_columns_add(&task->counted, action) + 1);
    } else {
        return bind_column(keys, where, text, "members", &task->members, BREW_FIELD_MEMBER_COLUMN,
                           column ? column : text, out);
    }
    return 0;
}

// The same of a line's or a question's.
static int bind_line(const brew_keys *keys, brew_task *task, brew_log *log, const char *where,
                     const char *text, int *out) {
    static const struct {
        const char *name;
        enum brew_field_kind kind;
    } plain[] = {{"member", BREW_FIELD_MEMBER_ID},
                 {"item", BREW_FIELD_ITEM_ID},
                 {"gap", BREW_FIELD_GAP},
                 {"date", BREW_FIELD_DATE},
                 {"surface", BREW_FIELD_SURFACE}};
    int feature = bind_feature(keys, task, where, true, false, text, out);
    if (feature) return feature < 0 ? -1 : 0;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (!strcmp(text, plain[i].name)) {
            bool timed = plain[i].kind == BREW_FIELD_GAP || plain[i].kind == BREW_FIELD_DATE;
            if (timed && !log->time_column)
                return brew_keys_fail(keys, where, "has the placeholder {%s}, but the log no times",
                                      text);
            *out = (int)plain[i].kind;
            return 0;
        }
    const char *column;
    if ((column = behind(text, "event."))) {
        *out = field_of(BREW_FIELD_EVENT_COLUMN, brew_columns_add(&log->context, column));
        return 0;
    }
    if ((column = behind(text, "member.")))
        return bind_column(keys, where, text, "members", &task->members, BREW_FIELD_MEMBER_COLUMN,
                           column, out);
    column = behind(text, "item.");
    return bind_column(keys, where, text, "items", &task->item_tables[log->items],
                       BREW_FIELD_ITEM_COLUMN, column ? column : text, out);
}

int brew_task_read_template(const brew_keys *keys, const brew_json *object, const char *where,
                            const char *key, brew_task *task, brew_log *log, brew_template *out) {
    char *text = NULL;
    int status = brew_keys_string(keys, object, where, key, log != NULL, &text);
    brew_place place = brew_place_of(where, key);
    if (status > 0 && log && brew_has_control(text)) {
        status = brew_keys_fail(keys, place.text, "must not hold a newline or control character");
    } else if (status > 0) {
        brew_buf whole = {0};
        brew_buf_adds(&whole, text);
        if (!log && whole.len && whole.ptr[whole.len - 1] != '\n') brew_buf_addc(&whole, '\n');
        brew_err why = {0};
        if (whole.len && brew_template_parse(out, whole.ptr, whole.len, &why))
            status = brew_keys_fail(keys, place.text, "has %s", why.text);
        brew_buf_release(&whole);
        for (size_t i = 0; status > 0 && i < out->n_parts; i++) {
            brew_template_part *part = &out->parts[i];
            if (part->field < 0) continue;
            int failed = log ? bind_line(keys, task, log, place.text, part->text, &part->field)
                             : bind_section(keys, task, place.text, !strcmp(key, "summary"),
                                            part->text, &part->field);
            if (failed) status = -1;
        }
    }
    free(text);
    return status < 0 ? -1 : 0;
}
