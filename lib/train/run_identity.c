// What identifies a run, and what is written about it into the model it made.
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "io/provenance.h"
#include "train/run_parts.h"

// ---- models ----

void brew_source_id_read(brew_source_id *id, const brew_modeldir *dir) {
    *id = (brew_source_id){0};
    id->bytes = brew_modeldir_digest(dir, id->sha256);
    size_t len;
    const char *chain = brew_modeldir_file(dir, "brew.json", &len);
    brew_err ignored; // a file of that name by somebody else
    if (chain) id->chain = brew_json_parse(chain, len, &ignored);
    if (id->chain && brew_provenance_check(id->chain, &ignored)) brew_source_id_release(id);
}

void brew_source_id_release(brew_source_id *id) {
    brew_json_free(id->chain);
    id->chain = NULL;
}

// ---- arguments ----

static const char *const
    objectives[] = {"answer", "lm"},
    *const overs[] = {"labels", "vocab"}, *const schedules[] = {"constant", "cosine", "wsd"},
    *const orders[] = {"stream", "shuffle"}, *const dtypes[] = {"f32", "bf16", "f16"},
    *const divergences[] = {"fkl", "rkl", "jsd", "skew"}, *const fits[] = {"reject", "oldest"};

static void put_word(brew_json *to, const char *key, const char *word) {
    brew_json_set(to, key, brew_json_new_string(word, strlen(word)));
}

static void put_int(brew_json *to, const char *key, int64_t value) {
    if (value) brew_json_set(to, key, brew_json_new_int(value));
}

static void put_real(brew_json *to, const char *key, double value) {
    if (value != 0) brew_json_set(to, key, brew_json_new_real(value));
}

static void put_flag(brew_json *to, const char *key, bool value) {
    if (value) brew_json_set(to, key, brew_json_new_bool(true));
}

static void put_lessons(brew_json *to, const brew_run_parts *run) {
    static const char *const rows[] = {"",   "items",    "history",    "items,history",
                                       "lm", "items,lm", "history,lm", "items,history,lm"};
    const brew_run_options *o = run->options;
    brew_buf map = {0};
    if (o->kd_vocab) put_word(to, "kd-vocab", rows[run->job.objective.kd_vocab]);
    put_int(to, "topk", o->topk);
    if (o->hidden == 0) return;
    put_real(to, "hidden", o->hidden);
    put_word(to, "hidden-rows", o->hidden_rows ? "answers" : "all");
    for (size_t i = 0; i < run->map.n; i++)
        brew_buf_addf(&map, "%s%lld:%lld", i ? "," : "", (long long)run->map.pairs[i].student,
                      (long long)run->map.pairs[i].teacher);
    put_word(to, "hidden-map", map.ptr);
    brew_buf_release(&map);
}

static void put_lora(brew_json *to, const brew_run_parts *run) {
    const brew_lora *lora = &run->learner.lora;
    if (!lora->rank) return;
    brew_buf targets = {0};
    brew_lora_write_targets(lora->targets, &targets);
    put_int(to, "lora", lora->rank);
    put_real(to, "lora-alpha", lora->alpha);
    put_word(to, "lora-targets", targets.ptr);
    put_flag(to, "merge", run->options->merge);
    brew_buf_release(&targets);
}

// Those that affect the result, under the names of their options; those that are 0 or off are left out.
static void put_arguments(brew_json *to, const brew_run_parts *run) {
    const brew_run_options *o = run->options;
    put_word(to, "objective", objectives[o->objective]);
    put_word(to, "over", overs[o->over]);
    put_real(to, "history-weight", o->history_weight);
    put_real(to, "lm-weight", o->lm_weight);
    put_int(to, "steps", o->steps);
    put_int(to, "epochs", o->epochs);
    put_int(to, "tokens", o->tokens);
    put_int(to, "batch", o->batch);
    put_int(to, "ranks", brew_ranks_n(o->ranks) > 1 ? brew_ranks_n(o->ranks) : 0);
    put_int(to, "micro-tokens", o->micro_tokens);
    put_real(to, "lr", o->lr);
    put_real(to, "lr-min", o->lr_min);
    put_word(to, "schedule", schedules[o->schedule]);
    put_int(to, "warmup", o->warmup);
    put_int(to, "decay", o->decay);
    put_word(to, "betas", o->betas);
    put_real(to, "eps", o->eps);
    put_real(to, "weight-decay", o->weight_decay);
    put_real(to, "clip", o->clip);
    put_real(to, "spike", o->spike);
    put_int(to, "max-skipped", o->max_skipped);
    put_flag(to, "freeze-embedding", o->freeze_embedding);
    put_lora(to, run);
    put_word(to, "order", orders[o->order]);
    put_int(to, "valid-every", o->valid_every);
    put_int(to, "patience", o->patience);
    put_flag(to, "no-bos", o->no_bos);
    put_flag(to, "specials", o->specials);
    put_int(to, "max-query-tokens", o->max_query_tokens);
    put_word(to, "fit", fits[o->fit]);
    put_word(to, "save-dtype", dtypes[o->save_dtype]);
    put_flag(to, "init", o->init != NULL);
    if (o->teacher) {
        put_word(to, "alpha", o->alpha);
        put_word(to, "tau", o->tau);
        put_word(to, "div", divergences[o->divergence]);
        if (o->divergence >= 2) put_real(to, "skew", o->skew_beta);
        put_lessons(to, run);
        put_word(to, "teacher-arithmetic", brew_teacher_arithmetic(run->teacher));
    }
    for (size_t i = 0; o->mix && i < o->n_inputs; i++) {
        const char *colon = strrchr(o->inputs[i], ':');
        char key[32];
        snprintf(key, sizeof key, "weight-%zu", i + 1);
        if (colon) put_word(to, key, colon + 1);
    }
    put_word(to, "precision", run->be->precision == BREW_PRECISION_F32 ? "f32" : "bf16");
    put_word(to, "kernel", run->be->level);
}

brew_json *brew_run_identity(const brew_run_parts *run) {
    brew_json *json = brew_json_new_object();
    put_word(json, "tool", run->options->tool);
    put_arguments(json, run);
    brew_json_set(json, "seed", brew_json_new_int(run->options->seed));
    brew_json *model = brew_json_new_array(); // digests are told apart from options by their type
    brew_json_push(model, brew_json_new_string(run->model.sha256, 64));
    brew_json_set(json, "model", model);
    brew_json_set(json, "records", brew_data_identity(run->job.data));
    if (run->job.valid) brew_json_set(json, "valid", brew_data_identity(run->job.valid));
    if (run->teacher) {
        // In memory or from a stream, it says the same.
        brew_json *teacher = brew_json_new_array();
        const char *digest = brew_teacher_digest(run->teacher);
        brew_json_push(teacher, brew_json_new_string(digest, strlen(digest)));
        brew_json_set(json, "teacher", teacher);
    }
    return json;
}

brew_json *brew_run_provenance(const brew_run_parts *run) {
    brew_json *chain = brew_json_new_array(), *arguments = brew_json_new_object();
    put_arguments(arguments, run);
    int64_t model_from = brew_provenance_join(chain, run->model.chain);
    int64_t teacher_from = brew_provenance_join(chain, run->teacher_id.chain);
    brew_data_join(run->job.data, chain);
    if (run->job.valid) brew_data_join(run->job.valid, chain);
    brew_json *entry = brew_provenance_add(chain, run->options->tool, run->options->version,
                                           arguments, run->options->seed);
    brew_provenance_input(entry, "model", run->model.sha256, run->model.bytes, model_from);
    if (run->teacher)
        brew_provenance_input(entry, "teacher", brew_teacher_digest(run->teacher),
                              run->teacher_id.bytes, teacher_from);
    brew_data_provenance(run->job.data, entry);
    if (run->job.valid) brew_data_provenance(run->job.valid, entry);
    return chain;
}
