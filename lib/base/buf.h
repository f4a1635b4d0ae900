// A growing run of bytes, always followed by a NUL, so that it can serve as text.
//
// Zero-initialise to start; release once. `ptr` is NULL only before the first write.
#ifndef BREW_BASE_BUF_H
#define BREW_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct brew_buf {
    char *ptr;
    size_t len, cap;
} brew_buf;

void brew_buf_reserve(brew_buf *buf, size_t extra); // room for extra bytes and the NUL
void brew_buf_addf(brew_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void brew_buf_release(brew_buf *buf);

static inline void brew_buf_add(brew_buf *buf, const void *bytes, size_t len) {
    if (buf->cap - buf->len <= len) brew_buf_reserve(buf, len);
    if (len) memcpy(buf->ptr + buf->len, bytes, len);
    buf->len += len;
    buf->ptr[buf->len] = 0;
}
static inline void brew_buf_adds(brew_buf *buf, const char *text) {
    brew_buf_add(buf, text, strlen(text));
}
static inline void brew_buf_addc(brew_buf *buf, char c) {
    if (buf->cap - buf->len < 2) brew_buf_reserve(buf, 1);
    buf->ptr[buf->len++] = c;
    buf->ptr[buf->len] = 0;
}
static inline void brew_buf_reset(brew_buf *buf) {
    buf->len = 0;
    if (buf->ptr) buf->ptr[0] = 0;
}

// The shortest decimal that strtod reads back as exactly this value ("0.1", "1e-09"; for one in fifty
// powers of two it has 17 digits where 16 would do); never "inf" or
// "nan": those are bugs of the caller. Integers come without a point.
void brew_buf_add_double(brew_buf *buf, double value);
// The same for a float: the shortest decimal that strtof reads back.
void brew_buf_add_float(brew_buf *buf, float value);
void brew_buf_add_i64(brew_buf *buf, int64_t value);

#endif
