#include "io/star_stream.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/provenance.h"
#include "io/star_parts.h"
#include "io/tarstream.h"

enum { MAX_META_KEYS = 256 };

struct brew_star_reader {
    brew_in *in;
    brew_tar_reader *tar;
    brew_json *head, *end;
    const char *tokenizer;
    size_t vocab;
    brew_star_counts counts;
    brew_buf bytes[STAR_MOST_PARTS]; // of the batch's members; star's arrays point into them
    size_t n[STAR_MOST_PARTS];
    brew_star star;
    brew_star_teacher teacher; // model is NULL if there is none
    bool done;
};

int brew_star_sniff(brew_in *in, brew_err *err) {
    const char *bytes;
    ssize_t got = brew_in_peek(in, &bytes, 10, err);
    return got < 0 ? -1 : got == 10 && !memcmp(bytes, "brew.json", 10);
}

static int context(const brew_star_reader *reader, const char *member, brew_err *err) {
    return brew_err_context(err, "%s: %s", brew_in_name(reader->in), member);
}

// brew.json or brew.end.json: an object with a provenance.
static brew_json *parse_object(const brew_buf *bytes, brew_err *err) {
    brew_json *object = brew_json_parse(bytes->ptr, bytes->len, err);
    if (!object) return NULL;
    if (!brew_json_is(object, BREW_JSON_OBJECT))
        brew_fail(err, BREW_DATA, "it must hold an object, not %s", brew_json_type_name(object));
    else if (!brew_provenance_check(brew_json_get(object, "provenance"), err))
        return object;
    brew_json_free(object);
    return NULL;
}

static int read_teacher(brew_star_teacher *teacher, const brew_json *object, brew_err *err) {
    if (!brew_json_is(object, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "its \"teacher\" is no object");
    if (brew_json_want_string(object, "sha256", &teacher->model, err) < 0 ||
        brew_json_want_string(object, "arithmetic", &teacher->arithmetic, err) < 0)
        return -1;
    if (brew_json_want_int(object, "topk", 1, BREW_MOST_TOPK, &teacher->topk, err) < 0) return -1;
    if (!teacher->model || !teacher->arithmetic)
        return brew_fail(err, BREW_DATA, "its \"teacher\" has no \"sha256\" or \"arithmetic\"");
    return 0;
}

static int read_head(brew_star_reader *reader, const brew_buf *bytes, brew_err *err) {
    const char *format = NULL;
    int64_t version = 0, vocab = 0;
    reader->head = parse_object(bytes, err);
    if (!reader->head || brew_json_want_string(reader->head, "format", &format, err) < 0) return -1;
    if (!format || strcmp(format, STAR_FORMAT))
        return brew_fail(err, BREW_DATA, "its \"format\" is not \"%s\"", STAR_FORMAT);
    if (brew_json_want_int(reader->head, "version", STAR_VERSION, STAR_VERSION, &version, err) < 0)
        return -1;
    const brew_json *made_by = brew_json_get(reader->head, "tokenizer");
    if (version != STAR_VERSION || !brew_json_is(made_by, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "it has no \"version\" or no \"tokenizer\" object");
    if (brew_json_want_string(made_by, "sha256", &reader->tokenizer, err) < 0 ||
        brew_json_want_int(made_by, "vocab", 0, INT32_MAX, &vocab, err) < 0)
        return -1;
    reader->vocab = (size_t)vocab;
    const brew_json *teacher = brew_json_get(reader->head, "teacher");
    return teacher ? read_teacher(&reader->teacher, teacher, err) : 0;
}

brew_star_reader *brew_star_read_start(brew_in *in, brew_err *err) {
    brew_star_reader *reader = brew_calloc(1, sizeof *reader);
    reader->in = in;
    reader->tar = brew_tar_read_start(in);
    reader->tokenizer = "";
    const char *name;
    int got = brew_tar_read(reader->tar, &name, &reader->bytes[STAR_META], err);
    if (got > 0 && !strcmp(name, "brew.json")) {
        if (!read_head(reader, &reader->bytes[STAR_META], err)) return reader;
        context(reader, name, err);
    } else if (got >= 0) {
        brew_fail(err, BREW_DATA, "%s: not a token stream: its first member is not brew.json",
                  brew_in_name(in));
    }
    brew_star_read_free(reader);
    return NULL;
}

void brew_star_read_free(brew_star_reader *reader) {
    if (!reader) return;
    brew_tar_read_free(reader->tar);
    brew_json_free(reader->head);
    brew_json_free(reader->end);
    for (int part = 0; part < STAR_MOST_PARTS; part++) brew_buf_release(&reader->bytes[part]);
    free(reader);
}

static int check_count(const brew_json *end, const char *key, uint64_t want, brew_err *err) {
    int64_t got = -1;
    if (brew_json_want_int(end, key, 0, INT64_MAX, &got, err) < 0) return -1;
    if (got < 0 || (uint64_t)got != want)
        return brew_fail(err, BREW_DATA, "it counts %lld %s, the stream holds %llu", (long long)got,
                         key, (unsigned long long)want);
    return 0;
}

static int check_digest(const brew_json *end, const char *key, const char *digest, const char *what,
                        brew_err *err) {
    const char *stated = NULL;
    if (brew_json_want_string(end, key, &stated, err) < 0) return -1;
    if (!stated || strcmp(stated, digest))
        return brew_fail(err, BREW_DATA,
                         "its \"%s\" is not the digest of %s: something was changed", key, what);
    return 0;
}

static int check_provenance(const brew_json *end, const brew_buf *bytes, brew_err *err) {
    brew_json_slice slices[16];
    size_t n = brew_json_slices(bytes->ptr, bytes->len, slices, 16);
    char digest[65] = "";
    for (size_t i = 0; i < n; i++)
        if (slices[i].key_len == 10 && !memcmp(slices[i].key, "provenance", 10))
            brew_star_digest_of(slices[i].value, slices[i].value_len, digest);
    return check_digest(end, "provenance_sha256", digest, "the provenance", err);
}

static int check_end(brew_star_reader *reader, const brew_buf *bytes, brew_err *err) {
    const brew_star_counts *counts = &reader->counts;
    char digest[65];
    brew_tar_read_digest(reader->tar, digest);
    reader->end = parse_object(bytes, err);
    if (!reader->end || check_count(reader->end, "batches", counts->batches, err) ||
        check_count(reader->end, "requests", counts->requests, err) ||
        check_count(reader->end, "items", counts->items, err) ||
        check_count(reader->end, "tokens", counts->tokens, err) ||
        check_count(reader->end, "answers", counts->answers, err) ||
        check_digest(reader->end, "sha256", digest, "the stream", err))
        return -1;
    return check_provenance(reader->end, bytes, err);
}

// brew.end.json has been read: it must be right and last.
static int finish(brew_star_reader *reader, const brew_buf *bytes, brew_err *err) {
    if (check_end(reader, bytes, err)) return context(reader, "brew.end.json", err);
    const char *name;
    brew_buf more = {0};
    int got = brew_tar_read(reader->tar, &name, &more, err);
    brew_buf_release(&more);
    if (got > 0)
        brew_fail(err, BREW_DATA, "%s: a member stands behind brew.end.json",
                  brew_in_name(reader->in));
    reader->done = got == 0;
    return got == 0 ? 0 : -1;
}

static int check_meta(const brew_buf *meta, brew_err *err) {
    brew_json_slice slices[MAX_META_KEYS];
    size_t line = 1;
    for (const char *at = meta->ptr, *end = at + meta->len, *stop; at < end;
         at = stop + 1, line++) {
        stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) return brew_fail(err, BREW_DATA, "the last line has no newline");
        if (brew_json_members(at, (size_t)(stop - at), slices, MAX_META_KEYS, err) < 0)
            return brew_err_context(err, "line %zu", line);
    }
    return 0;
}

// The member just read into bytes[part], if it has the name that comes next in a batch.
static int check_part(brew_star_reader *reader, enum star_part part, const char *name,
                      brew_err *err) {
    char want[64];
    brew_star_member_name(want, sizeof want, reader->counts.batches, part);
    if (strcmp(name, want))
        return brew_fail(err, BREW_DATA, "it stands where %s was expected", want);
    if (part == STAR_META) return check_meta(&reader->bytes[STAR_META], err);
    brew_npy array;
    if (brew_npy_parse(reader->bytes[part].ptr, reader->bytes[part].len, &array, err)) return -1;
    if (array.type != brew_star_parts[part].type || array.n_dims != 1)
        return brew_fail(err, BREW_DATA, "it has another type, or not one dimension");
    reader->n[part] = array.count;
    return 0;
}

static void *data_of(brew_star_reader *reader, enum star_part part) {
    const char *bytes = reader->bytes[part].ptr;
    size_t header = 10 + ((size_t)(unsigned char)bytes[8] | (size_t)(unsigned char)bytes[9] << 8);
    return reader->bytes[part].ptr + header; // a multiple of 64 behind what malloc gave
}

static int want_length(const brew_star_reader *reader, enum star_part part, size_t want,
                       brew_err *err) {
    if (reader->n[part] == want) return 0;
    return brew_fail(err, BREW_DATA, "%s has %zu elements where %zu were expected",
                     brew_star_parts[part].name, reader->n[part], want);
}

// Makes the star of the members read; lengths first, then all that brew_star_check knows.
static int assemble(brew_star_reader *reader, brew_err *err) {
    brew_star *star = &reader->star;
    const size_t *n = reader->n;
    if (n[STAR_REQUESTS] < 2 || !n[STAR_SEGMENTS] || !n[STAR_LABEL_SPLITS])
        return brew_fail(err, BREW_DATA, "it holds no request, or row splits without an element");
    *star = (brew_star){
        .n_ids = n[STAR_IDS],
        .n_segments = n[STAR_SEGMENTS] - 1,
        .n_requests = n[STAR_REQUESTS] - 1,
        .n_answers = n[STAR_ANSWERS],
        .n_sets = n[STAR_LABEL_SPLITS] - 1,
        .ids = data_of(reader, STAR_IDS),
        .segments = data_of(reader, STAR_SEGMENTS),
        .requests = data_of(reader, STAR_REQUESTS),
        .answers = data_of(reader, STAR_ANSWERS),
        .answer_splits = data_of(reader, STAR_ANSWER_SPLITS),
        .answer_set = data_of(reader, STAR_ANSWER_SET),
        .targets = data_of(reader, STAR_TARGETS),
        .weights = data_of(reader, STAR_WEIGHTS),
        .offsets = data_of(reader, STAR_OFFSETS),
        .label_ids = data_of(reader, STAR_LABEL_IDS),
        .label_splits = data_of(reader, STAR_LABEL_SPLITS),
        .meta = reader->bytes[STAR_META],
    };
    if (want_length(reader, STAR_ANSWER_SPLITS, n[STAR_REQUESTS], err) ||
        want_length(reader, STAR_ANSWER_SET, n[STAR_ANSWERS], err) ||
        want_length(reader, STAR_TARGETS, n[STAR_ANSWERS], err) ||
        want_length(reader, STAR_WEIGHTS, n[STAR_ANSWERS], err) ||
        want_length(reader, STAR_OFFSETS, n[STAR_ANSWERS], err))
        return -1;
    int64_t labels = star->label_splits[star->n_sets];
    if (labels < 0 || (uint64_t)labels != n[STAR_LABEL_IDS])
        return brew_fail(err, BREW_DATA, "label_splits ends at %lld, but there are %zu label_ids",
                         (long long)labels, n[STAR_LABEL_IDS]);
    return brew_star_check(star, reader->vocab, err);
}

// The teacher's logits of the batch just assembled. A label set may be the whole vocabulary: then
// there is no rest, and its log-sum-exp is -inf.
static int take_teacher(brew_star_reader *reader, brew_err *err) {
    size_t n;
    if (!brew_star_label_logits(&reader->star, &n)) n = SIZE_MAX;
    if (want_length(reader, STAR_LABEL_LOGITS, n, err) ||
        want_length(reader, STAR_REST, reader->star.n_answers, err))
        return -1;
    const float *logits = data_of(reader, STAR_LABEL_LOGITS), *rest = data_of(reader, STAR_REST);
    bool good = true;
    for (size_t i = 0; i < n; i++) good &= !!isfinite(logits[i]);
    for (size_t a = 0; a < reader->star.n_answers; a++) good &= rest[a] < INFINITY;
    if (!good) return brew_fail(err, BREW_DATA, "a teacher's logit is not finite");
    reader->teacher.label_logits = logits;
    reader->teacher.rest = rest;
    return 0;
}

static bool is_label(const brew_star *star, size_t a, int32_t id) {
    int64_t at = star->label_splits[star->answer_set[a]];
    for (int64_t k = 0; k < brew_star_labels(star, a); k++)
        if (star->label_ids[at + k] == id) return true;
    return false;
}

// The likeliest tokens of answer a: ids of the vocabulary, none a label, none twice, in their order.
static int check_topk(const brew_star_reader *reader, size_t a, brew_err *err) {
    const brew_star_teacher *teacher = &reader->teacher;
    const int32_t *ids = teacher->topk_ids + a * (size_t)teacher->topk;
    const float *logits = teacher->topk_logits + a * (size_t)teacher->topk;
    for (int64_t k = 0; k < teacher->topk; k++) {
        bool twice = false;
        for (int64_t i = 0; i < k; i++) twice |= ids[i] == ids[k];
        if (ids[k] < 0 || (reader->vocab && (size_t)ids[k] >= reader->vocab))
            return brew_fail(err, BREW_DATA, "topk_ids has %d, which is no id of the vocabulary",
                             (int)ids[k]);
        if (twice || is_label(&reader->star, a, ids[k]))
            return brew_fail(err, BREW_DATA, "topk_ids has %d, %s", (int)ids[k],
                             twice ? "twice for an answer" : "which is a label of its answer");
        if (!isfinite(logits[k]))
            return brew_fail(err, BREW_DATA, "a teacher's logit is not finite");
        if (k && (logits[k - 1] < logits[k] || (logits[k - 1] == logits[k] && ids[k - 1] > ids[k])))
            return brew_fail(err, BREW_DATA, "topk_logits do not descend");
    }
    return 0;
}

static int take_topk(brew_star_reader *reader, brew_err *err) {
    brew_star_teacher *teacher = &reader->teacher;
    size_t n, answers = reader->star.n_answers;
    if (!teacher->topk) return 0;
    if (!brew_mul(answers, (size_t)teacher->topk, &n)) n = SIZE_MAX;
    if (want_length(reader, STAR_TOPK_IDS, n, err) ||
        want_length(reader, STAR_TOPK_LOGITS, n, err) ||
        want_length(reader, STAR_TOPK_REST, answers, err))
        return -1;
    teacher->topk_ids = data_of(reader, STAR_TOPK_IDS);
    teacher->topk_logits = data_of(reader, STAR_TOPK_LOGITS);
    teacher->topk_rest = data_of(reader, STAR_TOPK_REST);
    for (size_t a = 0; a < answers; a++) {
        if (!(teacher->topk_rest[a] < INFINITY))
            return brew_fail(err, BREW_DATA, "a teacher's logit is not finite");
        if (check_topk(reader, a, err)) return -1;
    }
    return 0;
}

int brew_star_read(brew_star_reader *reader, const brew_star **star, brew_err *err) {
    if (reader->done) return 0;
    bool taught = reader->teacher.model;
    enum star_part parts = brew_star_parts_end(&reader->teacher);
    for (enum star_part part = 0; part < parts; part++) {
        const char *name;
        int got = brew_tar_read(reader->tar, &name, &reader->bytes[part], err);
        if (got < 0) return -1;
        if (got == 0)
            return brew_fail(err, BREW_DATA, "%s: the tar ends without brew.end.json",
                             brew_in_name(reader->in));
        if (part == 0 && !strcmp(name, "brew.end.json"))
            return finish(reader, &reader->bytes[part], err);
        if (check_part(reader, part, name, err)) return context(reader, name, err);
    }
    if (assemble(reader, err) ||
        (taught && (take_teacher(reader, err) || take_topk(reader, err)))) {
        char batch[32];
        snprintf(batch, sizeof batch, "batch %06llu", (unsigned long long)reader->counts.batches);
        return context(reader, batch, err);
    }
    brew_star_count(&reader->counts, &reader->star);
    *star = &reader->star;
    return 1;
}

const char *brew_star_read_tokenizer(const brew_star_reader *reader) {
    return reader->tokenizer;
}

size_t brew_star_read_vocab(const brew_star_reader *reader) {
    return reader->vocab;
}

const brew_star_teacher *brew_star_read_teacher(const brew_star_reader *reader) {
    return reader->teacher.model ? &reader->teacher : NULL;
}

const brew_star_counts *brew_star_read_counts(const brew_star_reader *reader) {
    return &reader->counts;
}

const brew_json *brew_star_read_provenance(const brew_star_reader *reader) {
    return brew_json_get(reader->end ? reader->end : reader->head, "provenance");
}
