// A vocabulary cut to the tokens a task uses: which ids stay, and the files that say so.
//
// What stays, and why texts of kept tokens keep them: text/token/tok_cut.h; how ids of before are read:
// text/token/vocab_map.h. New in the model's directory are tokenizer.json, the other files that name ids
// (tokenizer_config.json, generation_config.json, members of config.json), and the map; files that hold the old
// vocabulary in another form are left out.
//
//     bool *used = ...                                  // [config.vocab], false
//     brew_vocabulary_count(used, star); ...            // or brew_vocabulary_read
//     brew_vocabulary_cut(&cut, dir, config, used, &err);
//     ... brew_cut.vocabulary = &cut ...
//     brew_vocabulary_release(&cut);
#ifndef BREW_SHRINK_VOCABULARY_H
#define BREW_SHRINK_VOCABULARY_H

#include "model/export.h"
#include "shrink/sample.h"

typedef struct brew_vocabulary {
    int64_t n, *ids;         // those that stay, by their new ids
    int64_t used;            // of them, how many were seen
    brew_json *config;       // members of config.json that change
    brew_export_file *files; // see brew_export
    size_t n_files;
} brew_vocabulary;

// Marks the tokens and labels of a batch whose ids are below those of used.
void brew_vocabulary_count(bool *used, const brew_star *star);
// The same of all requests and texts of a file, of any length, one batch at a time. Gives its SHA-256 and
// length.
int brew_vocabulary_read(bool *used, const char *path, const brew_sample_options *options,
                         char sha256[65], uint64_t *bytes, brew_err *err);

// used [config->vocab]. Fails if dir has no tokenizer, or a kept token no row in the model's embedding, and
// if an id was used that is no token.
int brew_vocabulary_cut(brew_vocabulary *cut, const brew_modeldir *dir, const brew_config *config,
                        const bool *used, brew_err *err);
void brew_vocabulary_release(brew_vocabulary *cut);

#endif
