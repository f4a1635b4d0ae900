// A cut: which structures of a model stay, and the smaller model written.
//
// Layers are kept whole or not at all. Of heads, every kept layer keeps as many kv heads, and as many
// query heads behind each, of the mlp as many neurons: which ones may differ from layer to layer, so
// that every family's file format can say it. Width and vocabulary are one choice for the whole model.
//
//     brew_cut cut;
//     brew_cut_init(&cut, config);                      // everything stays
//     ... take indices out of the lists ...
//     brew_cut_write(&cut, dir, config, NULL, provenance, path, &err);
#ifndef BREW_SHRINK_CUT_H
#define BREW_SHRINK_CUT_H

#include <stdbool.h>

#include "base/err.h"
#include "io/json.h"
#include "io/modeldir.h"
#include "model/model.h"

// All lists but vocab's are ascending indices into the model as it was; L' is the number of kept layers.
typedef struct brew_cut {
    int64_t n_layers, n_kv, n_group, n_mlp, n_width,
        n_vocab;     // kept; group: query heads of a kv head
    int64_t *layers; // [n_layers]
    int64_t *kv;     // [L'][n_kv] kv heads
    int64_t *heads;  // [L'][n_kv * n_group] query heads, those of each kept kv head in its order
    int64_t *mlp;    // [L'][n_mlp] neurons
    int64_t *width;  // [n_width] channels of the residual stream
    int64_t *vocab;  // [n_vocab] ids, in the order of the new ones
    const struct brew_vocabulary *vocabulary; // what goes with that (shrink/vocabulary.h), or NULL
} brew_cut;

void brew_cut_init(brew_cut *cut, const brew_config *config);
void brew_cut_release(brew_cut *cut);
// Keeps `layers` [n] only; rows of the lists by layer go with them. Before any other cut.
void brew_cut_keep_layers(brew_cut *cut, const brew_config *config, const int64_t *layers,
                          int64_t n);

// Keeps the tokens of vocabulary, which is borrowed.
void brew_cut_keep_tokens(brew_cut *cut, const struct brew_vocabulary *vocabulary);

// May a smaller model have so many heads? transformers' Llama refuses a width that is no multiple of its heads
// (though it need not be one where head_dim is given); what the larger model does, the smaller may.
bool brew_cut_heads_fit(const brew_config *config, int64_t width, int64_t heads);

// Parameters: of the body (layers and norms), and with embedding and head.
typedef struct brew_size {
    int64_t body, all;
} brew_size;
brew_size brew_cut_size(const brew_cut *cut, const brew_config *config);

// The configuration of the smaller model, as far as it is numbers; its pointers are `config`'s.
brew_config brew_cut_config(const brew_cut *cut, const brew_config *config);

// What was repaired, row-major; NULL for what was not. `out` and `down` of kept layers, with all rows and the
// columns that stay; and what the rows of a matrix that reads the residual stream are multiplied with from the
// right: those of q, k and v, of gate and up, of the head. final_gain multiplies the final norm's gains.
typedef struct brew_repaired {
    float **out;        // [L'] each [C, n_kv * n_group * D]
    float **down;       // [L'] each [C, n_mlp]
    double **attn_in;   // [L'] each [C, n_width]
    double **mlp_in;    // [L'] each [C, n_width]
    double *head;       // [C, n_width]
    double *final_gain; // [n_width]
} brew_repaired;
void brew_repaired_release(brew_repaired *repaired, int64_t n_layers); // L'

// Writes the smaller model into `path`, a directory that exists and is empty. Types stay as stored (block
// types of GGUF become BF16).
//
// Where width goes, the norms' mean square is over fewer channels. With m of these the mean over the C channels
// there were, if the others are zero, that over C' is m C / C'; so gains grow by sqrt(C / C') and rms_norm_eps
// by C / C', and the norms give what they gave, exactly. The gains become F32: rounding them anew would move
// all that is read by up to 2^-9. The norms of q and k, over the head's width, share rms_norm_eps: where q and k are F32
// these rows grow by sqrt(C / C'), too; of other types they stay, because rounding them moves more than
// eps does: (C / C' - 1) eps / 2 over their mean square.
int brew_cut_write(const brew_cut *cut, const brew_modeldir *dir, const brew_config *config,
                   const brew_repaired *repaired, const brew_json *provenance, const char *path,
                   brew_err *err);

#endif
