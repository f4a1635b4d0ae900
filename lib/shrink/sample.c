#include "shrink/sample.h"

#include "io/gguf.h"
#include "io/provenance.h"

int brew_sample_read(brew_sample *sample, const char *path, const brew_sample_options *options,
                     brew_err *err) {
    const brew_config *config = options->config;
    brew_encode_options encode = {.bos = options->bos,
                                  .specials = options->specials,
                                  .vocab = (size_t)config->vocab,
                                  .max_span = config->context};
    if (!(sample->in = brew_in_open(path, err))) return -1;
    brew_in_digest_start(sample->in);
    sample->encoder = brew_encoder_new(options->dir, brew_pool_threads(options->pool), &encode);
    brew_source_options reading = {.pool = options->pool,
                                   .encoder = sample->encoder,
                                   .vocab = encode.vocab,
                                   .context = config->context};
    if (!(sample->source = brew_source_open(sample->in, &reading, err)) ||
        brew_source_all(sample->source, &sample->star, options->reject, options->arg, err))
        return -1;
    if (!sample->star.n_requests)
        return brew_fail(err, BREW_DATA, "%s: holds no request", brew_in_name(sample->in));
    return 0;
}

void brew_sample_release(brew_sample *sample) {
    brew_star_release(&sample->star);
    brew_source_free(sample->source);
    brew_encoder_free(sample->encoder);
    brew_in_close(sample->in);
    *sample = (brew_sample){0};
}

brew_json *brew_sample_provenance(const brew_sample *sample, const brew_modeldir *dir,
                                  const char *tool, const char *version, brew_json *arguments) {
    char sha256[65], digest[65];
    size_t len;
    brew_json *chain = brew_json_new_array();
    const char *text = brew_modeldir_file(dir, "brew.json", &len);
    if (brew_modeldir_gguf(dir))
        brew_gguf_string(brew_modeldir_gguf(dir), "brew.provenance", &text, &len);
    brew_err ignored;
    brew_json *old = text ? brew_json_parse(text, len, &ignored) : NULL;
    bool sound = old && !brew_provenance_check(old, &ignored);
    int64_t from = sound ? brew_provenance_join(chain, old) : -1, records = -1;
    if (sample->source)
        records = brew_provenance_join(chain, brew_source_provenance(sample->source));
    brew_json *entry = brew_provenance_add(chain, tool, version, arguments, -1);
    uint64_t bytes = brew_modeldir_digest(dir, digest);
    brew_provenance_input(entry, "model", digest, bytes, from);
    if (sample->in) {
        brew_in_digest(sample->in, sha256);
        brew_provenance_input(entry, "calibration", sha256, brew_in_offset(sample->in), records);
    }
    brew_json_free(old);
    return chain;
}
