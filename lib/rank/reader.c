#include "rank/reader.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "rank/record.h"

int brew_reader_init(brew_reader *r, const char *group, const char *const *specs, size_t n,
                     bool history, brew_err *err) {
    int status = 0;
    r->group = group;
    r->by = brew_calloc(n + 1, sizeof *r->by);
    for (size_t i = 0; status == 0 && i < n; i++) {
        status = brew_by_parse(&r->by[r->n_by++], specs[i], err);
        history = history && strcmp(specs[i], "history") != 0;
    }
    if (status == 0 && history) status = brew_by_parse(&r->by[r->n_by++], "history", err);
    if (status == 0) status = brew_by_parse(&r->task, "task", err);
    r->slice = brew_alloc((r->n_by + 1) * sizeof *r->slice);
    return status;
}

void brew_reader_release(brew_reader *r) {
    if (r->cut) brew_reader_release(r->cut);
    free(r->cut);
    for (size_t i = 0; i < r->n_by; i++) brew_by_release(&r->by[i]);
    brew_by_release(&r->task);
    brew_intern_release(&r->calibrated_on);
    brew_intern_release(&r->nameless);
    free(r->nameless_times);
    free(r->by);
    free(r->request);
    free(r->asked_ms);
    free(r->slice);
    brew_answers_release(&r->answers);
    brew_intern_release(&r->members);
    brew_intern_release(&r->groups);
    brew_intern_release(&r->items);
    brew_intern_release(&r->requests);
    brew_buf_release(&r->text);
    *r = (brew_reader){0};
}

// '=' and the name, or '#' and a number of our own.
static uint32_t number_of(brew_reader *reader, brew_intern *names, const brew_json *name,
                          uint64_t own, const brew_json *kind) {
    brew_buf *text = &reader->text;
    brew_buf_reset(text);
    if (!name) {
        brew_buf_addf(text, "#%" PRIu64, own);
    } else if (brew_json_is(name, BREW_JSON_INT)) {
        brew_buf_addf(text, "=%" PRId64, brew_json_int(name));
    } else {
        size_t len;
        const char *ptr = brew_json_string(name, &len);
        brew_buf_addc(text, '=');
        brew_buf_add(text, ptr, len);
    }
    if (brew_json_is(kind, BREW_JSON_STRING))
        brew_buf_addf(text, "\n%s", brew_json_string(kind, NULL));
    return (uint32_t)brew_intern_put(names, text->ptr, text->len);
}

static size_t find(brew_reader *reader, const brew_intern *names, const char *id, size_t len) {
    brew_buf_reset(&reader->text);
    brew_buf_addc(&reader->text, '=');
    brew_buf_add(&reader->text, id, len);
    return brew_intern_get(names, reader->text.ptr, reader->text.len);
}

size_t brew_reader_member(brew_reader *reader, const char *id, size_t len) {
    return find(reader, &reader->members, id, len);
}

size_t brew_reader_request(brew_reader *reader, const char *id, size_t len) {
    return find(reader, &reader->requests, id, len);
}

size_t brew_reader_item(brew_reader *reader, const char *id, size_t len) {
    return find(reader, &reader->items, id, len);
}

// The slice of one item, as a number in by->values.
static int slice_number(brew_reader *reader, brew_by *by, const brew_record *r, size_t item,
                        uint32_t *out, brew_err *err) {
    const brew_json *values[BREW_BY_MAX_PARTS] = {NULL};
    for (size_t p = 0; p < by->n_parts; p++) {
        const brew_by_part *part = &by->part[p];
        values[p] = part->of_item ? brew_json_at(brew_json_get(r->item_meta, part->in), item)
                                  : brew_record_field(r, part->in);
    }
    return brew_by_number(by, values, reader->since_ms, &reader->text, out, err);
}

static uint64_t name_hash(const brew_intern *names, uint32_t number, uint64_t seed) {
    return brew_hash64(names->entries[number].ptr, names->entries[number].len, seed);
}

static void keep(brew_reader *reader, const brew_answer *row, uint64_t key, uint32_t request,
                 int64_t asked_ms) {
    size_t at = reader->answers.n, cap = reader->request_cap;
    brew_answers_add(&reader->answers, row);
    reader->answers.member_key[row->member] = key;
    BREW_GROW(reader->request, at + 1, reader->request_cap);
    if (cap != reader->request_cap)
        reader->asked_ms =
            brew_realloc_array(reader->asked_ms, reader->request_cap, sizeof *reader->asked_ms);
    reader->request[at] = request;
    reader->asked_ms[at] = asked_ms;
    for (size_t b = 0; b <= reader->n_by; b++) {
        brew_by *by = b < reader->n_by ? &reader->by[b] : &reader->task;
        BREW_GROW(by->value, at + 1, by->cap);
        by->value[at] = reader->slice[b];
    }
    for (int i = 0; i < 2; i++) {
        uint64_t request_hash = name_hash(&reader->requests, request, (uint64_t)i);
        uint64_t item_hash = name_hash(&reader->items, row->item, (uint64_t)i + 2);
        reader->questions[i] += brew_mix64(request_hash ^ brew_mix64(item_hash + row->positive));
    }
}

static int find_slices(brew_reader *reader, const brew_record *r, size_t item, brew_err *err) {
    for (size_t b = 0; b < reader->n_by; b++)
        if (slice_number(reader, &reader->by[b], r, item, &reader->slice[b], err) < 0) return -1;
    return slice_number(reader, &reader->task, r, item, &reader->slice[reader->n_by], err);
}

// Everything that can fail, before anything is kept.
static int check_fields(brew_reader *reader, const brew_record *r, brew_err *err) {
    const brew_json *group = reader->group ? brew_record_field(r, reader->group) : NULL;
    const brew_json *calibrated = brew_json_get(r->root, "calibrated_on");
    if (reader->group && !group)
        return brew_fail(err, BREW_DATA, "\"meta\" has no \"%s\" to group by", reader->group);
    if (group && !brew_record_is_name(group))
        return brew_fail(err, BREW_DATA, "\"%s\" is %s, which cannot name a group", reader->group,
                         brew_json_type_name(group));
    if (calibrated && !brew_json_is(calibrated, BREW_JSON_STRING))
        return brew_fail(err, BREW_DATA, "\"calibrated_on\" is %s",
                         brew_json_type_name(calibrated));
    for (size_t i = 0; i < r->n; i++)
        if (find_slices(reader, r, i, err) < 0) return -1;
    return 0;
}

static int64_t time_ms(const brew_json *seconds) {
    bool number = brew_json_is(seconds, BREW_JSON_INT) || brew_json_is(seconds, BREW_JSON_REAL);
    double ms = number ? 1000 * brew_json_real(seconds) : NAN;
    return fabs(ms) < 1e15 ? (int64_t)ms : BREW_ASKED_UNKNOWN;
}

static void note_record(brew_reader *reader, const brew_record *r) {
    const brew_json *calibrated = brew_json_get(r->root, "calibrated_on");
    size_t len;
    const char *digest = calibrated ? brew_json_string(calibrated, &len) : NULL;
    if (digest) brew_intern_put(&reader->calibrated_on, digest, len);
    reader->counts.sampled += reader->sampled ? !r->rates : brew_record_is_sampled(r);
}

// What the record's member is drawn by: its name; without one the request's id; without that, too, the bytes
// of the record and how many of the same came before it. So it does not depend on the order of records.
static uint64_t member_key(brew_reader *reader, const brew_record *r, uint32_t member,
                           uint32_t request, const char *line, size_t len) {
    if (brew_record_field(r, "member")) return name_hash(&reader->members, member, 0);
    if (brew_json_get(r->root, "id")) return name_hash(&reader->requests, request, 4);
    uint64_t alike[2] = {brew_hash64(line, len, 5), 0};
    size_t known = reader->nameless.count;
    size_t number = brew_intern_put(&reader->nameless, (const char *)alike, sizeof *alike);
    BREW_GROW(reader->nameless_times, number + 1, reader->nameless_cap);
    if (number == known) reader->nameless_times[number] = 0;
    alike[1] = reader->nameless_times[number]++;
    return brew_hash64(alike, sizeof alike, 6);
}

static int keep_record(brew_reader *reader, const brew_record *r, const char *line, size_t len,
                       brew_err *err) {
    if (check_fields(reader, r, err) < 0) return -1;
    const brew_json *member = brew_record_field(r, "member"), *id = brew_json_get(r->root, "id");
    const brew_json *item = r->plain ? brew_json_get(r->root, "item_id") : NULL;
    const brew_json *kinds = brew_json_get(r->item_meta, "kind");
    int64_t asked_ms = time_ms(brew_record_field(r, "time"));
    uint64_t own = reader->counts.records++;
    uint32_t request = number_of(reader, &reader->requests, id, own, NULL);
    brew_answer row = {.member = number_of(reader, &reader->members, member, request, NULL)};
    uint64_t key = member_key(reader, r, row.member, request, line, len);
    note_record(reader, r);
    reader->counts.records_without_member += !member;
    for (size_t i = 0; i < r->n; i++) {
        const brew_json *kind = brew_json_at(kinds, i);
        reader->counts.items++;
        if (!brew_record_answer(r, i, &row) && !reader->blind) {
            reader->counts.unknown++;
            continue;
        }
        find_slices(reader, r, i, NULL);
        if (r->item_ids) item = brew_json_at(r->item_ids, i);
        row.item = number_of(reader, &reader->items, item, i, NULL);
        reader->answers.unnamed |= !item;
        if (kind) request = number_of(reader, &reader->requests, id, own, kind);
        row.group = request;
        if (reader->group)
            row.group =
                number_of(reader, &reader->groups, brew_record_field(r, reader->group), 0, kind);
        keep(reader, &row, key, request, asked_ms);
    }
    return 0;
}

static brew_reader *cut_of(brew_reader *reader) {
    static const char *const by[] = {"truncated"};
    if (reader->cut) return reader->cut;
    reader->cut = brew_calloc(1, sizeof *reader->cut);
    brew_reader_init(reader->cut, reader->group, by, 1, false, NULL);
    reader->cut->sampled = reader->sampled;
    return reader->cut;
}

int brew_reader_add(brew_reader *reader, const char *line, size_t len, brew_err *err) {
    brew_json *root = brew_json_parse(line, len, err);
    if (!root) return -1;
    brew_record r;
    int status = brew_record_open(&r, root, reader->prompts, err);
    if (status == 0) {
        bool cut = brew_record_field(&r, "truncated") && !reader->blind;
        status = keep_record(cut ? cut_of(reader) : reader, &r, line, len, err);
    }
    brew_json_free(root);
    return status;
}

void brew_reader_questions(const brew_reader *reader, char digest[33]) {
    snprintf(digest, 33, "%016" PRIx64 "%016" PRIx64, reader->questions[0], reader->questions[1]);
}
