// The task file's "templates", and what their placeholders mean; "kinds" of questions.
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/prompt/features.h"
#include "text/prompt/task_read.h"

#define SHARED "instruction note profile heading summary line question"

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
    *out = field_of(kind, brew_columns_add(&entities->columns, column));
    return 0;
}

// The feature of a name: 1 if there is one. Of members behind the history, of both in lines and questions;
// sections before the history must not change from question to question.
static int bind_feature(const brew_keys *keys, const brew_task *task, const char *where, bool line,
                        const char *text, int *out) {
    size_t feature = task->features ? brew_features_find(task->features, text) : SIZE_MAX;
    bool summary = !strcmp(where, "templates.summary");
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
    int feature = bind_feature(keys, task, where, false, text, out);
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
    int feature = bind_feature(keys, task, where, true, text, out);
    if (feature) return feature < 0 ? -1 : 0;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (!strcmp(text, plain[i].name)) {
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

// A template of a log must stay on one line (log not NULL); a section gets a newline where it lacks one.
static int read_template(const brew_keys *keys, const brew_json *object, const char *where,
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

int brew_task_read_sections(const brew_keys *keys, brew_task *task) {
    brew_json *object;
    static const char *const names[] = {"instruction", "note", "profile", "heading", "summary"};
    brew_template *out[] = {&task->instruction, &task->note, &task->profile, &task->heading,
                            &task->summary};
    if (brew_keys_object(keys, keys->root, "", "templates", false, &object) < 0) return -1;
    if (object && brew_keys_known(keys, object, "templates", SHARED)) return -1;
    for (size_t i = 0; object && i < 5; i++)
        if (read_template(keys, object, "templates", names[i], task, NULL, out[i])) return -1;
    return 0;
}

// A kind of question: {"name", "is", "labels", "question"}.
static int read_kind(const brew_keys *keys, const brew_json *object, const char *where,
                     brew_task *task, brew_log *log, brew_question *out) {
    char *action = NULL;
    brew_json *labels;
    const brew_actions *set = &task->action_sets[log->actions];
    if (brew_keys_known(keys, object, where, "name is labels question") ||
        brew_keys_string(keys, object, where, "name", true, &out->name) < 0)
        return -1;
    int status = brew_keys_string(keys, object, where, "is", false, &action);
    if (status < 0) return -1;
    out->action = -1;
    for (size_t a = 0; status && a < set->n; a++)
        if (!strcmp(set->list[a].name, action)) out->action = (int)a;
    free(action);
    if (status && out->action < 0)
        return brew_keys_fail(keys, brew_place_of(where, "is").text,
                              "must be the name of an action");
    int given = brew_keys_array(keys, object, where, "labels", false, &labels);
    if (given < 0) return -1;
    brew_place place = brew_place_of(where, "labels");
    if (given && !status)
        return brew_keys_fail(keys, place.text, "needs \"is\": the choice has the actions' labels");
    static const char *const plain[] = {" Yes", " No"};
    for (size_t i = 0; status && i < 2; i++) {
        const brew_json *label = given ? brew_json_at(labels, i) : NULL;
        if (given &&
            (brew_json_length(labels) != 2 || !brew_json_is(label, BREW_JSON_STRING) ||
             !*brew_json_string(label, NULL) || brew_has_control(brew_json_string(label, NULL))))
            return brew_keys_fail(keys, place.text, "must be two texts without control characters");
        out->labels[i] = brew_strdup(given ? brew_json_string(label, NULL) : plain[i]);
    }
    if (status && !strcmp(out->labels[0], out->labels[1]))
        return brew_keys_fail(keys, place.text, "must be two texts that differ");
    return 0;
}

// Where the text of a key is: in the source's own templates, or the task's. NULL: nowhere.
static const brew_json *holder(const brew_json *own, const brew_json *shared, const char *key,
                               bool *is_own) {
    *is_own = own && brew_json_get(own, key);
    return *is_own ? own : shared && brew_json_get(shared, key) ? shared : NULL;
}

int brew_task_read_log_templates(const brew_keys *keys, const brew_json *object, const char *where,
                                 brew_task *task, brew_log *log) {
    brew_json *shared, *own = NULL, *kinds = NULL, *questions;
    brew_place own_place = brew_place_of(where, "templates"),
               kinds_place = brew_place_of(where, "kinds");
    if (brew_keys_object(keys, keys->root, "", "templates", !object, &shared) < 0 ||
        (shared && brew_keys_known(keys, shared, "templates", SHARED)) ||
        (object && brew_keys_object(keys, object, where, "templates", false, &own) < 0) ||
        (own && brew_keys_known(keys, own, own_place.text, "line question")) ||
        (object && brew_keys_array(keys, object, where, "kinds", false, &kinds) < 0))
        return -1;
    if (!kinds) {
        kinds_place = brew_place_of("questions", "kinds");
        if (brew_keys_object(keys, keys->root, "", "questions", false, &questions) < 0 ||
            (questions &&
             brew_keys_array(keys, questions, "questions", "kinds", false, &kinds) < 0))
            return -1;
    }
    size_t n = kinds ? brew_json_length(kinds) : 1;
    if (n < 1 || n > 100)
        return brew_keys_fail(keys, kinds_place.text, "holds %zu kinds, not from 1 to 100", n);
    log->questions = brew_calloc(n, sizeof *log->questions);
    bool is_own;
    const brew_json *from = holder(own, shared, "question", &is_own);
    for (size_t i = 0; i < n; i++) {
        brew_question *question = &log->questions[log->n_questions++];
        brew_place place = brew_place_at(kinds_place.text, i);
        const brew_json *kind = kinds ? brew_json_at(kinds, i) : NULL;
        question->action = -1;
        if (kind && !brew_json_is(kind, BREW_JSON_OBJECT))
            return brew_keys_fail(keys, place.text, "must be an object, not %s",
                                  brew_json_type_name(kind));
        if (kind && read_kind(keys, kind, place.text, task, log, question)) return -1;
        bool told = kind && brew_json_get(kind, "question");
        if (!told && !from)
            return brew_keys_fail(keys, own ? own_place.text : "templates",
                                  "lacks the key \"question\", a string");
        if (read_template(keys, told ? kind : from,
                          told     ? place.text
                          : is_own ? own_place.text
                                   : "templates",
                          "question", task, log, &question->text))
            return -1;
    }
    const char *key = "line";
    const brew_json *line = holder(own, shared, key, &is_own);
    if (!line) line = holder(own, shared, key = "question", &is_own);
    if (!line) // every kind has its own question
        return brew_keys_fail(keys, own ? own_place.text : "templates",
                              "lacks the key \"line\", a string");
    return read_template(keys, line, is_own ? own_place.text : "templates", key, task, log,
                         &log->line);
}
