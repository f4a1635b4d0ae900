#include "text/encoder.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct worker {
    brew_tok_scratch *scratch;
    brew_request request;
    brew_encode_counts counts;
    brew_star star; // of one request, on its way to JSON
    brew_ids ids;   // of its query
};

struct brew_encoder {
    const brew_modeldir *model;
    brew_encode_options options;
    struct worker *workers;
    int threads;
    pthread_mutex_t lock; // of what follows
    brew_tokenizer *tok;
    brew_err failure;
};

brew_encoder *brew_encoder_new(const brew_modeldir *model, int threads,
                               const brew_encode_options *options) {
    brew_encoder *encoder = brew_calloc(1, sizeof *encoder);
    encoder->model = model;
    encoder->options = *options;
    encoder->threads = threads;
    encoder->workers = brew_calloc((size_t)threads, sizeof *encoder->workers);
    pthread_mutex_init(&encoder->lock, NULL);
    return encoder;
}

void brew_encoder_free(brew_encoder *encoder) {
    if (!encoder) return;
    for (int i = 0; i < encoder->threads; i++) {
        struct worker *worker = encoder->workers + i;
        if (worker->scratch) brew_tok_scratch_free(worker->scratch);
        brew_request_release(&worker->request);
        brew_star_release(&worker->star);
        brew_ids_release(&worker->ids);
    }
    free(encoder->workers);
    if (encoder->tok) brew_tokenizer_free(encoder->tok);
    pthread_mutex_destroy(&encoder->lock);
    free(encoder);
}

void brew_encoder_limit(brew_encoder *encoder, size_t vocab) {
    encoder->options.vocab = vocab;
}

const brew_modeldir *brew_encoder_model(const brew_encoder *encoder) {
    return encoder->model;
}

const brew_tokenizer *brew_encoder_tokenizer(brew_encoder *encoder, brew_err *err) {
    pthread_mutex_lock(&encoder->lock);
    if (!encoder->tok && !encoder->failure.code)
        encoder->tok = brew_tokenizer_open(encoder->model, &encoder->failure);
    const brew_tokenizer *tok = encoder->tok;
    if (!tok && err) *err = encoder->failure;
    pthread_mutex_unlock(&encoder->lock);
    return tok;
}

bool brew_encoder_failed(const brew_encoder *encoder) {
    return encoder->failure.code != BREW_OK;
}

bool brew_encoder_used(const brew_encoder *encoder) {
    return encoder->tok != NULL;
}

brew_encode_counts brew_encoder_counts(const brew_encoder *encoder) {
    brew_encode_counts sum = {0};
    for (int i = 0; i < encoder->threads; i++) {
        const brew_encode_counts *c = &encoder->workers[i].counts;
        sum.records += c->records;
        sum.items += c->items;
        sum.tokens += c->tokens;
        sum.history_answers += c->history_answers;
        sum.answers_dropped += c->answers_dropped;
        sum.lines_dropped += c->lines_dropped;
    }
    return sum;
}

// Encodes the worker's request; opens the tokenizer if there is text in it.
static int encode(brew_encoder *encoder, struct worker *worker, const brew_encode_options *options,
                  brew_star *star, brew_err *err) {
    const brew_tokenizer *tok = NULL;
    if (brew_request_has_text(&worker->request)) {
        tok = brew_encoder_tokenizer(encoder, err);
        if (!tok) return -1;
        if (!worker->scratch) worker->scratch = brew_tok_scratch_new(tok);
    }
    return brew_request_encode(&worker->request, tok, worker->scratch, options, star,
                               &worker->counts, err);
}

// A line of text is a request of its own, with nothing else to it. A worker that makes these makes
// nothing else, so that the rest of its request stays as it is.
static int plain_request(brew_request *request, const char *line, size_t len, brew_err *err) {
    if (!request->is_plain && brew_request_parse(request, "{\"ids\":[]}", 10, err)) return -1;
    request->query = (brew_piece){.text = line, .len = len};
    return 0;
}

int brew_encode_record(void *arg, int index, const char *line, size_t len, brew_star *star,
                       brew_buf *text, brew_err *err) {
    brew_encoder *encoder = arg;
    struct worker *worker = encoder->workers + index;
    (void)text;
    if (brew_request_parse(&worker->request, line, len, err)) return -1;
    return encode(encoder, worker, &encoder->options, star, err);
}

int brew_encode_prompt(void *arg, int index, const char *line, size_t len, brew_star *star,
                       brew_buf *text, brew_err *err) {
    brew_encoder *encoder = arg;
    struct worker *worker = encoder->workers + index;
    (void)text;
    if (brew_request_parse(&worker->request, line, len, err)) return -1;
    if (worker->request.is_plain) return brew_fail(err, BREW_DATA, "a plain text has no items");
    return encode(encoder, worker, &encoder->options, star, err);
}

int brew_encode_text(void *arg, int index, const char *line, size_t len, brew_star *star,
                     brew_buf *text, brew_err *err) {
    brew_encoder *encoder = arg;
    struct worker *worker = encoder->workers + index;
    (void)text;
    if (plain_request(&worker->request, line, len, err)) return -1;
    return encode(encoder, worker, &encoder->options, star, err);
}

static int encode_json(brew_encoder *encoder, struct worker *worker, const char *line, size_t len,
                       brew_buf *text, brew_err *err) {
    brew_encode_options options = encoder->options;
    uint64_t before = worker->counts.lines_dropped;
    worker->ids.with_offsets = true;
    options.query = &worker->ids;
    brew_star_reset(&worker->star);
    if (encode(encoder, worker, &options, &worker->star, err)) return -1;
    brew_request_write_ids(&worker->request, line, len, &worker->star, &worker->ids,
                           (size_t)(worker->counts.lines_dropped - before), text);
    brew_buf_addc(text, '\n');
    return 0;
}

int brew_encode_record_json(void *arg, int index, const char *line, size_t len, brew_star *star,
                            brew_buf *text, brew_err *err) {
    brew_encoder *encoder = arg;
    struct worker *worker = encoder->workers + index;
    (void)star;
    if (brew_request_parse(&worker->request, line, len, err)) return -1;
    return encode_json(encoder, worker, line, len, text, err);
}

int brew_encode_text_json(void *arg, int index, const char *line, size_t len, brew_star *star,
                          brew_buf *text, brew_err *err) {
    brew_encoder *encoder = arg;
    struct worker *worker = encoder->workers + index;
    (void)star;
    if (plain_request(&worker->request, line, len, err)) return -1;
    return encode_json(encoder, worker, "{}", 2, text, err);
}
