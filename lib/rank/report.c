#include "rank/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

// What a report is made from: systems over one table of answers, and the fields to slice by.
struct source {
    const brew_answers *answers;
    const double *score[1 + BREW_BASELINES];
    size_t n;               // systems
    bool paired;            // two systems: a, b, delta
    const brew_reader *by;  // whose fields to slice by
    const uint32_t *by_row; // [answers->n] the rows in it, NULL: the same
    brew_evaluate_options options;
    brew_pool *pool;
};

static void put_int(brew_json *object, const char *key, uint64_t value) {
    brew_json_set(object, key, brew_json_new_int((int64_t)value));
}

static brew_json *metrics_json(const brew_figures *figures, int64_t k, bool calibration) {
    brew_json *out = brew_json_new_object();
    char name[BREW_METRIC_NAME];
    for (int i = 0; i < BREW_METRICS; i++) {
        if (!calibration && brew_metric_is_calibration(i)) continue;
        const brew_figure *f = &figures->of[i];
        brew_json *figure = brew_json_new_object();
        brew_json_set(figure, "value", brew_json_new_real(f->value));
        brew_json_set(figure, "lo", brew_json_new_real(f->lo));
        brew_json_set(figure, "hi", brew_json_new_real(f->hi));
        put_int(figure, "n", f->n);
        brew_metric_name(i, k, name);
        brew_json_set(out, name, figure);
    }
    return out;
}

// n, members, and the metrics of what is compared: of one system as "metrics", of two as a, b and delta.
static int put_figures(brew_json *out, const struct source *s, brew_figures *figures,
                       brew_err *err) {
    brew_figures delta[1 + BREW_BASELINES] = {0};
    int64_t k = s->options.k;
    if (brew_evaluate(s->answers, s->score, s->n, &s->options, s->pool, figures,
                      s->paired ? delta : NULL, err) < 0)
        return -1;
    put_int(out, "n", s->answers->n);
    put_int(out, "members", figures[0].counts.members);
    if (!s->paired) {
        brew_json_set(out, "metrics", metrics_json(&figures[0], k, true));
        return 0;
    }
    for (int i = 0; i < 2; i++) {
        brew_json *side = brew_json_new_object();
        brew_json_set(side, "metrics", metrics_json(&figures[i], k, true));
        brew_json_set(out, i ? "b" : "a", side);
    }
    brew_json_set(out, "delta", metrics_json(&delta[1], k, true));
    return 0;
}

// ---- slices ----

struct slice_value {
    const char *text; // NULL: missing
    uint32_t value;
};

// Numbers by size, texts by their bytes behind them, what is missing last.
static int by_text(const void *left, const void *right) {
    const struct slice_value *a = left, *b = right;
    if (!a->text || !b->text) return (b->text != NULL) - (a->text != NULL);
    double x, y;
    bool number_a = brew_parse_double(a->text, strlen(a->text), &x);
    bool number_b = brew_parse_double(b->text, strlen(b->text), &y);
    if (number_a && number_b && x != y) return x < y ? -1 : 1;
    if (number_a != number_b) return number_a ? -1 : 1;
    return strcmp(a->text, b->text);
}

// Ranges by their lower end: "0-5" before "11-100".
static int by_range(const void *left, const void *right) {
    const struct slice_value *a = left, *b = right;
    if (!a->text || !b->text) return (b->text != NULL) - (a->text != NULL);
    long x = strtol(a->text, NULL, 10), y = strtol(b->text, NULL, 10);
    return (x > y) - (x < y);
}

static uint32_t value_of(const struct source *s, const brew_by *by, size_t row) {
    return by->value[s->by_row ? s->by_row[row] : row];
}

static int put_slice(brew_json *slices, const struct source *s, const brew_by *by,
                     const struct slice_value *value, brew_err *err) {
    uint32_t *rows = brew_alloc((s->answers->n + 1) * sizeof *rows);
    size_t n = 0, m = s->paired ? 2 : 1;
    for (size_t i = 0; i < s->answers->n; i++)
        if (value_of(s, by, i) == value->value) rows[n++] = (uint32_t)i;
    int status = 0;
    if (n) {
        brew_answers part = {0};
        brew_figures figures[2];
        double *score[2];
        struct source of = *s;
        brew_answers_select(s->answers, rows, n, &part);
        of.answers = &part;
        of.n = m;
        for (size_t i = 0; i < m; i++) {
            of.score[i] = score[i] = brew_alloc(n * sizeof **score);
            for (size_t k = 0; k < n; k++) score[i][k] = s->score[i][rows[k]];
        }
        brew_json *slice = brew_json_new_object();
        brew_json_set(slice, "by", brew_json_new_string(by->field, strlen(by->field)));
        brew_json_set(slice, "value",
                      value->text ? brew_json_new_string(value->text, strlen(value->text))
                                  : brew_json_new_real(NAN));
        status = put_figures(slice, &of, figures, err);
        brew_json_push(slices, slice);
        for (size_t i = 0; i < m; i++) free(score[i]);
        brew_answers_release(&part);
    }
    free(rows);
    return status;
}

static int put_slices(brew_json *out, const struct source *s, brew_err *err) {
    brew_json *slices = brew_json_new_array();
    brew_json_set(out, "slices", slices);
    for (size_t b = 0; b < s->by->n_by; b++) {
        const brew_by *by = &s->by->by[b];
        size_t n = by->values.count;
        if (n == 0) continue;
        struct slice_value *values = brew_alloc((n + 1) * sizeof *values);
        for (size_t v = 0; v < n; v++)
            values[v] = (struct slice_value){brew_by_text(by, (uint32_t)v), (uint32_t)v};
        values[n] = (struct slice_value){NULL, BREW_BY_MISSING};
        qsort(values, n + 1, sizeof *values, by->history ? by_range : by_text);
        int status = 0;
        for (size_t v = 0; status == 0 && v <= n; v++)
            status = put_slice(slices, s, by, &values[v], err);
        free(values);
        if (status < 0) return -1;
    }
    return 0;
}

// ---- the rest of the object ----

static size_t count_members(const brew_answers *answers) {
    uint8_t *seen = brew_calloc(answers->n_members + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < answers->n; i++) {
        n += !seen[answers->member[i]];
        seen[answers->member[i]] = 1;
    }
    free(seen);
    return n;
}

static brew_evaluate_options choose(const brew_evaluate_options *asked,
                                    const brew_answers *answers) {
    brew_evaluate_options out = *asked;
    out.method = brew_interval_choose(asked->replicates, answers->n, count_members(answers));
    return out;
}

static void put_interval(brew_json *out, const struct source *s) {
    brew_json *interval = brew_json_new_object();
    bool boot = s->options.method == BREW_INTERVAL_BOOTSTRAP;
    const char *method = boot ? "bootstrap" : "clustered variance";
    brew_json_set(interval, "method", brew_json_new_string(method, strlen(method)));
    brew_json_set(interval, "cluster", brew_json_new_string("member", 6));
    brew_json_set(interval, "level", brew_json_new_real(.95));
    if (boot) {
        put_int(interval, "replicates", (uint64_t)s->options.replicates);
        put_int(interval, "seed", s->options.seed);
    }
    brew_json_set(out, "interval", interval);
}

static void put_counts(brew_json *out, const brew_figures *f, const brew_reader *reader) {
    brew_json *left = brew_json_new_object();
    put_int(left, "unknown_outcomes", reader->counts.unknown);
    put_int(left, "one_class_members", f->counts.one_class_members);
    put_int(left, "groups_without_positive", f->counts.groups_without_positive);
    brew_json_set(out, "left_out", left);
    put_int(out, "groups", f->counts.groups);
    put_int(out, "groups_without_negative", f->counts.groups_without_negative);
    put_int(out, "records", reader->counts.records);
    put_int(out, "records_without_member", reader->counts.records_without_member);
    brew_json_set(out, "weighted", brew_json_new_bool(reader->answers.weighted));
}

static void put_baselines(brew_json *out, const brew_baselines *b, const brew_answers *answers,
                          const brew_figures *figures, int64_t k) {
    brew_json *baselines = brew_json_new_object(), *events = brew_json_new_object();
    uint64_t members, items;
    for (int i = 0; i < BREW_BASELINES; i++)
        brew_json_set(baselines, brew_baseline_name(i),
                      metrics_json(&figures[i], k, brew_baseline_is_probability(i)));
    brew_json_set(out, "baselines", baselines);
    brew_baselines_unseen(b, answers, &members, &items);
    put_int(events, "before_split", b->all.n);
    put_int(events, "positive", b->all.positives);
    put_int(events, "answers_of_unseen_members", members);
    put_int(events, "answers_of_unseen_items", items);
    brew_json_set(out, "events", events);
}

brew_json *brew_report_one(const brew_reader *reader, const brew_baselines *baselines,
                           const brew_evaluate_options *options, brew_pool *pool, brew_err *err) {
    brew_json *out = brew_json_new_object();
    brew_figures figures[1 + BREW_BASELINES];
    double *score[BREW_BASELINES] = {NULL};
    struct source s = {.answers = &reader->answers,
                       .n = 1,
                       .by = reader,
                       .options = choose(options, &reader->answers),
                       .pool = pool,
                       .score = {reader->answers.score}};
    for (int i = 0; baselines && i < BREW_BASELINES; i++) {
        score[i] = brew_alloc((reader->answers.n + 1) * sizeof **score);
        brew_baselines_score(baselines, s.answers, i, score[i]);
        s.score[s.n++] = score[i];
    }
    int status = put_figures(out, &s, figures, err);
    if (status == 0) {
        put_counts(out, &figures[0], reader);
        if (baselines) put_baselines(out, baselines, s.answers, &figures[1], options->k);
        put_interval(out, &s);
        status = put_slices(out, &s, err);
    }
    for (int i = 0; i < BREW_BASELINES; i++) free(score[i]);
    if (status == 0) return out;
    brew_json_free(out);
    return NULL;
}

brew_json *brew_report_two(const brew_reader *a, const brew_reader *b, const brew_join *join,
                           const brew_evaluate_options *options, brew_pool *pool, brew_err *err) {
    brew_json *out = brew_json_new_object();
    brew_answers answers = {0};
    brew_figures figures[2];
    double *score = brew_alloc((join->n + 1) * sizeof *score);
    brew_answers_select(&a->answers, join->row_a, join->n, &answers);
    for (size_t i = 0; i < join->n; i++) score[i] = b->answers.score[join->row_b[i]];
    struct source s = {.answers = &answers,
                       .score = {answers.score, score},
                       .n = 2,
                       .paired = true,
                       .by = a,
                       .by_row = join->row_a,
                       .options = choose(options, &answers),
                       .pool = pool};
    int status = put_figures(out, &s, figures, err);
    if (status == 0) {
        put_counts(out, &figures[0], a);
        brew_json *missing = brew_json_new_object();
        put_int(missing, "only_a", join->only_a);
        put_int(missing, "only_b", join->only_b);
        brew_json_set(out, "missing", missing);
        put_interval(out, &s);
        status = put_slices(out, &s, err);
    }
    free(score);
    brew_answers_release(&answers);
    if (status == 0) return out;
    brew_json_free(out);
    return NULL;
}
