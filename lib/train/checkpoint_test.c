// Checkpoints: saved and opened; damaged; and a run killed at every write, sync and rename of saving.
#define _GNU_SOURCE // syscall, renameat2's number
#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tap.h"
#include "io/testing.h"

// ---- the calls of the saving path, which kill this process when the budget is spent ----

static long budget = -1; // calls left; -1: no limit

static void spend(void) {
    if (budget == 0) raise(SIGKILL);
    if (budget > 0) budget--;
}

// These stand in for the C library's in this program: they do the same, and then half of the write.
ssize_t write(int fd, const void *bytes, size_t len) {
    if (!budget && len > 1) syscall(SYS_write, fd, bytes, len / 2);
    spend();
    return syscall(SYS_write, fd, bytes, len);
}

int fsync(int fd) {
    spend();
    return (int)syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to) {
    spend();
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int fd, const char *name, int flags) {
    spend();
    return (int)syscall(SYS_unlinkat, fd, name, flags);
}

// ---- a thing to be saved ----

enum { ROWS = 50, COLS = 30 };

static void give_rows(void *arg, size_t index, int64_t first, int64_t count, float *rows) {
    int64_t step = *(int64_t *)arg, cols = index ? COLS : 7;
    for (int64_t i = 0; i < count * cols; i++)
        rows[i] = (float)(step * 1000 + (int64_t)index * 100 + first * cols + i);
}

static int save(const char *dir, int64_t step, brew_pool *pool, brew_err *err) {
    brew_named_tensor tensors[2] = {{"gain", {NULL, BREW_F32, 1, {7}, 0}},
                                    {"weight", {NULL, BREW_F32, 2, {ROWS, COLS}, 0}}};
    brew_checkpoint_file files[3];
    static const char *const names[] = {"model.safetensors", "m.safetensors", "v.safetensors"};
    for (int i = 0; i < 3; i++)
        files[i] = (brew_checkpoint_file){names[i], tensors, 2, give_rows, &step};
    brew_json *state = brew_json_new_object();
    brew_json_set(state, "step", brew_json_new_int(step));
    int rc = brew_checkpoint_save(dir, step, files, 3, state, pool, err);
    brew_json_free(state);
    return rc;
}

static bool sound(const char *dir, int64_t step, brew_pool *pool) {
    brew_err err;
    brew_checkpoint *c = brew_checkpoint_open(dir, step, pool, &err);
    const brew_safetensors *file = c ? brew_checkpoint_tensors(c, "v.safetensors") : NULL;
    const brew_tensor *t = file ? brew_safetensors_get(file, "weight") : NULL;
    float got[ROWS * COLS], want[ROWS * COLS];
    if (t) brew_tensor_rows(t, 0, ROWS, got);
    give_rows(&step, 1, 0, ROWS, want);
    bool same = t && !memcmp(got, want, sizeof got) &&
                brew_json_int(brew_json_get(brew_checkpoint_state(c), "step")) == step;
    brew_checkpoint_close(c);
    return same;
}

static int64_t newest(const char *dir, size_t *n) {
    int64_t *steps = brew_checkpoint_list(dir, n), last = *n ? steps[*n - 1] : -1;
    free(steps);
    return last;
}

// ---- tests ----

static void test_saving(const char *dir, brew_pool *pool) {
    brew_err err = {0};
    size_t n;
    ok(newest(dir, &n) == -1 && n == 0, "nothing there");
    for (int64_t step = 10; step <= 50; step += 10)
        if (!ok(!save(dir, step, pool, &err), "step %d is saved", (int)step))
            printf("# %s\n", err.text);
    ok(sound(dir, 10, pool) && sound(dir, 50, pool), "and opened");
    ok(sound(dir, 20, NULL), "by one thread as well");
    ok(save(dir, 50, pool, &err) && err.code == BREW_CANTCREATE, "not twice");
    ok(!brew_checkpoint_prune(dir, 2, 20, &err), "pruned");
    int64_t *steps = brew_checkpoint_list(dir, &n);
    ok(n == 3 && steps[0] == 20 && steps[1] == 40 && steps[2] == 50,
       "the last two stay, and the one that is pinned");
    free(steps);
    ok(!brew_checkpoint_open(dir, 30, pool, &err) && err.code == BREW_NOINPUT,
       "one that is gone cannot be opened");
}

// Every byte of every file counts, and so does every file.
static void test_damage(const char *dir, brew_pool *pool) {
    static const char *const names[] = {"model.safetensors", "v.safetensors", "state.json",
                                        "manifest.json"};
    for (size_t i = 0; i < 4; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/step-00000050/%s", dir, names[i]);
        struct stat st;
        stat(path, &st);
        bool found = true;
        size_t len = (size_t)st.st_size, step = len > 500 ? len / 97 : 1;
        for (size_t at = 0; at < len; at += step) { // bit 7: no such byte stands in JSON
            flip(path, at, 7);
            found = found && !sound(dir, 50, pool);
            flip(path, at, 7);
        }
        ok(found, "%s: every flipped byte is found", names[i]);
        cut_to(path, len - 2);
        ok(!sound(dir, 50, pool), "%s: cut", names[i]);
        brew_err err;
        brew_checkpoint_remove(dir, 50, &err);
        save(dir, 50, pool, &err);
        unlink(path);
        ok(!sound(dir, 50, pool), "%s: missing", names[i]);
        brew_checkpoint_remove(dir, 50, &err);
        save(dir, 50, pool, &err);
    }
    ok(sound(dir, 50, pool), "and whole again");
}

static int leftovers(const char *dir) {
    int n = 0;
    DIR *entries = opendir(dir);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        n += entry->d_name[0] == '.' && entry->d_name[1] == 's';
    if (entries) closedir(entries);
    return n;
}

// A child saves step 60 and prunes, and is killed at its k-th call.
static bool killed_at(const char *dir, long k) {
    pid_t pid = fork();
    if (!pid) {
        brew_err err;
        budget = k;
        if (save(dir, 60, NULL, &err) || brew_checkpoint_prune(dir, 2, 20, &err)) _exit(1);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status)) ok(false, "the child failed at call %ld", k);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void test_kill(const char *dir) {
    bool whole = true, swept = true;
    long k = 0, left = 0, with_new = 0;
    for (;; k++) {
        bool killed = killed_at(dir, k);
        size_t n;
        int64_t last = newest(dir, &n);
        left += leftovers(dir) > 0;
        with_new += killed && last == 60;
        // What the list shows as newest can be opened, and two are there.
        whole = whole && n >= 2 && (last == 50 || last == 60) && sound(dir, last, NULL);
        brew_outdir_sweep(dir);
        swept = swept && !leftovers(dir);
        brew_err err;
        brew_checkpoint_remove(dir, 60, &err);
        int64_t *steps = brew_checkpoint_list(dir, &n);
        for (int64_t step = 40; step <= 50; step += 10)
            if (!sound(dir, step, NULL)) {
                brew_checkpoint_remove(dir, step, &err);
                save(dir, step, NULL, &err);
            }
        free(steps);
        if (!killed) break;
    }
    ok(k > 25, "saving has %ld calls to be killed at", k);
    ok(whole, "killed at each of them, the newest checkpoint is sound, and there are two");
    ok(left > 20 && with_new > 3, "(%ld left something behind, %ld had the new one)", left,
       with_new);
    ok(swept, "what is left behind is swept away");
}

int main(void) {
    char dir[] = "checkpoint_test.XXXXXX";
    if (!mkdtemp(dir)) return 1;
    brew_pool *pool = brew_pool_new(3);
    test_saving(dir, pool);
    test_damage(dir, pool);
    brew_pool_free(pool);
    test_kill(dir);
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", dir);
    ok(!system(command), "removed");
    return tap_done();
}
