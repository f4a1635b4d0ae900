// The plug-in brew-mpi.so: a wire (train/wire.h) of MPI. Compiled by mpicc, no part of the library, and linked with
// nothing of it.
//
// Every call is one that returns at once, under one lock, so that the main thread and the one that tells the
// others of us need no more than MPI_THREAD_SERIALIZED, and a wait can be given up.
//
// Signs of life go from each rank to rank 0 and from rank 0 to each, once a second, one message at a time in either
// direction. Silence is counted in the turns of the listening thread: a rank, or a job, that was stopped and
// goes on has not been waiting meanwhile.
#define _POSIX_C_SOURCE 200809L
#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "train/wire.h"

enum { TURN_MS = 100, BEAT_TURNS = 10, LIMIT_SECONDS = 30, PART_SECONDS = 10 };
enum { WELL = 0, BYE = -1 }; // what a sign says; 1 + r: rank r has not been heard of

struct peer {
    int rank, said, saying, silent; // silent: turns
    bool gone;                      // has said bye
    MPI_Request hear, say;
};

struct mpi {
    brew_wire wire;
    MPI_Comm comm;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool listening, quit;
    int lost; // the first rank that has not been heard of, or -1
    struct peer *peers;
    int n_peers;
};

static int fail(brew_err *err, enum brew_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int fail(brew_err *err, enum brew_code code, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    err->code = code;
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return -1;
}

static int fail_mpi(brew_err *err, int code) {
    char text[MPI_MAX_ERROR_STRING + 1] = "";
    int len = 0;
    MPI_Error_string(code, text, &len);
    return fail(err, BREW_IO, "MPI: %s", text);
}

static void nap(long microseconds) {
    struct timespec t = {.tv_nsec = microseconds * 1000};
    nanosleep(&t, NULL);
}

// ---- signs of life ----

static void listen_to(struct mpi *m, struct peer *peer) {
    MPI_Irecv(&peer->said, 1, MPI_INT, peer->rank, 0, m->comm, &peer->hear);
}

static bool is_done(MPI_Request *request) {
    int done = 0;
    return *request == MPI_REQUEST_NULL || (!MPI_Test(request, &done, MPI_STATUS_IGNORE) && done);
}

static void hear(struct mpi *m, struct peer *peer) {
    peer->silent++;
    while (!peer->gone && is_done(&peer->hear)) {
        peer->silent = 0;
        peer->gone = peer->said == BYE;
        if (peer->said > 0 && m->lost < 0) m->lost = peer->said - 1;
        if (!peer->gone) listen_to(m, peer);
    }
    if (!peer->gone && peer->silent > LIMIT_SECONDS * 1000 / TURN_MS && m->lost < 0)
        m->lost = peer->rank;
}

// False if the last word is still under way.
static bool say(struct mpi *m, struct peer *peer, int word) {
    if (!is_done(&peer->say)) return false;
    peer->saying = word;
    return !MPI_Isend(&peer->saying, 1, MPI_INT, peer->rank, 0, m->comm, &peer->say);
}

static void *live(void *arg) {
    struct mpi *m = arg;
    pthread_mutex_lock(&m->lock);
    for (long turn = 0; !m->quit; turn++) {
        for (int i = 0; i < m->n_peers; i++) {
            hear(m, m->peers + i);
            if (turn % BEAT_TURNS == 0) say(m, m->peers + i, m->lost < 0 ? WELL : 1 + m->lost);
        }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += TURN_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&m->wake, &m->lock, &until);
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

static int start_listening(struct mpi *m, brew_err *err) {
    int n = m->wire.rank ? 1 : m->wire.ranks - 1;
    m->peers = calloc((size_t)n + 1, sizeof *m->peers);
    if (!m->peers) return fail(err, BREW_INTERNAL, "no memory for %d ranks", n);
    for (; m->n_peers < n; m->n_peers++) {
        struct peer *peer = m->peers + m->n_peers;
        *peer = (struct peer){.rank = m->wire.rank ? 0 : m->n_peers + 1, .say = MPI_REQUEST_NULL};
        listen_to(m, peer);
    }
    sigset_t all, old; // the program's handlers are for its own threads
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    int rc = n ? pthread_create(&m->thread, NULL, live, m) : 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc) return fail(err, BREW_INTERNAL, "a thread cannot be started");
    m->listening = n > 0;
    return 0;
}

static void stop_listening(struct mpi *m) {
    if (!m->listening) return;
    pthread_mutex_lock(&m->lock);
    m->quit = true;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
    m->listening = false;
}

// No message may be left when MPI ends: the last word to each is bye, and so is theirs.
static bool part(struct mpi *m) {
    int left = m->n_peers;
    bool *bade = calloc((size_t)m->n_peers + 1, sizeof *bade);
    for (long turn = 0; bade && left && turn < PART_SECONDS * 1000; turn++, nap(1000)) {
        left = 0;
        for (int i = 0; i < m->n_peers; i++) {
            struct peer *peer = m->peers + i;
            hear(m, peer);
            if (!bade[i]) bade[i] = say(m, peer, BYE);
            left += !bade[i] || !peer->gone || !is_done(&peer->say);
        }
    }
    free(bade);
    return !left;
}

// ---- the wire ----

// Spins for as long as a message takes, then naps: others need the processor more.
static int wait_for(struct mpi *m, MPI_Request *request, brew_err *err) {
    for (long turns = 0;; turns++) {
        int done = 0;
        pthread_mutex_lock(&m->lock);
        int rc = MPI_Test(request, &done, MPI_STATUS_IGNORE), lost = m->lost;
        pthread_mutex_unlock(&m->lock);
        if (rc) return fail_mpi(err, rc);
        if (done) return 0;
        if (lost >= 0)
            return fail(err, BREW_IO,
                        "rank %d has not been heard of for %d s; the same command goes on from the "
                        "last checkpoint",
                        lost, LIMIT_SECONDS);
        if (turns < 2000)
            sched_yield();
        else
            nap(turns < 20000 ? 50 : 1000);
    }
}

static int gather(brew_wire *wire, const void *mine, size_t bytes, void *all, brew_err *err) {
    struct mpi *m = (struct mpi *)wire;
    MPI_Request request;
    if (bytes > BREW_WIRE_MOST) return fail(err, BREW_INTERNAL, "%zu bytes at once", bytes);
    pthread_mutex_lock(&m->lock);
    int rc =
        MPI_Iallgather(mine, (int)bytes, MPI_BYTE, all, (int)bytes, MPI_BYTE, m->comm, &request);
    pthread_mutex_unlock(&m->lock);
    return rc ? fail_mpi(err, rc) : wait_for(m, &request, err);
}

static int exchange(brew_wire *wire, const void *to, size_t bytes, void *from, brew_err *err) {
    struct mpi *m = (struct mpi *)wire;
    MPI_Request request;
    if (bytes > BREW_WIRE_MOST) return fail(err, BREW_INTERNAL, "%zu bytes at once", bytes);
    pthread_mutex_lock(&m->lock);
    int rc = MPI_Ialltoall(to, (int)bytes, MPI_BYTE, from, (int)bytes, MPI_BYTE, m->comm, &request);
    pthread_mutex_unlock(&m->lock);
    return rc ? fail_mpi(err, rc) : wait_for(m, &request, err);
}

static void close_wire(brew_wire *wire, bool together) {
    struct mpi *m = (struct mpi *)wire;
    stop_listening(m);
    if (!together || !part(m)) return; // what MPI may still write to stays
    MPI_Comm_free(&m->comm);
    MPI_Finalize();
    free(m->peers);
    free(m);
}

brew_wire *brew_wire_open(int version, brew_err *err);
brew_wire *brew_wire_open(int version, brew_err *err) {
    int provided = 0;
    if (version != BREW_WIRE_VERSION) {
        fail(err, BREW_USAGE, "the plug-in for MPI is of version %d, version %d is needed",
             BREW_WIRE_VERSION, version);
        return NULL;
    }
    int rc = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
    if (rc || provided < MPI_THREAD_SERIALIZED) {
        fail(err, BREW_USAGE, "this MPI does not serve programs with threads");
        return NULL;
    }
    struct mpi *m = calloc(1, sizeof *m);
    if (!m) {
        fail(err, BREW_INTERNAL, "no memory");
        return NULL;
    }
    m->wire = (brew_wire){.gather = gather, .exchange = exchange, .close = close_wire};
    m->lost = -1;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->wake, NULL);
    MPI_Comm_dup(MPI_COMM_WORLD, &m->comm);
    MPI_Comm_set_errhandler(m->comm, MPI_ERRORS_RETURN);
    MPI_Comm_rank(m->comm, &m->wire.rank);
    MPI_Comm_size(m->comm, &m->wire.ranks);
    return start_listening(m, err) ? NULL : &m->wire;
}
