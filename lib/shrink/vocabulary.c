#include "shrink/vocabulary.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/token/tok_cut.h"
#include "text/token/vocab_map.h"

// ---- what is used ----

void brew_vocabulary_count(bool *used, const brew_star *star) {
    int64_t labels = star->n_sets ? star->label_splits[star->n_sets] : 0;
    for (size_t i = 0; i < star->n_ids; i++) used[star->ids[i]] = true;
    for (int64_t i = 0; i < labels; i++) used[star->label_ids[i]] = true;
}

static int read_all(bool *used, brew_source *source, const char *name,
                    const brew_sample_options *options, brew_err *err) {
    brew_star one = {0};
    brew_line line;
    int got;
    while ((got = brew_source_next(source, &line, err)) > 0) {
        if (!line.failed) {
            brew_star_reset(&one);
            brew_star_append(&one, line.star, line.request);
            brew_vocabulary_count(used, &one);
        } else if (options->reject(options->arg, name, &line, err)) {
            got = -1;
            break;
        }
    }
    brew_star_release(&one);
    return got;
}

int brew_vocabulary_read(bool *used, const char *path, const brew_sample_options *options,
                         char sha256[65], uint64_t *bytes, brew_err *err) {
    brew_encode_options encode = {.bos = options->bos,
                                  .specials = options->specials,
                                  .vocab = (size_t)options->config->vocab,
                                  .long_texts = true};
    brew_in *in = brew_in_open(path, err);
    if (!in) return -1;
    brew_in_digest_start(in);
    brew_encoder *encoder =
        brew_encoder_new(options->dir, brew_pool_threads(options->pool), &encode);
    brew_source_options reading = {.pool = options->pool,
                                   .encoder = encoder,
                                   .texts = true,
                                   .vocab = encode.vocab,
                                   .context = INT64_MAX};
    brew_source *source = brew_source_open(in, &reading, err);
    int status = source ? read_all(used, source, brew_in_name(in), options, err) : -1;
    if (!status) {
        brew_in_digest(in, sha256);
        *bytes = brew_in_offset(in);
    }
    brew_source_free(source);
    brew_encoder_free(encoder);
    brew_in_close(in);
    return status;
}

// ---- files ----

struct job {
    brew_vocabulary *cut;
    const brew_modeldir *dir;
    const brew_tokenizer *old;
    brew_tokenizer *new;
    bool *keep;                     // [ids of old]
    int32_t *map;                   // the same
    brew_json *json, *settings;     // tokenizer.json and tokenizer_config.json or NULL
    brew_json *config, *generation; // or NULL
};

// text is taken, and NULL for a file that is to go.
static void add_file(struct job *job, const char *name, brew_buf *text) {
    brew_vocabulary *cut = job->cut;
    cut->files = brew_realloc_array(cut->files, cut->n_files + 1, sizeof *cut->files);
    cut->files[cut->n_files++] =
        (brew_export_file){brew_strdup(name), text ? text->ptr : NULL, text ? text->len : 0};
}

static void add_json(struct job *job, const char *name, const brew_json *json) {
    brew_buf text = {0};
    brew_json_write(&text, json);
    brew_buf_addc(&text, '\n');
    add_file(job, name, &text);
}

// The parts of the model that name ids; those of a GGUF are made.
static int open_files(struct job *job, brew_err *err) {
    brew_buf text = {0};
    size_t len;
    if (brew_export_tokenizer(job->dir, &text, &job->settings, err) > 0)
        job->json = brew_json_parse(text.ptr, text.len, err);
    brew_buf_release(&text);
    if (!job->json || !(job->config = brew_export_config(job->dir, err))) return -1;
    const char *bytes = brew_modeldir_file(job->dir, "generation_config.json", &len);
    if (!bytes) return 0;
    job->generation = brew_json_parse_settings(bytes, len, err);
    return job->generation ? 0 : brew_err_context(err, "generation_config.json");
}

static int each_file(struct job *job, const brew_token_ids *ids, brew_err *err) {
    if (brew_token_ids_tokenizer(job->json, ids, err))
        return brew_err_context(err, "tokenizer.json");
    if (job->settings && brew_token_ids_config(job->settings, ids, err))
        return brew_err_context(err, "tokenizer_config.json");
    if (brew_token_ids_config(job->config, ids, err)) return brew_err_context(err, "config.json");
    if (job->generation && brew_token_ids_config(job->generation, ids, err))
        return brew_err_context(err, "generation_config.json");
    return 0;
}

// What is written must load, and give every token that stays under its new id.
static int check_new(struct job *job, brew_err *err) {
    brew_buf json = {0}, settings = {0};
    brew_json_write(&json, job->json);
    if (job->settings) brew_json_write(&settings, job->settings);
    job->new = brew_tokenizer_from_json(json.ptr, json.len, settings.ptr, settings.len, err);
    brew_buf_release(&json);
    brew_buf_release(&settings);
    if (!job->new) return brew_err_context(err, "the tokenizer without the tokens that go");
    bool same = brew_tokenizer_vocab(job->new) == (size_t)job->cut->n;
    for (int64_t i = 0; i < job->cut->n && same; i++) {
        size_t a, b;
        const char *before = brew_tokenizer_entry(job->old, (int32_t)job->cut->ids[i], &a),
                   *after = brew_tokenizer_entry(job->new, (int32_t)i, &b);
        same = before && after && a == b && !memcmp(before, after, a);
    }
    return same ? 0
                : brew_fail(err, BREW_DATA, "%s: the tokens of its tokenizer cannot be renumbered",
                            brew_modeldir_name(job->dir));
}

static void add_map(struct job *job, const char *from, const brew_vocab_map *map) {
    char name[64];
    brew_buf bytes = {0};
    brew_vocab_map_name(name, from, brew_tokenizer_digest(job->new));
    brew_vocab_map_write(map, &bytes);
    add_file(job, name, &bytes);
}

// The map from the tokenizer there was, and those that led to it, led on.
static int add_maps(struct job *job, brew_err *err) {
    const char *digest = brew_tokenizer_digest(job->old);
    size_t n = brew_tokenizer_vocab(job->old), len;
    add_map(job, digest, &(brew_vocab_map){job->map, n});
    for (size_t i = 0; i < brew_modeldir_n_files(job->dir); i++) {
        const char *name = brew_modeldir_file_name(job->dir, i);
        char from[17];
        brew_vocab_map map;
        if (!brew_vocab_map_is(name, digest, from)) continue;
        const char *bytes = brew_modeldir_file(job->dir, name, &len);
        if (brew_vocab_map_parse(&map, bytes, len, n, err))
            return brew_err_context(err, "%s: %s", brew_modeldir_name(job->dir), name);
        for (size_t id = 0; id < map.n; id++)
            if (map.ids[id] >= 0) map.ids[id] = job->map[map.ids[id]];
        add_map(job, from, &map);
        add_file(job, name, NULL);
        brew_vocab_map_release(&map);
    }
    return 0;
}

static int add_files(struct job *job, brew_err *err) {
    static const char *const others[] = {"vocab.json",        "merges.txt", "tokenizer.model",
                                         "added_tokens.json", "vocab.txt",  "spiece.model"};
    static const char *const names[] = {"tokenizer_config.json", "generation_config.json"};
    brew_json *const jsons[] = {job->settings, job->generation};
    size_t len;
    add_json(job, "tokenizer.json", job->json);
    for (int i = 0; i < 2; i++)
        if (jsons[i]) add_json(job, names[i], jsons[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (brew_modeldir_file(job->dir, others[i], &len)) add_file(job, others[i], NULL);
    return add_maps(job, err);
}

// ---- the cut ----

// Marks in keep what was used and what must stay.
static int choose(struct job *job, const brew_config *config, const bool *used, brew_err *err) {
    size_t n = brew_tokenizer_vocab(job->old), len, none = 0;
    if (n > (size_t)config->vocab)
        return brew_fail(err, BREW_DATA, "%s: its tokenizer has %zu ids, its embedding %lld rows",
                         brew_modeldir_name(job->dir), n, (long long)config->vocab);
    for (size_t id = 0; id < (size_t)config->vocab; id++) {
        bool token = id < n && brew_tokenizer_entry(job->old, (int32_t)id, &len);
        none += used[id] && !token;
        job->cut->used += used[id];
        if (id < n) job->keep[id] = used[id];
    }
    if (none) return brew_fail(err, BREW_DATA, "%zu of the ids that are used are no tokens", none);
    brew_token_ids named = {.keep = job->keep, .vocab = n};
    if (each_file(job, &named, err)) return -1;
    brew_tokenizer_close(job->old, job->keep);
    return 0;
}

static int run(struct job *job, const brew_config *config, const bool *used, brew_err *err) {
    size_t n = brew_tokenizer_vocab(job->old);
    brew_vocabulary *cut = job->cut;
    job->keep = brew_calloc(n, sizeof *job->keep);
    job->map = brew_calloc(n, sizeof *job->map);
    if (open_files(job, err) || choose(job, config, used, err)) return -1;
    cut->n = brew_tokenizer_number(job->old, job->keep, job->map);
    cut->ids = brew_calloc((size_t)cut->n, sizeof *cut->ids);
    for (size_t id = 0; id < n; id++)
        if (job->map[id] >= 0) cut->ids[job->map[id]] = (int64_t)id;
    brew_token_ids renamed = {.map = job->map, .vocab = n};
    if (each_file(job, &renamed, err) || check_new(job, err)) return -1;
    cut->config = job->config;
    job->config = NULL;
    return add_files(job, err);
}

int brew_vocabulary_cut(brew_vocabulary *cut, const brew_modeldir *dir, const brew_config *config,
                        const bool *used, brew_err *err) {
    *cut = (brew_vocabulary){0};
    brew_tokenizer *old = brew_tokenizer_open(dir, err);
    if (!old) return -1;
    struct job job = {.cut = cut, .dir = dir, .old = old};
    int status = run(&job, config, used, err);
    brew_tokenizer_free(old);
    brew_tokenizer_free(job.new);
    brew_json_free(job.json);
    brew_json_free(job.settings);
    brew_json_free(job.config);
    brew_json_free(job.generation);
    free(job.keep);
    free(job.map);
    if (status) brew_vocabulary_release(cut);
    return status;
}

void brew_vocabulary_release(brew_vocabulary *cut) {
    for (size_t i = 0; i < cut->n_files; i++) {
        free((char *)(uintptr_t)cut->files[i].name);
        free((char *)(uintptr_t)cut->files[i].bytes);
    }
    free(cut->files);
    free(cut->ids);
    brew_json_free(cut->config);
    *cut = (brew_vocabulary){0};
}
