// Tables of the report behind its metrics.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "rank/metrics.h"
#include "rank/report.h"
#include "rank/report_table.h"

static const char *const shown[] = {"positive_rate", "auc", "auc_member", "logloss", "copc"};
enum { SHOWN = sizeof shown / sizeof *shown };

static void add_heads(brew_cells *t, const char *first) {
    brew_cells_add(t, first);
    brew_cells_add(t, "n");
    brew_cells_add(t, "members");
    for (size_t i = 0; i < SHOWN; i++) {
        brew_cells_add(t, shown[i]);
        if (i == 1) brew_cells_add(t, "95 % interval");
    }
    t->columns = SHOWN + 4;
}

static void add_part(brew_cells *t, const char *name, const brew_json *part, bool paired) {
    const brew_json *metrics = brew_json_get(part, paired ? "delta" : "metrics");
    brew_cells_add(t, name);
    brew_cells_count(t, brew_count_at(part, "n"));
    brew_cells_count(t, brew_count_at(part, "members"));
    for (size_t i = 0; i < SHOWN; i++) {
        const brew_json *figure = brew_json_get(metrics, shown[i]);
        brew_cells_value(t, figure, paired);
        if (i == 1) brew_cells_interval(t, figure, paired);
    }
}

void brew_report_text_slices(brew_buf *out, const brew_json *report) {
    const brew_json *slices = brew_json_get(report, "slices");
    bool paired = brew_json_get(report, "delta") != NULL;
    brew_cells t = {.columns = 1};
    if (brew_json_length(slices) == 0) return;
    brew_buf_adds(out, paired ? "\nslices, B - A\n" : "\nslices\n");
    add_heads(&t, "by");
    for (size_t s = 0; s < brew_json_length(slices); s++) {
        const brew_json *slice = brew_json_at(slices, s), *value = brew_json_get(slice, "value");
        char text[BREW_CELL];
        snprintf(text, sizeof text, "%s %s", brew_json_string(brew_json_get(slice, "by"), NULL),
                 brew_json_is(value, BREW_JSON_STRING) ? brew_json_string(value, NULL) : "(none)");
        add_part(&t, text, slice, paired);
    }
    brew_cells_write(out, &t);
}

// Tasks one by one, then their mean, and the worst value of each column.
void brew_report_text_tasks(brew_buf *out, const brew_json *report) {
    const brew_json *tasks = brew_json_get(report, "tasks"),
                    *worst = brew_json_get(report, "worst");
    bool paired = brew_json_get(report, "delta") != NULL;
    brew_cells t = {.columns = 1};
    brew_json_iter it = {0};
    if (!tasks) return;
    brew_buf_adds(out, paired ? "\ntasks, B - A\n" : "\ntasks\n");
    add_heads(&t, "task");
    while (brew_json_next(tasks, &it)) add_part(&t, it.key, it.value, paired);
    if (worst) {
        add_part(&t, "(mean of tasks)", brew_json_get(report, "macro"), paired);
        for (size_t i = t.n - SHOWN - 3; i < t.n - SHOWN - 1; i++) *t.cell[i] = 0;
        brew_cells_add(&t, "(worst)");
        brew_cells_add(&t, "");
        brew_cells_add(&t, "");
        for (size_t i = 0; i < SHOWN; i++) {
            brew_cells_value(&t, brew_json_get(worst, shown[i]), paired);
            if (i == 1) brew_cells_interval(&t, brew_json_get(worst, shown[i]), paired);
        }
    }
    brew_cells_write(out, &t);
}

// What a table of systems says of each.
struct columns {
    char name[8][BREW_METRIC_NAME];
    size_t n;
};

static void add_system(brew_cells *t, const char *name, const brew_json *figures,
                       const struct columns *columns, bool lead) {
    brew_cells_add(t, name);
    for (size_t i = 0; i < columns->n; i++) {
        brew_cells_value(t, brew_json_get(figures, columns->name[i]), lead);
        if (lead) brew_cells_interval(t, brew_json_get(figures, columns->name[i]), true);
    }
}

// A row for each system; leads: of `ahead`, with intervals.
static void add_systems(brew_cells *t, const brew_json *of, const struct columns *columns,
                        bool leads) {
    static const char *const kinds[][2] = {{"baselines", ""}, {"as_of", " as of"}, {"systems", ""}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        brew_json_iter it = {0};
        while (brew_json_next(brew_json_get(of, kinds[k][0]), &it)) {
            char name[BREW_CELL];
            snprintf(name, sizeof name, "%s%s", it.key, kinds[k][1]);
            add_system(t, name, it.value, columns, leads);
        }
    }
}

static void add_column(struct columns *columns, const char *name) {
    snprintf(columns->name[columns->n++], BREW_METRIC_NAME, "%s", name);
}

// Every other system beside ours, and how far ours is ahead of it.
void brew_report_text_systems(brew_buf *out, const brew_json *report) {
    static const char *const measures[] = {"auc", "pr_auc",  "auc_member", "ndcg",
                                           "mrr", "logloss", "ece"};
    const brew_json *ahead = brew_json_get(report, "ahead"),
                    *metrics = brew_json_get(report, "metrics");
    struct columns values = {.n = 0}, leads = {.n = 0};
    brew_json_iter it = {0};
    if (!ahead) return;
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++)
        add_column(&values, measures[i]);
    while (brew_json_next(metrics, &it))
        if (!strncmp(it.key, "ndcg", 4)) snprintf(values.name[3], BREW_METRIC_NAME, "%s", it.key);
    add_column(&leads, "auc");
    add_column(&leads, "auc_member");
    brew_cells t = {.columns = 1 + values.n};
    brew_cells_add(&t, "system");
    for (size_t i = 0; i < values.n; i++) brew_cells_add(&t, values.name[i]);
    add_system(&t, "(the scores)", metrics, &values, false);
    add_systems(&t, report, &values, false);
    brew_buf_adds(out, "\nbeside other systems\n");
    brew_cells_write(out, &t);
    t = (brew_cells){.columns = 1 + 2 * leads.n};
    brew_cells_add(&t, "system");
    for (size_t i = 0; i < leads.n; i++) {
        brew_cells_add(&t, leads.name[i]);
        brew_cells_add(&t, "95 % interval");
    }
    add_systems(&t, ahead, &leads, true);
    brew_buf_adds(out, "\nby how much the scores are ahead of them\n");
    brew_cells_write(out, &t);
}

void brew_report_text_cut(brew_buf *out, const brew_json *report) {
    static const char *const measures[] = {"auc", "auc_member"};
    brew_cells t = {.columns = 7};
    brew_json_iter it = {0};
    const brew_json *truncated = brew_json_get(report, "truncated");
    if (!truncated || !brew_json_next(truncated, &it)) return;
    brew_cells_add(&t, "lines");
    brew_cells_add(&t, "n");
    brew_cells_add(&t, "members");
    for (size_t i = 0; i < 2; i++) {
        brew_cells_add(&t, measures[i]);
        brew_cells_add(&t, "less whole");
    }
    it = (brew_json_iter){0};
    while (brew_json_next(truncated, &it)) {
        brew_cells_add(&t, it.key);
        brew_cells_count(&t, brew_count_at(it.value, "n"));
        brew_cells_count(&t, brew_count_at(it.value, "members"));
        for (size_t i = 0; i < 2; i++) {
            brew_cells_value(&t, brew_json_get(brew_json_get(it.value, "metrics"), measures[i]),
                             false);
            brew_cells_interval(&t, brew_json_get(brew_json_get(it.value, "delta"), measures[i]),
                                true);
        }
    }
    brew_buf_adds(out, "\nhistories cut to their last lines, less the same questions with all of "
                       "them\n");
    brew_cells_write(out, &t);
}

void brew_report_text_reliability(brew_buf *out, const brew_json *report) {
    const brew_json *bins = brew_json_get(report, "reliability");
    brew_cells t = {.columns = 6};
    if (brew_json_length(bins) == 0) return;
    brew_buf_adds(out, "\nreliability\n");
    static const char *const heads[] = {"scores",        "predicted", "observed",
                                        "95 % interval", "n",         ""};
    for (size_t i = 0; i < t.columns; i++) brew_cells_add(&t, heads[i]);
    for (size_t b = 0; b < brew_json_length(bins); b++) {
        const brew_json *bin = brew_json_at(bins, b);
        double predicted = brew_json_real(brew_json_get(bin, "predicted"));
        const brew_json *lo = brew_json_get(bin, "lo"), *hi = brew_json_get(bin, "hi");
        char text[BREW_CELL];
        snprintf(text, sizeof text, "%.4f-%.4f", brew_json_real(brew_json_get(bin, "from")),
                 brew_json_real(brew_json_get(bin, "to")));
        brew_cells_add(&t, text);
        snprintf(text, sizeof text, "%.4f", predicted);
        brew_cells_add(&t, text);
        snprintf(text, sizeof text, "%.4f", brew_json_real(brew_json_get(bin, "observed")));
        brew_cells_add(&t, text);
        brew_cells_interval(&t, bin, false);
        brew_cells_count(&t, brew_count_at(bin, "n"));
        bool known = brew_is_number(lo) && brew_is_number(hi);
        brew_cells_add(&t, !known                           ? ""
                           : predicted < brew_json_real(lo) ? "too low"
                           : predicted > brew_json_real(hi) ? "too high"
                                                            : "");
    }
    brew_cells_write(out, &t);
}
