// tokenizer.json, as Hugging Face's tokenizers 0.23 reads it. What is not known here is refused.
#include "text/token/tok_steps.h"

#include <stdlib.h>

#include "base/mem.h"
#include "io/json.h"

typedef struct loader {
    brew_tokenizer *tok;
    brew_err *err;
} loader;

static int refuse(loader *l, const char *part, const char *name) {
    return brew_fail(l->err, BREW_DATA, "tokenizer: %s \"%s\" is not supported", part, name);
}

static int broken(loader *l, const char *what) {
    return brew_fail(l->err, BREW_DATA, "tokenizer: %s is missing or of the wrong type", what);
}

static bool is_null(const brew_json *value) {
    return !value || brew_json_is(value, BREW_JSON_NULL);
}

static bool flag(const brew_json *object, const char *key, bool otherwise) {
    const brew_json *v = brew_json_get(object, key);
    return brew_json_is(v, BREW_JSON_BOOL) ? brew_json_bool(v) : otherwise;
}

static int64_t number(const brew_json *object, const char *key, int64_t otherwise) {
    const brew_json *v = brew_json_get(object, key);
    return brew_json_is(v, BREW_JSON_INT) ? brew_json_int(v) : otherwise;
}

static const char *text_of(const brew_json *object, const char *key, size_t *len) {
    const brew_json *v = brew_json_get(object, key);
    return brew_json_is(v, BREW_JSON_STRING) ? brew_json_string(v, len) : NULL;
}

static char *copy_of(const brew_json *object, const char *key, size_t *len) {
    const char *text = text_of(object, key, len);
    return text ? brew_strndup(text, *len) : NULL;
}

// The type of a part, NULL (and an error) if it has none.
static const char *type_of(loader *l, const brew_json *part, const char *what) {
    size_t len;
    const char *type = text_of(part, "type", &len);
    if (!type) broken(l, what);
    return type;
}

typedef int part_fn(loader *l, const brew_json *part);

static int each(loader *l, const brew_json *part, const char *key, part_fn *fn) {
    const brew_json *list = brew_json_get(part, key);
    if (!brew_json_is(list, BREW_JSON_ARRAY)) return broken(l, key);
    for (size_t i = 0; i < brew_json_length(list); i++)
        if (fn(l, brew_json_at(list, i))) return -1;
    return 0;
}

// A pattern {"String": ...} or {"Regex": ...}: its text.
static const char *pattern_of(const brew_json *part, bool *regex, size_t *len) {
    const brew_json *pattern = brew_json_get(part, "pattern");
    const char *text = text_of(pattern, "String", len);
    *regex = !text;
    return text ? text : text_of(pattern, "Regex", len);
}

// ---- Normalisers

static int load_normalizer(loader *l, const brew_json *part) {
    const char *type = type_of(l, part, "a normalizer's type");
    if (!type) return -1;
    if (!strcmp(type, "Sequence")) return each(l, part, "normalizers", load_normalizer);
    if (!strcmp(type, "NFC")) return brew_tok_add_normal(l->tok, NORMAL_NFC, l->err) ? 0 : -1;
    if (!strcmp(type, "Prepend")) {
        brew_tok_normal *n = brew_tok_add_normal(l->tok, NORMAL_PREPEND, l->err);
        if (!n) return -1;
        n->to = copy_of(part, "prepend", &n->to_len);
        return n->to ? 0 : broken(l, "Prepend's text");
    }
    if (strcmp(type, "Replace") != 0) return refuse(l, "the normalizer", type);
    bool regex;
    size_t len;
    const char *from = pattern_of(part, &regex, &len);
    if (!from || !len) return broken(l, "Replace's pattern");
    if (regex) return refuse(l, "the normalizer", "Replace by a Regex");
    brew_tok_normal *n = brew_tok_add_normal(l->tok, NORMAL_REPLACE, l->err);
    if (!n) return -1;
    n->from = brew_strndup(from, len);
    n->from_len = len;
    n->to = copy_of(part, "content", &n->to_len);
    return n->to ? 0 : broken(l, "Replace's content");
}

// ---- Pre-tokenisers

static int load_split(loader *l, const brew_json *part) {
    static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
    bool regex;
    size_t len, name_len, behavior = 0;
    const char *pattern = pattern_of(part, &regex, &len);
    const char *name = text_of(part, "behavior", &name_len);
    if (!pattern || !len) return broken(l, "Split's pattern");
    if (!name) return broken(l, "Split's behavior");
    while (behavior < 5 && strcmp(names[behavior], name) != 0) behavior++;
    if (behavior == 5) return refuse(l, "the split behavior", name);
    bool invert = flag(part, "invert", false);
    if (regex)
        return brew_tok_add_pattern(l->tok, pattern, len, (enum brew_tok_behavior)behavior, invert,
                                    l->err);
    brew_tok_step *step = brew_tok_add_step(l->tok, STEP_SPLIT, l->err);
    if (!step) return -1;
    step->behavior = (enum brew_tok_behavior)behavior;
    step->invert = invert;
    step->literal = brew_strndup(pattern, len);
    step->literal_len = len;
    return 0;
}

static int load_metaspace(loader *l, const brew_json *part) {
    brew_tok_step *step = brew_tok_add_step(l->tok, STEP_METASPACE, l->err);
    if (!step) return -1;
    step->literal = copy_of(part, "replacement", &step->literal_len);
    if (!step->literal || !step->literal_len) return broken(l, "Metaspace's replacement");
    size_t len;
    const char *scheme = text_of(part, "prepend_scheme", &len);
    if (!scheme) // before tokenizers 0.15
        scheme = flag(part, "add_prefix_space", true) ? "always" : "never";
    step->prefix_first = !strcmp(scheme, "first");
    step->prefix = step->prefix_first || !strcmp(scheme, "always");
    if (!step->prefix && strcmp(scheme, "never") != 0)
        return refuse(l, "the prepend_scheme", scheme);
    step->split = flag(part, "split", true);
    return 0;
}

static int load_pre_tokenizer(loader *l, const brew_json *part) {
    const char *type = type_of(l, part, "a pre-tokenizer's type");
    if (!type) return -1;
    if (!strcmp(type, "Sequence")) return each(l, part, "pretokenizers", load_pre_tokenizer);
    if (!strcmp(type, "Split")) return load_split(l, part);
    if (!strcmp(type, "Metaspace")) return load_metaspace(l, part);
    if (!strcmp(type, "Digits"))
        return brew_tok_add_digits(l->tok, flag(part, "individual_digits", false), l->err);
    if (strcmp(type, "ByteLevel") != 0) return refuse(l, "the pre-tokenizer", type);
    return brew_tok_add_bytes(l->tok, flag(part, "add_prefix_space", true),
                              flag(part, "use_regex", true), l->err);
}

// ---- Decoders

static int load_metaspace_decoder(loader *l, const brew_json *part) {
    brew_tok_decode *d = brew_tok_add_decode(l->tok, DECODE_METASPACE, l->err);
    if (!d) return -1;
    size_t len;
    const char *scheme = text_of(part, "prepend_scheme", &len);
    d->drop_first = scheme ? strcmp(scheme, "never") != 0 : flag(part, "add_prefix_space", true);
    d->from = copy_of(part, "replacement", &d->from_len);
    return d->from && d->from_len ? 0 : broken(l, "Metaspace's replacement");
}

static int load_replace_decoder(loader *l, const brew_json *part) {
    bool regex;
    size_t len;
    const char *from = pattern_of(part, &regex, &len);
    if (!from || !len) return broken(l, "Replace's pattern");
    if (regex) return refuse(l, "the decoder", "Replace by a Regex");
    brew_tok_decode *d = brew_tok_add_decode(l->tok, DECODE_REPLACE, l->err);
    if (!d) return -1;
    d->from = brew_strndup(from, len);
    d->from_len = len;
    d->to = copy_of(part, "content", &d->to_len);
    return d->to ? 0 : broken(l, "Replace's content");
}

static int load_strip_decoder(loader *l, const brew_json *part) {
    brew_tok_decode *d = brew_tok_add_decode(l->tok, DECODE_STRIP, l->err);
    if (!d) return -1;
    d->from = copy_of(part, "content", &d->from_len);
    d->start = number(part, "start", 0);
    d->stop = number(part, "stop", 0);
    return d->from && d->from_len ? 0 : broken(l, "Strip's content");
}

static int load_decoder(loader *l, const brew_json *part) {
    const char *type = type_of(l, part, "a decoder's type");
    if (!type) return -1;
    if (!strcmp(type, "Sequence")) {
        l->tok->has_decoder = true;
        return each(l, part, "decoders", load_decoder);
    }
    if (!strcmp(type, "Metaspace")) return load_metaspace_decoder(l, part);
    if (!strcmp(type, "Replace")) return load_replace_decoder(l, part);
    if (!strcmp(type, "Strip")) return load_strip_decoder(l, part);
    if (!strcmp(type, "ByteLevel"))
        return brew_tok_add_decode(l->tok, DECODE_BYTES, l->err) ? 0 : -1;
    if (!strcmp(type, "Fuse")) return brew_tok_add_decode(l->tok, DECODE_FUSE, l->err) ? 0 : -1;
    if (!strcmp(type, "ByteFallback"))
        return brew_tok_add_decode(l->tok, DECODE_BYTE_FALLBACK, l->err) ? 0 : -1;
    return refuse(l, "the decoder", type);
}

// ---- Model

static int merge_vocab(loader *l, size_t rank, const char *left, size_t left_len, const char *right,
                       size_t right_len, brew_buf *join) {
    const brew_vocab *vocab = &l->tok->vocab;
    brew_buf_reset(join);
    brew_buf_add(join, left, left_len);
    brew_buf_add(join, right, right_len);
    int32_t a = brew_vocab_get(vocab, left, left_len), b = brew_vocab_get(vocab, right, right_len);
    int32_t product = brew_vocab_get(vocab, join->ptr, join->len);
    if (a < 0 || b < 0 || product < 0)
        return brew_fail(l->err, BREW_DATA, "tokenizer: merge %zu is not of vocabulary entries",
                         rank);
    return brew_bpe_merge(&l->tok->bpe, a, b, product, l->err);
}

// A merge is "a b" or ["a", "b"].
static int load_merge(loader *l, size_t rank, const brew_json *merge, brew_buf *join) {
    size_t left_len, right_len;
    const char *left, *right;
    if (brew_json_is(merge, BREW_JSON_STRING)) {
        left = brew_json_string(merge, &left_len);
        const char *space = memchr(left, ' ', left_len);
        if (!space || memchr(space + 1, ' ', left_len - (size_t)(space + 1 - left)))
            return brew_fail(l->err, BREW_DATA, "tokenizer: merge %zu is not two entries", rank);
        right = space + 1;
        right_len = left_len - (size_t)(right - left);
        left_len = (size_t)(space - left);
    } else {
        const brew_json *a = brew_json_at(merge, 0), *b = brew_json_at(merge, 1);
        if (brew_json_length(merge) != 2 || !brew_json_is(a, BREW_JSON_STRING) ||
            !brew_json_is(b, BREW_JSON_STRING))
            return brew_fail(l->err, BREW_DATA, "tokenizer: merge %zu is not two entries", rank);
        left = brew_json_string(a, &left_len);
        right = brew_json_string(b, &right_len);
    }
    return merge_vocab(l, rank, left, left_len, right, right_len, join);
}

static int load_merges(loader *l, const brew_json *merges) {
    brew_buf join = {0};
    int bad = 0;
    for (size_t i = 0; i < brew_json_length(merges) && !bad; i++)
        bad = load_merge(l, i, brew_json_at(merges, i), &join);
    brew_buf_release(&join);
    return bad;
}

static int load_vocab(loader *l, const brew_json *vocab) {
    brew_json_iter it = {0};
    while (brew_json_next(vocab, &it)) {
        if (!brew_json_is(it.value, BREW_JSON_INT)) return broken(l, "an id of the vocabulary");
        if (brew_vocab_put(&l->tok->vocab, it.key, strlen(it.key), brew_json_int(it.value), l->err))
            return brew_err_context(l->err, "tokenizer");
    }
    return 0;
}

static int load_model(loader *l, const brew_json *model) {
    static const char *const empty_only[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    brew_bpe *bpe = &l->tok->bpe;
    size_t len;
    const char *type = text_of(model, "type", &len);
    if (!type && !is_null(brew_json_get(model, "type"))) return broken(l, "the model's type");
    if (type && strcmp(type, "BPE") != 0) return refuse(l, "the model", type);
    const brew_json *vocab = brew_json_get(model, "vocab"),
                    *merges = brew_json_get(model, "merges");
    if (!brew_json_is(vocab, BREW_JSON_OBJECT)) return broken(l, "the model's vocab");
    if (!brew_json_is(merges, BREW_JSON_ARRAY)) return broken(l, "the model's merges");
    for (size_t i = 0; i < 2; i++) {
        const char *text = text_of(model, empty_only[i], &len);
        if (!is_null(brew_json_get(model, empty_only[i])) && (!text || len))
            return refuse(l, "the model's", empty_only[i]);
    }
    const brew_json *dropout = brew_json_get(model, "dropout");
    if (!is_null(dropout) && brew_json_real(dropout) != 0)
        return refuse(l, "the model's", "dropout");
    bpe->byte_fallback = flag(model, "byte_fallback", false);
    bpe->fuse_unk = flag(model, "fuse_unk", false);
    bpe->ignore_merges = flag(model, "ignore_merges", false);
    if (load_vocab(l, vocab) || load_merges(l, merges)) return -1;
    const char *unk = text_of(model, "unk_token", &len);
    if (unk && (bpe->unk = brew_vocab_get(&l->tok->vocab, unk, len)) < 0)
        return brew_fail(l->err, BREW_DATA, "tokenizer: unk_token is not in the vocabulary");
    return 0;
}

static int load_added(loader *l, const brew_json *part) {
    brew_added_token token = {.id = (int32_t)number(part, "id", -1),
                              .special = flag(part, "special", false),
                              .normalized = flag(part, "normalized", true),
                              .lstrip = flag(part, "lstrip", false),
                              .rstrip = flag(part, "rstrip", false),
                              .single_word = flag(part, "single_word", false)};
    const char *text = text_of(part, "content", &token.len);
    if (!text || number(part, "id", -1) < 0 || number(part, "id", -1) >= BREW_VOCAB_MAX)
        return broken(l, "an added token's content or id");
    if (!token.len) return 0;
    token.text = (char *)text;
    return brew_tok_add(l->tok, token, l->err);
}

// ---- BOS

// The first piece of a template for one text, if it is a special token.
static int load_post_processor(loader *l, const brew_json *part) {
    const char *type = type_of(l, part, "a post-processor's type");
    if (!type) return -1;
    if (!strcmp(type, "Sequence")) return each(l, part, "processors", load_post_processor);
    if (!strcmp(type, "ByteLevel")) return 0;
    if (strcmp(type, "TemplateProcessing") != 0) return refuse(l, "the post-processor", type);
    const brew_json *first = brew_json_at(brew_json_get(part, "single"), 0);
    const brew_json *special = brew_json_get(first, "SpecialToken");
    size_t len;
    const char *name = text_of(special, "id", &len);
    if (!name) return 0;
    const brew_json *token = brew_json_get(brew_json_get(part, "special_tokens"), name);
    const brew_json *id = brew_json_at(brew_json_get(token, "ids"), 0);
    if (!brew_json_is(id, BREW_JSON_INT) || brew_json_int(id) < 0 ||
        brew_json_int(id) >= BREW_VOCAB_MAX)
        return broken(l, "the id of the template's first token");
    l->tok->bos = (int32_t)brew_json_int(id);
    return 0;
}

// tokenizer_config.json: add_bos_token overrules the template.
static int load_config(loader *l, const char *text, size_t text_len) {
    brew_json *config = brew_json_parse_settings(text, text_len, l->err);
    if (!config) return brew_err_context(l->err, "tokenizer_config.json");
    const brew_json *add = brew_json_get(config, "add_bos_token");
    const brew_json *bos = brew_json_get(config, "bos_token");
    int bad = 0;
    if (brew_json_is(add, BREW_JSON_BOOL) && !brew_json_bool(add)) l->tok->bos = -1;
    if (brew_json_is(add, BREW_JSON_BOOL) && brew_json_bool(add) && !is_null(bos)) {
        size_t len = 0;
        const char *name = brew_json_is(bos, BREW_JSON_STRING) ? brew_json_string(bos, &len)
                                                               : text_of(bos, "content", &len);
        l->tok->bos = name ? brew_tok_find(l->tok, name, len) : -1;
        if (l->tok->bos < 0) bad = broken(l, "tokenizer_config.json's bos_token");
    }
    brew_json_free(config);
    return bad;
}

// A switch that is no bool would quietly be its default: they are looked through beforehand.
static int check_flags(loader *l, const brew_json *part) {
    static const char *const flags[] = {
        "add_prefix_space", "byte_fallback", "fuse_unk", "ignore_merges", "individual_digits",
        "invert",           "lstrip",        "rstrip",   "normalized",    "single_word",
        "special",          "split",         "use_regex"};
    if (brew_json_is(part, BREW_JSON_ARRAY))
        for (size_t i = 0; i < brew_json_length(part); i++)
            if (check_flags(l, brew_json_at(part, i))) return -1;
    if (!brew_json_is(part, BREW_JSON_OBJECT)) return 0;
    for (brew_json_iter it = {0}; brew_json_next(part, &it);) {
        if (!strcmp(it.key, "vocab") || !strcmp(it.key, "merges")) continue; // keys are not ours
        if (check_flags(l, it.value)) return -1;
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
            if (!strcmp(it.key, flags[i]) && !is_null(it.value) &&
                !brew_json_is(it.value, BREW_JSON_BOOL))
                return brew_fail(l->err, BREW_DATA, "tokenizer: %s is %s, not true or false",
                                 flags[i], brew_json_type_name(it.value));
    }
    return 0;
}

static int load(loader *l, const brew_json *root) {
    static const struct {
        const char *key;
        part_fn *fn;
    } parts[] = {{"normalizer", load_normalizer},
                 {"pre_tokenizer", load_pre_tokenizer},
                 {"model", load_model},
                 {"decoder", load_decoder},
                 {"post_processor", load_post_processor}};
    if (!brew_json_is(root, BREW_JSON_OBJECT) || is_null(brew_json_get(root, "model")))
        return broken(l, "the model");
    if (check_flags(l, root)) return -1;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const brew_json *part = brew_json_get(root, parts[i].key);
        if (!is_null(part) && parts[i].fn(l, part)) return -1;
    }
    return is_null(brew_json_get(root, "added_tokens")) ? 0
                                                        : each(l, root, "added_tokens", load_added);
}

int brew_tok_load_json(brew_tokenizer *tok, const char *json, size_t len, const char *config,
                       size_t config_len, brew_err *err) {
    loader l = {tok, err};
    brew_json *root = brew_json_parse(json, len, err);
    if (!root) return brew_err_context(err, "tokenizer.json");
    int bad = load(&l, root);
    brew_json_free(root);
    if (!bad && config) bad = load_config(&l, config, config_len);
    return bad;
}
