// What carries bytes between the processes of a run: all that a plug-in for MPI is.
//
// brew-train itself is not linked with any MPI, so that one program, and one Debian package without a dependency on
// MPI, serves a laptop and a cluster. What is linked with it is a small shared object, brew-mpi.so, built if
// mpicc is there (make MPI=0 leaves it out) and packaged by itself; it is looked for when a run was started
// by an MPI launcher (train/ranks.h), in ../lib/brew beside the program's folder, or where the environment's
// BREW_MPI says: a site with several MPIs builds one for each.
//
// A wire moves bytes and does no arithmetic. What is added up is added up by the ranks themselves, in the order of
// their numbers (train/ranks.c): an MPI's own reductions are free to choose another order each time.
//
// Ranks call the same functions in the same order with the same sizes. A call returns when all of them have
// called; it fails when the MPI does, or when a rank has not been heard of for half a minute: each
// rank has a thread that tells the others that it is alive, however long its main thread computes. After a
// failure a wire is good for nothing but to be closed.
#ifndef BREW_TRAIN_WIRE_H
#define BREW_TRAIN_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

typedef struct brew_wire brew_wire;
struct brew_wire {
    int rank, ranks; // 0 <= rank < ranks
    // The `bytes` bytes at mine, of every rank, to all [ranks][bytes]. bytes: at most BREW_WIRE_MOST.
    int (*gather)(brew_wire *wire, const void *mine, size_t bytes, void *all, brew_err *err);
    // Block r of to [ranks][bytes] goes to rank r; from [ranks][bytes] gets, of every rank, the block meant for
    // this one. ranks * bytes: at most BREW_WIRE_MOST.
    int (*exchange)(brew_wire *wire, const void *to, size_t bytes, void *from, brew_err *err);
    // together: every rank calls this now, and parts in peace. Else others may be gone or waiting: they are
    // left without a word, and find out.
    void (*close)(brew_wire *wire, bool together);
};
enum { BREW_WIRE_MOST = 1 << 26 };

// The one function of a plug-in, under this name. version: BREW_WIRE_VERSION of the program. NULL on failure.
#define BREW_WIRE_OPEN "brew_wire_open"
#define BREW_WIRE_VERSION 1
typedef brew_wire *brew_wire_open_fn(int version, brew_err *err);

#endif
