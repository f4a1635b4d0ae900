#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/out.h"
#include "io/temporary.h"

struct brew_outdir {
    char *target; // without slashes at the end
    struct brew_temporary temp;
};

// Whether nothing, or an empty directory, stands at path.
static int check_vacant(const char *path, brew_err *err) {
    struct stat st;
    if (lstat(path, &st)) {
        if (errno == ENOENT) return 0;
        return brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot create", path);
    }
    if (!S_ISDIR(st.st_mode))
        return brew_fail(err, BREW_CANTCREATE, "%s: exists and is no directory", path);
    DIR *dir = opendir(path);
    if (!dir) return brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot look into it", path);
    bool empty = true;
    for (struct dirent *entry; empty && (entry = readdir(dir));)
        empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..");
    closedir(dir);
    if (!empty) return brew_fail(err, BREW_CANTCREATE, "%s: exists and is not empty", path);
    return 0;
}

brew_outdir *brew_outdir_open(const char *path, brew_err *err) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') len--;
    if (!len) {
        brew_fail(err, BREW_CANTCREATE, "the name of an output directory is empty");
        return NULL;
    }
    brew_outdir *dir = brew_calloc(1, sizeof *dir);
    dir->target = brew_strndup(path, len);
    if (check_vacant(dir->target, err)) {
        brew_outdir_abandon(dir);
        return NULL;
    }
    if (brew_temporary_dir(&dir->temp, dir->target)) {
        brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot create", dir->target);
        brew_outdir_abandon(dir);
        return NULL;
    }
    return dir;
}

const char *brew_outdir_path(const brew_outdir *dir) {
    return dir->temp.path;
}

// Syncs every file and directory below fd, then fd itself; closes fd. -1 with errno.
static int sync_tree(int fd) {
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -1;
    }
    int status = 0;
    for (struct dirent *entry; !status && (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        int inner = openat(dirfd(dir), entry->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;
        if (inner < 0 || fstat(inner, &st)) {
            status = inner < 0 && errno == ELOOP ? 0 : -1; // a symbolic link has nothing to sync
        } else if (S_ISDIR(st.st_mode)) {
            status = sync_tree(inner);
            inner = -1;
        } else {
            status = fsync(inner);
        }
        if (inner >= 0) close(inner);
    }
    if (!status) status = fsync(dirfd(dir));
    int saved = errno;
    closedir(dir);
    errno = saved;
    return status;
}

// Syncs a directory itself; closes fd. -1 with errno.
static int sync_dir(int fd) {
    int status = fsync(fd);
    if (status && (errno == EINVAL || errno == ENOTSUP)) status = 0; // a file system that cannot
    close(fd);
    return status;
}

int brew_outdir_commit(brew_outdir *dir, brew_err *err) {
    int fd = open(dir->temp.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = 0;
    if (fd < 0 || sync_tree(fd))
        status = brew_fail_errno(err, BREW_IO, "%s: cannot sync", dir->target);
    else if (rename(dir->temp.path, dir->target))
        status = brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot rename to it", dir->target);
    else {
        brew_temporary_drop(&dir->temp);
        if (brew_sync_parent(dir->target))
            status = brew_fail_errno(err, BREW_IO, "%s: cannot sync its directory", dir->target);
    }
    brew_outdir_abandon(dir);
    return status;
}

void brew_outdir_abandon(brew_outdir *dir) {
    if (!dir) return;
    if (dir->temp.path) {
        brew_remove_tree(dir->temp.path);
        brew_temporary_drop(&dir->temp);
    }
    free(dir->target);
    free(dir);
}

static int move_into(const char *from, const char *into, const char *name, brew_err *err) {
    char *old = brew_alloc(strlen(from) + strlen(name) + 2);
    char *target = brew_alloc(strlen(into) + strlen(name) + 2);
    sprintf(old, "%s/%s", from, name);
    sprintf(target, "%s/%s", into, name);
    int status = rename(old, target)
                     ? brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot rename to it", target)
                     : 0;
    free(old);
    free(target);
    return status;
}

static int spill(const char *from, const char *into, const char *last, brew_err *err) {
    DIR *entries = opendir(from);
    int status = entries ? 0 : brew_fail_errno(err, BREW_IO, "%s: cannot look into it", from);
    bool have_last = false;
    for (struct dirent *entry; !status && (entry = readdir(entries));) {
        const char *name = entry->d_name;
        if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
        if (!strcmp(name, last))
            have_last = true;
        else
            status = move_into(from, into, name, err);
    }
    if (entries) closedir(entries);
    if (!status && have_last) status = move_into(from, into, last, err);
    return status;
}

int brew_outdir_spill(brew_outdir *dir, const char *into, const char *last, brew_err *err) {
    int fd = open(dir->temp.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = fd < 0 || sync_tree(fd) ? brew_fail_errno(err, BREW_IO, "%s: cannot sync", into)
                                         : spill(dir->temp.path, into, last, err);
    fd = status ? -1 : open(into, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!status && (fd < 0 || sync_dir(fd)))
        status = brew_fail_errno(err, BREW_IO, "%s: cannot sync", into);
    brew_outdir_abandon(dir);
    return status;
}

int brew_outdir_remove(const char *path, brew_err *err) {
    struct brew_temporary temp = {0};
    struct stat st;
    if (lstat(path, &st) && errno == ENOENT) return 0;
    if (brew_temporary_dir(&temp, path)) // an empty directory, which the rename replaces
        return brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot create a name beside it", path);
    int status = rename(path, temp.path)
                     ? brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot remove", path)
                     : 0;
    brew_remove_tree(temp.path);
    brew_temporary_drop(&temp);
    return status;
}

// .NAME.PID-COUNT.tmp
static bool is_temporary(const char *name) {
    size_t len = strlen(name);
    return name[0] == '.' && len > 5 && !strcmp(name + len - 4, ".tmp");
}

void brew_outdir_sweep(const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (!is_temporary(entry->d_name)) continue;
        char *full = brew_alloc(strlen(path) + strlen(entry->d_name) + 2);
        sprintf(full, "%s/%s", path, entry->d_name);
        if (unlink(full)) brew_remove_tree(full);
        free(full);
    }
    if (dir) closedir(dir);
}
