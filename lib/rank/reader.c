#include "rank/reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

// One record, checked; the arrays are NULL where the record has none.
struct record {
    const brew_json *root, *meta, *item_meta, *scores, *targets, *item_ids, *weights, *rates;
    const brew_json *positive, *labels; // labels: of a prompt record, instead of scores
    size_t n;
    bool plain;
};

void brew_reader_init(brew_reader *r, const char *group, const char *const *fields, size_t n,
                      bool history) {
    r->group = group;
    r->by = brew_calloc(n + 1, sizeof *r->by);
    for (size_t i = 0; i < n; i++) {
        r->by[i].field = fields[i];
        if (!strcmp(fields[i], "history")) {
            r->by[i].history = true;
            history = false;
        }
    }
    r->n_by = n;
    if (history) r->by[r->n_by++] = (brew_by){.field = "history", .history = true};
    r->slice = brew_alloc((r->n_by + 1) * sizeof *r->slice);
}

void brew_reader_release(brew_reader *r) {
    for (size_t i = 0; i < r->n_by; i++) {
        brew_intern_release(&r->by[i].values);
        free(r->by[i].value);
    }
    free(r->by);
    free(r->request);
    free(r->slice);
    brew_answers_release(&r->answers);
    brew_intern_release(&r->members);
    brew_intern_release(&r->groups);
    brew_intern_release(&r->items);
    brew_intern_release(&r->requests);
    brew_buf_release(&r->text);
    *r = (brew_reader){0};
}

static bool is_number(const brew_json *value) {
    return brew_json_is(value, BREW_JSON_INT) || brew_json_is(value, BREW_JSON_REAL);
}

static bool is_name(const brew_json *value) {
    return brew_json_is(value, BREW_JSON_STRING) || brew_json_is(value, BREW_JSON_INT);
}

// The member as an array of n elements, NULL if absent.
static int want_array(const brew_json *object, const char *key, size_t n, const brew_json **out,
                      brew_err *err) {
    *out = brew_json_get(object, key);
    if (!*out) return 0;
    if (!brew_json_is(*out, BREW_JSON_ARRAY))
        return brew_fail(err, BREW_DATA, "\"%s\" is %s, not an array", key,
                         brew_json_type_name(*out));
    if (brew_json_length(*out) != n)
        return brew_fail(err, BREW_DATA, "\"%s\" has %zu elements for %zu items", key,
                         brew_json_length(*out), n);
    return 0;
}

static int check_numbers(const brew_json *array, const char *key, double min, double max,
                         brew_err *err) {
    for (size_t i = 0; i < brew_json_length(array); i++) {
        const brew_json *value = brew_json_at(array, i);
        if (!is_number(value))
            return brew_fail(err, BREW_DATA, "\"%s\" element %zu is %s, not a number", key, i,
                             brew_json_type_name(value));
        double x = brew_json_real(value);
        if (!(x >= min && x <= max))
            return brew_fail(err, BREW_DATA, "\"%s\" element %zu is not in %g to %g", key, i, min,
                             max);
    }
    return 0;
}

// The label set of item i in a prompt record: one for all, or one per item.
static const brew_json *label_set(const struct record *r, size_t i) {
    const brew_json *first = brew_json_at(r->labels, 0);
    return brew_json_is(first, BREW_JSON_ARRAY) ? brew_json_at(r->labels, i) : r->labels;
}

static size_t count_labels(const struct record *r, size_t i) {
    return brew_json_length(r->scores ? brew_json_at(r->scores, i) : label_set(r, i));
}

static double probability(const struct record *r, size_t i, int64_t label) {
    if (!r->scores) return 1 / (double)count_labels(r, i);
    return brew_json_real(brew_json_at(brew_json_at(r->scores, i), (size_t)label));
}

static int check_scores(const struct record *r, brew_err *err) {
    for (size_t i = 0; i < r->n; i++) {
        const brew_json *set = brew_json_at(r->scores, i);
        size_t labels = brew_json_length(set);
        double sum = 0;
        if (!brew_json_is(set, BREW_JSON_ARRAY) || labels == 0)
            return brew_fail(err, BREW_DATA, "scores of item %zu are not an array of probabilities",
                             i);
        if (check_numbers(set, "scores", 0, 1, err) < 0)
            return brew_err_context(err, "item %zu", i);
        for (size_t l = 0; l < labels; l++) sum += brew_json_real(brew_json_at(set, l));
        if (fabs(sum - 1) > 1e-3)
            return brew_fail(err, BREW_DATA, "scores of item %zu add up to %.6g, not to 1", i, sum);
    }
    return 0;
}

static int check_labels(const struct record *r, brew_err *err) {
    for (size_t i = 0; i < r->n; i++) {
        size_t labels = count_labels(r, i);
        if (labels == 0) return brew_fail(err, BREW_DATA, "item %zu has no labels", i);
        const brew_json *target = r->targets ? brew_json_at(r->targets, i) : NULL;
        if (target && !brew_json_is(target, BREW_JSON_INT))
            return brew_fail(err, BREW_DATA, "\"targets\" element %zu is %s, not a whole number", i,
                             brew_json_type_name(target));
        if (target && (brew_json_int(target) < -1 || brew_json_int(target) >= (int64_t)labels))
            return brew_fail(err, BREW_DATA,
                             "\"targets\" element %zu is %" PRId64 ", with %zu labels", i,
                             brew_json_int(target), labels);
        for (size_t p = 0; p < brew_json_length(r->positive); p++) {
            int64_t label = brew_json_int(brew_json_at(r->positive, p));
            if (label >= (int64_t)labels)
                return brew_fail(err, BREW_DATA,
                                 "\"positive\" names label %" PRId64 ", item %zu has %zu", label, i,
                                 labels);
        }
    }
    return 0;
}

static int check_positive(const struct record *r, brew_err *err) {
    if (!r->positive) return 0;
    size_t n = brew_json_length(r->positive);
    if (!brew_json_is(r->positive, BREW_JSON_ARRAY) || n == 0)
        return brew_fail(err, BREW_DATA, "\"positive\" is not an array of labels");
    for (size_t i = 0; i < n; i++) {
        const brew_json *label = brew_json_at(r->positive, i);
        if (!brew_json_is(label, BREW_JSON_INT) || brew_json_int(label) < 0)
            return brew_fail(err, BREW_DATA, "\"positive\" element %zu is not a label's number", i);
        for (size_t k = 0; k < i; k++)
            if (brew_json_int(brew_json_at(r->positive, k)) == brew_json_int(label))
                return brew_fail(err, BREW_DATA, "\"positive\" names label %" PRId64 " twice",
                                 brew_json_int(label));
    }
    return 0;
}

static int check_item_meta(const struct record *r, brew_err *err) {
    if (!r->item_meta) return 0;
    if (!brew_json_is(r->item_meta, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "\"item_meta\" is %s, not an object",
                         brew_json_type_name(r->item_meta));
    brew_json_iter it = {0};
    for (size_t i = 0; brew_json_next(r->item_meta, &it);
         i++) // keys are the record's own: not named
        if (!brew_json_is(it.value, BREW_JSON_ARRAY) || brew_json_length(it.value) != r->n)
            return brew_fail(err, BREW_DATA, "\"item_meta\" member %zu is not an array of %zu", i,
                             r->n);
    return 0;
}

static int open_record(struct record *r, brew_err *err) {
    const char *key = r->scores ? "scores" : "items";
    const brew_json *items = brew_json_get(r->root, key);
    if (!brew_json_is(items, BREW_JSON_ARRAY))
        return brew_fail(err, BREW_DATA, "\"%s\" is %s, not an array", key,
                         brew_json_type_name(items));
    r->n = brew_json_length(items);
    r->item_meta = brew_json_get(r->root, "item_meta");
    r->positive = brew_json_get(r->root, "positive");
    if (r->n == 0) return brew_fail(err, BREW_DATA, "the record has no items");
    if (want_array(r->root, "targets", r->n, &r->targets, err) < 0 ||
        want_array(r->root, "item_ids", r->n, &r->item_ids, err) < 0 ||
        want_array(r->root, "weights", r->n, &r->weights, err) < 0 ||
        want_array(r->root, "sample_rates", r->n, &r->rates, err) < 0 ||
        check_numbers(r->weights, "weights", 0, 1e30, err) < 0 ||
        check_numbers(r->rates, "sample_rates", 1e-12, 1, err) < 0)
        return -1;
    for (size_t i = 0; i < brew_json_length(r->item_ids); i++)
        if (!is_name(brew_json_at(r->item_ids, i)))
            return brew_fail(err, BREW_DATA, "\"item_ids\" element %zu is %s", i,
                             brew_json_type_name(brew_json_at(r->item_ids, i)));
    if (check_positive(r, err) < 0 || check_item_meta(r, err) < 0) return -1;
    if (r->scores && check_scores(r, err) < 0) return -1;
    return check_labels(r, err);
}

static int open_plain(struct record *r, brew_err *err) {
    const brew_json *score = brew_json_get(r->root, "score");
    const brew_json *label = brew_json_get(r->root, "label");
    const brew_json *item = brew_json_get(r->root, "item_id");
    r->plain = true;
    r->n = 1;
    if (!is_number(score) || !(brew_json_real(score) >= 0 && brew_json_real(score) <= 1))
        return brew_fail(err, BREW_DATA, "\"score\" is not a probability in 0 to 1");
    if (label && !brew_json_is(label, BREW_JSON_NULL) && !brew_json_is(label, BREW_JSON_BOOL) &&
        !(brew_json_is(label, BREW_JSON_INT) && brew_json_int(label) >= -1 &&
          brew_json_int(label) <= 1))
        return brew_fail(err, BREW_DATA,
                         "\"label\" is not 1, 0, true, false, or -1 or null for "
                         "unknown");
    if (item && !is_name(item))
        return brew_fail(err, BREW_DATA, "\"item_id\" is %s", brew_json_type_name(item));
    return 0;
}

// The field of meta; a plain row is its own meta where it has none.
static const brew_json *meta_field(const struct record *r, const char *field) {
    const brew_json *value = r->meta ? brew_json_get(r->meta, field) : NULL;
    return !value && r->plain ? brew_json_get(r->root, field) : value;
}

static int open_any(struct record *r, bool prompts, brew_err *err) {
    if (!brew_json_is(r->root, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "the record is %s, not an object",
                         brew_json_type_name(r->root));
    r->meta = brew_json_get(r->root, "meta");
    if (r->meta && !brew_json_is(r->meta, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "\"meta\" is %s, not an object",
                         brew_json_type_name(r->meta));
    r->scores = brew_json_get(r->root, "scores");
    r->labels = brew_json_get(r->root, "label_token_ids");
    if (!r->labels) r->labels = brew_json_get(r->root, "label_tokens");
    bool prompt = prompts && brew_json_get(r->root, "items");
    if (!r->scores && !prompt && !brew_json_get(r->root, "score"))
        return brew_fail(err, BREW_DATA, "the record has neither \"scores\" nor \"score\"");
    if ((r->scores || prompt ? open_record(r, err) : open_plain(r, err)) < 0) return -1;
    const brew_json *id = brew_json_get(r->root, "id"), *member = meta_field(r, "member");
    if (id && !is_name(id))
        return brew_fail(err, BREW_DATA, "\"id\" is %s", brew_json_type_name(id));
    if (member && !is_name(member))
        return brew_fail(err, BREW_DATA, "\"meta.member\" is %s", brew_json_type_name(member));
    return 0;
}

// '=' and the name, or '#' and a number of our own.
static uint32_t number_of(brew_reader *reader, brew_intern *names, const brew_json *name,
                          uint64_t own) {
    brew_buf *text = &reader->text;
    brew_buf_reset(text);
    if (!name) {
        brew_buf_addf(text, "#%" PRIu64, own);
    } else if (brew_json_is(name, BREW_JSON_INT)) {
        brew_buf_addf(text, "=%" PRId64, brew_json_int(name));
    } else {
        size_t len;
        const char *ptr = brew_json_string(name, &len);
        brew_buf_addc(text, '=');
        brew_buf_add(text, ptr, len);
    }
    return (uint32_t)brew_intern_put(names, text->ptr, text->len);
}

static size_t find(brew_reader *reader, const brew_intern *names, const char *id, size_t len) {
    brew_buf_reset(&reader->text);
    brew_buf_addc(&reader->text, '=');
    brew_buf_add(&reader->text, id, len);
    return brew_intern_get(names, reader->text.ptr, reader->text.len);
}

size_t brew_reader_member(brew_reader *reader, const char *id, size_t len) {
    return find(reader, &reader->members, id, len);
}

size_t brew_reader_item(brew_reader *reader, const char *id, size_t len) {
    return find(reader, &reader->items, id, len);
}

const char *brew_by_text(const brew_by *by, uint32_t value) {
    return value == BREW_BY_MISSING ? NULL : by->values.entries[value].ptr;
}

static const char *history_range(int64_t history) {
    return history <= 5 ? "0-5" : history <= 10 ? "6-10" : history <= 100 ? "11-100" : "101+";
}

// The value of one field for one item, as a number in by->values.
static int slice_value(brew_reader *reader, brew_by *by, const struct record *r, size_t item,
                       uint32_t *out, brew_err *err) {
    const brew_json *value;
    brew_buf *text = &reader->text;
    if (!strncmp(by->field, "item.", 5)) {
        value = brew_json_get(r->item_meta, by->field + 5);
        if (value) value = brew_json_at(value, item);
    } else {
        value = meta_field(r, by->field);
    }
    *out = BREW_BY_MISSING;
    brew_buf_reset(text);
    if (!value || brew_json_is(value, BREW_JSON_NULL)) return 0;
    if (by->history && (!brew_json_is(value, BREW_JSON_INT) || brew_json_int(value) < 0))
        return brew_fail(err, BREW_DATA, "\"meta.history\" is not a count");
    if (brew_json_is(value, BREW_JSON_ARRAY) || brew_json_is(value, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "\"%s\" is %s, which cannot name a slice", by->field,
                         brew_json_type_name(value));
    if (by->history)
        brew_buf_adds(text, history_range(brew_json_int(value)));
    else if (brew_json_is(value, BREW_JSON_STRING))
        brew_buf_adds(text, brew_json_string(value, NULL));
    else
        brew_json_write(text, value);
    *out = (uint32_t)brew_intern_put(&by->values, text->ptr ? text->ptr : "", text->len);
    if (by->values.count > BREW_BY_MAX_VALUES)
        return brew_fail(err, BREW_USAGE, "the field \"%s\" has more than %d values to slice by",
                         by->field, BREW_BY_MAX_VALUES);
    return 0;
}

// Score and outcome of one item; false if the outcome is unknown.
static bool read_answer(const struct record *r, size_t i, brew_answer *row) {
    double weight = r->weights ? brew_json_real(brew_json_at(r->weights, i)) : 1;
    double rate = r->rates ? brew_json_real(brew_json_at(r->rates, i)) : 1;
    row->weight = (float)(weight / rate);
    if (r->plain) {
        const brew_json *label = brew_json_get(r->root, "label");
        row->score = brew_json_real(brew_json_get(r->root, "score"));
        if (brew_json_is(label, BREW_JSON_BOOL)) {
            row->positive = brew_json_bool(label);
            return true;
        }
        row->positive = brew_json_is(label, BREW_JSON_INT) && brew_json_int(label) == 1;
        return brew_json_is(label, BREW_JSON_INT) && brew_json_int(label) >= 0;
    }
    int64_t target = r->targets ? brew_json_int(brew_json_at(r->targets, i)) : -1;
    size_t n = r->positive ? brew_json_length(r->positive) : 1;
    row->score = 0;
    row->positive = false;
    for (size_t p = 0; p < n; p++) {
        int64_t label = r->positive ? brew_json_int(brew_json_at(r->positive, p)) : 0;
        row->score += probability(r, i, label);
        row->positive |= target == label;
    }
    if (row->score > 1) row->score = 1; // rounding of the sum
    return target >= 0;
}

static void keep(brew_reader *reader, const brew_answer *row, uint32_t request) {
    size_t at = reader->answers.n;
    brew_answers_add(&reader->answers, row);
    BREW_GROW(reader->request, at + 1, reader->request_cap);
    reader->request[at] = request;
    for (size_t b = 0; b < reader->n_by; b++) {
        BREW_GROW(reader->by[b].value, at + 1, reader->by[b].cap);
        reader->by[b].value[at] = reader->slice[b];
    }
}

// Everything that can fail, before anything is kept.
static int check_slices(brew_reader *reader, const struct record *r, brew_err *err) {
    const brew_json *group = reader->group ? meta_field(r, reader->group) : NULL;
    if (reader->group && !group)
        return brew_fail(err, BREW_DATA, "\"meta\" has no \"%s\" to group by", reader->group);
    if (group && !is_name(group))
        return brew_fail(err, BREW_DATA, "\"%s\" is %s, which cannot name a group", reader->group,
                         brew_json_type_name(group));
    for (size_t i = 0; i < r->n; i++)
        for (size_t b = 0; b < reader->n_by; b++)
            if (slice_value(reader, &reader->by[b], r, i, &reader->slice[b], err) < 0) return -1;
    return 0;
}

static int keep_record(brew_reader *reader, const struct record *r, brew_err *err) {
    if (check_slices(reader, r, err) < 0) return -1;
    const brew_json *member = meta_field(r, "member"), *id = brew_json_get(r->root, "id");
    const brew_json *item = r->plain ? brew_json_get(r->root, "item_id") : NULL;
    uint64_t own = reader->counts.records++;
    uint32_t request = number_of(reader, &reader->requests, id, own);
    brew_answer row = {.member = number_of(reader, &reader->members, member, request)};
    reader->counts.records_without_member += !member;
    row.group = reader->group ? number_of(reader, &reader->groups, meta_field(r, reader->group), 0)
                              : request;
    for (size_t i = 0; i < r->n; i++) {
        reader->counts.items++;
        if (!read_answer(r, i, &row)) {
            reader->counts.unknown++;
            continue;
        }
        for (size_t b = 0; b < reader->n_by; b++)
            slice_value(reader, &reader->by[b], r, i, &reader->slice[b], NULL);
        if (r->item_ids) item = brew_json_at(r->item_ids, i);
        row.item = number_of(reader, &reader->items, item, i);
        keep(reader, &row, request);
    }
    return 0;
}

int brew_reader_add(brew_reader *reader, const char *line, size_t len, brew_err *err) {
    brew_json *root = brew_json_parse(line, len, err);
    if (!root) return -1;
    struct record r = {.root = root};
    int status = open_any(&r, reader->prompts, err);
    if (status == 0) status = keep_record(reader, &r, err);
    brew_json_free(root);
    return status;
}
