// The task file's "templates" and "styles", of the task, its sources and its kinds of questions: which
// text stands where.
//
// A text is looked for near to far: in the kind of question, the source, the task; at each, in what the
// style's name stands for before what holds for all styles.
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/prompt/task_read.h"

#define SECTIONS "instruction note profile heading summary"

// Where texts may stand, the nearest first.
typedef struct layers {
    struct {
        const brew_json *object;
        brew_place place;
    } list[6];
    size_t n;
} layers;

static void add_layer(layers *to, const brew_json *object, const char *where) {
    to->list[to->n].object = object;
    to->list[to->n].place = brew_place_of("", where);
    to->n++;
}

// What "styles" of the object at `where` says for a style.
static int add_style(const brew_keys *keys, const brew_json *object, const char *where,
                     const char *style, const char *known, layers *to) {
    brew_json *styles, *own;
    if (!style) return 0;
    int status = brew_keys_object(keys, object, where, "styles", false, &styles);
    if (status <= 0) return status;
    brew_place place = brew_place_of(where, "styles"), at = brew_place_of(place.text, style);
    status = brew_keys_object(keys, styles, place.text, style, false, &own);
    if (status <= 0) return status;
    add_layer(to, own, at.text);
    return brew_keys_known(keys, own, at.text, known);
}

// The same, and then "templates".
static int add_layers(const brew_keys *keys, const brew_json *object, const char *where,
                      const char *style, const char *known, layers *to) {
    brew_json *plain;
    if (add_style(keys, object, where, style, known, to)) return -1;
    int status = brew_keys_object(keys, object, where, "templates", false, &plain);
    if (status <= 0) return status;
    add_layer(to, plain, brew_place_of(where, "templates").text);
    return brew_keys_known(keys, plain, to->list[to->n - 1].place.text, known);
}

// The layer that has a text, or layers->n.
static size_t holder(const layers *in, const char *key) {
    size_t i = 0;
    while (i < in->n && !brew_json_get(in->list[i].object, key)) i++;
    return i;
}

static int read_text(const brew_keys *keys, const layers *in, const char *key, brew_task *task,
                     brew_log *log, brew_template *out) {
    size_t i = holder(in, key);
    if (i == in->n) return 0;
    return brew_task_read_template(keys, in->list[i].object, in->list[i].place.text, key, task, log,
                                   out);
}

// What a kind of question is called, asks for, and answers.
static int read_kind(const brew_keys *keys, const brew_json *object, const char *where,
                     const brew_task *task, const brew_log *log, brew_question *out) {
    char *action = NULL;
    brew_json *labels;
    out->action = -1;
    if (!object) return 0;
    if (!brew_json_is(object, BREW_JSON_OBJECT))
        return brew_keys_fail(keys, where, "must be an object, not %s",
                              brew_json_type_name(object));
    const brew_actions *set = &task->action_sets[log->actions];
    if (brew_keys_known(keys, object, where, "name is labels question styles") ||
        brew_keys_string(keys, object, where, "name", true, &out->name) < 0)
        return -1;
    int status = brew_keys_string(keys, object, where, "is", false, &action);
    if (status < 0) return -1;
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

// "kinds" of the source, or of the task; NULL: there are none.
static int find_kinds(const brew_keys *keys, const brew_json *source, const char *where,
                      brew_place *place, brew_json **kinds) {
    brew_json *questions;
    *place = brew_place_of(where, "kinds");
    *kinds = NULL;
    if (source && brew_keys_array(keys, source, where, "kinds", false, kinds) < 0) return -1;
    if (*kinds) return 0;
    *place = brew_place_of("questions", "kinds");
    if (brew_keys_object(keys, keys->root, "", "questions", false, &questions) < 0) return -1;
    return questions ? brew_keys_array(keys, questions, "questions", "kinds", false, kinds) < 0 : 0;
}

// Names under "styles" of a source or a kind are the task's.
static int check_styles(const brew_keys *keys, const brew_json *object, const char *where,
                        const brew_task *task) {
    brew_json *styles;
    brew_json_iter it = {0};
    if (!object) return 0;
    int status = brew_keys_object(keys, object, where, "styles", false, &styles);
    while (status > 0 && brew_json_next(styles, &it))
        if (brew_task_style(task, it.key) == SIZE_MAX)
            return brew_keys_fail(keys,
                                  brew_place_of(brew_place_of(where, "styles").text, it.key).text,
                                  "is no style: the task's \"styles\" do not name it");
    return status < 0 ? -1 : 0;
}

// The line and the questions of a source in one style.
static int read_log_style(const brew_keys *keys, const brew_json *source, const char *where,
                          brew_task *task, brew_log *log, size_t style) {
    const char *name = task->styles[style].name;
    layers texts = {0};
    brew_json *kinds;
    brew_place kinds_place;
    if ((source && add_layers(keys, source, where, name, "line question", &texts)) ||
        add_layers(keys, keys->root, "", name, SECTIONS " line question", &texts) ||
        find_kinds(keys, source, where, &kinds_place, &kinds))
        return -1;
    const char *lacking = texts.n ? texts.list[0].place.text : "templates";
    for (size_t k = 0; k < log->n_questions; k++) {
        layers all = {0};
        brew_place place = brew_place_at(kinds_place.text, k);
        const brew_json *kind = kinds ? brew_json_at(kinds, k) : NULL;
        if (kind && add_style(keys, kind, place.text, name, "question", &all)) return -1;
        if (kind) add_layer(&all, kind, place.text);
        for (size_t i = 0; i < texts.n; i++) all.list[all.n++] = texts.list[i];
        if (holder(&all, "question") == all.n)
            return brew_keys_fail(keys, lacking, "lacks the key \"question\", a string");
        if (read_text(keys, &all, "question", task, log, &log->questions[k].texts[style]))
            return -1;
    }
    const char *key = holder(&texts, "line") < texts.n ? "line" : "question";
    if (holder(&texts, key) == texts.n) // every kind has its own question
        return brew_keys_fail(keys, lacking, "lacks the key \"line\", a string");
    return read_text(keys, &texts, key, task, log, &log->lines[style]);
}

static int read_log(const brew_keys *keys, const brew_json *source, const char *where,
                    brew_task *task, brew_log *log) {
    brew_json *kinds;
    brew_place place;
    if (check_styles(keys, source, where, task) || find_kinds(keys, source, where, &place, &kinds))
        return -1;
    size_t n = kinds ? brew_json_length(kinds) : 1;
    if (n < 1 || n > 100)
        return brew_keys_fail(keys, place.text, "holds %zu kinds, not from 1 to 100", n);
    log->lines = brew_calloc(task->n_styles, sizeof *log->lines);
    log->questions = brew_calloc(n, sizeof *log->questions);
    while (log->n_questions < n) {
        size_t k = log->n_questions++;
        brew_place at = brew_place_at(place.text, k);
        const brew_json *kind = kinds ? brew_json_at(kinds, k) : NULL;
        log->questions[k].texts = brew_calloc(task->n_styles, sizeof(brew_template));
        if (read_kind(keys, kind, at.text, task, log, &log->questions[k]) ||
            check_styles(keys, kind, at.text, task))
            return -1;
    }
    for (size_t s = 0; s < task->n_styles; s++)
        if (read_log_style(keys, source, where, task, log, s)) return -1;
    if (log->key.n + log->context.n > 400)
        return brew_keys_fail(keys, where, "uses more than 400 columns");
    return 0;
}

// The names of the styles; one without a name, if there are none.
static int read_names(const brew_keys *keys, brew_task *task) {
    brew_json *styles;
    brew_json_iter it = {0};
    int status = brew_keys_object(keys, keys->root, "", "styles", false, &styles);
    if (status < 0) return -1;
    task->styles = brew_calloc(BREW_STYLES_MAX, sizeof *task->styles);
    if (!status) task->n_styles = 1;
    while (status && brew_json_next(styles, &it)) {
        brew_place place = brew_place_of("styles", it.key);
        if (task->n_styles == BREW_STYLES_MAX)
            return brew_keys_fail(keys, "styles", "holds more than %d styles", BREW_STYLES_MAX);
        if (brew_task_check_name(keys, place.text, it.key)) return -1;
        task->styles[task->n_styles++].name = brew_strdup(it.key);
        if (!brew_json_is(it.value, BREW_JSON_OBJECT))
            return brew_keys_fail(keys, place.text, "must be an object, not %s",
                                  brew_json_type_name(it.value));
    }
    return task->n_styles ? 0 : brew_keys_fail(keys, "styles", "must not be empty");
}

static int read_sections(const brew_keys *keys, brew_task *task, brew_style *style) {
    static const char *const names[] = {"instruction", "note", "profile", "heading", "summary"};
    brew_template *out[] = {&style->instruction, &style->note, &style->profile, &style->heading,
                            &style->summary};
    layers texts = {0};
    if (add_layers(keys, keys->root, "", style->name, SECTIONS " line question", &texts)) return -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (read_text(keys, &texts, names[i], task, NULL, out[i])) return -1;
    return 0;
}

int brew_task_read_templates(const brew_keys *keys, brew_task *task) {
    const brew_json *sources = brew_json_get(keys->root, "sources");
    brew_json *shared;
    if (read_names(keys, task) || brew_keys_object(keys, keys->root, "", "templates",
                                                   !sources && !task->styles[0].name, &shared) < 0)
        return -1;
    for (size_t i = 0; i < task->n_logs; i++) {
        brew_place where = sources ? brew_place_at("sources", i) : brew_place_of("", "events");
        if (read_log(keys, sources ? brew_json_at(sources, i) : NULL, where.text, task,
                     &task->logs[i]))
            return -1;
    }
    for (size_t s = 0; s < task->n_styles; s++)
        if (read_sections(keys, task, &task->styles[s])) return -1;
    return 0;
}
