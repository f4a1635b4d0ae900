// The splits that GGUF files name, against the pre-tokenizers of the models' own tokenizer.json files
// (testdata/tokenizers): both must give one digest. Names we cannot vouch for are refused.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/tap.h"
#include "io/gguf.h"
#include "io/json.h"
#include "io/modeldir.h"
#include "text/token/tokenizer.h"
#include "text/token/unicode.h"
#include "text/token/vocab.h"

static brew_err err;
static char path[] = "/tmp/brew-tok-gguf-XXXXXX";

static void put_number(brew_buf *out, uint64_t value, int bytes) {
    for (; bytes > 0; bytes--, value >>= 8) brew_buf_addc(out, (char)value);
}

static void put_string(brew_buf *out, const char *text, size_t len) {
    put_number(out, len, 8);
    brew_buf_add(out, text, len);
}

static void put_key(brew_buf *out, const char *key, enum brew_gguf_type type) {
    put_string(out, key, strlen(key));
    put_number(out, type, 4);
}

static void put_text(brew_buf *out, const char *key, const char *text) {
    put_key(out, key, BREW_GGUF_STRING);
    put_string(out, text, strlen(text));
}

// A model of the 256 bytes and one merge, "a" and "b", that names a split. bos: says that none is added.
static brew_tokenizer *from_gguf(const char *pre, bool no_bos) {
    brew_buf out = {0};
    brew_buf_add(&out, "GGUF", 4);
    put_number(&out, 3, 4);
    put_number(&out, 0, 8);
    put_number(&out, no_bos ? 7 : 6, 8);
    put_text(&out, "general.architecture", "llama");
    put_text(&out, "tokenizer.ggml.model", "gpt2");
    put_text(&out, "tokenizer.ggml.pre", pre);
    put_key(&out, "tokenizer.ggml.tokens", BREW_GGUF_ARRAY);
    put_number(&out, BREW_GGUF_STRING, 4);
    put_number(&out, 257, 8);
    for (int byte = 0; byte < 256; byte++) {
        char c[4];
        put_string(&out, c, brew_utf8_put(brew_byte_to_point((uint8_t)byte), c));
    }
    put_string(&out, "ab", 2);
    put_key(&out, "tokenizer.ggml.merges", BREW_GGUF_ARRAY);
    put_number(&out, BREW_GGUF_STRING, 4);
    put_number(&out, 1, 8);
    put_string(&out, "a b", 3);
    put_key(&out, "tokenizer.ggml.bos_token_id", BREW_GGUF_U32);
    put_number(&out, 7, 4);
    if (no_bos) {
        put_key(&out, "tokenizer.ggml.add_bos_token", BREW_GGUF_BOOL);
        brew_buf_addc(&out, 0);
    }
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(out.ptr, 1, out.len, file) != out.len || fclose(file)) return NULL;
    brew_buf_release(&out);
    memset(&err, 0, sizeof err);
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    brew_tokenizer *tok = dir ? brew_tokenizer_open(dir, &err) : NULL;
    brew_modeldir_close(dir);
    return tok;
}

// The same model with the normalizer and pre_tokenizer of a tokenizer.json (or of a change to one).
static brew_tokenizer *from_json(const brew_json *source, bool ignore_merges) {
    static const char *const parts[] = {"normalizer", "pre_tokenizer"};
    static const char empty[] = "{\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\","
                                "\"vocab\":{},\"merges\":[\"a b\"]}}";
    brew_json *root = brew_json_parse(empty, sizeof empty - 1, &err);
    brew_json *model = brew_json_get(root, "model"), *vocab = brew_json_get(model, "vocab");
    for (int byte = 0; byte < 256; byte++) {
        char c[5] = {0};
        brew_utf8_put(brew_byte_to_point((uint8_t)byte), c);
        brew_json_set(vocab, c, brew_json_new_int(byte));
    }
    brew_json_set(vocab, "ab", brew_json_new_int(256));
    brew_json_set(model, "ignore_merges", brew_json_new_bool(ignore_merges));
    for (int i = 0; i < 2; i++)
        if (brew_json_get(source, parts[i]))
            brew_json_set(root, parts[i], brew_json_copy(brew_json_get(source, parts[i])));
    brew_buf text = {0};
    brew_json_write(&text, root);
    brew_json_free(root);
    brew_tokenizer *tok = brew_tokenizer_from_json(text.ptr, text.len, NULL, 0, &err);
    brew_buf_release(&text);
    return tok;
}

static const brew_json *variant(const brew_json *variants, const char *name) {
    for (size_t i = 0; i < brew_json_length(variants); i++) {
        const brew_json *v = brew_json_at(variants, i);
        if (!strcmp(brew_json_string(brew_json_get(v, "name"), NULL), name))
            return brew_json_get(v, "set");
    }
    return NULL;
}

static void is_same(const char *pre, const brew_json *source, bool ignore_merges) {
    brew_tokenizer *tok = from_gguf(pre, true);
    brew_tokenizer *want = from_json(source, ignore_merges);
    if (ok(tok && want, "%s opens", pre))
        is_str(brew_tokenizer_digest(tok), brew_tokenizer_digest(want), pre);
    else
        printf("# %s\n", err.text);
    brew_tokenizer_free(tok);
    brew_tokenizer_free(want);
}

static void test_same(void) {
    brew_json *variants = brew_json_load("testdata/tokenizers/variants.json", &err);
    brew_json *smollm = brew_json_load("testdata/tokenizers/smollm2.json.xz", &err);
    brew_json *qwen = brew_json_load("testdata/tokenizers/qwen3.json.xz", &err);
    if (ok(variants && smollm && qwen, "test data")) {
        is_same("deepseek-llm", variant(variants, "deepseek-llm"), false);
        is_same("deepseek-v3", variant(variants, "deepseek-v3"), false);
        is_same("llama-bpe", variant(variants, "llama3-style"), true);
        is_same("smollm", smollm, false);
        is_same("qwen2", qwen, false);
    }
    brew_json_free(variants);
    brew_json_free(smollm);
    brew_json_free(qwen);
}

static void test_bos(void) {
    static const struct {
        const char *pre;
        int bos;
    } table[] = {{"llama-bpe", 7}, {"qwen2", -1}, {"gpt-2", -1}, {"deepseek-v3", -1}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        brew_tokenizer *tok = from_gguf(table[i].pre, false);
        is_int(tok ? brew_tokenizer_bos(tok) : -2, table[i].bos, table[i].pre);
        brew_tokenizer_free(tok);
    }
}

static void test_refused(void) {
    static const char *const names[] = {"starcoder", "phi-2", "mpt",     "default", "gpt-2 smollm",
                                        " ",         "",      "falcon3", "tekken",  "deepseek"};
    char want[64];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        brew_tokenizer *tok = from_gguf(names[i], true);
        snprintf(want, sizeof want, "tokenizer.ggml.pre \"%s\" is not supported", names[i]);
        ok(!tok && err.code == BREW_DATA && strstr(err.text, want), "refused: \"%s\"", names[i]);
        brew_tokenizer_free(tok);
    }
}

int main(void) {
    int file = mkstemp(path);
    if (!ok(file >= 0, "a file is made")) return tap_done();
    close(file);
    test_same();
    test_bos();
    test_refused();
    unlink(path);
    return tap_done();
}
