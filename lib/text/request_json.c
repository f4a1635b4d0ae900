#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/request.h"

bool brew_request_key_is(const brew_json_slice *slice, const char *name) {
    size_t at = 0;
    for (; at < slice->key_len && *name; name++) {
        unsigned c = (unsigned char)slice->key[at++];
        if (c == '\\' && at < slice->key_len) { // names are letters and '_': only \u can spell them
            if (slice->key[at] != 'u' || slice->key_len - at < 5) return false;
            char hex[5] = {0};
            memcpy(hex, slice->key + at + 1, 4);
            c = (unsigned)strtoul(hex, NULL, 16);
            at += 5;
        }
        if (c != (unsigned char)*name) return false;
    }
    return at == slice->key_len && !*name;
}

brew_json_slice *brew_request_slices(const char *text, size_t len, size_t *n) {
    size_t cap = 32;
    for (brew_json_slice *slices = NULL;; cap *= 2) {
        slices = brew_realloc_array(slices, cap, sizeof *slices);
        *n = brew_json_slices(text, len, slices, cap);
        if (*n < cap) return slices;
    }
}

int brew_request_positive(const brew_json *meta, size_t i, size_t n, uint8_t *positive,
                          brew_err *err) {
    memset(positive, 0, n);
    const brew_json *list = brew_json_get(meta, "positive");
    if (brew_json_is(brew_json_at(list, 0), BREW_JSON_ARRAY)) list = brew_json_at(list, i);
    size_t length = brew_json_length(list);
    positive[0] = !length;
    for (size_t k = 0; k < length; k++) {
        const brew_json *label = brew_json_at(list, k);
        int64_t at = brew_json_is(label, BREW_JSON_INT) ? brew_json_int(label) : -1;
        if (at < 0 || (uint64_t)at >= n)
            return brew_fail(err, BREW_DATA, "positive names no label of item %zu", i);
        positive[at] = 1;
    }
    return 0;
}

static void write_id_list(brew_buf *out, const int32_t *ids, size_t n) {
    brew_buf_addc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i) brew_buf_addc(out, ',');
        brew_buf_add_i64(out, ids[i]);
    }
    brew_buf_addc(out, ']');
}

// ,"key": or, at the beginning of an object, "key":
static void write_key(brew_buf *out, const char *key, size_t len) {
    brew_buf_adds(out, out->ptr[out->len - 1] == '{' ? "\"" : ",\"");
    brew_buf_add(out, key, len);
    brew_buf_adds(out, "\":");
}

// The query's text without the lines that went, as a JSON string.
static void write_query(const brew_request *rq, size_t dropped, brew_buf *out) {
    size_t from, to;
    brew_request_cut(rq, dropped, &from, &to);
    brew_buf text = {0};
    brew_buf_add(&text, rq->query.text, from);
    brew_buf_add(&text, rq->query.text + to, rq->query.len - to);
    brew_json_write_string(out, text.ptr, text.len);
    brew_buf_release(&text);
}

static void write_labels(const brew_request *rq, const brew_star *star, brew_buf *out) {
    bool nested = rq->n_sets > 1;
    if (nested) brew_buf_addc(out, '[');
    for (size_t i = 0; i < rq->n_sets; i++) {
        size_t set = rq->n_items ? (size_t)star->answer_set[i] : 0; // set i is item i's
        int64_t first = star->label_splits[set];
        if (i) brew_buf_addc(out, ',');
        write_id_list(out, star->label_ids + first, (size_t)(star->label_splits[set + 1] - first));
    }
    if (nested) brew_buf_addc(out, ']');
}

// The past answers that were kept, as indices of query_ids; a set by the first item that has it.
static void write_answered(const brew_request *rq, const brew_star *star, brew_buf *out) {
    brew_buf_addc(out, '[');
    for (size_t a = rq->n_items; a < star->n_answers; a++) {
        if (a > rq->n_items) brew_buf_addc(out, ',');
        brew_buf_addf(out, "[%lld,%d", (long long)star->answers[a] + 1, (int)star->targets[a]);
        size_t set = 0;
        while (rq->n_sets > 1 && star->answer_set[set] != star->answer_set[a]) set++;
        if (set || star->offsets[a] != 0) brew_buf_addf(out, ",%zu", set);
        if (star->offsets[a] != 0) {
            brew_buf_addc(out, ',');
            brew_buf_add_float(out, star->offsets[a]);
        }
        brew_buf_addc(out, ']');
    }
    brew_buf_addc(out, ']');
}

static void write_lines(const brew_request *rq, const brew_ids *query, size_t dropped,
                        brew_buf *out) {
    size_t from, to, t = 0, written = 0;
    brew_request_cut(rq, dropped, &from, &to);
    brew_buf_addc(out, '[');
    for (size_t i = dropped; i < rq->n_lines; i++) {
        int64_t at = rq->lines[i] - (int64_t)(to - from);
        if (!rq->query.ids) {
            while (t < query->n && query->offsets[t] < at) t++;
            if (t == query->n) break;
            if (query->offsets[t] != at) continue; // it begins inside a token
            at = (int64_t)t;
        }
        if (written++) brew_buf_addc(out, ',');
        brew_buf_add_i64(out, at);
    }
    brew_buf_addc(out, ']');
}

// The record's own "meta", in which `shown` has changed with the lines that went.
static void write_meta(const brew_star *star, brew_buf *out) {
    size_t len, n;
    const char *meta = brew_star_meta(star, 0, &len);
    brew_json_slice *members = brew_request_slices(meta, len, &n);
    for (size_t i = 0; i < n; i++)
        if (brew_request_key_is(members + i, "meta"))
            brew_buf_add(out, members[i].value, members[i].value_len);
    free(members);
}

// Writes what stands in place of a member of the record; false: the member stays as it is.
static bool write_changed(const brew_request *rq, const brew_json_slice *member,
                          const brew_star *star, const brew_ids *query, size_t dropped,
                          brew_buf *out) {
    static const char *const added[] = {"query_ids", "items_ids", "label_ids", NULL};
    if (rq->is_plain) return brew_request_key_is(member, "ids");
    for (size_t i = 0; added[i]; i++)
        if (brew_request_key_is(member, added[i])) return true; // written at the end
    bool lines = brew_request_key_is(member, "lines");
    bool answered = brew_request_key_is(member, "answered");
    bool is_query = dropped && brew_request_key_is(member, "query");
    bool meta = dropped && brew_request_key_is(member, "meta");
    if (is_query && rq->query.ids) return true; // query_ids alone holds what is left
    if (!lines && !answered && !is_query && !meta) return false;
    write_key(out, member->key, member->key_len);
    if (lines) write_lines(rq, query, dropped, out);
    if (answered) write_answered(rq, star, out);
    if (is_query) write_query(rq, dropped, out);
    if (meta) write_meta(star, out);
    return true;
}

void brew_request_write_ids(const brew_request *request, const char *line, size_t len,
                            const brew_star *star, const brew_ids *query, size_t dropped,
                            brew_buf *out) {
    size_t n;
    brew_json_slice *members = brew_request_slices(line, len, &n);
    brew_buf_addc(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (write_changed(request, members + i, star, query, dropped, out)) continue;
        write_key(out, members[i].key, members[i].key_len);
        brew_buf_add(out, members[i].value, members[i].value_len);
    }
    free(members);
    write_key(out, request->is_plain ? "ids" : "query_ids", request->is_plain ? 3 : 9);
    write_id_list(out, star->ids, (size_t)brew_star_query_len(star, 0));
    if (!request->is_plain) {
        write_key(out, "items_ids", 9);
        brew_buf_addc(out, '[');
        for (size_t i = 0; i < request->n_items; i++) {
            int64_t first = star->segments[i + 1];
            if (i) brew_buf_addc(out, ',');
            write_id_list(out, star->ids + first, (size_t)(star->segments[i + 2] - first));
        }
        brew_buf_addc(out, ']');
        write_key(out, "label_ids", 9);
        write_labels(request, star, out);
    }
    brew_buf_addc(out, '}');
}
