#include "text/prompt/state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "io/out.h"

enum { VERSION = 1 };

// A source without the names of its files, which may change from night to night.
static void add_source(brew_json *out, const brew_json *source) {
    brew_json *copy = brew_json_new_object();
    brew_json_iter it = {0};
    while (brew_json_next(source, &it))
        if (strcmp(it.key, "file") != 0 && strcmp(it.key, "format") != 0)
            brew_json_set(copy, it.key, brew_json_copy(it.value));
    brew_json_push(out, copy);
}

static int digest_of(const brew_task *task, char hex[65], brew_err *err) {
    static const char *const keys[] = {"actions", "positive",  "features",
                                       "offsets", "negatives", "split"};
    brew_json *root = brew_json_load(task->path, err);
    if (!root) return -1;
    brew_json *parts = brew_json_new_array(), *sources = brew_json_get(root, "sources");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        brew_json *value = brew_json_get(root, keys[i]);
        brew_json_push(parts, value ? brew_json_copy(value) : brew_json_new_bool(false));
    }
    for (size_t i = 0; i < brew_json_length(sources); i++)
        add_source(parts, brew_json_at(sources, i));
    if (!sources) add_source(parts, brew_json_get(root, "events"));
    brew_buf text = {0};
    brew_json_write(&text, parts);
    brew_sha256 sha;
    brew_sha256_init(&sha);
    brew_sha256_add(&sha, text.ptr, text.len);
    brew_sha256_hex(&sha, hex);
    brew_buf_release(&text);
    brew_json_free(parts);
    brew_json_free(root);
    return 0;
}

static int damaged(brew_err *err, const char *what) {
    return brew_fail(err, BREW_DATA, "\"%s\" is missing or of the wrong form", what);
}

// Edges: ascending numbers; null stands for infinity, where there were no training events.
static int read_fitted(const brew_json *object, const brew_feature *feature, brew_fitted *out,
                       brew_err *err) {
    const brew_json *edges = brew_json_get(object, "edges");
    if (!brew_json_is(object, BREW_JSON_OBJECT) ||
        brew_json_want_real(object, "mean", &out->mean, err) != 1 ||
        !(out->mean >= 0 && out->mean <= 1) || !brew_json_is(edges, BREW_JSON_ARRAY) ||
        brew_json_length(edges) != feature->n_edges)
        return damaged(err, "features");
    out->edges = brew_calloc(feature->n_edges + 1, sizeof *out->edges);
    for (size_t i = 0; i < feature->n_edges; i++) {
        const brew_json *edge = brew_json_at(edges, i);
        bool number = brew_json_is(edge, BREW_JSON_INT) || brew_json_is(edge, BREW_JSON_REAL);
        if (!number && !brew_json_is(edge, BREW_JSON_NULL)) return damaged(err, "features");
        out->edges[i] = number ? brew_json_real(edge) : (double)INFINITY;
        if (i && out->edges[i] < out->edges[i - 1]) return damaged(err, "features");
    }
    return 0;
}

static int read_split(const brew_json *root, brew_state *out, brew_task *task, brew_err *err) {
    if (task->split.by != BREW_SPLIT_BY_SHARE) return 0;
    const brew_json *split = brew_json_get(root, "split");
    int64_t valid = 0, test = 0;
    if (!brew_json_is(split, BREW_JSON_OBJECT) ||
        brew_json_want_int(split, "valid_from", INT64_MIN, INT64_MAX, &valid, err) != 1 ||
        brew_json_want_int(split, "test_from", INT64_MIN, INT64_MAX, &test, err) != 1 ||
        valid > test)
        return damaged(err, "split");
    task->split.by = BREW_SPLIT_BY_TIME;
    task->split.valid_from = valid;
    task->split.test_from = test;
    out->split = task->split;
    return 0;
}

static int read_state(brew_state *out, brew_task *task, const brew_json *root, brew_err *err) {
    char digest[65];
    int64_t version = 0;
    const char *given = NULL;
    if (!brew_json_is(root, BREW_JSON_OBJECT) ||
        brew_json_want_int(root, "brew_state", 1, INT32_MAX, &version, err) != 1)
        return brew_fail(err, BREW_DATA, "this is not a state of brew-promptify");
    if (version != VERSION)
        return brew_fail(err, BREW_DATA, "a state of version %lld, not %d", (long long)version,
                         VERSION);
    if (digest_of(task, digest, err)) return -1;
    if (brew_json_want_string(root, "digest", &given, err) != 1 || strcmp(given, digest) != 0)
        return brew_fail(
            err, BREW_USAGE,
            "fitted for another task: actions, features, offsets, negatives, split and "
            "sources must be those of %s",
            task->path);
    size_t n = task->features ? task->features->n : 0;
    const brew_json *features = brew_json_get(root, "features");
    if (!brew_json_is(features, BREW_JSON_ARRAY) || brew_json_length(features) != n)
        return damaged(err, "features");
    out->fitted = brew_calloc(n + 1, sizeof *out->fitted);
    for (size_t f = 0; f < n; f++)
        if (read_fitted(brew_json_at(features, f), &task->features->list[f], &out->fitted[f], err))
            return -1;
    const brew_json *popularity = brew_json_get(root, "popularity");
    if (popularity) out->popularity = brew_json_copy(popularity);
    return read_split(root, out, task, err);
}

int brew_state_load(brew_state *out, brew_task *task, const char *path, brew_err *err) {
    *out = (brew_state){.given = true};
    brew_json *root = brew_json_load(path, err);
    if (!root) return -1;
    int status = read_state(out, task, root, err);
    brew_json_free(root);
    if (!status) return 0;
    brew_state_release(out, task);
    return brew_err_context(err, "%s", path);
}

void brew_state_release(brew_state *state, const brew_task *task) {
    for (size_t f = 0; state->fitted && task->features && f < task->features->n; f++)
        free(state->fitted[f].edges);
    free(state->fitted);
    brew_json_free(state->popularity);
    *state = (brew_state){0};
}

int brew_state_save(const char *path, const brew_task *task, const brew_datasplit *split,
                    const brew_fitted *fitted, brew_json *popularity, brew_err *err) {
    char digest[65];
    if (digest_of(task, digest, err)) {
        brew_json_free(popularity);
        return -1;
    }
    brew_json *root = brew_json_new_object(), *features = brew_json_new_array();
    brew_json_set(root, "brew_state", brew_json_new_int(VERSION));
    brew_json_set(root, "task", brew_json_new_string(task->name, strlen(task->name)));
    brew_json_set(root, "digest", brew_json_new_string(digest, 64));
    if (split->by == BREW_SPLIT_BY_SHARE) {
        brew_json *sides = brew_json_new_object();
        brew_json_set(sides, "valid_from", brew_json_new_int(split->valid_from));
        brew_json_set(sides, "test_from", brew_json_new_int(split->test_from));
        brew_json_set(root, "split", sides);
    }
    for (size_t f = 0; task->features && f < task->features->n; f++) {
        const brew_feature *feature = &task->features->list[f];
        brew_json *one = brew_json_new_object(), *edges = brew_json_new_array();
        if (feature->name)
            brew_json_set(one, "name", brew_json_new_string(feature->name, strlen(feature->name)));
        brew_json_set(one, "mean", brew_json_new_real(fitted[f].mean));
        for (size_t i = 0; i < feature->n_edges; i++)
            brew_json_push(edges, brew_json_new_real(fitted[f].edges[i])); // infinity: null
        brew_json_set(one, "edges", edges);
        brew_json_push(features, one);
    }
    brew_json_set(root, "features", features);
    if (popularity) brew_json_set(root, "popularity", popularity);
    brew_buf text = {0};
    brew_json_write(&text, root);
    brew_buf_addc(&text, '\n');
    brew_json_free(root);
    int status = brew_out_whole(path, BREW_OUT_TEXT, text.ptr, text.len, err);
    brew_buf_release(&text);
    return status;
}
