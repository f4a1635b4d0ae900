#include "text/token/vocab_map.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/npy.h"

void brew_vocab_map_name(char out[64], const char *from, const char *to) {
    snprintf(out, 64, "vocab-map.%.16s.%.16s.npy", from, to);
}

bool brew_vocab_map_is(const char *name, const char *to, char from[17]) {
    static const char begins[] = "vocab-map.";
    char wanted[64];
    if (strlen(name) < sizeof begins - 1 + 16) return false;
    snprintf(from, 17, "%s", name + sizeof begins - 1);
    brew_vocab_map_name(wanted, from, to);
    return !strcmp(name, wanted);
}

// Each new id is below vocab and stands for one old one.
static int check(const brew_vocab_map *map, size_t vocab, brew_err *err) {
    bool *taken = brew_calloc(vocab + 1, sizeof *taken);
    int status = 0;
    for (size_t i = 0; i < map->n && !status; i++) {
        int32_t id = map->ids[i];
        if (id < -1 || (id >= 0 && (size_t)id >= vocab))
            status = brew_fail(err, BREW_DATA, "maps id %zu to %d, which is not in -1..%zu", i, id,
                               vocab - 1);
        else if (id >= 0 && taken[id])
            status = brew_fail(err, BREW_DATA, "maps two ids to %d", id);
        else if (id >= 0)
            taken[id] = true;
    }
    free(taken);
    return status;
}

int brew_vocab_map_parse(brew_vocab_map *map, const char *bytes, size_t len, size_t vocab,
                         brew_err *err) {
    brew_npy array;
    *map = (brew_vocab_map){0};
    if (brew_npy_parse(bytes, len, &array, err)) return -1;
    if (array.type != BREW_NPY_I32 || array.n_dims != 1 || !array.count || array.count > INT32_MAX)
        return brew_fail(err, BREW_DATA, "is not of int32, has not one dimension, or is empty");
    map->n = array.count;
    map->ids = brew_realloc_array(NULL, map->n + 1, sizeof *map->ids);
    memcpy(map->ids, bytes + array.data_start, map->n * sizeof *map->ids);
    if (!check(map, vocab, err)) return 0;
    brew_vocab_map_release(map);
    return -1;
}

int brew_vocab_map_find(brew_vocab_map *map, const brew_modeldir *dir, const char *from,
                        const char *to, size_t vocab, brew_err *err) {
    char name[64];
    size_t len;
    brew_vocab_map_name(name, from, to);
    *map = (brew_vocab_map){0};
    const char *bytes = brew_modeldir_file(dir, name, &len);
    if (!bytes) return 0;
    if (!brew_vocab_map_parse(map, bytes, len, vocab, err)) return 1;
    return brew_err_context(err, "%s: %s", brew_modeldir_name(dir), name);
}

void brew_vocab_map_write(const brew_vocab_map *map, brew_buf *out) {
    brew_npy array = {.type = BREW_NPY_I32, .n_dims = 1, .shape = {map->n}};
    brew_npy_write_header(out, &array);
    brew_buf_add(out, map->ids, map->n * sizeof *map->ids);
}

int32_t *brew_vocab_map_back(const brew_vocab_map *map, size_t vocab) {
    int32_t *back = brew_realloc_array(NULL, vocab + 1, sizeof *back);
    for (size_t i = 0; i < vocab; i++) back[i] = -1;
    for (size_t i = 0; i < map->n; i++)
        if (map->ids[i] >= 0) back[map->ids[i]] = (int32_t)i;
    return back;
}

void brew_vocab_map_release(brew_vocab_map *map) {
    free(map->ids);
    *map = (brew_vocab_map){0};
}
