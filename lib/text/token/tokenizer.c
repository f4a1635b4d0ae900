#include "text/token/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "io/gguf.h"
#include "io/modeldir.h"
#include "text/token/tok.h"

void brew_ids_release(brew_ids *ids) {
    free(ids->ids);
    free(ids->offsets);
    *ids = (brew_ids){.with_offsets = ids->with_offsets};
}

// ---- Life

static brew_tokenizer *new_tokenizer(void) {
    brew_tokenizer *tok = brew_calloc(1, sizeof *tok);
    tok->bpe.unk = tok->bos = -1;
    tok->grammar = -1;
    return tok;
}

static brew_tokenizer *finish_or_free(brew_tokenizer *tok, int bad, brew_err *err) {
    if (!bad) bad = brew_tok_finish(tok, err);
    if (!bad) return tok;
    brew_tokenizer_free(tok);
    return NULL;
}

brew_tokenizer *brew_tokenizer_from_json(const char *json, size_t json_len, const char *config,
                                         size_t config_len, brew_err *err) {
    brew_tokenizer *tok = new_tokenizer();
    return finish_or_free(tok, brew_tok_load_json(tok, json, json_len, config, config_len, err),
                          err);
}

brew_tokenizer *brew_tokenizer_from_gguf(const struct brew_gguf *gguf, brew_err *err) {
    brew_tokenizer *tok = new_tokenizer();
    return finish_or_free(tok, brew_tok_load_gguf(tok, gguf, err), err);
}

bool brew_tokenizer_present(const struct brew_modeldir *model) {
    const brew_gguf *gguf = brew_modeldir_gguf(model);
    const char *kind;
    size_t len;
    if (!gguf) return brew_modeldir_file(model, "tokenizer.json", &len);
    return brew_gguf_has(gguf, "tokenizer.ggml.model") &&
           !(brew_gguf_string(gguf, "tokenizer.ggml.model", &kind, &len) && len == 4 &&
             !memcmp(kind, "none", 4));
}

brew_tokenizer *brew_tokenizer_open(const struct brew_modeldir *model, brew_err *err) {
    const brew_gguf *gguf = brew_modeldir_gguf(model);
    brew_tokenizer *tok;
    if (gguf) {
        tok = brew_tokenizer_from_gguf(gguf, err);
    } else {
        size_t json_len, config_len = 0;
        const char *json = brew_modeldir_file(model, "tokenizer.json", &json_len);
        if (!json) {
            brew_fail(err, BREW_DATA, "%s: there is no tokenizer.json", brew_modeldir_name(model));
            return NULL;
        }
        const char *config = brew_modeldir_file(model, "tokenizer_config.json", &config_len);
        tok = brew_tokenizer_from_json(json, json_len, config, config_len, err);
    }
    if (!tok) brew_err_context(err, "%s", brew_modeldir_name(model));
    return tok;
}

void brew_tokenizer_free(brew_tokenizer *tok) {
    if (!tok) return;
    brew_bpe_release(&tok->bpe);
    brew_vocab_release(&tok->vocab);
    brew_added_set_release(&tok->raw);
    brew_added_set_release(&tok->normalized);
    for (size_t i = 0; i < tok->n_added; i++) {
        free(tok->added[i].text);
        free(tok->added[i].looked);
    }
    free(tok->added);
    free(tok->added_by_id);
    for (size_t i = 0; i < BREW_TOK_STEPS; i++) {
        free(tok->normals[i].from);
        free(tok->normals[i].to);
        brew_split_regex_free(tok->steps[i].regex);
        free(tok->steps[i].literal);
        free(tok->decodes[i].from);
        free(tok->decodes[i].to);
    }
    brew_buf_release(&tok->describe);
    free(tok);
}

brew_tok_scratch *brew_tok_scratch_new(const brew_tokenizer *tok) {
    brew_tok_scratch *scratch = brew_calloc(1, sizeof *scratch);
    scratch->tok = tok;
    for (size_t i = 0; i < tok->n_steps; i++)
        if (tok->steps[i].regex) scratch->rooms[i] = brew_split_room_new(tok->steps[i].regex);
    return scratch;
}

void brew_tok_scratch_free(brew_tok_scratch *scratch) {
    if (!scratch) return;
    brew_bpe_work_release(&scratch->work);
    brew_piece_cache_release(&scratch->cache);
    for (int i = 0; i < 2; i++) {
        brew_buf_release(&scratch->text[i]);
        free(scratch->origins[i].at);
    }
    for (size_t i = 0; i < BREW_TOK_STEPS; i++) {
        brew_buf_release(&scratch->step_text[i]);
        free(scratch->step_origins[i].at);
        free(scratch->spans[i]);
        brew_split_room_free(scratch->rooms[i]);
    }
    free(scratch);
}

// ---- Facts

int32_t brew_tokenizer_bos(const brew_tokenizer *tok) {
    return tok->bos;
}

size_t brew_tokenizer_vocab(const brew_tokenizer *tok) {
    return tok->n_ids;
}

const char *brew_tokenizer_entry(const brew_tokenizer *tok, int32_t id, size_t *len) {
    if (id < 0 || (size_t)id >= tok->n_ids) return NULL;
    if (tok->added_by_id[id] < 0) return brew_vocab_entry(&tok->vocab, id, len);
    const brew_added_token *token = &tok->added[tok->added_by_id[id]];
    *len = token->len;
    return token->text;
}

const char *brew_tokenizer_digest(const brew_tokenizer *tok) {
    return tok->digest;
}

const char *brew_tokenizer_describe(const brew_tokenizer *tok) {
    return tok->describe.ptr;
}

// ---- Encoding

typedef struct encoding {
    const brew_tokenizer *tok;
    brew_tok_scratch *scratch;
    brew_ids *out;
    brew_err *err;
    bool specials, start;
} encoding;

static void add_token(brew_ids *out, int32_t id, int64_t offset) {
    BREW_GROW(out->ids, out->n + 1, out->cap);
    out->ids[out->n++] = id;
    if (!out->with_offsets) return;
    BREW_GROW(out->offsets, out->n, out->offsets_cap);
    out->offsets[out->n - 1] = offset;
}

typedef int stretch_fn(encoding *e, brew_tok_view view);

// Finds a set's tokens in a view, and hands on what stands between them.
static int between_tokens(encoding *e, const brew_added_set *set, brew_tok_view view,
                          stretch_fn *fn) {
    size_t search = 0, taken = 0;
    for (bool more = true; more;) {
        brew_added_match m;
        more = brew_added_next(set, view.text, view.len, e->specials, &search, taken, &m);
        size_t to = more ? m.from : view.len;
        if (to > taken) {
            brew_tok_view part = {view.text + taken, to - taken,
                                  view.origins ? view.origins + taken : NULL,
                                  view.first + (int64_t)taken, view.start && taken == 0};
            if (fn(e, part)) return -1;
        }
        if (!more) return 0;
        add_token(e->out, m.id, brew_tok_origin(&view, m.from));
        taken = m.to;
    }
    return 0;
}

static int normalized_stretch(encoding *e, brew_tok_view view) {
    return brew_tok_stretch(e->tok, e->scratch, view, e->start, e->out, e->err);
}

static int raw_stretch(encoding *e, brew_tok_view view) {
    view =
        brew_tok_normalize(e->tok, e->scratch, view, e->start || !view.start, e->out->with_offsets);
    return between_tokens(e, &e->tok->normalized, view, normalized_stretch);
}

int brew_tokenizer_encode(const brew_tokenizer *tok, brew_tok_scratch *scratch, const char *text,
                          size_t len, int flags, brew_ids *out, brew_err *err) {
    if (len > INT32_MAX / 4)
        return brew_fail(err, BREW_DATA, "a text of %zu bytes is longer than %d", len,
                         INT32_MAX / 4);
    size_t valid = brew_utf8_prefix(text, len), mark = out->n;
    if (valid < len) return brew_fail(err, BREW_DATA, "byte %zu of a text is not UTF-8", valid);
    encoding e = {tok, scratch, out, err, flags & BREW_TOK_SPECIALS, flags & BREW_TOK_START};
    brew_tok_view view = {.text = text, .len = len, .start = true};
    if (!between_tokens(&e, &tok->raw, view, raw_stretch)) return 0;
    out->n = mark;
    return -1;
}
