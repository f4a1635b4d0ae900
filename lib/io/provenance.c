#include "io/provenance.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

brew_json *brew_provenance_add(brew_json *chain, const char *tool, const char *version,
                               brew_json *arguments, int64_t seed) {
    brew_json *entry = brew_json_new_object();
    brew_json_set(entry, "tool", brew_json_new_string(tool, strlen(tool)));
    brew_json_set(entry, "version", brew_json_new_string(version, strlen(version)));
    brew_json_set(entry, "arguments", arguments ? arguments : brew_json_new_object());
    if (seed >= 0) brew_json_set(entry, "seed", brew_json_new_int(seed));
    brew_json_set(entry, "inputs", brew_json_new_array());
    brew_json_push(chain, entry);
    return entry;
}

void brew_provenance_input(brew_json *entry, const char *role, const char *sha256, uint64_t bytes,
                           int64_t from) {
    brew_json *input = brew_json_new_object();
    brew_json_set(input, "role", brew_json_new_string(role, strlen(role)));
    brew_json_set(input, "sha256", brew_json_new_string(sha256, strlen(sha256)));
    brew_json_set(input, "bytes", brew_json_new_int((int64_t)bytes));
    if (from >= 0) brew_json_set(input, "from", brew_json_new_int(from));
    brew_json_push(brew_json_get(entry, "inputs"), input);
}

// The index in chain of an entry that is written like this one, or -1.
static int64_t find(const brew_json *chain, const brew_json *entry) {
    brew_buf want = {0}, have = {0};
    int64_t found = -1;
    brew_json_write(&want, entry);
    for (size_t i = 0; found < 0 && i < brew_json_length(chain); i++) {
        brew_buf_reset(&have);
        brew_json_write(&have, brew_json_at(chain, i));
        if (have.len == want.len && !memcmp(have.ptr, want.ptr, want.len)) found = (int64_t)i;
    }
    brew_buf_release(&want);
    brew_buf_release(&have);
    return found;
}

int64_t brew_provenance_join(brew_json *chain, const brew_json *other) {
    size_t n = other ? brew_json_length(other) : 0;
    int64_t last = -1, *moved = brew_calloc(n, sizeof *moved); // index in other -> index in chain
    for (size_t i = 0; i < n; i++) {
        brew_json *entry = brew_json_copy(brew_json_at(other, i));
        brew_json *inputs = brew_json_get(entry, "inputs");
        for (size_t k = 0; k < brew_json_length(inputs); k++) {
            brew_json *input = brew_json_at(inputs, k), *from = brew_json_get(input, "from");
            if (from) brew_json_set(input, "from", brew_json_new_int(moved[brew_json_int(from)]));
        }
        last = find(chain, entry);
        if (last < 0) {
            last = (int64_t)brew_json_length(chain);
            brew_json_push(chain, entry);
        } else {
            brew_json_free(entry);
        }
        moved[i] = last;
    }
    free(moved);
    return last;
}

static int check_input(const brew_json *input, size_t index, brew_err *err) {
    const char *role = NULL, *sha256 = NULL;
    int64_t bytes, from;
    if (!brew_json_is(input, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "an input must be an object, not %s",
                         brew_json_type_name(input));
    if (brew_json_want_string(input, "role", &role, err) < 0 ||
        brew_json_want_string(input, "sha256", &sha256, err) < 0 ||
        brew_json_want_int(input, "bytes", 0, INT64_MAX, &bytes, err) < 0 ||
        brew_json_want_int(input, "from", 0, (int64_t)index - 1, &from, err) < 0)
        return -1;
    if (!role || !sha256) return brew_fail(err, BREW_DATA, "an input without role or sha256");
    return 0;
}

static int check_entry(const brew_json *entry, size_t index, brew_err *err) {
    const char *tool = NULL, *version = NULL;
    if (!brew_json_is(entry, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "it must be an object, not %s",
                         brew_json_type_name(entry));
    if (brew_json_want_string(entry, "tool", &tool, err) < 0 ||
        brew_json_want_string(entry, "version", &version, err) < 0)
        return -1;
    if (!tool || !version) return brew_fail(err, BREW_DATA, "it has no tool or no version");
    const brew_json *inputs = brew_json_get(entry, "inputs");
    if (inputs && !brew_json_is(inputs, BREW_JSON_ARRAY))
        return brew_fail(err, BREW_DATA, "its inputs must be an array, not %s",
                         brew_json_type_name(inputs));
    for (size_t k = 0; k < brew_json_length(inputs); k++)
        if (check_input(brew_json_at(inputs, k), index, err)) return -1;
    return 0;
}

int brew_provenance_check(const brew_json *chain, brew_err *err) {
    if (!brew_json_is(chain, BREW_JSON_ARRAY))
        return brew_fail(err, BREW_DATA, "the provenance must be an array, not %s",
                         brew_json_type_name(chain));
    for (size_t i = 0; i < brew_json_length(chain); i++)
        if (check_entry(brew_json_at(chain, i), i, err))
            return brew_err_context(err, "entry %zu of the provenance", i);
    return 0;
}
