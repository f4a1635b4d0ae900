#include "shrink/quantise.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shrink/sensitivity.h"

static const char *const figures[] = {"auc", "ece", "kl"};

int brew_keep_parse(brew_keep *keep, const char *text, brew_err *err) {
    const char *colon = strchr(text, ':');
    keep->text = text;
    for (int f = 0; colon && f < 3; f++) {
        if (strlen(figures[f]) != (size_t)(colon - text) ||
            strncmp(figures[f], text, strlen(figures[f])) != 0)
            continue;
        char *end;
        keep->figure = (enum brew_keep_figure)f;
        keep->most = strtod(colon + 1, &end);
        if (end > colon + 1 && !*end && keep->most >= 0 && keep->most <= 1e6) return 0;
    }
    return brew_fail(err, BREW_USAGE, "%s is none of auc:X, ece:X and kl:X with X from 0 on", text);
}

double brew_keep_cost(const brew_keep *keep, const brew_quality *before,
                      const brew_quality *after) {
    switch (keep->figure) {
    case BREW_KEEP_AUC:
        return before->auc - after->auc;
    case BREW_KEEP_ECE:
        return after->ece - before->ece;
    case BREW_KEEP_KL:
        return brew_quality_kl(before, after);
    }
    brew_bug("no such figure");
}

// ---- one try ----

struct job {
    const brew_quantise_options *options;
    brew_quantised *result;
    size_t n_groups;
    size_t *order;    // [n_groups] by falling sensitivity
    brew_types types; // of the try
};

static void note(const struct job *job, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void note(const struct job *job, const char *fmt, ...) {
    char text[512];
    va_list ap;
    if (!job->options->note) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    job->options->note(job->options->note_arg, text);
}

static bool quantised(enum brew_dtype dtype) {
    return dtype == BREW_F8_E4M3 || dtype == BREW_I8;
}

static uint64_t tensor_bytes(const brew_modeldir *dir) {
    uint64_t sum = 0;
    for (size_t i = 0; i < brew_modeldir_n_tensors(dir); i++) {
        size_t bytes = 0;
        brew_tensor_bytes(brew_modeldir_tensor_at(dir, i, NULL), &bytes);
        sum += bytes;
    }
    return sum;
}

static brew_json *provenance(const struct job *job) {
    static const brew_sample none;
    const brew_quantise_options *o = job->options;
    brew_json *arguments = brew_json_new_object(), *left = brew_json_new_array();
    const char *scheme = brew_dtype_name(o->types.groups[0]);
    const char *head = brew_dtype_name(o->types.head);
    brew_json_set(arguments, "scheme", brew_json_new_string(scheme, strlen(scheme)));
    brew_json_set(arguments, "head", brew_json_new_string(head, strlen(head)));
    brew_json_set(arguments, "tied", brew_json_new_bool(o->types.tied));
    for (size_t g = 0; g < job->n_groups; g++) {
        char name[64];
        if (!job->result->left[g]) continue;
        brew_group_name(name, sizeof name, g);
        brew_json_push(left, brew_json_new_string(name, strlen(name)));
    }
    brew_json_set(arguments, "left_in_bf16", left);
    if (o->n_keep) {
        brew_json *keep = brew_json_new_array();
        for (size_t i = 0; i < o->n_keep; i++)
            brew_json_push(keep, brew_json_new_string(o->keep[i].text, strlen(o->keep[i].text)));
        brew_json_set(arguments, "keep", keep);
    }
    return brew_sample_provenance(o->sample ? o->sample : &none, o->dir, o->tool, o->version,
                                  arguments);
}

static int score(struct job *job, const brew_modeldir *dir, brew_quality *quality,
                 brew_quality *rounded, brew_err *err) {
    const brew_quantise_options *o = job->options;
    brew_config config;
    if (brew_config_read(&config, dir, err)) return -1;
    enum brew_precision precision = brew_model_precision(o->precision, &config, dir);
    brew_config_release(&config);
    brew_backend *be = brew_backend_open(o->kernel, precision, o->pool, err);
    brew_model *model = be ? brew_model_open(dir, be, err) : NULL;
    int status = model ? brew_quality_of(model, &o->sample->star, quality, rounded, err) : -1;
    brew_model_free(model);
    brew_backend_close(be);
    job->result->scorings++;
    return status;
}

// Writes and scores the model with the first `left` groups of the order in BF16.
static int try_with(struct job *job, size_t left, brew_err *err) {
    const brew_quantise_options *o = job->options;
    brew_quantised *r = job->result;
    brew_modeldir_close(r->written);
    brew_outdir_abandon(r->out);
    r->written = NULL;
    brew_quality_release(&r->after);
    brew_quality_release(&r->rounded);
    memset(r->left, 0, job->n_groups * sizeof *r->left);
    r->n_left = left;
    for (size_t i = 0; i < left; i++) r->left[job->order[i]] = true;
    for (size_t g = 0; g < job->n_groups; g++)
        job->types.groups[g] = r->left[g] ? BREW_BF16 : o->types.groups[g];
    if (!(r->out = brew_outdir_open(o->path, err))) return -1;
    brew_buf path = {0};
    brew_buf_addf(&path, "%s%s%s", brew_outdir_path(r->out), o->file ? "/" : "",
                  o->file ? o->file : "");
    job->types.gguf = o->file;
    brew_json *chain = provenance(job);
    int status = brew_convert(o->dir, o->config, &job->types, chain, path.ptr, err);
    brew_json_free(chain);
    if (!status) r->written = brew_modeldir_open(path.ptr, err);
    brew_buf_release(&path);
    if (!r->written) return -1;
    r->bytes_after = tensor_bytes(r->written);
    return o->sample ? score(job, r->written, &r->after, &r->rounded, err) : 0;
}

// The first limit that does not hold, or NULL.
static const brew_keep *missed(const struct job *job) {
    const brew_quantise_options *o = job->options;
    for (size_t i = 0; i < o->n_keep; i++)
        if (!(brew_keep_cost(&o->keep[i], &job->result->before, job->result->judged) <=
              o->keep[i].most))
            return &o->keep[i];
    return NULL;
}

static int refuse(const struct job *job, const brew_keep *keep, const char *when, brew_err *err) {
    if (isnan(job->result->before.auc) && keep->figure == BREW_KEEP_AUC)
        return brew_fail(err, BREW_DATA, "--keep %s: all answers are of one class", keep->text);
    return brew_fail(err, BREW_NEGATIVE, "%s%s %.3g, more than --keep %s allows", when,
                     keep->figure == BREW_KEEP_AUC   ? "auc falls by"
                     : keep->figure == BREW_KEEP_ECE ? "ece rises by"
                                                     : "the mean kl is",
                     brew_keep_cost(keep, &job->result->before, job->result->judged), keep->text);
}

// ---- the search ----

static int rank(struct job *job, brew_err *err) {
    const brew_quantise_options *o = job->options;
    brew_quantised *r = job->result;
    enum brew_precision precision = brew_model_precision(o->precision, o->config, o->dir);
    brew_backend *be = brew_backend_open(o->kernel, precision, o->pool, err);
    if (!be) return -1;
    r->sensitivity = brew_calloc(job->n_groups, sizeof *r->sensitivity);
    int status = brew_sensitivity(o->dir, be, &o->sample->star, o->types.groups[0], o->seed,
                                  r->sensitivity, err);
    brew_backend_close(be);
    if (status) return status;
    for (size_t i = 1; i < job->n_groups; i++) // insertion: a few hundred, equals stay in order
        for (size_t j = i; j && r->sensitivity[job->order[j]] > r->sensitivity[job->order[j - 1]];
             j--) {
            size_t swap = job->order[j];
            job->order[j] = job->order[j - 1];
            job->order[j - 1] = swap;
        }
    for (size_t i = 0; i < job->n_groups; i++) {
        char name[64];
        brew_group_name(name, sizeof name, job->order[i]);
        note(job, "sensitivity of %s: %.3g", name, r->sensitivity[job->order[i]]);
    }
    return 0;
}

static int try_and_tell(struct job *job, size_t left, brew_err *err) {
    if (try_with(job, left, err)) return -1;
    const brew_keep *bad = missed(job);
    note(job, "%zu of %zu groups left in BF16: %s%s", left, job->n_groups,
         bad ? "too costly by --keep " : "good enough", bad ? bad->text : "");
    return 0;
}

// The fewest groups in BF16 with which all limits hold; none was too few.
static int search(struct job *job, brew_err *err) {
    if (rank(job, err) || try_and_tell(job, job->n_groups, err)) return -1;
    const brew_keep *bad = missed(job);
    if (bad) return refuse(job, bad, "even with all groups in BF16 ", err);
    size_t too_few = 0, enough = job->n_groups;
    while (enough - too_few > 1) {
        size_t middle = too_few + (enough - too_few) / 2;
        if (try_and_tell(job, middle, err)) return -1;
        if (missed(job))
            too_few = middle;
        else
            enough = middle;
    }
    return job->result->n_left == enough ? 0 : try_with(job, enough, err);
}

static int run(struct job *job, brew_err *err) {
    const brew_quantise_options *o = job->options;
    brew_quantised *r = job->result;
    r->bytes_before = tensor_bytes(o->dir);
    if (!o->sample) return try_with(job, 0, err);
    if (score(job, o->dir, &r->before, NULL, err) || try_and_tell(job, 0, err)) return -1;
    const brew_keep *bad = missed(job);
    if (!bad) return 0;
    if (!quantised(o->types.groups[0])) return refuse(job, bad, "", err);
    return search(job, err);
}

int brew_quantise(const brew_quantise_options *options, brew_quantised *result, brew_err *err) {
    *result = (brew_quantised){0};
    if (options->config->scheme != BREW_F32)
        return brew_fail(err, BREW_DATA, "%s: is quantised already (%s)",
                         brew_modeldir_name(options->dir),
                         brew_dtype_name(options->config->scheme));
    struct job job = {.options = options,
                      .result = result,
                      .n_groups = (size_t)options->config->layers * BREW_GROUPS,
                      .types = options->types};
    result->left = brew_calloc(job.n_groups, sizeof *result->left);
    result->judged = options->types.head == BREW_F32 ? &result->after : &result->rounded;
    job.types.groups = brew_calloc(job.n_groups, sizeof *job.types.groups);
    job.order = brew_calloc(job.n_groups, sizeof *job.order);
    for (size_t g = 0; g < job.n_groups; g++) job.order[g] = g;
    int status = run(&job, err);
    free(job.types.groups);
    free(job.order);
    return status;
}

void brew_quantised_release(brew_quantised *result) {
    brew_modeldir_close(result->written);
    brew_outdir_abandon(result->out);
    brew_quality_release(&result->before);
    brew_quality_release(&result->after);
    brew_quality_release(&result->rounded);
    free(result->sensitivity);
    free(result->left);
    *result = (brew_quantised){0};
}
