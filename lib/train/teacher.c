#include "train/teacher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "text/token/vocab_map.h"

struct brew_teacher {
    bool stream;
    brew_modeldir *dir; // of a model
    brew_config config;
    brew_backend *be;
    brew_model *model;
    int32_t *ids; // of the student's, where its vocabulary was cut since; else NULL
    char digest[65], arithmetic[64];
    int64_t topk;    // of a stream
    bool renumbered; // a stream
};

// 1 a token stream: its first member is brew.json and describes one; 0 something else; -1.
static int is_stream(const char *path, brew_err *err) {
    struct stat st;
    if (!stat(path, &st) && S_ISDIR(st.st_mode)) return 0;
    brew_in *in = brew_in_open(path, err);
    if (!in) return -1;
    static const char format[] = "\"brew-token-stream\"";
    const char *head;
    ssize_t seen = brew_in_peek(in, &head, 1024, err);
    bool found = false;
    for (size_t at = 0; seen > 0 && !found && at + sizeof format <= (size_t)seen; at++)
        found = !memcmp(head + at, format, sizeof format - 1);
    brew_in_close(in);
    return seen < 0 ? -1 : found;
}

static int look_at_stream(brew_teacher *teacher, const char *path, brew_pool *pool,
                          const brew_student *student, brew_err *err) {
    brew_source_options reading = {.pool = pool, .encoder = student->encoder};
    brew_lesson *lesson = brew_lesson_open(path, &reading, err);
    if (!lesson) return -1;
    const brew_star_teacher *said = brew_lesson_teacher(lesson);
    snprintf(teacher->digest, sizeof teacher->digest, "%s", said->model);
    snprintf(teacher->arithmetic, sizeof teacher->arithmetic, "%s", said->arithmetic);
    teacher->topk = said->topk;
    teacher->renumbered = brew_lesson_renumbers(lesson);
    brew_lesson_close(lesson);
    return 0;
}

static bool has_tokenizer(const brew_modeldir *dir) {
    size_t len;
    return brew_modeldir_gguf(dir) || brew_modeldir_file(dir, "tokenizer.json", &len);
}

// Of a student cut from the teacher: which id of the teacher's each of its ids was. 1; 0 if it was not; -1.
static int find_ids(brew_teacher *teacher, const brew_student *student, const char *theirs,
                    const brew_tokenizer *ours, brew_err *err) {
    brew_vocab_map map;
    size_t n = brew_tokenizer_vocab(ours);
    int found =
        brew_vocab_map_find(&map, student->dir, theirs, brew_tokenizer_digest(ours), n, err);
    if (found <= 0) return found;
    if ((int64_t)n < student->vocab) n = (size_t)student->vocab;
    teacher->ids = brew_vocab_map_back(&map, n);
    brew_vocab_map_release(&map);
    for (size_t i = 0; i < n; i++)
        if (teacher->ids[i] < 0 || teacher->ids[i] >= teacher->config.vocab)
            return brew_fail(err, BREW_DATA, "%s: the map of its vocabulary has no id %zu",
                             brew_modeldir_name(student->dir), i);
    return 1;
}

static int compare_tokenizers(brew_teacher *teacher, const brew_student *student,
                              const brew_tokenizer *ours, const brew_tokenizer *theirs,
                              brew_err *err) {
    const char *a = brew_tokenizer_digest(theirs), *b = brew_tokenizer_digest(ours);
    if (!strcmp(a, b)) return 0;
    int found = find_ids(teacher, student, a, ours, err);
    if (found) return found < 0 ? -1 : 0;
    return brew_fail(err, BREW_DATA,
                     "%s: the teacher's tokenizer is %.12s..., the student's %.12s...: they must "
                     "be the same",
                     brew_modeldir_name(teacher->dir), a, b);
}

static int check_tokenizer(brew_teacher *teacher, const brew_student *student, brew_err *err) {
    if (!has_tokenizer(teacher->dir) && !has_tokenizer(student->dir)) {
        if (teacher->config.vocab == student->vocab) return 0;
        return brew_fail(err, BREW_DATA,
                         "%s: the teacher's vocabulary has %lld entries, the student's %lld",
                         brew_modeldir_name(teacher->dir), (long long)teacher->config.vocab,
                         (long long)student->vocab);
    }
    const brew_tokenizer *ours = brew_encoder_tokenizer(student->encoder, err);
    if (!ours) return brew_err_context(err, "to compare it with the teacher's");
    brew_tokenizer *theirs = brew_tokenizer_open(teacher->dir, err);
    if (!theirs) return brew_err_context(err, "the teacher");
    int rc = compare_tokenizers(teacher, student, ours, theirs, err);
    brew_tokenizer_free(theirs);
    return rc;
}

static int look_at_model(brew_teacher *teacher, const char *path, int precision, const char *kernel,
                         brew_pool *pool, const brew_student *student, brew_err *err) {
    if (!(teacher->dir = brew_modeldir_open(path, err)) ||
        brew_config_read(&teacher->config, teacher->dir, err) ||
        check_tokenizer(teacher, student, err))
        return -1;
    enum brew_precision wanted = brew_model_precision(precision, &teacher->config, teacher->dir);
    teacher->be = brew_backend_open(kernel, wanted, pool, err);
    if (!teacher->be) return -1;
    brew_modeldir_digest(teacher->dir, teacher->digest);
    snprintf(teacher->arithmetic, sizeof teacher->arithmetic, "%s/%s",
             wanted == BREW_PRECISION_F32 ? "f32" : "bf16", teacher->be->level);
    return 0;
}

brew_teacher *brew_teacher_look(const char *path, int precision, const char *kernel,
                                brew_pool *pool, const brew_student *student, brew_err *err) {
    brew_teacher *teacher = brew_calloc(1, sizeof *teacher);
    int stream = is_stream(path, err);
    teacher->stream = stream > 0;
    if (stream >= 0 &&
        !(stream ? look_at_stream(teacher, path, pool, student, err)
                 : look_at_model(teacher, path, precision, kernel, pool, student, err)))
        return teacher;
    brew_teacher_free(teacher);
    return NULL;
}

void brew_teacher_free(brew_teacher *teacher) {
    if (!teacher) return;
    brew_model_free(teacher->model);
    brew_backend_close(teacher->be);
    brew_config_release(&teacher->config);
    brew_modeldir_close(teacher->dir);
    free(teacher->ids);
    free(teacher);
}

bool brew_teacher_is_stream(const brew_teacher *teacher) {
    return teacher->stream;
}

size_t brew_teacher_bytes(const brew_teacher *teacher, int64_t rows) {
    const brew_config *c = &teacher->config;
    if (teacher->stream) return 0;
    size_t each = teacher->be->precision == BREW_PRECISION_F32 ? 4 : 2;
    int64_t qkv = (c->heads + 2 * c->kv_heads) * c->head_dim;
    // What a block of the forward pass holds of each row: residual stream, operands, q, k, v; and the keys
    // and values of every layer.
    int64_t row = 3 * c->width + qkv + c->heads * c->head_dim + 2 * c->mlp +
                  2 * c->layers * c->kv_heads * c->head_dim;
    return (size_t)brew_config_parameters(c) * each + (size_t)(rows * row) * 4;
}

int64_t brew_teacher_context(const brew_teacher *teacher) {
    return teacher->stream ? INT64_MAX : teacher->config.context;
}

const brew_config *brew_teacher_config(const brew_teacher *teacher) {
    return teacher->stream ? NULL : &teacher->config;
}

int brew_teacher_load(brew_teacher *teacher, brew_err *err) {
    if (teacher->stream) return 0;
    teacher->model = brew_model_open(teacher->dir, teacher->be, err);
    return teacher->model ? 0 : -1;
}

brew_model *brew_teacher_model(brew_teacher *teacher) {
    return teacher->model;
}

bool brew_teacher_renumbered(const brew_teacher *teacher) {
    return teacher->ids || teacher->renumbered;
}

const int32_t *brew_teacher_ids(const brew_teacher *teacher) {
    return teacher->ids;
}

int64_t brew_teacher_topk(const brew_teacher *teacher) {
    return teacher->topk;
}

const char *brew_teacher_digest(const brew_teacher *teacher) {
    return teacher->digest;
}

const char *brew_teacher_arithmetic(const brew_teacher *teacher) {
    return teacher->arithmetic;
}

const brew_modeldir *brew_teacher_dir(const brew_teacher *teacher) {
    return teacher->dir;
}
