#include "text/draft/roles.h"

#include <string.h>

#include "base/buf.h"
#include "text/draft/deeds.h"
#include "text/draft/names.h"

// The best first.
#define MEMBERS                                                                                 \
    "user usr member customer client visitor listener reader viewer who account person player " \
    "buyer shopper subscriber reviewer uid u msno student consumer household profile device "   \
    "cookie "                                                                                   \
    "session"
#define ITEMS                                                                                   \
    "item iid i product sku asin movie film track song music book isbn news article story job " \
    "posting "                                                                                  \
    "ad advert creative campaign post video clip content document doc paper listing game app "  \
    "business restaurant venue poi recipe course offer podcast episode show hotel beer wine "   \
    "anime "                                                                                    \
    "artist page url"
#define REQUESTS "request req impression imp slate search srch pageview recommendation serve"
#define TIMES                                                                             \
    "timestamp time ts datetime date when at eventtime eventtimestamp createdat created " \
    "requesttime "                                                                        \
    "unixreviewtime reviewtime day"
#define SPLITS "split fold partition subset set"
#define ACTIONS                                                                                \
    "action event eventtype eventname actiontype behavior behaviour behaviortype interaction " \
    "interactiontype activity feedback"
#define PERHAPS_ACTIONS "type status outcome result"
#define RATINGS "rating ratings rate stars star score overall grade vote"
#define BINARIES                                                                              \
    "label click clicked isclick clicks target liked like islike purchased purchase applied " \
    "apply "                                                                                  \
    "converted conversion positive y"
#define AMOUNTS                                                                                    \
    "watchratio seconds duration dwell dwelltime watchtime playcount plays playtime playduration " \
    "msplayed listentime listens views count quantity weight"

static bool readable(const brew_sample_column *c) {
    return !c->ambiguous && !c->nested && c->n && *c->name;
}

bool brew_roles_has(const brew_roles *r, const brew_sample_column *column) {
    const brew_sample_column *const all[] = {r->member,  r->item,  r->time,    r->value,
                                             r->request, r->split, r->position};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] == column) return true;
    return false;
}

// ---- time ----

static bool unit_of(const brew_sample_column *c, enum brew_time_unit *unit) {
    static const struct {
        int looks;
        enum brew_time_unit unit;
    } forms[] = {{BREW_LOOKS_ISO, BREW_TIME_ISO},
                 {BREW_LOOKS_MDY, BREW_TIME_MDY},
                 {BREW_LOOKS_SECONDS, BREW_TIME_S},
                 {BREW_LOOKS_MS, BREW_TIME_MS}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (brew_sample_share(c, forms[i].looks) >= 0.95) {
            *unit = forms[i].unit;
            return true;
        }
    return false;
}

static bool named_like_time(const brew_sample_column *c) {
    return brew_name_rank(c->name, "time date timestamp stamp", true) < BREW_NAME_NONE;
}

// How well a column does as the time: the least is best.
static int time_rank(const brew_sample_column *c, enum brew_time_unit *unit) {
    int name = brew_name_rank(c->name, TIMES, false);
    bool known = unit_of(c, unit), number = known && *unit < BREW_TIME_ISO;
    if (known && name < BREW_NAME_NONE) return name;
    if (known && named_like_time(c)) return 100;
    if (known && (!number || (c->min >= 7.9e8 && brew_sample_share(c, BREW_LOOKS_WHOLE) > 0.99)))
        return 200 + number;
    if (!known && name < 3 && brew_sample_share(c, BREW_LOOKS_NUMBER) >= 0.95 && c->max < 1e11) {
        *unit = BREW_TIME_S;
        return 300;
    }
    return BREW_NAME_NONE;
}

static void find_time(brew_roles *r, const brew_sample *s, const brew_hints *hints) {
    static const char *const units[] = {"seconds since 1970", "milliseconds since 1970", "ISO 8601",
                                        "month/day/year hour:minute"};
    int best = BREW_NAME_NONE;
    const brew_sample_column *unread = NULL;
    for (size_t i = 0; i < s->n; i++) {
        brew_sample_column *c = &s->columns[i];
        enum brew_time_unit unit = BREW_TIME_S;
        if (!readable(c)) continue;
        int rank = time_rank(c, &unit);
        if (rank == BREW_NAME_NONE && !unread &&
            (brew_name_rank(c->name, TIMES, false) < 6 || named_like_time(c)))
            unread = c;
        if (rank >= best) continue;
        best = rank;
        r->time = c;
        r->unit = unit;
    }
    if (best < BREW_NAME_NONE)
        brew_hint(hints, best < 200, "time: column \"%s\", by %s: %s%s", r->time->name,
                  best < 200 || best == 300 ? "its name" : "what it holds", units[r->unit],
                  best == 300 ? ", though its numbers are small" : "");
    if (r->time) return;
    r->unit = BREW_TIME_ROW;
    if (unread)
        brew_hint(
            hints, false,
            "time: column \"%s\" is not in a form that is read (seconds or milliseconds since "
            "1970, ISO 8601, 11/15/2019 8:55:22 AM)",
            unread->name);
    brew_hint(hints, false, "no column of times: the order of the rows stands for it");
}

// ---- member, item, request ----

// May it name members, or items? Times, slates, reals and what has few values do not.
static bool is_id(const brew_roles *r, const brew_sample *s, const brew_sample_column *c) {
    if (!readable(c) || brew_roles_has(r, c) || c->n < s->n_rows - s->n_rows / 20) return false;
    size_t distinct = c->values.count;
    if (distinct < 2 || (s->n_rows > 100 && distinct < 3) || (s->n_rows > 1000 && distinct <= 20))
        return false;
    if (brew_sample_share(c, BREW_LOOKS_NUMBER) > brew_sample_share(c, BREW_LOOKS_WHOLE))
        return false;
    return c->chars <= 60 * c->n && brew_sample_share(c, BREW_LOOKS_SLATE) < 0.5;
}

// Columns that may be one, but for those that only tell of `known`; the number, and the first two.
static size_t candidates(const brew_roles *r, const brew_sample *s, const brew_sample_column *known,
                         bool repeats, brew_sample_column *first[2]) {
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        brew_sample_column *c = &s->columns[i];
        if (!is_id(r, s, c) || (repeats && !brew_sample_repeats(c))) continue;
        if (known && brew_sample_depends(s, c, known)) continue;
        if (n < 2) first[n] = c;
        n++;
    }
    return n;
}

static int fail_to_find(const brew_sample *s, const char *file, const char *what, brew_err *err) {
    brew_buf names = {0};
    brew_sample_names(s, &names);
    brew_fail(err, BREW_DATA,
              "%s: no column is recognised as the %s, as %s would be; there %s %s%s%s", file, what,
              strcmp(what, "item") ? "user_id" : "item_id", s->n == 1 ? "is" : "are",
              names.ptr ? names.ptr : "none",
              s->headless ? " (the first line is a row, and names none)" : "",
              s->n == 1 ? ": columns are parted by commas or tabs" : "");
    brew_buf_release(&names);
    return -1;
}

static void by_name(const brew_hints *hints, const char *what, const brew_sample_column *c) {
    if (c) brew_hint(hints, true, "%s: column \"%s\", by its name", what, c->name);
}

// What names have not told, by what is left.
static int find_by_cells(brew_roles *r, const brew_sample *s, const char *file,
                         const brew_hints *hints, brew_err *err) {
    brew_sample_column *first[2] = {0};
    bool had_item = r->item != NULL;
    size_t n =
        candidates(r, s, r->item ? r->slate ? NULL : r->item : r->member, r->member == NULL, first);
    if (!r->member && (n == 1 || (n > 1 && (!had_item || r->slate) && (s->headless || n == 2)))) {
        r->member = first[0];
        brew_hint(hints, false, "member: column \"%s\", %s", r->member->name,
                  n > 1 ? "the first of those that could be" : "the only one that could be");
        n = candidates(r, s, r->member, false, first);
    }
    if (!r->member) return fail_to_find(s, file, "member", err);
    if (!r->item && n && (n == 1 || s->headless)) {
        r->item = first[0];
        brew_hint(hints, false, "item: column \"%s\", %s", r->item->name,
                  n > 1 ? "the first of those that could be" : "the only one that could be");
    }
    return r->item ? 0 : fail_to_find(s, file, "item", err);
}

static void find_slate(brew_roles *r, const brew_sample *s, const brew_hints *hints) {
    for (size_t i = 0; i < s->n && !r->slate; i++) {
        brew_sample_column *c = &s->columns[i];
        if (!readable(c) || brew_sample_share(c, BREW_LOOKS_SLATE) < 0.95) continue;
        r->item = c;
        r->slate = true;
        brew_hint(hints, true, "item: column \"%s\", whose cells hold slates: ITEM-0 and ITEM-1",
                  c->name);
    }
}

// A request belongs to one member, and where one row is a request, it is as good as any.
static void find_request(brew_roles *r, const brew_sample *s, const brew_hints *hints) {
    brew_sample_column *c = brew_name_find(s, REQUESTS, true, NULL);
    if (c && (brew_roles_has(r, c) || c->n < s->n_rows)) c = NULL;
    if (c && !brew_sample_depends(s, r->member, c)) {
        brew_hint(hints, false,
                  "column \"%s\" looks like a request by its name, but several members share one: "
                  "left out",
                  c->name);
        c = NULL;
    }
    bool named = c != NULL;
    for (size_t i = 0; i < s->n && !c && r->slate && s->headless; i++)
        if (!brew_roles_has(r, &s->columns[i]) && s->columns[i].n == s->n_rows &&
            !brew_sample_repeats(&s->columns[i]))
            c = &s->columns[i];
    if (!c) return;
    r->request = c;
    brew_hint(hints, named, "request: column \"%s\", %s", c->name,
              named ? "by its name" : "which is another one in each row");
}

// ---- value ----

static bool is_binary(const brew_sample_column *c) {
    static const char *const words[] = {"0",     "1",   "0.0", "1.0", "true", "false", "True",
                                        "False", "yes", "no",  "Yes", "No",   "Y",     "N"};
    for (size_t v = 0; v < c->values.count; v++) {
        bool found = false;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            found |= !strcmp(words[i], c->values.entries[v].ptr);
        if (!found) return false;
    }
    return c->values.count == 2;
}

// What the column can be the value as, of a name of this kind.
static enum brew_value kind_of(const brew_sample_column *c, enum brew_value named) {
    size_t distinct = c->values.count;
    bool numbers = brew_sample_share(c, BREW_LOOKS_NUMBER) >= 0.95;
    if (is_binary(c)) return BREW_VALUE_BINARY;
    if (named == BREW_VALUE_BINARY || distinct < 2)
        return numbers && distinct > 2 ? BREW_VALUE_RATING : BREW_VALUE_NONE;
    if (named == BREW_VALUE_ACTIONS && distinct <= 20) return named;
    return numbers && named != BREW_VALUE_ACTIONS ? named : BREW_VALUE_NONE;
}

// Are most of its rows known names of what people do?
static bool tells_deeds(const brew_sample_column *c) {
    size_t n = 0;
    for (size_t v = 0; v < c->values.count && c->values.count <= 20; v++)
        if (brew_deed_known(c->values.entries[v].ptr)) n += c->counts[v];
    return 2 * n > c->n;
}

static void find_value(brew_roles *r, const brew_sample *s, const brew_hints *hints) {
    static const char perhaps[] = PERHAPS_ACTIONS;
    static const struct {
        const char *names;
        enum brew_value kind;
    } kinds[] = {{ACTIONS, BREW_VALUE_ACTIONS},
                 {RATINGS, BREW_VALUE_RATING},
                 {BINARIES, BREW_VALUE_BINARY},
                 {perhaps, BREW_VALUE_ACTIONS},
                 {AMOUNTS, BREW_VALUE_AMOUNT}};
    static const char *const words[] = {"", "names of actions", "one of two", "grades", "amounts"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        brew_sample_column *best = NULL;
        int best_rank = BREW_NAME_NONE;
        for (size_t i = 0; i < s->n; i++) {
            brew_sample_column *c = &s->columns[i];
            int rank = brew_name_rank(c->name, kinds[k].names, false);
            if (!readable(c) || brew_roles_has(r, c) || rank == BREW_NAME_NONE ||
                (kinds[k].names == perhaps && !tells_deeds(c)))
                continue;
            enum brew_value kind = kind_of(c, kinds[k].kind);
            const brew_sample_column *other = r->value || !kind ? c : rank < best_rank ? best : c;
            if (other)
                brew_hint(hints, false,
                          other->values.count < 2
                              ? "column \"%s\" says the same in every row: left out"
                              : "column \"%s\" could also say what was done: left out",
                          other->name);
            if (other == c) continue;
            best = c;
            best_rank = rank;
        }
        if (!best) continue;
        r->value = best;
        r->kind = kind_of(best, kinds[k].kind);
        brew_hint(hints, true, "value: column \"%s\", by its name: %s", best->name, words[r->kind]);
    }
    for (size_t i = 0; i < s->n && !r->value; i++) {
        brew_sample_column *c = &s->columns[i];
        if (!readable(c) || brew_roles_has(r, c) || c->values.count < 2 || !tells_deeds(c))
            continue;
        r->value = c;
        r->kind = BREW_VALUE_ACTIONS;
        brew_hint(hints, false, "value: column \"%s\", by what it holds: names of actions",
                  c->name);
    }
    // Without names the last column of few numbers, as a log of member, item, grade and time has.
    for (size_t i = s->n; i-- > 0 && !r->value && s->headless;) {
        brew_sample_column *c = &s->columns[i];
        if (brew_roles_has(r, c) || c->n < s->n_rows || c->values.count > 11) continue;
        enum brew_value kind = kind_of(c, BREW_VALUE_RATING);
        if (!kind) continue;
        r->value = c;
        r->kind = kind;
        brew_hint(hints, false, "value: column \"%s\", by what it holds: %s", c->name, words[kind]);
    }
}

static void find_split(brew_roles *r, const brew_sample *s, const brew_hints *hints) {
    static const char *const names[] = {"train", "valid", "test", "dev", "validation", "val"};
    brew_sample_column *c = brew_name_find(s, SPLITS, false, NULL);
    if (!c || brew_roles_has(r, c) || c->n < s->n_rows) return;
    for (size_t v = 0; v < c->values.count; v++) {
        bool found = false;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            found |= !strcmp(names[i], c->values.entries[v].ptr);
        if (!found) return;
    }
    r->split = c;
    brew_hint(hints, true, "split: column \"%s\" tells train, valid and test", c->name);
}

int brew_roles_find(brew_roles *out, const brew_sample *s, const char *file,
                    const brew_hints *hints, brew_err *err) {
    *out = (brew_roles){0};
    find_slate(out, s, hints);
    find_time(out, s, hints);
    brew_sample_column *c = brew_name_find(s, MEMBERS, true, NULL);
    if (c && !brew_roles_has(out, c)) out->member = c;
    by_name(hints, "member", out->member);
    c = brew_name_find(s, ITEMS, true, NULL);
    if (!out->item && c && !brew_roles_has(out, c)) by_name(hints, "item", out->item = c);
    // In a file without names the value is told by its cells, and is no id.
    if (s->headless && !out->slate) find_value(out, s, hints);
    if ((!out->member || !out->item) && find_by_cells(out, s, file, hints, err)) return -1;
    find_request(out, s, hints);
    if (!out->slate && !s->headless) find_value(out, s, hints);
    find_split(out, s, hints);
    c = brew_name_find(s, "position pos rank rnk slot", false, NULL);
    if (c && !brew_roles_has(out, c) && brew_sample_share(c, BREW_LOOKS_WHOLE) > 0.95) {
        out->position = c;
        by_name(hints, "position", c);
    }
    return 0;
}
