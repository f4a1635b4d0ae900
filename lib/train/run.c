#include "train/run.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/num.h"
#include "train/run_parts.h"
#include "train/store.h"

static void tell(const brew_run_parts *run, void (*how)(void *, const char *), const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void tell(const brew_run_parts *run, void (*how)(void *, const char *), const char *fmt,
                 ...) {
    char text[1200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (how) how(run->options->arg, text);
}

static void close_all(brew_run_parts *run) {
    brew_learner_free(run->job.learner);
    brew_data_free(run->job.data);
    brew_data_free(run->job.valid);
    brew_rundir_close(run->job.dir);
    brew_teacher_free(run->teacher);
    brew_encoder_free(run->encoder);
    brew_backend_close(run->be);
    brew_config_release(&run->config);
    brew_source_id_release(&run->model);
    brew_source_id_release(&run->teacher_id);
    brew_hidden_map_release(&run->map);
    brew_modeldir_close(run->dir);
    brew_json_free(run->identity);
    free(run->spooled);
}

// ---- the model ----

// --init DIR/config.json: the directory.
static char *init_dir(const char *path, brew_err *err) {
    struct stat st;
    if (!stat(path, &st) && S_ISDIR(st.st_mode)) return brew_strdup(path);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (strcmp(name, "config.json")) {
        brew_fail(err, BREW_USAGE, "--init takes a config.json, with its tokenizer beside it");
        return NULL;
    }
    return slash == path ? brew_strdup("/")
           : slash       ? brew_strndup(path, (size_t)(slash - path))
                         : brew_strdup(".");
}

static int open_model(brew_run_parts *run, brew_err *err) {
    const brew_run_options *o = run->options;
    char *path = o->init ? init_dir(o->init, err) : brew_strdup(o->model);
    run->dir = path ? brew_modeldir_open(path, err) : NULL;
    free(path);
    if (!run->dir || brew_config_read(&run->config, run->dir, err)) return -1;
    brew_source_id_read(&run->model, run->dir);
    brew_json *config = brew_export_config(run->dir, err); // what could not be written at the end
    if (!config) return -1;
    brew_json_free(config);
    int choice = o->init && !o->precision ? 1 : o->precision; // nothing is stored yet: f32
    enum brew_precision wanted = brew_model_precision(choice, &run->config, run->dir);
    run->be = brew_backend_open(o->kernel, wanted, o->pool, err);
    if (!run->be) return -1;
    tell(run, o->note, "%s, kernels %s, precision %s, %d threads", run->config.family,
         run->be->level, wanted == BREW_PRECISION_F32 ? "f32" : "bf16", brew_pool_threads(o->pool));
    brew_encode_options encode = {.bos = !o->no_bos,
                                  .specials = o->specials,
                                  .vocab = (size_t)run->config.vocab,
                                  .max_query = o->max_query_tokens,
                                  .max_span = run->config.context,
                                  .fit = (enum brew_fit)o->fit,
                                  .long_texts = true};
    run->encoder = brew_encoder_new(run->dir, brew_pool_threads(o->pool), &encode);
    return 0;
}

static int open_teacher(brew_run_parts *run, brew_err *err) {
    const brew_run_options *o = run->options;
    if (!o->teacher) return 0;
    brew_student student = {run->dir, run->encoder, run->config.vocab};
    run->teacher =
        brew_teacher_look(o->teacher, o->teacher_precision, o->kernel, o->pool, &student, err);
    if (!run->teacher) return -1;
    if (brew_teacher_dir(run->teacher))
        brew_source_id_read(&run->teacher_id, brew_teacher_dir(run->teacher));
    if (brew_teacher_is_stream(run->teacher) && o->mix)
        return brew_fail(err, BREW_USAGE, "a teacher's stream goes with one input, not with --mix");
    tell(run, o->note, "the teacher %s, %s",
         brew_teacher_is_stream(run->teacher) ? "was heard" : "is heard now",
         brew_teacher_arithmetic(run->teacher));
    return brew_run_plan_lessons(run, err);
}

// ---- the data ----

// Standard input to DIR/input, if that is not there from an earlier start.
static int spool(const char *dir, const char *path, brew_err *err) {
    struct stat st;
    if (!stat(path, &st)) return 0;
    if (mkdir(dir, 0777) && errno != EEXIST)
        return brew_fail_errno(err, BREW_CANTCREATE, "%s: cannot create", dir);
    brew_in *in = brew_in_open("-", err);
    brew_out *out = in ? brew_out_open(path, BREW_OUT_BINARY, err) : NULL;
    char *bytes = brew_alloc(1 << 18);
    ssize_t got = out ? 1 : -1;
    while (got > 0 && (got = brew_in_read(in, bytes, 1 << 18, err)) > 0)
        if (brew_out_write(out, bytes, (size_t)got, err)) got = -1;
    free(bytes);
    brew_in_close(in);
    if (!got) return brew_out_commit(out, err);
    brew_out_abandon(out);
    return -1;
}

// Of several ranks the first, which has it.
static int spool_once(brew_run_parts *run, brew_err *err) {
    const char *dir = run->options->spool;
    brew_ranks *ranks = run->options->ranks;
    brew_buf path = {0};
    if (!dir) return 0;
    brew_buf_addf(&path, "%s/input", dir);
    run->spooled = path.ptr;
    return brew_ranks_agree(ranks, brew_ranks_me(ranks) ? 0 : spool(dir, path.ptr, err), err);
}

// What several ranks read must be there for each of them.
static int check_files(const brew_run_parts *run, const brew_data_input *inputs, size_t n,
                       brew_err *err) {
    struct stat st;
    for (size_t i = 0; brew_ranks_n(run->options->ranks) > 1 && i < n; i++)
        if (!stat(inputs[i].path, &st) && !S_ISREG(st.st_mode))
            return brew_fail(err, BREW_USAGE, "%s: several ranks read only files", inputs[i].path);
    return 0;
}

// FILE:WEIGHT
static int split_mix(const char *text, brew_data_input *input, char **path, brew_err *err) {
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text ||
        !brew_parse_double(colon + 1, strlen(colon + 1), &input->weight) || input->weight <= 0)
        return brew_fail(err, BREW_USAGE, "--mix takes inputs as FILE:WEIGHT, weights above 0");
    input->path = *path = brew_strndup(text, (size_t)(colon - text));
    return 0;
}

static brew_data_options data_options(const brew_run_parts *run) {
    const brew_run_options *o = run->options;
    int64_t context = run->config.context;
    if (run->teacher && brew_teacher_context(run->teacher) < context)
        context = brew_teacher_context(run->teacher);
    bool texts = run->job.objective.lm != 0;
    return (brew_data_options){
        .reading = {.pool = o->pool,
                    .encoder = run->encoder,
                    .texts = texts,
                    .vocab = (size_t)run->config.vocab,
                    .context = context,
                    .max_query = o->max_query_tokens,
                    .fit = (enum brew_fit)o->fit},
        .seed = (uint64_t)o->seed,
        .reject = o->reject,
        .arg = o->arg,
    };
}

static int check_count(const brew_run_parts *run, brew_err *err) {
    const brew_data_facts *facts = brew_data_get_facts(run->job.data);
    uint64_t read = facts->requests + facts->rejected;
    int64_t expect = run->options->expect;
    if (expect < 0 || (facts->known && read == (uint64_t)expect)) return 0;
    if (!facts->known)
        return brew_fail(err, BREW_USAGE, "--expect: a pipe in stream order is not counted first");
    return brew_fail(err, BREW_DATA, "%" PRIu64 " records, %" PRId64 " expected", read, expect);
}

static int open_data(brew_run_parts *run, brew_err *err) {
    const brew_run_options *o = run->options;
    brew_data_input *inputs = brew_calloc(o->n_inputs + 1, sizeof *inputs);
    char **paths = brew_calloc(o->n_inputs + 1, sizeof *paths);
    size_t n = o->n_inputs ? o->n_inputs : 1;
    int rc = spool_once(run, err);
    inputs[0] = (brew_data_input){"-", 1};
    for (size_t i = 0; !rc && i < o->n_inputs; i++) {
        inputs[i] = (brew_data_input){o->inputs[i], 1};
        if (o->mix) rc = split_mix(o->inputs[i], inputs + i, paths + i, err);
    }
    if (run->spooled) inputs[0].path = run->spooled;
    brew_data_options options = data_options(run);
    options.shuffle = o->order == 1;
    options.epochs = o->steps || o->tokens ? 0 : o->epochs ? o->epochs : 1;
    options.role = "records";
    if (run->teacher && brew_teacher_is_stream(run->teacher)) options.teacher = o->teacher;
    if (!rc) rc = check_files(run, inputs, n, err);
    if (!rc) run->job.data = brew_data_open(inputs, n, &options, err);
    for (size_t i = 0; i < n; i++) free(paths[i]); // the data keep copies of their own
    free(paths);
    free(inputs);
    return run->job.data ? check_count(run, err) : -1;
}

static int open_valid(brew_run_parts *run, brew_err *err) {
    if (!run->options->valid) return 0;
    brew_data_options options = data_options(run);
    brew_data_input input = {run->options->valid, 1};
    options.hold = true;
    options.role = "valid";
    run->job.valid = brew_data_open(&input, 1, &options, err);
    return run->job.valid ? 0 : -1;
}

// ---- the plan ----

// The largest micro-batch to be expected.
struct micro_size {
    int64_t rows, reads, labels;
};

static struct micro_size micro_size(const brew_run_parts *run) {
    const brew_data_facts *facts = brew_data_get_facts(run->job.data);
    const brew_data_facts *valid = run->job.valid ? brew_data_get_facts(run->job.valid) : facts;
    int64_t rows = run->job.micro_tokens, ranks = brew_ranks_n(run->options->ranks);
    int64_t longest = facts->longest > valid->longest ? facts->longest : valid->longest;
    int64_t share = longest * ((run->job.batch + ranks - 1) / ranks); // of a batch, at most
    if (facts->known && share < rows) rows = share;
    if (longest > rows) rows = longest;
    double answer_share = fmax(facts->answer_share, valid->answer_share);
    double lm = run->job.objective.lm != 0;
    int64_t reads = (int64_t)ceil((answer_share + lm) * (double)rows) + 1;
    double label_share = fmax(facts->label_share, valid->label_share);
    double top = share * (double)run->job.objective.topk;
    int64_t labels = (int64_t)ceil((label_share + top + lm) * (double)rows) + 1;
    return (struct micro_size){rows, reads, labels};
}

static void plan_learner(const brew_run_parts *run, brew_plan *plan) {
    const brew_data_facts *facts = brew_data_get_facts(run->job.data);
    struct micro_size size = micro_size(run);
    brew_learner_plan p;
    brew_learner_plan_bytes(&run->config, run->be->precision, &run->learner, size.rows, size.reads,
                            size.labels, &p);
    brew_plan_add(plan, "weights", p.weights);
    brew_plan_add(plan, "gradients", p.gradients);
    brew_plan_add(plan, "moments", p.moments);
    brew_plan_add(plan, "operands", p.operands);
    brew_plan_add(plan, "activations", p.activations);
    brew_plan_add(plan, "scratch", p.scratch);
    if (run->teacher) brew_plan_add(plan, "teacher", brew_teacher_bytes(run->teacher, size.rows));
    brew_plan_add(plan, "lessons", brew_run_lesson_bytes(run, size.rows, size.reads));
    brew_plan_add(plan, "requests",
                  facts->bytes + (run->job.valid ? brew_data_get_facts(run->job.valid)->bytes : 0));
}

// Refuses what memory does not do; writes the sum to text.
static int check_plan(const brew_run_parts *run, brew_buf *text, brew_err *err) {
    brew_plan plan = {0};
    int here, ignored;
    plan_learner(run, &plan);
    brew_plan_write(&plan, text);
    if (brew_ranks_places(run->options->ranks, &here, &ignored, err)) return -1;
    if (here > 1) brew_buf_addf(text, ", for each of %d ranks,", here);
    if (plan.total <= run->memory / (size_t)here) return 0;
    return brew_fail(err, BREW_USAGE,
                     "too large for %.3g GB of memory: %s; smaller --micro-tokens, --recompute "
                     "layer, --freeze-embedding or --lora take less",
                     (double)run->memory / 1e9, text->ptr);
}

static void say_plan(const brew_run_parts *run, const char *sum) {
    const brew_run_options *o = run->options;
    const brew_data_facts *facts = brew_data_get_facts(run->job.data);
    double parameters = (double)brew_config_parameters(&run->config) / 1e6;
    if (facts->known)
        tell(run, o->say,
             "%.1f M parameters; %" PRIu64 " requests with %" PRIu64 " items, %" PRIu64
             " tokens; %" PRId64 " steps of %" PRId64,
             parameters, facts->requests, facts->items, facts->tokens, run->job.schedule.steps,
             o->batch);
    else
        tell(run, o->say, "%.1f M parameters; requests from a pipe, %" PRId64 " a step", parameters,
             o->batch);
    tell(run, o->say, "memory: %s%s of %.3g GB, micro-batches of %" PRId64 " tokens",
         facts->known ? "" : "at least ", sum, (double)run->memory / 1e9, o->micro_tokens);
}

// ---- the end ----

static const char *dtype_word(const brew_run_options *o) {
    static const char *const words[] = {"float32", "bfloat16", "float16"};
    return words[o->save_dtype];
}

static brew_json *config_changes(const brew_run_parts *run, brew_err *err) {
    brew_json *config = brew_export_config(run->dir, err);
    if (!config) return NULL;
    brew_json *changes = brew_json_new_object();
    const char *key = brew_json_get(config, "dtype") ? "dtype" : "torch_dtype";
    const char *word = dtype_word(run->options);
    brew_json_set(changes, key, brew_json_new_string(word, strlen(word)));
    bool tied = brew_learner_config(run->job.learner)->tied;
    brew_json_set(changes, "tie_word_embeddings", brew_json_new_bool(tied));
    if (brew_json_get(config, "quantization_config")) // what is written no longer is
        brew_json_set(changes, "quantization_config", brew_json_parse("null", 4, err));
    brew_json_free(config);
    return changes;
}

static int publish(brew_run_parts *run, const brew_train_result *result, brew_err *err) {
    static const enum brew_dtype dtypes[] = {BREW_F32, BREW_BF16, BREW_F16};
    brew_json *changes = config_changes(run, err), *chain, *facts;
    if (!changes) return -1;
    chain = brew_run_provenance(run);
    facts = brew_json_new_object();
    brew_json_set(facts, "step", brew_json_new_int(result->step));
    brew_json_set(facts, "updates", brew_json_new_int(result->updates));
    brew_json_set(facts, "requests", brew_json_new_int((int64_t)result->requests));
    brew_json_set(facts, "tokens", brew_json_new_int((int64_t)result->tokens));
    if (result->best_step) brew_json_set(facts, "best_step", brew_json_new_int(result->best_step));
    brew_export model = {.from = run->dir, .config = changes, .provenance = chain};
    brew_json *adapter = run->learner.lora.rank && !run->options->merge
                             ? brew_lora_config(&run->learner.lora, run->options->model)
                             : NULL;
    model.adapter = adapter;
    brew_store_export(run->job.learner, dtypes[run->options->save_dtype], &model);
    int rc = brew_rundir_finish(run->job.dir, &model, facts, err);
    free((void *)(uintptr_t)model.tensors);
    brew_json_free(adapter);
    brew_json_free(changes);
    brew_json_free(chain);
    brew_json_free(facts);
    return rc;
}

static int train(brew_run_parts *run, brew_train_result *result, brew_err *err) {
    const brew_run_options *o = run->options;
    brew_buf log = {0};
    run->job.learner = brew_learner_open(run->dir, run->be, &run->learner, err);
    if (!run->job.learner || (run->teacher && brew_teacher_load(run->teacher, err))) return -1;
    struct micro_size size = micro_size(run);
    if (brew_learner_reserve(run->job.learner, size.rows, size.reads, size.labels, err)) return -1;
    run->job.teacher = run->teacher ? brew_teacher_model(run->teacher) : NULL;
    run->job.teacher_ids = run->teacher ? brew_teacher_ids(run->teacher) : NULL;
    if (o->log)
        brew_buf_adds(&log, o->log);
    else
        brew_buf_addf(&log, "%s/metrics.jsonl", brew_rundir_path(run->job.dir));
    run->job.log_path = log.ptr;
    int rc = brew_train(&run->job, result, err);
    if (!rc && !brew_ranks_me(o->ranks)) rc = publish(run, result, err);
    brew_buf_release(&log);
    return rc;
}

static int open_run(brew_run_parts *run, const char *sum, brew_train_result *result,
                    brew_err *err) {
    run->identity = brew_run_identity(run);
    int finished = brew_run_open_dir(run, err);
    if (finished < 0) return -1;
    if (finished) {
        tell(run, run->options->say, "%s: is finished", brew_rundir_path(run->job.dir));
        return 0;
    }
    say_plan(run, sum);
    return train(run, result, err);
}

static int run_all(brew_run_parts *run, brew_train_result *result, brew_err *err) {
    int rc = brew_run_check(run, err) || open_model(run, err) || open_teacher(run, err) ||
                     open_data(run, err) || open_valid(run, err) || brew_run_count_steps(run, err)
                 ? -1
                 : 0;
    if (brew_ranks_agree(run->options->ranks, rc, err)) return -1;
    brew_buf sum = {0};
    rc = check_plan(run, &sum, err);
    if (!rc) rc = open_run(run, sum.ptr, result, err);
    brew_buf_release(&sum);
    return rc;
}

int brew_run(const brew_run_options *options, brew_train_result *result, brew_err *err) {
    brew_run_parts run = {.options = options};
    *result = (brew_train_result){.loss = NAN};
    int rc = brew_ranks_agree(options->ranks, run_all(&run, result, err), err);
    if (run.job.data && options->accept)
        options->accept(options->arg, brew_data_get_facts(run.job.data)->requests);
    close_all(&run);
    return rc;
}
