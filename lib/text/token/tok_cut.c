#include "text/token/tok_cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/token/tok.h"

// ---- What stays

static void keep_id(bool *keep, int32_t id) {
    if (id >= 0) keep[id] = true;
}

void brew_tokenizer_close(const brew_tokenizer *tok, bool *keep) {
    const brew_bpe *bpe = &tok->bpe;
    for (int b = 0; b < 256; b++) keep_id(keep, bpe->byte_id[b]);
    for (size_t i = 0; i < tok->n_added; i++) keep[tok->added[i].id] = true;
    keep_id(keep, bpe->unk);
    keep_id(keep, tok->bos);
    // Parts mostly have lower ranks than what they make: one pass from the end, and again while it helps.
    for (bool more = true; more;) {
        more = false;
        for (size_t i = bpe->n_merges; i-- > 0;) {
            const struct brew_merge *m = &bpe->merges[i];
            if (m->left < 0 || !keep[m->product] || (keep[m->left] && keep[m->right])) continue;
            keep[m->left] = keep[m->right] = more = true;
        }
    }
}

int64_t brew_tokenizer_number(const brew_tokenizer *tok, const bool *keep, int32_t *map) {
    int32_t n = 0;
    size_t len;
    for (size_t id = 0; id < tok->n_ids; id++) {
        bool entry = brew_vocab_entry(&tok->vocab, (int32_t)id, &len);
        map[id] = keep[id] && entry ? n++ : -1;
    }
    for (size_t i = 0; i < tok->n_added; i++)
        if (map[tok->added[i].id] < 0) map[tok->added[i].id] = n++;
    return n;
}

// ---- Ids in files

// Negative ids stand for none and stay so.
static int take_id(const brew_json *value, const brew_token_ids *ids, int64_t *id, const char *what,
                   brew_err *err) {
    if (!brew_json_is(value, BREW_JSON_INT))
        return brew_fail(err, BREW_DATA, "%s holds %s where an id is expected", what,
                         brew_json_type_name(value));
    *id = brew_json_int(value);
    if (*id < 0) return 0;
    if ((uint64_t)*id >= ids->vocab)
        return brew_fail(err, BREW_DATA, "%s holds %lld, the tokenizer's ids are below %zu", what,
                         (long long)*id, ids->vocab);
    if (ids->keep) ids->keep[*id] = true;
    if (ids->map) *id = ids->map[*id];
    return 0;
}

// A member that is an id, an array of them, or null.
static int member(brew_json *object, const char *key, const brew_token_ids *ids, brew_err *err) {
    const brew_json *value = brew_json_get(object, key);
    int64_t id;
    if (!value || brew_json_is(value, BREW_JSON_NULL)) return 0;
    if (!brew_json_is(value, BREW_JSON_ARRAY)) {
        if (take_id(value, ids, &id, key, err)) return -1;
        if (ids->map) brew_json_set(object, key, brew_json_new_int(id));
        return 0;
    }
    brew_json *list = brew_json_new_array();
    int status = 0;
    for (size_t i = 0; i < brew_json_length(value) && !status; i++) {
        status = take_id(brew_json_at(value, i), ids, &id, key, err);
        if (!status && id >= 0) brew_json_push(list, brew_json_new_int(id));
    }
    if (ids->map && !status)
        brew_json_set(object, key, list);
    else
        brew_json_free(list);
    return status;
}

static bool ends_in(const char *text, const char *end) {
    size_t len = strlen(text), n = strlen(end);
    return len >= n && !strcmp(text + len - n, end);
}

// {"0": {...}}: the keys are ids.
static int decoder_keys(brew_json *json, const brew_token_ids *ids, brew_err *err) {
    static const char key[] = "added_tokens_decoder";
    const brew_json *old = brew_json_get(json, key);
    if (!brew_json_is(old, BREW_JSON_OBJECT)) return 0;
    brew_json *renamed = brew_json_new_object();
    int status = 0;
    for (brew_json_iter it = {0}; !status && brew_json_next(old, &it);) {
        char *end, name[24];
        int64_t id = strtoll(it.key, &end, 10);
        brew_json *number = brew_json_new_int(id);
        status = *end || end == it.key
                     ? brew_fail(err, BREW_DATA, "%s has a key that is no id", key)
                     : take_id(number, ids, &id, key, err);
        brew_json_free(number);
        snprintf(name, sizeof name, "%lld", (long long)id);
        if (!status) brew_json_set(renamed, name, brew_json_copy(it.value));
    }
    if (ids->map && !status)
        brew_json_set(json, key, renamed);
    else
        brew_json_free(renamed);
    return status;
}

int brew_token_ids_config(brew_json *json, const brew_token_ids *ids, brew_err *err) {
    static const char *const nested[] = {"bad_words_ids", "force_words_ids", "forced_decoder_ids",
                                         "sequence_bias", "token_healing"};
    static const char *const lists[] = {"suppress_tokens", "begin_suppress_tokens"};
    for (size_t i = 0; i < sizeof nested / sizeof *nested; i++) {
        const brew_json *value = brew_json_get(json, nested[i]);
        bool off = brew_json_is(value, BREW_JSON_BOOL) && !brew_json_bool(value);
        if (value && !off && !brew_json_is(value, BREW_JSON_NULL))
            return brew_fail(err, BREW_DATA, "%s cannot be given new ids", nested[i]);
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists && ids->map; i++)
        if (member(json, lists[i], ids, err)) return -1;
    brew_json *keys = brew_json_copy(json); // members are set while these are gone through
    int status = 0;
    for (brew_json_iter it = {0}; !status && brew_json_next(keys, &it);)
        if (ends_in(it.key, "_token_id") || ends_in(it.key, "_token_ids"))
            status = member(json, it.key, ids, err);
    brew_json_free(keys);
    return status ? status : decoder_keys(json, ids, err);
}

// ---- tokenizer.json

// {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}, in a template, alone or in a sequence.
static int processor(brew_json *part, const brew_token_ids *ids, brew_err *err) {
    const brew_json *specials = brew_json_get(part, "special_tokens"),
                    *parts = brew_json_get(part, "processors");
    for (brew_json_iter it = {0}; brew_json_next(specials, &it);)
        if (member(it.value, "ids", ids, err)) return -1;
    for (size_t i = 0; i < brew_json_length(parts); i++)
        if (processor(brew_json_at(parts, i), ids, err)) return -1;
    return 0;
}

// A merge is "a b" or ["a", "b"]; it stays if what it makes does, and then so do its parts.
static bool merge_stays(const brew_json *merge, const brew_json *vocab, brew_buf *product) {
    size_t len;
    brew_buf_reset(product);
    if (brew_json_is(merge, BREW_JSON_STRING)) {
        const char *text = brew_json_string(merge, &len), *space = memchr(text, ' ', len);
        brew_buf_add(product, text, (size_t)(space - text));
        brew_buf_add(product, space + 1, len - (size_t)(space + 1 - text));
    } else {
        for (size_t i = 0; i < 2; i++) {
            const char *text = brew_json_string(brew_json_at(merge, i), &len);
            brew_buf_add(product, text, len);
        }
    }
    brew_buf_addc(product, '\0');
    return brew_json_get(vocab, product->ptr) != NULL;
}

static void cut_model(brew_json *model, const int32_t *map) {
    brew_json *vocab = brew_json_new_object(), *merges = brew_json_new_array();
    brew_buf product = {0};
    for (brew_json_iter it = {0}; brew_json_next(brew_json_get(model, "vocab"), &it);) {
        int32_t id = map[brew_json_int(it.value)];
        if (id >= 0) brew_json_set(vocab, it.key, brew_json_new_int(id));
    }
    const brew_json *old = brew_json_get(model, "merges");
    for (size_t i = 0; i < brew_json_length(old); i++) {
        const brew_json *merge = brew_json_at(old, i);
        if (merge_stays(merge, vocab, &product)) brew_json_push(merges, brew_json_copy(merge));
    }
    brew_json_set(model, "vocab", vocab);
    brew_json_set(model, "merges", merges);
    brew_buf_release(&product);
}

// The file has been loaded as a tokenizer: its parts are what they should be.
int brew_token_ids_tokenizer(brew_json *json, const brew_token_ids *ids, brew_err *err) {
    const brew_json *added = brew_json_get(json, "added_tokens");
    for (size_t i = 0; i < brew_json_length(added); i++)
        if (member(brew_json_at(added, i), "id", ids, err)) return -1;
    if (processor(brew_json_get(json, "post_processor"), ids, err) ||
        member(brew_json_get(json, "padding"), "pad_id", ids, err))
        return -1;
    if (ids->map) cut_model(brew_json_get(json, "model"), ids->map);
    return 0;
}
