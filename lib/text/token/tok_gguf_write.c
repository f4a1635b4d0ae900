// A tokenizer as metadata of a GGUF file: the way back of tok_gguf.c, which then reads it once more: what would
// not give the same ids is not written.
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/gguf_write.h"
#include "text/token/tok_gguf.h"

static bool same_text(const char *a, size_t a_len, const char *b, size_t b_len) {
    return a_len == b_len && (!a_len || !memcmp(a, b, a_len));
}

// Do both normalise and split alike?
static bool same_shape(const brew_tokenizer *a, const brew_tokenizer *b) {
    bool same = a->n_normals == b->n_normals && a->n_steps == b->n_steps &&
                a->bpe.ignore_merges == b->bpe.ignore_merges;
    for (size_t i = 0; same && i < a->n_normals; i++) {
        const brew_tok_normal *x = &a->normals[i], *y = &b->normals[i];
        same = x->kind == y->kind && same_text(x->from, x->from_len, y->from, y->from_len) &&
               same_text(x->to, x->to_len, y->to, y->to_len);
    }
    for (size_t i = 0; same && i < a->n_steps; i++) {
        const brew_tok_step *x = &a->steps[i], *y = &b->steps[i];
        same = x->kind == y->kind && x->behavior == y->behavior && x->invert == y->invert &&
               x->fn == y->fn && x->prefix == y->prefix && x->split == y->split &&
               same_text(x->literal, x->literal_len, y->literal, y->literal_len);
    }
    return same;
}

// The model and its split: 1 written, 0 there is no name.
static int add_kind(const brew_tokenizer *tok, brew_gguf_keys *keys, brew_err *err) {
    bool prefix = tok->n_normals && tok->normals[0].kind == NORMAL_PREPEND;
    char name[32];
    int found = 0, more = 1;
    for (size_t i = 0; more > 0 && !found; i++) {
        brew_tokenizer *shape = brew_calloc(1, sizeof *shape);
        if (tok->bpe.byte_level)
            more = brew_tok_gguf_split(shape, i, name, err);
        else
            more = i ? 0 : brew_tok_gguf_llama(shape, prefix, err) ? -1 : 1;
        found = more > 0 && same_shape(tok, shape);
        brew_tokenizer_free(shape);
    }
    if (more < 0) return -1;
    if (!tok->bpe.byte_level && (!tok->bpe.byte_fallback || !tok->bpe.fuse_unk || tok->bpe.unk < 0))
        found = 0;
    if (!found) return 0;
    brew_gguf_add_text(keys, "tokenizer.ggml.model", tok->bpe.byte_level ? "gpt2" : "llama");
    brew_gguf_add_text(keys, "tokenizer.ggml.pre", tok->bpe.byte_level ? name : "default");
    brew_gguf_add_bool(keys, "tokenizer.ggml.add_space_prefix", !tok->bpe.byte_level && prefix);
    brew_gguf_add_bool(keys, "tokenizer.ggml.add_bos_token", tok->bos >= 0);
    if (tok->bos >= 0) brew_gguf_add_u32(keys, "tokenizer.ggml.bos_token_id", (uint32_t)tok->bos);
    if (tok->bpe.unk >= 0)
        brew_gguf_add_u32(keys, "tokenizer.ggml.unknown_token_id", (uint32_t)tok->bpe.unk);
    return 1;
}

static bool byte_token(const char *text, size_t len) {
    unsigned byte;
    char copy[8] = {0};
    if (len != 6) return false;
    memcpy(copy, text, len);
    return sscanf(copy, "<0x%2X>", &byte) == 1 && copy[5] == '>';
}

static int32_t type_of(const brew_tokenizer *tok, size_t id, const char *text, size_t len) {
    if (!text) return BREW_GGUF_TOKEN_UNUSED;
    const brew_added_token *added =
        tok->added_by_id[id] < 0 ? NULL : &tok->added[tok->added_by_id[id]];
    if (!tok->bpe.byte_level && (int32_t)id == tok->bpe.unk) return BREW_GGUF_TOKEN_UNKNOWN;
    if (added) return added->special ? BREW_GGUF_TOKEN_CONTROL : BREW_GGUF_TOKEN_USER_DEFINED;
    return !tok->bpe.byte_level && byte_token(text, len) ? BREW_GGUF_TOKEN_BYTE
                                                         : BREW_GGUF_TOKEN_NORMAL;
}

static void add_tokens(const brew_tokenizer *tok, size_t vocab, brew_gguf_keys *keys) {
    int32_t *types = brew_calloc(vocab, sizeof *types);
    brew_gguf_add_array(keys, "tokenizer.ggml.tokens", BREW_GGUF_STRING, vocab);
    for (size_t id = 0; id < vocab; id++) {
        char unused[32];
        size_t len = 0;
        const char *text = id < tok->n_ids ? brew_tokenizer_entry(tok, (int32_t)id, &len) : NULL;
        types[id] = type_of(tok, id, text, len);
        if (!text) len = (size_t)snprintf(unused, sizeof unused, "[PAD%zu]", id);
        brew_gguf_put_string(keys, text ? text : unused, len);
    }
    brew_gguf_add_array(keys, "tokenizer.ggml.token_type", BREW_GGUF_I32, vocab);
    for (size_t id = 0; id < vocab; id++) brew_gguf_put_i32(keys, types[id]);
    free(types);
}

static void add_merges(const brew_tokenizer *tok, brew_gguf_keys *keys) {
    uint64_t n = 0;
    brew_buf both = {0};
    for (size_t i = 0; i < tok->bpe.n_merges; i++) n += tok->bpe.merges[i].left >= 0;
    brew_gguf_add_array(keys, "tokenizer.ggml.merges", BREW_GGUF_STRING, n);
    for (size_t i = 0; i < tok->bpe.n_merges; i++) {
        const struct brew_merge *m = &tok->bpe.merges[i];
        size_t len;
        const char *text;
        if (m->left < 0) continue; // a later merge of the same two holds
        brew_buf_reset(&both);
        text = brew_vocab_entry(&tok->vocab, m->left, &len);
        brew_buf_add(&both, text, len);
        brew_buf_addc(&both, ' ');
        text = brew_vocab_entry(&tok->vocab, m->right, &len);
        brew_buf_add(&both, text, len);
        brew_gguf_put_string(keys, both.ptr, both.len);
    }
    brew_buf_release(&both);
}

// SentencePiece orders merges by the score of what they make. Those whose merges stand among each other
// share a score; earlier ones get higher scores.
static void add_scores(const brew_tokenizer *tok, size_t vocab, brew_gguf_keys *keys) {
    const struct brew_merge *merges = tok->bpe.merges;
    float *scores = brew_calloc(vocab, sizeof *scores), score = 0;
    size_t *last = brew_calloc(vocab, sizeof *last),
           end = 0; // rank of an id's last merge; behind the run
    for (size_t id = 0; id < vocab; id++) scores[id] = -(float)tok->bpe.n_merges - 1;
    for (size_t i = 0; i < tok->bpe.n_merges; i++)
        if (merges[i].left >= 0) last[merges[i].product] = i;
    for (size_t i = 0; i < tok->bpe.n_merges; i++) {
        if (merges[i].left < 0) continue;
        if (i >= end) score--;
        if (last[merges[i].product] + 1 > end) end = last[merges[i].product] + 1;
        scores[merges[i].product] = score;
    }
    brew_gguf_add_array(keys, "tokenizer.ggml.scores", BREW_GGUF_F32, vocab);
    for (size_t id = 0; id < vocab; id++) brew_gguf_put_f32(keys, scores[id]);
    free(scores);
    free(last);
}

static int check_added(const brew_tokenizer *tok, brew_err *err) {
    for (size_t i = 0; i < tok->n_added; i++) {
        const brew_added_token *t = &tok->added[i];
        const char *flag = t->lstrip        ? "lstrip"
                           : t->rstrip      ? "rstrip"
                           : t->single_word ? "single_word"
                           : t->normalized  ? "normalized"
                                            : NULL;
        if (flag)
            return brew_fail(err, BREW_DATA,
                             "tokenizer: added token %d has the flag %s, which GGUF cannot say",
                             (int)t->id, flag);
    }
    return 0;
}

// Reads back what was written: the proof that it says all that decides ids.
static int check_back(const brew_tokenizer *tok, const brew_gguf_keys *keys, brew_err *err) {
    brew_buf head = {0};
    int status = brew_gguf_head(&head, keys, NULL, 0, err);
    brew_gguf *gguf = status ? NULL : brew_gguf_parse(head.ptr, head.len, "GGUF", err);
    brew_tokenizer *back = gguf ? brew_tokenizer_from_gguf(gguf, err) : NULL;
    if (!back)
        status = -1;
    else if (strcmp(brew_tokenizer_digest(back), brew_tokenizer_digest(tok)) != 0)
        status = brew_fail(err, BREW_DATA,
                           "tokenizer: read back from GGUF it would not give the same ids");
    brew_tokenizer_free(back);
    brew_gguf_free(gguf);
    brew_buf_release(&head);
    return status;
}

int brew_tokenizer_write_gguf(const brew_tokenizer *tok, size_t vocab, brew_gguf_keys *keys,
                              brew_err *err) {
    if (tok->n_ids > vocab)
        return brew_fail(err, BREW_DATA, "tokenizer: it has %zu ids, the model %zu", tok->n_ids,
                         vocab);
    if (check_added(tok, err)) return -1;
    int got = add_kind(tok, keys, err);
    if (!got)
        return brew_fail(err, BREW_DATA, "tokenizer: GGUF has no name for this one (%s)",
                         brew_tokenizer_describe(tok));
    if (got < 0) return -1;
    add_tokens(tok, vocab, keys);
    if (tok->bpe.byte_level)
        add_merges(tok, keys);
    else
        add_scores(tok, vocab, keys);
    return check_back(tok, keys, err);
}
