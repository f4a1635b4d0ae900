#include "text/request.h"

#include <stdlib.h>
#include <string.h>

// One request on its way to tokens. Everything is encoded here first and reaches the star only when
// nothing can fail any more.
struct encode {
    const brew_request *rq;
    const brew_tokenizer *tok;
    brew_tok_scratch *scratch;
    const brew_encode_options *options;
    brew_err *err;
    brew_ids *query;     // BOS included; offsets are bytes of the shortened text
    brew_ids items;      // all items' tokens
    size_t *item_splits; // [n_items+1] over items
    int32_t *labels;     // all sets' label ids
    size_t *set_splits;  // [n_sets+1] over labels
    size_t dropped;      // history lines
    brew_buf text;       // the shortened query
};

static int no_tokenizer(struct encode *e, const char *key) {
    return brew_fail(e->err, BREW_DATA, "%s holds text, which needs a tokenizer", key);
}

// Appends the tokens of a piece; key and index are for messages.
static int add_piece(struct encode *e, const brew_piece *piece, int flags, brew_ids *out,
                     const char *key) {
    if (piece->ids) {
        BREW_GROW(out->ids, out->n + piece->n_ids, out->cap);
        if (piece->n_ids) memcpy(out->ids + out->n, piece->ids, piece->n_ids * sizeof *out->ids);
        out->n += piece->n_ids;
        return 0;
    }
    if (!e->tok) return no_tokenizer(e, key);
    if (e->options->specials) flags |= BREW_TOK_SPECIALS;
    if (brew_tokenizer_encode(e->tok, e->scratch, piece->text, piece->len, flags, out, e->err))
        return brew_err_context(e->err, "%s", key);
    return 0;
}

// Ids given in the record, or of a tokenizer larger than the model.
static int check_ids(struct encode *e, const int32_t *ids, size_t n, const char *name) {
    size_t vocab = e->options->vocab;
    for (size_t i = 0; vocab && i < n; i++)
        if ((size_t)ids[i] >= vocab)
            return brew_fail(e->err, BREW_DATA, "%s holds the token id %d, the vocabulary has %zu",
                             name, (int)ids[i], vocab);
    return 0;
}

static int check_vocab(struct encode *e) {
    return check_ids(e, e->query->ids, e->query->n, "the query") ||
           check_ids(e, e->items.ids, e->items.n, "an item") ||
           check_ids(e, e->labels, e->set_splits[e->rq->n_sets], "a label set");
}

static int encode_items(struct encode *e) {
    for (size_t i = 0; i < e->rq->n_items; i++) {
        e->item_splits[i] = e->items.n;
        if (add_piece(e, e->rq->items + i, 0, &e->items, "items")) return -1;
        if (e->items.n == e->item_splits[i])
            return brew_fail(e->err, BREW_DATA, "items[%zu] has no token", i);
    }
    e->item_splits[e->rq->n_items] = e->items.n;
    return 0;
}

static bool same_labels(const brew_label_set *a, const brew_label_set *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        const brew_piece *x = a->labels + i, *y = b->labels + i;
        if (!x->text || !y->text || x->len != y->len || memcmp(x->text, y->text, x->len))
            return false;
    }
    return true;
}

static int encode_set(struct encode *e, size_t s, brew_ids *label) {
    const brew_label_set *set = e->rq->sets + s;
    int32_t *ids = e->labels + e->set_splits[s];
    if (s && same_labels(set, set - 1)) { // many items, few kinds of question
        memcpy(ids, ids - set->n, set->n * sizeof *ids);
        return 0;
    }
    for (size_t i = 0; i < set->n; i++) {
        label->n = 0;
        if (add_piece(e, set->labels + i, 0, label, "label_tokens")) return -1;
        if (label->n != 1)
            return brew_fail(e->err, BREW_DATA, "label %zu of label set %zu is %zu tokens, not one",
                             i, s, label->n);
        ids[i] = label->ids[0];
        for (size_t j = 0; j < i; j++)
            if (ids[j] == ids[i])
                return brew_fail(e->err, BREW_DATA,
                                 "labels %zu and %zu of label set %zu are the same token", j, i, s);
    }
    return 0;
}

static int encode_sets(struct encode *e) {
    size_t total = 0;
    for (size_t s = 0; s < e->rq->n_sets; s++) {
        e->set_splits[s] = total;
        total += e->rq->sets[s].n;
    }
    e->set_splits[e->rq->n_sets] = total;
    e->labels = brew_alloc(total * sizeof *e->labels);
    brew_ids label = {0};
    int failed = 0;
    for (size_t s = 0; !failed && s < e->rq->n_sets; s++) failed = encode_set(e, s, &label);
    brew_ids_release(&label);
    return failed;
}

size_t brew_request_droppable(const brew_request *request) {
    if (!request->n_lines) return 0;
    return request->n_lines - (request->query.ids ? 1 : 0);
}

void brew_request_cut(const brew_request *request, size_t drop, size_t *from, size_t *to) {
    *from = *to = 0;
    if (!drop) return;
    *from = (size_t)request->lines[0];
    if (drop < request->n_lines) {
        *to = (size_t)request->lines[drop];
        return;
    }
    size_t last = (size_t)request->lines[request->n_lines - 1];
    const char *end = memchr(request->query.text + last, '\n', request->query.len - last);
    *to = end ? (size_t)(end - request->query.text) + 1 : request->query.len;
}

// The query's tokens without its `drop` oldest lines.
static int encode_query(struct encode *e, size_t drop) {
    const brew_piece *query = &e->rq->query;
    size_t from, to;
    brew_request_cut(e->rq, drop, &from, &to);
    e->query->n = 0;
    e->dropped = drop;
    if (query->ids) {
        brew_piece head = {.ids = query->ids, .n_ids = from};
        brew_piece tail = {.ids = query->ids + to, .n_ids = query->n_ids - to};
        return add_piece(e, &head, 0, e->query, "query") ||
               add_piece(e, &tail, 0, e->query, "query");
    }
    if (!e->tok) return no_tokenizer(e, "query");
    int flags = BREW_TOK_START;
    if (e->rq->is_plain) {
        flags |= BREW_TOK_SPECIALS;
    } else if (e->options->bos && brew_tokenizer_bos(e->tok) >= 0) {
        BREW_GROW(e->query->ids, 1, e->query->cap);
        if (e->query->with_offsets) {
            BREW_GROW(e->query->offsets, 1, e->query->offsets_cap);
            e->query->offsets[0] = -1;
        }
        e->query->ids[0] = brew_tokenizer_bos(e->tok);
        e->query->n = 1;
    }
    brew_piece text = *query;
    if (drop) {
        brew_buf_reset(&e->text);
        brew_buf_add(&e->text, query->text, from);
        brew_buf_add(&e->text, query->text + to, query->len - to);
        text = (brew_piece){.text = e->text.ptr, .len = e->text.len};
    }
    return add_piece(e, &text, flags, e->query, "query");
}

// How many of the fully tokenised query's tokens begin in [from, to).
static size_t tokens_between(const struct encode *e, size_t from, size_t to) {
    if (e->rq->query.ids) return to - from;
    size_t n = 0;
    bool inside = false;
    for (size_t i = 0; i < e->query->n; i++) {
        int64_t at = e->query->offsets[i];
        if (at >= 0) inside = (size_t)at >= from && (size_t)at < to; // else: as the one before
        n += inside;
    }
    return n;
}

// Drops the fewest oldest lines. Counting tokens finds about how many, tokenising decides: cutting a
// text can join tokens or part them where the pieces meet.
static int fit_query(struct encode *e, size_t limit) {
    size_t most = brew_request_droppable(e->rq), full = e->query->n, guess = 1, above = most;
    while (guess < above) {
        size_t middle = guess + (above - guess) / 2, from, to;
        brew_request_cut(e->rq, middle, &from, &to);
        if (full - tokens_between(e, from, to) <= limit)
            above = middle;
        else
            guess = middle + 1;
    }
    for (; guess <= most; guess++) {
        if (encode_query(e, guess)) return -1;
        if (e->query->n <= limit) break;
    }
    if (guess > most)
        return brew_fail(
            e->err, BREW_DATA,
            "the query has %zu tokens and may have %zu; without its %zu oldest history "
            "lines it still has %zu",
            full, limit, most, most ? e->query->n : full);
    while (guess > 1) {
        if (encode_query(e, guess - 1)) return -1;
        if (e->query->n > limit) return encode_query(e, guess);
        guess--;
    }
    return 0;
}

static int limit_query(struct encode *e) {
    const brew_encode_options *o = e->options;
    int64_t longest = 0, n = (int64_t)e->query->n;
    if (e->rq->is_plain && o->long_texts) return 0;
    for (size_t i = 0; i < e->rq->n_items; i++) {
        int64_t len = (int64_t)(e->item_splits[i + 1] - e->item_splits[i]);
        if (len > longest) longest = len;
    }
    if (o->max_span && longest > o->max_span)
        return brew_fail(e->err, BREW_DATA, "an item has %lld tokens, beyond the limit of %lld",
                         (long long)longest, (long long)o->max_span);
    int64_t limit = o->max_span ? o->max_span - longest : INT64_MAX;
    bool span = !o->max_query || limit < o->max_query;
    if (!span) limit = o->max_query;
    if (n <= limit) return 0;
    if (o->fit == BREW_FIT_OLDEST && e->rq->n_lines) return fit_query(e, (size_t)limit);
    if (span)
        return brew_fail(
            e->err, BREW_DATA,
            "the query has %lld tokens and the longest item %lld, beyond the limit of %lld",
            (long long)n, (long long)longest, (long long)o->max_span);
    return brew_fail(e->err, BREW_DATA, "the query has %lld tokens, beyond the limit of %lld",
                     (long long)n, (long long)limit);
}

// The past answers that stand on a token of their own, in a query that begins at row `base`.
static void add_history(struct encode *e, brew_star *star, const int32_t *sets, int64_t base,
                        brew_encode_counts *counts) {
    size_t from, to, t = 0;
    brew_request_cut(e->rq, e->dropped, &from, &to);
    for (size_t i = 0; i < e->rq->n_answered; i++) {
        const brew_answered *a = e->rq->answered + i;
        int64_t at = a->offset;
        if (at >= (int64_t)from && at < (int64_t)to) continue; // gone with its line
        if (at >= (int64_t)to) at -= (int64_t)(to - from);
        if (e->rq->query.ids)
            t = (size_t)at;
        else
            while (t < e->query->n && e->query->offsets[t] < at) t++;
        int32_t label = e->labels[e->set_splits[a->set] + (size_t)a->label];
        bool stands = t > 0 && t < e->query->n && e->query->ids[t] == label &&
                      (e->rq->query.ids || e->query->offsets[t] == at);
        counts->history_answers += stands;
        counts->answers_dropped += !stands;
        if (stands)
            brew_star_add_answer(star, base + (int64_t)t - 1, sets[a->set], a->label, 1,
                                 a->log_odds);
    }
}

// `shown` counts events; a dropped line is one event less if the lines are the events.
static void add_meta(struct encode *e, brew_star *star) {
    const brew_buf *meta = &e->rq->meta;
    if (!e->dropped || e->rq->shown < 0) {
        brew_star_add_meta(star, meta->ptr, meta->len);
        return;
    }
    brew_buf out = {0};
    size_t n, m;
    brew_json_slice *slices = brew_request_slices(meta->ptr, meta->len, &n), *inner = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!brew_request_key_is(slices + i, "meta")) continue;
        inner = brew_request_slices(slices[i].value, slices[i].value_len, &m);
        brew_buf_add(&out, meta->ptr, (size_t)(slices[i].value - meta->ptr));
        brew_buf_addc(&out, '{');
        for (size_t j = 0; j < m; j++) {
            bool shown = brew_request_key_is(inner + j, "shown");
            if (shown && (uint64_t)e->rq->shown != e->rq->n_lines) continue;
            brew_buf_adds(&out, out.ptr[out.len - 1] == '{' ? "\"" : ",\"");
            brew_buf_add(&out, inner[j].key, inner[j].key_len);
            brew_buf_adds(&out, "\":");
            if (shown)
                brew_buf_add_i64(&out, e->rq->shown - (int64_t)e->dropped);
            else
                brew_buf_add(&out, inner[j].value, inner[j].value_len);
        }
        brew_buf_addc(&out, '}');
        const char *rest = slices[i].value + slices[i].value_len;
        brew_buf_add(&out, rest, (size_t)(meta->ptr + meta->len - rest));
        break;
    }
    brew_star_add_meta(star, out.ptr, out.len);
    brew_buf_release(&out);
    free(inner);
    free(slices);
}

static void add_request(struct encode *e, brew_star *star, brew_encode_counts *counts) {
    const brew_request *rq = e->rq;
    brew_star_add_request(star);
    int64_t base = (int64_t)star->n_ids;
    brew_star_add_ids(star, e->query->ids, e->query->n);
    int32_t *sets = brew_alloc(rq->n_sets * sizeof *sets);
    for (size_t s = 0; s < rq->n_sets; s++)
        sets[s] = brew_star_add_set(star, e->labels + e->set_splits[s],
                                    e->set_splits[s + 1] - e->set_splits[s]);
    for (size_t i = 0; i < rq->n_items; i++) {
        brew_star_add_item(star);
        brew_star_add_ids(star, e->items.ids + e->item_splits[i],
                          e->item_splits[i + 1] - e->item_splits[i]);
        brew_star_add_answer(star, (int64_t)star->n_ids - 1, sets[rq->n_sets > 1 ? i : 0],
                             rq->targets[i], rq->weights[i], rq->offsets[i]);
    }
    add_history(e, star, sets, base, counts);
    add_meta(e, star);
    free(sets);
    counts->records++;
    counts->items += rq->n_items;
    counts->tokens += star->n_ids - (size_t)base;
    counts->lines_dropped += e->dropped;
}

int brew_request_encode(const brew_request *request, const brew_tokenizer *tok,
                        brew_tok_scratch *scratch, const brew_encode_options *options,
                        brew_star *star, brew_encode_counts *counts, brew_err *err) {
    brew_ids query = {.with_offsets = request->n_answered || options->fit == BREW_FIT_OLDEST};
    struct encode e = {
        .rq = request, .tok = tok, .scratch = scratch, .options = options, .err = err};
    e.query = options->query ? options->query : &query;
    e.item_splits = brew_calloc(request->n_items + 1, sizeof *e.item_splits);
    e.set_splits = brew_calloc(request->n_sets + 1, sizeof *e.set_splits);
    int failed = encode_sets(&e) || encode_items(&e) || encode_query(&e, 0) || limit_query(&e) ||
                 check_vocab(&e);
    if (!failed) add_request(&e, star, counts);
    brew_ids_release(&query);
    brew_ids_release(&e.items);
    brew_buf_release(&e.text);
    free(e.item_splits);
    free(e.set_splits);
    free(e.labels);
    return failed ? -1 : 0;
}
