#include "train/share.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

static int add_terms(brew_ranks *ranks, brew_terms *terms, size_t n, brew_err *err) {
    return brew_ranks_add(ranks, (double *)terms, n * (sizeof *terms / sizeof(double)), err);
}

enum { PART = 1 << 20 }; // floats

static int compare_weights(const brew_share *share, float *part, brew_err *err) {
    int64_t n = brew_learner_n_learning(share->learner), parts = (n + PART - 1) / PART;
    int64_t at = share->step % parts * PART, count = n - at < PART ? n - at : PART;
    brew_learner_get_part(share->learner, BREW_VALUES, at, count, part);
    uint64_t hash = brew_hash64(part, (size_t)count * sizeof *part, 0);
    return brew_ranks_compare(share->ranks, &hash, sizeof hash, "weights", err);
}

static int add_gradients(const brew_share *share, brew_err *err) {
    brew_learner *learner = share->learner;
    int64_t n = brew_learner_n_learning(learner);
    float *part = brew_alloc(PART * sizeof *part);
    int rc = compare_weights(share, part, err);
    for (int64_t at = 0; !rc && at < n; at += PART) {
        int64_t count = n - at < PART ? n - at : PART;
        brew_learner_get_part(learner, BREW_GRADIENTS, at, count, part);
        rc = brew_ranks_add_floats(share->ranks, part, (size_t)count, err);
        brew_learner_set_gradients(learner, at, count, part);
    }
    free(part);
    return rc;
}

int brew_share_run(const brew_share *share, const brew_batch *batch, const brew_engine_step *step,
                   brew_terms *total, brew_terms *tasks, brew_err *err) {
    brew_ranks *ranks = share->ranks;
    if (brew_ranks_n(ranks) == 1)
        return brew_engine_run(share->engine, batch, step, total, tasks, err);
    brew_engine_step mine = *step;
    brew_terms terms = {0};
    mine.rank = brew_ranks_me(ranks);
    mine.ranks = brew_ranks_n(ranks);
    int rc = brew_engine_run(share->engine, batch, &mine, &terms, tasks, err);
    if (!rc && step->stop && *step->stop) rc = 1; // also of a rank without a share
    rc = brew_ranks_agree(ranks, rc, err);
    if (rc) {
        if (step->learn) brew_learner_drop(share->learner);
        return rc;
    }
    if (add_terms(ranks, &terms, 1, err)) return -1;
    if (tasks && add_terms(ranks, tasks, share->n_tasks, err)) return -1;
    brew_terms_add(total, &terms);
    return step->learn ? add_gradients(share, err) : 0;
}
