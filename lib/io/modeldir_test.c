// Models in every container, and containers that lie: directories, tars, GGUF files made here.
#define _XOPEN_SOURCE 700 // mkdtemp
#include "io/modeldir.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/tap.h"
#include "io/gguf.h"

static char base[256]; // a temporary directory, removed at the end
static int n_models;

static void write_bytes(const char *path, const void *bytes, size_t len) {
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, len, file) != len || fclose(file))
        printf("# cannot write %s\n", path);
}

typedef struct member {
    const char *name;
    const char *bytes;
    size_t len;
    char type; // of a tar entry: 0 is a regular file
} member;

#define TEXT(name, text) \
    { name, text, sizeof text - 1, 0 }

// A safetensors file of F32 tensors of one value each, named by the letters of `names`.
static member shard(const char *file, const char *names) {
    brew_buf b = {0};
    uint64_t len = 0;
    brew_buf_add(&b, &len, 8);
    brew_buf_addc(&b, '{');
    size_t n = strlen(names);
    for (size_t i = 0; i < n; i++)
        brew_buf_addf(&b, "%s\"%c\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}",
                      i ? "," : "", names[i], i * 4, i * 4 + 4);
    brew_buf_addc(&b, '}');
    len = b.len - 8;
    memcpy(b.ptr, &len, 8);
    for (size_t i = 0; i < n; i++) {
        float value = (float)names[i];
        brew_buf_add(&b, &value, 4);
    }
    return (member){file, b.ptr, b.len, 0}; // leaked on purpose only until release()
}

static void release(member *m) {
    free((void *)(uintptr_t)m->bytes);
}

static const char *make_directory(const member *files, size_t n) {
    static char path[512];
    snprintf(path, sizeof path, "%s/model%d", base, n_models++);
    mkdir(path, 0755);
    for (size_t i = 0; i < n; i++) {
        char name[700];
        snprintf(name, sizeof name, "%s/%s", path, files[i].name);
        write_bytes(name, files[i].bytes, files[i].len);
    }
    return path;
}

static void add_octal(char *field, size_t digits, size_t value) {
    for (size_t i = digits; i-- > 0; value /= 8) field[i] = (char)('0' + value % 8);
}

static void add_tar_entry(brew_buf *tar, const member *m) {
    char header[512] = {0};
    strncpy(header, m->name, 99);
    add_octal(header + 100, 7, 0644);
    add_octal(header + 108, 7, 0);
    add_octal(header + 116, 7, 0);
    add_octal(header + 124, 11, m->len);
    add_octal(header + 136, 11, 0);
    header[156] = m->type ? m->type : '0';
    if (m->type == '1' || m->type == '2') strcpy(header + 157, "elsewhere");
    memcpy(header + 257, "ustar\00000", 8);
    memset(header + 148, ' ', 8);
    size_t sum = 0;
    for (int i = 0; i < 512; i++) sum += (unsigned char)header[i];
    add_octal(header + 148, 6, sum);
    header[154] = 0;
    brew_buf_add(tar, header, 512);
    brew_buf_add(tar, m->bytes, m->len);
    while (tar->len % 512) brew_buf_addc(tar, 0);
}

static brew_buf make_tar(const member *files, size_t n) {
    brew_buf tar = {0};
    for (size_t i = 0; i < n; i++) add_tar_entry(&tar, &files[i]);
    for (int i = 0; i < 1024; i++) brew_buf_addc(&tar, 0);
    return tar;
}

static const char *tar_path(const char *bytes, size_t len) {
    static char path[512];
    snprintf(path, sizeof path, "%s/model.tar", base);
    write_bytes(path, bytes, len);
    return path;
}

static void refused(const char *path, const char *want, const char *what) {
    brew_err err = {0};
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    if (!ok(!dir && err.code != BREW_OK && strstr(err.text, want), "%s", what))
        printf("# %s\n", dir ? "accepted" : err.text);
    brew_modeldir_close(dir);
}

static void refused_tar(const member *files, size_t n, const char *want, const char *what) {
    brew_buf tar = make_tar(files, n);
    refused(tar_path(tar.ptr, tar.len), want, what);
    brew_buf_release(&tar);
}

static bool holds(const brew_modeldir *dir, const char *names) {
    if (brew_modeldir_n_tensors(dir) != strlen(names)) return false;
    for (size_t i = 0; names[i]; i++) {
        const char *name;
        float value = 0;
        const brew_tensor *t = brew_modeldir_tensor_at(dir, i, &name);
        char wanted[2] = {names[i], 0};
        brew_tensor_rows(t, 0, 1, &value);
        if (strcmp(name, wanted) || value != (float)names[i] ||
            brew_modeldir_tensor(dir, wanted) != t)
            return false;
        brew_modeldir_forget(dir, t);
        brew_tensor_rows(t, 0, 1, &value);
        if (value != (float)names[i]) return false;
    }
    return true;
}

static void accepted(const char *path, const char *names, const char *what) {
    brew_err err = {0};
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    if (!ok(dir && holds(dir, names), "%s", what))
        printf("# %s\n", dir ? "wrong tensors" : err.text);
    brew_modeldir_close(dir);
}

#define CONFIG TEXT("config.json", "{\"model_type\":\"llama\"}")
#define INDEX(text) TEXT("model.safetensors.index.json", text)

static void test_directories(void) {
    member single[] = {CONFIG, shard("model.safetensors", "bca"), TEXT("empty.txt", "")};
    const char *path = make_directory(single, 3);
    accepted(path, "abc", "a directory with one safetensors file, sorted by name");
    brew_err err = {0};
    brew_modeldir *dir = brew_modeldir_open(path, &err);
    size_t len = 7;
    const char *text = brew_modeldir_file(dir, "config.json", &len);
    ok(text && len == 22 && !memcmp(text, "{\"model_type\"", 13), "its files by name");
    ok(brew_modeldir_file(dir, "empty.txt", &len) && len == 0, "an empty one");
    ok(!brew_modeldir_file(dir, "none", &len) && !brew_modeldir_gguf(dir), "NULL for none");
    ok(brew_modeldir_n_files(dir) == 3 &&
           !strcmp(brew_modeldir_file_name(dir, 2), "model.safetensors"),
       "its files by number");
    ok(!brew_modeldir_tensor(dir, "d"), "an unknown tensor is NULL");
    brew_modeldir_close(dir);

    member sharded[] = {
        CONFIG, shard("one.safetensors", "ac"), shard("two.safetensors", "b"),
        INDEX("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\","
              "\"c\":\"one.safetensors\"}}")};
    accepted(make_directory(sharded, 4), "abc", "shards by their index");
    member wrong = INDEX("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\","
                         "\"c\":\"one.safetensors\"}}");
    sharded[3] = wrong;
    refused(make_directory(sharded, 4), "tensor b is not in one.safetensors",
            "a weight in another shard");
    member missing =
        INDEX("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"three.safetensors\"}}");
    sharded[3] = missing;
    refused(make_directory(sharded, 4), "missing: three.safetensors", "a missing shard, by name");
    member more = INDEX("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    sharded[3] = more;
    refused(make_directory(sharded, 4), "tensor c is in one.safetensors",
            "a tensor that no index names");
    member climbing = INDEX("{\"weight_map\":{\"a\":\"../one.safetensors\"}}");
    sharded[3] = climbing;
    refused(make_directory(sharded, 4), "missing", "a shard outside the directory");
    member number = INDEX("{\"weight_map\":{\"a\":1}}"), none = INDEX("{}"), broken = INDEX("{");
    sharded[3] = number;
    refused(make_directory(sharded, 4), "more than strings", "an index of numbers");
    sharded[3] = none;
    refused(make_directory(sharded, 4), "no weight_map", "an index without a map");
    sharded[3] = broken;
    refused(make_directory(sharded, 4), "index.json", "an index that is no JSON");

    member tokenizer[] = {TEXT("tokenizer.json", "{}"), CONFIG};
    accepted(make_directory(tokenizer, 2), "", "a model without weights");
    accepted(make_directory(tokenizer, 1), "", "a tokenizer alone");
    refused(make_directory(single + 1, 1), "no config.json", "weights without config.json");
    refused(make_directory(NULL, 0), "no config.json", "an empty directory");
    member pickled[] = {CONFIG, TEXT("pytorch_model.bin", "\x80\2")};
    refused(make_directory(pickled, 2), "pytorch_model.bin are pickled",
            "pickled weights, by name");
    member other[] = {CONFIG, single[1]};
    other[1].name = "consolidated.safetensors";
    refused(make_directory(other, 2), "neither model.safetensors",
            "safetensors under another name");
    member damaged[] = {CONFIG, single[1]};
    damaged[1].len--;
    refused(make_directory(damaged, 2), "model.safetensors: tensor", "a damaged safetensors file");
    refused("testdata/none", "cannot open", "a path that is not there");
    release(&single[1]);
    release(&sharded[1]);
    release(&sharded[2]);
}

static void test_tars(void) {
    member files[] = {CONFIG,
                      shard("model.safetensors", "ab"),
                      TEXT("tokenizer.json", "{}"),
                      {"sub", "", 0, '5'},
                      TEXT("sub/x", "1")};
    brew_buf tar = make_tar(files, 5);
    accepted(tar_path(tar.ptr, tar.len), "ab", "a tar");
    brew_err err = {0};
    int taken = 0;
    for (size_t cut = 0; cut<tar.len; cut += cut % 512> 3 && cut % 512 < 508 ? 101 : 1) {
        brew_modeldir *dir = brew_modeldir_open(tar_path(tar.ptr, cut), &err);
        if (dir) printf("# taken when cut at %zu of %zu\n", cut, tar.len);
        taken += dir != NULL;
        brew_modeldir_close(dir);
    }
    is_int(taken, 0, "cut around every block's edge and inside it, it is refused");
    brew_buf_add(&tar, "\0\0\0\0", 4);
    accepted(tar_path(tar.ptr, tar.len), "ab", "more zeros behind the end are harmless");
    brew_buf_release(&tar);

    member nested[] = {{"./m", "", 0, '5'}, CONFIG, files[1]};
    nested[1].name = "./m/config.json";
    nested[2].name = "m/model.safetensors";
    tar = make_tar(nested, 3);
    accepted(tar_path(tar.ptr, tar.len), "ab", "a tar of the directory itself");
    brew_buf_release(&tar);
    member bad[] = {CONFIG, TEXT("../x", "1")};
    refused_tar(bad, 2, "../x leads out", "a name that climbs");
    bad[1].name = "/etc/x";
    refused_tar(bad, 2, "/etc/x leads out", "an absolute name");
    bad[1].name = "a/../../x";
    refused_tar(bad, 2, "leads out", "a name that climbs later");
    bad[1].name = "config.json";
    refused_tar(bad, 2, "config.json stands there twice", "a file twice");
    member links[] = {CONFIG, {"model.safetensors", "", 0, '2'}};
    refused_tar(links, 2, "model.safetensors is a link", "a symbolic link");
    links[1].type = '1';
    refused_tar(links, 2, "model.safetensors is a link", "a hard link");
    links[1].type = '6';
    refused_tar(links, 2, "no regular file", "a FIFO");
    refused_tar(files + 1, 1, "no config.json", "a tar without config.json");
    refused(tar_path("", 0), "neither", "an empty file");
    refused(tar_path("hello, this is no model at all", 30), "neither", "a text");
    refused(tar_path(files[1].bytes, files[1].len), "safetensors file alone",
            "a lone safetensors file");
    release(&files[1]);
}

static void test_gguf(void) {
    brew_err err = {0};
    brew_modeldir *dir = brew_modeldir_open("testdata/gguf/types.gguf", &err);
    if (!ok(dir && brew_modeldir_gguf(dir), "a GGUF file")) printf("# %s\n", err.text);
    if (!dir) return;
    bool sorted = true;
    const char *name, *last = "";
    for (size_t i = 0; i < brew_modeldir_n_tensors(dir); i++, last = name) {
        const brew_tensor *t = brew_modeldir_tensor_at(dir, i, &name);
        sorted &= strcmp(last, name) < 0 && brew_modeldir_tensor(dir, name) == t;
        brew_modeldir_forget(dir, t);
    }
    ok(sorted && brew_modeldir_n_tensors(dir) == 25, "its tensors by name");
    size_t len;
    ok(!brew_modeldir_file(dir, "config.json", &len) && brew_modeldir_n_files(dir) == 0,
       "it has no files");
    brew_modeldir_close(dir);
    refused(tar_path("GGUF\2\0\0\0", 8), "version 2", "a GGUF file of another version");
}

int main(void) {
    const char *tmp = getenv("TMPDIR");
    snprintf(base, sizeof base, "%s/brew-modeldir-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(base)) return 1;
    test_directories();
    test_tars();
    test_gguf();
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", base);
    if (system(command)) printf("# cannot remove %s\n", base);
    return tap_done();
}
