// A model written again with other types, and with quantised matrices where wanted.
//
// The matrices of the layers are taken in groups that must share a type, because engines and the kernels
// here read them as one: q, k and v; the output projection; gate and up; down. A group is F32, BF16, F16,
// F8_E4M3 or I8 (the two as compressed-tensors has them, see brew-formats(5)), in GGUF F32, BF16, F16 or Q8_0. Norms and biases stay as they are
// stored. Beside quantised matrices the head stands alone and in F32, unless told otherwise: logits that
// are rounded collapse into ties.
//
// Tensors are read and written a few rows at a time.
#ifndef BREW_SHRINK_CONVERT_H
#define BREW_SHRINK_CONVERT_H

#include "base/err.h"
#include "io/json.h"
#include "io/modeldir.h"
#include "model/model.h"
#include "model/names.h"

enum brew_group {
    BREW_GROUP_QKV,
    BREW_GROUP_OUT,
    BREW_GROUP_GATE_UP,
    BREW_GROUP_DOWN,
    BREW_GROUPS
};

enum brew_group brew_group_of(enum brew_role role); // BREW_GROUPS: it is in none
// "3.gate_up", of group layer * BREW_GROUPS + group.
void brew_group_name(char *out, size_t cap, size_t group);

typedef struct brew_types {
    enum brew_dtype *groups; // [L][BREW_GROUPS]
    enum brew_dtype embedding, head;
    bool tied; // there is no head of its own
    bool gguf; // one GGUF file instead of a directory
} brew_types;

// The usual choice for a scheme: quantised (F8_E4M3, I8), all groups of that type, embedding as it is
// stored (block types of GGUF: BF16), the head F32; else everything of that type.
void brew_types_init(brew_types *types, const brew_config *config, const brew_modeldir *dir,
                     enum brew_dtype scheme);
void brew_types_release(brew_types *types);

// Writes dir's model with these types into `path`, a directory that exists and is empty, or as `path`, a
// GGUF file. A model that is quantised already is refused. provenance: of what is written, or NULL.
int brew_convert(const brew_modeldir *dir, const brew_config *config, const brew_types *types,
                 const brew_json *provenance, const char *path, brew_err *err);

// What rounding a row to a type makes of it, in place; *scale is set where the type is quantised (else
// 1), and q times scale is then the value. row: n F32.
void brew_round_row(enum brew_dtype dtype, float *row, int64_t n, float *scale);

#endif
