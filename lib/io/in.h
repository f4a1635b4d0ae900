// Reading: one buffered, decompressing source of bytes for every tool.
//
// A path of "-" is standard input. gzip (any number of members) is recognised by its magic and checked
// for CRC and length by zlib; zstd and xz go through libarchive. Everything else is passed as it is.
// A damaged or cut compressed stream is an error (BREW_DATA), never a short end; so is a zstd or xz stream
// of nothing.
//
// Life cycle: open, read until 0 or an error, close. Not shared between threads.
#ifndef BREW_IO_IN_H
#define BREW_IO_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

typedef struct brew_in brew_in;

// NULL on failure (BREW_NOINPUT, with the path's name in the message).
brew_in *brew_in_open(const char *path, brew_err *err);
void brew_in_close(brew_in *in);
const char *brew_in_name(const brew_in *in); // the path, or "standard input"

// Reads up to len bytes: the count, 0 at the clean end, negative on error. Short counts happen.
ssize_t brew_in_read(brew_in *in, void *bytes, size_t len, brew_err *err);
// Makes up to len bytes visible without taking them: the count now visible (less only at the end).
// len at most 64 KiB. For sniffing formats.
ssize_t brew_in_peek(brew_in *in, const char **bytes, size_t len, brew_err *err);

// The next line, without its newline, valid until the next call: 1 a line, 0 the clean end, -1 error.
// Errors: no newline behind the last line (BREW_DATA: the input was cut short), a line of more than
// max_bytes, a NUL byte. A carriage return before the newline is left in place.
int brew_in_line(brew_in *in, const char **line, size_t *len, size_t max_bytes, brew_err *err);
// After an error: true if reading cannot go on (a read error, a damaged or cut input); false if only this
// line was bad (too long, or with a NUL) and the next call gives the next one.
bool brew_in_failed(const brew_in *in);
uint64_t brew_in_line_number(const brew_in *in); // of the last line returned, from 1
uint64_t brew_in_offset(const brew_in *in);      // decoded bytes taken so far

// Starts a SHA-256 over all decoded bytes taken; call before the first read. Then, at the end:
void brew_in_digest_start(brew_in *in);
void brew_in_digest(brew_in *in, char hex[65]);

#endif
