// Checkpoints: what a run needs to go on, on disk.
//
//     DIR/step-00000400/model.safetensors  ...  state.json  manifest.json
//     DIR/step-00000600/...
//
// A checkpoint is a directory that appears whole: its files are written and synced under a temporary
// name, manifest.json (sizes and SHA-256 of the others) last, then the directory is renamed. Killed at
// any moment, a run leaves the checkpoints there were, or one more. Opening one checks every byte
// against the manifest.
//
// Files are written and checked by the threads of a pool, one file a task: reading values out, hashing and
// writing overlap.
#ifndef BREW_TRAIN_CHECKPOINT_H
#define BREW_TRAIN_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "io/json.h"
#include "io/safetensors.h"

// One file of tensors, F32; rows as in io/safetensors.h, and called by any thread of the pool, each
// file by one.
typedef struct brew_checkpoint_file {
    const char *name; // "model.safetensors"
    const brew_named_tensor *tensors;
    size_t n;
    brew_rows_fn *rows;
    void *arg;
} brew_checkpoint_file;

// Saves as DIR's checkpoint of this step, which must not exist yet. dir exists.
int brew_checkpoint_save(const char *dir, int64_t step, const brew_checkpoint_file *files,
                         size_t n_files, const brew_json *state, brew_pool *pool, brew_err *err);

// The steps that have a checkpoint, ascending, from malloc.
int64_t *brew_checkpoint_list(const char *dir, size_t *n);
// Removes those of steps below the last `keep`, and not `pinned`.
int brew_checkpoint_prune(const char *dir, size_t keep, int64_t pinned, brew_err *err);
int brew_checkpoint_remove(const char *dir, int64_t step, brew_err *err);

typedef struct brew_checkpoint brew_checkpoint;
// Opens and checks one. NULL on failure: something is missing, cut or changed.
brew_checkpoint *brew_checkpoint_open(const char *dir, int64_t step, brew_pool *pool,
                                      brew_err *err);
void brew_checkpoint_close(brew_checkpoint *checkpoint); // NULL is fine
const char *brew_checkpoint_path(const brew_checkpoint *checkpoint);
const brew_json *brew_checkpoint_state(const brew_checkpoint *checkpoint);
// A file of tensors by its name, or NULL. Owned by the checkpoint, as are its bytes.
const brew_safetensors *brew_checkpoint_tensors(const brew_checkpoint *checkpoint,
                                                const char *name);

#endif
