// Inside lib/model: a model's weights, found by name, checked, and packed for one backend.
#ifndef BREW_MODEL_WEIGHTS_H
#define BREW_MODEL_WEIGHTS_H

#include "model/model.h"
#include "model/workspace.h"

typedef struct brew_layer {
    brew_weight *qkv, *out, *gate_up, *down;
    float *attn_gain, *mlp_gain; // [C], device memory
    float *q_gain, *k_gain;      // [D], or NULL
} brew_layer;

struct brew_model {
    const brew_modeldir *dir;           // borrowed; NULL: a sketch
    float *drawn;                       // of a sketch: what all tensors view
    const struct brew_adapter *adapter; // while opening, or NULL
    brew_backend *be;                   // borrowed
    brew_config config;
    brew_layer *layers;           // [L]
    float *gains;                 // all gains of all norms, one block of device memory
    float *final_gain;            // [C]
    brew_table *embedding, *head; // the same one if tied
    const float *head_scales;     // of a head that is quantised, or NULL
    brew_rope *rope;
    int64_t rope_positions;   // how many the rope holds; grows with the longest request
    brew_workspace workspace; // of the forward pass, kept for the next one
};

// Makes a rope that holds `*held` positions hold at least `positions`.
int brew_rope_reserve(brew_backend *be, const brew_config *config, int64_t positions,
                      brew_rope **rope, int64_t *held, brew_err *err);

#endif
