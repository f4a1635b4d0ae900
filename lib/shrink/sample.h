// The calibration requests by which a model is made smaller, and the provenance of what is made.
//
//     brew_sample sample = {0};
//     if (brew_sample_read(&sample, path, &options, &err)) ...
//     sample.star ...
//     brew_sample_release(&sample);
#ifndef BREW_SHRINK_SAMPLE_H
#define BREW_SHRINK_SAMPLE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/pool.h"
#include "io/in.h"
#include "io/json.h"
#include "io/modeldir.h"
#include "model/model.h"
#include "tensor/star.h"
#include "text/source.h"

typedef struct brew_sample {
    brew_star star;
    brew_in *in; // NULL: nothing was read
    brew_encoder *encoder;
    brew_source *source;
} brew_sample;

typedef struct brew_sample_options {
    const brew_modeldir *dir; // whose tokenizer is used
    const brew_config *config;
    brew_pool *pool;
    bool bos, specials;     // as in brew_encode_options
    brew_reject_fn *reject; // of records
    void *arg;
} brew_sample_options;

// All of path ("-": standard input), prompt records or a token stream. Fails if there is no request.
// Release also after a failure.
int brew_sample_read(brew_sample *sample, const char *path, const brew_sample_options *options,
                     brew_err *err);
void brew_sample_release(brew_sample *sample);

// The chain of a model that a tool made of dir's by these requests. arguments is taken.
brew_json *brew_sample_provenance(const brew_sample *sample, const brew_modeldir *dir,
                                  const char *tool, const char *version, brew_json *arguments);

#endif
