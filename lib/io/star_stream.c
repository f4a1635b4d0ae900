#include "io/star_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "io/npy.h"
#include "io/provenance.h"
#include "io/tarstream.h"

#define FORMAT "brew-token-stream"
enum { VERSION = 1, MAX_META_KEYS = 256 };

// A batch's members, in the order in which they stand.
enum part {
    IDS,
    SEGMENTS,
    REQUESTS,
    ANSWERS,
    ANSWER_SPLITS,
    ANSWER_SET,
    LABEL_IDS,
    LABEL_SPLITS,
    TARGETS,
    WEIGHTS,
    OFFSETS,
    META, // .jsonl, the others are .npy
    PARTS
};

static const struct {
    const char *name;
    enum brew_npy_type type;
} parts[PARTS] = {
    [IDS] = {"ids", BREW_NPY_I32},
    [SEGMENTS] = {"segments", BREW_NPY_I64},
    [REQUESTS] = {"requests", BREW_NPY_I64},
    [ANSWERS] = {"answers", BREW_NPY_I64},
    [ANSWER_SPLITS] = {"answer_splits", BREW_NPY_I64},
    [ANSWER_SET] = {"answer_set", BREW_NPY_I32},
    [LABEL_IDS] = {"label_ids", BREW_NPY_I32},
    [LABEL_SPLITS] = {"label_splits", BREW_NPY_I64},
    [TARGETS] = {"targets", BREW_NPY_I32},
    [WEIGHTS] = {"weights", BREW_NPY_F32},
    [OFFSETS] = {"offsets", BREW_NPY_F32},
    [META] = {"meta", 0},
};

static void member_name(char *name, size_t size, uint64_t batch, enum part part) {
    snprintf(name, size, "%06llu.%s.%s", (unsigned long long)batch, parts[part].name,
             part == META ? "jsonl" : "npy");
}

// brew.end.json cannot be in the digest of the stream: its one free text has a digest of its own.
static void digest_of(const char *text, size_t len, char hex[65]) {
    brew_sha256 sha;
    brew_sha256_init(&sha);
    brew_sha256_add(&sha, text, len);
    brew_sha256_hex(&sha, hex);
}

static void count(brew_star_counts *counts, const brew_star *star) {
    counts->batches++;
    counts->requests += star->n_requests;
    counts->items += star->n_segments - star->n_requests;
    counts->tokens += star->n_ids;
    counts->answers += star->n_answers;
}

// ---- writing ----

struct brew_star_writer {
    brew_tar_writer *tar;
    brew_star_counts counts;
    brew_buf text;
};

static int write_json(brew_star_writer *writer, const char *name, brew_json *object,
                      brew_err *err) {
    brew_buf_reset(&writer->text);
    brew_json_write(&writer->text, object);
    brew_buf_addc(&writer->text, '\n');
    brew_json_free(object);
    return brew_tar_write(writer->tar, name, writer->text.ptr, writer->text.len, NULL, 0, err);
}

static brew_json *chain_or_none(const brew_json *provenance) {
    return provenance ? brew_json_copy(provenance) : brew_json_new_array();
}

brew_star_writer *brew_star_write_start(brew_out *out, const char *tokenizer, size_t vocab,
                                        const brew_json *provenance, brew_err *err) {
    brew_star_writer *writer = brew_calloc(1, sizeof *writer);
    writer->tar = brew_tar_write_start(out);
    brew_json *head = brew_json_new_object(), *made_by = brew_json_new_object();
    brew_json_set(head, "format", brew_json_new_string(FORMAT, strlen(FORMAT)));
    brew_json_set(head, "version", brew_json_new_int(VERSION));
    brew_json_set(made_by, "sha256", brew_json_new_string(tokenizer, strlen(tokenizer)));
    brew_json_set(made_by, "vocab", brew_json_new_int((int64_t)vocab));
    brew_json_set(head, "tokenizer", made_by);
    brew_json_set(head, "provenance", chain_or_none(provenance));
    if (!write_json(writer, "brew.json", head, err)) return writer;
    brew_star_write_abandon(writer);
    return NULL;
}

static int write_part(brew_star_writer *writer, enum part part, const void *data, size_t n,
                      brew_err *err) {
    char name[64];
    member_name(name, sizeof name, writer->counts.batches, part);
    if (part == META) return brew_tar_write(writer->tar, name, NULL, 0, data, n, err);
    brew_buf_reset(&writer->text);
    brew_npy_write_header(&writer->text,
                          &(brew_npy){.type = parts[part].type, .n_dims = 1, .shape = {n}});
    return brew_tar_write(writer->tar, name, writer->text.ptr, writer->text.len, data,
                          n * brew_npy_type_bytes(parts[part].type), err);
}

int brew_star_write(brew_star_writer *writer, const brew_star *star, brew_err *err) {
    static const int64_t no_sets[1];
    size_t n_labels = star->n_sets ? (size_t)star->label_splits[star->n_sets] : 0;
    if (!star->n_requests) return 0;
    const struct {
        const void *data;
        size_t n;
    } data[PARTS] = {
        [IDS] = {star->ids, star->n_ids},
        [SEGMENTS] = {star->segments, star->n_segments + 1},
        [REQUESTS] = {star->requests, star->n_requests + 1},
        [ANSWERS] = {star->answers, star->n_answers},
        [ANSWER_SPLITS] = {star->answer_splits, star->n_requests + 1},
        [ANSWER_SET] = {star->answer_set, star->n_answers},
        [LABEL_IDS] = {star->label_ids, n_labels},
        [LABEL_SPLITS] = {star->n_sets ? star->label_splits : no_sets, star->n_sets + 1},
        [TARGETS] = {star->targets, star->n_answers},
        [WEIGHTS] = {star->weights, star->n_answers},
        [OFFSETS] = {star->offsets, star->n_answers},
        [META] = {star->meta.ptr, star->meta.len},
    };
    for (enum part part = 0; part < PARTS; part++)
        if (write_part(writer, part, data[part].data, data[part].n, err)) return -1;
    count(&writer->counts, star);
    return 0;
}

const brew_star_counts *brew_star_write_counts(const brew_star_writer *writer) {
    return &writer->counts;
}

int brew_star_write_end(brew_star_writer *writer, const brew_json *provenance, brew_err *err) {
    const brew_star_counts *counts = &writer->counts;
    char digest[65];
    brew_tar_write_digest(writer->tar, digest);
    brew_json *end = brew_json_new_object();
    brew_json_set(end, "batches", brew_json_new_int((int64_t)counts->batches));
    brew_json_set(end, "requests", brew_json_new_int((int64_t)counts->requests));
    brew_json_set(end, "items", brew_json_new_int((int64_t)counts->items));
    brew_json_set(end, "tokens", brew_json_new_int((int64_t)counts->tokens));
    brew_json_set(end, "answers", brew_json_new_int((int64_t)counts->answers));
    brew_json_set(end, "sha256", brew_json_new_string(digest, 64));
    brew_json *chain = chain_or_none(provenance);
    brew_buf_reset(&writer->text);
    brew_json_write(&writer->text, chain);
    digest_of(writer->text.ptr, writer->text.len, digest);
    brew_json_set(end, "provenance", chain);
    brew_json_set(end, "provenance_sha256", brew_json_new_string(digest, 64));
    int status = write_json(writer, "brew.end.json", end, err);
    if (!status) {
        status = brew_tar_write_end(writer->tar, err);
        writer->tar = NULL;
    }
    brew_star_write_abandon(writer);
    return status;
}

void brew_star_write_abandon(brew_star_writer *writer) {
    if (!writer) return;
    brew_tar_write_abandon(writer->tar);
    brew_buf_release(&writer->text);
    free(writer);
}

// ---- reading ----

struct brew_star_reader {
    brew_in *in;
    brew_tar_reader *tar;
    brew_json *head, *end;
    const char *tokenizer;
    size_t vocab;
    brew_star_counts counts;
    brew_buf bytes[PARTS]; // of the batch's members; star's arrays point into them
    size_t n[PARTS];
    brew_star star;
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

static int read_head(brew_star_reader *reader, const brew_buf *bytes, brew_err *err) {
    const char *format = NULL;
    int64_t version = 0, vocab = 0;
    reader->head = parse_object(bytes, err);
    if (!reader->head || brew_json_want_string(reader->head, "format", &format, err) < 0) return -1;
    if (!format || strcmp(format, FORMAT))
        return brew_fail(err, BREW_DATA, "its \"format\" is not \"%s\"", FORMAT);
    if (brew_json_want_int(reader->head, "version", VERSION, VERSION, &version, err) < 0) return -1;
    const brew_json *made_by = brew_json_get(reader->head, "tokenizer");
    if (version != VERSION || !brew_json_is(made_by, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "it has no \"version\" or no \"tokenizer\" object");
    if (brew_json_want_string(made_by, "sha256", &reader->tokenizer, err) < 0 ||
        brew_json_want_int(made_by, "vocab", 0, INT32_MAX, &vocab, err) < 0)
        return -1;
    reader->vocab = (size_t)vocab;
    return 0;
}

brew_star_reader *brew_star_read_start(brew_in *in, brew_err *err) {
    brew_star_reader *reader = brew_calloc(1, sizeof *reader);
    reader->in = in;
    reader->tar = brew_tar_read_start(in);
    reader->tokenizer = "";
    const char *name;
    int got = brew_tar_read(reader->tar, &name, &reader->bytes[META], err);
    if (got > 0 && !strcmp(name, "brew.json")) {
        if (!read_head(reader, &reader->bytes[META], err)) return reader;
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
    for (int part = 0; part < PARTS; part++) brew_buf_release(&reader->bytes[part]);
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
            digest_of(slices[i].value, slices[i].value_len, digest);
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
static int check_part(brew_star_reader *reader, enum part part, const char *name, brew_err *err) {
    char want[64];
    member_name(want, sizeof want, reader->counts.batches, part);
    if (strcmp(name, want))
        return brew_fail(err, BREW_DATA, "it stands where %s was expected", want);
    if (part == META) return check_meta(&reader->bytes[META], err);
    brew_npy array;
    if (brew_npy_parse(reader->bytes[part].ptr, reader->bytes[part].len, &array, err)) return -1;
    if (array.type != parts[part].type || array.n_dims != 1)
        return brew_fail(err, BREW_DATA, "it has another type, or not one dimension");
    reader->n[part] = array.count;
    return 0;
}

static void *data_of(brew_star_reader *reader, enum part part) {
    const char *bytes = reader->bytes[part].ptr;
    size_t header = 10 + ((size_t)(unsigned char)bytes[8] | (size_t)(unsigned char)bytes[9] << 8);
    return reader->bytes[part].ptr + header; // a multiple of 64 behind what malloc gave
}

static int want_length(const brew_star_reader *reader, enum part part, size_t want, brew_err *err) {
    if (reader->n[part] == want) return 0;
    return brew_fail(err, BREW_DATA, "%s has %zu elements where %zu were expected",
                     parts[part].name, reader->n[part], want);
}

// Makes the star of the members read; lengths first, then all that brew_star_check knows.
static int assemble(brew_star_reader *reader, brew_err *err) {
    brew_star *star = &reader->star;
    const size_t *n = reader->n;
    if (n[REQUESTS] < 2 || !n[SEGMENTS] || !n[LABEL_SPLITS])
        return brew_fail(err, BREW_DATA, "it holds no request, or row splits without an element");
    *star = (brew_star){
        .n_ids = n[IDS],
        .n_segments = n[SEGMENTS] - 1,
        .n_requests = n[REQUESTS] - 1,
        .n_answers = n[ANSWERS],
        .n_sets = n[LABEL_SPLITS] - 1,
        .ids = data_of(reader, IDS),
        .segments = data_of(reader, SEGMENTS),
        .requests = data_of(reader, REQUESTS),
        .answers = data_of(reader, ANSWERS),
        .answer_splits = data_of(reader, ANSWER_SPLITS),
        .answer_set = data_of(reader, ANSWER_SET),
        .targets = data_of(reader, TARGETS),
        .weights = data_of(reader, WEIGHTS),
        .offsets = data_of(reader, OFFSETS),
        .label_ids = data_of(reader, LABEL_IDS),
        .label_splits = data_of(reader, LABEL_SPLITS),
        .meta = reader->bytes[META],
    };
    if (want_length(reader, ANSWER_SPLITS, n[REQUESTS], err) ||
        want_length(reader, ANSWER_SET, n[ANSWERS], err) ||
        want_length(reader, TARGETS, n[ANSWERS], err) ||
        want_length(reader, WEIGHTS, n[ANSWERS], err) ||
        want_length(reader, OFFSETS, n[ANSWERS], err))
        return -1;
    int64_t labels = star->label_splits[star->n_sets];
    if (labels < 0 || (uint64_t)labels != n[LABEL_IDS])
        return brew_fail(err, BREW_DATA, "label_splits ends at %lld, but there are %zu label_ids",
                         (long long)labels, n[LABEL_IDS]);
    return brew_star_check(star, reader->vocab, err);
}

int brew_star_read(brew_star_reader *reader, const brew_star **star, brew_err *err) {
    if (reader->done) return 0;
    for (enum part part = 0; part < PARTS; part++) {
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
    if (assemble(reader, err)) {
        char batch[32];
        snprintf(batch, sizeof batch, "batch %06llu", (unsigned long long)reader->counts.batches);
        return context(reader, batch, err);
    }
    count(&reader->counts, &reader->star);
    *star = &reader->star;
    return 1;
}

const char *brew_star_read_tokenizer(const brew_star_reader *reader) {
    return reader->tokenizer;
}

size_t brew_star_read_vocab(const brew_star_reader *reader) {
    return reader->vocab;
}

const brew_star_counts *brew_star_read_counts(const brew_star_reader *reader) {
    return &reader->counts;
}

const brew_json *brew_star_read_provenance(const brew_star_reader *reader) {
    return brew_json_get(reader->end ? reader->end : reader->head, "provenance");
}
