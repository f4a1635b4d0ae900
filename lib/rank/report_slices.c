// Parts of the answers, each measured alone: slices and tasks, and the mean and the worst over tasks.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rank/report_parts.h"

// The answers with one value of one field, with the scores of the first one or two systems.
struct part {
    uint32_t value;
    brew_answers answers;
    double *score[2];
    brew_figures figures[2], delta[2];
};

static uint32_t value_of(const struct brew_report_source *s, const brew_by *by, size_t row) {
    return by->value[s->by_row ? s->by_row[row] : row];
}

static size_t systems(const struct brew_report_source *s) {
    return s->paired ? 2 : 1;
}

static void release(struct part *part) {
    for (int i = 0; i < 2; i++) free(part->score[i]);
    brew_answers_release(&part->answers);
}

// Figures of one part; without rows answers.n is 0.
static int measure(struct part *part, const struct brew_report_source *s, const brew_by *by,
                   brew_err *err) {
    uint32_t *rows = brew_alloc((s->answers->n + 1) * sizeof *rows);
    size_t n = 0;
    for (size_t i = 0; i < s->answers->n; i++)
        if (value_of(s, by, i) == part->value) rows[n++] = (uint32_t)i;
    brew_answers_select(s->answers, rows, n, &part->answers);
    for (size_t i = 0; n && i < systems(s); i++) {
        part->score[i] = brew_alloc(n * sizeof **part->score);
        for (size_t k = 0; k < n; k++) part->score[i][k] = s->score[i][rows[k]];
    }
    free(rows);
    if (n == 0) return 0;
    return brew_evaluate(&part->answers, (const double *const *)part->score, systems(s),
                         &s->options, s->pool, part->figures, part->delta, err);
}

static void put_part(brew_json *out, const struct brew_report_source *s, const struct part *part) {
    brew_report_int(out, "n", part->answers.n);
    brew_report_int(out, "members", part->figures[0].counts.members);
    brew_report_put(out, s, part->figures, part->delta);
}

static int put_slice(brew_json *slices, const struct brew_report_source *s, const brew_by *by,
                     uint32_t value, brew_err *err) {
    struct part *part = brew_calloc(1, sizeof *part);
    const char *text = brew_by_text(by, value);
    part->value = value;
    int status = measure(part, s, by, err);
    if (status == 0 && part->answers.n) {
        brew_json *slice = brew_json_new_object();
        brew_json_set(slice, "by", brew_json_new_string(by->name, strlen(by->name)));
        brew_json_set(slice, "value",
                      text ? brew_json_new_string(text, strlen(text)) : brew_json_new_real(NAN));
        put_part(slice, s, part);
        brew_json_push(slices, slice);
    }
    release(part);
    free(part);
    return status;
}

int brew_report_slices(brew_json *out, const struct brew_report_source *s, brew_err *err) {
    brew_json *slices = brew_json_new_array();
    int status = 0;
    brew_json_set(out, "slices", slices);
    for (size_t b = 0; status == 0 && b < s->by->n_by; b++) {
        const brew_by *by = &s->by->by[b];
        size_t n = by->values.count;
        if (n == 0) continue;
        uint32_t *order = brew_alloc((n + 1) * sizeof *order);
        brew_by_order(by, order);
        for (size_t v = 0; status == 0 && v <= n; v++)
            status = put_slice(slices, s, by, order[v], err);
        free(order);
    }
    return status;
}

// ---- tasks ----

static bool worse(double x, double than, int direction) {
    return isnan(than) || (direction > 0 ? x < than : x > than);
}

// The worst task's figure of each metric that has a better and a worse.
static brew_json *worst_json(const struct brew_report_source *s, const struct part *parts, size_t n,
                             bool delta) {
    brew_json *out = brew_json_new_object();
    for (int i = 0; i < BREW_METRICS; i++) {
        int direction = brew_metric_direction(i);
        const brew_figure *worst = NULL;
        uint32_t task = 0;
        char name[BREW_METRIC_NAME];
        if (direction == 0 || (s->sampled && brew_metric_is_calibration(i))) continue;
        for (size_t p = 0; p < n; p++) {
            const brew_figure *f = delta ? &parts[p].delta[1].of[i] : &parts[p].figures[0].of[i];
            if (isnan(f->value) || !worse(f->value, worst ? worst->value : NAN, direction))
                continue;
            worst = f;
            task = parts[p].value;
        }
        if (!worst) continue;
        const char *text = brew_by_text(&s->by->task, task);
        brew_json *figure = brew_json_new_object();
        brew_json_set(figure, "value", brew_json_new_real(worst->value));
        brew_json_set(figure, "lo", brew_json_new_real(worst->lo));
        brew_json_set(figure, "hi", brew_json_new_real(worst->hi));
        brew_report_int(figure, "n", worst->n);
        brew_json_set(figure, "task",
                      text ? brew_json_new_string(text, strlen(text)) : brew_json_new_real(NAN));
        brew_metric_name(i, s->options.k, name);
        brew_json_set(out, name, figure);
    }
    return out;
}

static int put_macro(brew_json *out, const struct brew_report_source *s, const struct part *parts,
                     size_t n, brew_err *err) {
    brew_answers *answers = brew_alloc(n * sizeof *answers);
    const double **score = brew_alloc(n * 2 * sizeof *score);
    brew_figures *figures = brew_calloc(4, sizeof *figures);
    for (size_t p = 0; p < n; p++) {
        answers[p] = parts[p].answers;
        for (size_t i = 0; i < systems(s); i++) score[p * systems(s) + i] = parts[p].score[i];
    }
    int status = brew_evaluate_macro(answers, n, score, systems(s), &s->options, s->pool, figures,
                                     figures + 2, err);
    brew_json *macro = brew_json_new_object();
    brew_report_int(macro, "tasks", n);
    if (status == 0) brew_report_put(macro, s, figures, figures + 2);
    brew_json_set(out, "macro", macro);
    free(figures);
    free(score);
    free(answers);
    return status;
}

int brew_report_tasks(brew_json *out, const struct brew_report_source *s, brew_err *err) {
    const brew_by *by = &s->by->task;
    size_t n = by->values.count, kept = 0;
    if (n < 2) return 0;
    uint32_t *order = brew_alloc((n + 1) * sizeof *order);
    struct part *parts = brew_calloc(n, sizeof *parts);
    brew_json *tasks = brew_json_new_object();
    int status = 0;
    brew_by_order(by, order);
    for (size_t v = 0; status == 0 && v < n; v++) {
        struct part *part = &parts[kept];
        part->value = order[v];
        status = measure(part, s, by, err);
        if (status < 0 || part->answers.n == 0) {
            release(part);
            *part = (struct part){0};
            continue;
        }
        brew_json *task = brew_json_new_object();
        put_part(task, s, part);
        brew_json_set(tasks, brew_by_text(by, order[v]), task);
        kept++;
    }
    brew_json_set(out, "tasks", tasks);
    if (status == 0 && kept > 1) {
        status = put_macro(out, s, parts, kept, err);
        brew_json_set(out, "worst", worst_json(s, parts, kept, s->paired));
    }
    for (size_t p = 0; p < n; p++) release(&parts[p]);
    free(parts);
    free(order);
    return status;
}
