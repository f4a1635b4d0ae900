#define _GNU_SOURCE // SYS_getdents64
#include "io/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

// Walked by brew_temporary_remove_all, perhaps in a signal handler: every link is a single store.
static struct brew_temporary *volatile temporaries;

static void remember(struct brew_temporary *temp, char *path, bool is_dir) {
    *temp = (struct brew_temporary){path, is_dir, temporaries};
    atomic_signal_fence(memory_order_seq_cst);
    temporaries = temp;
}

void brew_temporary_drop(struct brew_temporary *temp) {
    if (temporaries == temp) temporaries = temp->next;
    for (struct brew_temporary *at = temporaries; at; at = at->next)
        if (at->next == temp) at->next = temp->next;
    atomic_signal_fence(memory_order_seq_cst);
    free(temp->path);
    *temp = (struct brew_temporary){0};
}

// DIR/.NAME.PID-COUNT.tmp; a long NAME is cut.
static char *fresh_name(const char *target) {
    static unsigned count;
    const char *slash = strrchr(target, '/');
    const char *name = slash ? slash + 1 : target;
    size_t dir_len = (size_t)(name - target), size = dir_len + 200;
    char *path = brew_alloc(size);
    snprintf(path, size, "%.*s.%.100s.%ld-%u.tmp", (int)dir_len, target, name, (long)getpid(),
             count++);
    return path;
}

// A name is made and remembered as one step: a fatal signal in between, or while a busy file system
// still makes it, would leave it behind.
static sigset_t hold_signals(void) {
    sigset_t fatal, old;
    sigemptyset(&fatal);
    sigaddset(&fatal, SIGINT);
    sigaddset(&fatal, SIGTERM);
    sigaddset(&fatal, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &fatal, &old);
    return old;
}

static void let_signals(sigset_t old) {
    int saved = errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = saved;
}

int brew_temporary_file(struct brew_temporary *temp, const char *target) {
    for (int tries = 0; tries < 100; tries++) {
        char *path = fresh_name(target);
        sigset_t old = hold_signals();
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) remember(temp, path, false);
        let_signals(old);
        if (fd >= 0) return fd;
        free(path);
        if (errno != EEXIST) break;
    }
    return -1;
}

int brew_temporary_dir(struct brew_temporary *temp, const char *target) {
    for (int tries = 0; tries < 100; tries++) {
        char *path = fresh_name(target);
        sigset_t old = hold_signals();
        int failed = mkdir(path, 0777);
        if (!failed) remember(temp, path, true);
        let_signals(old);
        if (!failed) return 0;
        free(path);
        if (errno != EEXIST) break;
    }
    return -1;
}

// One pass over an open directory; opendir would allocate, which a signal handler must not.
static void remove_entries(int dir, int depth) {
    struct entry { // as the kernel writes it (getdents64(2))
        uint64_t inode;
        int64_t offset;
        unsigned short length;
        unsigned char type;
        char name[];
    };
    _Alignas(struct entry) char bytes[4096];
    long got;
    while ((got = syscall(SYS_getdents64, dir, bytes, sizeof bytes)) > 0) {
        for (long at = 0; at < got;) {
            struct entry *entry = (struct entry *)(void *)(bytes + at);
            at += entry->length;
            if (!strcmp(entry->name, ".") || !strcmp(entry->name, "..")) continue;
            if (!unlinkat(dir, entry->name, 0) || depth == 0) continue;
            int inner = openat(dir, entry->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (inner < 0) continue;
            remove_entries(inner, depth - 1);
            close(inner);
            unlinkat(dir, entry->name, AT_REMOVEDIR);
        }
    }
}

void brew_remove_tree(const char *path) {
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir >= 0) {
        remove_entries(dir, 8);
        close(dir);
    }
    rmdir(path);
}

void brew_temporary_remove_all(void) {
    int saved = errno;
    for (struct brew_temporary *at = temporaries; at; at = at->next) {
        if (at->is_dir)
            brew_remove_tree(at->path);
        else
            unlink(at->path);
    }
    errno = saved;
}

int brew_sync_parent(const char *path) {
    const char *slash = strrchr(path, '/');
    char *dir = !slash          ? brew_strdup(".")
                : slash == path ? brew_strdup("/")
                                : brew_strndup(path, (size_t)(slash - path));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(dir);
    if (fd < 0) return -1;
    int status = fsync(fd);
    if (status && (errno == EINVAL || errno == ENOTSUP)) status = 0; // a file system that cannot
    int saved = errno;
    close(fd);
    errno = saved;
    return status;
}
