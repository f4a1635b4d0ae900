// A learner's values and moments as files: of a checkpoint, and as what an export writes.
//
//     model.safetensors  moments-1.safetensors  moments-2.safetensors      F32, under Hugging Face's names
//
// Frozen parameters have values only; where there are adapters, they are not among the files at all.
#ifndef BREW_TRAIN_STORE_H
#define BREW_TRAIN_STORE_H

#include "model/export.h"
#include "model/learner.h"
#include "train/checkpoint.h"

int brew_store_save(const brew_learner *learner, const char *dir, int64_t step,
                    const brew_json *state, brew_pool *pool, brew_err *err);
// Sets the values, with `moments` those too, from a checkpoint, which must hold exactly the parameters that the
// learner has; refreshed afterwards.
int brew_store_load(brew_learner *learner, const brew_checkpoint *checkpoint, bool moments,
                    brew_err *err);
// The tensors, rows and arg of an export of the values, to be written as dtype: of the model, adapters merged,
// or, if job->adapter is set, of the adapters alone. job->tensors is from malloc.
void brew_store_export(const brew_learner *learner, enum brew_dtype dtype, brew_export *job);

#endif
