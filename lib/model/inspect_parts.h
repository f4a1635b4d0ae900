// Inside lib/model: what the parts of brew-inspect share.
#ifndef BREW_MODEL_INSPECT_PARTS_H
#define BREW_MODEL_INSPECT_PARTS_H

#include "io/in.h"
#include "io/map.h"
#include "io/modeldir.h"
#include "io/safetensors.h"
#include "model/inspect.h"

enum brew_inspect_kind { BREW_IS_MODEL, BREW_IS_SAFETENSORS, BREW_IS_STREAM, BREW_IS_LINES };

// One thing that has been opened; exactly one of dir, file and in is set, by kind.
typedef struct brew_subject {
    enum brew_inspect_kind kind;
    const char *name, *container; // "directory", "tar", "gguf", "file"
    brew_modeldir *dir;
    brew_map map;
    brew_safetensors *file;
    brew_in *in;
} brew_subject;

// Tensors under the names they are compared by, sorted by them.
typedef struct brew_tensor_set {
    struct brew_set_item {
        char *name;         // canonical
        const char *stored; // as in the file
        brew_tensor tensor;
    } * items;
    size_t n;
} brew_tensor_set;
void brew_tensor_set_init(brew_tensor_set *set, const brew_subject *subject);
void brew_tensor_set_release(brew_tensor_set *set);

// Each fills `report` (but for kind and path) and returns 0 or -1.
int brew_inspect_model(brew_json *report, const brew_subject *subject,
                       const brew_inspect_options *options, bool *sound, brew_err *err);
void brew_inspect_tensors(brew_json *report, const brew_subject *subject,
                          const brew_inspect_options *options, bool *sound);
// With a scheme of compressed-tensors: which of its rules are broken, and by what; *sound false then.
void brew_inspect_quantised(brew_json *report, const brew_subject *subject, bool *sound);
int brew_inspect_lines(brew_json *report, const brew_subject *subject,
                       const brew_inspect_options *options, brew_err *err);
int brew_inspect_stream(brew_json *report, const brew_subject *subject, brew_err *err);

void brew_compare_tensors(brew_json *report, const brew_subject *a, const brew_subject *b,
                          const brew_inspect_options *options, bool *same);
void brew_compare_files(brew_json *report, const brew_subject *a, const brew_subject *b,
                        bool *same);
int brew_compare_lines(brew_json *report, const brew_subject *a, const brew_subject *b, bool *same,
                       brew_err *err);
int brew_compare_streams(brew_json *report, const brew_subject *a, const brew_subject *b,
                         bool *same, brew_err *err);

// report[key] = ...
void brew_report_string(brew_json *report, const char *key, const char *text);
void brew_report_int(brew_json *report, const char *key, int64_t value);
void brew_report_real(brew_json *report, const char *key, double value);
void brew_report_bool(brew_json *report, const char *key, bool value);

#endif
