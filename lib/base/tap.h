// TAP for unit tests: a plan-less stream of "ok"/"not ok" lines for prove, the count at the end.
//
// Only *_test.c files include this. main ends with `return tap_done();`.
#ifndef BREW_BASE_TAP_H
#define BREW_BASE_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failed;

__attribute__((format(printf, 2, 3), unused)) static bool ok(bool passed, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    printf("%s %d - ", passed ? "ok" : "not ok", ++tap_count);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
    tap_failed += !passed;
    return passed;
}

// Equal strings; both are shown when they differ. NULL equals only NULL.
__attribute__((unused)) static bool is_str(const char *got, const char *want, const char *what) {
    bool same = got && want ? !strcmp(got, want) : got == want;
    if (!ok(same, "%s", what))
        printf("# got:  %s\n# want: %s\n", got ? got : "(null)", want ? want : "(null)");
    return same;
}

__attribute__((unused)) static bool is_int(long long got, long long want, const char *what) {
    if (!ok(got == want, "%s", what)) printf("# got %lld, want %lld\n", got, want);
    return got == want;
}

// |got - want| <= tolerance; NaN never passes.
__attribute__((unused)) static bool is_near(double got, double want, double tolerance,
                                            const char *what) {
    double diff = got > want ? got - want : want - got;
    bool near = diff <= tolerance;
    if (!ok(near, "%s", what))
        printf("# got %.17g, want %.17g, tolerance %g\n", got, want, tolerance);
    return near;
}

__attribute__((unused)) static int tap_done(void) {
    printf("1..%d\n", tap_count);
    fflush(stdout);
    return tap_failed ? 1 : 0;
}

#endif
