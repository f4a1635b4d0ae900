// Vocabularies cut: a text whose tokens all stay gets them under their new ids, whatever merging went through;
// files that name ids get the new ones.
#include "text/token/tok_cut.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"
#include "io/in.h"
#include "io/modeldir.h"
#include "text/token/vocab_map.h"

static brew_err err;

struct pair {
    brew_json *json;
    brew_tokenizer *old, *new;
    brew_tok_scratch *old_scratch, *new_scratch;
    size_t n; // ids of old
    bool *keep;
    int32_t *map;
    int64_t kept;
    brew_ids a, b;
};

static brew_tokenizer *tokenizer_of(const brew_json *json) {
    brew_buf text = {0};
    brew_json_write(&text, json);
    brew_tokenizer *tok = brew_tokenizer_from_json(text.ptr, text.len, NULL, 0, &err);
    brew_buf_release(&text);
    if (!tok) printf("# %s\n", err.text);
    return tok;
}

// Takes json.
static bool start(struct pair *p, brew_json *json) {
    *p = (struct pair){.json = json, .old = tokenizer_of(json)};
    if (!p->old) return false;
    p->old_scratch = brew_tok_scratch_new(p->old);
    p->n = brew_tokenizer_vocab(p->old);
    p->keep = brew_calloc(p->n, sizeof *p->keep);
    p->map = brew_calloc(p->n, sizeof *p->map);
    return true;
}

static void drop_new(struct pair *p) {
    brew_tok_scratch_free(p->new_scratch);
    brew_tokenizer_free(p->new);
    p->new_scratch = NULL;
    p->new = NULL;
}

static void end(struct pair *p) {
    drop_new(p);
    brew_tok_scratch_free(p->old_scratch);
    brew_tokenizer_free(p->old);
    brew_json_free(p->json);
    brew_ids_release(&p->a);
    brew_ids_release(&p->b);
    free(p->keep);
    free(p->map);
}

static bool cut(struct pair *p) {
    drop_new(p);
    brew_json *json = brew_json_copy(p->json);
    brew_token_ids named = {.keep = p->keep, .vocab = p->n},
                   renamed = {.map = p->map, .vocab = p->n};
    bool good = !brew_token_ids_tokenizer(json, &named, &err);
    brew_tokenizer_close(p->old, p->keep);
    p->kept = brew_tokenizer_number(p->old, p->keep, p->map);
    good = good && !brew_token_ids_tokenizer(json, &renamed, &err) && (p->new = tokenizer_of(json));
    if (good) p->new_scratch = brew_tok_scratch_new(p->new);
    brew_json_free(json);
    return good && brew_tokenizer_vocab(p->new) == (size_t)p->kept;
}

// 1: all tokens stay, and have their new ids; 0: some went; -1: wrong. as_is: the rest of a text goes round.
static int try(struct pair *p, const char *text, size_t len, int flags, bool as_is) {
    p->a.n = p->b.n = 0;
    if (brew_tokenizer_encode(p->old, p->old_scratch, text, len, flags, &p->a, &err) ||
        brew_tokenizer_encode(p->new, p->new_scratch, text, len, flags, &p->b, &err))
        return -1;
    bool all = true, same = p->a.n == p->b.n;
    for (size_t i = 0; i < p->a.n; i++) {
        int32_t id = p->map[p->a.ids[i]];
        all = all && id >= 0;
        same = same && id == p->b.ids[i];
    }
    if (all || !as_is) return all ? (same ? 1 : -1) : 0;
    brew_buf x = {0}, y = {0};
    bool round = !brew_tokenizer_decode(p->old, p->a.ids, p->a.n, &x, &err) &&
                 !brew_tokenizer_decode(p->new, p->b.ids, p->b.n, &y, &err) && x.len == y.len &&
                 !memcmp(x.ptr, y.ptr, x.len);
    brew_buf_release(&x);
    brew_buf_release(&y);
    return round ? 0 : -1;
}

// ---- every text of a small world ----

// Products that can be made in two ways, merges out of the order of their products, and one that is
// superseded by a later rank.
static const char model[] =
    "{\"added_tokens\":[{\"id\":13,\"content\":\"<s>\",\"special\":true}],\"model\":{\"type\":"
    "\"BPE\","
    "\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"bc\":3,\"ab\":4,\"abc\":5,\"ca\":6,\"cab\":7,\"abab\":8,"
    "\"bca\":9,\"aa\":10,\"aab\":11,\"caa\":12},\"merges\":[\"b c\",\"ab c\",\"a b\",\"c a\",\"a "
    "bc\","
    "\"ca b\",\"ab ab\",[\"bc\",\"a\"],\"c ab\",\"a a\",\"b ca\",\"aa b\",\"a ab\",\"ca a\",\"b "
    "c\","
    "\"c aa\"]}}";

static bool all_texts(struct pair *p, size_t most, size_t counts[2]) {
    char text[16];
    for (size_t len = 0, n = 1; len <= most; len++, n *= 3)
        for (size_t i = 0; i < n; i++) {
            for (size_t k = 0, left = i; k < len; k++, left /= 3) text[k] = (char)('a' + left % 3);
            int got = try(p, text, len, BREW_TOK_START, false);
            if (got < 0) return false;
            counts[got]++;
        }
    return true;
}

static void test_small(const char *how, const char *set, bool loses_characters) {
    struct pair p;
    brew_json *json = brew_json_parse(model, sizeof model - 1, &err);
    brew_json *changes = brew_json_parse(set, strlen(set), &err);
    for (brew_json_iter it = {0}; brew_json_next(changes, &it);) {
        bool inner = !strncmp(it.key, "model.", 6);
        brew_json_set(inner ? brew_json_get(json, "model") : json, it.key + 6 * inner,
                      brew_json_copy(it.value));
    }
    brew_json_free(changes);
    bool good = start(&p, json);
    size_t counts[2] = {0};
    for (unsigned subset = 1; subset < 1u << 13 && good; subset += 1 + 2 * (subset % 3)) {
        for (size_t id = 0; id < p.n; id++) p.keep[id] = id < 13 && subset >> id & 1;
        good = cut(&p) && all_texts(&p, 6, counts);
        if (!good) printf("# of the tokens %x\n", subset);
        good = good && (loses_characters || (p.keep[0] && p.keep[1] && p.keep[2]));
    }
    ok(good && counts[1] > 10000 && counts[0] > 10000,
       "%s: %zu texts keep their tokens, %zu lose some", how, counts[1], counts[0]);
    end(&p);
}

// ---- large vocabularies ----

static bool encode_into(struct pair *p, const char *text, size_t len) {
    p->a.n = 0;
    bool good =
        !brew_tokenizer_encode(p->old, p->old_scratch, text, len, BREW_TOK_START, &p->a, &err);
    for (size_t i = 0; i < p->a.n && good; i++) p->keep[p->a.ids[i]] = true;
    return good;
}

// Lines of a file; those whose number has this rest.
static bool each_line(struct pair *p, const char *path, size_t rest, bool use, size_t counts[2]) {
    const char *line;
    size_t len, number = 0;
    bool good = true;
    brew_in *in = brew_in_open(path, &err);
    while (in && good && brew_in_line(in, &line, &len, 1 << 20, &err) > 0) {
        if (number++ % 7 != rest) continue;
        if (use) {
            good = encode_into(p, line, len);
            continue;
        }
        int got = try(p, line, len, BREW_TOK_START | BREW_TOK_SPECIALS, true);
        good = got >= 0;
        counts[got > 0]++;
    }
    if (!good) printf("# line %zu of %s\n", number, path);
    brew_in_close(in);
    return in && good;
}

// Texts that are kept tokens in any order, so that merges meet which no corpus has.
static bool shuffled(struct pair *p, size_t counts[2]) {
    brew_buf text = {0};
    int32_t ids[12];
    int64_t *list = brew_calloc((size_t)p->kept, sizeof *list);
    for (size_t id = 0; id < p->n; id++)
        if (p->map[id] >= 0) list[p->map[id]] = (int64_t)id;
    bool good = true;
    for (uint64_t i = 0; i < 20000 && good; i++) {
        size_t n = 1 + brew_rand_below(1, i, 0, 12);
        for (size_t k = 0; k < n; k++)
            ids[k] = (int32_t)list[brew_rand_below(1, i, 1 + k, (uint64_t)p->kept)];
        brew_buf_reset(&text);
        good = !brew_tokenizer_decode(p->old, ids, n, &text, &err);
        int got = good ? try(p, text.ptr ? text.ptr : "", text.len, 0, false) : -1;
        good = got >= 0;
        counts[got > 0]++;
        if (!good) printf("# text %llu: %s\n", (unsigned long long)i, err.text);
    }
    free(list);
    brew_buf_release(&text);
    return good;
}

static void test_large(const char *name, brew_json *json) {
    static const char *const corpora[] = {"testdata/ml-latest-small/movies.csv", "README.md",
                                          "testdata/tokenizers/texts.json"};
    struct pair p;
    size_t corpus[2] = {0}, mixed[2] = {0};
    bool good = json && start(&p, json);
    if (!ok(good, "%s is loaded", name)) return;
    for (int i = 0; i < 3; i++) good = each_line(&p, corpora[i], 0, true, corpus) && good;
    good = good && cut(&p);
    if (!good) printf("# %s\n", err.text);
    for (int i = 0; i < 3 && good; i++)
        for (size_t rest = 0; rest < 4 && good; rest++)
            good = each_line(&p, corpora[i], rest, false, corpus);
    ok(good && corpus[1] > 1000 && corpus[0] > 1000,
       "%s, %lld of %zu ids: %zu lines keep their tokens, %zu lose some, and read the same", name,
       (long long)p.kept, p.n, corpus[1], corpus[0]);
    if (good) good = shuffled(&p, mixed);
    ok(good && mixed[1] > 1000, "%zu texts of its tokens in any order keep theirs, %zu lose some",
       mixed[1], mixed[0]);
    end(&p);
}

static brew_json *variant(const char *path, const char *key, bool value) {
    brew_json *json = brew_json_load(path, &err);
    if (json && key) brew_json_set(brew_json_get(json, "model"), key, brew_json_new_bool(value));
    return json;
}

static brew_json *of_gguf(const char *path) {
    brew_buf text = {0};
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    brew_tokenizer *tok = dir ? brew_tokenizer_open(dir, &err) : NULL;
    if (tok) brew_tokenizer_write(tok, &text);
    brew_json *json = tok ? brew_json_parse(text.ptr, text.len, &err) : NULL;
    brew_tokenizer_free(tok);
    brew_modeldir_close(dir);
    brew_buf_release(&text);
    return json;
}

// ---- ids in files ----

static void test_files(void) {
    static const char text[] =
        "{\"bos_token_id\":1,\"eos_token_id\":[2,4],\"pad_token_id\":-1,\"unk_token_id\":null,"
        "\"suppress_tokens\":[3,4],\"vocab_size\":5,\"added_tokens_decoder\":{\"2\":{\"x\":2},"
        "\"4\":{}}}";
    static const char *const bad[] = {"{\"eos_token_id\":\"2\"}",
                                      "{\"eos_token_id\":[2,5]}",
                                      "{\"pad_token_id\":7}",
                                      "{\"added_tokens_decoder\":{\"x\":{}}}",
                                      "{\"bad_words_ids\":[[1],[2]]}",
                                      "{\"added_tokens_decoder\":{\"99999999999999999999\":{}}}"};
    bool keep[5] = {false};
    int32_t map[5] = {-1, 0, 1, -1, 2};
    brew_token_ids named = {.keep = keep, .vocab = 5}, renamed = {.map = map, .vocab = 5};
    brew_json *json = brew_json_parse(text, sizeof text - 1, &err);
    ok(!brew_token_ids_config(json, &named, &err) && !keep[0] && keep[1] && keep[2] && !keep[3] &&
           keep[4],
       "ids that are named are marked, those to be suppressed are not");
    brew_buf out = {0};
    brew_json_write(&out, json);
    ok(out.len == sizeof text - 1 && !memcmp(out.ptr, text, out.len), "which changes nothing");
    brew_buf_reset(&out);
    ok(!brew_token_ids_config(json, &renamed, &err), "they get new ids");
    brew_json_write(&out, json);
    brew_buf_addc(&out, '\0');
    is_str(out.ptr,
           "{\"bos_token_id\":0,\"eos_token_id\":[1,2],\"pad_token_id\":-1,\"unk_token_id\":null,"
           "\"suppress_tokens\":[2],\"vocab_size\":5,\"added_tokens_decoder\":{\"1\":{\"x\":2},"
           "\"2\":{}}}",
           "in every place");
    brew_json_free(json);
    brew_buf_release(&out);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json = brew_json_parse(bad[i], strlen(bad[i]), &err);
        ok(brew_token_ids_config(json, &renamed, &err) < 0 && err.code == BREW_DATA,
           "%s is refused: %s", bad[i], err.text);
        brew_json_free(json);
    }
}

static void test_template(void) {
    static const char post[] =
        "{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},{\"type\":"
        "\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},"
        "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{\"<s>\":{"
        "\"id\":"
        "\"<s>\",\"ids\":[13],\"tokens\":[\"<s>\"]},\"ca\":{\"id\":\"ca\",\"ids\":[6],\"tokens\":"
        "[\"ca\"]}}}]}";
    struct pair p;
    brew_json *json = brew_json_parse(model, sizeof model - 1, &err);
    brew_json_set(json, "post_processor", brew_json_parse(post, sizeof post - 1, &err));
    bool good = start(&p, json) && cut(&p);
    ok(good && p.keep[6], "a template's token stays");
    is_int(brew_tokenizer_bos(p.new), p.map[13], "and BOS is the one it was");
    end(&p);
}

// ---- maps ----

static void test_maps(void) {
    static const char a[] = "0123456789abcdef0123", b[] = "fedcba9876543210fedc";
    char name[64], from[17];
    brew_vocab_map_name(name, a, b);
    is_str(name, "vocab-map.0123456789abcdef.fedcba9876543210.npy", "a map's name");
    ok(brew_vocab_map_is(name, b, from), "is known");
    is_str(from, "0123456789abcdef", "and where it comes from");
    ok(!brew_vocab_map_is(name, a, from) && !brew_vocab_map_is("config.json", b, from) &&
           !brew_vocab_map_is("vocab-map.01", b, from),
       "others are not");
    brew_vocab_map map = {(int32_t[]){2, -1, 0, 1}, 4}, back;
    brew_buf bytes = {0};
    brew_vocab_map_write(&map, &bytes);
    ok(!brew_vocab_map_parse(&back, bytes.ptr, bytes.len, 3, &err) && back.n == 4 &&
           !memcmp(back.ids, map.ids, 4 * sizeof *map.ids),
       "it is read as it was written");
    int32_t *old = brew_vocab_map_back(&back, 3);
    ok(old[0] == 2 && old[1] == 3 && old[2] == 0, "and turned around");
    free(old);
    brew_vocab_map_release(&back);
    ok(brew_vocab_map_parse(&back, bytes.ptr, bytes.len, 2, &err) < 0,
       "an id too large is refused");
    bool refused = true;
    for (size_t cut_at = 0; cut_at < bytes.len; cut_at++)
        refused = refused && brew_vocab_map_parse(&back, bytes.ptr, cut_at, 3, &err) < 0;
    ok(refused, "and so is a file cut at any byte");
    static const int32_t wrong[][4] = {{0, 0, 1, 2}, {-2, 0, 1, 2}, {0, 1, 2, INT32_MAX}};
    for (int i = 0; i < 3; i++) {
        brew_buf_reset(&bytes);
        brew_vocab_map_write(&(brew_vocab_map){(int32_t *)wrong[i], 4}, &bytes);
        ok(brew_vocab_map_parse(&back, bytes.ptr, bytes.len, 3, &err) < 0, "%s", err.text);
    }
    brew_buf_reset(&bytes);
    brew_vocab_map_write(&(brew_vocab_map){NULL, 0}, &bytes);
    ok(brew_vocab_map_parse(&back, bytes.ptr, bytes.len, 3, &err) < 0, "an empty one %s", err.text);
    brew_buf_release(&bytes);
}

int main(void) {
    test_small("bytes", "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}}",
               false);
    test_small("whole pieces",
               "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
               "\"model.ignore_merges\":true}",
               false);
    test_small("characters, or unk", "{\"model.unk_token\":\"aab\"}", true);
    test_small("characters that vanish", "{}", true);
    test_template();
    test_files();
    test_maps();
    test_large("SmolLM2's", variant("testdata/tokenizers/smollm2.json.xz", NULL, false));
    test_large("Llama's", variant("testdata/tokenizers/llama.json.xz", NULL, false));
    test_large("Qwen3's", variant("testdata/tokenizers/qwen3.json.xz", NULL, false));
    test_large("SmolLM2's, whole pieces first",
               variant("testdata/tokenizers/smollm2.json.xz", "ignore_merges", true));
    test_large("a GGUF's", of_gguf("testdata/vocab/ggml-vocab-llama-spm.gguf"));
    return tap_done();
}
