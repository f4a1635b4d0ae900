#include "rank/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rank/moved.h"
#include "rank/reliability.h"
#include "rank/report_parts.h"

void brew_report_int(brew_json *object, const char *key, uint64_t value) {
    brew_json_set(object, key, brew_json_new_int((int64_t)value));
}

brew_json *brew_report_metrics(const brew_figures *figures, int64_t k,
                               enum brew_report_scores are) {
    brew_json *out = brew_json_new_object();
    char name[BREW_METRIC_NAME];
    for (int i = 0; i < BREW_METRICS; i++) {
        bool blank = brew_metric_is_calibration(i) && are != BREW_SCORES_ARE_PROBABILITIES;
        if (blank && are == BREW_SCORES_ARE_AN_ORDER) continue;
        const brew_figure *f = &figures->of[i];
        brew_json *figure = brew_json_new_object();
        brew_json_set(figure, "value", brew_json_new_real(blank ? NAN : f->value));
        brew_json_set(figure, "lo", brew_json_new_real(blank ? NAN : f->lo));
        brew_json_set(figure, "hi", brew_json_new_real(blank ? NAN : f->hi));
        brew_report_int(figure, "n", f->n);
        if (are == BREW_SCORES_ARE_SAMPLED)
            brew_json_set(figure, "sampled", brew_json_new_bool(true));
        brew_metric_name(i, k, name);
        brew_json_set(out, name, figure);
    }
    return out;
}

void brew_report_put(brew_json *out, const struct brew_report_source *s,
                     const brew_figures *figures, const brew_figures *delta) {
    enum brew_report_scores are =
        s->sampled ? BREW_SCORES_ARE_SAMPLED : BREW_SCORES_ARE_PROBABILITIES;
    int64_t k = s->options.k;
    if (!s->paired) {
        brew_json_set(out, "metrics", brew_report_metrics(&figures[0], k, are));
        return;
    }
    for (int i = 0; i < 2; i++) {
        brew_json *side = brew_json_new_object();
        brew_json_set(side, "metrics", brew_report_metrics(&figures[i], k, are));
        brew_json_set(out, i ? "b" : "a", side);
    }
    brew_json_set(out, "delta", brew_report_metrics(&delta[1], k, are));
}

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

static void put_interval(brew_json *out, const struct brew_report_source *s) {
    brew_json *interval = brew_json_new_object();
    bool boot = s->options.method == BREW_INTERVAL_BOOTSTRAP;
    const char *method = boot ? "bootstrap" : "clustered variance";
    brew_json_set(interval, "method", brew_json_new_string(method, strlen(method)));
    brew_json_set(interval, "cluster", brew_json_new_string("member", 6));
    brew_json_set(interval, "level", brew_json_new_real(.95));
    if (boot) {
        brew_report_int(interval, "replicates", (uint64_t)s->options.replicates);
        brew_report_int(interval, "seed", s->options.seed);
    }
    brew_json_set(out, "interval", interval);
}

static void put_counts(brew_json *out, const brew_figures *f, const brew_reader *reader,
                       const brew_answers *answers) {
    brew_json *left = brew_json_new_object();
    char digest[33];
    brew_report_int(left, "unknown_outcomes", reader->counts.unknown);
    brew_report_int(left, "one_class_members", f->counts.one_class_members);
    brew_report_int(left, "groups_without_positive", f->counts.groups_without_positive);
    brew_json_set(out, "left_out", left);
    brew_report_int(out, "groups", f->counts.groups);
    brew_report_int(out, "groups_without_negative", f->counts.groups_without_negative);
    brew_report_int(out, "records", reader->counts.records);
    brew_report_int(out, "records_without_member", reader->counts.records_without_member);
    brew_json_set(out, "weighted", brew_json_new_bool(answers->weighted));
    brew_json_set(out, "graded", brew_json_new_bool(answers->graded));
    brew_json_set(out, "sampled", brew_json_new_bool(reader->counts.sampled > 0));
    brew_reader_questions(reader, digest);
    brew_json_set(out, "questions", brew_json_new_string(digest, 32));
}

static int put_reliability(brew_json *out, const struct brew_report_source *s, brew_err *err) {
    brew_reliability_bin bins[BREW_ECE_BINS];
    brew_json *table = brew_json_new_array();
    brew_json_set(out, "reliability", table);
    if (s->sampled) return 0;
    if (brew_reliability(s->answers, s->score[0], s->pool, bins, err) < 0) return -1;
    for (int i = 0; i < BREW_ECE_BINS; i++) {
        if (bins[i].n == 0) continue;
        const struct {
            const char *key;
            double value;
        } reals[] = {
            {"from", bins[i].from},         {"to", bins[i].to}, {"predicted", bins[i].predicted},
            {"observed", bins[i].observed}, {"lo", bins[i].lo}, {"hi", bins[i].hi}};
        brew_json *bin = brew_json_new_object();
        for (size_t k = 0; k < sizeof reals / sizeof *reals; k++)
            brew_json_set(bin, reals[k].key, brew_json_new_real(reals[k].value));
        brew_report_int(bin, "n", bins[i].n);
        brew_report_int(bin, "members", bins[i].members);
        brew_json_push(table, bin);
    }
    return 0;
}

static brew_json *child(brew_json *object, const char *key) {
    brew_json *found = brew_json_get(object, key);
    if (found) return found;
    found = brew_json_new_object();
    brew_json_set(object, key, found);
    return found;
}

static void turn(brew_figures *figures) {
    for (int i = 0; i < BREW_METRICS; i++) {
        brew_figure *f = &figures->of[i];
        double lo = f->lo;
        f->value = 0 - f->value;
        f->lo = 0 - f->hi;
        f->hi = 0 - lo;
    }
}

// The other systems by kind and name, and "ahead": ours less theirs, paired.
static void put_systems(brew_json *out, const struct brew_report_source *s,
                        const brew_systems *others, const brew_figures *figures,
                        brew_figures *delta) {
    if (others->n == 0) return;
    brew_json *ahead = brew_json_new_object();
    for (size_t i = 0; i < others->n; i++) {
        const brew_system *other = &others->list[i];
        enum brew_report_scores are = !other->probability ? BREW_SCORES_ARE_AN_ORDER
                                      : s->sampled        ? BREW_SCORES_ARE_SAMPLED
                                                          : BREW_SCORES_ARE_PROBABILITIES;
        brew_json_set(child(out, other->kind), other->name,
                      brew_report_metrics(&figures[1 + i], s->options.k, are));
        turn(&delta[1 + i]);
        brew_json_set(child(ahead, other->kind), other->name,
                      brew_report_metrics(&delta[1 + i], s->options.k, are));
    }
    brew_json_set(out, "ahead", ahead);
}

// The rows that every system has a score for: all (NULL), or a list of *n.
static uint32_t *common_rows(const brew_answers *answers, const brew_systems *others,
                             brew_json *out, size_t *n) {
    uint8_t *lacks = brew_calloc(answers->n + 1, 1);
    brew_json *missing = brew_json_new_object();
    uint32_t *rows = NULL;
    size_t lacking = 0;
    for (size_t o = 0; o < others->n; o++) {
        size_t own = 0;
        for (size_t i = 0; i < answers->n; i++)
            if (isnan(others->list[o].score[i])) own += lacks[i] = 1;
        if (own) brew_report_int(missing, others->list[o].name, own);
        lacking += own;
    }
    *n = 0;
    if (lacking) {
        rows = brew_alloc((answers->n + 1) * sizeof *rows);
        for (size_t i = 0; i < answers->n; i++)
            if (!lacks[i]) rows[(*n)++] = (uint32_t)i;
        brew_json_set(out, "missing", missing);
    } else {
        brew_json_free(missing);
    }
    free(lacks);
    return rows;
}

static const double **columns_of(const brew_reader *reader, const brew_systems *others,
                                 const uint32_t *rows, size_t n) {
    const double **score = brew_alloc((1 + others->n) * sizeof *score);
    for (size_t o = 0; o <= others->n; o++) {
        const double *from = o ? others->list[o - 1].score : reader->answers.score;
        double *to = brew_realloc_array(NULL, (rows ? n : reader->answers.n) + 1, sizeof *to);
        for (size_t i = 0; i < (rows ? n : reader->answers.n); i++)
            to[i] = from[rows ? rows[i] : i];
        score[o] = to;
    }
    return score;
}

brew_json *brew_report_one(const brew_reader *reader, const brew_systems *others,
                           const brew_evaluate_options *options, brew_pool *pool, brew_err *err) {
    static const brew_systems none;
    if (!others) others = &none;
    brew_json *out = brew_json_new_object(), *about = brew_json_new_object();
    brew_answers kept = {0};
    size_t n = 0, systems = 1 + others->n;
    uint32_t *rows = common_rows(&reader->answers, others, about, &n);
    if (rows) brew_answers_select(&reader->answers, rows, n, &kept);
    const double **score = columns_of(reader, others, rows, n);
    brew_figures *figures = brew_calloc(2 * systems, sizeof *figures), *delta = figures + systems;
    struct brew_report_source s = {.answers = rows ? &kept : &reader->answers,
                                   .score = score,
                                   .n = systems,
                                   .sampled = reader->counts.sampled > 0,
                                   .by = reader,
                                   .by_row = rows,
                                   .pool = pool};
    s.options = choose(options, s.answers);
    int status = brew_evaluate(s.answers, s.score, s.n, &s.options, pool, figures, delta, err);
    if (status == 0) {
        brew_report_int(out, "n", s.answers->n);
        brew_report_int(out, "members", figures[0].counts.members);
        brew_report_put(out, &s, figures, NULL);
        put_counts(out, &figures[0], reader, s.answers);
        put_systems(out, &s, others, figures, delta);
        if (rows) brew_json_set(out, "missing", brew_json_copy(brew_json_get(about, "missing")));
        put_interval(out, &s);
        status = brew_report_tasks(out, &s, err);
    }
    if (status == 0) status = brew_report_slices(out, &s, err);
    if (status == 0) status = brew_report_cut(out, &s, reader, err);
    if (status == 0) status = put_reliability(out, &s, err);
    for (size_t i = 0; i < systems; i++) free((void *)score[i]);
    free(score);
    free(figures);
    free(rows);
    brew_answers_release(&kept);
    brew_json_free(about);
    if (status == 0) return out;
    brew_json_free(out);
    return NULL;
}

static void put_moved(brew_json *out, const brew_answers *answers, const double *to) {
    brew_moved moved = brew_moved_to(answers, to);
    brew_json *object = brew_json_new_object();
    brew_json_set(object, "divergence", brew_json_new_real(moved.divergence));
    brew_json_set(object, "shift", brew_json_new_real(moved.shift));
    brew_json_set(object, "between", brew_json_new_real(moved.between));
    brew_json_set(object, "within", brew_json_new_real(moved.within));
    brew_json_set(out, "moved", object);
}

brew_json *brew_report_two(const brew_reader *a, const brew_reader *b, const brew_join *join,
                           const brew_evaluate_options *options, brew_pool *pool, brew_err *err) {
    brew_json *out = brew_json_new_object();
    brew_answers answers = {0};
    brew_figures figures[2], delta[2];
    double *score = brew_alloc((join->n + 1) * sizeof *score);
    brew_answers_select(&a->answers, join->row_a, join->n, &answers);
    for (size_t i = 0; i < join->n; i++) score[i] = b->answers.score[join->row_b[i]];
    const double *both[] = {answers.score, score};
    struct brew_report_source s = {.answers = &answers,
                                   .score = both,
                                   .n = 2,
                                   .paired = true,
                                   .sampled = a->counts.sampled + b->counts.sampled > 0,
                                   .by = a,
                                   .by_row = join->row_a,
                                   .options = choose(options, &answers),
                                   .pool = pool};
    int status = brew_evaluate(&answers, both, 2, &s.options, pool, figures, delta, err);
    if (status == 0) {
        brew_report_int(out, "n", answers.n);
        brew_report_int(out, "members", figures[0].counts.members);
        brew_report_put(out, &s, figures, delta);
        put_moved(out, &answers, score);
        put_counts(out, &figures[0], a, &answers);
        brew_json *missing = brew_json_new_object();
        brew_report_int(missing, "only_a", join->only_a);
        brew_report_int(missing, "only_b", join->only_b);
        brew_json_set(out, "missing", missing);
        put_interval(out, &s);
        status = brew_report_tasks(out, &s, err);
    }
    if (status == 0) status = brew_report_slices(out, &s, err);
    free(score);
    brew_answers_release(&answers);
    if (status == 0) return out;
    brew_json_free(out);
    return NULL;
}
