#include "rank/record.h"

#include <inttypes.h>
#include <math.h>

static bool is_number(const brew_json *value) {
    return brew_json_is(value, BREW_JSON_INT) || brew_json_is(value, BREW_JSON_REAL);
}

bool brew_record_is_name(const brew_json *value) {
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

// Element i of a list of lists, or the list itself, which then is that of all items.
static const brew_json *of_item(const brew_json *list, size_t i) {
    return brew_json_is(brew_json_at(list, 0), BREW_JSON_ARRAY) ? brew_json_at(list, i) : list;
}

static size_t count_labels(const brew_record *r, size_t i) {
    return brew_json_length(r->scores ? brew_json_at(r->scores, i) : of_item(r->labels, i));
}

static double probability(const brew_record *r, size_t i, int64_t label) {
    if (!r->scores) return 1 / (double)count_labels(r, i);
    return brew_json_real(brew_json_at(brew_json_at(r->scores, i), (size_t)label));
}

static int check_scores(const brew_record *r, brew_err *err) {
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

// The positive labels of item i.
static int check_positive(const brew_record *r, size_t i, size_t labels, brew_err *err) {
    const brew_json *list = of_item(r->positive, i);
    size_t n = brew_json_length(list);
    if (!r->positive) return 0;
    if (!brew_json_is(list, BREW_JSON_ARRAY) || n == 0)
        return brew_fail(err, BREW_DATA, "\"positive\" is not an array of labels");
    for (size_t p = 0; p < n; p++) {
        const brew_json *label = brew_json_at(list, p);
        if (!brew_json_is(label, BREW_JSON_INT) || brew_json_int(label) < 0)
            return brew_fail(err, BREW_DATA, "\"positive\" element %zu is not a label's number", p);
        if (brew_json_int(label) >= (int64_t)labels)
            return brew_fail(err, BREW_DATA,
                             "\"positive\" names label %" PRId64 ", item %zu has %zu",
                             brew_json_int(label), i, labels);
        for (size_t k = 0; k < p; k++)
            if (brew_json_int(brew_json_at(list, k)) == brew_json_int(label))
                return brew_fail(err, BREW_DATA, "\"positive\" names label %" PRId64 " twice",
                                 brew_json_int(label));
    }
    return 0;
}

static bool is_positive(const brew_record *r, size_t i, int64_t label) {
    const brew_json *list = of_item(r->positive, i);
    for (size_t p = 0; p < brew_json_length(list); p++)
        if (brew_json_int(brew_json_at(list, p)) == label) return true;
    return !list && label == 0;
}

// The gains of item i's labels.
static int check_gains(const brew_record *r, size_t i, size_t labels, brew_err *err) {
    const brew_json *list = of_item(r->gains, i);
    if (!r->gains) return 0;
    if (!brew_json_is(list, BREW_JSON_ARRAY) || brew_json_length(list) != labels)
        return brew_fail(err, BREW_DATA, "\"gains\" is not an array of %zu, as item %zu has labels",
                         labels, i);
    return check_numbers(list, "gains", 0, 1e6, err);
}

static int check_labels(const brew_record *r, brew_err *err) {
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
        if (check_positive(r, i, labels, err) < 0 || check_gains(r, i, labels, err) < 0) return -1;
    }
    return 0;
}

static int check_item_meta(const brew_record *r, brew_err *err) {
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

static int open_record(brew_record *r, brew_err *err) {
    const char *key = r->scores ? "scores" : "items";
    const brew_json *items = brew_json_get(r->root, key);
    if (!brew_json_is(items, BREW_JSON_ARRAY))
        return brew_fail(err, BREW_DATA, "\"%s\" is %s, not an array", key,
                         brew_json_type_name(items));
    r->n = brew_json_length(items);
    r->item_meta = brew_json_get(r->root, "item_meta");
    r->positive = brew_json_get(r->root, "positive");
    r->gains = brew_json_get(r->root, "gains");
    if (r->n == 0) return brew_fail(err, BREW_DATA, "the record has no items");
    if (want_array(r->root, "targets", r->n, &r->targets, err) < 0 ||
        want_array(r->root, "item_ids", r->n, &r->item_ids, err) < 0 ||
        want_array(r->root, "weights", r->n, &r->weights, err) < 0 ||
        want_array(r->root, "sample_rates", r->n, &r->rates, err) < 0 ||
        check_numbers(r->weights, "weights", 0, 1e30, err) < 0 ||
        check_numbers(r->rates, "sample_rates", 1e-12, 1, err) < 0)
        return -1;
    for (size_t i = 0; i < brew_json_length(r->item_ids); i++)
        if (!brew_record_is_name(brew_json_at(r->item_ids, i)))
            return brew_fail(err, BREW_DATA, "\"item_ids\" element %zu is %s", i,
                             brew_json_type_name(brew_json_at(r->item_ids, i)));
    if (check_item_meta(r, err) < 0) return -1;
    if (r->scores && check_scores(r, err) < 0) return -1;
    return check_labels(r, err);
}

static int open_plain(brew_record *r, brew_err *err) {
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
    double weight = 1, rate = 1, gain = 1;
    if (brew_json_want_real(r->root, "weight", &weight, err) < 0 ||
        brew_json_want_real(r->root, "sample_rate", &rate, err) < 0 ||
        brew_json_want_real(r->root, "gain", &gain, err) < 0)
        return -1;
    if (!(weight >= 0 && weight <= 1e30 && rate >= 1e-12 && rate <= 1 && gain >= 0 && gain <= 1e6))
        return brew_fail(err, BREW_DATA,
                         "\"weight\", \"sample_rate\" or \"gain\" is out of its range");
    if (item && !brew_record_is_name(item))
        return brew_fail(err, BREW_DATA, "\"item_id\" is %s", brew_json_type_name(item));
    return 0;
}

const brew_json *brew_record_field(const brew_record *r, const char *field) {
    const brew_json *value = r->meta ? brew_json_get(r->meta, field) : NULL;
    return !value && r->plain ? brew_json_get(r->root, field) : value;
}

int brew_record_open(brew_record *r, const brew_json *root, bool prompts, brew_err *err) {
    *r = (brew_record){.root = root};
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
    const brew_json *id = brew_json_get(r->root, "id"), *member = brew_record_field(r, "member");
    if (id && !brew_record_is_name(id))
        return brew_fail(err, BREW_DATA, "\"id\" is %s", brew_json_type_name(id));
    if (member && !brew_record_is_name(member))
        return brew_fail(err, BREW_DATA, "\"meta.member\" is %s", brew_json_type_name(member));
    return 0;
}

bool brew_record_answer(const brew_record *r, size_t i, brew_answer *row) {
    double weight = 1, rate = 1, gain = 0;
    if (r->weights) weight = brew_json_real(brew_json_at(r->weights, i));
    if (r->rates) rate = brew_json_real(brew_json_at(r->rates, i));
    if (r->plain) {
        brew_json_want_real(r->root, "weight", &weight, NULL);
        brew_json_want_real(r->root, "sample_rate", &rate, NULL);
        brew_json_want_real(r->root, "gain", &gain, NULL);
    }
    row->weight = (float)(weight / rate);
    row->gain = (float)gain;
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
    const brew_json *list = of_item(r->positive, i), *gains = of_item(r->gains, i);
    size_t n = list ? brew_json_length(list) : 1;
    row->score = 0;
    for (size_t p = 0; p < n; p++)
        row->score += probability(r, i, list ? brew_json_int(brew_json_at(list, p)) : 0);
    if (row->score > 1) row->score = 1; // rounding of the sum
    row->positive = target >= 0 && is_positive(r, i, target);
    if (gains && target >= 0)
        row->gain = (float)brew_json_real(brew_json_at(gains, (size_t)target));
    return target >= 0;
}

bool brew_record_is_sampled(const brew_record *r) {
    const brew_json *of_items = brew_json_get(r->item_meta, "sampled");
    if (r->rates || (r->plain && brew_json_get(r->root, "sample_rate"))) return false;
    if (brew_json_bool(brew_record_field(r, "sampled"))) return true;
    for (size_t i = 0; i < brew_json_length(of_items); i++)
        if (brew_json_bool(brew_json_at(of_items, i))) return true;
    return false;
}
