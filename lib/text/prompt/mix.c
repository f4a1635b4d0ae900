#include "text/prompt/mix.h"

#include <stdlib.h>

#include "base/mem.h"
#include "text/prompt/task_read.h"

static int read_part(const brew_keys *keys, const brew_json *object, const char *where,
                     brew_mix_part *out) {
    char *file = NULL;
    if (!brew_json_is(object, BREW_JSON_OBJECT))
        return brew_keys_fail(keys, where, "must be an object, not %s",
                              brew_json_type_name(object));
    if (brew_keys_known(keys, object, where, "file share max") ||
        brew_keys_string(keys, object, where, "file", true, &file) < 0 ||
        brew_keys_real(keys, object, where, "share", 1e-9, 1, &out->share) < 0 ||
        brew_keys_int(keys, object, where, "max", 1, INT64_C(1) << 40, &out->max) < 0) {
        free(file);
        return -1;
    }
    out->path = brew_task_beside(keys->path, file);
    free(file);
    return 0;
}

int brew_mix_load(brew_mix *out, const char *path, brew_err *err) {
    brew_keys keys;
    brew_json *tasks;
    *out = (brew_mix){0};
    if (brew_keys_load(&keys, path, err)) return -1;
    int status = brew_keys_known(&keys, keys.root, "", "tasks") ||
                 brew_keys_array(&keys, keys.root, "", "tasks", true, &tasks) < 0;
    size_t n = status ? 0 : brew_json_length(tasks);
    if (!status && (n < 1 || n > 100))
        status = brew_keys_fail(&keys, "tasks", "holds %zu tasks, not from 1 to 100", n);
    if (!status) out->parts = brew_calloc(n, sizeof *out->parts);
    for (size_t i = 0; i < n && !status; i++) {
        brew_mix_part *part = &out->parts[out->n++];
        part->share = 1;
        status = read_part(&keys, brew_json_at(tasks, i), brew_place_at("tasks", i).text, part);
    }
    brew_keys_release(&keys);
    if (status) brew_mix_release(out);
    return status ? -1 : 0;
}

void brew_mix_release(brew_mix *mix) {
    for (size_t i = 0; i < mix->n; i++) free(mix->parts[i].path);
    free(mix->parts);
    *mix = (brew_mix){0};
}
