// A file's bytes, mapped read-only. Zero-initialise; close once. An empty file has no bytes (ptr NULL).
//
// The file must not be cut short while it is mapped: that is the system's SIGBUS, not an error here.
#ifndef BREW_IO_MAP_H
#define BREW_IO_MAP_H

#include <stddef.h>

#include "base/err.h"

typedef struct brew_map {
    const char *ptr;
    size_t len;
} brew_map;

// path must be a regular file (or a link to one): BREW_NOINPUT, with its name, if not.
int brew_map_open(brew_map *map, const char *path, brew_err *err);
void brew_map_close(brew_map *map);
// Tells the system that these bytes are not needed again soon; they stay readable.
void brew_map_forget(const brew_map *map, const void *bytes, size_t len);

#endif
