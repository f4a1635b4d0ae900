// The processes that train one model together, its ranks: mpirun -n 4 brew-train ...
//
// Every rank has the whole model, reads the same input, and computes its share of each batch: the requests
// at positions rank, rank + n, rank + 2n, ... Their gradients are then added, and every rank takes the same
// step with the same bits. Rank 0 alone writes: the log, checkpoints, the model.
//
// Sums run in the order of the ranks, ((g0 + g1) + g2) + ..., whatever the MPI, the network or the sizes of
// messages: a run's bits depend on the number of its ranks, not on where they run. Of one rank they are those of a
// run without any.
//
// A rank may fail on its own, or be told to stop. So everything that ranks do together begins with an
// agreement (brew_ranks_agree): a rank that has failed goes to the next one with -1, wherever the others come
// from, and all fail with its words. Between an agreement and the next every rank makes the same calls.
//
// One process is no rank: NULL is fine everywhere, is one rank, and costs nothing.
#ifndef BREW_TRAIN_RANKS_H
#define BREW_TRAIN_RANKS_H

#include <stddef.h>

#include "train/wire.h"

typedef struct brew_ranks brew_ranks;

enum brew_ranks_wanted { BREW_RANKS_AUTO, BREW_RANKS_ON, BREW_RANKS_OFF };
// Joins the others: *ranks, or NULL for a process by itself. AUTO: if an MPI launcher says that it started
// several. Fails if the plug-in is not there or sees other ranks than the launcher.
int brew_ranks_open(enum brew_ranks_wanted wanted, brew_ranks **ranks, brew_err *err);
brew_ranks *brew_ranks_new(brew_wire *wire); // takes the wire
// together: all ranks have agreed on something, and close now.
void brew_ranks_close(brew_ranks *ranks);

int brew_ranks_me(const brew_ranks *ranks); // 0 without any
int brew_ranks_n(const brew_ranks *ranks);  // 1 without any
// Whether the others could not be reached: then this rank's error is known to no one else.
bool brew_ranks_lost(const brew_ranks *ranks);
// Ranks on this machine, this one included; and, of these, those on the same CPUs. All ranks call.
int brew_ranks_places(brew_ranks *ranks, int *machine, int *cpus, brew_err *err);

// rc: how it went here, 0, 1 or -1 with err. The same on every rank: -1 if one failed, with the error of
// the first that did; else the largest. After -1 nothing is done together any more: every call is -1 at once,
// with err as it is.
int brew_ranks_agree(brew_ranks *ranks, int rc, brew_err *err);
// Rank 0's bytes to all.
int brew_ranks_tell(brew_ranks *ranks, void *bytes, size_t n, brew_err *err);
// Whether all have the same bytes as rank 0: else all fail, and the message names a rank with other `what`.
int brew_ranks_compare(brew_ranks *ranks, const void *bytes, size_t n, const char *what,
                       brew_err *err);
// Each value becomes the sum over the ranks, in their order.
int brew_ranks_add(brew_ranks *ranks, double *values, size_t n, brew_err *err);
int brew_ranks_add_floats(brew_ranks *ranks, float *values, size_t n, brew_err *err);

#endif
