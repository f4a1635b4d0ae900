// Shared by the tests of whole runs: a small run, and whether two ended in the same bits. Not part of the library;
// include it after tap.h.
#ifndef BREW_TRAIN_RUN_TESTING_H
#define BREW_TRAIN_RUN_TESTING_H

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "train/run.h"

static const char *const tiny = "testdata/models/tiny";

// ---- requests ----

static void add_ids(brew_buf *out, uint64_t seed, uint64_t stream, uint64_t n) {
    brew_buf_addc(out, '[');
    for (uint64_t i = 0; i < n; i++)
        brew_buf_addf(out, "%s%d", i ? "," : "", (int)brew_rand_below(seed, stream, i, 600));
    brew_buf_addc(out, ']');
}

static void write_requests(const char *path, uint64_t seed, int n) {
    brew_buf text = {0};
    for (int r = 0; r < n; r++) {
        uint64_t stream = (uint64_t)r * 16, query = 10 + brew_rand_below(seed, stream, 99, 30);
        brew_buf_adds(&text, "{\"query\":");
        add_ids(&text, seed, stream, query);
        brew_buf_adds(&text, ",\"items\":[");
        for (uint64_t i = 0; i < 3; i++) {
            if (i) brew_buf_addc(&text, ',');
            add_ids(&text, seed, stream + 1 + i, 1 + brew_rand_below(seed, stream, i, 4));
        }
        brew_buf_addf(&text,
                      "],\"label_token_ids\":[7,9],\"targets\":[%d,%d,-1],\"offsets\":[0.5,0,0],"
                      "\"weights\":[1,2,1],\"meta\":{\"task\":\"%s\"}}\n",
                      r % 2, r % 3 == 0, r % 5 ? "films" : "jobs");
    }
    FILE *file = fopen(path, "w");
    if (!file || fwrite(text.ptr, 1, text.len, file) != text.len || fclose(file)) exit(1);
    brew_buf_release(&text);
}

static brew_run_options test_options(const char *out, char **input) {
    brew_run_options o;
    brew_run_defaults(&o);
    o.tool = "run_test";
    o.version = "0";
    o.model = tiny;
    o.out = out;
    o.inputs = input;
    o.n_inputs = 1;
    o.steps = 40;
    o.batch = 3;
    o.micro_tokens = 90; // two requests
    o.lr = 0.003;
    o.schedule = BREW_COSINE;
    o.warmup = 5;
    o.order = 1;
    o.lm_weight = 0.1;
    o.save_every = 7;
    o.save_minutes = 0;
    return o;
}

static int never_reject(void *arg, const char *name, const brew_line *line, brew_err *err) {
    (void)arg;
    (void)name;
    *err = *line->failed;
    return -1;
}

// ---- comparing ----

static char *read_all(const char *dir, const char *name, size_t *len) {
    brew_buf path = {0}, text = {0};
    char bytes[65536];
    brew_buf_addf(&path, "%s/%s", dir, name);
    FILE *file = fopen(path.ptr, "rb");
    for (size_t got; file && (got = fread(bytes, 1, sizeof bytes, file)) > 0;)
        brew_buf_add(&text, bytes, got);
    if (file) fclose(file);
    brew_buf_release(&path);
    *len = text.len;
    return text.ptr;
}

static bool same_file(const char *a, const char *b, const char *name) {
    size_t n, m;
    char *x = read_all(a, name, &n), *y = read_all(b, name, &m);
    bool same = x && y && n == m && !memcmp(x, y, n);
    free(x);
    free(y);
    return same;
}

// The log's rows, without their seconds.
static char *log_rows(const char *dir) {
    size_t len;
    char *text = read_all(dir, "metrics.jsonl", &len), *to = text;
    for (char *at = text; at && *at;) {
        char *seconds = strstr(at, ",\"seconds\":"), *end = strchr(at, '\n');
        if (!end) break;
        char *stop = seconds && seconds < end ? seconds : end;
        memmove(to, at, (size_t)(stop - at));
        to += stop - at;
        *to++ = '\n';
        at = end + 1;
    }
    if (to) *to = 0;
    return text;
}

static bool same_rows(const char *a, const char *b) {
    char *x = log_rows(a), *y = log_rows(b);
    bool same = x && y && *x && !strcmp(x, y);
    free(x);
    free(y);
    return same;
}

// The published model, the moments of the last step, the log.
static bool same_run(const char *a, const char *b, int64_t step) {
    char name[3][80];
    static const char *const files[] = {"model", "moments-1", "moments-2"};
    bool same = same_file(a, b, "model.safetensors") && same_file(a, b, "config.json") &&
                same_file(a, b, "brew.json") && same_rows(a, b);
    for (int i = 0; i < 3; i++) {
        snprintf(name[i], sizeof name[i], "checkpoints/step-%08d/%s.safetensors", (int)step,
                 files[i]);
        same = same && same_file(a, b, name[i]);
    }
    return same;
}

static void remove_all(const char *path) {
    brew_buf command = {0};
    brew_buf_addf(&command, "rm -rf %s", path);
    if (system(command.ptr)) exit(1);
    brew_buf_release(&command);
}

#endif
