// Tokenizers: the published vectors, continuations, offsets, and what is refused.
#include <stdlib.h>
#include <string.h>

#include "base/tap.h"
#include "io/in.h"
#include "io/modeldir.h"
#include "text/token/tokenizer.h"

enum { ALL = BREW_TOK_SPECIALS | BREW_TOK_START };

static char *read_file(const char *path, size_t *len) {
    brew_err err;
    brew_buf text = {0};
    brew_in *in = brew_in_open(path, &err);
    for (ssize_t n = 1; in && n > 0; text.len += n > 0 ? (size_t)n : 0) {
        brew_buf_reserve(&text, 1 << 16);
        n = brew_in_read(in, text.ptr + text.len, 1 << 16, &err);
    }
    brew_in_close(in);
    *len = text.len;
    brew_buf_addc(&text, 0);
    return text.ptr;
}

static void list(const brew_tokenizer *tok, const char *text, size_t len, int flags,
                 brew_buf *out) {
    brew_err err = {0};
    brew_ids ids = {0};
    brew_tok_scratch *scratch = brew_tok_scratch_new(tok);
    brew_buf_reset(out);
    brew_buf_adds(out, "");
    if (brew_tokenizer_encode(tok, scratch, text, len, flags, &ids, &err))
        brew_buf_adds(out, err.text);
    for (size_t i = 0; i < ids.n; i++) brew_buf_addf(out, " %d", ids.ids[i]);
    brew_ids_release(&ids);
    brew_tok_scratch_free(scratch);
}

// Texts separated by a line, ids a line each.
static void check_vectors(const brew_tokenizer *tok, const char *name) {
    static const char mark[] = "\n__ggml_vocab_test__\n";
    char path[128];
    size_t inp_len, out_len, n = 0, bad = 0;
    snprintf(path, sizeof path, "testdata/vocab/ggml-vocab-%s.gguf.inp", name);
    char *inp = read_file(path, &inp_len);
    snprintf(path, sizeof path, "testdata/vocab/ggml-vocab-%s.gguf.out", name);
    char *out = read_file(path, &out_len);
    brew_buf got = {0};
    char *text = inp, *want = out;
    while (text && *want) {
        char *end = strstr(text, mark), *eol = strchr(want, '\n');
        size_t len = end ? (size_t)(end - text) : strlen(text);
        if (eol) *eol = 0;
        list(tok, text, len, ALL, &got);
        bad += strcmp(got.ptr, want) != 0;
        n++;
        text = end ? end + strlen(mark) : NULL;
        if (!eol) break;
        want = eol + 1;
    }
    ok(n == 46 && !bad, "%s: %zu of %zu texts have other ids", name, bad, n);
    brew_buf_release(&got);
    free(inp);
    free(out);
}

static brew_tokenizer *open_vocab(const char *name) {
    char path[128];
    brew_err err;
    snprintf(path, sizeof path, "testdata/vocab/ggml-vocab-%s.gguf", name);
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    brew_tokenizer *tok = dir ? brew_tokenizer_open(dir, &err) : NULL;
    if (!ok(tok != NULL, "%s opens", name)) printf("# %s\n", err.text);
    brew_modeldir_close(dir); // a tokenizer keeps nothing of it
    return tok;
}

static void is_ids(const brew_tokenizer *tok, const char *text, int flags, const char *want) {
    brew_buf got = {0};
    list(tok, text, strlen(text), flags, &got);
    is_str(got.ptr, want, text);
    brew_buf_release(&got);
}

static void is_offsets(const brew_tokenizer *tok, const char *text, int flags, const char *want) {
    brew_ids ids = {.with_offsets = true};
    brew_buf got = {0};
    brew_tok_scratch *scratch = brew_tok_scratch_new(tok);
    brew_buf_adds(&got, "");
    for (int again = 0; again < 2; again++) { // the second time from the cache
        ids.n = 0;
        brew_buf_reset(&got);
        brew_tokenizer_encode(tok, scratch, text, strlen(text), flags, &ids, NULL);
        for (size_t i = 0; i < ids.n; i++) brew_buf_addf(&got, " %lld", (long long)ids.offsets[i]);
        is_str(got.ptr, want, text);
    }
    brew_buf_release(&got);
    brew_ids_release(&ids);
    brew_tok_scratch_free(scratch);
}

static void test_vectors(void) {
    brew_tokenizer *tok = open_vocab("gpt-2");
    check_vectors(tok, "gpt-2");
    is_int(brew_tokenizer_bos(tok), -1, "gpt-2 adds no BOS");
    is_int((long long)brew_tokenizer_vocab(tok), 50257, "gpt-2's ids");
    is_ids(tok, "a<|endoftext|>", ALL, " 64 50256");
    is_ids(tok, "<|endoftext|>", BREW_TOK_START, " 27 91 437 1659 5239 91 29");
    is_ids(tok, "bad \xff", ALL, "byte 4 of a text is not UTF-8");
    is_ids(tok, "\xed\xa0\x80", ALL, "byte 0 of a text is not UTF-8");
    is_ids(tok, "\xe4\xb8", ALL, "byte 0 of a text is not UTF-8");
    is_offsets(tok, "Hello world\xe4\xb8\x96!", ALL, " 0 5 11 13 14");
    brew_tokenizer_free(tok);

    tok = open_vocab("deepseek-coder");
    check_vectors(tok, "deepseek-coder");
    is_int(brew_tokenizer_bos(tok), 32013, "deepseek-coder adds BOS");
    brew_tokenizer_free(tok);

    tok = open_vocab("llama-spm");
    check_vectors(tok, "llama-spm");
    is_int(brew_tokenizer_bos(tok), 1, "llama adds BOS");
    is_ids(tok, "Hello world", ALL, " 15043 3186");
    is_ids(tok, "Hello world", 0, " 10994 3186");
    is_ids(tok, " Yes", 0, " 3869");
    is_ids(tok, "<s>", ALL, " 1");
    is_ids(tok, "<s>", BREW_TOK_START, " 529 29879 29958");
    is_offsets(tok, "Hello world", ALL, " -1 5");
    is_offsets(tok, "Hello \xf0\x9f\xa6\x99", 0, " 0 5 6 7 8 9");
    is_offsets(tok, "a<s>b", ALL, " -1 1 -1");
    brew_tokenizer_free(tok);
}

static void test_qwen(void) {
    size_t len;
    brew_err err;
    char *json = read_file("testdata/tokenizers/qwen3.json.xz", &len);
    brew_tokenizer *tok = brew_tokenizer_from_json(json, len, NULL, 0, &err);
    if (ok(tok != NULL, "qwen3 opens")) check_vectors(tok, "qwen2");
    // A decomposed character: its token begins where it does, the one behind it, too.
    is_offsets(tok, "xe\xcc\x81 y", ALL, " 0 1 4");
    brew_tokenizer_free(tok);
    free(json);
}

// ---- Small ones, written here

#define MODEL(more) \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\xc4\xa0\":3}," more "}"
#define MERGES "\"merges\":[\"a b\"]"
#define BYTES "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"

static brew_tokenizer *from(const char *json, brew_err *err) {
    return brew_tokenizer_from_json(json, strlen(json), NULL, 0, err);
}

static void test_refused(void) {
    static const char *const table[][2] = {
        {"", "tokenizer.json: "},
        {"[]", "the model is missing"},
        {"{}", "the model is missing"},
        {"{" MODEL("\"merges\":[\"a b c\"]") "}", "merge 0 is not two entries"},
        {"{" MODEL("\"merges\":[[\"a\"]]") "}", "merge 0 is not two entries"},
        {"{" MODEL("\"merges\":[[\"a\",\"x\"]]") "}", "merge 0 is not of vocabulary entries"},
        {"{" MODEL("\"merges\":[[\"b\",\"a\"]]") "}", "merge 0 is not of vocabulary entries"},
        {"{" MODEL("\"merges\":[],\"unk_token\":\"u\"") "}", "unk_token is not in the vocabulary"},
        {"{" MODEL("\"merges\":[],\"dropout\":0.5") "}", "\"dropout\" is not supported"},
        {"{" MODEL("\"merges\":[],\"end_of_word_suffix\":\"</w>\"") "}", "\"end_of_word_suffix\""},
        {"{\"model\":{\"type\":5,\"vocab\":{\"a\":0},\"merges\":[]}}",
         "the model's type is missing or of the wrong type"},
        {"{" MODEL("\"merges\":[],\"byte_fallback\":5") "}",
         "byte_fallback is an integer, not true or false"},
        {"{" MODEL("\"merges\":[],\"end_of_word_suffix\":5") "}", "\"end_of_word_suffix\""},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "\"Unigram\" is not supported"},
        {"{\"model\":{\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", "have the id 0"},
        {"{\"model\":{\"vocab\":{\"a\":-1},\"merges\":[]}}", "id -1 is not in"},
        {"{\"model\":{\"vocab\":{\"a\":99999999},\"merges\":[]}}", "id 99999999 is not in"},
        {"{\"model\":{\"vocab\":{},\"merges\":[]}}", "the vocabulary is empty"},
        {"{\"normalizer\":{\"type\":\"Lowercase\"}," MODEL(MERGES) "}", "\"Lowercase\" is not"},
        {"{\"pre_tokenizer\":{\"type\":\"Whitespace\"}," MODEL(MERGES) "}",
         "\"Whitespace\" is not"},
        {"{\"decoder\":{\"type\":\"CTC\"}," MODEL(MERGES) "}", "\"CTC\" is not"},
        {"{\"post_processor\":{\"type\":\"BertProcessing\"}," MODEL(MERGES) "}",
         "\"BertProcessing\""},
        {"{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\"},"
         "{\"type\":\"Digits\"}]}," MODEL(MERGES) "}",
         "behind ByteLevel"},
        {"{\"added_tokens\":[{\"id\":9,\"content\":\"<x>\"}]," MODEL(MERGES) "}", "the id 9, but"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        brew_err err = {0};
        brew_tokenizer *tok = from(table[i][0], &err);
        if (!ok(!tok && err.code == BREW_DATA && strstr(err.text, table[i][1]), "refused: %s",
                table[i][1]))
            printf("# %s\n", err.text);
        brew_tokenizer_free(tok);
    }
    static const char good[] = "{" BYTES "," MODEL(MERGES) "}";
    size_t accepted = 0;
    for (size_t n = 0; n < sizeof good - 1; n++) {
        brew_tokenizer *tok = brew_tokenizer_from_json(good, n, NULL, 0, NULL);
        accepted += tok != NULL;
        brew_tokenizer_free(tok);
    }
    is_int((long long)accepted, 0, "cut at any byte, a tokenizer.json is refused");
}

static void test_small(void) {
    brew_err err;
    brew_tokenizer *one = from("{" BYTES "," MODEL(MERGES) "}", &err);
    brew_tokenizer *two = from("{" BYTES "," MODEL("\"merges\":[[\"a\",\"b\"]]") "}", &err);
    is_str(brew_tokenizer_digest(one), brew_tokenizer_digest(two), "both spellings of merges");
    is_ids(one, "ab ba", ALL, " 2 3 1 0");
    is_ids(one, "axb", ALL, " 2"); // x vanishes, its neighbours meet
    is_offsets(one, "axb", ALL, " 0");
    is_ids(one, "", ALL, "");
    static const int32_t ids[] = {2, 3, 77, 0};
    brew_buf text = {0};
    ok(!brew_tokenizer_decode(one, ids, 4, &text, &err), "an unknown id is passed over");
    is_str(text.ptr, "ab \xc4\xa0 a", "without a decoder, entries joined by spaces");
    static const int32_t negative = -5;
    ok(brew_tokenizer_decode(one, &negative, 1, &text, &err) < 0, "a negative id is refused");
    brew_buf_release(&text);
    brew_tokenizer_free(one);
    brew_tokenizer_free(two);

    static const char config[] = "{\"add_bos_token\":true,\"bos_token\":{\"content\":\"b\"}}";
    static const char json[] = "{" BYTES "," MODEL(MERGES) "}";
    one = brew_tokenizer_from_json(json, strlen(json), config, strlen(config), &err);
    is_int(one ? brew_tokenizer_bos(one) : -2, 1, "add_bos_token of the configuration");
    brew_tokenizer_free(one);
}

int main(void) {
    test_small();
    test_refused();
    test_vectors();
    test_qwen();
    return tap_done();
}
