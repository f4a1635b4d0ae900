#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/encoder.h"

// Tokens of the text before that decoding a continuation needs to see: enough for a character of four
// byte tokens, and for a tokenizer that treats its first token as a beginning.
enum { CONTEXT = 8 };

static void write_key(brew_buf *out, const char *key, size_t len) {
    brew_buf_adds(out, out->ptr[out->len - 1] == '{' ? "\"" : ",\"");
    brew_buf_add(out, key, len);
    brew_buf_adds(out, "\":");
}

// A record's ids, wherever they came from.
struct pieces {
    const brew_tokenizer *tok;
    const int32_t *query;
    size_t n_query;
    brew_buf text, both; // scratch
    brew_ids joined;
    brew_err *err;
};

static int write_decoded(struct pieces *p, const int32_t *ids, size_t n, brew_buf *out) {
    brew_buf_reset(&p->text);
    if (brew_tokenizer_decode(p->tok, ids, n, &p->text, p->err)) return -1;
    brew_json_write_string(out, p->text.ptr ? p->text.ptr : "", p->text.len);
    return 0;
}

// What these ids add behind the query's last tokens.
static int write_continued(struct pieces *p, const int32_t *ids, size_t n, brew_buf *out) {
    size_t before = p->n_query < CONTEXT ? p->n_query : CONTEXT;
    if (!before) return write_decoded(p, ids, n, out);
    p->joined.n = 0;
    BREW_GROW(p->joined.ids, before + n, p->joined.cap);
    memcpy(p->joined.ids, p->query + p->n_query - before, before * sizeof *ids);
    if (n) memcpy(p->joined.ids + before, ids, n * sizeof *ids);
    brew_buf_reset(&p->text);
    brew_buf_reset(&p->both);
    if (brew_tokenizer_decode(p->tok, p->joined.ids, before, &p->text, p->err) ||
        brew_tokenizer_decode(p->tok, p->joined.ids, before + n, &p->both, p->err))
        return -1;
    if (p->both.len < p->text.len || (p->text.len && memcmp(p->both.ptr, p->text.ptr, p->text.len)))
        return write_decoded(p, ids, n, out); // a character begins before and ends here
    brew_json_write_string(out, p->both.ptr ? p->both.ptr + p->text.len : "",
                           p->both.len - p->text.len);
    return 0;
}

static void release_pieces(struct pieces *p) {
    brew_buf_release(&p->text);
    brew_buf_release(&p->both);
    brew_ids_release(&p->joined);
}

static void skip_bos(struct pieces *p) {
    int32_t bos = brew_tokenizer_bos(p->tok);
    if (bos < 0 || !p->n_query || p->query[0] != bos) return;
    p->query++;
    p->n_query--;
}

// The meta line's members, and an object left open. Ids, texts that are made anew and offsets that
// count tokens are left out.
static void write_members(const char *line, size_t len, const char *const *out_of, brew_buf *out) {
    size_t n;
    brew_json_slice *slices = brew_request_slices(line, len, &n);
    brew_buf_addc(out, '{');
    for (size_t i = 0; i < n; i++) {
        const char *const *name = out_of;
        while (*name && !brew_request_key_is(slices + i, *name)) name++;
        if (*name) continue;
        write_key(out, slices[i].key, slices[i].key_len);
        brew_buf_add(out, slices[i].value, slices[i].value_len);
    }
    free(slices);
}

static const char *const id_members[] = {"label_ids", "label_token_ids", "label_tokens", NULL};
static const char *const no_members[] = {NULL};

static int write_labels(struct pieces *p, const brew_request *rq, brew_buf *out) {
    if (rq->n_sets > 1) brew_buf_addc(out, '[');
    for (size_t s = 0; s < rq->n_sets; s++) {
        brew_buf_adds(out, s ? ",[" : "[");
        for (size_t i = 0; i < rq->sets[s].n; i++) {
            if (i) brew_buf_addc(out, ',');
            if (write_continued(p, rq->sets[s].labels[i].ids, 1, out)) return -1;
        }
        brew_buf_addc(out, ']');
    }
    if (rq->n_sets > 1) brew_buf_addc(out, ']');
    return 0;
}

static int write_prompt(struct pieces *p, const brew_request *rq, brew_buf *out) {
    bool label_ids = rq->sets[0].labels[0].ids;
    write_members(rq->meta.ptr, rq->meta.len, label_ids ? id_members : no_members, out);
    write_key(out, "query", 5);
    if (write_decoded(p, p->query, p->n_query, out)) return -1;
    write_key(out, "items", 5);
    brew_buf_addc(out, '[');
    for (size_t i = 0; i < rq->n_items; i++) {
        if (i) brew_buf_addc(out, ',');
        if (write_continued(p, rq->items[i].ids, rq->items[i].n_ids, out)) return -1;
    }
    brew_buf_addc(out, ']');
    if (label_ids) {
        write_key(out, "label_tokens", 12);
        if (write_labels(p, rq, out)) return -1;
    }
    brew_buf_adds(out, "}\n");
    return 0;
}

static int all_ids(const brew_request *rq, brew_err *err) {
    bool ids = rq->query.ids;
    for (size_t i = 0; i < rq->n_items; i++) ids &= rq->items[i].ids != NULL;
    return ids ? 0 : brew_fail(err, BREW_DATA, "the record has no ids to decode");
}

int brew_decode_record(void *encoder, int worker, const char *line, size_t len, brew_star *star,
                       brew_buf *text, brew_err *err) {
    (void)worker, (void)star;
    brew_request rq = {0};
    struct pieces p = {.tok = brew_encoder_tokenizer(encoder, err), .err = err};
    size_t before = text->len;
    int failed = !p.tok || brew_request_parse(&rq, line, len, err) || all_ids(&rq, err);
    if (!failed) {
        p.query = rq.query.ids;
        p.n_query = rq.query.n_ids;
        if (rq.is_plain) {
            write_members(rq.meta.ptr, rq.meta.len, no_members, text);
            write_key(text, "text", 4);
            failed = write_decoded(&p, p.query, p.n_query, text);
            brew_buf_adds(text, "}\n");
        } else {
            skip_bos(&p);
            failed = write_prompt(&p, &rq, text);
        }
    }
    if (failed) text->len = before;
    release_pieces(&p);
    brew_request_release(&rq);
    return failed ? -1 : 0;
}

int brew_decode_text(void *encoder, int worker, const char *line, size_t len, brew_star *star,
                     brew_buf *text, brew_err *err) {
    (void)worker, (void)star;
    const brew_tokenizer *tok = brew_encoder_tokenizer(encoder, err);
    brew_request rq = {0};
    size_t before = text->len;
    int failed = !tok || brew_request_parse(&rq, line, len, err) || all_ids(&rq, err);
    if (!failed && !rq.is_plain) failed = brew_fail(err, BREW_DATA, "the record is no plain text");
    if (!failed) failed = brew_tokenizer_decode(tok, rq.query.ids, rq.query.n_ids, text, err);
    if (failed)
        text->len = before;
    else
        brew_buf_addc(text, '\n');
    brew_request_release(&rq);
    return failed ? -1 : 0;
}

int brew_decode_request(brew_encoder *encoder, const brew_star *star, size_t r, bool as_text,
                        brew_buf *text, brew_err *err) {
    struct pieces p = {.tok = brew_encoder_tokenizer(encoder, err), .err = err};
    if (!p.tok) return -1;
    int64_t s = star->requests[r];
    p.query = star->ids + star->segments[s];
    p.n_query = (size_t)brew_star_query_len(star, r);
    size_t items = brew_star_items(star, r), len, before = text->len;
    const char *meta = brew_star_meta(star, r, &len);
    if (as_text) {
        if (brew_tokenizer_decode(p.tok, p.query, p.n_query, text, err)) return -1;
        brew_buf_addc(text, '\n');
        return 0;
    }
    write_members(meta, len, no_members, text);
    if (items) skip_bos(&p);
    write_key(text, items ? "query" : "text", items ? 5 : 4);
    int failed = write_decoded(&p, p.query, p.n_query, text);
    if (items) {
        write_key(text, "items", 5);
        brew_buf_addc(text, '[');
        for (size_t i = 0; !failed && i < items; i++) {
            int64_t *split = star->segments + s + 1 + (int64_t)i;
            if (i) brew_buf_addc(text, ',');
            failed = write_continued(&p, star->ids + split[0], (size_t)(split[1] - split[0]), text);
        }
        brew_buf_addc(text, ']');
    }
    brew_buf_adds(text, "}\n");
    if (failed) text->len = before;
    release_pieces(&p);
    return failed;
}
