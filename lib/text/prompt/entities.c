#include "text/prompt/entities.h"

#include <stdlib.h>

#include "text/prompt/rows.h"

static int take_row(void *state, const brew_field *fields, brew_err *err) {
    brew_entities *entities = state;
    if (!brew_is_id(fields[0])) {
        brew_fail(err, BREW_DATA, "no id");
        return 1;
    }
    size_t row = entities->ids.count;
    if (brew_intern_put(&entities->ids, fields[0].ptr, fields[0].len) != row) {
        brew_fail(err, BREW_DATA, "a second row of one id");
        return 1;
    }
    size_t n = entities->n_columns;
    BREW_GROW(entities->fields, (row + 1) * n, entities->fields_cap);
    for (size_t i = 0; i < n; i++) {
        brew_field field = fields[1 + i];
        if (field.ptr) field.ptr = brew_arena_strndup(&entities->arena, field.ptr, field.len);
        entities->fields[row * n + i] = field;
    }
    return 0;
}

int brew_entities_load(brew_entities *out, const brew_source *source, const brew_columns *columns,
                       brew_reject_fn *reject, void *arg, brew_events_counts *counts,
                       brew_err *err) {
    *out = (brew_entities){.n_columns = columns->n};
    if (!source->path) return 0;
    const char **names = brew_calloc(columns->n + 1, sizeof *names);
    names[0] = source->id;
    for (size_t i = 0; i < columns->n; i++) names[1 + i] = columns->names[i];
    int status = brew_rows_read(source->path, source->format, names, columns->n + 1, take_row, out,
                                reject, arg, counts, err);
    free(names);
    if (status) brew_entities_release(out);
    return status;
}

void brew_entities_release(brew_entities *entities) {
    brew_intern_release(&entities->ids);
    free(entities->fields);
    brew_arena_release(&entities->arena);
    *entities = (brew_entities){0};
}

size_t brew_entities_find(const brew_entities *entities, const char *id, size_t len) {
    return brew_intern_get(&entities->ids, id, len);
}

brew_field brew_entities_field(const brew_entities *entities, size_t row, size_t column) {
    return entities->fields[row * entities->n_columns + column];
}
