// The report as lines of text.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rank/report.h"
#include "rank/report_table.h"

static void write_head(brew_buf *out, const brew_json *report) {
    char n[32], members[32], groups[32], many[32];
    brew_buf_addf(out, "%s answers, %s members", brew_grouped(brew_count_at(report, "n"), n),
                  brew_grouped(brew_count_at(report, "members"), members));
    if (brew_json_get(report, "groups"))
        brew_buf_addf(out, ", %s groups", brew_grouped(brew_count_at(report, "groups"), groups));
    brew_buf_addf(out, "%s\n",
                  brew_json_bool(brew_json_get(report, "weighted")) ? ", weighted" : "");
    const brew_json *interval = brew_json_get(report, "interval");
    if (brew_json_get(interval, "replicates"))
        brew_buf_addf(out, "95 %% intervals from %s bootstrap replicates over members\n\n",
                      brew_grouped(brew_count_at(interval, "replicates"), many));
    else
        brew_buf_adds(out, "95 % intervals from the variance between members, in one pass\n\n");
}

// What is measured on sampled negatives says so.
static void add_name(brew_cells *t, const char *name, const brew_json *figure) {
    char text[BREW_CELL];
    bool sampled = brew_json_bool(brew_json_get(figure, "sampled"));
    snprintf(text, sizeof text, "%s%s", name, sampled ? " (sampled)" : "");
    brew_cells_add(t, text);
}

enum { WIDTH = 120 }; // of a table, if names are not very long

// Beside ours stand what nothing costs, what is to be beaten, and the systems that were asked for, as far as
// there is room; the next table has them all.
static size_t choose_beside(const brew_json *report, brew_cells *t, const brew_json **beside) {
    static const char *const baselines[] = {"rate", "member_item"};
    size_t n = 0, width = 74;
    for (size_t i = 0; i < 2; i++) {
        const brew_json *system = brew_json_get(brew_json_get(report, "baselines"), baselines[i]);
        if (!system) continue;
        brew_cells_add(t, baselines[i]);
        beside[n++] = system;
    }
    brew_json_iter it = {0};
    while (t->columns + n < BREW_CELLS_MAX_COLUMNS &&
           brew_json_next(brew_json_get(report, "systems"), &it)) {
        size_t len = strlen(it.key);
        if ((width += 2 + (len > 6 ? len : 6)) > WIDTH) break;
        brew_cells_add(t, it.key);
        beside[n++] = it.value;
    }
    return n;
}

static void write_metrics(brew_buf *out, const brew_json *report) {
    const brew_json *beside[BREW_CELLS_MAX_COLUMNS];
    brew_cells t = {.columns = 4};
    brew_json_iter it = {0};
    static const char *const heads[] = {"metric", "value", "95 % interval", "n"};
    for (size_t i = 0; i < 4; i++) brew_cells_add(&t, heads[i]);
    size_t n = choose_beside(report, &t, beside);
    t.columns += n;
    while (brew_json_next(brew_json_get(report, "metrics"), &it)) {
        add_name(&t, it.key, it.value);
        brew_cells_value(&t, it.value, false);
        brew_cells_interval(&t, it.value, false);
        brew_cells_count(&t, brew_count_at(it.value, "n"));
        for (size_t i = 0; i < n; i++)
            brew_cells_value(&t, brew_json_get(beside[i], it.key), false);
    }
    brew_cells_write(out, &t);
}

static void write_comparison(brew_buf *out, const brew_json *report) {
    const brew_json *a = brew_json_get(brew_json_get(report, "a"), "metrics");
    const brew_json *b = brew_json_get(brew_json_get(report, "b"), "metrics");
    brew_cells t = {.columns = 6};
    static const char *const heads[] = {"metric", "A", "B", "B - A", "95 % interval", "n"};
    for (size_t i = 0; i < t.columns; i++) brew_cells_add(&t, heads[i]);
    const brew_json *delta = brew_json_get(report, "delta");
    brew_json_iter it = {0};
    while (brew_json_next(delta, &it)) {
        add_name(&t, it.key, it.value);
        brew_cells_value(&t, brew_json_get(a, it.key), false);
        brew_cells_value(&t, brew_json_get(b, it.key), false);
        brew_cells_value(&t, it.value, true);
        brew_cells_interval(&t, it.value, true);
        brew_cells_count(&t, brew_count_at(it.value, "n"));
    }
    brew_cells_write(out, &t);
}

// How far B's answers are from A's.
static void write_moved(brew_buf *out, const brew_json *moved) {
    static const char *const keys[] = {"divergence", "shift", "between", "within"};
    double value[4];
    for (size_t i = 0; i < 4; i++) {
        const brew_json *figure = brew_json_get(moved, keys[i]);
        if (!brew_is_number(figure)) return;
        value[i] = brew_json_real(figure);
    }
    brew_buf_addf(out,
                  "\nmoved: divergence %.4f; log-odds %+.3f, between members %.3f, within %.3f\n",
                  value[0], value[1], value[2], value[3]);
}

static void write_left_out(brew_buf *out, const brew_json *report) {
    const brew_json *left = brew_json_get(report, "left_out");
    const brew_json *missing = brew_json_get(report, "missing");
    const struct {
        uint64_t n;
        const char *what;
    } lines[] = {
        {brew_count_at(left, "unknown_outcomes"), "items without an outcome, left out"},
        {brew_count_at(left, "truncated_alone"),
         "answers with meta.truncated whose whole form is not here, left out"},
        {brew_count_at(left, "one_class_members"), "members of one class, not in auc_member"},
        {brew_count_at(left, "groups_without_positive"),
         "groups without a positive, not in ndcg, mrr, recall, map"},
        {brew_count_at(report, "groups_without_negative"),
         "groups without a negative, perfect in any order (in ndcg, mrr, recall, map)"},
        {brew_count_at(report, "records_without_member"),
         "records without meta.member, each taken for a member of its own"},
        {brew_count_at(missing, "only_a"), "answers only in A, left out"},
        {brew_count_at(missing, "only_b"), "answers only in B, left out"},
    };
    bool first = true;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char n[32];
        if (lines[i].n == 0) continue;
        brew_buf_addf(out, "%s%s %s\n", first ? "\n" : "", brew_grouped(lines[i].n, n),
                      lines[i].what);
        first = false;
    }
    brew_json_iter it = {0};
    while (!brew_json_get(missing, "only_a") && brew_json_next(missing, &it)) {
        char without[32];
        brew_buf_addf(out, "%s%s answers have no score in %s, left out for all\n",
                      first ? "\n" : "", brew_grouped((uint64_t)brew_json_int(it.value), without),
                      it.key);
        first = false;
    }
    const brew_json *events = brew_json_get(report, "events");
    char n[32], members[32], items[32];
    if (events)
        brew_buf_addf(
            out,
            "%sbaselines from %s events before the split;\n%s answers of members and %s of items "
            "without one\n",
            first ? "\n" : "", brew_grouped(brew_count_at(events, "before_split"), n),
            brew_grouped(brew_count_at(events, "answers_of_unseen_members"), members),
            brew_grouped(brew_count_at(events, "answers_of_unseen_items"), items));
}

static void write_verdict(brew_buf *out, const brew_json *judged) {
    char members[32], needed[32];
    const brew_json *value = brew_json_get(judged, "value");
    const char *verdict = brew_json_string(brew_json_get(judged, "verdict"), NULL);
    brew_buf_adds(out, verdict);
    if (brew_is_number(value))
        brew_buf_addf(out, " (%.6g", brew_json_real(value));
    else
        brew_buf_adds(out, " (no value");
    const brew_json *need = brew_json_get(judged, "members_needed");
    if (brew_is_number(need))
        brew_buf_addf(out, "; about %s members needed, %s here",
                      brew_grouped((uint64_t)brew_json_int(need), needed),
                      brew_grouped(brew_count_at(judged, "members"), members));
    else if (need)
        brew_buf_adds(out, "; the value is the gate's own, no number of members would do");
    brew_buf_adds(out, ")\n");
}

static void write_gates(brew_buf *out, const brew_json *report) {
    const brew_json *gates = brew_json_get(report, "gates");
    for (size_t g = 0; g < brew_json_length(gates); g++) {
        const brew_json *gate = brew_json_at(gates, g), *cases = brew_json_get(gate, "cases");
        brew_buf_addf(out, "%sgate %s: ", g ? "" : "\n",
                      brew_json_string(brew_json_get(gate, "gate"), NULL));
        write_verdict(out, gate);
        for (size_t i = 0; i < brew_json_length(cases); i++) {
            const brew_json *one = brew_json_at(cases, i);
            brew_buf_addf(out, "  %s: ", brew_json_string(brew_json_get(one, "name"), NULL));
            write_verdict(out, one);
        }
    }
}

static void write_sampled(brew_buf *out, const brew_json *report) {
    if (brew_json_bool(brew_json_get(report, "sampled")))
        brew_buf_adds(out,
                      "\nsampled: the items were sampled at rates that the records do not give."
                      "\nCalibration is refused, and the other figures speak of such samples:"
                      "\ncompare them only with figures on the same ones\n");
}

void brew_report_text(brew_buf *out, const brew_json *report) {
    write_head(out, report);
    if (brew_json_get(report, "delta"))
        write_comparison(out, report);
    else
        write_metrics(out, report);
    write_moved(out, brew_json_get(report, "moved"));
    write_sampled(out, report);
    brew_report_text_systems(out, report);
    brew_report_text_tasks(out, report);
    brew_report_text_slices(out, report);
    brew_report_text_cut(out, report);
    brew_report_text_reliability(out, report);
    write_left_out(out, report);
    write_gates(out, report);
}
