#include "rank/systems.h"

#include <stdlib.h>

#include "base/mem.h"

brew_system *brew_systems_add(brew_systems *s, const char *kind, const char *name, bool probability,
                              size_t rows) {
    BREW_GROW(s->list, s->n + 1, s->cap);
    brew_system *system = &s->list[s->n++];
    *system = (brew_system){kind, brew_strdup(name),
                            brew_realloc_array(NULL, rows + 1, sizeof(double)), probability};
    return system;
}

void brew_systems_release(brew_systems *s) {
    for (size_t i = 0; i < s->n; i++) {
        free(s->list[i].name);
        free(s->list[i].score);
    }
    free(s->list);
    *s = (brew_systems){0};
}
