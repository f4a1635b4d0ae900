// Requests in order: epochs, shuffles, mixes, places found again; and what a batch keeps of a record.
#define _XOPEN_SOURCE 700 // mkdtemp
#include "train/data.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tap.h"

static char root[] = "data_test.XXXXXX";
static brew_modeldir *model;
static brew_pool *pool;
static brew_encoder *encoder;
static int rejected;

static int count_reject(void *arg, const char *name, const brew_line *line, brew_err *err) {
    (void)arg;
    (void)name;
    (void)line;
    (void)err;
    rejected++;
    return 0;
}

// n requests whose query is one token: first, first + 1, ...; and a bad record.
static char *write_input(const char *name, int first, int n) {
    brew_buf path = {0};
    brew_buf_addf(&path, "%s/%s.jsonl", root, name);
    FILE *file = fopen(path.ptr, "w");
    if (!file) exit(1);
    for (int i = 0; i < n; i++) {
        fprintf(file,
                "{\"query\":[%d],\"items\":[[5],[6]],\"label_token_ids\":[1,2,3],"
                "\"positive\":[0,2],\"targets\":[%d,-1],\"offsets\":[0,%s]}\n",
                first + i, i % 3, i % 2 ? "0" : "1.5");
        if (i == 1) fputs("{\"query\":[1]}\n", file);
    }
    fclose(file);
    return path.ptr;
}

static brew_data_options options(bool shuffle, int64_t epochs) {
    return (brew_data_options){
        .reading = {.pool = pool, .encoder = encoder, .vocab = 600, .context = 100},
        .shuffle = shuffle,
        .seed = 7,
        .epochs = epochs,
        .role = "records",
        .reject = count_reject};
}

static brew_data *open_one(const char *path, bool shuffle, int64_t epochs) {
    brew_data_options o = options(shuffle, epochs);
    brew_data_input input = {path, 1};
    brew_err err;
    return brew_data_open(&input, 1, &o, &err);
}

// The next request's first token, -1 at the end.
static int next(brew_data *data) {
    static brew_batch batch;
    brew_err err;
    brew_batch_reset(&batch);
    int got = brew_data_next(data, &batch, &err), id = got > 0 ? (int)batch.star.ids[0] : -1;
    brew_batch_release(&batch);
    return id;
}

static void test_orders(const char *path) {
    rejected = 0;
    brew_data *data = open_one(path, false, 2);
    const brew_data_facts *facts = brew_data_get_facts(data);
    ok(facts->known && facts->requests == 10 && facts->tokens == 30 && facts->items == 20 &&
           facts->longest == 3 && facts->rejected == 1,
       "an input is surveyed");
    bool right = true;
    for (int i = 0; i < 20; i++) right = right && next(data) == 100 + i % 10;
    ok(right && next(data) == -1, "twice over it, in its order");
    is_int(rejected, 1, "a bad record is reported once");
    brew_data_free(data);
    data = open_one(path, true, 3);
    int seen[10] = {0}, moved = 0;
    for (int i = 0; i < 30; i++) {
        int at = next(data) - 100;
        if (at >= 0 && at < 10) seen[at]++;
        moved += at != i % 10;
    }
    right = next(data) == -1;
    for (int i = 0; i < 10; i++) right = right && seen[i] == 3;
    ok(right && moved > 15, "shuffled, each request once an epoch");
    brew_data_free(data);
}

static void test_places(const char *path) {
    brew_err err;
    bool right = true;
    for (int shuffle = 0; shuffle < 2; shuffle++)
        for (uint64_t k = 0; k < 25; k += 3) {
            brew_data *a = open_one(path, shuffle, 0), *b = open_one(path, shuffle, 0);
            for (uint64_t i = 0; i < k; i++) next(a);
            right = right && !brew_data_skip(b, k, &err) && brew_data_hash(a) == brew_data_hash(b);
            right = right && next(a) == next(b) && brew_data_hash(a) == brew_data_hash(b);
            brew_data_free(a);
            brew_data_free(b);
        }
    ok(right, "a place is found again by counting, and known by its hash");
    brew_data *data = open_one(path, false, 1);
    ok(brew_data_skip(data, 11, &err) < 0 && strstr(err.text, "ends after 10"),
       "unless the input is shorter");
    brew_data_free(data);
}

static void test_mix(const char *a, const char *b) {
    brew_data_input inputs[2] = {{a, 0.75}, {b, 0.25}};
    brew_data_options o = options(true, 0);
    brew_err err;
    brew_data *data = brew_data_open(inputs, 2, &o, &err);
    int from_a = 0;
    for (int i = 0; i < 200; i++) from_a += next(data) < 300;
    is_int(from_a, 150, "a mix has its shares");
    ok(brew_data_tasks(data) == 2, "its inputs are tasks");
    is_str(brew_data_task(data, 1), "b", "named after their files");
    brew_json *identity = brew_data_identity(data);
    is_int((long long)brew_json_length(identity), 2, "and told apart by their digests");
    brew_json_free(identity);
    brew_data_free(data);
}

static void test_masks(const char *path) {
    brew_data *data = open_one(path, false, 1);
    brew_batch batch = {0}, copy = {0};
    brew_err err;
    for (int i = 0; i < 4; i++) brew_data_next(data, &batch, &err);
    for (size_t r = 4; r-- > 0;) brew_batch_append(&copy, &batch, r);
    // Of the copy's requests, the second and the last have an offset, at their second item.
    bool right = copy.star.n_answers == 8;
    for (size_t a = 0; right && a < 8; a++) {
        int64_t n = copy.positive_splits[a + 1] - copy.positive_splits[a];
        const uint8_t *mask = copy.positive + copy.positive_splits[a];
        if (a == 3 || a == 7)
            right = n == 3 && mask[0] && !mask[1] && mask[2] && copy.star.offsets[a] == 1.5f;
        else
            right = n == 0;
    }
    ok(right, "answers with an offset know their positive labels");
    ok(brew_batch_bytes(&copy) > 100 && !copy.star.meta.len, "texts are not kept");
    brew_batch_release(&batch);
    brew_batch_release(&copy);
    brew_data_free(data);
}

int main(void) {
    brew_err err;
    brew_encode_options encode = {.vocab = 600, .max_span = 100};
    if (!mkdtemp(root) || !(model = brew_modeldir_open("testdata/models/tiny", &err))) return 1;
    pool = brew_pool_new(2);
    encoder = brew_encoder_new(model, 2, &encode);
    char *a = write_input("a", 100, 10), *b = write_input("b", 300, 7);
    test_orders(a);
    test_places(a);
    test_mix(a, b);
    test_masks(a);
    unlink(a);
    unlink(b);
    rmdir(root);
    free(a);
    free(b);
    brew_encoder_free(encoder);
    brew_pool_free(pool);
    brew_modeldir_close(model);
    return tap_done();
}
