// What a run's options must not contradict, and what they mean.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "train/run_parts.h"

void brew_run_defaults(brew_run_options *o) {
    *o = (brew_run_options){.batch = 8,
                            .micro_tokens = 2048,
                            .keep = 2,
                            .expect = -1,
                            .max_skipped = 10,
                            .lr = 1e-4,
                            .eps = 1e-8,
                            .weight_decay = 0.01,
                            .clip = 1,
                            .save_minutes = 15,
                            .skew_beta = 0.1,
                            .betas = "0.9,0.999",
                            .alpha = "0.5",
                            .tau = "1"};
}

static int check_sources(const brew_run_options *o, brew_err *err) {
    bool from_stdin = !o->n_inputs;
    if (!o->model == !o->init)
        return brew_fail(err, BREW_USAGE, "give -m MODEL or --init CONFIG, one of them");
    if (!o->out) return brew_fail(err, BREW_USAGE, "-o DIR is missing");
    for (size_t i = 0; i < o->n_inputs; i++) from_stdin |= !strcmp(o->inputs[i], "-");
    if (from_stdin && o->model && !strcmp(o->model, "-"))
        return brew_fail(err, BREW_USAGE,
                         "model and requests cannot both come from standard input");
    if (o->valid && !strcmp(o->valid, "-"))
        return brew_fail(err, BREW_USAGE, "--valid takes a file: it is read more than once");
    if (o->teacher && !strcmp(o->teacher, "-"))
        return brew_fail(err, BREW_USAGE, "--teacher takes a path: it is read more than once");
    if (o->spool && (!from_stdin || o->mix))
        return brew_fail(err, BREW_USAGE, "--spool keeps standard input, which is not read here");
    if (o->n_inputs > 1 && !o->mix)
        return brew_fail(err, BREW_USAGE, "several inputs go with --mix, each as FILE:WEIGHT");
    if (o->patience && !o->valid)
        return brew_fail(err, BREW_USAGE, "--patience waits for validations: give --valid FILE");
    return 0;
}

static int check_ranks(const brew_run_options *o, brew_err *err) {
    int n = brew_ranks_n(o->ranks);
    bool from_stdin = !o->n_inputs || (o->model && !strcmp(o->model, "-"));
    for (size_t i = 0; i < o->n_inputs; i++) from_stdin |= !strcmp(o->inputs[i], "-");
    if (n > 1 && from_stdin && !o->spool)
        return brew_fail(
            err, BREW_USAGE,
            "standard input reaches one of %d ranks, and each reads for itself: give a "
            "file, or keep it with --spool DIR",
            n);
    if (o->batch < n)
        return brew_fail(err, BREW_USAGE, "--batch %" PRId64 " leaves some of %d ranks idle",
                         o->batch, n);
    return 0;
}

static int check_objective(brew_run_parts *run, brew_err *err) {
    const brew_run_options *o = run->options;
    brew_objective *objective = &run->job.objective;
    bool lm = o->objective == BREW_OBJECTIVE_LM;
    *objective = (brew_objective){.items = lm ? 0 : 1,
                                  .history = o->history_weight,
                                  .lm = lm ? 1 : o->lm_weight,
                                  .vocab = o->over == 1,
                                  .distil = o->teacher != NULL,
                                  .divergence = (enum brew_divergence)o->divergence,
                                  .skew_beta = o->skew_beta,
                                  .hidden_all = o->hidden_rows == 0};
    if (lm && (o->history_weight != 0 || o->lm_weight != 0 || o->over || o->teacher))
        return brew_fail(err, BREW_USAGE,
                         "--objective lm is the next-token loss alone: no --history-weight, "
                         "--lm-weight, --over or teacher");
    if (!o->teacher) return 0;
    if (brew_run_check_lessons(run, err)) return -1;
    return brew_ramp_parse(&run->job.alpha, o->alpha, 0, 1, "alpha", err) ||
                   brew_ramp_parse(&run->job.tau, o->tau, 0.01, 100, "tau", err)
               ? -1
               : 0;
}

static int check_betas(brew_run_parts *run, brew_err *err) {
    const char *text = run->options->betas, *comma = strchr(text, ',');
    double *a = &run->job.adamw.beta1, *b = &run->job.adamw.beta2;
    if (!comma || !brew_parse_double(text, (size_t)(comma - text), a) ||
        !brew_parse_double(comma + 1, strlen(comma + 1), b) || *a < 0 || *a >= 1 || *b < 0 ||
        *b >= 1)
        return brew_fail(err, BREW_USAGE,
                         "--betas takes two numbers from 0 to below 1, as 0.9,0.95");
    return 0;
}

static int check_length(const brew_run_options *o, brew_err *err) {
    int given = (o->steps > 0) + (o->epochs > 0) + (o->tokens > 0);
    if (given > 1)
        return brew_fail(err, BREW_USAGE, "--steps, --epochs and --tokens exclude each other");
    if (o->mix && !o->steps && !o->tokens)
        return brew_fail(err, BREW_USAGE, "a mix has no epochs: give --steps or --tokens");
    return 0;
}

static int check_lora(brew_run_parts *run, brew_err *err) {
    const brew_run_options *o = run->options;
    brew_lora *lora = &run->learner.lora;
    if (!o->lora && (o->lora_alpha > 0 || o->lora_targets || o->merge))
        return brew_fail(
            err, BREW_USAGE,
            "--lora-alpha, --lora-targets and --merge are about adapters: give --lora");
    if (!o->lora) return 0;
    if (o->init)
        return brew_fail(err, BREW_USAGE, "--lora adapts a model: give -m MODEL, not --init");
    if (!o->merge && !strcmp(o->model, "-"))
        return brew_fail(err, BREW_USAGE,
                         "an adapter names its model, which standard input does not: give a path, "
                         "or --merge");
    lora->rank = o->lora;
    lora->alpha = o->lora_alpha > 0 ? o->lora_alpha : 2 * (double)o->lora;
    return brew_lora_parse_targets(o->lora_targets, &lora->targets, err);
}

int brew_run_check(brew_run_parts *run, brew_err *err) {
    const brew_run_options *o = run->options;
    brew_train_job *job = &run->job;
    if (check_sources(o, err) || check_ranks(o, err) || check_objective(run, err) ||
        check_betas(run, err) || check_length(o, err))
        return -1;
    run->memory = brew_memory_limit();
    if (o->memory && brew_memory_parse(o->memory, &run->memory, err)) return -1;
    run->learner = (brew_learner_options){.recompute = (enum brew_recompute)o->recompute,
                                          .random = o->init != NULL,
                                          .seed = (uint64_t)o->seed,
                                          .freeze_embedding = o->freeze_embedding};
    if (check_lora(run, err)) return -1;
    job->schedule = (brew_schedule){.kind = (enum brew_schedule_kind)o->schedule,
                                    .warmup = o->warmup,
                                    .decay = o->decay,
                                    .floor = o->lr_min};
    job->lr = o->lr;
    job->clip = o->clip;
    job->adamw.eps = o->eps;
    job->adamw.decay = o->weight_decay;
    job->batch = o->batch;
    job->micro_tokens = o->micro_tokens;
    job->spike = o->spike;
    job->max_skipped = o->max_skipped;
    job->patience = o->patience;
    job->save_every = o->save_every;
    job->save_seconds = o->save_minutes > 0 ? 60 * o->save_minutes : INFINITY;
    job->keep = (size_t)o->keep;
    job->pool = o->pool;
    job->ranks = o->ranks;
    job->stop = o->stop;
    job->report = o->report;
    job->say = o->say;
    job->arg = o->arg;
    return 0;
}

// Of a pipe nothing is known beforehand.
static int check_endless(const brew_run_parts *run, brew_err *err) {
    const brew_run_options *o = run->options;
    const brew_train_job *job = &run->job;
    if (o->epochs > 1 || o->tokens)
        return brew_fail(err, BREW_USAGE,
                         "a pipe in stream order has one epoch and no known length: give --steps, "
                         "--order shuffle or --spool DIR");
    if (job->schedule.kind != BREW_CONSTANT || job->alpha.from != job->alpha.to ||
        job->tau.from != job->tau.to)
        return brew_fail(err, BREW_USAGE,
                         "a schedule needs the number of steps, which a pipe does not tell: give "
                         "--steps, or --schedule constant");
    return 0;
}

// Whether anything of what was surveyed has a part in the loss.
static bool is_read(const brew_run_parts *run, const brew_data_facts *facts, bool distil) {
    const brew_objective *o = &run->job.objective;
    uint64_t items = distil ? facts->items : facts->known_items;
    uint64_t history = distil ? facts->answers - facts->items : facts->known_history;
    return !facts->known || o->lm != 0 || (o->items != 0 && items) || (o->history != 0 && history);
}

static int check_read(const brew_run_parts *run, brew_err *err) {
    static const char why[] = "an answer that is known (\"targets\") and weighs something";
    if (!is_read(run, brew_data_get_facts(run->job.data), run->job.objective.distil))
        return brew_fail(err, BREW_DATA, "there is nothing to learn: no request has %s", why);
    if (run->job.valid && !is_read(run, brew_data_get_facts(run->job.valid), false))
        return brew_fail(err, BREW_DATA, "%s: nothing to validate on: no request has %s",
                         run->options->valid, why);
    return 0;
}

int brew_run_count_steps(brew_run_parts *run, brew_err *err) {
    const brew_run_options *o = run->options;
    const brew_data_facts *facts = brew_data_get_facts(run->job.data);
    brew_schedule *schedule = &run->job.schedule;
    double batch = (double)o->batch, requests = (double)facts->requests;
    if (check_read(run, err)) return -1;
    if (o->steps)
        schedule->steps = o->steps;
    else if (!facts->known)
        schedule->steps = 0;
    else if (o->tokens)
        schedule->steps =
            (int64_t)ceil((double)o->tokens * requests / ((double)facts->tokens * batch));
    else
        schedule->steps = (int64_t)ceil(requests * (double)(o->epochs ? o->epochs : 1) / batch);
    if (!schedule->steps && check_endless(run, err)) return -1;
    if (schedule->kind == BREW_WSD && !schedule->decay)
        schedule->decay = schedule->steps < 10 ? 1 : schedule->steps / 10;
    run->job.valid_every = o->valid_every        ? o->valid_every
                           : schedule->steps > 9 ? schedule->steps / 10
                           : schedule->steps     ? 1
                                                 : 100;
    return 0;
}
