// Ids and decoded text of every tokenizer in testdata/tokenizers/variants.json, on texts drawn by the
// generator that scripts/peers/tokenizer_goldens.py has, too, against the digests tokenizers 0.23 gave.
// BREW_SLOW=1 draws all texts; without it some chunks of each kind, the first always among them.
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/tap.h"
#include "io/in.h"
#include "io/json.h"
#include "io/modeldir.h"
#include "text/token/tokenizer.h"
#include "text/token/unicode.h"

enum { CHUNK = 1000 };

typedef struct draw {
    uint64_t stream, index;
} draw;

static brew_json *pools;

static uint64_t below(draw *d, uint64_t n) {
    return brew_rand_below(1, d->stream, d->index++, n);
}

static void add_point(brew_buf *out, uint64_t point) {
    char bytes[4];
    brew_buf_add(out, bytes, brew_utf8_put((uint32_t)point, bytes));
}

static void add_from(brew_buf *out, const char *pool, draw *d) {
    const brew_json *list = brew_json_get(pools, pool);
    size_t len;
    const char *text = brew_json_string(brew_json_at(list, below(d, brew_json_length(list))), &len);
    brew_buf_add(out, text, len);
}

static void cut_to_64_points(brew_buf *text, size_t from) {
    size_t at = from;
    for (int i = 0; i < 64 && at < text->len; i++) {
        uint32_t point;
        at += brew_utf8_get(text->ptr + at, &point);
    }
    text->len = at;
}

// Appends one element; *last is where the element before it begins.
static void element(draw *d, uint64_t pool, brew_buf *out, size_t *last) {
    size_t before = *last, before_len = out->len - before;
    *last = out->len;
    if (pool == 0) {
        uint64_t c = below(d, UCD_POINTS - 0x800);
        add_point(out, c >= 0xd800 ? c + 0x800 : c);
    } else if (pool == 1) {
        add_point(out, below(d, 0x3000));
    } else if (pool == 2) {
        add_point(out, 0x20 + below(d, 95));
    } else if (pool == 3) {
        add_from(out, "snippets", d);
    } else if (pool == 4) {
        add_from(out, "words", d);
    } else if (pool == 5) {
        const brew_json *marks = brew_json_get(pools, "marks");
        const brew_json *range = brew_json_at(marks, below(d, brew_json_length(marks)));
        uint64_t low = (uint64_t)brew_json_int(brew_json_at(range, 0));
        add_point(out, low + below(d, (uint64_t)brew_json_int(brew_json_at(range, 1))));
    } else if (pool == 6) {
        add_point(out, 0x4e00 + below(d, 0x5200));
    } else {
        for (uint64_t n = 1 + below(d, 6); n > 0; n--) {
            brew_buf_reserve(out, before_len);
            brew_buf_add(out, out->ptr + before, before_len);
        }
    }
    cut_to_64_points(out, *last);
}

static void random_text(size_t i, brew_buf *out) {
    draw d = {i, 0};
    uint64_t n = 1 + below(&d, 24), main_pool = below(&d, 8);
    size_t last = 0;
    for (; n > 0; n--) element(&d, below(&d, 4) ? main_pool : below(&d, 8), out, &last);
}

static void sweep_text(size_t i, brew_buf *out) {
    for (uint32_t c = (uint32_t)i * 128; c < (uint32_t)(i + 1) * 128; c++) {
        if (c >= 0xd800 && c < 0xe000) continue;
        add_point(out, c);
        brew_buf_adds(out, "a ");
        add_point(out, c);
        brew_buf_adds(out, "1\u00e9  ");
        add_point(out, c);
    }
}

static void runs_text(size_t i, brew_buf *out) {
    size_t len;
    const char *text = brew_json_string(brew_json_at(brew_json_get(pools, "runs"), i / 300), &len);
    for (size_t n = 0; n <= i % 300; n++) brew_buf_add(out, text, len);
}

// ---- Tokenizers by name

static brew_modeldir *dir; // of the current tokenizer, if it comes from a GGUF file

static brew_json *read_json(const char *path) {
    brew_err err;
    brew_buf text = {0};
    brew_in *in = brew_in_open(path, &err);
    brew_json *json = NULL;
    ssize_t n = in ? 0 : -1;
    do {
        brew_buf_reserve(&text, 1 << 20);
        n = in ? brew_in_read(in, text.ptr + text.len, 1 << 20, &err) : -1;
        if (n > 0) text.len += (size_t)n;
    } while (n > 0);
    if (n == 0) json = brew_json_parse(text.ptr, text.len, &err);
    brew_in_close(in);
    brew_buf_release(&text);
    if (!json) printf("# %s\n", err.text);
    return json;
}

static void apply(brew_json *root, const brew_json *changes) {
    brew_json_iter it = {0};
    while (brew_json_next(changes, &it)) {
        brew_json *value = brew_json_copy(it.value);
        if (!strncmp(it.key, "model.", 6)) {
            brew_json_set(brew_json_get(root, "model"), it.key + 6, value);
        } else if (!strcmp(it.key, "added_tokens+")) {
            brew_json *list = brew_json_copy(brew_json_get(root, "added_tokens"));
            for (size_t i = 0; i < brew_json_length(value); i++)
                brew_json_push(list, brew_json_copy(brew_json_at(value, i)));
            brew_json_set(root, "added_tokens", list);
            brew_json_free(value);
        } else {
            brew_json_set(root, it.key, value);
        }
    }
}

static brew_json *base; // kept, as variants of one base stand together
static char base_name[64];

static brew_tokenizer *load(const brew_json *variant, brew_err *err) {
    const char *name = brew_json_string(brew_json_get(variant, "base"), NULL);
    char path[256];
    if (!strcmp(name, "gpt-2") || !strcmp(name, "deepseek-coder")) {
        snprintf(path, sizeof path, "testdata/vocab/ggml-vocab-%s.gguf", name);
        dir = brew_modeldir_open(path, err);
        return dir ? brew_tokenizer_open(dir, err) : NULL;
    }
    if (strcmp(name, base_name) != 0) {
        snprintf(base_name, sizeof base_name, "%s", name);
        snprintf(path, sizeof path, "testdata/tokenizers/%s.json.xz", name);
        brew_json_free(base);
        base = read_json(path);
    }
    brew_json *root = brew_json_copy(base);
    apply(root, brew_json_get(variant, "set"));
    brew_buf text = {0};
    brew_json_write(&text, root);
    brew_json_free(root);
    brew_tokenizer *tok = brew_tokenizer_from_json(text.ptr, text.len, NULL, 0, err);
    brew_buf_release(&text);
    return tok;
}

// ---- Digests

typedef struct digests {
    char known[65], plain[65], decoded[65];
} digests;

static bool digest_chunk(const brew_tokenizer *tok, brew_tok_scratch *scratch,
                         void make(size_t i, brew_buf *out), size_t from, size_t to, digests *out) {
    brew_sha256 known, plain, decoded;
    brew_sha256_init(&known);
    brew_sha256_init(&plain);
    brew_sha256_init(&decoded);
    brew_buf text = {0}, back = {0};
    brew_ids ids = {0}, offs = {.with_offsets = true};
    brew_err err;
    bool good = true;
    for (size_t i = from; i < to && good; i++) {
        brew_buf_reset(&text);
        brew_buf_reset(&back);
        make(i, &text);
        static const int32_t end = -1;
        int flags = BREW_TOK_SPECIALS | BREW_TOK_START;
        ids.n = offs.n = 0;
        good = !brew_tokenizer_encode(tok, scratch, text.ptr, text.len, flags, &ids, &err) &&
               !brew_tokenizer_encode(tok, scratch, text.ptr, text.len, flags, &offs, &err) &&
               !brew_tokenizer_decode(tok, ids.ids, ids.n, &back, &err);
        if (!good) break;
        good = offs.n == ids.n && (!ids.n || !memcmp(offs.ids, ids.ids, ids.n * sizeof *ids.ids));
        for (size_t j = 0; j < offs.n; j++)
            good = good && offs.offsets[j] < (int64_t)text.len && offs.offsets[j] >= -1;
        brew_sha256_add(&known, ids.ids, ids.n * sizeof *ids.ids);
        brew_sha256_add(&known, &end, sizeof end);
        brew_sha256_add(&decoded, back.ptr ? back.ptr : "", back.len);
        brew_sha256_add(&decoded, "\xff", 1);
        ids.n = 0;
        good = good &&
               !brew_tokenizer_encode(tok, scratch, text.ptr, text.len, BREW_TOK_START, &ids, &err);
        brew_sha256_add(&plain, ids.ids, ids.n * sizeof *ids.ids);
        brew_sha256_add(&plain, &end, sizeof end);
    }
    brew_sha256_hex(&known, out->known);
    brew_sha256_hex(&plain, out->plain);
    brew_sha256_hex(&decoded, out->decoded);
    out->known[16] = out->plain[16] = out->decoded[16] = 0;
    brew_buf_release(&text);
    brew_buf_release(&back);
    brew_ids_release(&ids);
    brew_ids_release(&offs);
    return good;
}

static const brew_json *find_variant(const brew_json *variants, const char *name) {
    for (size_t i = 0; i < brew_json_length(variants); i++) {
        const brew_json *v = brew_json_at(variants, i);
        if (!strcmp(brew_json_string(brew_json_get(v, "name"), NULL), name)) return v;
    }
    return NULL;
}

typedef struct tally {
    char name[64];
    size_t chunks, bad_known, bad_plain, bad_decoded, failed;
} tally;

static void close_tally(tally *t) {
    if (t->chunks)
        ok(!t->bad_known && !t->bad_plain && !t->bad_decoded && !t->failed,
           "%s: %zu chunks; differing: ids %zu, plain %zu, decoded %zu; failed %zu", t->name,
           t->chunks, t->bad_known, t->bad_plain, t->bad_decoded, t->failed);
    memset(t, 0, sizeof *t);
}

int main(int argc, char **argv) {
    brew_err err;
    bool slow = getenv("BREW_SLOW") != NULL;
    pools = read_json("testdata/tokenizers/texts.json");
    brew_json *variants = read_json("testdata/tokenizers/variants.json");
    brew_in *in = brew_in_open("testdata/tokenizers/goldens.tsv", &err);
    if (!ok(pools && variants && in, "test data")) return tap_done();
    size_t n_runs = 300 * brew_json_length(brew_json_get(pools, "runs"));
    brew_tokenizer *tok = NULL;
    brew_tok_scratch *scratch = NULL;
    tally t = {0};
    const char *line;
    size_t len, count = 0;
    while (brew_in_line(in, &line, &len, 1 << 16, &err) > 0) {
        char name[64], kind[16], want[3][17];
        size_t chunk;
        if (sscanf(line, "%63[^\t]\t%15s\t%zu\t%16s\t%16s\t%16s", name, kind, &chunk, want[0],
                   want[1], want[2]) != 6)
            break;
        if (argc > 1 && strcmp(argv[1], name) != 0) continue;
        if (strcmp(name, t.name) != 0) {
            close_tally(&t);
            const brew_json *v = find_variant(variants, name);
            brew_tok_scratch_free(scratch);
            brew_tokenizer_free(tok);
            brew_modeldir_close(dir);
            dir = NULL;
            snprintf(t.name, sizeof t.name, "%s", name);
            tok = load(v, &err);
            if (!tok) printf("# %s\n", err.text);
            if (!ok(tok != NULL, "%s is loaded", name)) return tap_done();
            scratch = brew_tok_scratch_new(tok);
            count = (size_t)brew_json_int(brew_json_get(v, "random"));
        }
        bool random = !strcmp(kind, "random"), sweep = !strcmp(kind, "sweep");
        size_t step = random ? (count > 50000 ? 25 : 10) : sweep ? 8 : 3;
        if (!slow && chunk % step) continue;
        size_t all = random ? count : sweep ? UCD_POINTS / 128 : n_runs, from = chunk * CHUNK;
        size_t to = from + CHUNK < all ? from + CHUNK : all;
        digests got;
        t.failed += !digest_chunk(tok, scratch,
                                  random  ? random_text
                                  : sweep ? sweep_text
                                          : runs_text,
                                  from, to, &got);
        t.chunks++;
        t.bad_known += strcmp(got.known, want[0]) != 0;
        t.bad_plain += strcmp(got.plain, want[1]) != 0;
        t.bad_decoded += strcmp(got.decoded, want[2]) != 0;
    }
    close_tally(&t);
    brew_tok_scratch_free(scratch);
    brew_tokenizer_free(tok);
    brew_modeldir_close(dir);
    brew_in_close(in);
    brew_json_free(base);
    brew_json_free(variants);
    brew_json_free(pools);
    return tap_done();
}
