// What brew-train and brew-distill share: options, signals, and what is shown meanwhile. Each of the two
// includes this once.
#ifndef BREW_CMD_TRAIN_OPTIONS_H
#define BREW_CMD_TRAIN_OPTIONS_H

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "rejects.h"
#include "train/run.h"

static brew_run_options job;
static int mpi; // enum brew_ranks_wanted

// Between the two lists stand the options of the one tool alone.
// clang-format off
#define TRAIN_PATHS \
    BREW_OPT_STRING('m', "model", &job.model, "MODEL", "start from: directory, .gguf, tar, or -"), \
    BREW_OPT_STRING(0, "init", &job.init, "CONFIG", "start from random weights of this config.json"), \
    BREW_OPT_STRING('o', "output", &job.out, "DIR", "the run: checkpoints, then the model")
#define TRAIN_OPTIONS \
    BREW_OPT_CHOICE(0, "over", &job.over, "labels|vocab", "cross-entropy over an answer's labels, or all"), \
    BREW_OPT_REAL(0, "history-weight", &job.history_weight, 0, 1e6, "X", "weight of past answers (0)"), \
    BREW_OPT_REAL(0, "lm-weight", &job.lm_weight, 0, 1e6, "X", "weight of the next-token loss (0)"), \
    BREW_OPT_INT(0, "steps", &job.steps, 1, 1e9, "N", "train for N steps"), \
    BREW_OPT_INT(0, "epochs", &job.epochs, 1, 1e6, "N", "or N times over the input (1)"), \
    BREW_OPT_INT(0, "tokens", &job.tokens, 1, 9007199254740992.0, "N", "or for about N tokens"), \
    BREW_OPT_INT(0, "batch", &job.batch, 1, 1e6, "N", "requests a step (8)"), \
    BREW_OPT_INT(0, "micro-tokens", &job.micro_tokens, 1, 1 << 24, "N", "tokens computed at a time (2048)"), \
    BREW_OPT_REAL(0, "lr", &job.lr, 0, 10, "X", "learning rate (1e-4)"), \
    BREW_OPT_CHOICE(0, "schedule", &job.schedule, "constant|cosine|wsd", "of the learning rate"), \
    BREW_OPT_INT(0, "warmup", &job.warmup, 0, 1e9, "N", "steps of warm-up (0)"), \
    BREW_OPT_INT(0, "decay", &job.decay, 1, 1e9, "N", "wsd: steps of decay (a tenth)"), \
    BREW_OPT_REAL(0, "lr-min", &job.lr_min, 0, 1, "R", "share of the rate left at the end (0)"), \
    BREW_OPT_STRING(0, "betas", &job.betas, "A,B", "of AdamW (0.9,0.999)"), \
    BREW_OPT_REAL(0, "eps", &job.eps, 1e-20, 1, "X", "of AdamW (1e-8)"), \
    BREW_OPT_REAL(0, "weight-decay", &job.weight_decay, 0, 100, "X", "of matrices, in AdamW (0.01)"), \
    BREW_OPT_REAL(0, "clip", &job.clip, 0, 1e9, "X", "longest gradient (1), 0: any"), \
    BREW_OPT_FLAG(0, "freeze-embedding", &job.freeze_embedding, "embedding and head stay as they are"), \
    BREW_OPT_INT(0, "lora", &job.lora, 1, 65536, "RANK", "the model is frozen, adapters of this rank learn"), \
    BREW_OPT_REAL(0, "lora-alpha", &job.lora_alpha, 1e-6, 1e6, "X", "their weight, times RANK (2 RANK)"), \
    BREW_OPT_STRING(0, "lora-targets", &job.lora_targets, "LIST", "what they adapt, as q_proj,v_proj (all products)"), \
    BREW_OPT_FLAG(0, "merge", &job.merge, "write the model with its adapters, not these alone"), \
    BREW_OPT_CHOICE(0, "order", &job.order, "stream|shuffle", "of the requests; shuffle holds them in memory"), \
    BREW_OPT_FLAG(0, "mix", &job.mix, "several inputs, each as FILE:WEIGHT"), \
    BREW_OPT_STRING(0, "spool", &job.spool, "DIR", "keep standard input in DIR and train from there"), \
    BREW_OPT_STRING(0, "valid", &job.valid, "FILE", "requests to validate on; the best model is kept"), \
    BREW_OPT_INT(0, "valid-every", &job.valid_every, 1, 1e9, "N", "steps between validations (a tenth)"), \
    BREW_OPT_INT(0, "patience", &job.patience, 1, 1e9, "N", "stop after N validations without a gain"), \
    BREW_OPT_REAL(0, "spike", &job.spike, 1, 1e9, "X", "skip steps with X times the usual gradient"), \
    BREW_OPT_INT(0, "max-skipped", &job.max_skipped, 0, 1e9, "N", "give up after more skipped steps in a row (10)"), \
    BREW_OPT_CHOICE(0, "precision", &job.precision, "auto|f32|bf16", "of the products; auto: as stored"), \
    BREW_OPT_CHOICE(0, "save-dtype", &job.save_dtype, "f32|bf16|f16", "of the weights written"), \
    BREW_OPT_CHOICE(0, "recompute", &job.recompute, "none|mlp|layer", "less memory, more time"), \
    BREW_OPT_STRING(0, "memory", &job.memory, "SIZE", "memory there is, as 8G (the machine's)"), \
    BREW_OPT_INT(0, "save-every", &job.save_every, 1, 1e9, "N", "steps between checkpoints"), \
    BREW_OPT_REAL(0, "save-minutes", &job.save_minutes, 0, 1e6, "X", "minutes between checkpoints (15), 0: never"), \
    BREW_OPT_INT(0, "keep", &job.keep, 2, 1000, "N", "checkpoints kept (2)"), \
    BREW_OPT_STRING(0, "log", &job.log, "FILE", "the metrics (DIR/metrics.jsonl)"), \
    BREW_OPT_INT(0, "max-query-tokens", &job.max_query_tokens, 1, INT32_MAX, "N", "longest query; the context limits it, too"), \
    BREW_OPT_CHOICE(0, "fit", &job.fit, "reject|oldest", "a query too long: reject the record, or drop its oldest history lines"), \
    BREW_OPT_FLAG(0, "no-bos", &job.no_bos, "no BOS before queries"), \
    BREW_OPT_FLAG(0, "specials", &job.specials, "special tokens written in data are special"), \
    BREW_OPT_CHOICE(0, "mpi", &mpi, "auto|on|off", "train as one of several processes; auto: if mpirun started them"), \
    BREW_OPT_INT(0, "expect", &job.expect, 0, 9007199254740992.0, "N", "fail unless N records are read")
// clang-format on

static volatile sig_atomic_t stopping;

// The first signal asks for a checkpoint, the second ends at once.
static void ask_to_stop(int sig) {
    if (stopping) {
        brew_out_abandon_all();
        signal(sig, SIG_DFL);
        raise(sig);
    }
    stopping = 1;
}

static void catch_stops(void) {
    static const int signals[] = {SIGTERM, SIGUSR1, SIGINT};
    struct sigaction act = {.sa_handler = ask_to_stop, .sa_flags = SA_RESTART}, old;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &act, NULL);
}

static void accept_records(void *arg, uint64_t requests) {
    struct brew_cli *cli = arg;
    cli->accepted += requests;
}

static void show_step(void *arg, const brew_train_report *report) {
    struct brew_cli *cli = arg;
    char text[100];
    snprintf(text, sizeof text, "steps, loss %.4f, %.0f tokens/s", report->loss,
             report->tokens_per_second);
    brew_cli_progress_since(cli, text, (uint64_t)report->step, (uint64_t)report->steps,
                            report->seconds_left);
}

static void say_text(void *arg, const char *text) {
    brew_cli_warn(arg, "%s", text);
}

static void note_text(void *arg, const char *text) {
    brew_cli_note(arg, "%s", text);
}

static void add_facts(struct brew_cli *cli, const brew_train_result *result) {
    brew_cli_fact_int(cli, "steps", result->step);
    brew_cli_fact_int(cli, "updates", result->updates);
    brew_cli_fact_int(cli, "skipped", result->skipped);
    brew_cli_fact_int(cli, "tokens", (int64_t)result->tokens);
    brew_cli_fact_real(cli, "loss", result->loss);
    brew_cli_fact_real(cli, "train_seconds", result->seconds);
    if (result->best_step) brew_cli_fact_int(cli, "best_step", result->best_step);
}

// Joins the other ranks, of which one speaks. Those that may run on the same CPUs share them.
static int join_ranks(struct brew_cli *cli) {
    int here, sharing;
    if (brew_ranks_open((enum brew_ranks_wanted)mpi, &job.ranks, &cli->err)) return -1;
    brew_cli_mute(cli, brew_ranks_me(job.ranks) > 0);
    if (brew_ranks_places(job.ranks, &here, &sharing, &cli->err)) return -1;
    if (!cli->threads && sharing > 1) {
        cli->threads = brew_pool_cpus() / sharing;
        if (!cli->threads) cli->threads = 1;
    }
    return 0;
}

// main, once the options' variables have their defaults.
static int train_main(struct brew_cli *cli, char **files) {
    if (join_ranks(cli)) return brew_cli_die(cli);
    job.tool = cli->name;
    job.version = BREW_VERSION;
    job.pool = brew_cli_pool(cli);
    job.kernel = cli->kernel;
    job.seed = cli->seed;
    job.inputs = files;
    while (files[job.n_inputs]) job.n_inputs++;
    job.stop = &stopping;
    job.reject = reject_record;
    job.accept = accept_records;
    job.report = show_step;
    job.say = say_text;
    job.note = note_text;
    job.arg = cli;
    catch_stops();
    brew_train_result result;
    int rc = brew_run(&job, &result, &cli->err);
    if (rc > 0)
        brew_fail(&cli->err, BREW_STOPPED,
                  "stopped after step %" PRId64 ": the same command goes on from there",
                  result.step);
    add_facts(cli, &result);
    if (brew_ranks_lost(job.ranks)) brew_cli_mute(cli, false);
    int status = rc ? brew_cli_die(cli) : brew_cli_finish(cli);
    brew_ranks_close(job.ranks);
    return status;
}

#endif
