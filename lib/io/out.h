// Writing: the one place that creates, writes, syncs and renames.
//
// A path is published whole or not at all: bytes go to a temporary file beside it, which commit
// flushes, fsyncs and renames. "-" or NULL is standard output. Binary output to a terminal is refused.
// A path that exists and is not a regular file (/dev/full, a FIFO) is written directly, /dev/stdout and
// /dev/fd/N through the open descriptor. SIGPIPE keeps its default action, which kills quietly.
//
// Two ways to close: brew_out_commit, which can fail and is checked; brew_out_abandon, which cannot and
// leaves nothing behind. Write errors are sticky and reported at the latest by commit.
#ifndef BREW_IO_OUT_H
#define BREW_IO_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct brew_out brew_out;

enum brew_out_flags { BREW_OUT_TEXT = 0, BREW_OUT_BINARY = 1 };

brew_out *brew_out_open(const char *path, int flags, brew_err *err);
const char *brew_out_name(const brew_out *out); // the path, or "standard output"
int brew_out_write(brew_out *out, const void *bytes, size_t len, brew_err *err);
int brew_out_flush(brew_out *out, brew_err *err); // to the kernel, not to the disk
uint64_t brew_out_bytes(const brew_out *out);
int brew_out_commit(brew_out *out, brew_err *err); // frees out, also on failure
void brew_out_abandon(brew_out *out);              // frees out; NULL is fine
// All of a file at once: opens, writes, commits.
int brew_out_whole(const char *path, int flags, const void *bytes, size_t len, brew_err *err);

// Removes the temporary files and directories of every open output, and frees nothing: for a fatal error
// or a signal's way out (it is safe in a handler). Outputs are opened and closed by one thread.
void brew_out_abandon_all(void);

// Publishing a directory (a model): files are written into a fresh temporary directory beside PATH,
// which commit syncs and renames to PATH. PATH must not exist, or be an empty directory. Commit and
// abandon free dir; NULL is fine for abandon.
typedef struct brew_outdir brew_outdir;
brew_outdir *brew_outdir_open(const char *path, brew_err *err);
const char *brew_outdir_path(const brew_outdir *dir); // of the temporary directory
int brew_outdir_commit(brew_outdir *dir, brew_err *err);
void brew_outdir_abandon(brew_outdir *dir);
// In place of commit, into a directory that exists: every file is synced, then moved to `into`, where it
// replaces what has its name; the one named `last` comes last. `into` must be on the same file system.
int brew_outdir_spill(brew_outdir *dir, const char *into, const char *last, brew_err *err);
// Removes a directory with all that is in it; it is gone at once, whatever happens on the way. One that
// does not exist is removed already.
int brew_outdir_remove(const char *path, brew_err *err);
// Removes from dir what outputs and removals under way when a process was killed have left there.
void brew_outdir_sweep(const char *dir);

#endif
