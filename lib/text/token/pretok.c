// Pre-tokenisation: a stretch of normalised text goes through the steps, its pieces to the model.
#include "text/token/tok.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

typedef struct walk {
    const brew_tokenizer *tok;
    brew_tok_scratch *scratch;
    brew_ids *out;
    brew_err *err;
    bool prefix; // the space of a text's beginning is wanted
} walk;

static int run(walk *w, size_t step, brew_tok_view view);

static brew_tok_view part(const brew_tok_view *view, size_t from, size_t to) {
    return (brew_tok_view){view->text + from, to - from,
                           view->origins ? view->origins + from : NULL, view->first + (int64_t)from,
                           view->start && from == 0};
}

// ---- Pieces to ids

static void add_ids(brew_ids *out, const int32_t *ids, size_t n) {
    BREW_GROW(out->ids, out->n + n, out->cap);
    memcpy(out->ids + out->n, ids, n * sizeof *ids);
    out->n += n;
}

// Offsets of the n ids just added for a piece, from their widths; false if those do not add up.
static bool offsets_by_width(const brew_tokenizer *tok, const brew_tok_view *view, size_t from,
                             size_t to, brew_ids *out, size_t n) {
    size_t at = from;
    BREW_GROW(out->offsets, out->n, out->offsets_cap);
    for (size_t i = out->n - n; i < out->n; i++) {
        size_t width = tok->bpe.widths[out->ids[i]];
        if (width == 0 || width == 255 || width > to - at) return false;
        out->offsets[i] = brew_tok_origin(view, at);
        at += width;
    }
    return at == to;
}

// Encodes a piece without the cache.
static void encode_piece(const brew_tokenizer *tok, brew_tok_scratch *scratch,
                         const brew_tok_view *view, size_t from, size_t to, brew_ids *out) {
    brew_bpe_work *work = &scratch->work;
    brew_bpe_encode(&tok->bpe, work, view->text + from, to - from);
    add_ids(out, work->ids, work->n);
    if (!out->with_offsets) return;
    BREW_GROW(out->offsets, out->n, out->offsets_cap);
    for (size_t i = 0; i < work->n; i++)
        out->offsets[out->n - work->n + i] = brew_tok_origin(view, from + work->starts[i]);
}

void brew_tok_piece(const brew_tokenizer *tok, brew_tok_scratch *scratch, const brew_tok_view *view,
                    size_t from, size_t to, brew_ids *out) {
    const char *piece = view->text + from;
    size_t len = to - from, n = 0, mark = out->n;
    brew_piece_cache *cache = &scratch->cache;
    brew_piece_key key = {{0, 0}};
    uint64_t hash;
    bool hit = false, elsewhere = true; // elsewhere: the table of long pieces may hold it
    if (!len) return;
    if (len <= 15) {
        key = brew_piece_key_of(piece, len);
        hash = brew_piece_hash(key);
        const brew_piece_slot *slot = brew_piece_find(cache, key, hash);
        elsewhere = slot && slot->ids[0] >> 24 == BREW_PIECE_MANY;
        if (slot && !elsewhere) {
            n = slot->ids[0] >> 24;
            int32_t ids[4] = {(int32_t)(slot->ids[0] & 0xffffff), (int32_t)slot->ids[1],
                              (int32_t)slot->ids[2], (int32_t)slot->ids[3]};
            add_ids(out, ids, n);
            hit = true;
        }
    } else {
        hash = brew_hash64(piece, len, 0);
    }
    if (elsewhere) {
        const int32_t *ids = brew_piece_long_find(cache, piece, len, hash, &n);
        if (ids) {
            add_ids(out, ids, n);
            hit = true;
        }
    }
    if (hit && (!out->with_offsets || offsets_by_width(tok, view, from, to, out, n))) return;
    out->n = mark;
    encode_piece(tok, scratch, view, from, to, out);
    if (hit) return;
    bool few = len <= 15 && out->n - mark <= 4;
    if (few)
        brew_piece_put(cache, key, hash, out->ids + mark, out->n - mark);
    else if (len <= 15 && !elsewhere)
        brew_piece_put(cache, key, hash, NULL, BREW_PIECE_MANY);
    if (!few) brew_piece_long_put(cache, piece, len, hash, out->ids + mark, out->n - mark);
}

// The last step's pieces. A character model's long piece falls apart where nothing merges.
static int leaf(walk *w, const brew_tok_view *view, size_t from, size_t to) {
    const brew_tokenizer *tok = w->tok;
    if (tok->cut_len) {
        const char *cut = tok->cut;
        size_t k = tok->cut_len, begin = from, at = from;
        bool was_cut = true; // the string before `at` is the cut string itself
        while (at + k <= to) {
            const char *next = memchr(view->text + at, cut[0], to - k + 1 - at);
            if (!next) break;
            size_t found = (size_t)(next - view->text);
            if (memcmp(next, cut, k) != 0) {
                at = found + 1;
                was_cut = false;
                continue;
            }
            if (found > begin && !(was_cut && found == at)) {
                brew_tok_piece(tok, w->scratch, view, begin, found, w->out);
                begin = found;
            }
            at = found + k;
            was_cut = true;
        }
        from = begin;
    }
    brew_tok_piece(tok, w->scratch, view, from, to, w->out);
    return 0;
}

// ---- Steps

// The next piece of a Split step.
static int next_piece(walk *w, size_t step, const brew_tok_view *view, size_t at, size_t *end,
                      bool *match) {
    const brew_tok_step *s = &w->tok->steps[step];
    if (s->fn) {
        *end = s->fn(view->text, at, view->len, match);
        return 0;
    }
    if (s->regex)
        return brew_split_regex_next(s->regex, w->scratch->rooms[step], view->text, at, view->len,
                                     end, match, w->err);
    const char *p = view->text + at;
    size_t left = view->len - at;
    *match = left >= s->literal_len && !memcmp(p, s->literal, s->literal_len);
    if (*match) {
        *end = at + s->literal_len;
        return 0;
    }
    for (size_t i = 1; i + s->literal_len <= left; i++)
        if (!memcmp(p + i, s->literal, s->literal_len)) return *end = at + i, 0;
    *end = view->len;
    return 0;
}

static void extend(struct brew_tok_span *spans, size_t *n, struct brew_tok_span span, bool join) {
    if (join && *n)
        spans[*n - 1].to = span.to;
    else
        spans[(*n)++] = span;
}

// Joins matches with what stands before them, in place: a match behind no match, or a piece like the
// one before (contiguous). Gives the new count.
static size_t join_spans(struct brew_tok_span *spans, size_t n, enum brew_tok_behavior behavior) {
    size_t out = 0;
    bool was_match = false;
    for (size_t i = 0; i < n; i++) {
        bool match = spans[i].match;
        bool join = behavior == SPLIT_CONTIGUOUS ? match == was_match : match && !was_match;
        extend(spans, &out, spans[i], join);
        was_match = match;
    }
    return out;
}

static void reverse(struct brew_tok_span *spans, size_t n, size_t len) {
    for (size_t i = 0; i < n; i++) { // mirrored in the text, too
        size_t from = spans[i].from;
        spans[i].from = len - spans[i].to;
        spans[i].to = len - from;
    }
    for (size_t i = 0, j = n; i + 1 < j; i++) {
        struct brew_tok_span swap = spans[--j];
        spans[j] = spans[i];
        spans[i] = swap;
    }
}

static int run_collected(walk *w, size_t step, const brew_tok_view *view) {
    const brew_tok_step *s = &w->tok->steps[step];
    brew_tok_scratch *scratch = w->scratch;
    size_t n = 0;
    for (size_t at = 0, end; at < view->len; at = end) {
        bool match;
        if (next_piece(w, step, view, at, &end, &match)) return -1;
        BREW_GROW(scratch->spans[step], n + 1, scratch->span_cap[step]);
        scratch->spans[step][n++] = (struct brew_tok_span){at, end, match != s->invert};
    }
    struct brew_tok_span *spans = scratch->spans[step];
    if (s->behavior == SPLIT_MERGED_WITH_NEXT) {
        reverse(spans, n, view->len);
        n = join_spans(spans, n, SPLIT_MERGED_WITH_PREVIOUS);
        reverse(spans, n, view->len);
    } else if (s->behavior != SPLIT_REMOVED) {
        n = join_spans(spans, n, s->behavior);
    }
    for (size_t i = 0; i < n; i++) {
        if (s->behavior == SPLIT_REMOVED && spans[i].match) continue;
        if (run(w, step + 1, part(view, spans[i].from, spans[i].to))) return -1;
    }
    return 0;
}

static int run_split(walk *w, size_t step, const brew_tok_view *view) {
    const brew_tok_step *s = &w->tok->steps[step];
    if (s->regex) brew_split_room_reset(w->scratch->rooms[step]);
    if (s->behavior != SPLIT_ISOLATED) return run_collected(w, step, view);
    bool last = step + 1 == w->tok->n_steps;
    for (size_t at = 0, end; at < view->len; at = end) {
        bool match;
        if (next_piece(w, step, view, at, &end, &match)) return -1;
        if (last ? leaf(w, view, at, end) : run(w, step + 1, part(view, at, end))) return -1;
    }
    return 0;
}

static void copy_origins(brew_origins *origins, size_t at, const brew_tok_view *view, size_t from,
                         size_t n, bool follow) {
    BREW_GROW(origins->at, at + n, origins->cap);
    for (size_t i = 0; i < n; i++)
        origins->at[at + i] =
            follow || i == 0 ? brew_tok_origin(view, from + (follow ? i : 0)) : -1;
}

// The view with its spaces replaced by a string, and that string put in front.
static brew_tok_view rewrite(walk *w, size_t step, const brew_tok_view *view, const char *space,
                             size_t space_len, bool prepend) {
    brew_buf *text = &w->scratch->step_text[step];
    brew_origins *origins = w->out->with_offsets ? &w->scratch->step_origins[step] : NULL;
    brew_buf_reset(text);
    if (prepend) {
        brew_buf_add(text, space, space_len);
        if (origins) {
            BREW_GROW(origins->at, space_len, origins->cap);
            for (size_t i = 0; i < space_len; i++) origins->at[i] = -1;
        }
    }
    bool same = space_len == 1 && *space == ' ';
    for (size_t at = 0; at < view->len;) {
        const char *p = same ? NULL : memchr(view->text + at, ' ', view->len - at);
        size_t n = p ? (size_t)(p - view->text) - at : view->len - at;
        if (origins) copy_origins(origins, text->len, view, at, n, true);
        brew_buf_add(text, view->text + at, n);
        at += n;
        if (!p) break;
        if (origins) copy_origins(origins, text->len, view, at, space_len, false);
        brew_buf_add(text, space, space_len);
        at++;
    }
    return (brew_tok_view){text->ptr, text->len, origins ? origins->at : NULL, view->first,
                           view->start};
}

static int run_bytes(walk *w, size_t step, brew_tok_view view) {
    const brew_tok_step *s = &w->tok->steps[step];
    if (s->prefix && view.text[0] != ' ' && (w->prefix || !view.start))
        view = rewrite(w, step, &view, " ", 1, true);
    if (!s->fn) return leaf(w, &view, 0, view.len);
    for (size_t at = 0, end; at < view.len; at = end) {
        bool match;
        end = s->fn(view.text, at, view.len, &match);
        brew_tok_piece(w->tok, w->scratch, &view, at, end, w->out);
    }
    return 0;
}

static int run_metaspace(walk *w, size_t step, brew_tok_view view) {
    const brew_tok_step *s = &w->tok->steps[step];
    bool begins = view.text[0] == ' ' ||
                  (view.len >= s->literal_len && !memcmp(view.text, s->literal, s->literal_len));
    bool prepend =
        s->prefix && !begins && (w->prefix || !view.start) && (view.start || !s->prefix_first);
    view = rewrite(w, step, &view, s->literal, s->literal_len, prepend);
    if (!s->split) return run(w, step + 1, view);
    // Each replacement goes with the text behind it; of several in a row, each but the last is alone.
    size_t from = 0, k = s->literal_len;
    for (size_t at = 1; at + k <= view.len;) {
        const char *p = memchr(view.text + at, s->literal[0], view.len - k + 1 - at);
        if (!p) break;
        at = (size_t)(p - view.text);
        if (memcmp(p, s->literal, k) != 0) {
            at++;
            continue;
        }
        if (run(w, step + 1, part(&view, from, at))) return -1;
        from = at;
        at += k;
    }
    return run(w, step + 1, part(&view, from, view.len));
}

static int run(walk *w, size_t step, brew_tok_view view) {
    if (!view.len) return 0;
    if (step == w->tok->n_steps) return leaf(w, &view, 0, view.len);
    switch (w->tok->steps[step].kind) {
    case STEP_SPLIT:
        return run_split(w, step, &view);
    case STEP_BYTES:
        return run_bytes(w, step, view);
    case STEP_METASPACE:
        return run_metaspace(w, step, view);
    }
    return 0;
}

int brew_tok_stretch(const brew_tokenizer *tok, brew_tok_scratch *scratch, brew_tok_view view,
                     bool prefix, brew_ids *out, brew_err *err) {
    if (tok->grammar >= 0) {
        brew_tok_fast(tok, scratch, &view, out);
        return 0;
    }
    walk w = {tok, scratch, out, err, prefix};
    return run(&w, 0, view);
}
