// The files of a model tar, held in memory: what lib/io/modeldir.c makes a model of.
//
// Any tar that libarchive knows (ustar, pax, GNU). Names must be relative and must not climb ("..");
// links and special files are refused, directories are passed over. The archive must end with its two
// zero blocks, so that a cut at any byte is an error.
#ifndef BREW_IO_MODELTAR_H
#define BREW_IO_MODELTAR_H

#include <stddef.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/in.h"

typedef struct brew_tar_file {
    char *name; // without a leading "./"
    brew_slab slab;
} brew_tar_file;

// Reads to the end of in. On failure nothing is left to release.
int brew_modeltar_read(brew_in *in, brew_tar_file **files, size_t *n, brew_err *err);
void brew_modeltar_release(brew_tar_file *files, size_t n);

#endif
