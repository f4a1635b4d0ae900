// The report as lines of text. A table is gathered as cells first; then every column gets its width.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rank/report.h"

enum { MAX_COLUMNS = 12, CELL = 64 };

struct table {
    char (*cell)[CELL]; // [rows][columns]
    size_t columns, n, cap;
};

static void add_cell(struct table *t, const char *text) {
    BREW_GROW(t->cell, t->n + 1, t->cap);
    snprintf(t->cell[t->n++], CELL, "%s", text);
}

// First column to the left, the others to the right, two blanks between.
static void write_table(brew_buf *out, struct table *t) {
    size_t width[MAX_COLUMNS] = {0};
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
        if (c + 1 == t->columns) brew_buf_addc(out, '\n');
    }
    free(t->cell);
    *t = (struct table){0};
}

static uint64_t count_at(const brew_json *object, const char *key) {
    const brew_json *value = brew_json_get(object, key);
    return value ? (uint64_t)brew_json_int(value) : 0;
}

// 19940 as "19,940".
static const char *grouped(uint64_t value, char text[32]) {
    char plain[32];
    int len = snprintf(plain, sizeof plain, "%" PRIu64, value), at = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) text[at++] = ',';
        text[at++] = plain[i];
    }
    text[at] = 0;
    return text;
}

static bool has_number(const brew_json *value) {
    return brew_json_is(value, BREW_JSON_REAL) || brew_json_is(value, BREW_JSON_INT);
}

static void add_value(struct table *t, const brew_json *figure) {
    char text[CELL] = "-";
    const brew_json *value = brew_json_get(figure, "value");
    if (has_number(value)) snprintf(text, sizeof text, "%.4f", brew_json_real(value));
    add_cell(t, text);
}

static void add_interval(struct table *t, const brew_json *figure, bool sign) {
    char text[CELL] = "-";
    const brew_json *lo = brew_json_get(figure, "lo"), *hi = brew_json_get(figure, "hi");
    if (has_number(lo) && has_number(hi))
        snprintf(text, sizeof text, sign ? "[%+.4f, %+.4f]" : "[%.4f, %.4f]", brew_json_real(lo),
                 brew_json_real(hi));
    add_cell(t, text);
}

static void add_count(struct table *t, uint64_t n) {
    char text[32];
    add_cell(t, grouped(n, text));
}

static void write_head(brew_buf *out, const brew_json *report) {
    char n[32], members[32], groups[32], many[32];
    brew_buf_addf(out, "%s answers, %s members, %s groups%s; ", grouped(count_at(report, "n"), n),
                  grouped(count_at(report, "members"), members),
                  grouped(count_at(report, "groups"), groups),
                  brew_json_bool(brew_json_get(report, "weighted")) ? ", weighted" : "");
    const brew_json *interval = brew_json_get(report, "interval");
    if (brew_json_get(interval, "replicates"))
        brew_buf_addf(out, "95 %% intervals from %s bootstrap replicates over members\n\n",
                      grouped(count_at(interval, "replicates"), many));
    else
        brew_buf_adds(out, "95 % intervals from the variance between members, in one pass\n\n");
}

static void write_metrics(brew_buf *out, const brew_json *report) {
    const brew_json *baselines = brew_json_get(report, "baselines");
    struct table t = {.columns = 4};
    brew_json_iter at = {0}, it = {0};
    add_cell(&t, "metric");
    add_cell(&t, "value");
    add_cell(&t, "95 % interval");
    add_cell(&t, "n");
    while (brew_json_next(baselines, &at)) {
        add_cell(&t, at.key);
        t.columns++;
    }
    const brew_json *metrics = brew_json_get(report, "metrics");
    while (brew_json_next(metrics, &it)) {
        add_cell(&t, it.key);
        add_value(&t, it.value);
        add_interval(&t, it.value, false);
        add_count(&t, count_at(it.value, "n"));
        at = (brew_json_iter){0};
        while (brew_json_next(baselines, &at)) add_value(&t, brew_json_get(at.value, it.key));
    }
    write_table(out, &t);
}

static void write_comparison(brew_buf *out, const brew_json *report) {
    const brew_json *a = brew_json_get(brew_json_get(report, "a"), "metrics");
    const brew_json *b = brew_json_get(brew_json_get(report, "b"), "metrics");
    struct table t = {.columns = 6};
    static const char *const heads[] = {"metric", "A", "B", "B - A", "95 % interval", "n"};
    for (size_t i = 0; i < t.columns; i++) add_cell(&t, heads[i]);
    const brew_json *delta = brew_json_get(report, "delta");
    brew_json_iter it = {0};
    while (brew_json_next(delta, &it)) {
        char text[CELL] = "-";
        const brew_json *value = brew_json_get(it.value, "value");
        if (has_number(value)) snprintf(text, sizeof text, "%+.4f", brew_json_real(value));
        add_cell(&t, it.key);
        add_value(&t, brew_json_get(a, it.key));
        add_value(&t, brew_json_get(b, it.key));
        add_cell(&t, text);
        add_interval(&t, it.value, true);
        add_count(&t, count_at(it.value, "n"));
    }
    write_table(out, &t);
}

static void write_slices(brew_buf *out, const brew_json *report) {
    static const char *const shown[] = {"positive_rate", "auc", "auc_member", "logloss", "copc"};
    const brew_json *slices = brew_json_get(report, "slices");
    bool paired = brew_json_get(report, "delta") != NULL;
    struct table t = {.columns = 9};
    if (brew_json_length(slices) == 0) return;
    brew_buf_adds(out, paired ? "\nslices, B - A\n" : "\nslices\n");
    add_cell(&t, "by");
    add_cell(&t, "n");
    add_cell(&t, "members");
    for (size_t i = 0; i < 5; i++) {
        add_cell(&t, shown[i]);
        if (i == 1) add_cell(&t, "95 % interval");
    }
    for (size_t s = 0; s < brew_json_length(slices); s++) {
        const brew_json *slice = brew_json_at(slices, s), *value = brew_json_get(slice, "value");
        const brew_json *metrics = brew_json_get(slice, paired ? "delta" : "metrics");
        char text[CELL];
        snprintf(text, sizeof text, "%s %s", brew_json_string(brew_json_get(slice, "by"), NULL),
                 brew_json_is(value, BREW_JSON_STRING) ? brew_json_string(value, NULL) : "(none)");
        add_cell(&t, text);
        add_count(&t, count_at(slice, "n"));
        add_count(&t, count_at(slice, "members"));
        for (size_t i = 0; i < 5; i++) {
            const brew_json *figure = brew_json_get(metrics, shown[i]);
            add_value(&t, figure);
            if (i == 1) add_interval(&t, figure, paired);
        }
    }
    write_table(out, &t);
}

static void write_left_out(brew_buf *out, const brew_json *report) {
    const brew_json *left = brew_json_get(report, "left_out");
    const brew_json *missing = brew_json_get(report, "missing");
    const struct {
        uint64_t n;
        const char *what;
    } lines[] = {
        {count_at(left, "unknown_outcomes"), "items without an outcome, left out"},
        {count_at(left, "one_class_members"), "members of one class, not in auc_member"},
        {count_at(left, "groups_without_positive"),
         "groups without a positive, not in ndcg, mrr, recall, map"},
        {count_at(report, "groups_without_negative"),
         "groups without a negative, perfect in any order (in ndcg, mrr, recall, map)"},
        {count_at(report, "records_without_member"),
         "records without meta.member, each taken for a member of its own"},
        {count_at(missing, "only_a"), "answers only in A, left out"},
        {count_at(missing, "only_b"), "answers only in B, left out"},
    };
    bool first = true;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char n[32];
        if (lines[i].n == 0) continue;
        brew_buf_addf(out, "%s%s %s\n", first ? "\n" : "", grouped(lines[i].n, n), lines[i].what);
        first = false;
    }
    const brew_json *events = brew_json_get(report, "events");
    char n[32], members[32], items[32];
    if (events)
        brew_buf_addf(
            out,
            "%sbaselines from %s events before the split; %s answers of members and %s of "
            "items without one\n",
            first ? "\n" : "", grouped(count_at(events, "before_split"), n),
            grouped(count_at(events, "answers_of_unseen_members"), members),
            grouped(count_at(events, "answers_of_unseen_items"), items));
}

static void write_gates(brew_buf *out, const brew_json *report) {
    const brew_json *gates = brew_json_get(report, "gates");
    for (size_t g = 0; g < brew_json_length(gates); g++) {
        const brew_json *gate = brew_json_at(gates, g), *value = brew_json_get(gate, "value");
        brew_buf_addf(out, "%sgate %s: %s", g ? "" : "\n",
                      brew_json_string(brew_json_get(gate, "gate"), NULL),
                      brew_json_bool(brew_json_get(gate, "passed")) ? "passed" : "missed");
        if (has_number(value))
            brew_buf_addf(out, " (%.6g)\n", brew_json_real(value));
        else
            brew_buf_adds(out, " (no value)\n");
    }
}

void brew_report_text(brew_buf *out, const brew_json *report) {
    write_head(out, report);
    if (brew_json_get(report, "delta"))
        write_comparison(out, report);
    else
        write_metrics(out, report);
    write_slices(out, report);
    write_left_out(out, report);
    write_gates(out, report);
}
