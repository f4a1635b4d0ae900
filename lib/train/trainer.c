#include "train/trainer.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "train/log.h"
#include "train/share.h"
#include "train/store.h"

// What is saved beside the tensors.
struct state {
    brew_train_result so_far;
    int64_t in_a_row; // skipped steps
    int64_t worse;    // validations since the best one
    double norm;      // mean of the gradient's length of late
    uint64_t hash;    // of the data taken
    brew_json *row;   // of the last step, if its validation was stopped half way
};

struct trainer {
    const brew_train_job *job;
    brew_engine *engine, *judge; // judge: of the validation, without a teacher
    brew_log *log;
    brew_batch batch;
    brew_terms *tasks;
    size_t tasks_cap;
    struct state state;
    double started, saved; // by the clock; seconds before this process
    double seconds_before;
    int64_t first_step, first_tokens; // of this process
    int64_t saved_step;
    bool ended; // the data have
};

static double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double seconds_of(const struct trainer *t) {
    return t->seconds_before + now_seconds() - t->started;
}

// Of several ranks one writes.
static bool leads(const struct trainer *t) {
    return !brew_ranks_me(t->job->ranks);
}

static void say(const struct trainer *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void say(const struct trainer *t, const char *fmt, ...) {
    char text[1200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (t->job->say) t->job->say(t->job->arg, text);
}

// ---- the state on disk ----

static brew_json *write_state(const struct state *s) {
    char hash[17];
    snprintf(hash, sizeof hash, "%016" PRIx64, s->hash);
    brew_json *json = brew_json_new_object();
    brew_json_set(json, "step", brew_json_new_int(s->so_far.step));
    brew_json_set(json, "updates", brew_json_new_int(s->so_far.updates));
    brew_json_set(json, "skipped", brew_json_new_int(s->so_far.skipped));
    brew_json_set(json, "requests", brew_json_new_int((int64_t)s->so_far.requests));
    brew_json_set(json, "tokens", brew_json_new_int((int64_t)s->so_far.tokens));
    brew_json_set(json, "seconds", brew_json_new_real(s->so_far.seconds));
    brew_json_set(json, "loss", brew_json_new_real(s->so_far.loss));
    brew_json_set(json, "best_step", brew_json_new_int(s->so_far.best_step));
    brew_json_set(json, "best_loss", brew_json_new_real(s->so_far.best_loss));
    brew_json_set(json, "in_a_row", brew_json_new_int(s->in_a_row));
    brew_json_set(json, "worse", brew_json_new_int(s->worse));
    brew_json_set(json, "norm", brew_json_new_real(s->norm));
    brew_json_set(json, "hash", brew_json_new_string(hash, 16));
    if (s->row) brew_json_set(json, "row", brew_json_copy(s->row));
    return json;
}

static int read_state(struct state *s, const brew_json *json, brew_err *err) {
    int64_t requests = 0, tokens = 0;
    const char *hash = "";
    *s = (struct state){.so_far.loss = NAN};
    if (brew_json_want_int(json, "step", 0, INT64_MAX, &s->so_far.step, err) < 0 ||
        brew_json_want_int(json, "updates", 0, INT64_MAX, &s->so_far.updates, err) < 0 ||
        brew_json_want_int(json, "skipped", 0, INT64_MAX, &s->so_far.skipped, err) < 0 ||
        brew_json_want_int(json, "requests", 0, INT64_MAX, &requests, err) < 0 ||
        brew_json_want_int(json, "tokens", 0, INT64_MAX, &tokens, err) < 0 ||
        brew_json_want_real(json, "seconds", &s->so_far.seconds, err) < 0 ||
        brew_json_want_real(json, "loss", &s->so_far.loss, err) < 0 ||
        brew_json_want_int(json, "best_step", 0, INT64_MAX, &s->so_far.best_step, err) < 0 ||
        brew_json_want_real(json, "best_loss", &s->so_far.best_loss, err) < 0 ||
        brew_json_want_int(json, "in_a_row", 0, INT64_MAX, &s->in_a_row, err) < 0 ||
        brew_json_want_int(json, "worse", 0, INT64_MAX, &s->worse, err) < 0 ||
        brew_json_want_real(json, "norm", &s->norm, err) < 0 ||
        brew_json_want_string(json, "hash", &hash, err) < 0)
        return -1;
    s->so_far.requests = (uint64_t)requests;
    s->so_far.tokens = (uint64_t)tokens;
    s->hash = strtoull(hash, NULL, 16);
    const brew_json *row = brew_json_get(json, "row");
    if (row) s->row = brew_json_copy(row);
    return 0;
}

static int save(struct trainer *t, brew_err *err) {
    const char *dir = brew_rundir_checkpoints(t->job->dir);
    struct state *s = &t->state;
    s->so_far.seconds = seconds_of(t);
    if (!leads(t)) return 0;
    if (brew_log_sync(t->log, err)) return -1;
    if (t->saved_step == s->so_far.step && brew_checkpoint_remove(dir, t->saved_step, err))
        return -1;
    brew_json *state = write_state(s);
    int rc = brew_store_save(t->job->learner, dir, s->so_far.step, state, t->job->pool, err);
    brew_json_free(state);
    if (!rc) rc = brew_checkpoint_prune(dir, t->job->keep, s->so_far.best_step, err);
    t->saved = now_seconds();
    t->saved_step = s->so_far.step;
    return rc;
}

static int take_up(struct trainer *t, const brew_checkpoint *c, brew_err *err) {
    return read_state(&t->state, brew_checkpoint_state(c), err) ||
                   brew_store_load(t->job->learner, c, true, err)
               ? -1
               : 0;
}

// The newest checkpoint that is whole. Newer ones are removed.
static int take_newest(struct trainer *t, brew_err *err) {
    const char *dir = brew_rundir_checkpoints(t->job->dir);
    size_t n;
    int64_t *steps = brew_checkpoint_list(dir, &n);
    int rc = 0;
    while (n && !rc) {
        brew_err damage;
        int64_t step = steps[n - 1];
        brew_checkpoint *c = brew_checkpoint_open(dir, step, t->job->pool, &damage);
        if (c) {
            rc = take_up(t, c, err);
            brew_checkpoint_close(c);
            break;
        }
        say(t, "%s: passed over", damage.text);
        rc = brew_checkpoint_remove(dir, step, err);
        n--;
    }
    free(steps);
    return rc;
}

// The other ranks take up what the first has.
static int follow(struct trainer *t, brew_err *err) {
    int64_t step = t->state.so_far.step;
    if (brew_ranks_tell(t->job->ranks, &step, sizeof step, err)) return -1;
    if (leads(t) || !step) return 0;
    const char *dir = brew_rundir_checkpoints(t->job->dir);
    brew_checkpoint *c = brew_checkpoint_open(dir, step, t->job->pool, err);
    int rc = c ? take_up(t, c, err) : -1;
    brew_checkpoint_close(c);
    return rc;
}

// Goes on where the last checkpoint was, or begins.
static int resume(struct trainer *t, brew_err *err) {
    int rc = leads(t) ? take_newest(t, err) : 0;
    if (brew_ranks_agree(t->job->ranks, rc, err) || follow(t, err)) return -1;
    if (!t->state.so_far.step) return 0;
    if (brew_data_skip(t->job->data, t->state.so_far.requests, err)) return -1;
    if (brew_data_hash(t->job->data) != t->state.hash)
        return brew_fail(err, BREW_DATA,
                         "the input is not the one that the run in %s was begun with",
                         brew_rundir_path(t->job->dir));
    t->seconds_before = t->state.so_far.seconds;
    t->saved_step = t->first_step = t->state.so_far.step;
    t->first_tokens = (int64_t)t->state.so_far.tokens;
    say(t, "going on after step %" PRId64, t->state.so_far.step);
    return 0;
}

// ---- a step ----

// Of the whole batch, which is in t->batch: its terms and gradients, by whoever computes them.
static int run_batch(struct trainer *t, brew_engine *engine, const brew_engine_step *how,
                     brew_terms *total, brew_terms *tasks, brew_err *err) {
    brew_share share = {t->job->ranks, engine, t->job->learner, brew_data_tasks(t->job->data),
                        t->state.so_far.step};
    return brew_share_run(&share, &t->batch, how, total, tasks, err);
}

static int collect(struct trainer *t, brew_err *err) {
    brew_batch_reset(&t->batch);
    for (int64_t i = 0; i < t->job->batch && !t->ended; i++) {
        int got = brew_data_next(t->job->data, &t->batch, err);
        if (got < 0) return -1;
        if (!got) t->ended = true;
    }
    size_t n = brew_data_tasks(t->job->data);
    BREW_GROW(t->tasks, n, t->tasks_cap);
    for (size_t i = 0; i < n; i++) t->tasks[i] = (brew_terms){0};
    return 0;
}

static void put_terms(const struct trainer *t, brew_json *row, const brew_terms *terms) {
    const brew_objective *o = &t->job->objective;
    static const char *const names[BREW_TERMS] = {"items",      "history", "lm",    "items_kd",
                                                  "history_kd", "lm_kd",   "hidden"};
    const bool used[BREW_TERMS] = {o->items != 0,
                                   o->history != 0,
                                   o->lm != 0,
                                   o->distil && o->items != 0,
                                   o->distil && o->history != 0,
                                   o->kd_vocab >> BREW_LM & 1,
                                   o->hidden != 0};
    for (int i = 0; i < BREW_TERMS; i++)
        if (used[i])
            brew_json_set(row, names[i],
                          brew_json_new_real(brew_terms_mean(terms, (enum brew_term)i)));
}

static void put_tasks(const struct trainer *t, brew_json *row, double alpha) {
    size_t n = brew_data_tasks(t->job->data);
    if (n < 2) return;
    brew_json *tasks = brew_json_new_object();
    for (size_t i = 0; i < n; i++) {
        bool any = false;
        for (int k = 0; k < BREW_TERMS; k++) any |= t->tasks[i].weight[k] > 0;
        if (any)
            brew_json_set(
                tasks, brew_data_task(t->job->data, i),
                brew_json_new_real(brew_terms_loss(t->tasks + i, &t->job->objective, alpha)));
    }
    brew_json_set(row, "tasks", tasks);
}

// Whether the step must not be taken; the mean of the gradient's length moves on otherwise.
static bool guard(struct trainer *t, double loss, double norm) {
    struct state *s = &t->state;
    enum { SETTLED = 20 };
    bool spike =
        t->job->spike > 0 && s->so_far.updates >= SETTLED && norm > t->job->spike * s->norm;
    if (!isfinite(loss) || !isfinite(norm) || spike) return true;
    double share = s->so_far.updates < 50 ? 1 / (double)(s->so_far.updates + 1) : 0.02;
    s->norm += share * (norm - s->norm);
    return false;
}

static int skip_step(struct trainer *t, brew_json *row, brew_err *err) {
    struct state *s = &t->state;
    brew_learner_drop(t->job->learner);
    s->so_far.skipped++;
    s->in_a_row++;
    brew_json_set(row, "skipped", brew_json_new_bool(true));
    if (s->in_a_row <= t->job->max_skipped) return 0;
    return brew_fail(err, BREW_DATA,
                     "step %" PRId64 ": %" PRId64
                     " steps in a row had to be skipped: their loss or "
                     "gradient is not finite, or too large",
                     s->so_far.step, s->in_a_row);
}

static void update(struct trainer *t, double norm, double lr) {
    const brew_train_job *job = t->job;
    brew_adamw adamw = job->adamw;
    adamw.lr = lr;
    adamw.scale = 1;
    if (job->clip > 0) adamw.scale = fmin(1, job->clip / (norm + 1e-6)); // as torch clips
    adamw.step = ++t->state.so_far.updates;
    brew_learner_update(job->learner, &adamw);
    t->state.in_a_row = 0;
}

// One step's row; 1 if it was stopped half way.
static int take_step(struct trainer *t, brew_json *row, brew_err *err) {
    const brew_train_job *job = t->job;
    struct state *s = &t->state;
    int64_t step = s->so_far.step + 1, steps = job->schedule.steps;
    brew_engine_step how = {.learn = true,
                            .alpha = brew_ramp_at(&job->alpha, step, steps),
                            .tau = brew_ramp_at(&job->tau, step, steps),
                            .stop = job->stop};
    brew_terms terms = {0};
    int rc = run_batch(t, t->engine, &how, &terms, t->tasks, err);
    if (rc) return rc;
    double loss = brew_terms_loss(&terms, &job->objective, how.alpha);
    double norm = brew_learner_norm(job->learner), lr = job->lr;
    lr *= brew_schedule_at(&job->schedule, step);
    s->so_far.step = step;
    s->so_far.requests += t->batch.star.n_requests;
    s->so_far.tokens += t->batch.star.n_ids;
    s->so_far.loss = loss;
    s->hash = brew_data_hash(job->data);
    brew_json_set(row, "step", brew_json_new_int(step));
    brew_json_set(row, "loss", brew_json_new_real(loss));
    put_terms(t, row, &terms);
    if (job->objective.distil) {
        brew_json_set(row, "alpha", brew_json_new_real(how.alpha));
        brew_json_set(row, "tau", brew_json_new_real(how.tau));
    }
    brew_json_set(row, "grad_norm", brew_json_new_real(norm));
    brew_json_set(row, "lr", brew_json_new_real(lr));
    brew_json_set(row, "tokens", brew_json_new_int((int64_t)s->so_far.tokens));
    put_tasks(t, row, how.alpha);
    if (guard(t, loss, norm)) return skip_step(t, row, err);
    update(t, norm, lr);
    return 0;
}

// ---- validation ----

// All of it as one batch would: the terms add up over requests. 1 if stopped.
static int validate(struct trainer *t, double *loss, brew_err *err) {
    const brew_train_job *job = t->job;
    uint64_t n = brew_data_get_facts(job->valid)->requests;
    brew_engine_step how = {.stop = job->stop, .tau = 1};
    brew_terms terms = {0};
    for (uint64_t done = 0; done < n;) {
        brew_batch_reset(&t->batch);
        for (int64_t i = 0; i < job->batch && done < n; i++, done++)
            if (brew_data_next(job->valid, &t->batch, err) < 0) return -1;
        int rc = run_batch(t, t->judge, &how, &terms, NULL, err);
        if (rc) return rc;
    }
    *loss = brew_terms_loss(&terms, &job->objective, 0);
    return 0;
}

static bool is_best(struct trainer *t, double loss) {
    struct state *s = &t->state;
    bool better = isfinite(loss) && (!s->so_far.best_step || loss < s->so_far.best_loss);
    s->worse = better ? 0 : s->worse + 1;
    if (!better) return false;
    s->so_far.best_step = s->so_far.step;
    s->so_far.best_loss = loss;
    return true;
}

// ---- the run ----

static bool is_last(const struct trainer *t) {
    const brew_train_job *job = t->job;
    return (job->schedule.steps && t->state.so_far.step >= job->schedule.steps) ||
           (job->patience && t->state.worse >= job->patience);
}

static void report(const struct trainer *t) {
    const struct state *s = &t->state;
    double seconds = now_seconds() - t->started;
    brew_train_report report = {.step = s->so_far.step,
                                .steps = t->job->schedule.steps,
                                .loss = s->so_far.loss,
                                .tokens = (int64_t)s->so_far.tokens};
    int64_t done = s->so_far.step - t->first_step;
    report.tokens_per_second = (double)(report.tokens - t->first_tokens) / fmax(seconds, 1e-9);
    report.seconds_left = seconds / (double)done * (double)(report.steps - report.step);
    if (t->job->report) t->job->report(t->job->arg, &report);
}

// After a step: validates, logs, saves when it is time. 1 if stopped while validating: the row waits.
static int end_step(struct trainer *t, brew_json *row, brew_err *err) {
    const brew_train_job *job = t->job;
    int64_t step = t->state.so_far.step;
    bool best = false;
    if (job->valid && (step % job->valid_every == 0 || step == job->schedule.steps)) {
        double loss = NAN;
        int rc = validate(t, &loss, err);
        if (rc > 0) t->state.row = brew_json_copy(row);
        if (rc) return rc;
        best = is_best(t, loss);
        brew_json_set(row, "valid", brew_json_new_real(loss));
    }
    brew_json_set(row, "seconds", brew_json_new_real(seconds_of(t)));
    if (t->log && brew_log_row(t->log, row, err)) return -1;
    report(t);
    bool due = job->save_every && step % job->save_every == 0;
    due = due || now_seconds() - t->saved >= job->save_seconds;
    return due || best || is_last(t) ? save(t, err) : 0;
}

static int run_steps(struct trainer *t, brew_err *err) {
    int rc = 0;
    if (t->state.row) { // what was left to do when the run was stopped
        brew_json *row = t->state.row;
        t->state.row = NULL;
        rc = end_step(t, row, err);
        brew_json_free(row);
    }
    while (!rc && !is_last(t)) {
        if (brew_ranks_n(t->job->ranks) == 1 && *t->job->stop) return 1; // several: as one
        if (collect(t, err)) return -1;
        if (!t->batch.star.n_requests) break;
        brew_json *row = brew_json_new_object();
        rc = take_step(t, row, err);
        if (!rc) rc = end_step(t, row, err);
        brew_json_free(row);
    }
    return rc;
}

// With validation, what is published is the best: its values take the place of the last.
static int take_best(struct trainer *t, brew_err *err) {
    int64_t best = t->state.so_far.best_step;
    if (!best || best == t->state.so_far.step || !leads(t)) return 0;
    brew_checkpoint *c =
        brew_checkpoint_open(brew_rundir_checkpoints(t->job->dir), best, t->job->pool, err);
    int rc = c ? brew_store_load(t->job->learner, c, false, err) : -1;
    brew_checkpoint_close(c);
    if (!rc) say(t, "the model is that of step %" PRId64 ", the best by validation", best);
    return rc;
}

static int end_run(struct trainer *t, brew_err *err) {
    const struct state *s = &t->state;
    if (!s->so_far.step) return brew_fail(err, BREW_DATA, "there was no request to learn from");
    if (t->job->schedule.steps > s->so_far.step && t->ended)
        say(t, "the input ended after %" PRId64 " of %" PRId64 " steps", s->so_far.step,
            t->job->schedule.steps);
    if (t->saved_step != s->so_far.step && save(t, err)) return -1;
    return take_best(t, err);
}

static int open_and_run(struct trainer *t, brew_err *err) {
    const brew_train_job *job = t->job;
    brew_objective plain = job->objective;
    plain.distil = false;
    plain.kd_vocab = 0;
    plain.topk = 0;
    plain.hidden = 0;
    t->engine = brew_engine_new(job->learner, job->teacher, &job->objective, job->micro_tokens);
    brew_engine_teacher_ids(t->engine, job->teacher_ids);
    t->judge = brew_engine_new(job->learner, NULL, &plain, job->micro_tokens);
    if (resume(t, err)) return -1;
    int64_t logged = t->state.so_far.step - (t->state.row != NULL);
    if (leads(t)) t->log = brew_log_open(job->log_path, brew_rundir_fresh(job->dir), logged, err);
    if (leads(t) && !t->log) return -1;
    t->started = t->saved = now_seconds();
    int rc = run_steps(t, err);
    if (!rc) return end_run(t, err);
    bool unsaved = t->state.so_far.step && (t->saved_step != t->state.so_far.step || t->state.row);
    if (rc > 0 && unsaved && save(t, err)) return -1;
    return rc;
}

int brew_train(const brew_train_job *job, brew_train_result *result, brew_err *err) {
    struct trainer t = {.job = job};
    t.state.so_far.loss = NAN;
    int rc = open_and_run(&t, err);
    t.state.so_far.seconds = seconds_of(&t);
    *result = t.state.so_far;
    brew_engine_free(t.engine);
    brew_engine_free(t.judge);
    brew_log_close(t.log);
    brew_batch_release(&t.batch);
    brew_json_free(t.state.row);
    free(t.tasks);
    return rc;
}
