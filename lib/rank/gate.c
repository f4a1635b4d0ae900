#include "rank/gate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/num.h"
#include "rank/bootstrap.h"

int brew_gate_parse(brew_gate *gate, const char *text, brew_err *err) {
    size_t path = strcspn(text, "<>=");
    const char *at = text + path;
    *gate = (brew_gate){.text = text, .path_len = path};
    while (gate->path_len && text[gate->path_len - 1] == ' ') gate->path_len--;
    bool less = *at == '<', equal = *at && at[1] == '=';
    size_t len = strlen(at);
    if (gate->path_len == 0 || (*at != '<' && *at != '>'))
        return brew_fail(err, BREW_USAGE,
                         "\"%s\" is not a gate: NAME, then >=, >, <= or <, then a number", text);
    gate->op = less ? (equal ? BREW_GATE_LE : BREW_GATE_LT) : (equal ? BREW_GATE_GE : BREW_GATE_GT);
    at += 1 + equal;
    while (*at == ' ') at++;
    len = strlen(at);
    if (!brew_parse_double(at, len, &gate->bound))
        return brew_fail(err, BREW_USAGE, "the gate \"%s\" does not end in a number", text);
    return 0;
}

// One figure that a gate speaks of.
struct one {
    char *name;              // what the stars stand for, NULL: no star
    double judged;           // the number that the path leads to; NaN: null
    bool bound;              // of an interval, with three verdicts:
    double value, near, far; // the figure's value, its end towards the gate's number, the other end
    double members;
    enum brew_verdict verdict;
};

struct found {
    const brew_gate *gate;
    struct one *list; // [n]
    size_t n, cap;
};

static double real_or_nan(const brew_json *value) {
    bool number = brew_json_is(value, BREW_JSON_INT) || brew_json_is(value, BREW_JSON_REAL);
    return number ? brew_json_real(value) : NAN;
}

static bool asks_for_more(const brew_gate *gate) {
    return gate->op == BREW_GATE_GE || gate->op == BREW_GATE_GT;
}

static void add_found(struct found *f, const brew_json *at, const brew_json *figure,
                      const char *end, double members, const char *name) {
    bool more = asks_for_more(f->gate);
    struct one one = {.name = name ? brew_strdup(name) : NULL, .judged = real_or_nan(at)};
    one.members = members;
    one.bound = figure && !strcmp(end, more ? "lo" : "hi") && !isnan(one.judged);
    if (one.bound) {
        one.value = real_or_nan(brew_json_get(figure, "value"));
        one.near = one.judged;
        one.far = real_or_nan(brew_json_get(figure, more ? "hi" : "lo"));
    }
    BREW_GROW(f->list, f->n + 1, f->cap);
    f->list[f->n++] = one;
}

struct place {
    const brew_json *at, *figure; // figure: the object above `at`
    char end[4];                  // the key of `at` in it, if short
    double members;               // of the nearest object that says so
    const char *name;
};

static size_t walk(struct found *f, struct place place, const char *path, size_t len);

// Every member of the object, for a star.
static size_t walk_all(struct found *f, const struct place *place, const char *path, size_t len) {
    brew_json_iter it = {0};
    size_t found = 0;
    while (brew_json_next(place->at, &it)) {
        struct place below = {.at = it.value, .members = place->members};
        brew_buf name = {0};
        brew_buf_addf(&name, "%s%s%s", place->name ? place->name : "", place->name ? "." : "",
                      it.key);
        below.name = name.ptr;
        found += walk(f, below, path, len);
        brew_buf_release(&name);
    }
    return found;
}

// Slices, an array: by, a dot, then the value (or a star).
static size_t walk_slices(struct found *f, const struct place *place, const char *path,
                          size_t len) {
    size_t found = 0;
    for (size_t i = 0; i < brew_json_length(place->at); i++) {
        const brew_json *slice = brew_json_at(place->at, i);
        const char *by = brew_json_string(brew_json_get(slice, "by"), NULL);
        const char *value = brew_json_string(brew_json_get(slice, "value"), NULL);
        size_t skip = by ? strlen(by) : 0;
        if (!by || !value || len <= skip || memcmp(path, by, skip) != 0 || path[skip++] != '.')
            continue;
        bool star = path[skip] == '*';
        size_t n = star ? 1 : strlen(value);
        if (skip + n > len || (!star && memcmp(path + skip, value, n) != 0)) continue;
        if (skip + n < len && path[skip + n] != '.') continue;
        size_t taken = skip + n + (skip + n < len);
        struct place below = {.at = slice, .members = place->members};
        if (star) below.name = value;
        found += walk(f, below, path + taken, len - taken);
    }
    return found;
}

// Down the path; the number of figures found. Names may hold dots: every cut of the path is tried.
static size_t walk(struct found *f, struct place place, const char *path, size_t len) {
    size_t found = 0;
    if (len == 0) {
        const brew_json *value = place.at;
        if (brew_json_is(value, BREW_JSON_OBJECT)) value = brew_json_get(value, "value");
        if (!brew_json_is(value, BREW_JSON_NULL) && isnan(real_or_nan(value))) return 0;
        add_found(f, value, value == place.at ? place.figure : NULL, place.end, place.members,
                  place.name);
        return 1;
    }
    if (brew_json_is(place.at, BREW_JSON_ARRAY)) return walk_slices(f, &place, path, len);
    if (!brew_json_is(place.at, BREW_JSON_OBJECT)) return 0;
    const brew_json *members = brew_json_get(place.at, "members");
    if (brew_json_is(members, BREW_JSON_INT)) place.members = brew_json_real(members);
    if (path[0] == '*' && (len == 1 || path[1] == '.'))
        return walk_all(f, &place, path + (len > 1 ? 2 : 1), len - (len > 1 ? 2 : 1));
    for (size_t part = 1; part <= len && !found; part++) {
        char key[256];
        if ((part < len && path[part] != '.') || part >= sizeof key) continue;
        memcpy(key, path, part);
        key[part] = 0;
        struct place below = {.at = brew_json_get(place.at, key),
                              .figure = place.at,
                              .members = place.members,
                              .name = place.name};
        if (!below.at) below.at = brew_json_get(brew_json_get(place.at, "metrics"), key);
        if (part < sizeof below.end) strcpy(below.end, key);
        size_t taken = part + (part < len);
        if (below.at) found = walk(f, below, path + taken, len - taken);
    }
    return found;
}

static bool holds(const brew_gate *gate, double x) {
    switch (gate->op) {
    case BREW_GATE_GE:
        return x >= gate->bound;
    case BREW_GATE_GT:
        return x > gate->bound;
    case BREW_GATE_LE:
        return x <= gate->bound;
    default:
        return x < gate->bound;
    }
}

// The normal value that is exceeded with the given probability, below 1 / 2.
static double normal_tail(double chance) {
    double lo = 0, hi = 40;
    for (int i = 0; i < 100; i++) {
        double mid = (lo + hi) / 2;
        *(erfc(mid / sqrt(2.)) / 2 > chance ? &lo : &hi) = mid;
    }
    return lo;
}

// How far the number is from the value, in halves of the interval: 1 is its end. Positive: on the right side.
static double distance(const brew_gate *gate, const struct one *one, double end) {
    double gap = asks_for_more(gate) ? one->value - gate->bound : gate->bound - one->value;
    double half = fabs(one->value - end);
    return half > 0 ? gap / half : gap > 0 ? INFINITY : gap < 0 ? -INFINITY : 0;
}

struct ranked {
    double distance;
    size_t at;
};

static int farthest(const void *a, const void *b) {
    double x = ((const struct ranked *)a)->distance, y = ((const struct ranked *)b)->distance;
    return (x < y) - (x > y);
}

// Holm: the strongest of m claims is held to 2.5 % / m, the next to 2.5 % / (m - 1), until one fails.
static void decide(struct found *f, enum brew_verdict verdict) {
    struct ranked *ranked = brew_alloc((f->n + 1) * sizeof *ranked);
    size_t m = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct one *one = &f->list[i];
        if (!one->bound) continue;
        bool pass = verdict == BREW_GATE_PASSED;
        double far = distance(f->gate, one, pass ? one->near : one->far);
        ranked[m++] = (struct ranked){pass ? far : -far, i};
    }
    qsort(ranked, m, sizeof *ranked, farthest);
    for (size_t i = 0; i < m; i++) {
        struct one *one = &f->list[ranked[i].at];
        double need = normal_tail(.025 / (double)(m - i)) / normal_tail(.025);
        bool sure = ranked[i].distance >= need;
        if (m == 1 && verdict == BREW_GATE_PASSED) sure = holds(f->gate, one->near);
        if (m == 1 && verdict == BREW_GATE_MISSED) sure = !holds(f->gate, one->far);
        if (!sure) break;
        one->verdict = verdict;
    }
    free(ranked);
}

static void judge_all(struct found *f) {
    for (size_t i = 0; i < f->n; i++) {
        struct one *one = &f->list[i];
        one->verdict = holds(f->gate, one->judged) ? BREW_GATE_PASSED : BREW_GATE_MISSED;
        if (one->bound) one->verdict = BREW_GATE_UNDECIDED;
    }
    decide(f, BREW_GATE_MISSED);
    decide(f, BREW_GATE_PASSED);
}

// The half-width must shrink to gap * 1.96 / (1.96 + 0.84) for a power of 80 %; it goes with 1 / sqrt(members).
static double members_needed(const struct found *f, const struct one *one) {
    double tail = normal_tail(.025 / (double)f->n), power = normal_tail(.2);
    double away = distance(f->gate, one, one->near);
    if (away < 0) away = distance(f->gate, one, one->far);
    double n = one->members * pow((tail + power) / normal_tail(.025) / away, 2);
    if (!(n < 1e15)) return NAN;
    double unit = pow(10, fmax(0, floor(log10(n)) - 1));
    return ceil(n / unit) * unit;
}

static void put_judged(brew_json *out, const struct found *f, const struct one *one) {
    static const char *const names[] = {"passed", "undecided", "missed"};
    const char *verdict = names[one->verdict];
    brew_json_set(out, "value", brew_json_new_real(one->judged));
    brew_json_set(out, "verdict", brew_json_new_string(verdict, strlen(verdict)));
    brew_json_set(out, "passed", brew_json_new_bool(one->verdict == BREW_GATE_PASSED));
    if (one->verdict != BREW_GATE_UNDECIDED) return;
    double needed = members_needed(f, one);
    brew_json_set(out, "members", brew_json_new_int((int64_t)one->members));
    brew_json_set(out, "members_needed",
                  isnan(needed) ? brew_json_new_real(NAN) : brew_json_new_int((int64_t)needed));
}

static brew_json *judged_json(const struct found *f, struct one *worst) {
    brew_json *out = brew_json_new_object();
    brew_json_set(out, "gate", brew_json_new_string(f->gate->text, strlen(f->gate->text)));
    *worst = f->list[0];
    for (size_t i = 1; i < f->n; i++)
        if (f->list[i].verdict > worst->verdict) *worst = f->list[i];
    put_judged(out, f, worst);
    if (!f->list[0].name) return out;
    brew_json *cases = brew_json_new_array();
    for (size_t i = 0; i < f->n; i++) {
        brew_json *one = brew_json_new_object();
        brew_json_set(one, "name", brew_json_new_string(f->list[i].name, strlen(f->list[i].name)));
        put_judged(one, f, &f->list[i]);
        brew_json_push(cases, one);
    }
    brew_json_set(out, "cases", cases);
    return out;
}

int brew_gate_judge(const brew_gate *gate, const brew_json *report, brew_json **judged,
                    brew_err *err) {
    struct found f = {.gate = gate};
    struct one worst = {0};
    if (!walk(&f, (struct place){.at = report}, gate->text, gate->path_len))
        return brew_fail(err, BREW_USAGE, "the gate \"%s\" names no figure of this report",
                         gate->text);
    judge_all(&f);
    *judged = judged_json(&f, &worst);
    for (size_t i = 0; i < f.n; i++) free(f.list[i].name);
    free(f.list);
    return (int)worst.verdict;
}

bool brew_gate_complaint(const brew_json *judged, char *text, size_t bytes) {
    const brew_json *value = brew_json_get(judged, "value");
    const char *verdict = brew_json_string(brew_json_get(judged, "verdict"), NULL);
    const char *gate = brew_json_string(brew_json_get(judged, "gate"), NULL);
    if (brew_json_bool(brew_json_get(judged, "passed"))) return false;
    if (brew_json_is(value, BREW_JSON_NULL))
        snprintf(text, bytes, "gate %s: %s (it has no value)", verdict, gate);
    else
        snprintf(text, bytes, "gate %s: %s (it is %.6g)", verdict, gate, brew_json_real(value));
    return true;
}

int brew_gates_judge(const brew_gate *gates, size_t n, brew_json *report, brew_err *err) {
    brew_json *list = brew_json_new_array(), *judged;
    int worst = BREW_GATE_PASSED;
    brew_json_set(report, "gates", list);
    for (size_t i = 0; i < n; i++) {
        int verdict = brew_gate_judge(&gates[i], report, &judged, err);
        if (verdict < 0) return -1;
        brew_json_push(list, judged);
        if (verdict > worst) worst = verdict;
    }
    return worst;
}
