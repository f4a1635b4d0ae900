// Names that must not outlive the program: files and directories under their temporary names.
//
// Private to lib/io: out.c and outdir.c write under such a name and rename. Outputs are opened, committed
// and abandoned by the main thread alone.
#ifndef BREW_IO_TEMPORARY_H
#define BREW_IO_TEMPORARY_H

#include <stdbool.h>

struct brew_temporary {
    char *path; // NULL: unused
    bool is_dir;
    struct brew_temporary *next;
};

// Creates an empty file (mode 0666 less the umask) or directory (0777) beside target, under a fresh name
// that begins with a dot, and remembers it; SIGINT, SIGTERM and SIGHUP wait that long. The file's descriptor, or 0 for a directory; -1 with errno.
int brew_temporary_file(struct brew_temporary *temp, const char *target);
int brew_temporary_dir(struct brew_temporary *temp, const char *target);
void brew_temporary_drop(struct brew_temporary *temp); // forgets it, removes nothing

// Removes a directory with all that is in it, as far as possible. Safe in a signal handler.
void brew_remove_tree(const char *path);
// Removes all remembered names. Safe in a signal handler.
void brew_temporary_remove_all(void);

// Syncs the directory that path stands in. -1 with errno.
int brew_sync_parent(const char *path);

#endif
