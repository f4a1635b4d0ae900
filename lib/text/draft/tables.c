#include "text/draft/tables.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "text/draft/names.h"

#define TITLES                                                                             \
    "title name headline itemname productname producttitle movietitle trackname songname " \
    "jobtitle text "                                                                       \
    "description subject caption question label content"
#define MAKERS "artist artistname author authors director brand publisher"
#define PLACES "company companyname employer venue"
#define DETAILS                                                                               \
    "category topic section level skills place city location salary price year color colour " \
    "language"
#define PERSONAL                                                                                  \
    "name firstname lastname fullname email mail phone address ip zip zipcode postcode birthday " \
    "dob "                                                                                        \
    "username login password token"
enum { MAX_META = 8, MAX_SLICES = 50, MAX_PROFILE = 6 };

static bool can_tell(const brew_sample_column *c) {
    for (const char *at = c->name; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f) return false;
    return !c->ambiguous && !c->nested && c->n && *c->name && !strpbrk(c->name, "{}");
}

static bool is_time(const brew_sample_column *c) {
    static const int looks[] = {BREW_LOOKS_ISO, BREW_LOOKS_MDY, BREW_LOOKS_SECONDS, BREW_LOOKS_MS};
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
        if (brew_sample_share(c, looks[i]) > 0.5) return true;
    return false;
}

// Words, short enough to stand in a line.
static bool is_text(const brew_sample_column *c) {
    return can_tell(c) && !is_time(c) && c->chars <= 200 * c->n &&
           brew_sample_share(c, BREW_LOOKS_WORDS) > 0.5;
}

void brew_ids_collect(brew_intern *out, const brew_sample_column *column, bool slates) {
    for (size_t v = 0; v < column->values.count; v++) {
        const char *text = column->values.entries[v].ptr;
        size_t len = column->values.entries[v].len;
        if (!slates) brew_intern_put(out, text, len);
        for (size_t i = 0; slates && i < len;) {
            size_t n = strcspn(text + i, " ");
            if (n > 2) brew_intern_put(out, text + i, n - 2);
            i += n + 1;
        }
    }
}

brew_json *brew_draft_header(const brew_sample *sample) {
    brew_json *names = brew_json_new_array();
    for (size_t i = 0; i < sample->n; i++)
        brew_json_push(
            names, brew_json_new_string(sample->columns[i].name, strlen(sample->columns[i].name)));
    return names;
}

static size_t found_in(const brew_intern *ids, const brew_sample_column *c) {
    size_t n = 0;
    for (size_t i = 0; i < ids->count; i++)
        n += brew_intern_get(&c->values, ids->entries[i].ptr, ids->entries[i].len) != SIZE_MAX;
    return n;
}

// The column that holds most of the ids, of equal ones that with the log's name for them.
static brew_sample_column *find_id(const brew_sample *t, const brew_intern *ids, const char *name,
                                   size_t *found) {
    brew_sample_column *best = NULL;
    *found = 0;
    for (size_t i = 0; i < t->n; i++) {
        brew_sample_column *c = &t->columns[i];
        if (c->ambiguous || c->nested || !*c->name) continue;
        size_t n = found_in(ids, c);
        if (!n || n < *found || (n == *found && strcmp(c->name, name) != 0)) continue;
        *found = n;
        best = c;
    }
    return best;
}

static brew_json *string(const char *text) {
    return brew_json_new_string(text, strlen(text));
}

static void rename_column(brew_sample_column *c, const char *name) {
    free(c->name);
    c->name = brew_strdup(name);
}

// A column in a template: some names mean something else there.
static void add_field(brew_buf *out, const char *before, const char *table, const char *name) {
    static const char *const taken[] = {"member", "item", "gap", "date", "surface"};
    bool plain = !strchr(name, '.');
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) plain &= strcmp(name, taken[i]) != 0;
    brew_buf_addf(out, "%s{%s%s}", before, plain ? "" : table, name);
}

// The table's object with file and id, and what a second row of an id needs; NULL, and why.
static brew_json *start(brew_sample *t, const char *what, const char *file, const char *path,
                        const brew_intern *ids, const char *id_name, brew_sample_column **id,
                        const brew_hints *hints) {
    size_t found;
    *id = find_id(t, ids, id_name, &found);
    if (!*id || 2 * found < ids->count) {
        if (t->whole || !*id)
            brew_hint(hints, false, "%s: %s is left out: no column holds most of the log's ids",
                      what, file);
        else
            brew_hint(hints, false,
                      "%s: %s is left out: its first %d rows hold fewer than half of the log's ids",
                      what, file, BREW_SAMPLE_ROWS);
        return NULL;
    }
    brew_json *table = brew_json_new_object();
    brew_json_set(table, "file", string(path));
    if (t->headless) rename_column(*id, "id");
    brew_json_set(table, "id", string((*id)->name));
    if (brew_sample_repeats(*id)) {
        brew_sample_column *from = brew_name_find(
            t, "validfrom from since updated updatedat modified asof effective date timestamp time",
            false, NULL);
        static const int looks[] = {BREW_LOOKS_SECONDS, BREW_LOOKS_MS, BREW_LOOKS_ISO,
                                    BREW_LOOKS_MDY};
        static const char *const units[] = {"s", "ms", "iso8601", "mdy"};
        size_t u = 0;
        while (from && u < 4 && brew_sample_share(from, looks[u]) < 1) u++;
        if (!from || u == 4 || from->n < t->n_rows) {
            brew_hint(
                hints, false,
                "%s: %s is left out: ids stand in several rows, and no column tells from when",
                what, file);
            brew_json_free(table);
            return NULL;
        }
        brew_json_set(table, "valid_from", string(from->name));
        brew_json_set(table, "time_unit", string(units[u]));
        brew_hint(hints, false, "%s: rows of one id hold from column \"%s\" on", what, from->name);
    }
    if (t->whole)
        brew_hint(hints, found == ids->count, "%s: %s by column \"%s\", with %zu of %zu ids%s",
                  what, file, (*id)->name, found, ids->count,
                  found == ids->count
                      ? ""
                      : ": rows of the others will be bad (--max-errors lets them pass)");
    else
        brew_hint(hints, false, "%s: %s by column \"%s\"; only its first %d rows were looked at",
                  what, file, (*id)->name, BREW_SAMPLE_ROWS);
    return table;
}

// Columns of few values, to slice by.
static void add_meta(const brew_sample *t, const brew_sample_column *id, const char *taken,
                     brew_json *table, const char *what, const char *field,
                     const brew_hints *hints) {
    brew_json *meta = brew_json_new_array();
    brew_buf names = {0};
    for (size_t i = 0; i < t->n && brew_json_length(meta) < MAX_META; i++) {
        const brew_sample_column *c = &t->columns[i];
        if (c == id || !can_tell(c) || is_time(c) || c->values.count < 2 ||
            c->values.count > MAX_SLICES || 2 * c->values.count > c->n ||
            brew_name_rank(c->name, PERSONAL, false) < BREW_NAME_NONE)
            continue;
        bool free = true;
        for (const char *at = taken; *at; at += strcspn(at, " "), at += *at == ' ')
            free &= strncmp(at, c->name, strlen(c->name)) || (at[strlen(c->name)] | 32) != 32;
        if (!free) continue;
        brew_json_push(meta, string(c->name));
        brew_buf_addf(&names, "%s%s%.60s", names.len ? ", " : "", field, c->name);
    }
    if (names.len)
        brew_hint(hints, true, "%s: columns of few values go into records, for --by %s", what,
                  names.ptr);
    if (brew_json_length(meta))
        brew_json_set(table, "meta", meta);
    else
        brew_json_free(meta);
    brew_buf_release(&names);
}

static void add_header(const brew_sample *t, brew_json *table) {
    if (t->headless) brew_json_set(table, "header", brew_draft_header(t));
}

static brew_sample_column *find_title(const brew_sample *t, const brew_sample_column *id) {
    int rank;
    brew_sample_column *title = brew_name_find(t, TITLES, false, &rank);
    if (title && title != id && is_text(title)) return title;
    title = NULL;
    for (size_t i = 0; i < t->n; i++) {
        brew_sample_column *c = &t->columns[i];
        if (c == id || !is_text(c)) continue;
        if (!title || c->values.count > title->values.count) title = c;
    }
    return title;
}

brew_json *brew_draft_items(brew_sample *t, const char *file, const char *path,
                            const brew_intern *ids, const char *id_name, brew_buf *question,
                            const brew_hints *hints) {
    brew_sample_column *id;
    brew_json *table = start(t, "items", file, path, ids, id_name, &id, hints);
    if (!table) return NULL;
    add_meta(t, id, "item_history time kind cold_item position", table, "items", "item.", hints);
    brew_sample_column *title = find_title(t, id);
    if (!title) {
        brew_hint(hints, false, "items: no column holds a title; questions name ids");
        add_header(t, table);
        return table;
    }
    brew_buf rest = {0};
    if (t->headless) rename_column(title, "title");
    add_header(t, table);
    add_field(question, "", "item.", title->name);
    for (size_t i = 0, details = 0; i < t->n; i++) {
        const brew_sample_column *c = &t->columns[i];
        bool text = is_text(c) && c != title && c != id && c->chars <= 60 * c->n;
        const char *before = !text                                                      ? NULL
                             : brew_name_rank(c->name, MAKERS, false) < BREW_NAME_NONE  ? " by "
                             : brew_name_rank(c->name, PLACES, false) < BREW_NAME_NONE  ? " at "
                             : brew_name_rank(c->name, DETAILS, false) < BREW_NAME_NONE ? ", "
                                                                                        : NULL;
        if (before && details++ < 4)
            add_field(question, before, "item.", c->name);
        else if (text)
            brew_buf_addf(&rest, "%s\"%.60s\"", rest.len ? ", " : "", c->name);
    }
    brew_hint(hints, true, "question: %s", question->ptr);
    if (rest.len) brew_hint(hints, false, "question: it could also tell %s", rest.ptr);
    brew_buf_release(&rest);
    return table;
}

brew_json *brew_draft_members(brew_sample *t, const char *file, const char *path,
                              const brew_intern *ids, const char *id_name, brew_buf *profile,
                              const brew_hints *hints) {
    brew_sample_column *id;
    brew_json *table = start(t, "members", file, path, ids, id_name, &id, hints);
    if (!table) return NULL;
    add_meta(
        t, id,
        "task surface member request time control truncated window style cold_member cold_task "
        "history shown split sampled",
        table, "members", "", hints);
    add_header(t, table);
    size_t n = 0;
    for (size_t i = 0; i < t->n && n < MAX_PROFILE; i++) {
        const brew_sample_column *c = &t->columns[i];
        bool age = can_tell(c) && brew_name_rank(c->name, "age agegroup", false) < BREW_NAME_NONE;
        if (c == id || (!age && (!is_text(c) || c->chars > 80 * c->n)) ||
            brew_name_rank(c->name, PERSONAL, false) < BREW_NAME_NONE || c->values.count < 2)
            continue;
        brew_buf_adds(profile, n++ ? ", " : "Member: ");
        for (const char *at = c->name; *at; at++) brew_buf_addc(profile, *at == '_' ? ' ' : *at);
        add_field(profile, " ", "member.", c->name);
    }
    if (n)
        brew_hint(
            hints, false,
            "profile: %s: take out what must not decide, such as age or gender, and what was not "
            "known at the time",
            profile->ptr);
    return table;
}

const brew_sample_column *brew_draft_title(const brew_sample *log, const brew_sample_column *item) {
    brew_sample_column *title = brew_name_find(log, TITLES, false, NULL);
    bool tells = title && title != item && is_text(title) &&
                 4 * title->values.count >= item->values.count &&
                 brew_sample_depends(log, title, item);
    return tells ? title : NULL;
}
