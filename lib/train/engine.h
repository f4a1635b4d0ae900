// One step's loss and its gradients: a global batch of requests, micro-batch by micro-batch.
//
//     L = items + w_h history + w_l lm + w_m hidden
//     items, history, lm = (1 - alpha) CE + alpha tau^2 D   (D only where there is a teacher; of lm only
//                                                            over the vocabulary, if it is asked for)
//     hidden = how far hidden states are from the teacher's (train/hidden.h), at all rows of requests of which
//              something is read, or at the answers among them
//
// Each mean is over the rows of that kind in the whole batch, weighted by the records' weights: the
// denominators are known before the first backward pass, so neither accumulation nor micro-batches show.
//
//     items     CE at the items' last rows whose target is known; D at all of them, over labels and the rest,
//               or over the vocabulary
//     history   the same at the rows before the past answers
//     lm        next-token loss over the vocabulary at every row that has a next token: those of the
//               query; of the items; and the query's last row, once for each item
//
// In the `lm` objective alone, a document is a request without items.
#ifndef BREW_TRAIN_ENGINE_H
#define BREW_TRAIN_ENGINE_H

#include <signal.h>
#include <stdbool.h>

#include "model/learner.h"
#include "model/model.h"
#include "train/batch.h"
#include "train/hidden.h"
#include "train/loss.h"

typedef struct brew_objective {
    double items, history, lm; // weights of the terms; 0: not computed
    bool vocab;                // CE over the vocabulary, not over the labels
    bool distil;
    enum brew_divergence divergence;
    double skew_beta;
    int64_t topk; // D is over labels, so many likeliest of the teacher's other tokens, and the rest
    unsigned kd_vocab; // bits, 1 << BREW_ITEMS ..: where D is over the vocabulary
    double hidden;     // weight of the term; 0: not computed
    bool hidden_all;
    const brew_hidden_map *map; // of hidden; borrowed
} brew_objective;

// Sums over rows and their weights, by kind: enough for every mean.
enum brew_term {
    BREW_ITEMS,
    BREW_HISTORY,
    BREW_LM,
    BREW_ITEMS_KD,
    BREW_HISTORY_KD,
    BREW_LM_KD,
    BREW_HIDDEN,
    BREW_TERMS
};
typedef struct brew_terms {
    double sum[BREW_TERMS], weight[BREW_TERMS];
} brew_terms;
double brew_terms_mean(const brew_terms *terms, enum brew_term term); // NaN if there is none
void brew_terms_add(brew_terms *to, const brew_terms *from);
// L; terms without rows are 0.
double brew_terms_loss(const brew_terms *terms, const brew_objective *objective, double alpha);

typedef struct brew_engine brew_engine;

// teacher: a model in memory, or NULL if there is none or batches are taught already. What is given stays
// the caller's. A request of more than micro_tokens tokens is a micro-batch of its own.
brew_engine *brew_engine_new(brew_learner *learner, brew_model *teacher,
                             const brew_objective *objective, int64_t micro_tokens);
// The teacher's id of each of the learner's, whose vocabulary was cut since; NULL: they are the same.
void brew_engine_teacher_ids(brew_engine *engine, const int32_t *ids);
void brew_engine_free(brew_engine *engine);

typedef struct brew_engine_step {
    bool learn;                        // gradients are wanted: they add up in the learner
    double alpha, tau;                 // with a teacher
    const volatile sig_atomic_t *stop; // NULL, or looked at between micro-batches
    // Of several ranks (train/ranks.h), each computes the requests rank, rank + ranks, ... of a batch that all have;
    // the denominators are those of the whole batch. ranks 0 is 1.
    int rank, ranks;
} brew_engine_step;

// 0; 1 if stop became true, when the gradients are forgotten and the results nothing; -1 on an error. total and
// the tasks' terms [n_tasks] (NULL: not wanted) are added to. Losses that are not finite are no error.
int brew_engine_run(brew_engine *engine, const brew_batch *batch, const brew_engine_step *step,
                    brew_terms *total, brew_terms *tasks, brew_err *err);

#endif
