// A model written with other types, as far as calibration requests allow.
//
// The model as it was and the one written answer the same requests through the same code (shrink/quality.h).
// Where what the rounding costs is limited, groups are ranked by sensitivity (shrink/sensitivity.h), and
// the fewest, most sensitive first, that must stay BF16 for every limit to hold are found by bisection: each
// try is written, opened and scored. If not even all groups in BF16 are good enough, nothing is.
#ifndef BREW_SHRINK_QUANTISE_H
#define BREW_SHRINK_QUANTISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "io/out.h"
#include "shrink/convert.h"
#include "shrink/quality.h"
#include "shrink/sample.h"

// A limit: "auc:0.0005", the most that AUC may fall; "ece:X" that ECE may rise; "kl:X" the mean KL.
typedef struct brew_keep {
    const char *text; // borrowed
    enum brew_keep_figure { BREW_KEEP_AUC, BREW_KEEP_ECE, BREW_KEEP_KL } figure;
    double most;
} brew_keep;
int brew_keep_parse(brew_keep *keep, const char *text, brew_err *err);
// What it limits, of two qualities: a fall, a rise, or the divergence. NaN where there is no AUC.
double brew_keep_cost(const brew_keep *keep, const brew_quality *before, const brew_quality *after);

typedef struct brew_quantise_options {
    const brew_modeldir *dir;
    const brew_config *config;
    brew_types types;          // wanted; groups may be left in BF16
    const brew_keep *keep;     // [n_keep]
    const brew_sample *sample; // NULL: convert only
    size_t n_keep;
    const char *kernel; // for brew_backend_open
    int precision;      // 0 as stored, 1 f32, 2 bf16
    brew_pool *pool;
    uint64_t seed;
    const char *path;           // of the directory to make
    const char *file;           // NULL, or the name of a GGUF file to make in it, alone
    const char *tool, *version; // for the provenance
    // Told what happens, a complete sentence at a time; or NULL.
    void (*note)(void *arg, const char *sentence);
    void *note_arg;
} brew_quantise_options;

typedef struct brew_quantised {
    brew_outdir *out;                   // the model, to be committed or abandoned by the caller
    brew_modeldir *written;             // the same, opened
    uint64_t bytes_before, bytes_after; // of all tensors
    // With a sample:
    brew_quality before, after;
    brew_quality rounded;       // `after` with logits rounded to BF16
    const brew_quality *judged; // of the two, what the limits are held to
    double *sensitivity;        // [L][BREW_GROUPS], NULL: was not needed
    bool *left;                 // [L][BREW_GROUPS] groups that stayed BF16
    size_t n_left, scorings;
} brew_quantised;

// BREW_NEGATIVE if a limit does not hold. Release also after a failure.
int brew_quantise(const brew_quantise_options *options, brew_quantised *result, brew_err *err);
void brew_quantised_release(brew_quantised *result); // abandons out, unless it is NULL

#endif
