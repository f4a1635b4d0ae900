#include "rank/report_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void brew_cells_add(brew_cells *t, const char *text) {
    BREW_GROW(t->cell, t->n + 1, t->cap);
    snprintf(t->cell[t->n++], BREW_CELL, "%s", text);
}

void brew_cells_write(brew_buf *out, brew_cells *t) {
    size_t width[BREW_CELLS_MAX_COLUMNS] = {0};
    for (size_t i = 0; i < t->n; i++) {
        size_t len = strlen(t->cell[i]), *w = &width[i % t->columns];
        if (len > *w) *w = len;
    }
    for (size_t i = 0; i < t->n; i++) {
        size_t c = i % t->columns;
        if (c == 0)
            brew_buf_addf(out, "%-*s", (int)width[c], t->cell[i]);
        else
            brew_buf_addf(out, "  %*s", (int)width[c], t->cell[i]);
        if (c + 1 < t->columns) continue;
        while (out->len && out->ptr[out->len - 1] == ' ') out->len--;
        brew_buf_addc(out, '\n');
    }
    free(t->cell);
    *t = (brew_cells){0};
}

uint64_t brew_count_at(const brew_json *object, const char *key) {
    const brew_json *value = brew_json_get(object, key);
    return value ? (uint64_t)brew_json_int(value) : 0;
}

const char *brew_grouped(uint64_t value, char text[32]) {
    char plain[32];
    int len = snprintf(plain, sizeof plain, "%" PRIu64, value), at = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) text[at++] = ',';
        text[at++] = plain[i];
    }
    text[at] = 0;
    return text;
}

bool brew_is_number(const brew_json *value) {
    return brew_json_is(value, BREW_JSON_REAL) || brew_json_is(value, BREW_JSON_INT);
}

void brew_cells_value(brew_cells *t, const brew_json *figure, bool sign) {
    char text[BREW_CELL] = "-";
    const brew_json *value = brew_json_get(figure, "value");
    if (brew_is_number(value))
        snprintf(text, sizeof text, sign ? "%+.4f" : "%.4f", brew_json_real(value));
    brew_cells_add(t, text);
}

void brew_cells_interval(brew_cells *t, const brew_json *figure, bool sign) {
    char text[BREW_CELL] = "-";
    const brew_json *lo = brew_json_get(figure, "lo"), *hi = brew_json_get(figure, "hi");
    if (brew_is_number(lo) && brew_is_number(hi))
        snprintf(text, sizeof text, sign ? "[%+.4f, %+.4f]" : "[%.4f, %.4f]", brew_json_real(lo),
                 brew_json_real(hi));
    brew_cells_add(t, text);
}

void brew_cells_count(brew_cells *t, uint64_t n) {
    char text[32];
    brew_cells_add(t, brew_grouped(n, text));
}
