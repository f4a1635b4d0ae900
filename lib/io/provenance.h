// Provenance: which tool, with which arguments, made this out of what.
//
// A chain is a JSON array; the last entry made the file it stands in, and the entries before it made
// that entry's inputs. An entry:
//
//     {"tool":"brew-tokenize","version":"0.1.0","arguments":{...},"seed":7,
//      "inputs":[{"role":"records","sha256":"...","bytes":123},
//                {"role":"model","sha256":"...","bytes":456,"from":0}]}
//
// "arguments" are those that affect the result, "seed" stands only where one was used, "from" is the
// index in the chain of the entry that made this input, absent if nothing is known. No names of files,
// no times, no threads: the same work gives the same chain.
#ifndef BREW_IO_PROVENANCE_H
#define BREW_IO_PROVENANCE_H

#include <stdint.h>

#include "io/json.h"

// Appends this tool's entry to chain and returns it, borrowed. arguments is taken (NULL: none).
// seed < 0: none.
brew_json *brew_provenance_add(brew_json *chain, const char *tool, const char *version,
                               brew_json *arguments, int64_t seed);
// Adds an input to an entry. from: what brew_provenance_join returned, or -1.
void brew_provenance_input(brew_json *entry, const char *role, const char *sha256, uint64_t bytes,
                           int64_t from);
// Puts another chain's entries at the end of chain, those it already has shared, and returns the index of
// other's last entry in it; -1 if other is NULL or empty. Call before brew_provenance_add.
int64_t brew_provenance_join(brew_json *chain, const brew_json *other);
// What a reader checks: an array of objects with a tool, a version, and inputs that point backwards.
int brew_provenance_check(const brew_json *chain, brew_err *err);

#endif
