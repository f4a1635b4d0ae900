#include "text/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/star_view.h"
#include "text/token/vocab_map.h"

struct brew_source {
    brew_source_options options;
    brew_in *in;
    brew_lines *lines;        // of records
    brew_star_reader *reader; // of a stream, or NULL
    const brew_star *star;    // its batch
    size_t next;              // request of it
    brew_vocab_map map;  // from a stream's ids to ours, where a vocabulary was cut since; or empty
    brew_star_view view; // the batch in our ids
    uint64_t number;
    brew_err failed; // why the last request was bad
};

static int check_tokenizer(brew_source *source, brew_err *err) {
    const char *made_by = brew_star_read_tokenizer(source->reader);
    if (!*made_by) return 0;
    const brew_tokenizer *tok = brew_encoder_tokenizer(source->options.encoder, err);
    if (!tok) return brew_err_context(err, "to compare it with the token stream's");
    const char *ours = brew_tokenizer_digest(tok);
    if (!strcmp(made_by, ours)) return 0;
    int found = brew_vocab_map_find(&source->map, brew_encoder_model(source->options.encoder),
                                    made_by, ours, brew_tokenizer_vocab(tok), err);
    if (found) return found < 0 ? -1 : 0;
    return brew_fail(err, BREW_DATA,
                     "%s: tokenized with %.12s..., the model's tokenizer is %.12s...",
                     brew_in_name(source->in), made_by, ours);
}

static int open_stream(brew_source *source, brew_err *err) {
    if (source->options.fit != BREW_FIT_REJECT)
        return brew_fail(err, BREW_USAGE,
                         "%s: --fit oldest: a token stream's history lines are not known",
                         brew_in_name(source->in));
    source->reader = brew_star_read_start(source->in, err);
    return source->reader ? check_tokenizer(source, err) : -1;
}

brew_source *brew_source_open(brew_in *in, const brew_source_options *options, brew_err *err) {
    brew_source *source = brew_calloc(1, sizeof *source);
    source->options = *options;
    source->in = in;
    int stream = brew_star_sniff(in, err);
    if (stream < 0 || (stream && open_stream(source, err))) {
        brew_source_free(source);
        return NULL;
    }
    if (!stream)
        source->lines = brew_lines_new(in, options->pool,
                                       options->texts ? brew_encode_record : brew_encode_prompt,
                                       options->encoder);
    return source;
}

void brew_source_free(brew_source *source) {
    if (!source) return;
    brew_lines_free(source->lines);
    brew_star_read_free(source->reader);
    brew_star_view_release(&source->view);
    brew_vocab_map_release(&source->map);
    free(source);
}

bool brew_source_is_stream(const brew_source *source) {
    return source->reader != NULL;
}

static int next_record(brew_source *source, brew_line *line, brew_err *err) {
    int got = brew_lines_next(source->lines, line, err);
    if (got <= 0 || !line->failed || !brew_encoder_failed(source->options.encoder)) return got;
    *err = *line->failed;
    return -1;
}

// Whether request r of the batch can be had, within the limits; says in source->failed why not.
static bool fits(brew_source *source, const brew_star *star, size_t r) {
    const brew_source_options *limit = &source->options;
    size_t missing = source->map.n ? brew_star_missing(star, r) : 0;
    if (missing) {
        brew_fail(&source->failed, BREW_DATA,
                  "%zu of its tokens and labels were cut from the model's vocabulary", missing);
        return false;
    }
    int64_t span = brew_star_span(star, r), query = brew_star_query_len(star, r);
    bool text = !brew_star_items(star, r) && star->answer_splits[r] == star->answer_splits[r + 1];
    if (limit->texts && text) return true;
    if (span > limit->context)
        brew_fail(&source->failed, BREW_DATA,
                  "query and longest item have %" PRId64 " tokens, beyond the limit of %" PRId64,
                  span, limit->context);
    else if (limit->max_query && query > limit->max_query)
        brew_fail(&source->failed, BREW_DATA,
                  "the query has %" PRId64 " tokens, beyond the limit of %" PRId64, query,
                  limit->max_query);
    else
        return true;
    return false;
}

static int next_batch(brew_source *source, brew_err *err) {
    int got = brew_star_read(source->reader, &source->star, err);
    size_t vocab = source->map.n ? source->map.n : source->options.vocab;
    source->next = 0;
    if (got > 0 && brew_star_check(source->star, vocab, err))
        return brew_err_context(err, "%s", brew_in_name(source->in));
    if (got <= 0) {
        source->star = NULL;
    } else if (source->map.n) {
        brew_star_view_set(&source->view, source->star, source->map.ids);
        source->star = &source->view.star;
    }
    return got;
}

static int next_request(brew_source *source, brew_line *line, brew_err *err) {
    while (!source->star || source->next == source->star->n_requests) {
        int got = next_batch(source, err);
        if (got <= 0) return got;
    }
    size_t r = source->next++;
    *line = (brew_line){.number = ++source->number, .star = source->star, .request = r};
    line->line = brew_star_meta(source->star, r, &line->len);
    if (fits(source, source->star, r)) return 1;
    line->failed = &source->failed;
    return 1;
}

int brew_source_next(brew_source *source, brew_line *line, brew_err *err) {
    return source->reader ? next_request(source, line, err) : next_record(source, line, err);
}

const brew_json *brew_source_provenance(const brew_source *source) {
    return source->reader ? brew_star_read_provenance(source->reader) : NULL;
}

const char *brew_source_tokenizer(const brew_source *source, size_t *vocab) {
    if (source->reader && !source->map.n) {
        *vocab = brew_star_read_vocab(source->reader);
        return brew_star_read_tokenizer(source->reader);
    }
    brew_err err;
    const brew_tokenizer *tok = brew_encoder_tokenizer(source->options.encoder, &err);
    *vocab = tok ? brew_tokenizer_vocab(tok) : 0;
    return tok ? brew_tokenizer_digest(tok) : "";
}

bool brew_source_renumbers(const brew_source *source) {
    return source->map.n != 0;
}

const brew_star_teacher *brew_source_teacher(const brew_source *source) {
    return source->reader ? brew_star_read_teacher(source->reader) : NULL;
}

int brew_source_all(brew_source *source, brew_star *star, brew_reject_fn *reject, void *arg,
                    brew_err *err) {
    brew_line line;
    int got;
    while ((got = brew_source_next(source, &line, err)) > 0) {
        if (!line.failed)
            brew_star_append(star, line.star, line.request);
        else if (reject(arg, brew_in_name(source->in), &line, err))
            return -1;
    }
    return got;
}
