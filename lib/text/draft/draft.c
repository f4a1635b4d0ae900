#define _XOPEN_SOURCE 700 // realpath
#include "text/draft/draft.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/draft/pretty.h"
#include "text/draft/spans.h"
#include "text/draft/tables.h"

enum { MAX_META = 8, MAX_SLICES = 50 };

typedef struct draft {
    const brew_draft_options *o;
    brew_sample log;
    brew_roles roles;
    brew_deeds deeds;
    brew_intern items, members; // ids in the log
    brew_buf question, profile;
    const brew_sample_column *title; // of the item, in the log
    const char *window;
    int64_t window_ms;
} draft;

static brew_json *string(const char *text) {
    return brew_json_new_string(text, strlen(text));
}

// A path as the draft must write it: relative to its own folder, if that is not this one.
static char *path_for(const char *path, const char *output) {
    const char *slash = output ? strrchr(output, '/') : NULL;
    if (!slash || *path == '/') return brew_strdup(path);
    char *folder = brew_strndup(output, slash == output ? 1 : (size_t)(slash - output));
    char *from = realpath(folder, NULL), *to = realpath(path, NULL);
    brew_buf out = {0};
    if (from && to) {
        size_t same = 0, i = 0; // up to the last slash that both have
        for (; from[i] && from[i] == to[i]; i++)
            if (from[i] == '/') same = i;
        if (!from[i] && to[i] == '/') same = i;
        for (const char *at = from + same; at[0] && at[1]; at += 1 + strcspn(at + 1, "/"))
            brew_buf_adds(&out, "../");
        brew_buf_adds(&out, to + same + 1);
    } else {
        brew_buf_adds(&out, path);
    }
    free(folder);
    free(from);
    free(to);
    return out.ptr;
}

// The file's name up to its first point, of the letters that a task's name may have.
static brew_json *name_of(const char *path) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    brew_buf name = {0};
    for (const char *at = base; *at && (*at != '.' || at == base); at++) {
        bool fine = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                    (*at >= '0' && *at <= '9') || *at == '_' || *at == '-';
        brew_buf_addc(&name, fine ? *at : '_');
    }
    brew_json *out = name.len && strcmp(base, "-") ? string(name.ptr) : string("task");
    brew_buf_release(&name);
    return out;
}

// Columns of a file without names are called by what they are.
static void name_roles(draft *d) {
    const struct {
        brew_sample_column *column;
        const char *name;
    } names[] = {{d->roles.member, "member"},
                 {d->roles.item, d->roles.slate ? "slate" : "item"},
                 {d->roles.time, "time"},
                 {d->roles.value, "value"},
                 {d->roles.request, "request"}};
    for (size_t i = 0; d->log.headless && i < sizeof names / sizeof *names; i++) {
        if (!names[i].column) continue;
        free(names[i].column->name);
        names[i].column->name = brew_strdup(names[i].name);
    }
}

// Columns of the log that go into item_meta: the position, and what has few values.
static brew_json *meta_of(const draft *d) {
    brew_json *meta = brew_json_new_array();
    brew_buf rest = {0};
    if (d->roles.position) brew_json_push(meta, string(d->roles.position->name));
    for (size_t i = 0; i < d->log.n; i++) {
        const brew_sample_column *c = &d->log.columns[i];
        if (brew_roles_has(&d->roles, c) || c->ambiguous || !*c->name || d->log.headless) continue;
        if (d->title == c) continue;
        bool taken = !strcmp(c->name, "time") || !strcmp(c->name, "kind") ||
                     !strcmp(c->name, "item_history") || !strcmp(c->name, "cold_item");
        if (!c->nested && !taken && c->values.count > 1 && c->values.count <= MAX_SLICES &&
            2 * c->values.count < c->n && brew_json_length(meta) < MAX_META)
            brew_json_push(meta, string(c->name));
        else
            brew_buf_addf(&rest, "%s\"%.60s\"", rest.len ? ", " : "", c->name);
    }
    for (size_t i = 0; i < d->log.n; i++)
        if (d->log.columns[i].ambiguous)
            brew_hint(&d->o->hints, false, "several columns are called \"%.60s\": none can be used",
                      d->log.columns[i].name);
    if (rest.len)
        brew_hint(
            &d->o->hints, false,
            "columns that are not used: %s; in a template, {event.NAME} tells what was known when "
            "the item was shown",
            rest.ptr);
    if (brew_json_length(meta))
        brew_hint(&d->o->hints, true,
                  "events.meta: columns of few values go into item_meta, for --by item.NAME");
    brew_buf_release(&rest);
    return meta;
}

static brew_json *events_of(const draft *d) {
    static const char *const units[] = {"s", "ms", "iso8601", "mdy", "row"};
    const brew_roles *r = &d->roles;
    brew_json *events = brew_json_new_object(), *meta = meta_of(d);
    if (strcmp(d->o->events, "-")) {
        char *path = path_for(d->o->events, d->o->output);
        brew_json_set(events, "file", string(path));
        free(path);
    }
    if (d->log.headless) brew_json_set(events, "header", brew_draft_header(&d->log));
    brew_json_set(events, "member", string(r->member->name));
    brew_json_set(events, r->slate ? "slate" : "item", string(r->item->name));
    if (r->time) brew_json_set(events, "time", string(r->time->name));
    if (r->unit != BREW_TIME_S) brew_json_set(events, "time_unit", string(units[r->unit]));
    if (r->value && !d->deeds.drawn) brew_json_set(events, "value", string(r->value->name));
    if (r->request && (d->window || r->slate))
        brew_json_set(events, "request", string(r->request->name));
    if (d->window) brew_json_set(events, "window", string(d->window));
    if (r->slate && r->time) brew_json_set(events, "lag", string("10m"));
    if (r->split) brew_json_set(events, "split_column", string(r->split->name));
    if (brew_json_length(meta))
        brew_json_set(events, "meta", meta);
    else
        brew_json_free(meta);
    return events;
}

static int add_tables(draft *d, brew_json *task, brew_err *err) {
    const brew_draft_options *o = d->o;
    const struct {
        const char *file, *key;
        const brew_sample_column *role;
        const brew_intern *ids;
        brew_buf *words;
    } tables[] = {{o->items, "items", d->roles.item, &d->items, &d->question},
                  {o->members, "members", d->roles.member, &d->members, &d->profile}};
    for (size_t i = 0; i < 2; i++) {
        brew_sample table;
        if (!tables[i].file) continue;
        if (brew_sample_read(&table, tables[i].file, tables[i].ids, err)) return -1;
        char *path = path_for(tables[i].file, o->output);
        brew_json *object = (i ? brew_draft_members : brew_draft_items)(
            &table, tables[i].file, path, tables[i].ids, tables[i].role->name, tables[i].words,
            &o->hints);
        if (object) brew_json_set(task, tables[i].key, object);
        free(path);
        brew_sample_release(&table);
    }
    return 0;
}

// What is asked, in words, or by columns of the log, or by ids.
static brew_json *templates_of(draft *d) {
    brew_json *templates = brew_json_new_object();
    if (!d->question.len && d->title) {
        brew_buf_addf(&d->question, "{event.%s}", d->title->name);
        brew_hint(&d->o->hints, true, "question: %s, which tells of the item", d->question.ptr);
    }
    if (!d->question.len) {
        brew_buf_adds(&d->question, "{item}");
        brew_hint(
            &d->o->hints, false,
            "question: {item}: a language model knows nothing of ids; name a table of items with "
            "--items");
    }
    brew_buf_addc(&d->question, ':');
    brew_json_set(templates, "instruction", string(d->deeds.question.ptr));
    if (d->profile.len) brew_json_set(templates, "profile", string(d->profile.ptr));
    brew_json_set(templates, "question", string(d->question.ptr));
    return templates;
}

static brew_json *split_of(const draft *d) {
    brew_json *split = brew_json_new_object();
    brew_json_set(split, "by", string(d->roles.time ? "time" : "last"));
    brew_json_set(split, "valid", brew_json_new_real(0.1));
    brew_json_set(split, "test", brew_json_new_real(0.1));
    if (!d->roles.time) {
        brew_hint(
            &d->o->hints, false,
            "split: each member's last tenth test, the tenth before it valid: without times nobody "
            "can tell what others did later");
        return split;
    }
    bool gap = d->window && brew_spans_whole(&d->roles, &d->log) / 20 > d->window_ms;
    if (gap) brew_json_set(split, "gap", string(d->window));
    brew_hint(&d->o->hints, true,
              "split: by time, the last tenth test, the tenth before it valid%s%s%s",
              gap ? ", with a gap of " : "", gap ? d->window : "", gap ? " before each" : "");
    return split;
}

static int64_t longest_slate(const brew_sample_column *c) {
    int64_t most = 1;
    for (size_t v = 0; v < c->values.count; v++) {
        int64_t n = 1;
        for (const char *at = c->values.entries[v].ptr; *at; at++) n += *at == ' ';
        if (n > most) most = n;
    }
    return most;
}

static brew_json *number_object(const char *key, int64_t value) {
    brew_json *object = brew_json_new_object();
    brew_json_set(object, key, brew_json_new_int(value));
    return object;
}

static int draft_task(draft *d, brew_json *task, brew_err *err) {
    const brew_roles *r = &d->roles;
    const brew_hints *hints = &d->o->hints;
    d->title = brew_draft_title(&d->log, r->item);
    brew_json_set(task, "task", name_of(d->o->events));
    brew_json_set(task, "events", events_of(d));
    if (add_tables(d, task, err)) return -1;
    brew_json_set(task, "actions", brew_json_copy(d->deeds.actions));
    if (d->deeds.positive) brew_json_set(task, "positive", brew_json_copy(d->deeds.positive));
    if (d->deeds.drawn) {
        brew_json *negatives = brew_json_new_object();
        brew_json_set(negatives, "from", string("popularity"));
        brew_json_set(negatives, "per_positive", brew_json_new_int(4));
        brew_json_set(task, "negatives", negatives);
    }
    brew_json_set(task, "templates", templates_of(d));
    brew_json_set(task, "history", number_object("max", 30));
    int64_t slate = r->slate ? longest_slate(r->item) : 0;
    brew_json_set(task, "questions", number_object("max", slate > 10 ? slate : 10));
    if (!r->split) brew_json_set(task, "split", split_of(d));
    if (r->slate && r->time)
        brew_hint(hints, false,
                  "lag: that clicks are known ten minutes after a slate was shown is a guess");
    if (r->request && !d->window && !r->slate)
        brew_hint(hints, false, "request: left out, because without times nothing has a window");
    return 0;
}

int brew_draft(const brew_draft_options *options, brew_buf *out, brew_err *err) {
    draft d = {.o = options};
    const brew_hints *hints = &options->hints;
    if (brew_sample_read(&d.log, options->events, NULL, err)) return -1;
    brew_json *task = brew_json_new_object();
    if (d.log.whole)
        brew_hint(hints, true, "%s: %zu rows", options->events, d.log.n_rows);
    else
        brew_hint(hints, true, "%s: the first %d rows are looked at", options->events,
                  BREW_SAMPLE_ROWS);
    if (d.log.bad)
        brew_hint(hints, false, "%zu rows could not be read, and will be bad rows", d.log.bad);
    if (d.log.headless) brew_hint(hints, true, "the first line is a row: there is no header");
    int status = brew_roles_find(&d.roles, &d.log, options->events, hints, err);
    if (!status) {
        name_roles(&d);
        brew_deeds_draft(&d.deeds, &d.roles, &d.log, hints);
        d.window = brew_spans_window(&d.roles, &d.deeds, &d.log, &d.window_ms, hints);
        brew_ids_collect(&d.items, d.roles.item, d.roles.slate);
        brew_ids_collect(&d.members, d.roles.member, false);
        status = draft_task(&d, task, err);
    }
    if (!status) brew_json_pretty(out, task);
    brew_json_free(task);
    brew_deeds_release(&d.deeds);
    brew_intern_release(&d.items);
    brew_intern_release(&d.members);
    brew_buf_release(&d.question);
    brew_buf_release(&d.profile);
    brew_sample_release(&d.log);
    return status;
}
