// A teacher's logits in a token stream: there and back, and what a reader refuses.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/tap.h"
#include "io/star_stream.h"
#include "io/testing.h"

static char dir[] = "/tmp/brew-teacher-XXXXXX", path[64];

enum { ANSWERS = 3, LOGITS = 7, TOP = 2 };
static const float logits[LOGITS] = {1, -2, 3, 0, 0.5f, 2, -1};
static const float rest[ANSWERS] = {4, -INFINITY, 6};

static const int32_t top_ids[ANSWERS * TOP] = {9, 8, 99, 0, 11, 12};
static const float top_logits[ANSWERS * TOP] = {2, 1.5f, 0, -3, 5, 5},
                                        top_rest[ANSWERS] = {1, -INFINITY, 3};

// One request with two items and a past answer; label sets of two and three.
static void fill(brew_star *star) {
    const int32_t ids[] = {1, 2, 3, 4}, labels[] = {5, 6, 7};
    brew_star_reset(star);
    brew_star_add_request(star);
    brew_star_add_ids(star, ids, 4);
    for (int i = 0; i < 2; i++) {
        brew_star_add_item(star);
        brew_star_add_ids(star, ids, 2);
    }
    int32_t two = brew_star_add_set(star, labels, 2), three = brew_star_add_set(star, labels, 3);
    brew_star_add_answer(star, 5, two, 0, 1, 0);
    brew_star_add_answer(star, 7, three, 1, 1, 0);
    brew_star_add_answer(star, 2, two, 1, 1, 0);
    brew_star_add_meta(star, "{}", 2);
}

static int write_teacher(const brew_star_teacher *said) {
    brew_err err;
    brew_star star = {0};
    brew_star_teacher teacher = *said;
    const float *label_logits = said->label_logits;
    brew_out *out = brew_out_open(path, BREW_OUT_BINARY, &err);
    brew_star_writer *writer =
        brew_star_write_start(out, "abc", 100, label_logits ? &teacher : NULL, NULL, &err);
    int failed = 0;
    for (int batch = 0; batch < 2; batch++) {
        fill(&star);
        failed |= brew_star_write(writer, &star, label_logits ? &teacher : NULL, &err);
    }
    failed |= brew_star_write_end(writer, NULL, &err);
    brew_star_release(&star);
    return failed | brew_out_commit(out, &err);
}

static int write_stream(const float *label_logits, const float *rests) {
    return write_teacher(
        &(brew_star_teacher){"cafe", "f32/ref", label_logits, rests, 0, NULL, NULL, NULL});
}

static int write_top(const int32_t *ids, const float *tops, const float *top_rests) {
    return write_teacher(
        &(brew_star_teacher){"cafe", "f32/ref", logits, rest, TOP, ids, tops, top_rests});
}

// Batches read, or -1; whether each had the logits above.
static int read_stream(bool *same, brew_err *err) {
    brew_in *in = brew_in_open(path, err);
    brew_star_reader *reader = in ? brew_star_read_start(in, err) : NULL;
    const brew_star_teacher *teacher = reader ? brew_star_read_teacher(reader) : NULL;
    const brew_star *star;
    int got = -1, batches = 0;
    *same = teacher && !strcmp(teacher->model, "cafe") && !strcmp(teacher->arithmetic, "f32/ref");
    for (; reader && (got = brew_star_read(reader, &star, err)) > 0; batches++)
        *same &= teacher && star->n_answers == ANSWERS &&
                 !memcmp(teacher->label_logits, logits, sizeof logits) &&
                 !memcmp(teacher->rest, rest, sizeof rest) &&
                 (!teacher->topk ||
                  (teacher->topk == TOP && !memcmp(teacher->topk_ids, top_ids, sizeof top_ids) &&
                   !memcmp(teacher->topk_logits, top_logits, sizeof top_logits) &&
                   !memcmp(teacher->topk_rest, top_rest, sizeof top_rest)));
    brew_star_read_free(reader);
    brew_in_close(in);
    return got < 0 ? -1 : batches;
}

static void refused(const char *message) {
    brew_err err = {0};
    bool same;
    ok(read_stream(&same, &err) < 0 && strstr(err.text, message), "%s", err.text);
}

// Writes `to` over the first place behind `mark` where `from` stands; equally long.
static void change(const char *mark, const void *from, const void *to, size_t len) {
    static char bytes[1 << 16];
    FILE *file = fopen(path, "r+b");
    size_t n = file ? fread(bytes, 1, sizeof bytes, file) : 0, at = 0;
    while (at + strlen(mark) < n && memcmp(bytes + at, mark, strlen(mark))) at++;
    while (at + len < n && memcmp(bytes + at, from, len)) at++;
    if (at + len >= n || fseek(file, (long)at, SEEK_SET) || fwrite(to, len, 1, file) != 1) exit(1);
    fclose(file);
}

// The likeliest tokens: there and back, and each thing they cannot be.
static void test_topk(void) {
    brew_err err = {0};
    bool same;
    ok(!write_top(top_ids, top_logits, top_rest) && read_stream(&same, &err) == 2 && same,
       "likeliest tokens came back, too");
    const struct {
        int at;
        int32_t id;
        const char *message;
    } ids[] = {{2, 100, "topk_ids has 100, which is no id of the vocabulary"},
               {2, -1, "topk_ids has -1, which is no id of the vocabulary"},
               {1, 6, "topk_ids has 6, which is a label of its answer"},
               {1, 9, "topk_ids has 9, twice for an answer"},
               {4, 13, "topk_logits do not descend"}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        int32_t odd[ANSWERS * TOP];
        memcpy(odd, top_ids, sizeof odd);
        odd[ids[i].at] = ids[i].id;
        write_top(odd, top_logits, top_rest);
        refused(ids[i].message);
    }
    const struct {
        float logit;
        const char *message;
    } tops[] = {{NAN, "a teacher's logit is not finite"},
                {INFINITY, "a teacher's logit is not finite"},
                {2.5f, "topk_logits do not descend"}};
    for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
        float odd[ANSWERS * TOP];
        memcpy(odd, top_logits, sizeof odd);
        odd[1] = tops[i].logit;
        write_top(top_ids, odd, top_rest);
        refused(tops[i].message);
    }
    write_top(top_ids, top_logits, (float[]){0, NAN, 0});
    refused("a teacher's logit is not finite");
    write_top(top_ids, top_logits, top_rest);
    change("brew.json", "\"topk\":2", "\"topk\":3", 8);
    refused("batch 000000: topk_ids has 6 elements where 9 were expected");
    for (const char *most = "0-"; *most; most++) {
        write_top(top_ids, top_logits, top_rest);
        char topk[] = "\"topk\":x";
        topk[7] = *most;
        change("brew.json", "\"topk\":2", topk, 8);
        refused("brew.json");
    }
}

int main(void) {
    if (!mkdtemp(dir)) return 1;
    snprintf(path, sizeof path, "%s/t.tar", dir);
    brew_err err = {0};
    bool same;
    ok(!write_stream(logits, rest), "written");
    is_int(read_stream(&same, &err), 2, "read");
    ok(same, "every logit came back, and what teaches");

    change("answer_set", (int32_t[]){0, 1, 0}, (int32_t[]){0, 1, 1}, 12);
    refused("batch 000000: label_logits has 7 elements where 8 were expected");
    write_stream(logits, rest);
    change("brew.json", "\"teacher\":{", "\"teached\":{", 11);
    refused("000000.label_logits.npy: it stands where 000001.ids.npy was expected");
    write_stream(logits, rest);
    change("brew.json", "\"arithmetic\"", "\"arithmetik\"", 12);
    refused("brew.json: its \"teacher\" has no \"sha256\" or \"arithmetic\"");
    write_stream(logits, rest);
    const char object[] = "{\"sha256\":\"cafe\",\"arithmetic\":\"f32/ref\"}";
    const char array[] = "[\"sha256\",\"cafe\",\"arithmetic\",\"f32/ref\"]";
    change("brew.json", object, array, sizeof array - 1);
    refused("brew.json: its \"teacher\" is no object");

    float odd[LOGITS];
    for (int i = 0; i < 3; i++) {
        memcpy(odd, logits, sizeof odd);
        odd[3] = i == 0 ? NAN : i == 1 ? INFINITY : -INFINITY;
        write_stream(odd, rest);
        refused("batch 000000: a teacher's logit is not finite");
    }
    for (int i = 0; i < 2; i++) {
        memcpy(odd, rest, sizeof rest);
        odd[2] = i ? NAN : INFINITY;
        write_stream(logits, odd);
        refused("batch 000000: a teacher's logit is not finite");
    }
    test_topk();
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", dir);
    if (system(command)) return 1;
    return tap_done();
}
