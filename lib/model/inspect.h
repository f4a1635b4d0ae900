// Looking inside whatever brew reads and writes: models in any container, lone safetensors files, token
// streams, prompt and score records. A report is a JSON object; its text is made from the report, so
// both say the same.
//
// What it is: told by its bytes, never by its name. All of it may be compressed but what is mapped
// (GGUF, a lone safetensors file).
#ifndef BREW_MODEL_INSPECT_H
#define BREW_MODEL_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/pool.h"
#include "io/json.h"

typedef struct brew_inspect_options {
    bool
        verify; // read every tensor's values: not a number, infinite, smallest, largest; and the rules
                // of quantised ones
    brew_pool *pool; // for work over tensors; may be NULL
    // Called for each bad JSONL record, with the reason in the err passed to the call that reads: 0 to go
    // on, -1 to end with that error. NULL: the first one ends.
    int (*reject)(void *arg, const char *name, uint64_t line_number, const char *line, size_t len);
    void *reject_arg;
} brew_inspect_options;

// The report of one path ("-": standard input), owned by the caller. With verify, *sound
// becomes false where values of a model are not finite, a rule of quantised models is broken, or the
// other tools would refuse the model.
brew_json *brew_inspect_path(const char *path, const brew_inspect_options *options, bool *sound,
                             brew_err *err);
// How two of a kind differ: tensors by name (those of GGUF under their Hugging Face names, and as
// halves), files by digest, streams batch by batch, records line by line. *same: no difference.
brew_json *brew_inspect_compare(const char *a, const char *b, const brew_inspect_options *options,
                                bool *same, brew_err *err);

// The report for people: one value a line, tables for lists. Long lists of tensors only if `all`.
void brew_inspect_text(brew_buf *out, const brew_json *report, bool all);

#endif
