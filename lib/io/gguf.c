#include "io/gguf.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "io/name.h"

// The file, all numbers little-endian, strings as u64 length and bytes:
//
//     "GGUF" u32 version, u64 tensors, u64 keys
//     keys:     string key, u32 type, value      (array: u32 element type, u64 count, elements)
//     tensors:  string name, u32 dims, u64 dim[], u32 type, u64 offset into the data
//     padding to general.alignment, then the data

typedef struct entry {
    enum brew_gguf_type type;
    const char *value; // of an array: its first element
    size_t size;       // of a string: its length; of an array: its count
    enum brew_gguf_type element;
    const char *raw; // type and value as they stand in the file
    size_t raw_len;
} entry;

struct brew_gguf {
    brew_intern keys, names; // numbers index entries and tensors
    entry *entries;
    brew_tensor *tensors;
    uint64_t *offsets; // [n_tensors] into the data; only while parsing
    size_t entries_cap, tensors_cap, offsets_cap, alignment;
};

typedef struct cursor {
    const char *start, *at;
    size_t left;
    const char *name;
    brew_err *err;
} cursor;

static const uint8_t type_sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

static uint64_t load_number(const char *at, size_t bytes) {
    uint64_t value = 0;
    memcpy(&value, at, bytes); // little-endian
    return value;
}

static const char *take(cursor *c, size_t bytes) {
    if (bytes > c->left) {
        brew_fail(c->err, BREW_DATA, "%s: cut short: %zu bytes wanted at byte %zu, %zu left",
                  c->name, bytes, (size_t)(c->at - c->start), c->left);
        return NULL;
    }
    const char *at = c->at;
    c->at += bytes;
    c->left -= bytes;
    return at;
}

static int take_number(cursor *c, size_t bytes, uint64_t *out) {
    const char *at = take(c, bytes);
    if (!at) return -1;
    *out = load_number(at, bytes);
    return 0;
}

static int take_string(cursor *c, const char **text, size_t *len) {
    uint64_t n;
    if (take_number(c, 8, &n)) return -1;
    *len = n;
    *text = take(c, n);
    return *text ? 0 : -1;
}

static int take_name(cursor *c, const char *what, size_t index, const char **text, size_t *len) {
    if (take_string(c, text, len)) return -1;
    if (*len < 65536 && brew_name_is_plain(*text, *len)) return 0;
    return brew_fail(c->err, BREW_DATA,
                     "%s: the name of %s %zu is empty, too long or not plain text", c->name, what,
                     index);
}

static int take_type(cursor *c, const char *key, enum brew_gguf_type *type) {
    uint64_t number;
    if (take_number(c, 4, &number)) return -1;
    if (number > BREW_GGUF_F64)
        return brew_fail(c->err, BREW_DATA, "%s: key %s has the unknown type %llu", c->name, key,
                         (unsigned long long)number);
    *type = (enum brew_gguf_type)number;
    return 0;
}

static int take_bool(cursor *c, const char *key, size_t n) {
    const char *at = take(c, n);
    if (!at) return -1;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)at[i] > 1)
            return brew_fail(c->err, BREW_DATA, "%s: key %s has a bool that is neither 0 nor 1",
                             c->name, key);
    return 0;
}

static int take_array(cursor *c, const char *key, entry *e) {
    uint64_t count;
    if (take_type(c, key, &e->element) || take_number(c, 8, &count)) return -1;
    e->size = count;
    e->value = c->at;
    if (e->element == BREW_GGUF_ARRAY)
        return brew_fail(c->err, BREW_DATA,
                         "%s: key %s is an array of arrays, which is not supported", c->name, key);
    size_t least = e->element == BREW_GGUF_STRING ? 8 : type_sizes[e->element];
    if (count > c->left / least)
        return brew_fail(c->err, BREW_DATA,
                         "%s: key %s claims %llu elements where %zu bytes are left", c->name, key,
                         (unsigned long long)count, c->left);
    if (e->element == BREW_GGUF_BOOL) return take_bool(c, key, count);
    if (e->element != BREW_GGUF_STRING) return take(c, count * least) ? 0 : -1;
    const char *text;
    size_t len;
    for (uint64_t i = 0; i < count; i++)
        if (take_string(c, &text, &len)) return -1;
    return 0;
}

static int take_entry(cursor *c, const char *key, entry *e) {
    if (take_type(c, key, &e->type)) return -1;
    e->value = c->at;
    if (e->type == BREW_GGUF_STRING) return take_string(c, &e->value, &e->size);
    if (e->type == BREW_GGUF_ARRAY) return take_array(c, key, e);
    if (e->type == BREW_GGUF_BOOL) return take_bool(c, key, 1);
    return take(c, type_sizes[e->type]) ? 0 : -1;
}

static int take_keys(brew_gguf *gguf, cursor *c, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        const char *text;
        size_t len;
        entry e = {0};
        if (take_name(c, "key", i, &text, &len)) return -1;
        if (brew_intern_put(&gguf->keys, text, len) != i)
            return brew_fail(c->err, BREW_DATA, "%s: key %.*s stands there twice", c->name,
                             (int)len, text);
        e.raw = c->at;
        if (take_entry(c, gguf->keys.entries[i].ptr, &e)) return -1;
        e.raw_len = (size_t)(c->at - e.raw);
        BREW_GROW(gguf->entries, i + 1, gguf->entries_cap);
        gguf->entries[i] = e;
    }
    int64_t alignment = 32;
    if (brew_gguf_has(gguf, "general.alignment") &&
        (!brew_gguf_int(gguf, "general.alignment", &alignment) || alignment < 8 ||
         alignment > 1 << 20 || (alignment & (alignment - 1))))
        return brew_fail(c->err, BREW_DATA,
                         "%s: general.alignment must be a power of two from 8 to 1048576", c->name);
    gguf->alignment = (size_t)alignment;
    return 0;
}

// ggml's numbers; a name without a type is known and refused.
static const struct {
    const char *name;
    int dtype; // -1: not read
} ggml_types[] = {
    [0] = {"F32", BREW_F32},    [1] = {"F16", BREW_F16},    [2] = {"Q4_0", BREW_Q4_0},
    [3] = {"Q4_1", BREW_Q4_1},  [6] = {"Q5_0", -1},         [7] = {"Q5_1", -1},
    [8] = {"Q8_0", BREW_Q8_0},  [9] = {"Q8_1", -1},         [10] = {"Q2_K", -1},
    [11] = {"Q3_K", -1},        [12] = {"Q4_K", BREW_Q4_K}, [13] = {"Q5_K", -1},
    [14] = {"Q6_K", BREW_Q6_K}, [15] = {"Q8_K", -1},        [16] = {"IQ2_XXS", -1},
    [17] = {"IQ2_XS", -1},      [18] = {"IQ3_XXS", -1},     [19] = {"IQ1_S", -1},
    [20] = {"IQ4_NL", -1},      [21] = {"IQ3_S", -1},       [22] = {"IQ2_S", -1},
    [23] = {"IQ4_XS", -1},      [24] = {"I8", -1},          [25] = {"I16", -1},
    [26] = {"I32", -1},         [27] = {"I64", -1},         [28] = {"F64", -1},
    [29] = {"IQ1_M", -1},       [30] = {"BF16", BREW_BF16}, [34] = {"TQ1_0", -1},
    [35] = {"TQ2_0", -1},       [39] = {"MXFP4", -1},       [40] = {"NVFP4", -1},
    [41] = {"Q1_0", -1},
};

static int take_tensor(cursor *c, const char *name, brew_tensor *t, uint64_t *offset) {
    uint64_t dims, dim, type;
    if (take_number(c, 4, &dims)) return -1;
    if (dims > BREW_MAX_DIMS)
        return brew_fail(c->err, BREW_DATA,
                         "%s: tensor %s has %llu dimensions, at most %d are read", c->name, name,
                         (unsigned long long)dims, BREW_MAX_DIMS);
    *t = (brew_tensor){.n_dims = (int)dims};
    for (uint64_t i = 0; i < dims; i++) {
        if (take_number(c, 8, &dim)) return -1;
        if (dim > INT64_MAX)
            return brew_fail(c->err, BREW_DATA, "%s: tensor %s has an impossible shape", c->name,
                             name);
        t->shape[dims - 1 - i] = (int64_t)dim; // the file's first dimension is the row's length
    }
    if (take_number(c, 4, &type) || take_number(c, 8, offset)) return -1;
    bool known = type < sizeof ggml_types / sizeof *ggml_types && ggml_types[type].name;
    if (!known)
        return brew_fail(c->err, BREW_DATA, "%s: tensor %s has the unknown type number %llu",
                         c->name, name, (unsigned long long)type);
    if (ggml_types[type].dtype < 0)
        return brew_fail(
            c->err, BREW_DATA,
            "%s: tensor %s has type %s, which is not supported (F32, F16, BF16, Q8_0, Q4_0, "
            "Q4_1, Q4_K and Q6_K are)",
            c->name, name, ggml_types[type].name);
    t->dtype = (enum brew_dtype)ggml_types[type].dtype;
    return 0;
}

static int take_tensors(brew_gguf *gguf, cursor *c, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        const char *text;
        size_t len;
        if (take_name(c, "tensor", i, &text, &len)) return -1;
        if (brew_intern_put(&gguf->names, text, len) != i)
            return brew_fail(c->err, BREW_DATA, "%s: tensor %.*s stands there twice", c->name,
                             (int)len, text);
        BREW_GROW(gguf->tensors, i + 1, gguf->tensors_cap);
        BREW_GROW(gguf->offsets, i + 1, gguf->offsets_cap);
        if (take_tensor(c, gguf->names.entries[i].ptr, &gguf->tensors[i], &gguf->offsets[i]))
            return -1;
    }
    return 0;
}

typedef struct extent {
    size_t start, end, tensor;
} extent;

static int compare_extents(const void *a, const void *b) {
    const extent *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int place_tensor(brew_gguf *gguf, cursor *c, size_t i, extent *at) {
    brew_tensor *t = &gguf->tensors[i];
    const char *name = gguf->names.entries[i].ptr;
    size_t bytes;
    if (!brew_tensor_bytes(t, &bytes))
        return brew_fail(c->err, BREW_DATA,
                         "%s: tensor %s has a shape that is impossible for type %s", c->name, name,
                         brew_dtype_name(t->dtype));
    if (gguf->offsets[i] % gguf->alignment)
        return brew_fail(c->err, BREW_DATA, "%s: tensor %s begins at %llu, no multiple of %zu",
                         c->name, name, (unsigned long long)gguf->offsets[i], gguf->alignment);
    if (gguf->offsets[i] > c->left || bytes > c->left - gguf->offsets[i])
        return brew_fail(c->err, BREW_DATA,
                         "%s: tensor %s (%zu bytes at %llu) ends behind the %zu bytes "
                         "of data",
                         c->name, name, bytes, (unsigned long long)gguf->offsets[i], c->left);
    t->data = c->at + gguf->offsets[i];
    *at = (extent){gguf->offsets[i], gguf->offsets[i] + bytes, i};
    return 0;
}

static int place_tensors(brew_gguf *gguf, cursor *c) {
    size_t n = gguf->names.count, used = (size_t)(c->at - c->start);
    if (!n) return 0; // a vocabulary alone: there is no data to align
    size_t padding = (gguf->alignment - used % gguf->alignment) % gguf->alignment;
    if (!take(c, padding)) return -1;
    extent *extents = brew_calloc(n, sizeof *extents);
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++) rc = place_tensor(gguf, c, i, &extents[i]);
    if (!rc) qsort(extents, n, sizeof *extents, compare_extents);
    for (size_t i = 1; !rc && i < n; i++)
        if (extents[i].start < extents[i - 1].end)
            rc = brew_fail(c->err, BREW_DATA, "%s: tensors %s and %s overlap", c->name,
                           gguf->names.entries[extents[i - 1].tensor].ptr,
                           gguf->names.entries[extents[i].tensor].ptr);
    free(extents);
    return rc;
}

static int parse(brew_gguf *gguf, cursor *c) {
    uint64_t version, n_tensors, n_keys;
    if (c->left < 4 || memcmp(c->at, "GGUF", 4))
        return brew_fail(c->err, BREW_DATA, "%s: not a GGUF file", c->name);
    take(c, 4);
    if (take_number(c, 4, &version)) return -1;
    if (version != 3 && (version & 0xffff) == 0 && version)
        return brew_fail(c->err, BREW_DATA, "%s: a big-endian GGUF file, which is not supported",
                         c->name);
    if (version != 3)
        return brew_fail(c->err, BREW_DATA, "%s: GGUF version %llu, which is not supported (3 is)",
                         c->name, (unsigned long long)version);
    if (take_number(c, 8, &n_tensors) || take_number(c, 8, &n_keys)) return -1;
    // The smallest key takes 13 bytes and a name of one; the smallest tensor 24 and a name of one.
    if (n_keys > c->left / 14 || n_tensors > c->left / 25)
        return brew_fail(c->err, BREW_DATA, "%s: claims %llu keys and %llu tensors in %zu bytes",
                         c->name, (unsigned long long)n_keys, (unsigned long long)n_tensors,
                         c->left);
    if (take_keys(gguf, c, n_keys) || take_tensors(gguf, c, n_tensors)) return -1;
    return place_tensors(gguf, c);
}

brew_gguf *brew_gguf_parse(const void *bytes, size_t len, const char *name, brew_err *err) {
    brew_gguf *gguf = brew_calloc(1, sizeof *gguf);
    cursor c = {bytes, bytes, len, name, err};
    int rc = parse(gguf, &c);
    free(gguf->offsets);
    gguf->offsets = NULL;
    if (!rc) return gguf;
    brew_gguf_free(gguf);
    return NULL;
}

void brew_gguf_free(brew_gguf *gguf) {
    if (!gguf) return;
    brew_intern_release(&gguf->keys);
    brew_intern_release(&gguf->names);
    free(gguf->entries);
    free(gguf->tensors);
    free(gguf->offsets);
    free(gguf);
}

static const entry *find(const brew_gguf *gguf, const char *key) {
    size_t number = brew_intern_get(&gguf->keys, key, strlen(key));
    return number == SIZE_MAX ? NULL : &gguf->entries[number];
}

static bool load_int(enum brew_gguf_type type, const char *at, int64_t *out) {
    uint64_t raw;
    switch (type) {
    case BREW_GGUF_U8:
    case BREW_GGUF_U16:
    case BREW_GGUF_U32:
    case BREW_GGUF_U64:
        raw = load_number(at, type_sizes[type]);
        if (raw > INT64_MAX) return false;
        break;
    case BREW_GGUF_I8:
        raw = (uint64_t)(int64_t)(int8_t)*at;
        break;
    case BREW_GGUF_I16:
        raw = (uint64_t)(int64_t)(int16_t)load_number(at, 2);
        break;
    case BREW_GGUF_I32:
        raw = (uint64_t)(int64_t)(int32_t)load_number(at, 4);
        break;
    case BREW_GGUF_I64:
        raw = load_number(at, 8);
        break;
    default:
        return false;
    }
    *out = (int64_t)raw;
    return true;
}

static bool load_real(enum brew_gguf_type type, const char *at, double *out) {
    int64_t integer;
    float single;
    switch (type) {
    case BREW_GGUF_F32:
        memcpy(&single, at, 4);
        *out = single;
        return true;
    case BREW_GGUF_F64:
        memcpy(out, at, 8);
        return true;
    default:
        if (!load_int(type, at, &integer)) return false;
        *out = (double)integer;
        return true;
    }
}

bool brew_gguf_int(const brew_gguf *gguf, const char *key, int64_t *out) {
    const entry *e = find(gguf, key);
    return e && load_int(e->type, e->value, out);
}

bool brew_gguf_real(const brew_gguf *gguf, const char *key, double *out) {
    const entry *e = find(gguf, key);
    return e && load_real(e->type, e->value, out);
}

bool brew_gguf_bool(const brew_gguf *gguf, const char *key, bool *out) {
    const entry *e = find(gguf, key);
    if (!e || e->type != BREW_GGUF_BOOL) return false;
    *out = *e->value != 0;
    return true;
}

bool brew_gguf_string(const brew_gguf *gguf, const char *key, const char **text, size_t *len) {
    const entry *e = find(gguf, key);
    if (!e || e->type != BREW_GGUF_STRING) return false;
    *text = e->value;
    *len = e->size;
    return true;
}

bool brew_gguf_has(const brew_gguf *gguf, const char *key) {
    return find(gguf, key);
}

size_t brew_gguf_n_keys(const brew_gguf *gguf) {
    return gguf->keys.count;
}

const char *brew_gguf_key(const brew_gguf *gguf, size_t index, size_t *len,
                          enum brew_gguf_type *type) {
    *len = gguf->keys.entries[index].len;
    *type = gguf->entries[index].type;
    return gguf->keys.entries[index].ptr;
}

static const entry *find_array(const brew_gguf *gguf, const char *key) {
    const entry *e = find(gguf, key);
    return e && e->type == BREW_GGUF_ARRAY ? e : NULL;
}

bool brew_gguf_array(const brew_gguf *gguf, const char *key, enum brew_gguf_type *type, size_t *n) {
    const entry *e = find_array(gguf, key);
    if (!e) return false;
    *type = e->element;
    *n = e->size;
    return true;
}

bool brew_gguf_strings_start(const brew_gguf *gguf, const char *key, brew_gguf_strings *it) {
    const entry *e = find_array(gguf, key);
    if (!e || e->element != BREW_GGUF_STRING) return false;
    *it = (brew_gguf_strings){e->value, e->size};
    return true;
}

bool brew_gguf_strings_next(brew_gguf_strings *it, const char **text, size_t *len) {
    if (!it->left) return false;
    *len = load_number(it->at, 8); // in range: the whole array was walked when it was parsed
    *text = it->at + 8;
    it->at += 8 + *len;
    it->left--;
    return true;
}

bool brew_gguf_array_int(const brew_gguf *gguf, const char *key, size_t index, int64_t *out) {
    const entry *e = find_array(gguf, key);
    return e && index < e->size &&
           load_int(e->element, e->value + index * type_sizes[e->element], out);
}

bool brew_gguf_array_real(const brew_gguf *gguf, const char *key, size_t index, double *out) {
    const entry *e = find_array(gguf, key);
    return e && index < e->size &&
           load_real(e->element, e->value + index * type_sizes[e->element], out);
}

size_t brew_gguf_n_tensors(const brew_gguf *gguf) {
    return gguf->names.count;
}

const brew_tensor *brew_gguf_tensor_at(const brew_gguf *gguf, size_t index, const char **name) {
    if (name) *name = gguf->names.entries[index].ptr;
    return &gguf->tensors[index];
}

const brew_tensor *brew_gguf_tensor(const brew_gguf *gguf, const char *name) {
    size_t number = brew_intern_get(&gguf->names, name, strlen(name));
    return number == SIZE_MAX ? NULL : &gguf->tensors[number];
}

const char *brew_gguf_raw(const brew_gguf *gguf, size_t index, size_t *len) {
    *len = gguf->entries[index].raw_len;
    return gguf->entries[index].raw;
}

int64_t brew_gguf_dtype_number(enum brew_dtype dtype) {
    for (size_t i = 0; i < sizeof ggml_types / sizeof *ggml_types; i++)
        if (ggml_types[i].name && ggml_types[i].dtype == (int)dtype) return (int64_t)i;
    return -1;
}
