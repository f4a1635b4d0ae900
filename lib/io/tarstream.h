// A tar stream in which nothing can be lost unseen: members, then exactly two zero blocks, then the end.
//
// Written through libarchive: ustar, regular files, mode 0644, owner, group and time 0, no padding behind
// the two blocks. Read by a parser that takes no other tar: every header's checksum, every padding byte,
// the end and what follows it are checked, so that a cut at any byte is an error. The SHA-256 of what
// came before a member lets the last member vouch for all others.
#ifndef BREW_IO_TARSTREAM_H
#define BREW_IO_TARSTREAM_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/in.h"
#include "io/out.h"

typedef struct brew_tar_writer brew_tar_writer;

// out stays the caller's.
brew_tar_writer *brew_tar_write_start(brew_out *out);
// A member whose bytes are head then body; either may be empty. Names have at most 99 bytes.
int brew_tar_write(brew_tar_writer *writer, const char *name, const void *head, size_t head_len,
                   const void *body, size_t body_len, brew_err *err);
// SHA-256 of all bytes written so far: up to the next member's header.
void brew_tar_write_digest(const brew_tar_writer *writer, char hex[65]);
int brew_tar_write_end(brew_tar_writer *writer, brew_err *err); // frees writer, also on failure
void brew_tar_write_abandon(brew_tar_writer *writer);           // NULL is fine

typedef struct brew_tar_reader brew_tar_reader;

brew_tar_reader *brew_tar_read_start(brew_in *in); // in stays the caller's
void brew_tar_read_free(brew_tar_reader *reader);  // NULL is fine
// The next member, whole: 1, with its name (valid until the next call) and its bytes in `bytes`, emptied
// first; 0 after the two zero blocks, if nothing follows them; -1 on error.
int brew_tar_read(brew_tar_reader *reader, const char **name, brew_buf *bytes, brew_err *err);
// SHA-256 of all bytes before the header of the member last read.
void brew_tar_read_digest(const brew_tar_reader *reader, char hex[65]);

#endif
