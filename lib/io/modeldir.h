// A model on disk, whatever its container: a Hugging Face directory, a tar of one (also from standard
// input), or a GGUF file. Gives its small files and its tensors as stored, under the names stored.
//
// What the tensors mean is lib/model's business; what the tokenizer means is lib/text's.
#ifndef BREW_IO_MODELDIR_H
#define BREW_IO_MODELDIR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "tensor/tensor.h"

typedef struct brew_modeldir brew_modeldir;
typedef struct brew_gguf brew_gguf; // io/gguf.h
struct brew_in;                     // io/in.h
struct brew_out;                    // io/out.h

// path: a directory, a .gguf file, a tar (plain, gzip, zstd, xz), or "-". Everything is validated here:
// afterwards every tensor's bytes exist. Directories and GGUF files are mapped, tars are held in memory.
// Refused: no config.json (unless there is a tokenizer.json and no weights), pickled weights, shards and
// indices that disagree, and in tars links, names that climb, and a missing end.
brew_modeldir *brew_modeldir_open(const char *path, brew_err *err);
// The same from an open input that holds a tar, of which nothing has been taken; in stays the caller's.
brew_modeldir *brew_modeldir_read(struct brew_in *in, brew_err *err);
void brew_modeldir_close(brew_modeldir *dir);
const char *brew_modeldir_name(const brew_modeldir *dir); // for messages

// Writes it as others read it from a pipe: a tar, its files by name; or the bytes of the GGUF file.
int brew_modeldir_send(const brew_modeldir *dir, struct brew_out *out, brew_err *err);

// The GGUF behind it, or NULL if it is a Hugging Face directory or tar.
const brew_gguf *brew_modeldir_gguf(const brew_modeldir *dir);
// A file by its name ("config.json", "tokenizer.json"): its bytes (owned by dir), or NULL if there is
// none. NULL always for GGUF.
const char *brew_modeldir_file(const brew_modeldir *dir, const char *name, size_t *len);
size_t brew_modeldir_n_files(const brew_modeldir *dir); // safetensors files included
const char *brew_modeldir_file_name(const brew_modeldir *dir, size_t index);

// What decides the logits: a SHA-256 over the names, lengths and bytes of config.json and the safetensors
// files, or the GGUF file's own. The same for a directory and a tar of it. Returns how many bytes that is.
uint64_t brew_modeldir_digest(const brew_modeldir *dir, char hex[65]);

// Tensors by name: NULL if absent; and all of them, sorted by name.
const brew_tensor *brew_modeldir_tensor(const brew_modeldir *dir, const char *name);
size_t brew_modeldir_n_tensors(const brew_modeldir *dir);
const brew_tensor *brew_modeldir_tensor_at(const brew_modeldir *dir, size_t index,
                                           const char **name);
// Tells the system that a tensor's pages are not needed again soon (mapped files only).
void brew_modeldir_forget(const brew_modeldir *dir, const brew_tensor *tensor);

#endif
