// Whole runs on a small model: stopped and killed anywhere, at any number of threads, they end in the same
// bits. BREW_SLOW=1 stops at every step and kills at every call; else at some of them.
#define _GNU_SOURCE // syscall
#include "train/run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tap.h"
#include "train/checkpoint.h"
#include "train/run_testing.h"

static char root[] = "run_test.XXXXXX";

// ---- the calls that reach the disk: the process is killed when the budget is spent ----

static long budget = -1, spent;

static void spend(void) {
    spent++;
    if (budget == 0) raise(SIGKILL);
    if (budget > 0) budget--;
}

ssize_t write(int fd, const void *bytes, size_t len) {
    if (fd > 2) {
        if (!budget && len > 1) syscall(SYS_write, fd, bytes, len / 2);
        spend();
    }
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

int ftruncate(int fd, off_t len) {
    spend();
    return (int)syscall(SYS_ftruncate, fd, len);
}

// ---- a run in a process of its own ----

static volatile sig_atomic_t stopping;

struct plan {
    brew_run_options options;
    int64_t stop_at, kill_at; // steps, 0: never
    long calls;               // to be killed at, -1: none
    int threads;
};

static void at_step(void *arg, const brew_train_report *report) {
    const struct plan *plan = arg;
    if (report->step == plan->kill_at) raise(SIGKILL);
    if (report->step == plan->stop_at) stopping = 1;
}

// What brew_run returned, -2 if it was killed. The child's number of calls in *calls, if not NULL.
static int run(const struct plan *plan, long *calls) {
    int pipes[2];
    if (pipe(pipes)) exit(1);
    fflush(stdout);
    pid_t pid = fork();
    if (!pid) {
        struct plan mine = *plan;
        brew_err err = {0};
        brew_train_result result;
        mine.options.pool = brew_pool_new(plan->threads);
        mine.options.stop = &stopping;
        mine.options.report = at_step;
        mine.options.reject = never_reject;
        mine.options.arg = &mine;
        budget = plan->calls;
        int rc = brew_run(&mine.options, &result, &err);
        if (rc < 0) printf("# %s\n", err.text);
        fflush(stdout);
        syscall(SYS_write, pipes[1], &spent, sizeof spent);
        brew_pool_free(mine.options.pool);
        _exit(rc + 1);
    }
    int status;
    waitpid(pid, &status, 0);
    if (calls && read(pipes[0], calls, sizeof *calls) != sizeof *calls) *calls = 0;
    close(pipes[0]);
    close(pipes[1]);
    return WIFSIGNALED(status) ? -2 : WEXITSTATUS(status) - 1;
}

static char *in_root(const char *name) {
    brew_buf path = {0};
    brew_buf_addf(&path, "%s/%s", root, name);
    return path.ptr;
}

static struct plan new_plan(const char *out, char **input) {
    return (struct plan){.options = test_options(out, input), .calls = -1, .threads = 1};
}

// ---- tests ----

static void test_threads(struct plan plan, const char *want) {
    char *out = in_root("threads");
    plan.options.out = out;
    for (int threads = 2; threads <= 3; threads++) {
        plan.threads = threads;
        ok(run(&plan, NULL) == 0 && same_run(want, out, 40), "%d threads: the same bits", threads);
        remove_all(out);
    }
    free(out);
}

static void test_stops(struct plan plan, const char *want, bool slow) {
    char *out = in_root("stopped");
    plan.options.out = out;
    bool killed = true, stopped = true, recovered = true;
    for (int64_t k = 1; k <= 40; k += slow ? 1 : 13) {
        struct plan part = plan;
        part.kill_at = k;
        killed = killed && run(&part, NULL) == -2;
        part.kill_at = 0;
        part.threads = 1 + (int)(k % 3);
        recovered = recovered && run(&part, NULL) == 0 && same_run(want, out, 40);
        remove_all(out);
        part.stop_at = k < 40 ? k : 0;
        stopped = stopped && run(&part, NULL) == (k < 40);
        part.stop_at = 0;
        recovered = recovered && run(&part, NULL) == 0 && same_run(want, out, 40);
        remove_all(out);
    }
    ok(killed && stopped, "killed, and stopped, at steps of a run of 40");
    ok(recovered, "begun again, it ends in the same bits each time");
    // Many times in one run.
    for (int64_t k = 3; k < 40; k += 9) {
        plan.kill_at = k;
        plan.stop_at = 0;
        run(&plan, NULL);
        plan.kill_at = 0;
        plan.stop_at = k + 4;
        run(&plan, NULL);
    }
    plan.stop_at = 0;
    ok(run(&plan, NULL) == 0 && same_run(want, out, 40), "stopped nine times, the same bits");
    struct stat before, after;
    char *model = in_root("stopped/model.safetensors");
    stat(model, &before);
    ok(run(&plan, NULL) == 0, "a finished run is left alone");
    stat(model, &after);
    ok(before.st_ino == after.st_ino && before.st_mtime == after.st_mtime, "its model, too");
    free(model);
    remove_all(out);
    free(out);
}

// A run of 6 steps that validates, killed at its n-th call that reaches the disk.
static void test_calls(struct plan plan, char *valid, bool slow) {
    char *whole = in_root("whole"), *out = in_root("killed");
    plan.options.steps = 6;
    plan.options.save_every = 2;
    plan.options.valid = valid;
    plan.options.valid_every = 3;
    plan.options.out = whole;
    long calls = 0;
    ok(run(&plan, &calls) == 0, "a short run with validation");
    plan.options.out = out;
    bool killed = true, same = true;
    for (long k = 0; k < calls; k += slow ? 1 : 11) {
        plan.calls = k;
        killed = killed && run(&plan, NULL) == -2;
        plan.calls = -1;
        if (run(&plan, NULL) != 0 || !same_run(whole, out, 6)) {
            printf("# killed at call %ld\n", k);
            same = false;
        }
        remove_all(out);
    }
    ok(calls > 100 && killed, "killed at calls among %ld that reach the disk", calls);
    ok(same, "and begun again, it ends in the same bits");
    remove_all(whole);
    free(whole);
    free(out);
}

// A run of 12 steps with a teacher, of whom hidden states and whole vocabularies are asked.
static void test_lessons(struct plan plan, const char *teacher) {
    char *whole = in_root("taught"), *out = in_root("taught2");
    brew_run_options *o = &plan.options;
    o->teacher = teacher;
    o->hidden = 0.5;
    o->kd_vocab = "items,lm";
    o->alpha = "0.7";
    o->tau = "2";
    o->steps = 12;
    o->save_every = 5;
    o->out = whole;
    ok(run(&plan, NULL) == 0, "a run with a teacher");
    o->out = out;
    bool same = true;
    for (int threads = 2; threads <= 3; threads++) {
        plan.threads = threads;
        same = run(&plan, NULL) == 0 && same && same_run(whole, out, 12);
        remove_all(out);
    }
    ok(same, "hidden states and vocabularies: the same bits with 2 and 3 threads");
    plan.kill_at = 7;
    same = run(&plan, NULL) == -2;
    plan.kill_at = 0;
    plan.stop_at = 9;
    same = run(&plan, NULL) == 1 && same;
    plan.stop_at = 0;
    ok(run(&plan, NULL) == 0 && same && same_run(whole, out, 12), "killed and stopped, the same");
    o->recompute = 2;
    remove_all(out);
    ok(run(&plan, NULL) == 0 && same_run(whole, out, 12), "and layers computed again, too");
    remove_all(whole);
    remove_all(out);
    free(whole);
    free(out);
}

static void test_refusals(struct plan plan, const char *want, char *other) {
    brew_err err;
    brew_train_result result;
    brew_run_options o = plan.options;
    o.pool = brew_pool_new(1);
    o.stop = &stopping;
    o.reject = never_reject;
    o.out = want;
    o.lr = 0.004;
    ok(brew_run(&o, &result, &err) && err.code == BREW_USAGE && strstr(err.text, "lr 0.003"),
       "another rate is refused by name");
    o.lr = plan.options.lr;
    o.inputs = &other;
    ok(brew_run(&o, &result, &err) && strstr(err.text, "other records"), "so are other requests");
    o.inputs = plan.options.inputs;
    o.model = "testdata/models/llama-tied";
    ok(brew_run(&o, &result, &err) && err.code == BREW_DATA, "and a model of another vocabulary");
    o.model = tiny;
    o.memory = "1M";
    char *small = in_root("small");
    o.out = small;
    ok(brew_run(&o, &result, &err) && strstr(err.text, "too large for 0.001 GB"),
       "and what memory does not do");
    free(small);
    brew_pool_free(o.pool);
}

int main(void) {
    const char *slow = getenv("BREW_SLOW");
    if (!mkdtemp(root)) return 1;
    char *input = in_root("train.jsonl"), *valid = in_root("valid.jsonl"), *want = in_root("want");
    write_requests(input, 1, 25);
    write_requests(valid, 2, 5);
    struct plan plan = new_plan(want, &input);
    ok(run(&plan, NULL) == 0, "a run of 40 steps");
    test_threads(plan, want);
    test_stops(plan, want, slow && *slow);
    test_calls(plan, valid, slow && *slow);
    test_lessons(plan, want);
    test_refusals(plan, want, valid);
    remove_all(root);
    free(input);
    free(valid);
    free(want);
    return tap_done();
}
