#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int brew_vfail(brew_err *err, enum brew_code code, const char *fmt, va_list ap) {
    if (!err) return -1;
    char text[sizeof err->text]; // the arguments may point into err
    vsnprintf(text, sizeof text, fmt, ap);
    memcpy(err->text, text, sizeof text);
    err->code = code;
    return -1;
}

int brew_fail(brew_err *err, enum brew_code code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    brew_vfail(err, code, fmt, ap);
    va_end(ap);
    return -1;
}

static void append(brew_err *err, const char *text) {
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, "%s", text);
}

int brew_fail_errno(brew_err *err, enum brew_code code, const char *fmt, ...) {
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    brew_vfail(err, code, fmt, ap);
    va_end(ap);
    if (err) {
        append(err, ": ");
        append(err, strerror(saved));
    }
    return -1;
}

int brew_err_context(brew_err *err, const char *fmt, ...) {
    if (!err) return -1;
    brew_err front;
    va_list ap;
    va_start(ap, fmt);
    brew_vfail(&front, err->code, fmt, ap);
    va_end(ap);
    append(&front, ": ");
    append(&front, err->text);
    memcpy(err->text, front.text, sizeof err->text);
    return -1;
}

void brew_bug(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fputs("brew: internal error: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(BREW_INTERNAL);
}
