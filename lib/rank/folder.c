#include "rank/folder.h"

#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"

bool brew_folder_is(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int open_column(struct brew_folder_column *column, const char *folder, const char *name,
                       unsigned types, size_t *n, brew_err *err) {
    brew_buf path = {0};
    brew_npy npy;
    brew_buf_addf(&path, "%s/%s.npy", folder, name);
    int status = brew_map_open(&column->map, path.ptr, err);
    if (status == 0) {
        status = brew_npy_parse(column->map.ptr, column->map.len, &npy, err);
        if (status == 0 && !(types >> npy.type & 1))
            status = brew_fail(err, BREW_DATA, "has a type that %s cannot have", name);
        if (status == 0 && npy.n_dims != 1)
            status = brew_fail(err, BREW_DATA, "has %d dimensions instead of one", npy.n_dims);
        if (status == 0 && *n != SIZE_MAX && npy.count != *n)
            status = brew_fail(err, BREW_DATA, "has %zu rows, scores.npy %zu", npy.count, *n);
        if (status < 0) brew_err_context(err, "%s", path.ptr);
    }
    if (status == 0) {
        *n = npy.count;
        column->type = npy.type;
        column->data = column->map.ptr + npy.data_start;
    }
    brew_buf_release(&path);
    return status;
}

static bool has(const char *folder, const char *name) {
    brew_buf path = {0};
    struct stat st;
    brew_buf_addf(&path, "%s/%s.npy", folder, name);
    bool found = stat(path.ptr, &st) == 0;
    brew_buf_release(&path);
    return found;
}

int brew_folder_open(brew_folder *c, const char *path, brew_err *err) {
    const unsigned reals = 1u << BREW_NPY_F32 | 1u << BREW_NPY_F64;
    const unsigned wholes = 1u << BREW_NPY_I32 | 1u << BREW_NPY_I64;
    const unsigned bytes = 1u << BREW_NPY_U8 | 1u << BREW_NPY_I8 | 1u << BREW_NPY_BOOL;
    *c = (brew_folder){.n = SIZE_MAX};
    if (!has(path, "scores"))
        return brew_fail(err, BREW_NOINPUT,
                         "%s: is a directory, without the scores.npy of a column folder", path);
    if (open_column(&c->scores, path, "scores", reals, &c->n, err) < 0 ||
        open_column(&c->targets, path, "targets", bytes | wholes, &c->n, err) < 0 ||
        open_column(&c->members, path, "members", wholes, &c->n, err) < 0 ||
        (has(path, "weights") &&
         open_column(&c->weights, path, "weights", reals, &c->n, err) < 0)) {
        brew_folder_close(c);
        return -1;
    }
    return 0;
}

void brew_folder_close(brew_folder *c) {
    brew_map_close(&c->scores.map);
    brew_map_close(&c->targets.map);
    brew_map_close(&c->members.map);
    brew_map_close(&c->weights.map);
    *c = (brew_folder){0};
}

// The elements from `first` on where they are, if they are of this type and can be read there.
static const void *in_place(const struct brew_folder_column *c, enum brew_npy_type type,
                            size_t first) {
    return c->type == type && (uintptr_t)c->data % 8 == 0 ? c->data + first * 8 : NULL;
}

static void read_reals(const struct brew_folder_column *c, size_t first, size_t n, double *out) {
    if (c->type == BREW_NPY_F64) {
        memcpy(out, c->data + first * 8, n * 8);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        float x;
        memcpy(&x, c->data + (first + i) * 4, 4);
        out[i] = x;
    }
}

static void read_members(const struct brew_folder_column *c, size_t first, size_t n, int64_t *out) {
    if (c->type == BREW_NPY_I64) {
        memcpy(out, c->data + first * 8, n * 8);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t x;
        memcpy(&x, c->data + (first + i) * 4, 4);
        out[i] = x;
    }
}

float brew_folder_weight(const brew_folder *f, size_t row) {
    double x;
    if (!f->weights.data) return 1;
    read_reals(&f->weights, row, 1, &x);
    return (float)x;
}

static int8_t target_of(int64_t x) {
    return x >= -1 && x <= 1 ? (int8_t)x : 2;
}

static void read_targets(const struct brew_folder_column *c, size_t first, size_t n, int8_t *out) {
    const char *from = c->data + first * brew_npy_type_bytes(c->type);
    if (c->type == BREW_NPY_I64) {
        for (size_t i = 0; i < n; i++) {
            int64_t x;
            memcpy(&x, from + 8 * i, 8);
            out[i] = target_of(x);
        }
    } else if (c->type == BREW_NPY_I32) {
        for (size_t i = 0; i < n; i++) {
            int32_t x;
            memcpy(&x, from + 4 * i, 4);
            out[i] = target_of(x);
        }
    } else if (c->type == BREW_NPY_I8) {
        for (size_t i = 0; i < n; i++) out[i] = target_of((signed char)from[i]);
    } else {
        for (size_t i = 0; i < n; i++) out[i] = (unsigned char)from[i] > 1 ? 2 : from[i];
    }
}

void brew_folder_read_scores(const brew_folder *f, size_t first, size_t end, brew_folder_block *b) {
    b->n = end - first < BREW_FOLDER_BLOCK ? end - first : BREW_FOLDER_BLOCK;
    b->score = in_place(&f->scores, BREW_NPY_F64, first);
    if (!b->score) {
        read_reals(&f->scores, first, b->n, b->space.score);
        b->score = b->space.score;
    }
    read_targets(&f->targets, first, b->n, b->target);
}

void brew_folder_read(const brew_folder *f, size_t first, size_t end, brew_folder_block *b) {
    brew_folder_read_scores(f, first, end, b);
    b->member = in_place(&f->members, BREW_NPY_I64, first);
    if (!b->member) {
        read_members(&f->members, first, b->n, b->space.member);
        b->member = b->space.member;
    }
    for (size_t i = 0; i < b->n; i++) b->weight[i] = 1;
    if (!f->weights.data) return;
    read_reals(&f->weights, first, b->n, b->weight);
    for (size_t i = 0; i < b->n; i++) b->weight[i] = (float)b->weight[i];
}
