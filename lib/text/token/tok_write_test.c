// Tokenizers written as tokenizer.json and loaded from that: the same digest, and the same text of all ids.
#include <stdlib.h>
#include <unistd.h>

#include "base/tap.h"
#include "io/json.h"
#include "io/modeldir.h"
#include "text/token/tokenizer.h"

static brew_err err;

static bool same_decoding(const brew_tokenizer *a, const brew_tokenizer *b) {
    brew_buf x = {0}, y = {0};
    bool same = brew_tokenizer_vocab(a) == brew_tokenizer_vocab(b);
    int32_t n = (int32_t)brew_tokenizer_vocab(a);
    for (int32_t id = 0; same && id < n; id++) {
        int32_t ids[] = {id, (id * 7 + 1) % n, id};
        if (!brew_tokenizer_entry(a, ids[0], &(size_t){0})) continue;
        if (!brew_tokenizer_entry(a, ids[1], &(size_t){0})) continue;
        brew_buf_reset(&x);
        brew_buf_reset(&y);
        same = !brew_tokenizer_decode(a, ids, 3, &x, &err) &&
               !brew_tokenizer_decode(b, ids, 3, &y, &err) && x.len == y.len &&
               !memcmp(x.ptr, y.ptr, x.len);
    }
    brew_buf_release(&x);
    brew_buf_release(&y);
    return same;
}

static void check(brew_tokenizer *tok, const char *name) {
    if (!ok(tok, "%s is loaded", name)) {
        printf("# %s\n", err.text);
        return;
    }
    brew_buf text = {0}, again = {0};
    brew_tokenizer_write(tok, &text);
    brew_tokenizer *back = brew_tokenizer_from_json(text.ptr, text.len, NULL, 0, &err);
    if (ok(back, "%s is loaded from what was written", name)) {
        is_str(brew_tokenizer_digest(back), brew_tokenizer_digest(tok), "with the same digest");
        ok(brew_tokenizer_bos(back) == brew_tokenizer_bos(tok) && same_decoding(tok, back),
           "the same BOS, and ids decode alike");
        brew_tokenizer_write(back, &again);
        ok(again.len == text.len && !memcmp(again.ptr, text.ptr, text.len),
           "and is written so again");
    } else {
        printf("# %s\n", err.text);
    }
    brew_buf_release(&text);
    brew_buf_release(&again);
    brew_tokenizer_free(back);
    brew_tokenizer_free(tok);
}

static brew_tokenizer *from_json(const brew_json *root) {
    brew_buf text = {0};
    brew_json_write(&text, root);
    brew_tokenizer *tok = brew_tokenizer_from_json(text.ptr, text.len, NULL, 0, &err);
    brew_buf_release(&text);
    return tok;
}

// The base tokenizer of a variant with members replaced, as scripts/peers/tokenizer_goldens.py does.
static void check_variants(void) {
    const char *slow = getenv("BREW_SLOW"); // all of them; else every fourth
    size_t step = slow && *slow && strcmp(slow, "0") ? 1 : 4;
    brew_json *variants = brew_json_load("testdata/tokenizers/variants.json", &err);
    for (size_t i = 0; i < brew_json_length(variants); i += step) {
        const brew_json *v = brew_json_at(variants, i);
        const char *name = brew_json_string(brew_json_get(v, "name"), NULL);
        char path[100];
        snprintf(path, sizeof path, "testdata/tokenizers/%s.json.xz",
                 brew_json_string(brew_json_get(v, "base"), NULL));
        if (access(path, R_OK)) continue; // a base that is a GGUF: see main
        brew_json *root = brew_json_load(path, &err);
        for (brew_json_iter it = {0}; brew_json_next(brew_json_get(v, "set"), &it);) {
            bool inner = !strncmp(it.key, "model.", 6);
            brew_json_set(inner ? brew_json_get(root, "model") : root, it.key + 6 * inner,
                          brew_json_copy(it.value));
        }
        check(from_json(root), name);
        brew_json_free(root);
    }
    brew_json_free(variants);
}

int main(void) {
    static const char *const files[] = {"llama", "qwen3", "smollm2"};
    static const char *const models[] = {"ggml-vocab-deepseek-coder", "ggml-vocab-gpt-2",
                                         "ggml-vocab-llama-spm"};
    char path[100];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "testdata/tokenizers/%s.json.xz", files[i]);
        brew_json *root = brew_json_load(path, &err);
        check(root ? from_json(root) : NULL, path);
        brew_json_free(root);
        snprintf(path, sizeof path, "testdata/vocab/%s.gguf", models[i]);
        brew_modeldir *dir = brew_modeldir_open(path, &err);
        check(dir ? brew_tokenizer_open(dir, &err) : NULL, path);
        brew_modeldir_close(dir);
    }
    check_variants();
    return tap_done();
}
