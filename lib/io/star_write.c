#include "io/star_stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/provenance.h"
#include "io/star_parts.h"
#include "io/tarstream.h"

struct brew_star_writer {
    brew_tar_writer *tar;
    bool taught;
    int64_t topk;
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

static brew_json *teacher_object(const brew_star_teacher *teacher) {
    brew_json *object = brew_json_new_object();
    brew_json_set(object, "sha256", brew_json_new_string(teacher->model, strlen(teacher->model)));
    brew_json_set(object, "arithmetic",
                  brew_json_new_string(teacher->arithmetic, strlen(teacher->arithmetic)));
    if (teacher->topk) brew_json_set(object, "topk", brew_json_new_int(teacher->topk));
    return object;
}

brew_star_writer *brew_star_write_start(brew_out *out, const char *tokenizer, size_t vocab,
                                        const brew_star_teacher *teacher,
                                        const brew_json *provenance, brew_err *err) {
    brew_star_writer *writer = brew_calloc(1, sizeof *writer);
    writer->tar = brew_tar_write_start(out);
    writer->taught = teacher;
    writer->topk = teacher ? teacher->topk : 0;
    brew_json *head = brew_json_new_object(), *made_by = brew_json_new_object();
    brew_json_set(head, "format", brew_json_new_string(STAR_FORMAT, strlen(STAR_FORMAT)));
    brew_json_set(head, "version", brew_json_new_int(STAR_VERSION));
    brew_json_set(made_by, "sha256", brew_json_new_string(tokenizer, strlen(tokenizer)));
    brew_json_set(made_by, "vocab", brew_json_new_int((int64_t)vocab));
    brew_json_set(head, "tokenizer", made_by);
    if (teacher) brew_json_set(head, "teacher", teacher_object(teacher));
    brew_json_set(head, "provenance", chain_or_none(provenance));
    if (!write_json(writer, "brew.json", head, err)) return writer;
    brew_star_write_abandon(writer);
    return NULL;
}

static int write_part(brew_star_writer *writer, enum star_part part, const void *data, size_t n,
                      brew_err *err) {
    char name[64];
    brew_star_member_name(name, sizeof name, writer->counts.batches, part);
    if (part == STAR_META) return brew_tar_write(writer->tar, name, NULL, 0, data, n, err);
    brew_buf_reset(&writer->text);
    brew_npy_write_header(
        &writer->text, &(brew_npy){.type = brew_star_parts[part].type, .n_dims = 1, .shape = {n}});
    return brew_tar_write(writer->tar, name, writer->text.ptr, writer->text.len, data,
                          n * brew_npy_type_bytes(brew_star_parts[part].type), err);
}

int brew_star_write(brew_star_writer *writer, const brew_star *star,
                    const brew_star_teacher *teacher, brew_err *err) {
    static const int64_t no_sets[1];
    size_t n_logits = 0;
    static const brew_star_teacher none;
    if (writer->taught != !!teacher) brew_bug("a teacher's logits for a stream without, or none");
    const brew_star_teacher *said = teacher ? teacher : &none;
    size_t n_top = star->n_answers * (size_t)writer->topk;
    size_t n_labels = star->n_sets ? (size_t)star->label_splits[star->n_sets] : 0;
    if (!star->n_requests) return 0;
    if (teacher && !brew_star_label_logits(star, &n_logits)) brew_bug("logits without number");
    const struct {
        const void *data;
        size_t n;
    } data[STAR_MOST_PARTS] = {
        [STAR_IDS] = {star->ids, star->n_ids},
        [STAR_SEGMENTS] = {star->segments, star->n_segments + 1},
        [STAR_REQUESTS] = {star->requests, star->n_requests + 1},
        [STAR_ANSWERS] = {star->answers, star->n_answers},
        [STAR_ANSWER_SPLITS] = {star->answer_splits, star->n_requests + 1},
        [STAR_ANSWER_SET] = {star->answer_set, star->n_answers},
        [STAR_LABEL_IDS] = {star->label_ids, n_labels},
        [STAR_LABEL_SPLITS] = {star->n_sets ? star->label_splits : no_sets, star->n_sets + 1},
        [STAR_TARGETS] = {star->targets, star->n_answers},
        [STAR_WEIGHTS] = {star->weights, star->n_answers},
        [STAR_OFFSETS] = {star->offsets, star->n_answers},
        [STAR_META] = {star->meta.ptr, star->meta.len},
        [STAR_LABEL_LOGITS] = {said->label_logits, n_logits},
        [STAR_REST] = {said->rest, star->n_answers},
        [STAR_TOPK_IDS] = {said->topk_ids, n_top},
        [STAR_TOPK_LOGITS] = {said->topk_logits, n_top},
        [STAR_TOPK_REST] = {said->topk_rest, star->n_answers},
    };
    enum star_part end = !writer->taught ? STAR_PARTS
                         : writer->topk  ? STAR_MOST_PARTS
                                         : STAR_TAUGHT_PARTS;
    for (enum star_part part = 0; part < end; part++)
        if (write_part(writer, part, data[part].data, data[part].n, err)) return -1;
    brew_star_count(&writer->counts, star);
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
    brew_star_digest_of(writer->text.ptr, writer->text.len, digest);
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
