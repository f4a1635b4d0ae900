// brew-score: prompt records or a token stream in, one line of scores per record out.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "io/modeldir.h"
#include "io/provenance.h"
#include "io/star_stream.h"
#include "kernel/ops.h"
#include "model/adapter.h"
#include "model/model.h"
#include "rank/calibration.h"
#include "rank/score.h"
#include "text/encoder.h"
#include "text/source.h"

static const char *model_path, *adapter_path, *out_path, *teacher_path, *calibration_path;
static int64_t block_rows, max_query_tokens, expect, topk;
static int precision, fit;
static bool logprobs, no_bos, specials, allow_empty;

static struct brew_opt options[] = {
    BREW_OPT_STRING('m', "model", &model_path, "MODEL", "the model: directory, .gguf, tar, or -"),
    BREW_OPT_STRING(0, "adapter", &adapter_path, "DIR", "with this LoRA adapter, as PEFT keeps it"),
    BREW_OPT_STRING('o', "output", &out_path, "FILE", "write scores to FILE, whole or not at all"),
    BREW_OPT_CHOICE(0, "precision", &precision, "auto|f32|bf16", "arithmetic; auto: as stored"),
    BREW_OPT_FLAG(0, "logprobs", &logprobs, "also log-probabilities over the whole vocabulary"),
    BREW_OPT_STRING(0, "calibration", &calibration_path, "FILE",
                    "calibrate scores by a file of brew-eval --fit-calibration"),
    BREW_OPT_STRING(0, "teacher-stream", &teacher_path, "FILE",
                    "also a token stream with this model's logits, past answers included"),
    BREW_OPT_INT(0, "topk", &topk, 1, BREW_MOST_TOPK, "K",
                 "with it the K likeliest tokens that are no labels"),
    BREW_OPT_INT(0, "block-rows", &block_rows, 1, 1 << 20, "N", "rows computed at a time (2048)"),
    BREW_OPT_INT(0, "max-query-tokens", &max_query_tokens, 1, INT32_MAX, "N",
                 "longest query; the context limits it, too"),
    BREW_OPT_CHOICE(0, "fit", &fit, "reject|oldest",
                    "a query too long: reject the record, or drop its oldest history lines"),
    BREW_OPT_FLAG(0, "no-bos", &no_bos, "no BOS before queries"),
    BREW_OPT_FLAG(0, "specials", &specials, "special tokens written in data are special"),
    BREW_OPT_INT(0, "expect", &expect, 0, 9007199254740992.0, "N",
                 "fail unless N records are read"),
    BREW_OPT_FLAG(0, "allow-empty", &allow_empty, "an input of no bytes is no error"),
    BREW_OPT_END};
static struct brew_cli cli = {.name = "brew-score",
                              .does = "Score each item of each prompt with a language model.",
                              .args = "[FILE]",
                              .options = options,
                              .max_args = 1,
                              .reads_stdin = true,
                              .uses_kernels = true};

// Everything between the options and the end; closed in one place.
static struct {
    brew_modeldir *dir;
    brew_config config;
    brew_backend *be;
    brew_adapter *adapter;
    brew_model *model;
    brew_in *in;
    brew_out *out, *teacher_out;
    brew_star_writer *teacher;
    char digest[65]; // of the model, if it teaches
    uint64_t model_bytes;
    brew_scorer *scorer;
    brew_encoder *encoder;
    brew_source *source;
    brew_calibration calibration;
    char arithmetic[64];
} run;

static void close_all(void) {
    brew_source_free(run.source);
    brew_calibration_release(&run.calibration);
    brew_scorer_free(run.scorer);
    brew_star_write_abandon(run.teacher);
    brew_encoder_free(run.encoder);
    brew_model_free(run.model);
    brew_adapter_free(run.adapter);
    brew_backend_close(run.be);
    brew_config_release(&run.config);
    brew_modeldir_close(run.dir);
    brew_in_close(run.in);
}

static int start_teacher(void) {
    run.teacher_out = brew_out_open(teacher_path, BREW_OUT_BINARY, &cli.err);
    if (!run.teacher_out) return -1;
    run.model_bytes = brew_modeldir_digest(run.dir, run.digest);
    brew_star_teacher teacher = {.model = run.digest, .arithmetic = run.arithmetic, .topk = topk};
    size_t vocab;
    const char *tokenizer = brew_source_tokenizer(run.source, &vocab);
    run.teacher =
        brew_star_write_start(run.teacher_out, tokenizer, vocab, &teacher, NULL, &cli.err);
    return run.teacher ? 0 : -1;
}

// Ends the teacher's stream, with what made it.
static int end_teacher(void) {
    char sha256[65];
    brew_in_digest(run.in, sha256);
    brew_json *chain = brew_json_new_array(), *arguments = brew_json_new_object();
    int64_t from = brew_provenance_join(chain, brew_source_provenance(run.source));
    brew_json_set(arguments, "arithmetic",
                  brew_json_new_string(run.arithmetic, strlen(run.arithmetic)));
    if (!brew_source_is_stream(run.source)) {
        brew_json_set(arguments, "bos", brew_json_new_bool(!no_bos));
        brew_json_set(arguments, "specials", brew_json_new_bool(specials));
        brew_json_set(arguments, "fit", brew_json_new_string(fit ? "oldest" : "reject", 6));
    }
    if (max_query_tokens)
        brew_json_set(arguments, "max-query-tokens", brew_json_new_int(max_query_tokens));
    if (topk) brew_json_set(arguments, "topk", brew_json_new_int(topk));
    brew_json *entry = brew_provenance_add(chain, cli.name, BREW_VERSION, arguments, -1);
    brew_provenance_input(entry, "records", sha256, brew_in_offset(run.in), from);
    brew_provenance_input(entry, "model", run.digest, run.model_bytes, -1);
    brew_star_writer *writer = run.teacher;
    run.teacher = NULL;
    int failed = brew_star_write_end(writer, chain, &cli.err);
    brew_json_free(chain);
    return failed || brew_out_commit(run.teacher_out, &cli.err);
}

static int open_all(const char *path) {
    brew_err *err = &cli.err;
    if (!(run.in = brew_in_open(path, err)) || !(run.dir = brew_modeldir_open(model_path, err)) ||
        brew_config_read(&run.config, run.dir, err))
        return -1;
    enum brew_precision wanted = brew_model_precision(precision, &run.config, run.dir);
    run.be = brew_backend_open(cli.kernel, wanted, brew_cli_pool(&cli), err);
    if (!run.be) return -1;
    if (adapter_path && !(run.adapter = brew_adapter_open(adapter_path, &run.config, err)))
        return -1;
    run.model = brew_model_open_adapted(run.dir, run.adapter, run.be, err);
    if (!run.model) return -1;
    const char *name = wanted == BREW_PRECISION_F32 ? "f32" : "bf16";
    snprintf(run.arithmetic, sizeof run.arithmetic, "%s/%s", name, run.be->level);
    brew_cli_note(&cli, "%s, kernels %s, precision %s, %d threads, ready after %.2f s",
                  run.config.family, run.be->level, name, brew_pool_threads(brew_cli_pool(&cli)),
                  brew_cli_seconds(&cli));
    brew_cli_fact_string(&cli, "kernel", run.be->level);
    brew_cli_fact_string(&cli, "precision", name);
    brew_cli_fact_real(&cli, "ready_seconds", brew_cli_seconds(&cli));
    run.out = brew_out_open(out_path, BREW_OUT_TEXT, err);
    if (!run.out) return -1;
    brew_encode_options encode = {.bos = !no_bos,
                                  .specials = specials,
                                  .vocab = (size_t)run.config.vocab,
                                  .max_query = max_query_tokens,
                                  .max_span = run.config.context,
                                  .fit = fit ? BREW_FIT_OLDEST : BREW_FIT_REJECT};
    run.encoder = brew_encoder_new(run.dir, brew_pool_threads(brew_cli_pool(&cli)), &encode);
    brew_source_options reading = {.pool = brew_cli_pool(&cli),
                                   .encoder = run.encoder,
                                   .vocab = (size_t)run.config.vocab,
                                   .context = run.config.context,
                                   .max_query = max_query_tokens,
                                   .fit = encode.fit};
    if (teacher_path) brew_in_digest_start(run.in);
    if (!(run.source = brew_source_open(run.in, &reading, err))) return -1;
    if (teacher_path && start_teacher()) return -1;
    if (calibration_path && brew_calibration_load(&run.calibration, calibration_path, err))
        return -1;
    brew_score_options score = {block_rows,  logprobs, run.arithmetic,
                                run.teacher, topk,     calibration_path ? &run.calibration : NULL};
    run.scorer = brew_scorer_new(run.model, run.out, &score);
    return 0;
}

// A request that is known to be sound.
static int score(const brew_star *star, size_t r) {
    cli.accepted++;
    if (brew_scorer_add(run.scorer, star, r, &cli.err)) return -1;
    brew_cli_progress(&cli, "items", brew_scorer_items(run.scorer), 0);
    return 0;
}

static int score_input(void) {
    brew_line line;
    int got;
    while ((got = brew_source_next(run.source, &line, &cli.err)) > 0) {
        if (line.failed) cli.err = *line.failed;
        if (line.failed
                ? brew_cli_reject(&cli, brew_in_name(run.in), line.number, line.line, line.len)
                : score(line.star, line.request))
            return -1;
    }
    if (got) return -1;
    uint64_t read = cli.accepted + cli.rejected;
    if (brew_cli_given(&cli, "expect") && read != (uint64_t)expect)
        return brew_fail(&cli.err, BREW_DATA, "%s: %" PRIu64 " records, %" PRId64 " expected",
                         brew_in_name(run.in), read, expect);
    if (!brew_in_offset(run.in) && !allow_empty)
        return brew_fail(&cli.err, BREW_DATA, "%s: is empty", brew_in_name(run.in));
    if (brew_scorer_flush(run.scorer, &cli.err)) return -1;
    return run.teacher ? end_teacher() : 0;
}

static void add_facts(double seconds) {
    uint64_t items = brew_scorer_items(run.scorer), tokens = brew_scorer_tokens(run.scorer);
    brew_encode_counts counts = brew_encoder_counts(run.encoder);
    double rate = seconds > 0 ? (double)items / seconds : 0;
    brew_cli_fact_int(&cli, "items", (int64_t)items);
    brew_cli_fact_int(&cli, "tokens", (int64_t)tokens);
    brew_cli_fact_int(&cli, "lines_dropped", (int64_t)counts.lines_dropped);
    brew_cli_fact_real(&cli, "items_per_second", rate);
    brew_cli_note(&cli, "%" PRIu64 " items, %" PRIu64 " tokens, %.1f items/s", items, tokens, rate);
}

int main(int argc, char **argv) {
    char **files = brew_cli_start(&cli, argc, argv);
    const char *path = files[0] ? files[0] : "-";
    if (!model_path) brew_cli_usage(&cli, "-m MODEL is missing");
    if (!strcmp(path, "-") && !strcmp(model_path, "-"))
        brew_cli_usage(&cli, "model and records cannot both come from standard input");
    if (teacher_path && !strcmp(teacher_path, "-") && (!out_path || !strcmp(out_path, "-")))
        brew_cli_usage(&cli, "scores and --teacher-stream cannot both go to standard output");
    if (adapter_path && teacher_path)
        brew_cli_usage(&cli, "a teacher's stream names one model: merge the adapter into it first");
    if (topk && !teacher_path)
        brew_cli_usage(&cli, "--topk is about what goes into --teacher-stream");
    int failed = open_all(path);
    double ready = brew_cli_seconds(&cli);
    failed = failed || score_input();
    if (!failed) {
        add_facts(brew_cli_seconds(&cli) - ready);
        failed = brew_out_commit(run.out, &cli.err);
    }
    close_all();
    return failed ? brew_cli_die(&cli) : brew_cli_finish(&cli);
}
