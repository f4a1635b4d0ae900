#include "io/star_stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/hash.h"
#include "base/tap.h"
#include "io/provenance.h"
#include "io/testing.h"

static char dir[] = "/tmp/brew-stars-XXXXXX", path[64], damaged[64];

static void slurp(brew_buf *out, const char *name) {
    brew_err err;
    brew_in *in = brew_in_open(name, &err);
    char bytes[4096];
    ssize_t got;
    while (in && (got = brew_in_read(in, bytes, sizeof bytes, &err)) > 0)
        brew_buf_add(out, bytes, (size_t)got);
    brew_in_close(in);
}

// Two requests of unequal shapes, two label sets, a history answer; n varies the sizes.
static void fill(brew_star *star, int n) {
    brew_star_reset(star);
    for (int r = 0; r < 2; r++) {
        brew_star_add_request(star);
        int32_t ids[64];
        for (int i = 0; i < 64; i++) ids[i] = (r * 64 + i * n) % 1000;
        brew_star_add_ids(star, ids, (size_t)(3 + n + r));
        int64_t history = (int64_t)star->n_ids - 2;
        int64_t rows[3];
        for (int i = 0; i < 3; i++) {
            brew_star_add_item(star);
            brew_star_add_ids(star, ids + i, (size_t)(1 + i));
            rows[i] = (int64_t)star->n_ids - 1;
        }
        for (int i = 0; i < 3; i++) {
            int32_t labels[3] = {5, 6, 7};
            int32_t set = brew_star_add_set(star, labels, i == 1 ? 3 : 2);
            brew_star_add_answer(star, rows[i], set, i - 1, 0.5f + (float)i, -0.25f);
        }
        brew_star_add_answer(star, history, 0, 1, 1, 0);
        brew_star_add_meta(star, "{\"id\":\"m/1\",\"x\":[1,2]}", 22);
    }
}

static brew_json *chain_of(const char *tool) {
    brew_json *chain = brew_json_new_array();
    brew_provenance_add(chain, tool, "0.1.0", NULL, 7);
    return chain;
}

static int write_stream(const char *name, int batches, brew_err *err) {
    brew_star star = {0};
    brew_json *start = chain_of("brew-start"), *end = chain_of("brew-end");
    brew_out *out = brew_out_open(name, BREW_OUT_BINARY, err);
    brew_star_writer *writer =
        out ? brew_star_write_start(out, "abc", 1000, NULL, start, err) : NULL;
    int status = writer ? 0 : -1;
    for (int i = 0; !status && i < batches; i++) {
        fill(&star, i + 1);
        status = brew_star_write(writer, &star, NULL, err);
    }
    brew_star_reset(&star);
    if (!status)
        status = brew_star_write(writer, &star, NULL, err); // an empty batch is not written
    if (!status)
        status = brew_star_write_end(writer, end, err);
    else
        brew_star_write_abandon(writer);
    if (!status)
        status = brew_out_commit(out, err);
    else
        brew_out_abandon(out);
    brew_json_free(start);
    brew_json_free(end);
    brew_star_release(&star);
    return status;
}

// Reads to the end: 0, or -1; adds all that was read to sha.
static int read_stream(const char *name, brew_sha256 *sha, brew_star_counts *counts,
                       brew_err *err) {
    brew_in *in = brew_in_open(name, err);
    if (!in) return -1;
    brew_star_reader *reader = brew_star_read_start(in, err);
    int got = -1;
    const brew_star *star;
    while (reader && (got = brew_star_read(reader, &star, err)) > 0) {
        if (!sha) continue;
        brew_sha256_add(sha, star->ids, star->n_ids * 4);
        brew_sha256_add(sha, star->segments, (star->n_segments + 1) * 8);
        brew_sha256_add(sha, star->targets, star->n_answers * 4);
        brew_sha256_add(sha, star->weights, star->n_answers * 4);
        brew_sha256_add(sha, star->meta.ptr, star->meta.len);
    }
    if (!got && counts) *counts = *brew_star_read_counts(reader);
    brew_star_read_free(reader);
    brew_in_close(in);
    return got;
}

static void test_round_trip(void) {
    brew_err err = {0};
    snprintf(path, sizeof path, "%s/s.tar", dir);
    snprintf(damaged, sizeof damaged, "%s/d.tar", dir);
    ok(!write_stream(path, 2, &err), "written: %s", err.text);
    brew_in *in = brew_in_open(path, &err);
    is_int(brew_star_sniff(in, &err), 1, "sniffed");
    brew_star_reader *reader = brew_star_read_start(in, &err);
    ok(reader != NULL, "opened: %s", err.text);
    is_str(brew_star_read_tokenizer(reader), "abc", "tokenizer");
    is_int((long long)brew_star_read_vocab(reader), 1000, "vocabulary");
    const brew_star *star;
    brew_star want = {0};
    for (int i = 0; i < 2; i++) {
        fill(&want, i + 1);
        bool read = ok(brew_star_read(reader, &star, &err) == 1, "batch %d: %s", i, err.text);
        ok(read && star->n_ids == want.n_ids && star->n_segments == want.n_segments &&
               star->n_answers == want.n_answers && star->n_sets == want.n_sets &&
               !memcmp(star->ids, want.ids, want.n_ids * 4) &&
               !memcmp(star->segments, want.segments, (want.n_segments + 1) * 8) &&
               !memcmp(star->requests, want.requests, (want.n_requests + 1) * 8) &&
               !memcmp(star->answers, want.answers, want.n_answers * 8) &&
               !memcmp(star->answer_splits, want.answer_splits, (want.n_requests + 1) * 8) &&
               !memcmp(star->answer_set, want.answer_set, want.n_answers * 4) &&
               !memcmp(star->label_ids, want.label_ids, 5 * 4) &&
               !memcmp(star->targets, want.targets, want.n_answers * 4) &&
               !memcmp(star->weights, want.weights, want.n_answers * 4) &&
               !memcmp(star->offsets, want.offsets, want.n_answers * 4) &&
               star->meta.len == want.meta.len &&
               !memcmp(star->meta.ptr, want.meta.ptr, want.meta.len),
           "every array came back");
    }
    brew_star_release(&want);
    const brew_json *entry = brew_json_at(brew_star_read_provenance(reader), 0);
    is_str(brew_json_string(brew_json_get(entry, "tool"), NULL), "brew-start",
           "provenance at first");
    is_int(brew_star_read(reader, &star, &err), 0, "the clean end");
    entry = brew_json_at(brew_star_read_provenance(reader), 0);
    is_str(brew_json_string(brew_json_get(entry, "tool"), NULL), "brew-end", "provenance at last");
    is_int((long long)brew_star_read_counts(reader)->items, 12, "items");
    is_int(brew_star_read(reader, &star, &err), 0, "still the end");
    brew_star_read_free(reader);
    brew_in_close(in);
    ok(!write_stream(damaged, 0, &err) && !read_stream(damaged, NULL, NULL, &err),
       "no batch at all");
}

// Two zero blocks at the end and nothing behind; the same bytes each time.
static void test_bytes(void) {
    brew_buf one = {0}, two = {0};
    brew_err err = {0};
    ok(!write_stream(damaged, 2, &err), "written again");
    slurp(&one, path);
    slurp(&two, damaged);
    ok(one.len == two.len && !memcmp(one.ptr, two.ptr, one.len), "the same bytes");
    is_int((long long)(one.len % 512), 0, "whole blocks");
    size_t zeros = 0;
    while (zeros < one.len && !one.ptr[one.len - 1 - zeros]) zeros++;
    ok(zeros >= 1024 && zeros < 1024 + 512, "two zero blocks behind the last member's padding");
    for (size_t at = 0; at + 512 <= one.len; at += 512)
        if (!memcmp(one.ptr + at + 257, "ustar", 5) && memcmp(one.ptr + at + 100, "000644 ", 7))
            ok(false, "mode of the member at %zu", at);
    brew_buf_release(&one);
    brew_buf_release(&two);
}

static void test_cuts(void) {
    brew_buf bytes = {0};
    brew_err err = {0};
    size_t found = 0;
    slurp(&bytes, path);
    put(damaged, bytes.ptr, bytes.len);
    for (size_t cut = bytes.len; cut-- > 0;) {
        cut_to(damaged, cut);
        err.code = 0;
        found += read_stream(damaged, NULL, NULL, &err) < 0 && err.code == BREW_DATA;
    }
    is_int((long long)found, (long long)bytes.len, "a cut at any byte is an error");
    brew_buf_addc(&bytes, 0);
    put(damaged, bytes.ptr, bytes.len);
    ok(read_stream(damaged, NULL, NULL, &err) < 0, "one byte more: %s", strrchr(err.text, ':'));
    brew_buf_release(&bytes);
}

// In a pipe, cut in every block.
static void test_pipe(void) {
    brew_buf bytes = {0};
    slurp(&bytes, path);
    size_t found = 0, tried = 0;
    int saved = dup(STDIN_FILENO);
    for (size_t cut = 0; cut <= bytes.len; cut += cut + 600 < bytes.len ? 257 : 1) {
        int ends[2];
        if (pipe(ends)) exit(1);
        pid_t child = fork();
        if (!child) {
            ssize_t put_all = 0;
            for (size_t at = 0; at < cut && put_all >= 0; at += (size_t)put_all)
                put_all = write(ends[1], bytes.ptr + at, cut - at < 1000 ? cut - at : 1000);
            _exit(0);
        }
        close(ends[1]);
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        brew_err err;
        tried++;
        found += (read_stream("-", NULL, NULL, &err) < 0) == (cut < bytes.len);
    }
    dup2(saved, STDIN_FILENO);
    close(saved);
    is_int((long long)found, (long long)tried, "the same in a pipe");
    brew_buf_release(&bytes);
}

// Every single flipped bit of the plain stream is found; of a gzipped one, found or harmless.
static void test_flips(void) {
    brew_buf bytes = {0};
    brew_err err = {0};
    slurp(&bytes, path);
    put(damaged, bytes.ptr, bytes.len);
    size_t missed = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        flip(damaged, i, (int)(i % 8));
        bool unseen = read_stream(damaged, NULL, NULL, &err) == 0;
        if (unseen) printf("# unseen at byte %zu of %zu\n", i, bytes.len);
        missed += unseen;
        flip(damaged, i, (int)(i % 8));
    }
    is_int(read_stream(damaged, NULL, NULL, &err), 0, "each flipped back, it is whole");
    is_int((long long)missed, 0, "a flipped bit in each byte of the plain stream is found");

    snprintf(damaged, sizeof damaged, "%s/d.gz", dir);
    gzFile gz = gzopen(damaged, "wb9");
    gzwrite(gz, bytes.ptr, (unsigned)bytes.len);
    gzclose(gz);
    struct stat status;
    if (stat(damaged, &status)) exit(1);
    size_t len = (size_t)status.st_size, wrong = 0, harmless = 0;
    brew_sha256 sha;
    char want[65], got[65];
    brew_sha256_init(&sha);
    ok(!read_stream(damaged, &sha, NULL, &err), "the gzipped stream: %s", err.text);
    brew_sha256_hex(&sha, want);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        flip(damaged, bit / 8, (int)(bit % 8));
        brew_sha256_init(&sha);
        if (read_stream(damaged, &sha, NULL, &err) == 0) {
            brew_sha256_hex(&sha, got);
            harmless++;
            wrong += strcmp(got, want) != 0;
        }
        flip(damaged, bit / 8, (int)(bit % 8));
    }
    ok(!wrong && harmless < 200, "each bit of %zu bytes flipped: %zu harmless, none unseen", len,
       harmless);
    size_t found = 0;
    for (size_t cut = len; cut-- > 0;) {
        cut_to(damaged, cut);
        found += read_stream(damaged, NULL, NULL, &err) < 0;
    }
    is_int((long long)found, (long long)len, "every cut of the gzipped stream is found");
    brew_buf_release(&bytes);
}

// Rebuilds a member's content in place (sizes kept) and repairs what a forger would: nothing but the
// named check must notice.
static void test_refusals(void) {
    static const struct {
        const char *from, *to, *message;
    } changes[] = {
        {"brew-token-stream", "drew-token-stream", "brew.json: its \"format\" is not"},
        {"\"version\":1,", "\"version\":2,", "\"version\" is 2, but must be in [1, 1]"},
        {"'<i4'", "'>i4'", "an .npy type that is not one of"},
        {"False", "True ", "not in C order"},
        {"\x93NUMPY\x01", "\x93NUMPY\x02", ".npy version 2.0 instead of 1.0"},
        {"(21,)", "(22,)", "an .npy shape of 22 elements"},
        {"{\"id\":\"m/1\"", "{\"id\":\"m/1 ", "000000.meta.jsonl: line 1: column"},
    };
    for (size_t c = 0; c < sizeof changes / sizeof *changes; c++) {
        brew_buf bytes = {0};
        brew_err err = {0};
        slurp(&bytes, path);
        size_t n = strlen(changes[c].from);
        for (size_t i = 0; i + n <= bytes.len; i++) {
            if (memcmp(bytes.ptr + i, changes[c].from, n)) continue;
            memcpy(bytes.ptr + i, changes[c].to, n);
            break;
        }
        put(damaged, bytes.ptr, bytes.len);
        bool failed = read_stream(damaged, NULL, NULL, &err) < 0;
        ok(failed && strstr(err.text, changes[c].message), "%s", err.text);
        brew_buf_release(&bytes);
    }
    brew_err err = {0};
    put(damaged, "{\"id\":1}\n", 9);
    ok(read_stream(damaged, NULL, NULL, &err) < 0, "no tar at all: %s", err.text);
    brew_in *in = brew_in_open(damaged, &err);
    is_int(brew_star_sniff(in, &err), 0, "not sniffed as a tar");
    brew_in_close(in);
    put(damaged, "", 0);
    ok(read_stream(damaged, NULL, NULL, &err) < 0, "an empty file: %s", err.text);
}

static void test_full(void) {
    brew_err err = {0};
    if (access("/dev/full", W_OK)) {
        printf("ok %d - # SKIP no /dev/full\n", ++tap_count);
        return;
    }
    ok(write_stream("/dev/full", 2, &err) < 0 && err.code == BREW_IO, "%s", err.text);
}

static void test_provenance(void) {
    brew_json *a = chain_of("one"), *b = chain_of("two"), *all = brew_json_new_array();
    brew_json *entry = brew_provenance_add(a, "one-b", "0.1.0", NULL, -1);
    brew_provenance_input(entry, "records", "aa", 5, 0);
    is_int(brew_provenance_join(all, b), 0, "a chain joined");
    is_int(brew_provenance_join(all, a), 2, "another, behind it");
    is_int(brew_provenance_join(all, a), 2, "a third time: shared");
    is_int(brew_provenance_join(all, NULL), -1, "none");
    brew_json *inputs = brew_json_get(brew_json_at(all, 2), "inputs");
    is_int(brew_json_int(brew_json_get(brew_json_at(inputs, 0), "from")), 1, "indices follow");
    is_int((long long)brew_json_length(all), 3, "three entries");
    brew_err err = {0};
    is_int(brew_provenance_check(all, &err), 0, "it is well formed");
    brew_provenance_input(brew_json_at(all, 1), "records", "bb", 5, 1);
    ok(brew_provenance_check(all, &err) < 0, "an input from its own entry: %s", err.text);
    brew_json_free(a);
    brew_json_free(b);
    brew_json_free(all);
}

// The lines of the manual between `.\" test: numpy` and `.Ed`, without the markup.
static bool snippet_from_manual(const char *to) {
    FILE *page = fopen("man/brew-formats.5", "r"), *script = fopen(to, "w");
    char line[512];
    int inside = 0; // 1: behind the mark, 2: in the block
    while (page && script && fgets(line, sizeof line, page)) {
        if (!strcmp(line, ".\\\" test: numpy\n")) inside = 1;
        if (inside == 2 && !strcmp(line, ".Ed\n")) inside = 3;
        if (inside == 2) fputs(line, script);
        if (inside == 1 && !strncmp(line, ".Bd", 3)) inside = 2;
    }
    if (page) fclose(page);
    if (script) fclose(script);
    return inside == 3;
}

// Python, if one with numpy is to be had: $PYTHON, the build's own, or the system's.
static bool find_python(char *out, size_t size) {
    const char *given = getenv("PYTHON"), *build = getenv("BUILD");
    for (int i = 0; i < 3; i++) {
        if (i == 0 && given) snprintf(out, size, "%s", given);
        if (i == 1) snprintf(out, size, "%s/venv/bin/python", build ? build : "build");
        if (i == 2) snprintf(out, size, "python3");
        char command[1200];
        snprintf(command, sizeof command, "%s -c 'import numpy' 2>/dev/null", out);
        if ((i || given) && !system(command)) return true;
    }
    return false;
}

static void test_numpy(void) {
    char python[1000], script[80], command[1300], line[200];
    snprintf(script, sizeof script, "%s/snippet.py", dir);
    if (!find_python(python, sizeof python)) {
        printf("ok %d - # SKIP no Python with numpy\n", ++tap_count);
        return;
    }
    ok(snippet_from_manual(script), "the manual's example");
    snprintf(command, sizeof command, "%s %s < %s", python, script, path);
    FILE *pipe = popen(command, "r");
    static const char *const want[] = {
        "000000.ids.npy int32 (21,) 744\n",         "000000.segments.npy int64 (9,) 96\n",
        "000000.requests.npy int64 (3,) 12\n",      "000000.answers.npy int64 (8,) 86\n",
        "000000.answer_splits.npy int64 (3,) 12\n", "000000.answer_set.npy int32 (8,) 2\n",
        "000000.label_ids.npy int32 (5,) 29\n",     "000000.label_splits.npy int64 (3,) 7\n",
        "000000.targets.npy int32 (8,) 2\n",        "000000.weights.npy float32 (8,) 11.0\n",
        "000000.offsets.npy float32 (8,) -1.5\n",
    };
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        is_str(pipe && fgets(line, sizeof line, pipe) ? line : NULL, want[i], "an array in numpy");
    ok(pipe && !fgets(line, sizeof line, pipe) && !pclose(pipe), "and no more");
}

int main(void) {
    if (!mkdtemp(dir)) return 1;
    test_round_trip();
    test_bytes();
    brew_err err;
    if (write_stream(path, 1, &err)) return 1; // a small one for what follows
    test_numpy();
    test_cuts();
    test_pipe();
    test_refusals();
    test_flips();
    test_full();
    test_provenance();
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", dir);
    if (system(command)) return 1;
    return tap_done();
}
