#include "io/safetensors.h"

#include <stdlib.h>

#include "base/mem.h"
#include "io/name.h"

enum { MAX_HEADER = 100000000 };

typedef struct item {
    const char *name;
    brew_tensor tensor;
    size_t start, end; // in the data
    size_t index;      // as given to the writer
} item;

struct brew_safetensors {
    brew_json *header; // owns the names
    item *items;       // [n] by name
    size_t n, cap;
};

typedef struct parser {
    const char *data; // behind the header
    size_t data_len;
    const char *name;
    brew_err *err;
} parser;

// In the order in which a file holds them when the safetensors package or we have written it.
static const struct {
    const char *name;
    int dtype; // -1: not read
} dtypes[] = {
    {"I64", BREW_I64},   {"F32", BREW_F32}, {"I32", BREW_I32},
    {"BF16", BREW_BF16}, {"F16", BREW_F16}, {"F8_E4M3", BREW_F8_E4M3},
    {"I8", BREW_I8},     {"BOOL", -1},      {"U8", -1},
    {"I16", -1},         {"U16", -1},       {"U32", -1},
    {"U64", -1},         {"F64", -1},       {"F8_E5M2", -1},
    {"F8_E8M0", -1},     {"F6_E2M3", -1},   {"F6_E3M2", -1},
    {"F4", -1},          {"C64", -1},       {"F8_E4M3FNUZ", -1},
    {"F8_E5M2FNUZ", -1},
};

static int read_dtype(const parser *p, const char *tensor, const brew_json *value,
                      enum brew_dtype *out) {
    if (!brew_json_is(value, BREW_JSON_STRING))
        return brew_fail(p->err, BREW_DATA, "%s: tensor %s has no dtype", p->name, tensor);
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(brew_json_string(value, NULL), dtypes[i].name)) continue;
        if (dtypes[i].dtype < 0)
            return brew_fail(p->err, BREW_DATA,
                             "%s: tensor %s has dtype %s, which is not supported (F32, BF16, F16, "
                             "F8_E4M3, I8, I32 and I64 are)",
                             p->name, tensor, dtypes[i].name);
        *out = (enum brew_dtype)dtypes[i].dtype;
        return 0;
    }
    return brew_fail(p->err, BREW_DATA, "%s: tensor %s has an unknown dtype", p->name, tensor);
}

static int read_shape(const parser *p, const char *tensor, const brew_json *value, brew_tensor *t) {
    if (!brew_json_is(value, BREW_JSON_ARRAY))
        return brew_fail(p->err, BREW_DATA, "%s: tensor %s has no shape", p->name, tensor);
    size_t n = brew_json_length(value);
    if (n > BREW_MAX_DIMS)
        return brew_fail(p->err, BREW_DATA, "%s: tensor %s has %zu dimensions, at most %d are read",
                         p->name, tensor, n, BREW_MAX_DIMS);
    t->n_dims = (int)n;
    for (size_t i = 0; i < n; i++) {
        const brew_json *dim = brew_json_at(value, i);
        if (!brew_json_is(dim, BREW_JSON_INT) || brew_json_int(dim) < 0)
            return brew_fail(p->err, BREW_DATA, "%s: tensor %s has an impossible shape", p->name,
                             tensor);
        t->shape[i] = brew_json_int(dim);
    }
    return 0;
}

static int read_offsets(const parser *p, const brew_json *value, item *it) {
    const brew_json *start = brew_json_at(value, 0), *end = brew_json_at(value, 1);
    size_t bytes;
    if (!brew_json_is(value, BREW_JSON_ARRAY) || brew_json_length(value) != 2 ||
        !brew_json_is(start, BREW_JSON_INT) || !brew_json_is(end, BREW_JSON_INT) ||
        brew_json_int(start) < 0 || brew_json_int(end) < brew_json_int(start))
        return brew_fail(p->err, BREW_DATA, "%s: tensor %s has no proper data_offsets", p->name,
                         it->name);
    it->start = (size_t)brew_json_int(start);
    it->end = (size_t)brew_json_int(end);
    if (it->end > p->data_len)
        return brew_fail(p->err, BREW_DATA,
                         "%s: tensor %s ends at %zu, behind the %zu bytes of data", p->name,
                         it->name, it->end, p->data_len);
    if (!brew_tensor_bytes(&it->tensor, &bytes) || bytes != it->end - it->start)
        return brew_fail(
            p->err, BREW_DATA,
            "%s: tensor %s has %zu bytes, which is not what its shape and dtype %s say", p->name,
            it->name, it->end - it->start, brew_dtype_name(it->tensor.dtype));
    it->tensor.data = p->data + it->start;
    return 0;
}

static int read_item(const parser *p, const brew_json *value, item *it) {
    const brew_json *offsets = brew_json_get(value, "data_offsets");
    if (!brew_json_is(value, BREW_JSON_OBJECT))
        return brew_fail(p->err, BREW_DATA, "%s: tensor %s is no object", p->name, it->name);
    for (brew_json_iter key = {0}; brew_json_next(value, &key);)
        if (strcmp(key.key, "dtype") && strcmp(key.key, "shape") && strcmp(key.key, "data_offsets"))
            return brew_fail(p->err, BREW_DATA,
                             "%s: tensor %s has a key besides dtype, shape and data_offsets",
                             p->name, it->name);
    if (read_dtype(p, it->name, brew_json_get(value, "dtype"), &it->tensor.dtype) ||
        read_shape(p, it->name, brew_json_get(value, "shape"), &it->tensor))
        return -1;
    return read_offsets(p, offsets, it);
}

static int check_metadata(const parser *p, const brew_json *value) {
    if (!brew_json_is(value, BREW_JSON_OBJECT))
        return brew_fail(p->err, BREW_DATA, "%s: __metadata__ is no object", p->name);
    for (brew_json_iter it = {0}; brew_json_next(value, &it);)
        if (!brew_json_is(it.value, BREW_JSON_STRING))
            return brew_fail(p->err, BREW_DATA, "%s: __metadata__ holds more than strings",
                             p->name);
    return 0;
}

static int by_place(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const item *)a)->name, ((const item *)b)->name);
}

// The data must be covered exactly: neither a hole nor an overlap, nor bytes behind the last tensor.
static int check_cover(const parser *p, brew_safetensors *file) {
    size_t at = 0;
    if (file->n) qsort(file->items, file->n, sizeof *file->items, by_place);
    for (size_t i = 0; i < file->n; at = file->items[i++].end)
        if (file->items[i].start != at)
            return brew_fail(p->err, BREW_DATA, "%s: tensor %s begins at %zu, where %zu was due",
                             p->name, file->items[i].name, file->items[i].start, at);
    if (at != p->data_len)
        return brew_fail(p->err, BREW_DATA, "%s: the tensors end at %zu, the data at %zu", p->name,
                         at, p->data_len);
    if (file->n) qsort(file->items, file->n, sizeof *file->items, by_name);
    return 0;
}

static int read_header(const parser *p, brew_safetensors *file) {
    for (brew_json_iter it = {0}; brew_json_next(file->header, &it);) {
        if (!strcmp(it.key, "__metadata__")) {
            if (check_metadata(p, it.value)) return -1;
            continue;
        }
        if (!brew_name_is_plain(it.key, strlen(it.key)))
            return brew_fail(p->err, BREW_DATA,
                             "%s: the name of a tensor is empty or not plain text", p->name);
        BREW_GROW(file->items, file->n + 1, file->cap);
        file->items[file->n] = (item){.name = it.key};
        if (read_item(p, it.value, &file->items[file->n])) return -1;
        file->n++;
    }
    return check_cover(p, file);
}

static int parse(brew_safetensors *file, const char *bytes, size_t len, const char *name,
                 brew_err *err) {
    uint64_t header_len;
    if (len < 8)
        return brew_fail(err, BREW_DATA, "%s: not a safetensors file: %zu bytes, no header", name,
                         len);
    memcpy(&header_len, bytes, 8); // little-endian
    if (header_len > MAX_HEADER)
        return brew_fail(err, BREW_DATA,
                         "%s: not a safetensors file, or its header of %llu bytes is too large",
                         name, (unsigned long long)header_len);
    if (header_len > len - 8)
        return brew_fail(err, BREW_DATA, "%s: cut short: a header of %llu bytes, %zu are there",
                         name, (unsigned long long)header_len, len - 8);
    if (!header_len || bytes[8] != '{')
        return brew_fail(err, BREW_DATA, "%s: not a safetensors file: the header is no JSON object",
                         name);
    file->header = brew_json_parse(bytes + 8, (size_t)header_len, err);
    if (!file->header) return brew_err_context(err, "%s: the header", name);
    parser p = {bytes + 8 + header_len, len - 8 - (size_t)header_len, name, err};
    return read_header(&p, file);
}

brew_safetensors *brew_safetensors_parse(const void *bytes, size_t len, const char *name,
                                         brew_err *err) {
    brew_safetensors *file = brew_calloc(1, sizeof *file);
    if (!parse(file, bytes, len, name, err)) return file;
    brew_safetensors_free(file);
    return NULL;
}

void brew_safetensors_free(brew_safetensors *file) {
    if (!file) return;
    brew_json_free(file->header);
    free(file->items);
    free(file);
}

size_t brew_safetensors_n(const brew_safetensors *file) {
    return file->n;
}

const brew_tensor *brew_safetensors_at(const brew_safetensors *file, size_t index,
                                       const char **name) {
    if (name) *name = file->items[index].name;
    return &file->items[index].tensor;
}

const brew_tensor *brew_safetensors_get(const brew_safetensors *file, const char *name) {
    item key = {.name = name};
    const item *found = file->n ? bsearch(&key, file->items, file->n, sizeof key, by_name) : NULL;
    return found ? &found->tensor : NULL;
}

const brew_json *brew_safetensors_metadata(const brew_safetensors *file) {
    return brew_json_get(file->header, "__metadata__");
}

// ---- writing ----

static size_t dtype_rank(enum brew_dtype dtype) {
    size_t rank = 0;
    while (rank < sizeof dtypes / sizeof *dtypes && dtypes[rank].dtype != (int)dtype) rank++;
    return rank;
}

static int by_dtype_and_name(const void *a, const void *b) {
    const item *x = a, *y = b;
    size_t rx = dtype_rank(x->tensor.dtype), ry = dtype_rank(y->tensor.dtype);
    if (rx != ry) return rx < ry ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int place_items(item *items, size_t n, brew_err *err) {
    size_t at = 0, bytes;
    if (n) qsort(items, n, sizeof *items, by_dtype_and_name);
    for (size_t i = 0; i < n; i++) {
        if (brew_dtype_block(items[i].tensor.dtype) != 1)
            return brew_fail(err, BREW_DATA, "tensor %s: safetensors has no type %s", items[i].name,
                             brew_dtype_name(items[i].tensor.dtype));
        items[i].start = at;
        if (!brew_tensor_bytes(&items[i].tensor, &bytes) || !brew_add(at, bytes, &at))
            return brew_fail(err, BREW_DATA, "tensor %s has an impossible shape", items[i].name);
        items[i].end = at;
    }
    return 0;
}

static void add_item(brew_buf *header, const item *it) {
    brew_json_write_string(header, it->name, strlen(it->name));
    brew_buf_addf(header, ":{\"dtype\":\"%s\",\"shape\":[", brew_dtype_name(it->tensor.dtype));
    for (int d = 0; d < it->tensor.n_dims; d++)
        brew_buf_addf(header, "%s%lld", d ? "," : "", (long long)it->tensor.shape[d]);
    brew_buf_addf(header, "],\"data_offsets\":[%zu,%zu]}", it->start, it->end);
}

static int write_header(const brew_sink *to, const item *items, size_t n, const brew_json *metadata,
                        brew_err *err) {
    brew_buf header = {0};
    brew_buf_adds(&header, "{");
    if (metadata) {
        brew_buf_adds(&header, "\"__metadata__\":");
        brew_json_write(&header, metadata);
    }
    for (size_t i = 0; i < n; i++) {
        if (i || metadata) brew_buf_addc(&header, ',');
        add_item(&header, &items[i]);
    }
    brew_buf_addc(&header, '}');
    while (header.len % 8) brew_buf_addc(&header, ' ');
    uint64_t len = header.len;
    int rc = len > MAX_HEADER ? brew_fail(err, BREW_DATA, "a header of more than 100 MB") : 0;
    if (!rc) rc = brew_sink_put(to, &len, 8, err);
    if (!rc) rc = brew_sink_put(to, header.ptr, header.len, err);
    brew_buf_release(&header);
    return rc;
}

// The tensors in the order of the file, placed. From malloc; NULL on failure.
static item *placed(const brew_named_tensor *tensors, size_t n, brew_err *err) {
    item *items = brew_calloc(n, sizeof *items);
    for (size_t i = 0; i < n; i++) {
        if (tensors[i].tensor.interleaved_heads)
            brew_bug("interleaved rows written as they are stored");
        items[i] = (item){.name = tensors[i].name, .tensor = tensors[i].tensor, .index = i};
    }
    if (!place_items(items, n, err)) return items;
    free(items);
    return NULL;
}

int brew_safetensors_write(brew_out *out, const brew_named_tensor *tensors, size_t n,
                           const brew_json *metadata, brew_err *err) {
    brew_sink to = {out, NULL};
    item *items = placed(tensors, n, err);
    int rc = items ? write_header(&to, items, n, metadata, err) : -1;
    for (size_t i = 0; !rc && i < n; i++)
        rc = brew_sink_put(&to, items[i].tensor.data, items[i].end - items[i].start, err);
    free(items);
    return rc;
}

int brew_safetensors_write_rows(brew_out *out, const brew_named_tensor *tensors, size_t n,
                                const brew_json *metadata, brew_rows_fn *rows, void *arg,
                                brew_sha256 *sha, brew_err *err) {
    brew_sink to = {out, sha};
    item *items = placed(tensors, n, err);
    int rc = items ? write_header(&to, items, n, metadata, err) : -1;
    for (size_t i = 0; !rc && i < n; i++)
        rc = brew_rows_write(&to, &items[i].tensor, items[i].index, rows, arg, err);
    free(items);
    return rc;
}
