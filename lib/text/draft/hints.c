#include "text/draft/hints.h"

#include <stdarg.h>
#include <stdio.h>

void brew_hint(const brew_hints *hints, bool sure, const char *fmt, ...) {
    char text[1024];
    size_t n = (size_t)snprintf(text, sizeof text, "%s", sure ? "" : "not sure: ");
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof text - n, fmt, ap);
    va_end(ap);
    if (hints->say) hints->say(hints->arg, text);
}
