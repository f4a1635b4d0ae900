#include <string.h>

#include "base/hash.h"
#include "io/gguf.h"
#include "model/inspect_parts.h"
#include "model/model.h"
#include "text/token/tokenizer.h"

// False where the other tools would refuse the model.
static bool report_config(brew_json *report, const brew_subject *subject) {
    brew_config c;
    brew_err why = {0};
    if (brew_config_read(&c, subject->dir, &why)) {
        brew_report_string(report, "not_supported", why.text);
        return false;
    }
    brew_json *config = brew_json_new_object();
    brew_report_string(report, "family", c.family);
    const struct {
        const char *key;
        int64_t value;
    } sizes[] = {{"layers", c.layers},     {"width", c.width},       {"heads", c.heads},
                 {"kv_heads", c.kv_heads}, {"head_dim", c.head_dim}, {"mlp", c.mlp},
                 {"vocab", c.vocab},       {"context", c.context},   {"window", c.window}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        brew_report_int(config, sizes[i].key, sizes[i].value);
    brew_report_real(config, "rope_theta", c.rope_theta);
    if (c.rope_factor) brew_report_real(config, "rope_factor", c.rope_factor);
    brew_report_real(config, "norm_eps", c.norm_eps);
    brew_report_bool(config, "tied", c.tied);
    brew_report_bool(config, "qkv_bias", c.qkv_bias);
    brew_report_bool(config, "qk_norm", c.qk_norm);
    brew_json_set(report, "config", config);
    brew_config_release(&c);
    return true;
}

static bool report_tokenizer(brew_json *report, const brew_subject *subject) {
    if (!brew_tokenizer_present(subject->dir)) return true;
    brew_err why = {0};
    brew_json *object = brew_json_new_object();
    brew_tokenizer *tok = brew_tokenizer_open(subject->dir, &why);
    if (tok) {
        brew_report_string(object, "kind", brew_tokenizer_describe(tok));
        brew_report_int(object, "vocab", (int64_t)brew_tokenizer_vocab(tok));
        brew_report_int(object, "bos", brew_tokenizer_bos(tok));
        brew_report_string(object, "digest", brew_tokenizer_digest(tok));
    } else {
        brew_report_string(object, "not_supported", why.text);
    }
    brew_tokenizer_free(tok);
    brew_json_set(report, "tokenizer", object);
    return tok != NULL;
}

static void push_file(brew_json *files, const char *name, size_t len, const char *digest) {
    brew_json *row = brew_json_new_object();
    brew_report_string(row, "name", name);
    brew_report_int(row, "bytes", (int64_t)len);
    brew_report_string(row, "sha256", digest);
    brew_json_push(files, row);
}

static void report_files(brew_json *report, const brew_subject *subject) {
    brew_json *files = brew_json_new_array();
    for (size_t i = 0; i < brew_modeldir_n_files(subject->dir); i++) {
        const char *name = brew_modeldir_file_name(subject->dir, i);
        size_t len = 0;
        const char *bytes = brew_modeldir_file(subject->dir, name, &len);
        char digest[65];
        brew_sha256 sha;
        brew_sha256_init(&sha);
        brew_sha256_add(&sha, bytes, len);
        brew_sha256_hex(&sha, digest);
        push_file(files, name, len, digest);
    }
    brew_json_set(report, "files", files);
}

int brew_inspect_model(brew_json *report, const brew_subject *subject,
                       const brew_inspect_options *options, bool *sound, brew_err *err) {
    char digest[65];
    brew_report_string(report, "container", subject->container);
    bool usable = report_config(report, subject);
    usable &= report_tokenizer(report, subject);
    if (options->verify && !usable) *sound = false;
    if (options->verify) brew_inspect_quantised(report, subject, sound);
    brew_inspect_tensors(report, subject, options, sound);
    if (!brew_modeldir_gguf(subject->dir)) {
        report_files(report, subject);
        return 0;
    }
    if (brew_sha256_file(subject->name, digest, err)) return -1;
    brew_report_string(report, "sha256", digest);
    return 0;
}
