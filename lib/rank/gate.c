#include "rank/gate.h"

#include <math.h>
#include <string.h>

#include "base/num.h"

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

// Down the path, NULL where it leads nowhere.
static const brew_json *walk(const brew_json *from, const char *path, size_t len) {
    char key[128];
    while (from && len) {
        const char *dot = memchr(path, '.', len);
        size_t part = dot ? (size_t)(dot - path) : len;
        if (part >= sizeof key || !brew_json_is(from, BREW_JSON_OBJECT)) return NULL;
        memcpy(key, path, part);
        key[part] = 0;
        const brew_json *below = brew_json_get(from, key);
        from = below ? below : brew_json_get(brew_json_get(from, "metrics"), key);
        path += part + (dot != NULL);
        len -= part + (dot != NULL);
    }
    return from;
}

int brew_gate_judge(const brew_gate *gate, const brew_json *report, double *value, brew_err *err) {
    const brew_json *found = walk(report, gate->text, gate->path_len);
    if (brew_json_is(found, BREW_JSON_OBJECT)) found = brew_json_get(found, "value");
    bool null = brew_json_is(found, BREW_JSON_NULL);
    if (!null && !brew_json_is(found, BREW_JSON_INT) && !brew_json_is(found, BREW_JSON_REAL))
        return brew_fail(err, BREW_USAGE, "the gate \"%s\" names no figure of this report",
                         gate->text);
    *value = null ? NAN : brew_json_real(found);
    switch (gate->op) {
    case BREW_GATE_GE:
        return *value >= gate->bound;
    case BREW_GATE_GT:
        return *value > gate->bound;
    case BREW_GATE_LE:
        return *value <= gate->bound;
    default:
        return *value < gate->bound;
    }
}
