// Names found inside files: of tensors, keys, members of a tar. They go into messages and are used as C
// strings, so a reader takes only plain ones.
#ifndef BREW_IO_NAME_H
#define BREW_IO_NAME_H

#include <stdbool.h>
#include <stddef.h>

// Not empty, and without control characters (NUL among them).
static inline bool brew_name_is_plain(const char *name, size_t len) {
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f) return false;
    return len > 0;
}

#endif
