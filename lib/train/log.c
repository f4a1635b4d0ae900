#include "train/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/in.h"

struct brew_log {
    char *path;
    int fd;
    bool regular;
    brew_buf text;
};

// Where the first row behind `step` begins, or the first that is not whole.
static int find_end(const char *path, int64_t step, off_t *end, brew_err *err) {
    brew_in *in = brew_in_open(path, err);
    if (!in) return -1;
    const char *line;
    size_t len;
    brew_err cut;
    int rc = 0;
    *end = 0;
    while (!rc && brew_in_line(in, &line, &len, 1 << 20, &cut) > 0) {
        brew_json *row = brew_json_parse(line, len, &cut);
        const brew_json *its = brew_json_get(row, "step");
        bool behind = brew_json_is(its, BREW_JSON_INT) && brew_json_int(its) > step;
        if (!brew_json_is(its, BREW_JSON_INT))
            rc = brew_fail(err, BREW_DATA, "%s: holds what is no row of a run", path);
        brew_json_free(row);
        if (rc || behind) break;
        *end += (off_t)len + 1;
    }
    brew_in_close(in);
    return rc;
}

static int cut_back(brew_log *log, bool fresh, int64_t step, brew_err *err) {
    struct stat st;
    off_t end = 0;
    if (fstat(log->fd, &st)) return brew_fail_errno(err, BREW_IO, "%s: cannot look", log->path);
    log->regular = S_ISREG(st.st_mode);
    if (!log->regular || !st.st_size) return 0;
    if (fresh)
        return brew_fail(err, BREW_CANTCREATE, "%s: exists, and is not of this run", log->path);
    if (find_end(log->path, step, &end, err)) return -1;
    if (ftruncate(log->fd, end))
        return brew_fail_errno(err, BREW_IO, "%s: cannot cut it back", log->path);
    return 0;
}

brew_log *brew_log_open(const char *path, bool fresh, int64_t step, brew_err *err) {
    brew_log *log = brew_calloc(1, sizeof *log);
    log->path = brew_strdup(path);
    log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    int rc = log->fd < 0 ? brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot create", path)
                         : cut_back(log, fresh, step, err);
    if (!rc) return log;
    brew_log_close(log);
    return NULL;
}

int brew_log_row(brew_log *log, const brew_json *row, brew_err *err) {
    brew_buf_reset(&log->text);
    brew_json_write(&log->text, row);
    brew_buf_addc(&log->text, '\n');
    const char *at = log->text.ptr, *end = at + log->text.len;
    while (at < end) {
        ssize_t put = write(log->fd, at, (size_t)(end - at));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return brew_fail_errno(err, BREW_IO, "%s: cannot write", log->path);
        at += put;
    }
    return 0;
}

int brew_log_sync(brew_log *log, brew_err *err) {
    if (log->regular && fsync(log->fd))
        return brew_fail_errno(err, BREW_IO, "%s: cannot sync", log->path);
    return 0;
}

void brew_log_close(brew_log *log) {
    if (!log) return;
    if (log->fd >= 0) close(log->fd);
    brew_buf_release(&log->text);
    free(log->path);
    free(log);
}
