// GGUF written: values rounded as the gguf package rounds them (testdata/gguf/types.gguf, made by
// scripts/peers/gguf_goldens.py), keys as they stood, and what has no type there.
#include "io/gguf_write.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tap.h"
#include "io/map.h"
#include "io/testing.h"

static brew_err err;
static const char path[] = "gguf_write_test.gguf";

static void rows_of(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    brew_tensor_rows(((const brew_tensor *const *)arg)[index], first, count, rows);
}

static int write_file(const brew_gguf_keys *keys, const brew_named_tensor *tensors, size_t n,
                      const brew_tensor *const *from) {
    brew_out *out = brew_out_open(path, BREW_OUT_BINARY, &err);
    if (out && !brew_gguf_write_rows(out, keys, tensors, n, rows_of, (void *)(uintptr_t)from, &err))
        return brew_out_commit(out, &err);
    brew_out_abandon(out);
    return -1;
}

static bool same_bytes(const brew_tensor *a, const brew_tensor *b) {
    size_t x = 0, y = 0;
    return a && b && a->dtype == b->dtype && a->n_dims == b->n_dims && brew_tensor_bytes(a, &x) &&
           brew_tensor_bytes(b, &y) && x == y && !memcmp(a->data, b->data, x);
}

int main(void) {
    static const struct {
        const char *from, *want; // golden's tensors
    } table[] = {{"f32", "f32"},          {"f32", "bf16"},  {"f32", "f16"},   {"f32", "q8_0"},
                 {"edges", "edges.q8_0"}, {"cube", "cube"}, {"q8_0", "q8_0"}, {"bf16", "bf16"}};
    enum { N = sizeof table / sizeof *table };
    brew_map golden_map = {0}, map = {0};
    if (brew_map_open(&golden_map, "testdata/gguf/types.gguf", &err)) brew_bug("%s", err.text);
    brew_gguf *golden = brew_gguf_parse(golden_map.ptr, golden_map.len, "golden", &err);
    if (!ok(golden, "there is a golden")) return tap_done();

    brew_gguf_keys keys = {0};
    for (size_t i = 0; i < brew_gguf_n_keys(golden); i++) brew_gguf_add_copy(&keys, golden, i);
    brew_gguf_add_u32(&keys, "new.u32", 4000000000u);
    brew_gguf_add_f32(&keys, "new.f32", 0.25f);
    brew_gguf_add_bool(&keys, "new.bool", true);
    brew_gguf_add_text(&keys, "new.text", "text");
    brew_gguf_add_array(&keys, "new.texts", BREW_GGUF_STRING, 2);
    brew_gguf_put_string(&keys, "a", 1);
    brew_gguf_put_string(&keys, "", 0);
    brew_named_tensor tensors[N];
    const brew_tensor *from[N];
    char names[N][8];
    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof *names, "t%zu", i);
        from[i] = brew_gguf_tensor(golden, table[i].from);
        tensors[i] = (brew_named_tensor){names[i], *from[i]};
        tensors[i].tensor.dtype = brew_gguf_tensor(golden, table[i].want)->dtype;
    }
    ok(!write_file(&keys, tensors, N, from) && !brew_map_open(&map, path, &err),
       "a file is written");
    brew_gguf *got = brew_gguf_parse(map.ptr, map.len, path, &err);
    if (ok(got, "and read")) {
        for (size_t i = 0; i < N; i++)
            ok(same_bytes(brew_gguf_tensor(got, names[i]), brew_gguf_tensor(golden, table[i].want)),
               "%s becomes %s", table[i].from, table[i].want);
        bool same = brew_gguf_n_keys(got) == brew_gguf_n_keys(golden) + 5;
        for (size_t i = 0; same && i < brew_gguf_n_keys(golden); i++) {
            size_t a, b;
            const char *x = brew_gguf_raw(golden, i, &a), *y = brew_gguf_raw(got, i, &b);
            same = a == b && !memcmp(x, y, a);
        }
        int64_t number = 0;
        double real = 0;
        bool flag = false;
        enum brew_gguf_type type;
        size_t n = 0;
        ok(same && brew_gguf_int(got, "new.u32", &number) && number == 4000000000 &&
               brew_gguf_real(got, "new.f32", &real) && real == 0.25 &&
               brew_gguf_bool(got, "new.bool", &flag) && flag &&
               brew_gguf_array(got, "new.texts", &type, &n) && n == 2,
           "keys are as they were, and new ones are there");
    }
    brew_gguf_free(got);
    brew_map_close(&map);

    tensors[0].tensor.dtype = BREW_F8_E4M3;
    ok(write_file(&keys, tensors, 1, from) && strstr(err.text, "GGUF has no type F8_E4M3"), "%s",
       err.text);
    tensors[0].tensor = (brew_tensor){.dtype = BREW_Q8_0, .n_dims = 2, .shape = {2, 48}};
    ok(write_file(&keys, tensors, 1, from) && strstr(err.text, "impossible for type Q8_0"), "%s",
       err.text);
    brew_out *full = brew_out_open("/dev/full", BREW_OUT_BINARY, &err);
    tensors[0].tensor = *from[0];
    int status = full ? brew_gguf_write_rows(full, &keys, tensors, 1, rows_of, from, &err) : -1;
    if (full && !status)
        status = brew_out_commit(full, &err);
    else
        brew_out_abandon(full);
    ok(status && err.code == BREW_IO, "a full disk: %s", err.text);
    brew_gguf_keys_release(&keys);
    brew_gguf_free(golden);
    brew_map_close(&golden_map);
    unlink(path);
    return tap_done();
}
