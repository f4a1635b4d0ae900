#define _XOPEN_SOURCE 700 // realpath
#include "io/out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/temporary.h"

enum { BUFFER = 256 << 10 };

struct brew_out {
    int fd;
    char *name;                 // for messages
    char *target;               // what the temporary file becomes; NULL if written directly
    struct brew_temporary temp; // unused if written directly
    bool owns_fd;
    char *buf;
    size_t len;
    uint64_t bytes;
    brew_err failure;
};

// The descriptor a path like /dev/stdout stands for, or -1. Opening such a path anew would start at the
// file's beginning; the descriptor itself goes on where the shell left it.
static int descriptor_of(const char *path) {
    if (!path || !strcmp(path, "-") || !strcmp(path, "/dev/stdout")) return STDOUT_FILENO;
    if (!strcmp(path, "/dev/stderr")) return STDERR_FILENO;
    const char *digits = NULL;
    if (!strncmp(path, "/dev/fd/", 8)) digits = path + 8;
    if (!strncmp(path, "/proc/self/fd/", 14)) digits = path + 14;
    if (!digits || !*digits || strlen(digits) > 6 || digits[strspn(digits, "0123456789")])
        return -1;
    return atoi(digits);
}

// Opens a temporary file beside the target, with the target's permissions if it exists.
static int open_beside(brew_out *out, const char *path, const struct stat *old, brew_err *err) {
    char *resolved =
        old ? realpath(path, NULL) : NULL; // a link stays, what it points to is replaced
    out->target = resolved ? resolved : brew_strdup(path);
    if (old && access(path, W_OK)) return brew_fail_errno(err, BREW_CANTCREATE, "%s", path);
    out->fd = brew_temporary_file(&out->temp, out->target);
    if (out->fd < 0) return brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot create", path);
    out->owns_fd = true;
    if (old && fchmod(out->fd, old->st_mode & 0777))
        return brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot set permissions", path);
    return 0;
}

static int open_path(brew_out *out, const char *path, brew_err *err) {
    struct stat st;
    bool exists = !stat(path, &st);
    if (!*path) return brew_fail(err, BREW_CANTCREATE, "the name of an output is empty");
    if (exists && S_ISDIR(st.st_mode))
        return brew_fail(err, BREW_CANTCREATE, "%s: is a directory", path);
    if (!exists || S_ISREG(st.st_mode)) return open_beside(out, path, exists ? &st : NULL, err);
    out->fd = open(path, O_WRONLY | O_CLOEXEC);
    out->owns_fd = true;
    if (out->fd < 0) return brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot open", path);
    return 0;
}

brew_out *brew_out_open(const char *path, int flags, brew_err *err) {
    brew_out *out = brew_calloc(1, sizeof *out);
    out->fd = descriptor_of(path);
    bool is_stdout = out->fd == STDOUT_FILENO;
    out->name = brew_strdup(is_stdout ? "standard output" : path);
    if (out->fd < 0 && open_path(out, path, err)) {
        brew_out_abandon(out);
        return NULL;
    }
    if ((flags & BREW_OUT_BINARY) && isatty(out->fd)) {
        brew_fail(err, BREW_USAGE, "%s: binary data is not written to a terminal", out->name);
        brew_out_abandon(out);
        return NULL;
    }
    out->buf = brew_alloc(BUFFER);
    return out;
}

const char *brew_out_name(const brew_out *out) {
    return out->name;
}

uint64_t brew_out_bytes(const brew_out *out) {
    return out->bytes;
}

static int give_failure(const brew_out *out, brew_err *err) {
    if (err) *err = out->failure;
    return -1;
}

static int write_fd(brew_out *out, const char *bytes, size_t len) {
    while (len) {
        ssize_t put = write(out->fd, bytes, len < (1 << 30) ? len : 1 << 30);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && errno == EAGAIN) { // a pipe that somebody made non-blocking
            poll(&(struct pollfd){.fd = out->fd, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (put < 0) return brew_fail_errno(&out->failure, BREW_IO, "%s: cannot write", out->name);
        bytes += put;
        len -= (size_t)put;
    }
    return 0;
}

static int flush(brew_out *out) {
    if (out->failure.code) return -1;
    size_t len = out->len;
    out->len = 0;
    return write_fd(out, out->buf, len);
}

int brew_out_write(brew_out *out, const void *bytes, size_t len, brew_err *err) {
    if (out->failure.code) return give_failure(out, err);
    out->bytes += len;
    if (len >= BUFFER - out->len) {
        if (flush(out)) return give_failure(out, err);
        if (len >= BUFFER) return write_fd(out, bytes, len) ? give_failure(out, err) : 0;
    }
    if (len) memcpy(out->buf + out->len, bytes, len);
    out->len += len;
    return 0;
}

int brew_out_flush(brew_out *out, brew_err *err) {
    return flush(out) ? give_failure(out, err) : 0;
}

// Closing can be the moment at which a network file system reports a failed write. A descriptor that
// is not ours is closed through a copy.
static int close_fd(brew_out *out) {
    int fd = out->owns_fd ? out->fd : fcntl(out->fd, F_DUPFD_CLOEXEC, 3);
    out->owns_fd = false;
    if (fd < 0 || close(fd))
        return brew_fail_errno(&out->failure, BREW_IO, "%s: cannot close", out->name);
    return 0;
}

static int publish(brew_out *out) {
    if (fsync(out->fd))
        return brew_fail_errno(&out->failure, BREW_IO, "%s: cannot sync", out->name);
    if (close_fd(out)) return -1;
    if (rename(out->temp.path, out->target))
        return brew_fail_errno(&out->failure, BREW_CANTCREATE, "%s: cannot rename to it",
                               out->name);
    brew_temporary_drop(&out->temp);
    if (brew_sync_parent(out->target))
        return brew_fail_errno(&out->failure, BREW_IO, "%s: cannot sync its directory", out->name);
    return 0;
}

int brew_out_commit(brew_out *out, brew_err *err) {
    int status = flush(out);
    if (!status) status = out->target ? publish(out) : close_fd(out);
    if (status) give_failure(out, err);
    brew_out_abandon(out);
    return status;
}

void brew_out_abandon(brew_out *out) {
    if (!out) return;
    if (out->owns_fd && out->fd >= 0) close(out->fd);
    if (out->temp.path) {
        unlink(out->temp.path);
        brew_temporary_drop(&out->temp);
    }
    free(out->target);
    free(out->name);
    free(out->buf);
    free(out);
}

int brew_out_whole(const char *path, int flags, const void *bytes, size_t len, brew_err *err) {
    brew_out *out = brew_out_open(path, flags, err);
    if (out && brew_out_write(out, bytes, len, err) == 0) return brew_out_commit(out, err);
    brew_out_abandon(out);
    return -1;
}

void brew_out_abandon_all(void) {
    brew_temporary_remove_all();
}
