#include "train/hidden.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void brew_hidden_map_release(brew_hidden_map *map) {
    free(map->pairs);
    *map = (brew_hidden_map){0};
}

static void add_pair(brew_hidden_map *map, int64_t student, int64_t teacher) {
    map->pairs = brew_realloc_array(map->pairs, map->n + 1, sizeof *map->pairs);
    map->pairs[map->n++] = (brew_hidden_pair){student, teacher};
}

// Digits up to `end`, as 1 .. most; 0 if it is nothing of the kind.
static int64_t read_layers(const char **at, char end, int64_t most) {
    int64_t n = 0;
    const char *first = *at;
    for (; **at >= '0' && **at <= '9' && n <= most; (*at)++) n = 10 * n + (**at - '0');
    if (*at == first || **at != end || n > most) return 0;
    return n;
}

int brew_hidden_map_parse(brew_hidden_map *map, const char *text, int64_t student, int64_t teacher,
                          brew_err *err) {
    for (const char *at = text;; at++) {
        const char *comma = strchr(at, ',');
        int64_t s = read_layers(&at, ':', student), t = 0;
        if (s) {
            at++;
            t = read_layers(&at, comma ? ',' : 0, teacher);
        }
        if (!s || !t || (map->n && map->pairs[map->n - 1].student >= s))
            return brew_fail(err, BREW_USAGE,
                             "--hidden-map takes pairs STUDENT:TEACHER of layers, as 1:2,2:4, the "
                             "student's from 1 to %lld and ascending, the teacher's from 1 to %lld",
                             (long long)student, (long long)teacher);
        add_pair(map, s, t);
        if (!comma) return 0;
    }
}

// ---- what provenance knows ----

// The entry's input of role "model": its digest, and the entry that made it, -1 if that is not known.
static const char *model_of(const brew_json *entry, int64_t *from) {
    const brew_json *inputs = brew_json_get(entry, "inputs");
    for (size_t i = 0; i < brew_json_length(inputs); i++) {
        const brew_json *input = brew_json_at(inputs, i), *role = brew_json_get(input, "role");
        if (!brew_json_is(role, BREW_JSON_STRING) || strcmp(brew_json_string(role, NULL), "model"))
            continue;
        const brew_json *sha256 = brew_json_get(input, "sha256"),
                        *by = brew_json_get(input, "from");
        *from = brew_json_is(by, BREW_JSON_INT) ? brew_json_int(by) : -1;
        return brew_json_is(sha256, BREW_JSON_STRING) ? brew_json_string(sha256, NULL) : NULL;
    }
    return NULL;
}

// The layers that an entry kept of its model, or NULL.
static const brew_json *kept_by(const brew_json *entry) {
    const brew_json *kept = brew_json_get(brew_json_get(entry, "arguments"), "layers_kept");
    return brew_json_is(kept, BREW_JSON_ARRAY) ? kept : NULL;
}

// Whether the digest is the teacher's, or that of a model from which it comes with all layers.
static bool is_teacher(const char *sha256, const brew_json *chain, const char *teacher_sha256) {
    if (!strcmp(sha256, teacher_sha256)) return true;
    for (int64_t at = (int64_t)brew_json_length(chain) - 1, from; at >= 0; at = from) {
        const brew_json *entry = brew_json_at(chain, (size_t)at);
        const char *model = kept_by(entry) ? NULL : model_of(entry, &from);
        if (!model) return false;
        if (!strcmp(sha256, model)) return true;
        if (from >= at) return false;
    }
    return false;
}

// layers [n]: their numbers in the model that the entry cut, from those in what it made.
static bool undo_cut(int64_t *layers, int64_t n, const brew_json *kept) {
    for (int64_t i = 0; i < n; i++) {
        const brew_json *layer = layers[i] < (int64_t)brew_json_length(kept)
                                     ? brew_json_at(kept, (size_t)layers[i])
                                     : NULL;
        if (!brew_json_is(layer, BREW_JSON_INT)) return false;
        layers[i] = brew_json_int(layer);
        if (layers[i] < 0 || (i && layers[i] <= layers[i - 1])) return false;
    }
    return true;
}

// The teacher's layers that the student's are; false if that is not known.
static bool trace(int64_t *layers, int64_t n, const brew_json *chain, const brew_json *other,
                  const char *teacher_sha256, int64_t most) {
    for (int64_t i = 0; i < n; i++) layers[i] = i;
    for (int64_t at = (int64_t)brew_json_length(chain) - 1, from; at >= 0; at = from) {
        const brew_json *entry = brew_json_at(chain, (size_t)at), *kept = kept_by(entry);
        const char *model = model_of(entry, &from);
        if (!model || (kept && !undo_cut(layers, n, kept))) return false;
        if (is_teacher(model, other, teacher_sha256)) return layers[n - 1] < most;
        if (from >= at) return false;
    }
    return false;
}

int brew_hidden_map_find(brew_hidden_map *map, const brew_json *student_chain, int64_t student,
                         const brew_json *teacher_chain, const char *teacher_sha256,
                         int64_t teacher, brew_err *err) {
    int64_t *layers = brew_calloc((size_t)student, sizeof *layers);
    bool known = trace(layers, student, student_chain, teacher_chain, teacher_sha256, teacher);
    for (int64_t i = 0; !known && student == teacher && i < student; i++) layers[i] = i;
    known |= student == teacher;
    for (int64_t i = 1; known && i <= student; i++)
        add_pair(map, i, i < student ? layers[i] : teacher);
    free(layers);
    if (known) return 0;
    return brew_fail(err, BREW_USAGE,
                     "which of the teacher's %lld layers the student's %lld are is not known: "
                     "brew-prune did not cut it out of this teacher; give --hidden-map",
                     (long long)teacher, (long long)student);
}

// ---- the loss ----

double brew_hidden_row(const float *s, const float *t, int64_t c, double scale, float *d) {
    double off = 0, all = 1e-6 * (double)c;
    for (int64_t i = 0; i < c; i++) {
        double x = t[i], e = s[i] - x;
        off += e * e;
        all += x * x;
    }
    for (int64_t i = 0; d && i < c; i++)
        d[i] = (float)(2 * scale / all * ((double)s[i] - (double)t[i]));
    return off / all;
}

// ---- a micro-batch ----

void brew_matcher_release(brew_matcher *m) {
    free(m->slopes);
    free(m->stream);
    free(m->last);
    *m = (brew_matcher){0};
}

static void run_pair(brew_matcher *m, int64_t c, bool last, float *stream, float *slopes,
                     double scale, brew_hidden_at *at, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int64_t row = last ? at[i].read : at[i].row;
        if (row < 0) continue;
        const float *t = stream + at[i].row * c;
        float *d = slopes ? slopes + row * c : NULL;
        at[i].sum += brew_hidden_row(m->stream + row * c, t, c, scale, d);
        at[i].pairs++;
    }
}

// Rows that do not count have no gradient.
static void clear_others(float *slopes, int64_t m, int64_t c, const brew_hidden_at *at, size_t n) {
    size_t i = 0;
    for (int64_t row = 0; row < m; row++) {
        if (i < n && at[i].row == row)
            i++;
        else
            memset(slopes + row * c, 0, (size_t)c * sizeof *slopes);
    }
}

void brew_matcher_run(brew_matcher *m, const brew_learner *learner, int64_t rows, int64_t reads,
                      float *const *streams, bool learn, double scale, brew_hidden_at *at,
                      size_t n) {
    const brew_config *config = brew_learner_config(learner);
    int64_t c = config->width, layers = config->layers;
    BREW_GROW(m->stream, (size_t)((rows > reads ? rows : reads) * c), m->stream_cap);
    BREW_GROW(m->slopes, (size_t)layers + 1, m->slopes_cap);
    for (int64_t l = 0; l <= layers; l++) m->slopes[l] = NULL;
    for (size_t p = 0; p < m->map->n; p++) {
        int64_t after = m->map->pairs[p].student;
        bool last = after == layers;
        if (last && learn) {
            BREW_GROW(m->last, (size_t)(reads * c), m->last_cap);
            memset(m->last, 0, (size_t)(reads * c) * sizeof *m->last);
        }
        brew_learner_hidden(learner, after, m->stream);
        float *slopes = !learn ? NULL : last ? m->last : streams[p];
        run_pair(m, c, last, streams[p], slopes, scale, at, n);
        if (slopes && !last) clear_others(slopes, rows, c, at, n);
        m->slopes[after] = slopes;
    }
}
