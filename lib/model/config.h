// Inside lib/model: the parts of reading a configuration that its two sources share.
#ifndef BREW_MODEL_CONFIG_H
#define BREW_MODEL_CONFIG_H

#include "io/json.h"
#include "model/model.h"

// Bounds of sizes, far above any model of these families: products of three of them fit 64 bits.
enum {
    BREW_MAX_VOCAB = 1 << 22,
    BREW_MAX_WIDTH = 1 << 18,
    BREW_MAX_LAYERS = 1024,
    BREW_MAX_HEADS = 1024,
    BREW_MAX_HEAD_DIM = 1024,
    BREW_MAX_CONTEXT = 1 << 26,
};

// The GGUF's metadata; config is zeroed. Does not put the file's name in front of errors.
int brew_config_read_gguf(brew_config *config, const brew_modeldir *dir, brew_err *err);
// The member quantization_config, if there is one.
int brew_config_read_quantisation(brew_config *config, const brew_json *json, brew_err *err);
// Is this module's matrix (its name without ".weight") stored quantised?
bool brew_config_quantised(const brew_config *config, const char *module);
// What must hold whatever the source: heads and their width.
int brew_config_check(const brew_config *config, brew_err *err);
// inv_freq [D/2], in F32 as transformers computes it: theta^(-2i/D), divided by rope_freq_factors or
// scaled as llama3 does: wavelengths above original/low are stretched by the factor, those below
// original/high are left alone, in between the two are blended.
void brew_config_inv_freq(const brew_config *config, float *inv_freq);

#endif
