// Errors: one complete sentence and one class, written where most is known.
//
// A function that can fail returns int (0 or a count on success, negative on failure) or NULL, and
// takes `brew_err *err` last. The place that knows most calls brew_fail() with a lower-case sentence
// without a full stop, giving both values of a mismatch; callers on the way up may put context in
// front ("FILE:LINE: ..."). The library never prints and never exits; commands do, in lib/cli.
//
// A message never holds the contents of a record, which may be personal data: only names of files,
// keys, columns, options, and numbers.
#ifndef BREW_BASE_ERR_H
#define BREW_BASE_ERR_H

#include <stdarg.h>

// The class of an error is the exit status of a command that dies of it (see brew(7)).
enum brew_code {
    BREW_OK = 0,
    BREW_NEGATIVE = 1,    // a negative answer: a gate missed, differences found
    BREW_USAGE = 2,       // the command line, or a file standing in for it, is wrong
    BREW_REJECTED = 3,    // finished, but records were rejected
    BREW_UNDECIDED = 4,   // a gate can neither be passed nor missed with so few members
    BREW_DATA = 65,       // bad data
    BREW_NOINPUT = 66,    // cannot open
    BREW_INTERNAL = 70,   // a broken invariant, or no memory
    BREW_CANTCREATE = 73, // cannot create
    BREW_IO = 74,         // cannot read, write, sync or close
    BREW_STOPPED = 75,    // stopped, progress saved
};

typedef struct brew_err {
    enum brew_code code;
    char text[1024]; // NUL-terminated; longer sentences are cut
} brew_err;

// Sets err and returns -1, so that a failing function can end in `return brew_fail(...)`. err may be
// NULL. The text may refer to err->text itself.
int brew_fail(brew_err *err, enum brew_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int brew_vfail(brew_err *err, enum brew_code code, const char *fmt, va_list ap);

// Like brew_fail, with ": " and strerror(errno) behind the sentence.
int brew_fail_errno(brew_err *err, enum brew_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

// Puts "context: " in front of the text. Returns -1.
int brew_err_context(brew_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

// A broken invariant of our own: prints and exits with 70. Never for bad input.
_Noreturn void brew_bug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
