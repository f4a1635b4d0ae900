#include "text/request.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE = 48 }; // "label_token_ids[18446744073709551615]" and more

// What a parser needs on its way down: the request to fill and where to complain.
struct parse {
    brew_request *rq;
    const brew_json *record;
    brew_err *err;
};

void brew_request_release(brew_request *request) {
    brew_arena_release(&request->arena);
    brew_buf_release(&request->meta);
    *request = (brew_request){0};
}

static void forget(brew_request *rq) {
    brew_arena arena = rq->arena;
    brew_buf meta = rq->meta;
    brew_arena_reset(&arena);
    brew_buf_reset(&meta);
    *rq = (brew_request){.arena = arena, .meta = meta, .shown = -1};
}

static void *take(struct parse *p, size_t n, size_t bytes) {
    return brew_arena_alloc(&p->rq->arena, n * bytes); // n members of a parsed line: no overflow
}

// "key" or "key[index]" and what is wrong with it; index SIZE_MAX for none.
static int wrong(struct parse *p, const char *key, size_t index, const brew_json *value,
                 const char *wanted) {
    if (index == SIZE_MAX)
        return brew_fail(p->err, BREW_DATA, "%s is %s, not %s", key, brew_json_type_name(value),
                         wanted);
    return brew_fail(p->err, BREW_DATA, "%s[%zu] is %s, not %s", key, index,
                     brew_json_type_name(value), wanted);
}

// "key", or for what lies in its element index, "key[index]".
static const char *nested_key(char place[PLACE], const char *key, size_t index) {
    if (index == SIZE_MAX) return key;
    snprintf(place, PLACE, "%s[%zu]", key, index);
    return place;
}

static brew_json *get_array(struct parse *p, const char *key, int *failed) {
    brew_json *value = brew_json_get(p->record, key);
    if (!value || brew_json_is(value, BREW_JSON_ARRAY)) return value;
    *failed = wrong(p, key, SIZE_MAX, value, "an array");
    return NULL;
}

static int take_id(struct parse *p, const brew_json *value, const char *key, size_t index,
                   int32_t *id) {
    if (!brew_json_is(value, BREW_JSON_INT)) return wrong(p, key, index, value, "a token id");
    int64_t n = brew_json_int(value);
    if (n < 0 || n > INT32_MAX)
        return brew_fail(p->err, BREW_DATA, "%s[%zu] is no token id: it is outside [0, 2^31)", key,
                         index);
    *id = (int32_t)n;
    return 0;
}

static int take_ids(struct parse *p, const brew_json *list, const char *key, size_t index,
                    brew_piece *piece) {
    if (!brew_json_is(list, BREW_JSON_ARRAY))
        return wrong(p, key, index, list, "an array of token ids");
    size_t n = brew_json_length(list);
    int32_t *ids = take(p, n + 1, sizeof *ids);
    char place[PLACE];
    for (size_t i = 0; i < n; i++)
        if (take_id(p, brew_json_at(list, i), nested_key(place, key, index), i, ids + i)) return -1;
    *piece = (brew_piece){.ids = ids, .n_ids = n};
    return 0;
}

static int take_text(struct parse *p, const brew_json *value, brew_piece *piece) {
    size_t len;
    const char *text = brew_json_string(value, &len);
    *piece = (brew_piece){.text = brew_arena_strndup(&p->rq->arena, text, len), .len = len};
    return 0;
}

static int take_piece(struct parse *p, const brew_json *value, const char *key, size_t index,
                      brew_piece *piece) {
    if (brew_json_is(value, BREW_JSON_STRING)) return take_text(p, value, piece);
    if (brew_json_is(value, BREW_JSON_ARRAY)) return take_ids(p, value, key, index, piece);
    return wrong(p, key, index, value, "a string or an array of token ids");
}

static int parse_query(struct parse *p) {
    brew_json *text = brew_json_get(p->record, "query"),
              *ids = brew_json_get(p->record, "query_ids");
    if (!text && !ids) return brew_fail(p->err, BREW_DATA, "the record has no query");
    if (text && take_piece(p, text, "query", SIZE_MAX, &p->rq->query)) return -1;
    return ids ? take_ids(p, ids, "query_ids", SIZE_MAX, &p->rq->query) : 0;
}

static int parse_items(struct parse *p) {
    int failed = 0;
    brew_request *rq = p->rq;
    brew_json *texts = get_array(p, "items", &failed), *ids = get_array(p, "items_ids", &failed);
    if (failed) return -1;
    if (!texts && !ids) return brew_fail(p->err, BREW_DATA, "the record has no items");
    if (texts && ids && brew_json_length(texts) != brew_json_length(ids))
        return brew_fail(p->err, BREW_DATA, "items holds %zu, items_ids %zu",
                         brew_json_length(texts), brew_json_length(ids));
    const char *key = ids ? "items_ids" : "items";
    rq->n_items = brew_json_length(ids ? ids : texts);
    rq->items = take(p, rq->n_items, sizeof *rq->items);
    for (size_t i = 0; i < rq->n_items; i++) {
        brew_piece *item = rq->items + i;
        if (texts && take_piece(p, brew_json_at(texts, i), "items", i, item)) return -1;
        if (ids && take_ids(p, brew_json_at(ids, i), key, i, item)) return -1;
        if (!item->len && !item->n_ids)
            return brew_fail(p->err, BREW_DATA, "%s[%zu] is empty", key, i);
    }
    return 0;
}

static int take_set(struct parse *p, const brew_json *list, const char *key, bool are_ids,
                    brew_label_set *set) {
    set->n = brew_json_length(list);
    if (!set->n) return brew_fail(p->err, BREW_DATA, "%s is an empty label set", key);
    set->labels = take(p, set->n, sizeof *set->labels);
    for (size_t i = 0; i < set->n; i++) {
        const brew_json *value = brew_json_at(list, i);
        if (are_ids) {
            int32_t *id = take(p, 1, sizeof *id);
            if (take_id(p, value, key, i, id)) return -1;
            set->labels[i] = (brew_piece){.ids = id, .n_ids = 1};
        } else {
            if (!brew_json_is(value, BREW_JSON_STRING)) return wrong(p, key, i, value, "a string");
            take_text(p, value, set->labels + i);
            if (!set->labels[i].len)
                return brew_fail(p->err, BREW_DATA, "%s[%zu] is empty", key, i);
        }
    }
    return 0;
}

// One set for all items, or an array of sets, one per item.
static int take_sets(struct parse *p, const brew_json *value, const char *key, bool are_ids) {
    brew_request *rq = p->rq;
    if (!brew_json_is(value, BREW_JSON_ARRAY)) return wrong(p, key, SIZE_MAX, value, "an array");
    bool nested = brew_json_is(brew_json_at(value, 0), BREW_JSON_ARRAY);
    size_t n = nested ? brew_json_length(value) : 1;
    if (nested && n != rq->n_items)
        return brew_fail(p->err, BREW_DATA, "%s holds %zu label sets for %zu items", key, n,
                         rq->n_items);
    bool other = rq->sets != NULL; // given as texts and as ids: the shapes must agree
    if (other && n != rq->n_sets)
        return brew_fail(p->err, BREW_DATA, "%s holds %zu label sets, its other spelling %zu", key,
                         n, rq->n_sets);
    brew_label_set *sets = take(p, n, sizeof *sets);
    for (size_t s = 0; s < n; s++) {
        const brew_json *list = nested ? brew_json_at(value, s) : value;
        if (!brew_json_is(list, BREW_JSON_ARRAY)) return wrong(p, key, s, list, "an array");
        char place[PLACE];
        if (take_set(p, list, nested_key(place, key, nested ? s : SIZE_MAX), are_ids, sets + s))
            return -1;
        if (other && sets[s].n != rq->sets[s].n)
            return brew_fail(p->err, BREW_DATA,
                             "%s has %zu labels in set %zu, its other spelling %zu", key, sets[s].n,
                             s, rq->sets[s].n);
    }
    rq->sets = sets;
    rq->n_sets = n;
    return 0;
}

static int parse_labels(struct parse *p) {
    static const char *const keys[] = {"label_tokens", "label_token_ids", "label_ids"};
    for (size_t k = 0; k < 3; k++) {
        const brew_json *value = brew_json_get(p->record, keys[k]);
        if (value && take_sets(p, value, keys[k], k > 0)) return -1;
    }
    if (!p->rq->sets)
        return brew_fail(p->err, BREW_DATA,
                         "the record has neither label_tokens nor label_token_ids");
    return 0;
}

static int take_positive(struct parse *p, const brew_json *list, size_t set) {
    size_t n = brew_json_length(list);
    if (!n) return brew_fail(p->err, BREW_DATA, "positive is empty");
    for (size_t i = 0; i < n; i++) {
        const brew_json *value = brew_json_at(list, i);
        if (!brew_json_is(value, BREW_JSON_INT))
            return wrong(p, "positive", i, value, "a label's index");
        int64_t label = brew_json_int(value);
        if (label < 0 || (uint64_t)label >= p->rq->sets[set].n)
            return brew_fail(p->err, BREW_DATA, "positive holds %lld, label set %zu has %zu labels",
                             (long long)label, set, p->rq->sets[set].n);
        for (size_t j = 0; j < i; j++)
            if (brew_json_int(brew_json_at(list, j)) == label)
                return brew_fail(p->err, BREW_DATA, "positive holds %lld twice", (long long)label);
    }
    return 0;
}

// A list for all sets, or where there is a set for each item also a list for each item.
static int check_positive(struct parse *p) {
    int failed = 0;
    const brew_json *value = get_array(p, "positive", &failed);
    if (!value) return failed;
    bool nested = brew_json_is(brew_json_at(value, 0), BREW_JSON_ARRAY);
    if (nested && brew_json_length(value) != p->rq->n_items)
        return brew_fail(p->err, BREW_DATA, "positive holds %zu lists for %zu items",
                         brew_json_length(value), p->rq->n_items);
    size_t n = nested ? brew_json_length(value) : p->rq->n_sets;
    for (size_t i = 0; i < n; i++) {
        const brew_json *list = nested ? brew_json_at(value, i) : value;
        if (!brew_json_is(list, BREW_JSON_ARRAY)) return wrong(p, "positive", i, list, "an array");
        if (take_positive(p, list, p->rq->n_sets > 1 ? i : 0)) return -1;
    }
    return 0;
}

// The array `key`, which must run parallel to the items; NULL if absent.
static const brew_json *parallel(struct parse *p, const char *key, int *failed) {
    const brew_json *value = get_array(p, key, failed);
    if (value && brew_json_length(value) != p->rq->n_items) {
        *failed = brew_fail(p->err, BREW_DATA, "%s holds %zu for %zu items", key,
                            brew_json_length(value), p->rq->n_items);
        return NULL;
    }
    return value;
}

static int parse_targets(struct parse *p) {
    int failed = 0;
    brew_request *rq = p->rq;
    const brew_json *list = parallel(p, "targets", &failed);
    rq->targets = take(p, rq->n_items, sizeof *rq->targets);
    for (size_t i = 0; !failed && i < rq->n_items; i++) {
        rq->targets[i] = -1;
        if (!list) continue;
        const brew_json *value = brew_json_at(list, i);
        if (!brew_json_is(value, BREW_JSON_INT)) return wrong(p, "targets", i, value, "an integer");
        int64_t target = brew_json_int(value), n = (int64_t)rq->sets[rq->n_sets > 1 ? i : 0].n;
        if (target < -1 || target >= n)
            return brew_fail(p->err, BREW_DATA,
                             "targets[%zu] is %lld, its label set has %lld labels", i,
                             (long long)target, (long long)n);
        rq->targets[i] = (int32_t)target;
    }
    return failed;
}

// Reals parallel to the items, low <= value <= high (the bounds of rank/reader); out NULL only checks.
static int parse_reals(struct parse *p, const char *key, double low, double high, const char *range,
                       float absent, float **out) {
    int failed = 0;
    const brew_json *list = parallel(p, key, &failed);
    if (failed || (!list && !out)) return failed;
    float *values = take(p, p->rq->n_items, sizeof *values);
    for (size_t i = 0; i < p->rq->n_items; i++) {
        values[i] = absent;
        if (!list) continue;
        const brew_json *value = brew_json_at(list, i);
        if (!brew_json_is(value, BREW_JSON_INT) && !brew_json_is(value, BREW_JSON_REAL))
            return wrong(p, key, i, value, "a number");
        double real = brew_json_real(value);
        if (!(real >= low && real <= high))
            return brew_fail(p->err, BREW_DATA, "%s[%zu] is not %s", key, i, range);
        values[i] = (float)real;
    }
    if (out) *out = values;
    return 0;
}

static int check_item_fields(struct parse *p) {
    int failed = 0;
    const brew_json *ids = parallel(p, "item_ids", &failed);
    for (size_t i = 0; i < brew_json_length(ids); i++) {
        const brew_json *value = brew_json_at(ids, i);
        if (!brew_json_is(value, BREW_JSON_STRING) && !brew_json_is(value, BREW_JSON_INT))
            return wrong(p, "item_ids", i, value, "a string or an integer");
    }
    const brew_json *id = brew_json_get(p->record, "id");
    if (!failed && id && !brew_json_is(id, BREW_JSON_STRING) && !brew_json_is(id, BREW_JSON_INT))
        return wrong(p, "id", SIZE_MAX, id, "a string or an integer");
    const brew_json *meta = brew_json_get(p->record, "item_meta");
    if (failed || !meta) return failed;
    if (!brew_json_is(meta, BREW_JSON_OBJECT))
        return wrong(p, "item_meta", SIZE_MAX, meta, "an object");
    size_t member = 0; // named by its place: keys below the first level are the user's own
    for (brew_json_iter it = {0}; brew_json_next(meta, &it); member++) {
        if (!brew_json_is(it.value, BREW_JSON_ARRAY))
            return wrong(p, "item_meta", member, it.value, "an array");
        if (brew_json_length(it.value) != p->rq->n_items)
            return brew_fail(p->err, BREW_DATA, "item_meta[%zu] holds %zu for %zu items", member,
                             brew_json_length(it.value), p->rq->n_items);
    }
    return 0;
}

// An offset into the query at which something begins, behind the one before it (-1 for the first).
static int take_offset(struct parse *p, const brew_json *value, const char *key, size_t index,
                       int64_t before, int64_t *offset) {
    const brew_piece *query = &p->rq->query;
    size_t len = query->ids ? query->n_ids : query->len;
    if (!brew_json_is(value, BREW_JSON_INT)) return wrong(p, key, index, value, "an offset");
    int64_t at = brew_json_int(value);
    if (at < 0 || (uint64_t)at >= len)
        return brew_fail(p->err, BREW_DATA, "%s[%zu] points at %lld, the query holds %zu %s", key,
                         index, (long long)at, len, query->ids ? "tokens" : "bytes");
    if (at <= before)
        return brew_fail(p->err, BREW_DATA, "%s[%zu] points at %lld, which is not behind %lld", key,
                         index, (long long)at, (long long)before);
    if (!query->ids && ((unsigned char)query->text[at] & 0xc0) == 0x80)
        return brew_fail(p->err, BREW_DATA, "%s[%zu] points at %lld, inside a character", key,
                         index, (long long)at);
    *offset = at;
    return 0;
}

static int parse_lines(struct parse *p) {
    int failed = 0;
    const brew_json *list = get_array(p, "lines", &failed);
    p->rq->n_lines = brew_json_length(list);
    p->rq->lines = take(p, p->rq->n_lines, sizeof *p->rq->lines);
    for (size_t i = 0; !failed && i < p->rq->n_lines; i++)
        failed = take_offset(p, brew_json_at(list, i), "lines", i, i ? p->rq->lines[i - 1] : -1,
                             p->rq->lines + i);
    return failed;
}

static int parse_answered(struct parse *p) {
    int failed = 0;
    brew_request *rq = p->rq;
    const brew_json *list = get_array(p, "answered", &failed);
    if (!list) return failed;
    rq->answered = take(p, brew_json_length(list), sizeof *rq->answered);
    for (; rq->n_answered < brew_json_length(list); rq->n_answered++) {
        size_t i = rq->n_answered, n_sets = rq->n_sets;
        const brew_json *value = brew_json_at(list, i);
        size_t n = brew_json_length(value);
        if (n < 2 || n > 4)
            return brew_fail(p->err, BREW_DATA,
                             "answered[%zu] is not [offset, label], nor with a set or with a set "
                             "and log-odds",
                             i);
        brew_answered *a = rq->answered + i;
        if (take_offset(p, brew_json_at(value, 0), "answered", i, i ? a[-1].offset : -1,
                        &a->offset))
            return -1;
        int64_t number[2] = {0, 0}; // label, set
        char place[PLACE];
        for (size_t j = 1; j < n && j < 3; j++) {
            const brew_json *element = brew_json_at(value, j);
            if (!brew_json_is(element, BREW_JSON_INT))
                return wrong(p, nested_key(place, "answered", i), j, element, "an integer");
            number[j - 1] = brew_json_int(element);
        }
        if (number[1] < 0 || (uint64_t)number[1] >= n_sets)
            return brew_fail(p->err, BREW_DATA, "answered[%zu] names label set %lld of %zu", i,
                             (long long)number[1], n_sets);
        size_t labels = rq->sets[number[1]].n;
        if (number[0] < 0 || (uint64_t)number[0] >= labels)
            return brew_fail(p->err, BREW_DATA, "answered[%zu] names label %lld of %zu", i,
                             (long long)number[0], labels);
        a->label = (int32_t)number[0];
        a->set = (int32_t)number[1];
        a->log_odds = 0;
        if (n < 4) continue;
        const brew_json *odds = brew_json_at(value, 3);
        if (!brew_json_is(odds, BREW_JSON_INT) && !brew_json_is(odds, BREW_JSON_REAL))
            return wrong(p, nested_key(place, "answered", i), 3, odds, "a number");
        if (!(fabs(brew_json_real(odds)) <= 3e38))
            return brew_fail(p->err, BREW_DATA, "answered[%zu][3] is not a finite number", i);
        a->log_odds = (float)brew_json_real(odds);
    }
    return 0;
}

static int parse_meta(struct parse *p) {
    const brew_json *meta = brew_json_get(p->record, "meta");
    if (!meta) return 0;
    if (!brew_json_is(meta, BREW_JSON_OBJECT)) return wrong(p, "meta", SIZE_MAX, meta, "an object");
    static const char *const keys[] = {"history", "shown"};
    for (size_t k = 0; k < 2; k++) {
        int64_t n = -1;
        if (brew_json_want_int(meta, keys[k], 0, INT64_MAX, &n, p->err) < 0)
            return brew_err_context(p->err, "meta");
        if (k == 1) p->rq->shown = n;
    }
    return 0;
}

static int parse_plain(struct parse *p, const brew_json *text, const brew_json *ids) {
    p->rq->is_plain = true;
    if (text && !brew_json_is(text, BREW_JSON_STRING))
        return wrong(p, "text", SIZE_MAX, text, "a string");
    if (ids) return take_ids(p, ids, "ids", SIZE_MAX, &p->rq->query);
    return take_text(p, text, &p->rq->query);
}

static int parse_record(struct parse *p) {
    if (!brew_json_is(p->record, BREW_JSON_OBJECT))
        return brew_fail(p->err, BREW_DATA, "the record is %s, not an object",
                         brew_json_type_name(p->record));
    const brew_json *text = brew_json_get(p->record, "text"),
                    *ids = brew_json_get(p->record, "ids");
    if ((text || ids) && !brew_json_get(p->record, "query") &&
        !brew_json_get(p->record, "query_ids"))
        return parse_plain(p, text, ids);
    if (parse_query(p) || parse_items(p) || parse_labels(p) || check_positive(p) ||
        parse_targets(p) ||
        parse_reals(p, "weights", 0, 1e30, "a number from 0 to 1e30", 1, &p->rq->weights) ||
        parse_reals(p, "offsets", -3e38, 3e38, "a finite number", 0, &p->rq->offsets) ||
        parse_reals(p, "sample_rates", 1e-12, 1, "a number from 1e-12 to 1", 1, NULL) ||
        check_item_fields(p) || parse_lines(p) || parse_answered(p))
        return -1;
    return parse_meta(p);
}

// Everything but the texts, their ids and what points into them.
static void write_meta(brew_request *rq, const char *line, size_t len) {
    static const char *const prompt[] = {"query", "items",    "query_ids", "items_ids",
                                         "lines", "answered", NULL};
    static const char *const plain[] = {"text", "ids", NULL};
    size_t n;
    brew_json_slice *slices = brew_request_slices(line, len, &n);
    brew_buf_addc(&rq->meta, '{');
    for (size_t i = 0; i < n; i++) {
        const char *const *drop = rq->is_plain ? plain : prompt;
        while (*drop && !brew_request_key_is(slices + i, *drop)) drop++;
        if (*drop) continue;
        brew_buf_adds(&rq->meta, rq->meta.len > 1 ? ",\"" : "\"");
        brew_buf_add(&rq->meta, slices[i].key, slices[i].key_len);
        brew_buf_adds(&rq->meta, "\":");
        brew_buf_add(&rq->meta, slices[i].value, slices[i].value_len);
    }
    brew_buf_addc(&rq->meta, '}');
    free(slices);
}

int brew_request_parse(brew_request *request, const char *line, size_t len, brew_err *err) {
    forget(request);
    if (len && memchr(line, '\n', len)) // the meta line could not be one line
        return brew_fail(err, BREW_DATA, "the record is more than one line");
    brew_json *record = brew_json_parse(line, len, err);
    if (!record) return -1;
    struct parse p = {request, record, err};
    int failed = parse_record(&p);
    brew_json_free(record);
    if (failed)
        forget(request);
    else
        write_meta(request, line, len);
    return failed ? -1 : 0;
}

bool brew_request_has_text(const brew_request *request) {
    bool text = !request->query.ids;
    for (size_t i = 0; i < request->n_items; i++) text |= !request->items[i].ids;
    for (size_t s = 0; s < request->n_sets; s++)
        for (size_t i = 0; i < request->sets[s].n; i++) text |= !request->sets[s].labels[i].ids;
    return text;
}
