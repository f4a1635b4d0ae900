#include "model/inspect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model/inspect_parts.h"

void brew_report_string(brew_json *report, const char *key, const char *text) {
    brew_json_set(report, key, brew_json_new_string(text, strlen(text)));
}

void brew_report_int(brew_json *report, const char *key, int64_t value) {
    brew_json_set(report, key, brew_json_new_int(value));
}

void brew_report_real(brew_json *report, const char *key, double value) {
    brew_json_set(report, key, brew_json_new_real(value));
}

void brew_report_bool(brew_json *report, const char *key, bool value) {
    brew_json_set(report, key, brew_json_new_bool(value));
}

// ---- opening ----

static void subject_close(brew_subject *subject) {
    brew_safetensors_free(subject->file);
    brew_map_close(&subject->map);
    brew_modeldir_close(subject->dir);
    if (subject->in) brew_in_close(subject->in);
    *subject = (brew_subject){0};
}

static int open_model(brew_subject *subject, const char *path, const char *container,
                      brew_err *err) {
    subject->kind = BREW_IS_MODEL;
    subject->container = container;
    subject->dir = brew_modeldir_open(path, err);
    return subject->dir ? 0 : -1;
}

static int open_safetensors(brew_subject *subject, const char *path, brew_err *err) {
    subject->kind = BREW_IS_SAFETENSORS;
    subject->container = "file";
    if (brew_map_open(&subject->map, path, err)) return -1;
    subject->file = brew_safetensors_parse(subject->map.ptr, subject->map.len, path, err);
    return subject->file ? 0 : -1;
}

// What the first bytes say. A tar's first header holds the first name at 0 and "ustar" at 257; what
// has a NUL in the 8th byte and a brace in the 9th is the length and header of a safetensors file.
static int open_file(brew_subject *subject, const char *path, brew_err *err) {
    const char *head;
    subject->in = brew_in_open(path, err);
    if (!subject->in) return -1;
    subject->name = brew_in_name(subject->in);
    ssize_t seen = brew_in_peek(subject->in, &head, 512, err);
    if (seen < 0) return -1;
    bool is_gguf = seen >= 4 && !memcmp(head, "GGUF", 4);
    if (is_gguf || (seen >= 9 && head[8] == '{' && !head[7])) {
        if (!strcmp(path, "-"))
            return brew_fail(err, BREW_DATA,
                             "%s: a %s file is mapped, not read from a pipe: give its path",
                             subject->name, is_gguf ? "GGUF" : "safetensors");
        brew_in_close(subject->in);
        subject->in = NULL;
        subject->name = path;
        return is_gguf ? open_model(subject, path, "gguf", err)
                       : open_safetensors(subject, path, err);
    }
    bool is_tar = seen == 512 && !memcmp(head + 257, "ustar", 5);
    subject->kind = is_tar ? BREW_IS_STREAM : BREW_IS_LINES;
    subject->container = is_tar ? "tar" : "file";
    if (is_tar && strcmp(head, "brew.json")) {
        subject->kind = BREW_IS_MODEL;
        subject->dir = brew_modeldir_read(subject->in, err);
        return subject->dir ? 0 : -1;
    }
    if (!seen) return brew_fail(err, BREW_DATA, "%s: empty", subject->name);
    if (!is_tar && !(seen && strchr("{ \t\r\n", head[0]) && head[0]))
        return brew_fail(err, BREW_DATA, "%s: neither a model, a token stream nor JSONL records",
                         subject->name);
    return 0;
}

static int subject_open(brew_subject *subject, const char *path, brew_err *err) {
    struct stat st;
    *subject = (brew_subject){.name = path};
    bool is_directory = strcmp(path, "-") && !stat(path, &st) && S_ISDIR(st.st_mode);
    int rc =
        is_directory ? open_model(subject, path, "directory", err) : open_file(subject, path, err);
    if (rc) subject_close(subject);
    return rc;
}

// ---- one, and two ----

static const char *const kind_names[] = {[BREW_IS_MODEL] = "model",
                                         [BREW_IS_SAFETENSORS] = "safetensors file",
                                         [BREW_IS_STREAM] = "token stream",
                                         [BREW_IS_LINES] = "records"};

brew_json *brew_inspect_path(const char *path, const brew_inspect_options *options, bool *sound,
                             brew_err *err) {
    brew_subject subject;
    *sound = true;
    if (subject_open(&subject, path, err)) return NULL;
    brew_json *report = brew_json_new_object();
    brew_report_string(report, "path", subject.name);
    brew_report_string(report, "kind", kind_names[subject.kind]);
    int rc = 0;
    if (subject.kind == BREW_IS_MODEL)
        rc = brew_inspect_model(report, &subject, options, sound, err);
    else if (subject.kind == BREW_IS_SAFETENSORS)
        brew_inspect_tensors(report, &subject, options, sound);
    else if (subject.kind == BREW_IS_STREAM)
        rc = brew_inspect_stream(report, &subject, err);
    else
        rc = brew_inspect_lines(report, &subject, options, err);
    subject_close(&subject);
    if (!rc) return report;
    brew_json_free(report);
    return NULL;
}

static int compare(brew_json *report, const brew_subject *a, const brew_subject *b,
                   const brew_inspect_options *options, bool *same, brew_err *err) {
    bool a_tensors = a->kind <= BREW_IS_SAFETENSORS, b_tensors = b->kind <= BREW_IS_SAFETENSORS;
    if (a_tensors != b_tensors || (!a_tensors && a->kind != b->kind))
        return brew_fail(err, BREW_DATA, "%s holds a %s, %s a %s: they cannot be compared", a->name,
                         kind_names[a->kind], b->name, kind_names[b->kind]);
    if (a->kind == BREW_IS_STREAM) return brew_compare_streams(report, a, b, same, err);
    if (a->kind == BREW_IS_LINES) return brew_compare_lines(report, a, b, same, err);
    if (a->dir && b->dir) brew_compare_files(report, a, b, same);
    brew_compare_tensors(report, a, b, options, same);
    return 0;
}

brew_json *brew_inspect_compare(const char *a, const char *b, const brew_inspect_options *options,
                                bool *same, brew_err *err) {
    brew_subject first, second;
    *same = true;
    if (subject_open(&first, a, err)) return NULL;
    if (subject_open(&second, b, err)) {
        subject_close(&first);
        return NULL;
    }
    brew_json *report = brew_json_new_object(), *outcome = brew_json_new_object();
    brew_report_string(report, "a", first.name);
    brew_report_string(report, "b", second.name);
    brew_report_string(report, "kind", kind_names[first.kind]);
    int rc = compare(outcome, &first, &second, options, same, err);
    brew_report_bool(report, "same", *same);
    for (brew_json_iter it = {0}; brew_json_next(outcome, &it);)
        brew_json_set(report, it.key, brew_json_copy(it.value));
    brew_json_free(outcome);
    subject_close(&first);
    subject_close(&second);
    if (!rc) return report;
    brew_json_free(report);
    return NULL;
}
