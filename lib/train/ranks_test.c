// Ranks over a wire of shared memory: how they add and agree; that a run of several does what one process
// does, with bits of their number's own; and that a stop or an error of one is one of all. Over MPI:
// cmd/brew-train-mpi.t.
#define _GNU_SOURCE // MAP_ANONYMOUS
#include "train/ranks.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/tap.h"
#include "train/run_testing.h"

enum { MOST = 4, SLOT = 5 << 20 };
static char root[] = "ranks_test.XXXXXX";

// ---- a wire of shared memory ----

struct shared {
    pthread_barrier_t barrier;
    long calls[MOST]; // of the wire's functions
    brew_err errs[MOST];
    int results[MOST];
    char slots[MOST][SLOT];
};

struct local {
    brew_wire wire;
    struct shared *shared;
    int bent; // which of the large messages ends in another bit here, 0: none
};

static int move(struct local *local, const void *mine, size_t bytes) {
    if (bytes > SLOT) return -1;
    memcpy(local->shared->slots[local->wire.rank], mine, bytes);
    local->shared->calls[local->wire.rank]++;
    pthread_barrier_wait(&local->shared->barrier);
    return 0;
}

static int gather(brew_wire *wire, const void *mine, size_t bytes, void *all, brew_err *err) {
    struct local *local = (struct local *)wire;
    if (move(local, mine, bytes)) return brew_fail(err, BREW_INTERNAL, "too long for the test");
    for (int r = 0; r < wire->ranks; r++)
        memcpy((char *)all + (size_t)r * bytes, local->shared->slots[r], bytes);
    if (bytes > 10000 && local->bent && !--local->bent) ((char *)all)[bytes / 2 | 3] ^= 1;
    pthread_barrier_wait(&local->shared->barrier);
    return 0;
}

static int exchange(brew_wire *wire, const void *to, size_t bytes, void *from, brew_err *err) {
    struct local *local = (struct local *)wire;
    if (move(local, to, bytes * (size_t)wire->ranks))
        return brew_fail(err, BREW_INTERNAL, "too long for the test");
    for (int r = 0; r < wire->ranks; r++)
        memcpy((char *)from + (size_t)r * bytes,
               local->shared->slots[r] + (size_t)wire->rank * bytes, bytes);
    pthread_barrier_wait(&local->shared->barrier);
    return 0;
}

static void close_wire(brew_wire *wire, bool together) {
    (void)together;
    free(wire);
}

static struct shared *new_shared(int n) {
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) exit(1);
    pthread_barrierattr_t attr;
    pthread_barrierattr_init(&attr);
    pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&shared->barrier, &attr, (unsigned)n);
    return shared;
}

static int bend; // of the second rank's messages
static brew_ranks *join(struct shared *shared, int rank, int n) {
    struct local *local = brew_calloc(1, sizeof *local);
    local->wire = (brew_wire){rank, n, gather, exchange, close_wire};
    local->shared = shared;
    if (rank == 1) local->bent = bend;
    return brew_ranks_new(&local->wire);
}

// Calls fn in n processes, which have what it returns in shared->results.
typedef int rank_fn(struct shared *shared, int rank, int n, void *arg);
static struct shared *in_ranks(int n, rank_fn *fn, void *arg) {
    struct shared *shared = new_shared(n);
    fflush(stdout);
    for (int rank = 0; rank < n; rank++) {
        if (fork()) continue;
        alarm(300); // ranks that wait for each other in vain
        shared->results[rank] = fn(shared, rank, n, arg);
        _exit(0);
    }
    for (int rank = 0, status; rank < n; rank++)
        if (wait(&status) < 0 || status) shared->results[0] = -9;
    return shared;
}

static void forget(struct shared *shared) {
    munmap(shared, sizeof *shared);
}

static bool all_are(const struct shared *shared, int n, int want) {
    bool all = true;
    for (int r = 0; r < n; r++) all = all && shared->results[r] == want;
    return all;
}

// ---- sums, agreements ----

// Values whose sum shows the order it was made in.
static float term(int rank, size_t i) {
    float size = (i + (size_t)rank) % 3 ? 1 : 1e6f;
    return size * (float)(0.1 + (double)brew_rand_below(5, (uint64_t)rank, i, 1000) / 7 - 70);
}

static int add(struct shared *shared, int rank, int n, void *arg) {
    size_t count = *(size_t *)arg;
    brew_ranks *ranks = join(shared, rank, n);
    brew_err err;
    float *floats = brew_alloc((count + 1) * sizeof *floats);
    double *doubles = brew_alloc((count + 1) * sizeof *doubles);
    size_t few = count < 1000 ? count : 1000, wrong = 0, other_order = 0;
    for (size_t i = 0; i < count; i++) doubles[i] = floats[i] = term(rank, i);
    if (brew_ranks_add_floats(ranks, floats, count, &err)) return -1;
    if (brew_ranks_add(ranks, doubles, few, &err)) return -2;
    for (size_t i = 0; i < count; i++) {
        float want = term(0, i), back = term(n - 1, i);
        double wide = want;
        for (int r = 1; r < n; r++) {
            want += term(r, i);
            back += term(n - 1 - r, i);
            wide += term(r, i);
        }
        wrong += floats[i] != want || (i < few && doubles[i] != wide);
        other_order += want != back;
    }
    brew_ranks_close(ranks);
    free(floats);
    free(doubles);
    return wrong || (n > 2 && count > 100 && !other_order) ? 1 : 0;
}

static void test_sums(void) {
    static const size_t counts[] = {0, 1, 5, 1000, (1 << 20) - 1, (1 << 20) + 3};
    for (int n = 1; n <= MOST; n++) {
        bool sound = true;
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            struct shared *shared = in_ranks(n, add, (void *)(uintptr_t)&counts[i]);
            sound = sound && all_are(shared, n, 0);
            forget(shared);
        }
        ok(sound, "%d ranks add in their order, any number of values", n);
    }
}

// What rank r comes with, from digits of a number: 0, 1, 2 for -1.
static int agree(struct shared *shared, int rank, int n, void *arg) {
    int want = 0, failed = -1, rcs[MOST];
    brew_ranks *ranks = join(shared, rank, n);
    brew_err err = {BREW_OK, "as it was"};
    for (int r = 0, c = *(int *)arg; r < n; r++, c /= 3) rcs[r] = c % 3 == 2 ? -1 : c % 3;
    for (int r = 0; r < n; r++) {
        if (rcs[r] < 0 && failed < 0) failed = r;
        if (rcs[r] > want) want = rcs[r];
    }
    if (failed >= 0) want = -1;
    if (rcs[rank] < 0) brew_fail(&err, BREW_IO, "disk %d is full", rank);
    bool sound = brew_ranks_agree(ranks, rcs[rank], &err) == want;
    if (failed >= 0) {
        char text[40] = "";
        snprintf(text, sizeof text, failed ? "rank %d: disk %d is full" : "disk 0 is full", failed,
                 failed);
        sound = sound && err.code == BREW_IO && !strcmp(err.text, text);
        long calls = shared->calls[rank];
        double value = 1;
        sound = sound && brew_ranks_agree(ranks, 0, &err) == -1 &&
                brew_ranks_add(ranks, &value, 1, &err) == -1 && shared->calls[rank] == calls &&
                !strcmp(err.text, text) && !brew_ranks_lost(ranks);
    } else {
        int said = 7 + rank;
        sound = sound && !brew_ranks_tell(ranks, &said, sizeof said, &err) && said == 7 &&
                !strcmp(err.text, "as it was");
    }
    brew_ranks_close(ranks);
    return !sound;
}

static void test_agreements(void) {
    bool sound = true;
    for (int code = 0; code < 27; code++) {
        struct shared *shared = in_ranks(3, agree, &code);
        sound = sound && all_are(shared, 3, 0);
        forget(shared);
    }
    ok(sound, "three ranks agree: on a stop of any, on the first error, which ends it all");
    brew_err err;
    double value = 3;
    ok(brew_ranks_agree(NULL, 1, &err) == 1 && !brew_ranks_add(NULL, &value, 1, &err) &&
           value == 3 && !brew_ranks_me(NULL) && brew_ranks_n(NULL) == 1,
       "none is one");
}

// ---- runs ----

static char *in_root(const char *name) {
    brew_buf path = {0};
    brew_buf_addf(&path, "%s/%s", root, name);
    return path.ptr;
}

struct plan {
    brew_run_options options;
    int threads, stop_rank;   // who is told to stop
    int64_t stop_at;          // after the report of this step, 0: never
    const char *inputs[MOST]; // of a rank that reads something else
    bool alone;               // without a wire
};

static volatile sig_atomic_t stopping;
static void at_step(void *arg, const brew_train_report *report) {
    const struct plan *plan = arg;
    if (report->step == plan->stop_at) stopping = 1;
}

static int train(struct shared *shared, int rank, int n, void *arg) {
    struct plan mine = *(struct plan *)arg;
    brew_train_result result;
    brew_err *err = shared->errs + rank;
    char *input = (char *)(uintptr_t)mine.inputs[rank];
    if (input) mine.options.inputs = &input;
    if (rank != mine.stop_rank) mine.stop_at = 0;
    mine.options.ranks = mine.alone ? NULL : join(shared, rank, n);
    mine.options.pool = brew_pool_new(mine.threads);
    mine.options.stop = &stopping;
    mine.options.report = at_step;
    mine.options.reject = never_reject;
    mine.options.arg = &mine;
    int rc = brew_run(&mine.options, &result, err);
    if (rc < 0) printf("# rank %d: %s\n", rank, err->text);
    fflush(stdout);
    brew_pool_free(mine.options.pool);
    brew_ranks_close(mine.options.ranks);
    return rc;
}

static bool run(int n, const struct plan *plan, int want) {
    struct shared *shared = in_ranks(n, train, (void *)(uintptr_t)plan);
    bool sound = all_are(shared, n, want);
    for (int r = 0; want < 0 && r < n; r++)
        sound = sound && !strcmp(shared->errs[r].text, shared->errs[0].text);
    forget(shared);
    return sound;
}

// The largest relative difference of the losses of two logs, 1 if they have not as many rows.
static double difference(const char *a, const char *b, const char *key) {
    char *x = log_rows(a), *y = log_rows(b), find[40];
    double most = 0;
    snprintf(find, sizeof find, "\"%s\":", key);
    const char *p = x ? strstr(x, find) : NULL, *q = y ? strstr(y, find) : NULL;
    for (; p && q; p = strstr(p + 1, find), q = strstr(q + 1, find)) {
        double u = strtod(p + strlen(find), NULL), v = strtod(q + strlen(find), NULL);
        most = fmax(most, fabs(u - v) / (fabs(v) + 1e-9));
    }
    bool uneven = p || q || !most;
    free(x);
    free(y);
    return uneven ? 1 : most;
}

static void test_runs(struct plan plan, const char *alone) {
    char *first = in_root("first"), *second = in_root("second");
    plan.options.out = first;
    ok(run(1, &plan, 0) && same_run(alone, first, 40), "one rank: the bits of none");
    remove_all(first);
    for (int n = 2; n <= MOST; n++) {
        plan.threads = 1;
        plan.options.out = first;
        ok(run(n, &plan, 0), "%d ranks", n);
        double loss = difference(alone, first, "loss"),
               norm = difference(alone, first, "grad_norm");
        double valid = difference(alone, first, "valid");
        printf("# losses differ by %.1e, of validation by %.1e, gradients by %.1e\n", loss, valid,
               norm);
        ok(loss < 2e-5 && valid < 2e-5 && norm < 2e-4, "losses as those of one process");
        plan.threads = 2;
        plan.options.out = second;
        ok(run(n, &plan, 0) && same_run(first, second, 40), "again, with 2 threads: the same bits");
        remove_all(second);
        plan.stop_at = 5 + n;
        plan.stop_rank = n - 1;
        ok(run(n, &plan, 1), "one is stopped: all stop");
        plan.stop_at = 23;
        plan.stop_rank = 0;
        ok(run(n, &plan, 1), "the first is stopped: all stop");
        plan.stop_at = 0;
        ok(run(n, &plan, 0) && same_run(first, second, 40), "and go on: the same bits");
        ok(run(n, &plan, 0), "a finished run is left alone");
        remove_all(first);
        remove_all(second);
    }
    free(first);
    free(second);
}

static void test_small_batches(struct plan plan) {
    // 25 requests in batches of 4: of the last one most ranks have no share.
    char *one = in_root("one"), *four = in_root("four");
    plan.options.steps = 0;
    plan.options.epochs = 1;
    plan.options.batch = 4;
    plan.options.order = 0;
    plan.options.valid = NULL;
    plan.options.out = one;
    plan.alone = true;
    bool sound = run(1, &plan, 0);
    plan.alone = false;
    plan.options.out = four;
    ok(sound && run(4, &plan, 0) && difference(one, four, "loss") < 1e-5,
       "a last batch that is no share for three of four");
    remove_all(four);
    plan.options.lora = 2;
    plan.options.merge = true;
    ok(run(2, &plan, 0), "adapters learn, too");
    free(one);
    free(four);
}

static void test_refusals(struct plan plan, const char *valid) {
    char *out = in_root("refused");
    plan.options.out = out;
    plan.inputs[1] = valid;
    ok(run(2, &plan, -1), "a rank that reads something else");
    plan.inputs[1] = "nowhere";
    ok(run(3, &plan, -1), "or cannot: all fail with its words");
    plan.inputs[1] = NULL;
    plan.options.batch = 2;
    ok(run(3, &plan, -1), "a batch that is less than the ranks");
    plan.options.batch = 3;
    plan.options.n_inputs = 0;
    ok(run(2, &plan, -1), "standard input");
    plan.options.n_inputs = 1;
    ok(access(out, F_OK) != 0, "are refused, and leave no directory behind");
    plan.options.log =
        "/dev/full"; // the first rank fails in its first step, the others meanwhile go on
    ok(run(3, &plan, -1), "a log that cannot be written: all fail");
    plan.options.log = NULL;
    remove_all(out);
    bend = 3;
    ok(run(3, &plan, -1), "a gradient that differs in one bit: all fail");
    bend = 0;
    remove_all(out);
    ok(run(2, &plan, 0), "two ranks");
    ok(run(3, &plan, -1), "are not three");
    free(out);
}

int main(void) {
    if (!mkdtemp(root)) return 1;
    char *input = in_root("train.jsonl"), *valid = in_root("valid.jsonl"),
         *alone = in_root("alone");
    write_requests(input, 1, 25);
    write_requests(valid, 2, 5);
    struct plan plan = {.options = test_options(alone, &input), .threads = 1, .alone = true};
    plan.options.batch = 6;
    plan.options.precision = 1; // f32
    plan.options.valid = valid;
    plan.options.valid_every = 10;
    test_sums();
    test_agreements();
    ok(run(1, &plan, 0), "a run of 40 steps");
    plan.alone = false;
    test_runs(plan, alone);
    test_small_batches(plan);
    test_refusals(plan, valid);
    remove_all(root);
    free(input);
    free(valid);
    free(alone);
    return tap_done();
}
