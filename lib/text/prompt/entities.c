#include "text/prompt/entities.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "text/prompt/rows.h"
#include "text/prompt/sortkey.h"

typedef struct loader {
    brew_entities *entities;
    const brew_source *source;
    brew_intern seen; // (id, valid_from) of a table over time
    brew_buf key;
} loader;

static int bad(brew_err *err, const char *why) {
    brew_fail(err, BREW_DATA, "%s", why);
    return 1;
}

// A row over time gets its place in versions.
static int take_version(loader *l, brew_field id, brew_field valid_from, brew_err *err) {
    brew_entities *entities = l->entities;
    int64_t from;
    if (!valid_from.ptr ||
        !brew_time_parse(valid_from.ptr, valid_from.len, l->source->time_unit, &from))
        return bad(err, "the time of validity is not one in the table's unit");
    brew_buf_reset(&l->key);
    brew_key_id(&l->key, id.ptr, id.len);
    brew_key_time(&l->key, from);
    if (brew_intern_put(&l->seen, l->key.ptr, l->key.len) != entities->n_rows)
        return bad(err, "a second row of one id and time of validity");
    BREW_GROW(entities->versions, entities->n_rows + 1, entities->versions_cap);
    entities->versions[entities->n_rows] = (struct brew_version){
        brew_intern_put(&entities->ids, id.ptr, id.len), entities->n_rows, from};
    return 0;
}

// fields: id, then valid_from of a table over time, then the columns.
static int take_row(void *state, const brew_field *fields, brew_err *err) {
    loader *l = state;
    brew_entities *entities = l->entities;
    if (!brew_is_id(fields[0])) return bad(err, "no id");
    size_t n = entities->n_columns, row = entities->n_rows;
    if (l->source->valid_from) {
        int status = take_version(l, fields[0], fields[1], err);
        if (status) return status;
    } else if (brew_intern_put(&entities->ids, fields[0].ptr, fields[0].len) != row) {
        return bad(err, "a second row of one id");
    }
    entities->n_rows++;
    fields += l->source->valid_from ? 2 : 1;
    BREW_GROW(entities->fields, (row + 1) * n, entities->fields_cap);
    for (size_t i = 0; i < n; i++) {
        brew_field field = fields[i];
        if (field.ptr) field.ptr = brew_arena_strndup(&entities->arena, field.ptr, field.len);
        entities->fields[row * n + i] = field;
    }
    return 0;
}

static int by_id_and_time(const void *a, const void *b) {
    const struct brew_version *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->from > y->from) - (x->from < y->from);
}

static void index_versions(brew_entities *entities) {
    size_t n_ids = entities->ids.count;
    if (entities->n_rows)
        qsort(entities->versions, entities->n_rows, sizeof *entities->versions, by_id_and_time);
    entities->begin = brew_calloc(n_ids + 1, sizeof *entities->begin);
    for (size_t i = entities->n_rows; i-- > 0;) entities->begin[entities->versions[i].id] = i;
    entities->begin[n_ids] = entities->n_rows;
}

int brew_entities_load(brew_entities *out, const brew_source *source, const brew_columns *columns,
                       brew_reject_fn *reject, void *arg, brew_events_counts *counts,
                       brew_err *err) {
    *out = (brew_entities){.n_columns = columns->n};
    if (!source->path) return 0;
    loader l = {.entities = out, .source = source};
    const char **names = brew_calloc(columns->n + 2, sizeof *names);
    size_t n = 0;
    names[n++] = source->id;
    if (source->valid_from) names[n++] = source->valid_from;
    for (size_t i = 0; i < columns->n; i++) names[n++] = columns->names[i];
    void *state = &l;
    const brew_rows_taker taker = {
        .take = take_row, .states = &state, .n_states = 1, .reject = reject, .arg = arg};
    int status = brew_rows_read(source->path, source, names, n, &taker, counts, err);
    free(names);
    brew_intern_release(&l.seen);
    brew_buf_release(&l.key);
    if (source->valid_from) index_versions(out);
    if (status) brew_entities_release(out);
    return status;
}

void brew_entities_release(brew_entities *entities) {
    brew_intern_release(&entities->ids);
    free(entities->fields);
    free(entities->versions);
    free(entities->begin);
    brew_arena_release(&entities->arena);
    *entities = (brew_entities){0};
}

size_t brew_entities_find(const brew_entities *entities, const char *id, size_t len) {
    return brew_intern_get(&entities->ids, id, len);
}

size_t brew_entities_row(const brew_entities *entities, size_t id, int64_t moment) {
    if (id == SIZE_MAX || !entities->begin) return id;
    size_t low = entities->begin[id], high = entities->begin[id + 1];
    while (low < high) { // the first version that is not strictly before
        size_t middle = low + (high - low) / 2;
        if (entities->versions[middle].from < moment)
            low = middle + 1;
        else
            high = middle;
    }
    return low > entities->begin[id] ? entities->versions[low - 1].row : SIZE_MAX;
}

int64_t brew_entities_since(const brew_entities *entities, size_t id) {
    return entities->begin ? entities->versions[entities->begin[id]].from : INT64_MIN;
}

brew_field brew_entities_field(const brew_entities *entities, size_t row, size_t column) {
    if (row == SIZE_MAX) return (brew_field){0};
    return entities->fields[row * entities->n_columns + column];
}
