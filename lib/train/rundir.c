#include "train/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

struct brew_rundir {
    char *path, *checkpoints;
    int lock;
    bool fresh, finished;
};

static char *join(const char *path, const char *name) {
    brew_buf full = {0};
    brew_buf_addf(&full, "%s/%s", path, name);
    return full.ptr;
}

static int make_dir(const char *path, brew_err *err) {
    struct stat st;
    if (!mkdir(path, 0777)) return 0;
    if (errno == EEXIST && !stat(path, &st) && S_ISDIR(st.st_mode)) return 0;
    return brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot create", path);
}

// A record lock goes with the process, however it ends.
static int take_lock(brew_rundir *dir, brew_err *err) {
    char *path = join(dir->checkpoints, "lock");
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int rc = 0;
    dir->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (dir->lock < 0)
        rc = brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot create", path);
    else if (fcntl(dir->lock, F_SETLK, &whole) && (errno == EACCES || errno == EAGAIN))
        rc = brew_fail(err, BREW_CANTCREATE, "%s: another process is training into it", dir->path);
    free(path);
    return rc;
}

// A directory that is not a run yet must hold nothing else.
static int check_vacant(const brew_rundir *dir, brew_err *err) {
    DIR *entries = opendir(dir->path);
    int rc =
        entries ? 0 : brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot look into it", dir->path);
    for (struct dirent *entry; !rc && (entry = readdir(entries));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") && strcmp(name, "..") && strcmp(name, "checkpoints"))
            rc = brew_fail(err, BREW_CANTCREATE, "%s: exists, is not empty, and is not a run",
                           dir->path);
    }
    if (entries) closedir(entries);
    return rc;
}

static int write_json(const char *path, const brew_json *value, brew_err *err) {
    brew_buf text = {0};
    brew_json_write(&text, value);
    brew_buf_addc(&text, '\n');
    int rc = brew_out_whole(path, BREW_OUT_TEXT, text.ptr, text.len, err);
    brew_buf_release(&text);
    return rc;
}

// ---- the same run? ----

static bool is_scalar(const brew_json *value) {
    return value && brew_json_type(value) != BREW_JSON_ARRAY &&
           brew_json_type(value) != BREW_JSON_OBJECT;
}

static int refuse(const brew_rundir *dir, const char *key, const brew_json *then,
                  const brew_json *now, brew_err *err) {
    static const char what[] = "give the same, or another -o";
    if ((then && !is_scalar(then)) || (now && !is_scalar(now)))
        return brew_fail(err, BREW_USAGE, "%s: was begun with other %s: %s", dir->path, key, what);
    brew_buf a = {0}, b = {0};
    if (then) brew_json_write(&a, then);
    if (now) brew_json_write(&b, now);
    brew_fail(err, BREW_USAGE, "%s: was begun with %s %s, now it is %s: %s", dir->path, key,
              then ? a.ptr : "not given", now ? b.ptr : "not given", what);
    brew_buf_release(&a);
    brew_buf_release(&b);
    return -1;
}

static bool same(const brew_json *a, const brew_json *b) {
    if (!a || !b) return a == b;
    brew_buf x = {0}, y = {0};
    brew_json_write(&x, a);
    brew_json_write(&y, b);
    bool equal = x.len == y.len && !memcmp(x.ptr, y.ptr, x.len);
    brew_buf_release(&x);
    brew_buf_release(&y);
    return equal;
}

const char *brew_rundir_difference(const brew_json *a, const brew_json *b) {
    for (brew_json_iter it = {0}; brew_json_next(a, &it);)
        if (!same(it.value, brew_json_get(b, it.key))) return it.key;
    for (brew_json_iter it = {0}; brew_json_next(b, &it);)
        if (!brew_json_get(a, it.key)) return it.key;
    return NULL;
}

static int compare(const brew_rundir *dir, const brew_json *then, const brew_json *now,
                   brew_err *err) {
    const char *key = brew_rundir_difference(then, now);
    return key ? refuse(dir, key, brew_json_get(then, key), brew_json_get(now, key), err) : 0;
}

static int identify(brew_rundir *dir, const brew_json *identity, brew_err *err) {
    char *path = join(dir->checkpoints, "run.json"), *finished;
    int rc;
    dir->fresh = access(path, F_OK) != 0;
    if (dir->fresh) {
        rc = check_vacant(dir, err);
        if (!rc) rc = write_json(path, identity, err);
    } else {
        brew_json *then = brew_json_load(path, err);
        rc = then ? compare(dir, then, identity, err) : -1;
        brew_json_free(then);
    }
    free(path);
    finished = join(dir->checkpoints, "finished.json");
    dir->finished = !access(finished, F_OK);
    free(finished);
    return rc;
}

brew_rundir *brew_rundir_look(const char *path) {
    brew_rundir *dir = brew_calloc(1, sizeof *dir);
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') len--;
    dir->path = brew_strndup(path, len);
    dir->checkpoints = join(dir->path, "checkpoints");
    dir->lock = -1;
    return dir;
}

brew_rundir *brew_rundir_open(const char *path, const brew_json *identity, brew_err *err) {
    brew_rundir *dir = brew_rundir_look(path);
    struct stat st;
    // Someone else's directory is left as it is.
    int rc = stat(dir->checkpoints, &st) && !stat(dir->path, &st) ? check_vacant(dir, err) : 0;
    if (rc || make_dir(dir->path, err) || make_dir(dir->checkpoints, err) || take_lock(dir, err) ||
        identify(dir, identity, err)) {
        brew_rundir_close(dir);
        return NULL;
    }
    brew_outdir_sweep(dir->checkpoints);
    return dir;
}

void brew_rundir_close(brew_rundir *dir) {
    if (!dir) return;
    if (dir->lock >= 0) close(dir->lock);
    free(dir->path);
    free(dir->checkpoints);
    free(dir);
}

bool brew_rundir_fresh(const brew_rundir *dir) {
    return dir->fresh;
}

bool brew_rundir_finished(const brew_rundir *dir) {
    return dir->finished;
}

const char *brew_rundir_path(const brew_rundir *dir) {
    return dir->path;
}

const char *brew_rundir_checkpoints(const brew_rundir *dir) {
    return dir->checkpoints;
}

int brew_rundir_finish(brew_rundir *dir, const brew_export *model, const brew_json *facts,
                       brew_err *err) {
    char *path = join(dir->checkpoints, "model"), *finished;
    brew_outdir *out = brew_outdir_open(path, err);
    free(path);
    if (!out) return -1;
    if (brew_export_write(model, brew_outdir_path(out), err)) {
        brew_outdir_abandon(out);
        return -1;
    }
    const char *last = model->adapter ? "adapter_config.json" : "config.json";
    if (brew_outdir_spill(out, dir->path, last, err)) return -1;
    finished = join(dir->checkpoints, "finished.json");
    int rc = write_json(finished, facts, err);
    free(finished);
    dir->finished = !rc;
    return rc;
}
