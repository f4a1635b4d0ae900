#define _DEFAULT_SOURCE // madvise
#include "io/map.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int map_fd(brew_map *map, int fd, const char *path, brew_err *err) {
    struct stat st;
    if (fstat(fd, &st)) return brew_fail_errno(err, BREW_NOINPUT, "%s: cannot look at it", path);
    if (!S_ISREG(st.st_mode)) return brew_fail(err, BREW_NOINPUT, "%s: not a regular file", path);
    if (!st.st_size) return 0;
    void *ptr = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (ptr == MAP_FAILED) return brew_fail_errno(err, BREW_IO, "%s: cannot map", path);
    *map = (brew_map){ptr, (size_t)st.st_size};
    return 0;
}

int brew_map_open(brew_map *map, const char *path, brew_err *err) {
    *map = (brew_map){0};
    int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO must not hang before it is refused
    if (fd < 0) return brew_fail_errno(err, BREW_NOINPUT, "%s: cannot open", path);
    int rc = map_fd(map, fd, path, err);
    close(fd);
    return rc;
}

void brew_map_close(brew_map *map) {
    if (map->ptr) munmap((void *)(uintptr_t)map->ptr, map->len);
    *map = (brew_map){0};
}

void brew_map_forget(const brew_map *map, const void *bytes, size_t len) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)bytes, end = start + len; // shared pages at the edges stay
    start = (start + page - 1) / page * page;
    end = end == (uintptr_t)map->ptr + map->len ? end : end / page * page;
    if (end > start) madvise((void *)start, end - start, MADV_DONTNEED);
}
