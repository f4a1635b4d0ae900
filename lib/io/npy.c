#include "io/npy.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "arrays are written as they lie in memory");

enum { PREFIX = 10, ALIGN = 64 };

static const struct {
    const char *descr;
    size_t bytes;
} types[BREW_NPY_TYPES] = {
    [BREW_NPY_U8] = {"|u1", 1},   [BREW_NPY_I32] = {"<i4", 4}, [BREW_NPY_I64] = {"<i8", 8},
    [BREW_NPY_F32] = {"<f4", 4},  [BREW_NPY_F64] = {"<f8", 8}, [BREW_NPY_I8] = {"|i1", 1},
    [BREW_NPY_BOOL] = {"|b1", 1},
};

size_t brew_npy_type_bytes(enum brew_npy_type type) {
    return types[type].bytes;
}

void brew_npy_write_header(brew_buf *out, const brew_npy *array) {
    brew_buf dict = {0};
    brew_buf_addf(&dict, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                  types[array->type].descr);
    for (int i = 0; i < array->n_dims; i++)
        brew_buf_addf(&dict, "%s%zu%s", i ? ", " : "", array->shape[i],
                      array->n_dims == 1 ? "," : "");
    brew_buf_adds(&dict, "), }");
    while ((PREFIX + dict.len + 1) % ALIGN) brew_buf_addc(&dict, ' ');
    brew_buf_addc(&dict, '\n');
    const unsigned char prefix[PREFIX] = {0x93,
                                          'N',
                                          'U',
                                          'M',
                                          'P',
                                          'Y',
                                          1,
                                          0,
                                          (unsigned char)(dict.len & 255),
                                          (unsigned char)(dict.len >> 8)};
    brew_buf_add(out, prefix, sizeof prefix);
    brew_buf_add(out, dict.ptr, dict.len);
    brew_buf_release(&dict);
}

struct cursor {
    const char *at, *end;
};

static bool word(struct cursor *c, const char *text) {
    size_t len = strlen(text);
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, text, len)) return false;
    c->at += len;
    return true;
}

static bool number(struct cursor *c, size_t *out) {
    const char *from = c->at;
    size_t value = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (!brew_mul(value, 10, &value) || !brew_add(value, (size_t)(*c->at - '0'), &value))
            return false;
    *out = value;
    return c->at > from;
}

// "(", then "3,", or "3, 4", or nothing, then ")".
static bool shape(struct cursor *c, brew_npy *array) {
    array->n_dims = 0;
    if (!word(c, "(")) return false;
    while (!word(c, ")")) {
        if (array->n_dims == BREW_NPY_MAX_DIMS) return false;
        if (array->n_dims && !word(c, ", ")) return false;
        if (!number(c, &array->shape[array->n_dims++])) return false;
        if (array->n_dims == 1 && word(c, ",)")) return true;
        if (array->n_dims == 1 && c->at < c->end && *c->at == ')') return false; // (3) is no tuple
    }
    return true;
}

static bool type(struct cursor *c, brew_npy *array) {
    for (array->type = 0; array->type < BREW_NPY_TYPES; array->type++)
        if (word(c, types[array->type].descr)) return true;
    return false;
}

int brew_npy_parse(const char *bytes, size_t len, brew_npy *array, brew_err *err) {
    *array = (brew_npy){0};
    if (len < PREFIX || memcmp(bytes, "\x93NUMPY", 6))
        return brew_fail(err, BREW_DATA, "not an .npy file");
    if (bytes[6] != 1 || bytes[7] != 0)
        return brew_fail(err, BREW_DATA, ".npy version %d.%d instead of 1.0",
                         (unsigned char)bytes[6], (unsigned char)bytes[7]);
    size_t header = (size_t)(unsigned char)bytes[8] | (size_t)(unsigned char)bytes[9] << 8;
    array->data_start = PREFIX + header;
    if (array->data_start > len || !header || bytes[array->data_start - 1] != '\n')
        return brew_fail(err, BREW_DATA, "the .npy header is cut short");
    if (array->data_start % ALIGN)
        return brew_fail(err, BREW_DATA,
                         "the .npy data begins at byte %zu, not at a multiple of 64",
                         array->data_start);
    struct cursor c = {bytes + PREFIX, bytes + array->data_start - 1};
    if (!word(&c, "{'descr': '")) return brew_fail(err, BREW_DATA, "a malformed .npy header");
    if (!type(&c, array))
        return brew_fail(err, BREW_DATA,
                         "an .npy type that is not one of |u1, |i1, |b1, <i4, <i8, <f4, <f8");
    if (!word(&c, "', 'fortran_order': False, 'shape': "))
        return brew_fail(err, BREW_DATA, "an .npy array that is not in C order");
    if (!shape(&c, array) || !word(&c, ", }"))
        return brew_fail(err, BREW_DATA, "a malformed .npy shape");
    while (c.at < c.end)
        if (*c.at++ != ' ') return brew_fail(err, BREW_DATA, "a malformed .npy header");
    array->count = 1;
    bool fits = true;
    for (int i = 0; i < array->n_dims; i++)
        fits = fits && brew_mul(array->count, array->shape[i], &array->count);
    size_t data;
    if (!fits || !brew_mul(array->count, types[array->type].bytes, &data) ||
        data != len - array->data_start)
        return brew_fail(err, BREW_DATA, "an .npy shape of %zu elements, but %zu bytes of data",
                         fits ? array->count : SIZE_MAX, len - array->data_start);
    return 0;
}
