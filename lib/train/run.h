// A whole training run, from the command line's words to a model on disk: what brew-train and brew-distill
// are.
//
// Opens the model, the data, the directory; adds up the memory; trains (train/trainer.h); publishes. The
// same options on the same directory go on where the run stopped, and do nothing when it is finished.
//
// With ranks (train/ranks.h) all of them call with the same options, see the same files, and return the same.
#ifndef BREW_TRAIN_RUN_H
#define BREW_TRAIN_RUN_H

#include <stdbool.h>

#include "train/trainer.h"

enum brew_run_objective { BREW_OBJECTIVE_ANSWER, BREW_OBJECTIVE_LM };

typedef struct brew_run_options {
    const char *tool, *version; // for the provenance
    brew_pool *pool;
    brew_ranks *ranks;  // or NULL
    const char *kernel; // level, or NULL
    int64_t seed;
    char **inputs; // paths; with mix, PATH:WEIGHT
    size_t n_inputs;
    // Paths; NULL where an option was not given.
    const char *model, *init, *out, *log, *valid, *spool, *teacher, *memory;
    bool mix;
    // Choices, by the place of their word in the option's list.
    int objective;                    // answer|lm
    int over;                         // labels|vocab
    int schedule;                     // constant|cosine|wsd
    int order;                        // stream|shuffle
    int precision, teacher_precision; // auto|f32|bf16
    int save_dtype;                   // f32|bf16|f16
    int recompute;                    // none|mlp|layer
    int divergence;                   // fkl|rkl|jsd|skew
    int fit;                          // reject|oldest
    int hidden_rows;                  // all|answers
    // Numbers. What is 0 or less where that makes no sense takes its default.
    int64_t steps, epochs, tokens, batch, micro_tokens, warmup, decay;
    int64_t valid_every, patience, save_every, keep, max_skipped, max_query_tokens;
    int64_t expect; // records; below 0: any number
    double lr, lr_min, eps, weight_decay, clip, history_weight, lm_weight, spike, save_minutes;
    double skew_beta, hidden;
    const char *betas, *alpha, *tau; // "0.9,0.999", "0.5" or "1:0.5"
    const char *hidden_map;          // "1:2,2:4", NULL: as the student was cut
    const char *kd_vocab;            // "items,history,lm"
    int64_t topk;                    // likeliest tokens of the teacher's, compared one by one
    int64_t lora;                    // rank of adapters, 0: none
    double lora_alpha;               // 0: twice the rank
    const char *lora_targets;        // "q_proj,v_proj", NULL: all
    bool merge;                      // adapters into the model that is written
    bool freeze_embedding, no_bos, specials;
    // Calls back.
    const volatile sig_atomic_t *stop;
    brew_reject_fn *reject;
    void (*accept)(void *arg, uint64_t requests); // so many were sound
    void (*report)(void *arg, const brew_train_report *report);
    void (*say)(void *arg, const char *text);  // always of interest: the plan, going on
    void (*note)(void *arg, const char *text); // of interest to those who ask
    void *arg;
} brew_run_options;

void brew_run_defaults(brew_run_options *options);

// 0 done, or was done before (result->step 0); 1 stopped, to go on with the same options; -1 on an error.
int brew_run(const brew_run_options *options, brew_train_result *result, brew_err *err);

#endif
