// The tokenizers inside GGUF files: byte-level BPE ("gpt2") and SentencePiece BPE by scores ("llama").
//
// A GGUF file names its split instead of spelling it; the names are llama.cpp's, what they stand for
// are the pre-tokenizers of the models' own tokenizer.json files.
#include "text/token/tok_gguf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "text/token/split_patterns.h"
#include "text/token/tok_steps.h"

// A split: patterns (up to NULL), then single digits, then ByteLevel with or without its own pattern.
// Only names of which we know the model's own tokenizer.json; others often given the same split (such
// as StarCoder's) stand for files that differ in a normaliser or in ignore_merges.
static const struct recipe {
    const char *names; // each with a space on both sides
    const char *patterns[6];
    bool digits, gpt2, nfc, ignore_merges, bos; // bos: added unless the file says no
} recipes[] = {
    {" gpt-2 ", {0}, .gpt2 = true},
    {" smollm ", {0}, .digits = true, .gpt2 = true},
    {" llama-bpe llama3 llama-v3 ", {BREW_PATTERN_LLAMA3}, .ignore_merges = true, .bos = true},
    {" qwen2 ", {BREW_PATTERN_QWEN2}, .nfc = true},
    {" deepseek-llm ",
     {BREW_PATTERN_NEWLINE, BREW_PATTERN_CASED, BREW_PATTERN_SIGNS, BREW_PATTERN_SPACE_END,
      BREW_PATTERN_EAST},
     .digits = true},
    {" deepseek-coder ",
     {BREW_PATTERN_NEWLINE, BREW_PATTERN_LETTERS, BREW_PATTERN_MARKS, BREW_PATTERN_EAST},
     .digits = true},
    {" deepseek-v3 ", {BREW_PATTERN_NUMBERS3, BREW_PATTERN_HAN_KANA, BREW_PATTERN_DEEPSEEK3}},
};

static const struct recipe *find_recipe(const char *name, size_t len) {
    char key[48];
    if (!len || len + 3 > sizeof key || memchr(name, ' ', len)) return NULL;
    key[0] = key[len + 1] = ' ';
    memcpy(key + 1, name, len);
    key[len + 2] = 0;
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        if (strstr(recipes[i].names, key)) return &recipes[i];
    return NULL;
}

static int missing(brew_err *err, const char *key) {
    return brew_fail(err, BREW_DATA, "tokenizer.ggml.%s is missing or of the wrong type", key);
}

static int64_t token_type(const brew_gguf *gguf, size_t id) {
    int64_t type = BREW_GGUF_TOKEN_NORMAL;
    brew_gguf_array_int(gguf, "tokenizer.ggml.token_type", id, &type);
    return type;
}

// Entries of the vocabulary, and added tokens: what is of type control (special) or user-defined.
static int load_tokens(brew_tokenizer *tok, const brew_gguf *gguf, brew_err *err) {
    brew_gguf_strings it;
    const char *text;
    size_t len, id = 0;
    if (!brew_gguf_strings_start(gguf, "tokenizer.ggml.tokens", &it)) return missing(err, "tokens");
    for (; brew_gguf_strings_next(&it, &text, &len); id++) {
        int64_t type = token_type(gguf, id);
        if (brew_utf8_prefix(text, len) < len)
            return brew_fail(err, BREW_DATA, "tokenizer.ggml.tokens: token %zu is not UTF-8", id);
        if (type == BREW_GGUF_TOKEN_UNUSED) continue; // fills up the vocabulary
        if (brew_vocab_put(&tok->vocab, text, len, (int64_t)id, err))
            return brew_err_context(err, "tokenizer.ggml.tokens");
        bool special = type == BREW_GGUF_TOKEN_CONTROL ||
                       (type == BREW_GGUF_TOKEN_UNKNOWN && !tok->bpe.byte_level);
        if (!len || (!special && type != BREW_GGUF_TOKEN_USER_DEFINED)) continue;
        brew_added_token token = {.text = (char *)text, .len = len, .id = -1, .special = special};
        if (brew_tok_add(tok, token, err)) return -1;
    }
    return 0;
}

// ---- Byte-level

static int load_merges(brew_tokenizer *tok, const brew_gguf *gguf, brew_err *err) {
    brew_gguf_strings it;
    const char *text;
    size_t len;
    uint32_t rank = 0;
    if (!brew_gguf_strings_start(gguf, "tokenizer.ggml.merges", &it)) return missing(err, "merges");
    brew_buf join = {0};
    int bad = 0;
    for (; !bad && brew_gguf_strings_next(&it, &text, &len); rank++) {
        const char *space = len ? memchr(text + 1, ' ', len - 1) : NULL;
        if (!space) {
            bad = brew_fail(err, BREW_DATA, "tokenizer.ggml.merges: merge %u is not two entries",
                            rank);
            break;
        }
        size_t left = (size_t)(space - text), right = len - left - 1;
        brew_buf_reset(&join);
        brew_buf_add(&join, text, left);
        brew_buf_add(&join, space + 1, right);
        int32_t a = brew_vocab_get(&tok->vocab, text, left);
        int32_t b = brew_vocab_get(&tok->vocab, space + 1, right);
        int32_t product = brew_vocab_get(&tok->vocab, join.ptr, join.len);
        if (a < 0 || b < 0 || product < 0)
            bad =
                brew_fail(err, BREW_DATA, "tokenizer.ggml.merges: merge %u is not of tokens", rank);
        else
            bad = brew_bpe_merge(&tok->bpe, a, b, product, err);
    }
    brew_buf_release(&join);
    return bad;
}

static int add_steps(brew_tokenizer *tok, const struct recipe *recipe, bool prefix, brew_err *err) {
    if (recipe->nfc && !brew_tok_add_normal(tok, NORMAL_NFC, err)) return -1;
    for (size_t i = 0; recipe->patterns[i]; i++)
        if (brew_tok_add_pattern(tok, recipe->patterns[i], strlen(recipe->patterns[i]),
                                 SPLIT_ISOLATED, false, err))
            return -1;
    if (recipe->digits && brew_tok_add_digits(tok, true, err)) return -1;
    if (brew_tok_add_bytes(tok, prefix && recipe->gpt2, recipe->gpt2, err)) return -1;
    tok->bpe.ignore_merges = recipe->ignore_merges;
    return 0;
}

int brew_tok_gguf_split(brew_tokenizer *shape, size_t number, char name[32], brew_err *err) {
    if (number >= sizeof recipes / sizeof *recipes) return 0;
    const char *first = recipes[number].names + 1;
    snprintf(name, 32, "%.*s", (int)(strchr(first, ' ') - first), first);
    return add_steps(shape, &recipes[number], false, err) ? -1 : 1;
}

static int load_byte_level(brew_tokenizer *tok, const brew_gguf *gguf, bool *bos, brew_err *err) {
    const char *pre;
    size_t len;
    if (!brew_gguf_string(gguf, "tokenizer.ggml.pre", &pre, &len)) return missing(err, "pre");
    const struct recipe *recipe = find_recipe(pre, len);
    if (!recipe)
        return brew_fail(err, BREW_DATA, "tokenizer.ggml.pre \"%.*s\" is not supported",
                         (int)(len < 60 ? len : 60), pre);
    bool prefix = false;
    *bos = recipe->bos;
    brew_gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &prefix);
    if (add_steps(tok, recipe, prefix, err) || !brew_tok_add_decode(tok, DECODE_BYTES, err))
        return -1;
    return load_tokens(tok, gguf, err) || load_merges(tok, gguf, err) ? -1 : 0;
}

// ---- SentencePiece

// A way to make an entry from two, in the order of transformers' generate_merges: by score, then by
// the characters of the left part, then of the right one, all falling; then as found.
typedef struct candidate {
    double score;
    uint32_t left_chars, right_chars, order;
    int32_t left, right, product;
} candidate;

static int candidate_order(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->left_chars != y->left_chars) return x->left_chars > y->left_chars ? -1 : 1;
    if (x->right_chars != y->right_chars) return x->right_chars > y->right_chars ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static uint32_t count_chars(const char *text, size_t len) {
    uint32_t n = 0;
    for (size_t i = 0; i < len; i++) n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

static int merges_by_score(brew_tokenizer *tok, const brew_gguf *gguf, brew_err *err) {
    candidate *found = NULL;
    size_t n = 0, cap = 0;
    for (size_t id = 0; id < tok->vocab.n; id++) {
        size_t len;
        double score;
        const char *text = brew_vocab_entry(&tok->vocab, (int32_t)id, &len);
        if (!text || tok->added_by_id[id] >= 0) continue;
        if (!brew_gguf_array_real(gguf, "tokenizer.ggml.scores", id, &score)) {
            free(found);
            return missing(err, "scores");
        }
        for (size_t cut = 1; cut < len; cut++) {
            if (((unsigned char)text[cut] & 0xc0) == 0x80) continue;
            int32_t left = brew_vocab_get(&tok->vocab, text, cut);
            int32_t right = brew_vocab_get(&tok->vocab, text + cut, len - cut);
            if (left < 0 || right < 0) continue;
            if (tok->added_by_id[left] >= 0 || tok->added_by_id[right] >= 0) continue;
            BREW_GROW(found, n + 1, cap);
            found[n] = (candidate){score,
                                   count_chars(text, cut),
                                   count_chars(text + cut, len - cut),
                                   (uint32_t)n,
                                   left,
                                   right,
                                   (int32_t)id};
            n++;
        }
    }
    if (n) qsort(found, n, sizeof *found, candidate_order);
    int bad = 0;
    for (size_t i = 0; i < n && !bad; i++)
        bad = brew_bpe_merge(&tok->bpe, found[i].left, found[i].right, found[i].product, err);
    free(found);
    return bad;
}

static char *set_text(size_t *len, const char *text) {
    *len = strlen(text);
    return brew_strdup(text);
}

// Normaliser and decoder as LlamaTokenizer makes them.
int brew_tok_gguf_llama(brew_tokenizer *tok, bool prefix, brew_err *err) {
    static const char space[] = "\xe2\x96\x81";
    brew_tok_normal *n;
    if (prefix) {
        n = brew_tok_add_normal(tok, NORMAL_PREPEND, err);
        n->to = set_text(&n->to_len, space);
    }
    n = brew_tok_add_normal(tok, NORMAL_REPLACE, err);
    n->from = set_text(&n->from_len, " ");
    n->to = set_text(&n->to_len, space);
    brew_tok_decode *d = brew_tok_add_decode(tok, DECODE_REPLACE, err);
    d->from = set_text(&d->from_len, space);
    d->to = set_text(&d->to_len, " ");
    brew_tok_add_decode(tok, DECODE_BYTE_FALLBACK, err);
    brew_tok_add_decode(tok, DECODE_FUSE, err);
    if (!prefix) return 0;
    d = brew_tok_add_decode(tok, DECODE_STRIP, err);
    d->from = set_text(&d->from_len, " ");
    d->start = 1;
    return 0;
}

static int load_sentencepiece(brew_tokenizer *tok, const brew_gguf *gguf, brew_err *err) {
    bool prefix = true;
    int64_t unk = 0;
    brew_gguf_bool(gguf, "tokenizer.ggml.add_space_prefix", &prefix);
    brew_gguf_int(gguf, "tokenizer.ggml.unknown_token_id", &unk);
    if (load_tokens(tok, gguf, err)) return -1;
    if (unk < 0 || (size_t)unk >= tok->vocab.n)
        return brew_fail(err, BREW_DATA, "tokenizer.ggml.unknown_token_id %lld is no token",
                         (long long)unk);
    tok->bpe.unk = (int32_t)unk;
    tok->bpe.byte_fallback = tok->bpe.fuse_unk = true;
    tok->added_by_id = brew_alloc(tok->vocab.n * sizeof *tok->added_by_id);
    for (size_t i = 0; i < tok->vocab.n; i++) tok->added_by_id[i] = -1;
    for (size_t i = 0; i < tok->n_added; i++) tok->added_by_id[tok->added[i].id] = (int32_t)i;
    int bad = merges_by_score(tok, gguf, err);
    free(tok->added_by_id);
    tok->added_by_id = NULL;
    return bad ? bad : brew_tok_gguf_llama(tok, prefix, err);
}

static int load_bos(brew_tokenizer *tok, const brew_gguf *gguf, bool add, brew_err *err) {
    int64_t bos;
    brew_gguf_bool(gguf, "tokenizer.ggml.add_bos_token", &add);
    if (!add) return 0;
    if (!brew_gguf_int(gguf, "tokenizer.ggml.bos_token_id", &bos))
        return missing(err, "bos_token_id");
    if (bos < 0 || (size_t)bos >= tok->vocab.n)
        return brew_fail(err, BREW_DATA, "tokenizer.ggml.bos_token_id %lld is no token",
                         (long long)bos);
    tok->bos = (int32_t)bos;
    return 0;
}

int brew_tok_load_gguf(brew_tokenizer *tok, const brew_gguf *gguf, brew_err *err) {
    const char *model;
    size_t len;
    if (!brew_gguf_string(gguf, "tokenizer.ggml.model", &model, &len)) return missing(err, "model");
    bool bytes = len == 4 && !memcmp(model, "gpt2", 4);
    if (!bytes && !(len == 5 && !memcmp(model, "llama", 5)))
        return brew_fail(err, BREW_DATA, "tokenizer.ggml.model \"%.*s\" is not supported",
                         (int)(len < 60 ? len : 60), model);
    bool bos = true;
    if (bytes ? load_byte_level(tok, gguf, &bos, err) : load_sentencepiece(tok, gguf, err))
        return -1;
    return load_bos(tok, gguf, bos, err);
}
