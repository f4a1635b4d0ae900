#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/inspect_parts.h"
#include "text/lines.h"
#include "text/request.h"

// Least, mean and most of a count over records.
typedef struct range {
    int64_t least, most, sum, n;
} range;

static void range_add(range *r, int64_t value) {
    if (!r->n || value < r->least) r->least = value;
    if (!r->n || value > r->most) r->most = value;
    r->sum += value;
    r->n++;
}

static void report_range(brew_json *report, const char *key, const range *r) {
    if (!r->n) return;
    brew_json *object = brew_json_new_object();
    brew_report_int(object, "least", r->least);
    brew_report_real(object, "mean", (double)r->sum / (double)r->n);
    brew_report_int(object, "most", r->most);
    brew_json_set(report, key, object);
}

typedef struct prompts {
    brew_request request;
    range items, query_bytes, query_ids;
    int64_t texts, answered, known;
    int64_t *labels; // [n_labels] targets by label
    size_t n_labels, labels_cap;
    brew_intern splits;
    int64_t *split_counts;
    size_t split_cap;
} prompts;

typedef struct scores {
    range items;
    int64_t answers, known, positive;
    double sum; // of the positive labels' probability
} scores;

static void count_split(prompts *p, const char *meta, size_t len) {
    brew_json *record = brew_json_parse(meta, len, NULL);
    const brew_json *split = record ? brew_json_get(brew_json_get(record, "meta"), "split") : NULL;
    if (brew_json_is(split, BREW_JSON_STRING)) {
        size_t name_len;
        const char *name = brew_json_string(split, &name_len);
        size_t at = brew_intern_put(&p->splits, name, name_len), old = p->split_cap;
        BREW_GROW(p->split_counts, at + 1, p->split_cap);
        for (; old < p->split_cap; old++) p->split_counts[old] = 0;
        p->split_counts[at]++;
    }
    brew_json_free(record);
}

static int add_prompt(prompts *p, const char *line, size_t len, brew_err *err) {
    brew_request *r = &p->request;
    if (brew_request_parse(r, line, len, err)) return -1;
    if (r->query.ids)
        range_add(&p->query_ids, (int64_t)r->query.n_ids);
    else
        range_add(&p->query_bytes, (int64_t)r->query.len);
    if (r->is_plain) {
        p->texts++;
        return 0;
    }
    range_add(&p->items, (int64_t)r->n_items);
    p->answered += (int64_t)r->n_answered;
    for (size_t i = 0; i < r->n_items; i++) {
        if (!r->targets || r->targets[i] < 0) continue;
        size_t label = (size_t)r->targets[i], old = p->labels_cap;
        p->known++;
        BREW_GROW(p->labels, label + 1, p->labels_cap);
        for (; old < p->labels_cap; old++) p->labels[old] = 0;
        if (label >= p->n_labels) p->n_labels = label + 1;
        p->labels[label]++;
    }
    count_split(p, r->meta.ptr ? r->meta.ptr : "", r->meta.len);
    return 0;
}

static bool is_positive(const brew_json *positive, int64_t label) {
    if (!brew_json_length(positive)) return label == 0;
    for (size_t i = 0; i < brew_json_length(positive); i++) {
        const brew_json *one = brew_json_at(positive, i);
        if (brew_json_is(one, BREW_JSON_INT) && brew_json_int(one) == label) return true;
    }
    return false;
}

static int add_item(scores *s, const brew_json *labels, const brew_json *positive,
                    const brew_json *target, size_t item, brew_err *err) {
    size_t n = brew_json_length(labels);
    if (!n)
        return brew_fail(err, BREW_DATA, "\"scores\"[%zu] must be an array of probabilities", item);
    for (size_t l = 0; l < n; l++) {
        const brew_json *p = brew_json_at(labels, l);
        bool number = brew_json_is(p, BREW_JSON_INT) || brew_json_is(p, BREW_JSON_REAL);
        double value = number ? brew_json_real(p) : -1;
        if (!(value >= 0 && value <= 1))
            return brew_fail(err, BREW_DATA, "\"scores\"[%zu][%zu] must be a probability", item, l);
        if (is_positive(positive, (int64_t)l)) s->sum += value;
    }
    s->answers++;
    if (!brew_json_is(target, BREW_JSON_INT) || brew_json_int(target) < 0) return 0;
    s->known++;
    s->positive += is_positive(positive, brew_json_int(target));
    return 0;
}

static int add_scores(scores *s, const brew_json *record, brew_err *err) {
    const brew_json *all = brew_json_get(record, "scores"),
                    *targets = brew_json_get(record, "targets");
    if (!brew_json_is(all, BREW_JSON_ARRAY))
        return brew_fail(err, BREW_DATA, "\"scores\" must be an array");
    for (size_t i = 0; i < brew_json_length(all); i++)
        if (add_item(s, brew_json_at(all, i), brew_json_get(record, "positive"),
                     brew_json_at(targets, i), i, err))
            return -1;
    range_add(&s->items, (int64_t)brew_json_length(all));
    return 0;
}

// A row of another system's output: one answer, {"score":0.31,"label":1}.
static int add_row(scores *s, const brew_json *record, brew_err *err) {
    const brew_json *score = brew_json_get(record, "score"),
                    *label = brew_json_get(record, "label");
    bool number = brew_json_is(score, BREW_JSON_INT) || brew_json_is(score, BREW_JSON_REAL);
    double value = number ? brew_json_real(score) : -1;
    if (!(value >= 0 && value <= 1))
        return brew_fail(err, BREW_DATA, "\"score\" must be a probability");
    bool is_bool = brew_json_is(label, BREW_JSON_BOOL);
    int64_t outcome = is_bool                              ? brew_json_bool(label)
                      : brew_json_is(label, BREW_JSON_INT) ? brew_json_int(label)
                                                           : -1;
    s->sum += value;
    s->answers++;
    s->known += outcome >= 0;
    s->positive += outcome > 0;
    range_add(&s->items, 1);
    return 0;
}

static int add_line(prompts *p, scores *s, const char *line, size_t len, brew_err *err) {
    brew_json *record = brew_json_parse(line, len, err);
    if (!record) return -1;
    int rc = 0;
    if (!brew_json_is(record, BREW_JSON_OBJECT))
        rc = brew_fail(err, BREW_DATA, "a record must be an object, not %s",
                       brew_json_type_name(record));
    else if (brew_json_get(record, "scores"))
        rc = add_scores(s, record, err);
    else if (brew_json_get(record, "score"))
        rc = add_row(s, record, err);
    else
        rc = add_prompt(p, line, len, err);
    brew_json_free(record);
    return rc;
}

static void report_prompts(brew_json *report, const prompts *p) {
    if (p->texts) brew_report_int(report, "texts", p->texts);
    report_range(report, "query_bytes", &p->query_bytes);
    report_range(report, "query_ids", &p->query_ids);
    if (!p->items.n) return;
    brew_report_int(report, "items", p->items.sum);
    report_range(report, "items_a_record", &p->items);
    brew_report_int(report, "history_answers", p->answered);
    brew_report_int(report, "known_targets", p->known);
    brew_json *labels = brew_json_new_array(), *splits = brew_json_new_array();
    for (size_t l = 0; l < p->n_labels; l++) {
        brew_json *row = brew_json_new_object();
        brew_report_int(row, "label", (int64_t)l);
        brew_report_int(row, "targets", p->labels[l]);
        brew_json_push(labels, row);
    }
    for (size_t i = 0; i < p->splits.count; i++) {
        brew_json *row = brew_json_new_object();
        brew_json_set(row, "split",
                      brew_json_new_string(p->splits.entries[i].ptr, p->splits.entries[i].len));
        brew_report_int(row, "records", p->split_counts[i]);
        brew_json_push(splits, row);
    }
    brew_json_set(report, "labels", labels);
    brew_json_set(report, "splits", splits);
}

static void report_scores(brew_json *report, const scores *s) {
    brew_report_int(report, "items", s->items.sum);
    report_range(report, "items_a_record", &s->items);
    if (s->answers) brew_report_real(report, "mean_positive_score", s->sum / (double)s->answers);
    brew_report_int(report, "known_targets", s->known);
    if (s->known)
        brew_report_real(report, "positive_share", (double)s->positive / (double)s->known);
}

int brew_inspect_lines(brew_json *report, const brew_subject *subject,
                       const brew_inspect_options *options, brew_err *err) {
    prompts p = {0};
    scores s = {0};
    const char *line;
    size_t len;
    int got;
    int64_t records = 0, rejected = 0;
    char digest[65];
    brew_in_digest_start(subject->in);
    while ((got = brew_in_line(subject->in, &line, &len, BREW_LINE_MAX, err)) > 0) {
        uint64_t number = brew_in_line_number(subject->in);
        if (!add_line(&p, &s, line, len, err)) {
            records++;
            continue;
        }
        rejected++;
        if (options->reject)
            got = options->reject(options->reject_arg, subject->name, number, line, len);
        else
            got = brew_err_context(err, "%s:%llu", subject->name, (unsigned long long)number);
        if (got < 0) break;
    }
    bool prompts_seen = p.items.n || p.texts, scores_seen = s.items.n != 0;
    brew_report_string(report, "kind",
                       scores_seen ? (prompts_seen ? "prompt and score records" : "score records")
                                   : "prompt records");
    brew_report_int(report, "records", records);
    brew_report_int(report, "rejected", rejected);
    if (prompts_seen) report_prompts(report, &p);
    if (scores_seen) report_scores(report, &s);
    if (!got) {
        brew_in_digest(subject->in, digest);
        brew_report_string(report, "sha256", digest);
    }
    brew_request_release(&p.request);
    brew_intern_release(&p.splits);
    free(p.labels);
    free(p.split_counts);
    return got;
}

// ---- two ----

// The largest difference of two records' scores; false if they are no score records of one shape.
static bool compare_scores(const char *a, size_t a_len, const char *b, size_t b_len,
                           double *largest) {
    brew_json *ra = brew_json_parse(a, a_len, NULL), *rb = brew_json_parse(b, b_len, NULL);
    const brew_json *sa = ra ? brew_json_get(ra, "scores") : NULL;
    const brew_json *sb = rb ? brew_json_get(rb, "scores") : NULL;
    bool alike = sa && sb && brew_json_length(sa) == brew_json_length(sb);
    for (size_t i = 0; alike && i < brew_json_length(sa); i++) {
        const brew_json *la = brew_json_at(sa, i), *lb = brew_json_at(sb, i);
        alike = brew_json_length(la) == brew_json_length(lb);
        for (size_t l = 0; alike && l < brew_json_length(la); l++) {
            double gap =
                fabs(brew_json_real(brew_json_at(la, l)) - brew_json_real(brew_json_at(lb, l)));
            if (gap > *largest) *largest = gap;
        }
    }
    brew_json_free(ra);
    brew_json_free(rb);
    return alike;
}

int brew_compare_lines(brew_json *report, const brew_subject *a, const brew_subject *b, bool *same,
                       brew_err *err) {
    const char *line_a, *line_b;
    size_t len_a, len_b;
    int64_t records[2] = {0, 0}, differ = 0, first = 0;
    bool scored = false;
    double largest = 0;
    int got_a = 1, got_b = 1;
    while (got_a > 0 || got_b > 0) {
        if (got_a > 0) got_a = brew_in_line(a->in, &line_a, &len_a, BREW_LINE_MAX, err);
        if (got_b > 0 && got_a >= 0)
            got_b = brew_in_line(b->in, &line_b, &len_b, BREW_LINE_MAX, err);
        if (got_a < 0 || got_b < 0) return -1;
        records[0] += got_a;
        records[1] += got_b;
        if (!got_a && !got_b) break;
        if (got_a && got_b && len_a == len_b && !memcmp(line_a, line_b, len_a)) continue;
        if (!differ++) first = records[0] > records[1] ? records[0] : records[1];
        if (got_a && got_b) scored |= compare_scores(line_a, len_a, line_b, len_b, &largest);
    }
    brew_report_int(report, "records_a", records[0]);
    brew_report_int(report, "records_b", records[1]);
    brew_report_int(report, "records_differ", differ);
    if (differ) brew_report_int(report, "first_difference", first);
    if (scored) brew_report_real(report, "max_abs_difference", largest);
    if (differ) *same = false;
    return 0;
}
