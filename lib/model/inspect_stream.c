#include <math.h>
#include <string.h>

#include "io/star_stream.h"
#include "model/inspect_parts.h"

typedef struct totals {
    int64_t query_least, query_most, query_sum, item_most, span_most, items;
    int64_t known, history, requests, answers;
    double label_share; // of a teacher's belief, summed over answers
} totals;

static void add_batch(totals *t, const brew_star *star) {
    for (size_t r = 0; r < star->n_requests; r++, t->requests++) {
        int64_t query = brew_star_query_len(star, r), span = brew_star_span(star, r);
        if (!t->requests || query < t->query_least) t->query_least = query;
        if (query > t->query_most) t->query_most = query;
        if (span > t->span_most) t->span_most = span;
        if (span - query > t->item_most) t->item_most = span - query;
        t->query_sum += query;
        int64_t items = (int64_t)brew_star_items(star, r);
        int64_t answers = star->answer_splits[r + 1] - star->answer_splits[r];
        t->items += items;
        t->history += answers > items ? answers - items : 0;
    }
    for (size_t a = 0; a < star->n_answers; a++) t->known += star->targets[a] >= 0;
}

static void add_teacher(totals *t, const brew_star *star, const brew_star_teacher *teacher) {
    const float *z = teacher->label_logits;
    for (size_t a = 0; a < star->n_answers; a++) {
        double top = teacher->rest[a], labels = 0;
        int64_t k = brew_star_labels(star, a);
        for (int64_t i = 0; i < k; i++) top = fmax(top, z[i]);
        for (int64_t i = 0; i < k; i++) labels += exp(*z++ - top);
        t->label_share += labels / (labels + exp(teacher->rest[a] - top));
    }
    t->answers += (int64_t)star->n_answers;
}

static void report_teacher(brew_json *report, const totals *t, const brew_star_teacher *teacher) {
    brew_json *object = brew_json_new_object();
    brew_report_string(object, "model", teacher->model);
    brew_report_string(object, "arithmetic", teacher->arithmetic);
    if (teacher->topk) brew_json_set(object, "topk", brew_json_new_int(teacher->topk));
    if (t->answers) brew_report_real(object, "label_share", t->label_share / (double)t->answers);
    brew_json_set(report, "teacher", object);
}

static void report_totals(brew_json *report, const totals *t) {
    if (!t->requests) return;
    brew_json *query = brew_json_new_object();
    brew_report_int(query, "least", t->query_least);
    brew_report_real(query, "mean", (double)t->query_sum / (double)t->requests);
    brew_report_int(query, "most", t->query_most);
    brew_json_set(report, "query_tokens", query);
    brew_report_int(report, "longest_item", t->item_most);
    brew_report_int(report, "longest_span", t->span_most);
    brew_report_int(report, "history_answers", t->history);
    brew_report_int(report, "known_targets", t->known);
}

static void report_counts(brew_json *report, const brew_star_counts *counts) {
    brew_report_int(report, "batches", (int64_t)counts->batches);
    brew_report_int(report, "requests", (int64_t)counts->requests);
    brew_report_int(report, "items", (int64_t)counts->items);
    brew_report_int(report, "tokens", (int64_t)counts->tokens);
    brew_report_int(report, "answers", (int64_t)counts->answers);
}

// Reading to the clean end checks every digest and count of the stream.
int brew_inspect_stream(brew_json *report, const brew_subject *subject, brew_err *err) {
    brew_star_reader *reader = brew_star_read_start(subject->in, err);
    if (!reader) return -1;
    const brew_star *star;
    totals t = {0};
    int got;
    const brew_star_teacher *teacher = brew_star_read_teacher(reader);
    while ((got = brew_star_read(reader, &star, err)) > 0) {
        add_batch(&t, star);
        if (teacher) add_teacher(&t, star, teacher);
    }
    if (!got) {
        brew_report_string(report, "tokenizer", brew_star_read_tokenizer(reader));
        brew_report_int(report, "vocab", (int64_t)brew_star_read_vocab(reader));
        report_counts(report, brew_star_read_counts(reader));
        report_totals(report, &t);
        if (teacher) report_teacher(report, &t, teacher);
        const brew_json *chain = brew_star_read_provenance(reader);
        if (chain) brew_json_set(report, "provenance", brew_json_copy(chain));
    }
    brew_star_read_free(reader);
    return got;
}

// ---- two ----

// The arrays of a batch, by the names of their members in the stream.
static const char *const arrays[] = {"ids",           "segments",   "requests",     "answers",
                                     "answer_splits", "answer_set", "targets",      "weights",
                                     "offsets",       "label_ids",  "label_splits", "meta",
                                     "label_logits",  "rest_logit"};
enum { N_ARRAYS = sizeof arrays / sizeof *arrays };

typedef struct array_view {
    const void *ptr;
    size_t bytes;
} array_view;

static array_view view(const brew_star *s, const brew_star_teacher *teacher, int array) {
    size_t logits = 0, rests = teacher ? s->n_answers : 0;
    for (size_t a = 0; a < rests; a++) logits += (size_t)brew_star_labels(s, a);
    size_t labels = s->n_sets ? (size_t)s->label_splits[s->n_sets] : 0;
    const array_view views[N_ARRAYS] = {
        {s->ids, s->n_ids * sizeof *s->ids},
        {s->segments, s->n_segments ? (s->n_segments + 1) * sizeof *s->segments : 0},
        {s->requests, s->n_requests ? (s->n_requests + 1) * sizeof *s->requests : 0},
        {s->answers, s->n_answers * sizeof *s->answers},
        {s->answer_splits, s->n_requests ? (s->n_requests + 1) * sizeof *s->answer_splits : 0},
        {s->answer_set, s->n_answers * sizeof *s->answer_set},
        {s->targets, s->n_answers * sizeof *s->targets},
        {s->weights, s->n_answers * sizeof *s->weights},
        {s->offsets, s->n_answers * sizeof *s->offsets},
        {s->label_ids, labels * sizeof *s->label_ids},
        {s->label_splits, s->n_sets ? (s->n_sets + 1) * sizeof *s->label_splits : 0},
        {s->meta.ptr, s->meta.len},
        {teacher ? teacher->label_logits : NULL, logits * sizeof(float)},
        {teacher ? teacher->rest : NULL, rests * sizeof(float)}};
    return views[array];
}

typedef struct outcome {
    int64_t batches, differ, first, by_array[N_ARRAYS];
} outcome;

static void compare_batch(outcome *o, const brew_star *a, const brew_star_teacher *teacher_a,
                          const brew_star *b, const brew_star_teacher *teacher_b) {
    bool differ = false;
    for (int i = 0; i < N_ARRAYS; i++) {
        array_view va = view(a, teacher_a, i), vb = view(b, teacher_b, i);
        bool here = va.bytes != vb.bytes || (va.bytes && memcmp(va.ptr, vb.ptr, va.bytes));
        o->by_array[i] += here;
        differ |= here;
    }
    o->batches++;
    if (differ && !o->differ++) o->first = o->batches;
}

static void report_outcome(brew_json *report, const outcome *o, bool *same) {
    brew_report_int(report, "batches_compared", o->batches);
    brew_report_int(report, "batches_differ", o->differ);
    if (!o->differ) return;
    *same = false;
    brew_report_int(report, "first_difference", o->first);
    brew_json *list = brew_json_new_array();
    for (int i = 0; i < N_ARRAYS; i++) {
        if (!o->by_array[i]) continue;
        brew_json *row = brew_json_new_object();
        brew_report_string(row, "array", arrays[i]);
        brew_report_int(row, "batches_differ", o->by_array[i]);
        brew_json_push(list, row);
    }
    brew_json_set(report, "arrays", list);
}

static void report_same(brew_json *report, const char *key, bool equal, bool *same) {
    brew_report_bool(report, key, equal);
    if (!equal) *same = false;
}

static int compare_readers(brew_json *report, brew_star_reader *a, brew_star_reader *b, bool *same,
                           brew_err *err) {
    const brew_star *star_a, *star_b;
    outcome o = {0};
    int got_a = 1, got_b = 1;
    while (got_a > 0 || got_b > 0) { // both to their ends, which are checked there
        if (got_a > 0) got_a = brew_star_read(a, &star_a, err);
        if (got_a >= 0 && got_b > 0) got_b = brew_star_read(b, &star_b, err);
        if (got_a < 0 || got_b < 0) return -1;
        if (got_a && got_b)
            compare_batch(&o, star_a, brew_star_read_teacher(a), star_b, brew_star_read_teacher(b));
    }
    uint64_t n_a = brew_star_read_counts(a)->batches, n_b = brew_star_read_counts(b)->batches;
    report_same(report, "same_tokenizer",
                !strcmp(brew_star_read_tokenizer(a), brew_star_read_tokenizer(b)), same);
    report_same(report, "same_number_of_batches", n_a == n_b, same);
    report_outcome(report, &o, same);
    return 0;
}

int brew_compare_streams(brew_json *report, const brew_subject *a, const brew_subject *b,
                         bool *same, brew_err *err) {
    brew_star_reader *reader_a = brew_star_read_start(a->in, err);
    brew_star_reader *reader_b = reader_a ? brew_star_read_start(b->in, err) : NULL;
    int rc = reader_b ? compare_readers(report, reader_a, reader_b, same, err) : -1;
    brew_star_read_free(reader_a);
    brew_star_read_free(reader_b);
    return rc;
}
