// Tokenizers written into GGUF metadata and read from there: the same digest (which the writer itself
// insists on, so that the counting here is of what is written at all), and what GGUF cannot say, by name.
#include <stdlib.h>
#include <unistd.h>

#include "base/tap.h"
#include "io/gguf_write.h"
#include "io/json.h"
#include "io/modeldir.h"
#include "text/token/tok_gguf.h"

static brew_err err;
enum { MORE = 5 }; // ids that the model has and the tokenizer has not

static bool same_decoding(const brew_tokenizer *a, const brew_tokenizer *b) {
    brew_buf x = {0}, y = {0};
    bool same = true;
    for (int32_t id = 0; same && id < (int32_t)brew_tokenizer_vocab(a); id++) {
        if (!brew_tokenizer_entry(a, id, &(size_t){0})) continue;
        brew_buf_reset(&x);
        brew_buf_reset(&y);
        same = !brew_tokenizer_decode(a, &id, 1, &x, &err) &&
               !brew_tokenizer_decode(b, &id, 1, &y, &err) && x.len == y.len &&
               !memcmp(x.ptr, y.ptr, x.len);
    }
    brew_buf_release(&x);
    brew_buf_release(&y);
    return same;
}

// The number of tokens of a type, -1 if it cannot be written; *back is what reads it.
static int written(const brew_tokenizer *tok, int type, brew_tokenizer **back) {
    brew_gguf_keys keys = {0};
    brew_buf head = {0};
    size_t vocab = brew_tokenizer_vocab(tok) + MORE;
    int count = -1;
    *back = NULL;
    if (!brew_tokenizer_write_gguf(tok, vocab, &keys, &err) &&
        !brew_gguf_head(&head, &keys, NULL, 0, &err)) {
        brew_gguf *gguf = brew_gguf_parse(head.ptr, head.len, "made", &err);
        *back = gguf ? brew_tokenizer_from_gguf(gguf, &err) : NULL;
        int64_t got;
        count = 0;
        for (size_t i = 0; i < vocab; i++)
            count += brew_gguf_array_int(gguf, "tokenizer.ggml.token_type", i, &got) && got == type;
        brew_gguf_free(gguf);
    }
    brew_buf_release(&head);
    brew_gguf_keys_release(&keys);
    return count;
}

static void check(brew_tokenizer *tok, const char *name, int holes) {
    brew_tokenizer *back;
    int unused = tok ? written(tok, BREW_GGUF_TOKEN_UNUSED, &back) : -1;
    if (ok(unused == MORE + holes && back, "%s is written", name)) {
        is_str(brew_tokenizer_digest(back), brew_tokenizer_digest(tok), "and read alike");
        ok(brew_tokenizer_bos(back) == brew_tokenizer_bos(tok) && same_decoding(tok, back),
           "with the same BOS and texts");
    } else {
        printf("# %d unused: %s\n", unused, err.text);
    }
    if (tok) brew_tokenizer_free(back);
    brew_tokenizer_free(tok);
}

static brew_tokenizer *from_json(const brew_json *root) {
    brew_buf text = {0};
    brew_json_write(&text, root);
    brew_tokenizer *tok = brew_tokenizer_from_json(text.ptr, text.len, NULL, 0, &err);
    brew_buf_release(&text);
    return tok;
}

// Variants of the test data that GGUF has a name for; of all others the writer must say so.
static void check_variants(void) {
    brew_json *variants = brew_json_load("testdata/tokenizers/variants.json", &err);
    int written_ones = 0, refused = 0, silent = 0;
    for (size_t i = 0; i < brew_json_length(variants); i++) {
        const brew_json *v = brew_json_at(variants, i);
        char path[100];
        snprintf(path, sizeof path, "testdata/tokenizers/%s.json.xz",
                 brew_json_string(brew_json_get(v, "base"), NULL));
        if (access(path, R_OK)) continue;
        brew_json *root = brew_json_load(path, &err);
        for (brew_json_iter it = {0}; brew_json_next(brew_json_get(v, "set"), &it);) {
            bool inner = !strncmp(it.key, "model.", 6);
            brew_json_set(inner ? brew_json_get(root, "model") : root, it.key + 6 * inner,
                          brew_json_copy(it.value));
        }
        brew_tokenizer *tok = from_json(root), *back = NULL;
        err.text[0] = 0;
        if (tok && written(tok, BREW_GGUF_TOKEN_UNUSED, &back) >= 0)
            written_ones++;
        else if (!strncmp(err.text, "tokenizer: ", 11))
            refused++;
        else
            silent++;
        brew_tokenizer_free(back);
        brew_tokenizer_free(tok);
        brew_json_free(root);
    }
    brew_json_free(variants);
    printf("# variants: %d written, %d refused\n", written_ones, refused);
    ok(written_ones >= 3 && refused >= 10 && !silent, "variants are written or refused by name");
}

static void check_refused(const brew_json *base, const char *flag) {
    brew_json *root = brew_json_copy(base);
    brew_json *token = brew_json_at(brew_json_get(root, "added_tokens"), 0);
    char want[64];
    snprintf(want, sizeof want, "has the flag %s, which GGUF cannot say", flag);
    brew_json_set(token, flag, brew_json_new_bool(true));
    brew_tokenizer *tok = from_json(root), *back;
    ok(tok && written(tok, 0, &back) < 0 && strstr(err.text, want), "%s", err.text);
    brew_tokenizer_free(tok);
    brew_json_free(root);
}

int main(void) {
    static const char *const files[] = {"llama", "qwen3", "smollm2"};
    static const char *const models[] = {"ggml-vocab-deepseek-coder", "ggml-vocab-gpt-2",
                                         "ggml-vocab-llama-spm"};
    char path[100];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "testdata/tokenizers/%s.json.xz", files[i]);
        brew_json *root = brew_json_load(path, &err);
        check(root ? from_json(root) : NULL, path, 0);
        brew_json_free(root);
        snprintf(path, sizeof path, "testdata/vocab/%s.gguf", models[i]);
        brew_modeldir *dir = brew_modeldir_open(path, &err);
        check(dir ? brew_tokenizer_open(dir, &err) : NULL, path, 0);
        brew_modeldir_close(dir);
    }
    check_variants();
    brew_json *base = brew_json_load("testdata/tokenizers/smollm2.json.xz", &err);
    static const char *const flags[] = {"lstrip", "rstrip", "single_word", "normalized"};
    for (int i = 0; i < 4; i++) check_refused(base, flags[i]);
    brew_tokenizer *tok = from_json(base);
    brew_gguf_keys keys = {0};
    ok(tok && brew_tokenizer_write_gguf(tok, 1000, &keys, &err) &&
           strstr(err.text, "49152 ids, the model 1000"),
       "%s", err.text);
    brew_gguf_keys_release(&keys);
    brew_tokenizer_free(tok);
    brew_json_free(base);
    return tap_done();
}
