// brew-tokenize: prompt records or plain text to a token stream or to ids in JSON, and back.
#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"
#include "io/modeldir.h"
#include "io/provenance.h"
#include "io/star_stream.h"
#include "text/encoder.h"
#include "text/source.h"

static const char *model_path, *out_path;
static int64_t max_query_tokens, expect;
static int to, fit;
static bool text, decode, no_bos, specials, allow_empty;

static struct brew_opt options[] = {
    BREW_OPT_STRING('m', "model", &model_path, "MODEL",
                    "whose tokenizer: directory, .gguf, tar, or -; needs no weights"),
    BREW_OPT_STRING('o', "output", &out_path, "FILE", "write to FILE, whole or not at all"),
    BREW_OPT_CHOICE(0, "to", &to, "tar|jsonl", "a token stream, or records with ids added"),
    BREW_OPT_FLAG(0, "text", &text, "lines are plain text, not JSON"),
    BREW_OPT_FLAG(0, "decode", &decode, "ids back to text, from a token stream or records"),
    BREW_OPT_FLAG(0, "no-bos", &no_bos, "no BOS before queries"),
    BREW_OPT_FLAG(0, "specials", &specials, "special tokens written in data are special"),
    BREW_OPT_INT(0, "max-query-tokens", &max_query_tokens, 1, INT32_MAX, "N", "longest query"),
    BREW_OPT_CHOICE(0, "fit", &fit, "reject|oldest",
                    "a query too long: reject the record, or drop its oldest history lines"),
    BREW_OPT_INT(0, "expect", &expect, 0, 9007199254740992.0, "N",
                 "fail unless N records are read"),
    BREW_OPT_FLAG(0, "allow-empty", &allow_empty, "an input of no bytes is no error"),
    BREW_OPT_END};
static struct brew_cli cli = {.name = "brew-tokenize",
                              .does = "Turn prompts and texts into token ids, or ids into text.",
                              .args = "[FILE]",
                              .options = options,
                              .max_args = 1,
                              .reads_stdin = true};

// A batch of the stream, whatever the threads: enough tokens to make the headers small beside them,
// and few enough requests to read one at a time.
enum { BATCH_TOKENS = 1 << 16, BATCH_REQUESTS = 1024 };

static struct {
    brew_modeldir *dir;
    brew_encoder *encoder;
    brew_in *in;
    brew_out *out;
    brew_lines *lines;
    brew_star batch;
    brew_star_writer *writer;
    brew_source *source;
} run;

static void close_all(void) {
    brew_lines_free(run.lines);
    brew_star_write_abandon(run.writer);
    brew_source_free(run.source);
    brew_star_release(&run.batch);
    brew_encoder_free(run.encoder);
    brew_modeldir_close(run.dir);
    brew_in_close(run.in);
}

static int open_all(const char *path) {
    brew_err *err = &cli.err;
    brew_encode_options encode = {.bos = !no_bos,
                                  .specials = specials,
                                  .max_query = max_query_tokens,
                                  .fit = fit ? BREW_FIT_OLDEST : BREW_FIT_REJECT};
    if (!(run.in = brew_in_open(path, err)) || !(run.dir = brew_modeldir_open(model_path, err)))
        return -1;
    run.encoder = brew_encoder_new(run.dir, brew_pool_threads(brew_cli_pool(&cli)), &encode);
    const brew_tokenizer *tok = brew_encoder_tokenizer(run.encoder, err);
    if (!tok) return -1;
    brew_encoder_limit(run.encoder, brew_tokenizer_vocab(tok));
    brew_cli_note(&cli, "%s, ready after %.2f s", brew_tokenizer_describe(tok),
                  brew_cli_seconds(&cli));
    bool stream = !decode && to == 0;
    run.out = brew_out_open(out_path, stream ? BREW_OUT_BINARY : BREW_OUT_TEXT, err);
    if (!run.out) return -1;
    if (!stream) return 0;
    brew_in_digest_start(run.in);
    run.writer = brew_star_write_start(run.out, brew_tokenizer_digest(tok),
                                       brew_tokenizer_vocab(tok), NULL, NULL, err);
    return run.writer ? 0 : -1;
}

static int flush_batch(void) {
    int failed = brew_star_write(run.writer, &run.batch, NULL, &cli.err);
    brew_star_reset(&run.batch);
    return failed;
}

static int write_line(const brew_line *line) {
    cli.accepted++;
    brew_cli_progress(&cli, "records", cli.accepted, expect > 0 ? (uint64_t)expect : 0);
    if (!line->star) return brew_out_write(run.out, line->text, line->text_len, &cli.err);
    brew_star_append(&run.batch, line->star, line->request);
    bool full = run.batch.n_ids >= BATCH_TOKENS || run.batch.n_requests >= BATCH_REQUESTS;
    return full ? flush_batch() : 0;
}

static int run_lines(brew_line_fn *fn) {
    brew_line line;
    int got;
    run.lines = brew_lines_new(run.in, brew_cli_pool(&cli), fn, run.encoder);
    while ((got = brew_lines_next(run.lines, &line, &cli.err)) > 0) {
        if (line.failed) cli.err = *line.failed;
        if (line.failed
                ? brew_cli_reject(&cli, brew_in_name(run.in), line.number, line.line, line.len)
                : write_line(&line))
            return -1;
    }
    return got;
}

// Ends the stream, with what made it.
static int end_stream(void) {
    if (flush_batch()) return -1;
    char sha256[65];
    brew_in_digest(run.in, sha256);
    brew_json *chain = brew_json_new_array(), *arguments = brew_json_new_object();
    brew_json_set(arguments, "text", brew_json_new_bool(text));
    brew_json_set(arguments, "bos", brew_json_new_bool(!no_bos));
    brew_json_set(arguments, "specials", brew_json_new_bool(specials));
    if (max_query_tokens) {
        brew_json_set(arguments, "max-query-tokens", brew_json_new_int(max_query_tokens));
        brew_json_set(arguments, "fit", brew_json_new_string(fit ? "oldest" : "reject", 6));
    }
    brew_json *entry = brew_provenance_add(chain, cli.name, BREW_VERSION, arguments, -1);
    brew_provenance_input(entry, "records", sha256, brew_in_offset(run.in), -1);
    brew_star_writer *writer = run.writer;
    run.writer = NULL;
    int failed = brew_star_write_end(writer, chain, &cli.err);
    brew_json_free(chain);
    return failed;
}

static int decode_request(const brew_line *line, brew_buf *out) {
    if (line->failed) {
        cli.err = *line->failed;
        return brew_cli_reject(&cli, brew_in_name(run.in), line->number, line->line, line->len);
    }
    cli.accepted++;
    brew_buf_reset(out);
    return brew_decode_request(run.encoder, line->star, line->request, text, out, &cli.err) ||
           brew_out_write(run.out, out->ptr, out->len, &cli.err);
}

static int decode_stream(void) {
    brew_source_options reading = {
        .pool = brew_cli_pool(&cli), .encoder = run.encoder, .texts = true, .context = INT64_MAX};
    brew_line line;
    brew_buf out = {0};
    if (!(run.source = brew_source_open(run.in, &reading, &cli.err))) return -1;
    int got;
    while ((got = brew_source_next(run.source, &line, &cli.err)) > 0)
        if (decode_request(&line, &out)) break;
    brew_buf_release(&out);
    return got ? -1 : 0;
}

static int run_input(void) {
    int stream = decode ? brew_star_sniff(run.in, &cli.err) : 0;
    if (stream < 0) return -1;
    brew_line_fn *fn = decode ? (text ? brew_decode_text : brew_decode_record)
                       : text ? (to ? brew_encode_text_json : brew_encode_text)
                       : to   ? brew_encode_record_json
                              : brew_encode_record;
    if (stream ? decode_stream() : run_lines(fn)) return -1;
    uint64_t read = cli.accepted + cli.rejected;
    if (brew_cli_given(&cli, "expect") && read != (uint64_t)expect)
        return brew_fail(&cli.err, BREW_DATA, "%s: %" PRIu64 " records, %" PRId64 " expected",
                         brew_in_name(run.in), read, expect);
    if (!brew_in_offset(run.in) && !allow_empty)
        return brew_fail(&cli.err, BREW_DATA, "%s: is empty", brew_in_name(run.in));
    if (run.writer && end_stream()) return -1;
    return brew_out_commit(run.out, &cli.err);
}

static void add_facts(void) {
    brew_encode_counts counts = brew_encoder_counts(run.encoder);
    brew_cli_fact_int(&cli, "items", (int64_t)counts.items);
    brew_cli_fact_int(&cli, "tokens", (int64_t)counts.tokens);
    brew_cli_fact_int(&cli, "history_answers", (int64_t)counts.history_answers);
    brew_cli_fact_int(&cli, "answers_dropped", (int64_t)counts.answers_dropped);
    brew_cli_fact_int(&cli, "lines_dropped", (int64_t)counts.lines_dropped);
    brew_cli_note(&cli, "%" PRIu64 " records, %" PRIu64 " items, %" PRIu64 " tokens, %.2f s",
                  cli.accepted, counts.items, counts.tokens, brew_cli_seconds(&cli));
    if (counts.answers_dropped > counts.history_answers)
        brew_cli_warn(&cli,
                      "most past answers do not stand on a token of their own: %" PRIu64
                      " of %" PRIu64 " were dropped",
                      counts.answers_dropped, counts.answers_dropped + counts.history_answers);
}

int main(int argc, char **argv) {
    char **files = brew_cli_start(&cli, argc, argv);
    const char *path = files[0] ? files[0] : "-";
    if (!model_path) brew_cli_usage(&cli, "-m MODEL is missing");
    if (!strcmp(path, "-") && !strcmp(model_path, "-"))
        brew_cli_usage(&cli, "model and input cannot both come from standard input");
    if (decode && brew_cli_given(&cli, "to")) brew_cli_usage(&cli, "--decode writes text: no --to");
    int failed = open_all(path) || run_input();
    if (!failed) add_facts();
    close_all();
    return failed ? brew_cli_die(&cli) : brew_cli_finish(&cli);
}
