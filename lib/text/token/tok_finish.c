// What both loaders share: added tokens' ids, and all that is derived once everything is loaded.
#include "text/token/tok.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

int32_t brew_tok_find(const brew_tokenizer *tok, const char *text, size_t len) {
    for (size_t i = 0; i < tok->n_added; i++)
        if (tok->added[i].len == len && !memcmp(tok->added[i].text, text, len))
            return tok->added[i].id;
    return brew_vocab_get(&tok->vocab, text, len);
}

int brew_tok_add(brew_tokenizer *tok, brew_added_token token, brew_err *err) {
    for (size_t i = 0; i < tok->n_added; i++)
        if (tok->added[i].len == token.len && !memcmp(tok->added[i].text, token.text, token.len))
            return brew_fail(err, BREW_DATA,
                             "tokenizer: two added tokens (ids %d and %d) are equal",
                             tok->added[i].id, token.id);
    int32_t id = brew_vocab_get(&tok->vocab, token.text, token.len);
    if (id < 0) { // the next free one, as tokenizers counts
        id = (int32_t)tok->vocab.used;
        for (size_t i = 0; i < tok->n_added; i++)
            if (tok->added[i].id >= id) id = tok->added[i].id + 1;
    }
    if (token.id >= 0 && token.id != id)
        return brew_fail(err, BREW_DATA,
                         "tokenizer: an added token has the id %d, but its place gives it %d",
                         token.id, id);
    token.id = id;
    token.text = brew_strndup(token.text, token.len);
    BREW_GROW(tok->added, tok->n_added + 1, tok->added_cap);
    tok->added[tok->n_added++] = token;
    return 0;
}

// The two sets, special tokens first; those of the second are written as normalisation leaves them.
static void make_sets(brew_tokenizer *tok) {
    brew_added_set_init(&tok->raw, tok->added);
    brew_added_set_init(&tok->normalized, tok->added);
    brew_tok_scratch scratch = {.tok = tok};
    for (int special = 1; special >= 0; special--) {
        for (size_t i = 0; i < tok->n_added; i++) {
            brew_added_token *t = &tok->added[i];
            if (t->special != special) continue;
            if (!t->normalized) {
                brew_added_set_put(&tok->raw, t->text, t->len, (int32_t)i);
                continue;
            }
            brew_tok_view view = {.text = t->text, .len = t->len, .start = true};
            view = brew_tok_normalize(tok, &scratch, view, true, false);
            t->looked = brew_strndup(view.text, view.len);
            t->looked_len = view.len;
            brew_added_set_put(&tok->normalized, view.text, view.len, (int32_t)i);
        }
    }
    brew_buf_release(&scratch.text[0]);
    brew_buf_release(&scratch.text[1]);
}

static int find_grammar(const brew_tokenizer *tok) {
    const brew_tok_step *s = tok->steps;
    if (!tok->bpe.byte_level || !tok->n_steps || s[tok->n_steps - 1].prefix) return -1;
    if (tok->n_steps == 1 && s[0].fn == brew_split_gpt2) return BREW_GRAMMAR_GPT2;
    if (tok->n_steps != 2 || s[0].kind != STEP_SPLIT || s[0].behavior != SPLIT_ISOLATED) return -1;
    if (s[0].fn == brew_split_digit && s[1].fn == brew_split_gpt2) return BREW_GRAMMAR_GPT2_DIGITS;
    if (s[1].fn) return -1;
    if (s[0].fn == brew_split_llama3) return BREW_GRAMMAR_LLAMA3;
    return s[0].fn == brew_split_qwen2 ? BREW_GRAMMAR_QWEN2 : -1;
}

// Whether U+2581 stands in some merge's product behind anything but itself.
static bool spans_cut(const brew_tokenizer *tok, const char *cut, size_t k) {
    for (size_t i = 0; i < tok->bpe.n_merges; i++) {
        size_t len;
        const char *text = brew_vocab_entry(&tok->vocab, tok->bpe.merges[i].product, &len);
        bool other = false;
        for (size_t at = 0; text && at < len;) {
            if (len - at >= k && !memcmp(text + at, cut, k)) {
                if (other) return true;
                at += k;
            } else {
                other = true;
                at++;
            }
        }
    }
    return false;
}

static void find_cut(brew_tokenizer *tok) {
    static const char cut[] = "\xe2\x96\x81";
    // What vanishes from a text lets its neighbours meet across any place.
    if (tok->bpe.unk < 0 && !(tok->bpe.byte_fallback && tok->bpe.all_bytes)) return;
    if (tok->bpe.byte_level || tok->bpe.ignore_merges || brew_vocab_get(&tok->vocab, cut, 3) < 0 ||
        spans_cut(tok, cut, 3))
        return;
    memcpy(tok->cut, cut, 3);
    tok->cut_len = 3;
}

// ---- Digest and description

static void sha_number(brew_sha256 *sha, uint64_t value) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(value >> 8 * i);
    brew_sha256_add(sha, bytes, sizeof bytes);
}

static void sha_text(brew_sha256 *sha, const char *text, size_t len) {
    sha_number(sha, text ? len + 1 : 0);
    if (len && text) brew_sha256_add(sha, text, len);
}

static void sha_model(brew_sha256 *sha, const brew_tokenizer *tok) {
    const brew_bpe *bpe = &tok->bpe;
    for (size_t id = 0; id < tok->n_ids; id++) {
        size_t len = 0;
        const char *text = brew_tokenizer_entry(tok, (int32_t)id, &len);
        sha_text(sha, text, len);
    }
    for (size_t i = 0; i < bpe->n_merges; i++) {
        const struct brew_merge *m = &bpe->merges[i];
        if (m->left < 0) continue;
        sha_number(sha, (uint64_t)m->left << 32 | (uint64_t)m->right);
        sha_number(sha, (uint64_t)m->product);
    }
    sha_number(sha, (uint64_t)(bpe->byte_level | bpe->byte_fallback << 1 | bpe->fuse_unk << 2 |
                               bpe->ignore_merges << 3));
    sha_number(sha, (uint64_t)(int64_t)bpe->unk);
}

static void make_digest(brew_tokenizer *tok) {
    brew_sha256 sha;
    brew_sha256_init(&sha);
    sha_model(&sha, tok);
    for (size_t i = 0; i < tok->n_added; i++) {
        const brew_added_token *t = &tok->added[i];
        sha_number(&sha, (uint64_t)t->id << 8 |
                             (uint64_t)(t->special | t->normalized << 1 | t->lstrip << 2 |
                                        t->rstrip << 3 | t->single_word << 4));
    }
    for (size_t i = 0; i < tok->n_normals; i++) {
        const brew_tok_normal *s = &tok->normals[i];
        sha_number(&sha, (uint64_t)s->kind);
        sha_text(&sha, s->from, s->from_len);
        sha_text(&sha, s->to, s->to_len);
    }
    for (size_t i = 0; i < tok->n_steps; i++) {
        const brew_tok_step *s = &tok->steps[i];
        sha_number(&sha, (uint64_t)(s->kind | s->behavior << 4 | s->invert << 8 | s->prefix << 9 |
                                    s->prefix_first << 10 | s->split << 11));
        sha_text(&sha, s->literal, s->literal_len);
    }
    sha_number(&sha, (uint64_t)(int64_t)tok->bos);
    brew_sha256_hex(&sha, tok->digest);
}

static void make_description(brew_tokenizer *tok) {
    static const char *const grammars[] = {"gpt-2", "gpt-2 with single digits", "llama 3",
                                           "qwen 2"};
    brew_buf_addf(&tok->describe, "%s BPE, %zu ids, %zu merges, %zu added tokens, split: ",
                  tok->bpe.byte_level ? "byte-level" : "character", tok->n_ids, tok->bpe.n_pairs,
                  tok->n_added);
    if (tok->grammar >= 0)
        brew_buf_adds(&tok->describe, grammars[tok->grammar]);
    else if (!tok->n_steps)
        brew_buf_adds(&tok->describe, "none");
    else
        brew_buf_addf(&tok->describe, "%zu steps", tok->n_steps);
    for (size_t i = 0; i < tok->n_normals; i++)
        if (tok->normals[i].kind == NORMAL_NFC) brew_buf_adds(&tok->describe, ", NFC");
}

int brew_tok_finish(brew_tokenizer *tok, brew_err *err) {
    if (!tok->vocab.used) return brew_fail(err, BREW_DATA, "tokenizer: the vocabulary is empty");
    tok->n_ids = tok->vocab.n;
    for (size_t i = 0; i < tok->n_added; i++)
        if ((size_t)tok->added[i].id >= tok->n_ids) tok->n_ids = (size_t)tok->added[i].id + 1;
    tok->added_by_id = brew_alloc(tok->n_ids * sizeof *tok->added_by_id);
    for (size_t i = 0; i < tok->n_ids; i++) tok->added_by_id[i] = -1;
    for (size_t i = 0; i < tok->n_added; i++) tok->added_by_id[tok->added[i].id] = (int32_t)i;
    brew_bpe_finish(&tok->bpe, &tok->vocab);
    if (tok->bpe.byte_level && tok->bpe.byte_fallback && !tok->bpe.all_bytes)
        return brew_fail(err, BREW_DATA,
                         "tokenizer: byte_fallback together with ByteLevel "
                         "is not supported where bytes are missing");
    make_sets(tok);
    tok->grammar = find_grammar(tok);
    tok->split = brew_split_batch_best();
    find_cut(tok);
    make_digest(tok);
    make_description(tok);
    return 0;
}
