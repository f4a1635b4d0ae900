#include "io/gguf_write.h"

#include "base/mem.h"

enum { ALIGNMENT = 32 };

static void put_number(brew_buf *to, uint64_t value, size_t bytes) {
    brew_buf_add(to, &value, bytes); // little-endian
}

static void put_text(brew_buf *to, const char *text, size_t len) {
    put_number(to, len, 8);
    brew_buf_add(to, text, len);
}

static void add_key(brew_gguf_keys *keys, const char *key, enum brew_gguf_type type) {
    put_text(&keys->bytes, key, strlen(key));
    put_number(&keys->bytes, type, 4);
    keys->n++;
}

void brew_gguf_keys_release(brew_gguf_keys *keys) {
    brew_buf_release(&keys->bytes);
    keys->n = 0;
}

void brew_gguf_add_u32(brew_gguf_keys *keys, const char *key, uint32_t value) {
    add_key(keys, key, BREW_GGUF_U32);
    put_number(&keys->bytes, value, 4);
}

void brew_gguf_add_f32(brew_gguf_keys *keys, const char *key, float value) {
    add_key(keys, key, BREW_GGUF_F32);
    brew_gguf_put_f32(keys, value);
}

void brew_gguf_add_bool(brew_gguf_keys *keys, const char *key, bool value) {
    add_key(keys, key, BREW_GGUF_BOOL);
    put_number(&keys->bytes, value, 1);
}

void brew_gguf_add_string(brew_gguf_keys *keys, const char *key, const char *text, size_t len) {
    add_key(keys, key, BREW_GGUF_STRING);
    put_text(&keys->bytes, text, len);
}

void brew_gguf_add_text(brew_gguf_keys *keys, const char *key, const char *text) {
    brew_gguf_add_string(keys, key, text, strlen(text));
}

void brew_gguf_add_array(brew_gguf_keys *keys, const char *key, enum brew_gguf_type type,
                         uint64_t n) {
    add_key(keys, key, BREW_GGUF_ARRAY);
    put_number(&keys->bytes, type, 4);
    put_number(&keys->bytes, n, 8);
}

void brew_gguf_put_string(brew_gguf_keys *keys, const char *text, size_t len) {
    put_text(&keys->bytes, text, len);
}

void brew_gguf_put_i32(brew_gguf_keys *keys, int32_t value) {
    brew_buf_add(&keys->bytes, &value, 4);
}

void brew_gguf_put_f32(brew_gguf_keys *keys, float value) {
    brew_buf_add(&keys->bytes, &value, 4);
}

void brew_gguf_add_copy(brew_gguf_keys *keys, const brew_gguf *from, size_t index) {
    size_t len;
    enum brew_gguf_type type;
    const char *key = brew_gguf_key(from, index, &len, &type);
    put_text(&keys->bytes, key, len);
    const char *raw = brew_gguf_raw(from, index, &len);
    brew_buf_add(&keys->bytes, raw, len);
    keys->n++;
}

static size_t padding(size_t bytes) {
    return (ALIGNMENT - bytes % ALIGNMENT) % ALIGNMENT;
}

int brew_gguf_head(brew_buf *head, const brew_gguf_keys *keys, const brew_named_tensor *tensors,
                   size_t n, brew_err *err) {
    size_t at = 0, bytes;
    brew_buf_adds(head, "GGUF");
    put_number(head, 3, 4);
    put_number(head, n, 8);
    put_number(head, keys->n, 8);
    brew_buf_add(head, keys->bytes.ptr, keys->bytes.len);
    for (size_t i = 0; i < n; i++) {
        const brew_tensor *t = &tensors[i].tensor;
        int64_t type = brew_gguf_dtype_number(t->dtype);
        if (type < 0)
            return brew_fail(err, BREW_DATA, "tensor %s: GGUF has no type %s", tensors[i].name,
                             brew_dtype_name(t->dtype));
        if (!brew_tensor_bytes(t, &bytes) || !brew_add(at, bytes, &bytes))
            return brew_fail(err, BREW_DATA, "tensor %s has a shape that is impossible for type %s",
                             tensors[i].name, brew_dtype_name(t->dtype));
        put_text(head, tensors[i].name, strlen(tensors[i].name));
        put_number(head, (uint64_t)t->n_dims, 4);
        for (int d = t->n_dims; d-- > 0;) put_number(head, (uint64_t)t->shape[d], 8);
        put_number(head, (uint64_t)type, 4);
        put_number(head, at, 8);
        at = bytes + padding(bytes);
    }
    for (size_t pad = padding(head->len); n && pad; pad--) brew_buf_addc(head, 0);
    return 0;
}

int brew_gguf_write_rows(brew_out *out, const brew_gguf_keys *keys,
                         const brew_named_tensor *tensors, size_t n, brew_rows_fn *rows, void *arg,
                         brew_err *err) {
    static const char zeros[ALIGNMENT];
    brew_sink to = {out, NULL};
    brew_buf head = {0};
    int rc = brew_gguf_head(&head, keys, tensors, n, err);
    if (!rc) rc = brew_sink_put(&to, head.ptr, head.len, err);
    brew_buf_release(&head);
    for (size_t i = 0; !rc && i < n; i++) {
        size_t bytes = 0;
        brew_tensor_bytes(&tensors[i].tensor, &bytes);
        rc = brew_rows_write(&to, &tensors[i].tensor, i, rows, arg, err);
        if (!rc) rc = brew_sink_put(&to, zeros, padding(bytes), err);
    }
    return rc;
}
