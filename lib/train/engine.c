#include "train/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/hearing.h"
#include "train/vocab_kd.h"

// A row that is read, and why.
struct read {
    enum brew_term term; // BREW_ITEMS, BREW_HISTORY or BREW_LM
    size_t answer;       // of the micro-batch; not for BREW_LM
    int32_t task;
    bool known, taught; // whether there is a target, and a teacher
};

struct brew_engine {
    brew_learner *learner;
    brew_model *teacher;
    brew_objective objective;
    int64_t micro_tokens;
    brew_batch micro;
    brew_reads reads;
    struct read *list; // as reads
    brew_read_result result;
    brew_hearing hearing; // the teacher's words about the micro-batch
    brew_hearing_wish wish;
    brew_matcher matcher;
    brew_hidden_at *at;              // rows that count there
    brew_cut_head cut;               // the teacher's, with the student's vocabulary
    brew_vocab_row *whole;           // rows compared over the vocabulary, each once
    int64_t *place;                  // [M] of a row: its read, or its place in `whole`; -1: none
    float *d_logits, *d_rest, *said; // said: one answer's logits by the teacher
    int32_t *ids;                    // one answer's labels, and the teacher's likeliest tokens
    size_t ids_cap, said_cap;
    size_t list_cap, at_cap, whole_cap, place_cap, logits_cap, rest_cap;
};

brew_engine *brew_engine_new(brew_learner *learner, brew_model *teacher,
                             const brew_objective *objective, int64_t micro_tokens) {
    brew_engine *e = brew_calloc(1, sizeof *e);
    e->learner = learner;
    e->teacher = teacher;
    e->objective = *objective;
    e->micro_tokens = micro_tokens;
    e->matcher.map = objective->map;
    size_t pairs = objective->hidden != 0 ? objective->map->n : 0;
    int64_t *layers = brew_calloc(pairs + 1, sizeof *layers);
    for (size_t i = 0; i < pairs; i++) layers[i] = objective->map->pairs[i].teacher;
    if (objective->kd_vocab) layers[pairs] = brew_model_config(teacher)->layers; // to its logits
    e->wish = (brew_hearing_wish){.layers = layers,
                                  .n_layers = pairs + (objective->kd_vocab != 0),
                                  .topk = objective->distil ? objective->topk : 0,
                                  .all_rows = (pairs && objective->hidden_all) ||
                                              objective->kd_vocab >> BREW_LM & 1};
    return e;
}

void brew_engine_teacher_ids(brew_engine *e, const int32_t *ids) {
    e->wish.ids = ids;
}

void brew_engine_free(brew_engine *e) {
    if (!e) return;
    brew_batch_release(&e->micro);
    brew_reads_release(&e->reads);
    brew_read_result_release(&e->result);
    brew_hearing_release(&e->hearing);
    brew_matcher_release(&e->matcher);
    brew_cut_head_release(&e->cut);
    free((void *)(uintptr_t)e->wish.layers);
    free(e->list);
    free(e->at);
    free(e->whole);
    free(e->place);
    free(e->said);
    free(e->ids);
    free(e->d_logits);
    free(e->d_rest);
    free(e);
}

// ---- means ----

double brew_terms_mean(const brew_terms *terms, enum brew_term term) {
    return terms->weight[term] > 0 ? terms->sum[term] / terms->weight[term] : NAN;
}

void brew_terms_add(brew_terms *to, const brew_terms *from) {
    for (int i = 0; i < BREW_TERMS; i++) {
        to->sum[i] += from->sum[i];
        to->weight[i] += from->weight[i];
    }
}

static double part(const brew_terms *terms, enum brew_term term, double weight) {
    return weight != 0 && terms->weight[term] > 0 ? weight * terms->sum[term] / terms->weight[term]
                                                  : 0;
}

// What a mean is multiplied with in the loss.
static double factor(const brew_objective *o, enum brew_term term, double alpha) {
    double ce = o->distil ? 1 - alpha : 1, kd = o->distil ? alpha : 0;
    bool lm_kd = o->kd_vocab >> BREW_LM & 1;
    switch (term) {
    case BREW_ITEMS:
        return ce * o->items;
    case BREW_HISTORY:
        return ce * o->history;
    case BREW_LM:
        return lm_kd ? ce * o->lm : o->lm;
    case BREW_LM_KD:
        return lm_kd ? kd * o->lm : 0;
    case BREW_ITEMS_KD:
        return kd * o->items;
    case BREW_HISTORY_KD:
        return kd * o->history;
    default:
        return o->hidden;
    }
}

double brew_terms_loss(const brew_terms *terms, const brew_objective *objective, double alpha) {
    double loss = 0;
    for (int i = 0; i < BREW_TERMS; i++)
        loss += part(terms, (enum brew_term)i, factor(objective, (enum brew_term)i, alpha));
    return loss;
}

// ---- which rows are read ----

static enum brew_term kd_of(enum brew_term term) {
    return term == BREW_ITEMS ? BREW_ITEMS_KD : term == BREW_HISTORY ? BREW_HISTORY_KD : BREW_LM_KD;
}

// Calls for each answer of request r that matters; true if the row is to be read.
static bool answer_matters(const brew_engine *e, const brew_star *star, size_t r, size_t a,
                           struct read *read) {
    bool item = a - (size_t)star->answer_splits[r] < brew_star_items(star, r);
    read->term = item ? BREW_ITEMS : BREW_HISTORY;
    read->answer = a;
    read->known = star->targets[a] >= 0;
    read->taught = e->objective.distil;
    double weight = item ? e->objective.items : e->objective.history;
    return weight != 0 && star->weights[a] > 0 && (read->known || read->taught);
}

static int64_t lm_rows(const brew_star *star, size_t r) {
    int64_t first = star->requests[r], tokens = 0;
    int64_t query = brew_star_query_len(star, r);
    if (query) tokens = query - 1;
    for (int64_t s = first + 1; s < star->requests[r + 1]; s++)
        tokens += star->segments[s + 1] - star->segments[s] - !query;
    return tokens;
}

// How many hidden states of request r are matched, if `answers` of its rows and `others` are read.
static double matched(const brew_engine *e, const brew_star *star, size_t r, int64_t answers,
                      int64_t others) {
    const brew_objective *o = &e->objective;
    int64_t rows = star->segments[star->requests[r + 1]] - star->segments[star->requests[r]];
    double sum = 0;
    if (!o->hidden_all) rows = answers;
    for (size_t p = 0; answers + others && o->hidden != 0 && p < o->map->n; p++) {
        bool last = o->map->pairs[p].student == brew_learner_config(e->learner)->layers;
        sum += (double)(last ? answers : rows);
    }
    return sum;
}

// The weight of each kind of row in the batch.
static void weigh(const brew_engine *e, const brew_batch *batch, double *weight) {
    const brew_star *star = &batch->star;
    for (int i = 0; i < BREW_TERMS; i++) weight[i] = 0;
    for (size_t r = 0; r < star->n_requests; r++) {
        struct read read;
        int64_t answers = 0, others = e->objective.lm != 0 ? lm_rows(star, r) : 0;
        for (int64_t a = star->answer_splits[r]; a < star->answer_splits[r + 1]; a++) {
            if (!answer_matters(e, star, r, (size_t)a, &read)) continue;
            answers++;
            if (read.known) weight[read.term] += star->weights[a];
            if (read.taught) weight[kd_of(read.term)] += star->weights[a];
        }
        weight[BREW_LM] += (double)others;
        weight[BREW_LM_KD] += (double)others;
        weight[BREW_HIDDEN] += matched(e, star, r, answers, others);
    }
}

static void add_read(brew_engine *e, const struct read *read, int64_t row, const int32_t *ids,
                     size_t n) {
    BREW_GROW(e->list, e->reads.n + 1, e->list_cap);
    e->list[e->reads.n] = *read;
    brew_reads_add(&e->reads, row, ids, n);
}

static void read_lm(brew_engine *e, const brew_star *star, size_t r, int32_t task) {
    struct read read = {.term = BREW_LM, .task = task};
    int64_t query = brew_star_query_len(star, r);
    for (int64_t s = star->requests[r]; s < star->requests[r + 1]; s++) {
        int64_t from = star->segments[s], end = star->segments[s + 1];
        if (s > star->requests[r] && query)
            add_read(e, &read, star->segments[star->requests[r] + 1] - 1, star->ids + from, 1);
        for (int64_t row = from; row + 1 < end; row++)
            add_read(e, &read, row, star->ids + row + 1, 1);
    }
}

static void read_rows(brew_engine *e) {
    const brew_star *star = &e->micro.star;
    brew_reads_reset(&e->reads);
    e->reads.rest = e->objective.vocab || e->objective.distil || e->objective.lm != 0;
    for (size_t r = 0; r < star->n_requests; r++) {
        struct read read = {.task = e->micro.tasks[r]};
        for (int64_t a = star->answer_splits[r]; a < star->answer_splits[r + 1]; a++) {
            if (!answer_matters(e, star, r, (size_t)a, &read)) continue;
            size_t n = (size_t)brew_star_labels(star, (size_t)a), k = (size_t)e->wish.topk;
            BREW_GROW(e->ids, n + k, e->ids_cap);
            memcpy(e->ids, star->label_ids + star->label_splits[star->answer_set[a]],
                   n * sizeof *e->ids);
            if (k) memcpy(e->ids + n, e->hearing.topk_ids + (size_t)a * k, k * sizeof *e->ids);
            add_read(e, &read, star->answers[a], e->ids, n + k);
        }
        if (e->objective.lm != 0) read_lm(e, star, r, e->micro.tasks[r]);
    }
}

// ---- a micro-batch ----

// What the teacher said of an answer: of its labels and likeliest tokens one by one, and of the rest.
static brew_logits teachers(brew_engine *e, size_t a) {
    const brew_hearing *h = &e->hearing;
    size_t n = (size_t)(h->splits[a + 1] - h->splits[a]), k = (size_t)e->wish.topk;
    const float *labels = h->logits + h->splits[a];
    if (!k) return (brew_logits){n, labels, h->rest[a]};
    BREW_GROW(e->said, n + k, e->said_cap);
    memcpy(e->said, labels, n * sizeof *e->said);
    memcpy(e->said + n, h->topk_logits + a * k, k * sizeof *e->said);
    return (brew_logits){n + k, e->said, h->topk_rest[a]};
}

// One row's losses into terms, and their gradients.
static void lose_row(brew_engine *e, size_t i, const brew_engine_step *step, const double *scales,
                     brew_terms *terms) {
    const struct read *read = e->list + i;
    const brew_star *star = &e->micro.star;
    const brew_objective *o = &e->objective;
    int64_t at = e->reads.splits[i];
    size_t k = (size_t)(e->reads.splits[i + 1] - at), a = read->answer;
    float rest = e->reads.rest ? e->result.rest[i] : -INFINITY;
    brew_logits row = {k, e->result.logits + at, rest};
    brew_logits labels = {k - (read->term == BREW_LM ? 0 : (size_t)e->wish.topk), row.z, -INFINITY};
    float *dz = step->learn ? e->d_logits + at : NULL;
    float *d_rest = step->learn && e->reads.rest ? e->d_rest + i : NULL;
    double scale = scales[read->term];
    if (read->term == BREW_LM) {
        terms->sum[BREW_LM] +=
            brew_loss_vocab(&row, 0, scale, scale != 0 ? dz : NULL, scale != 0 ? d_rest : NULL);
        terms->weight[BREW_LM] += 1;
        return;
    }
    double weight = star->weights[a];
    if (read->known) {
        const uint8_t *positive =
            star->offsets[a] != 0 ? e->micro.positive + e->micro.positive_splits[a] : NULL;
        double loss = o->vocab ? brew_loss_vocab(&row, star->targets[a], scale * weight, dz, d_rest)
                               : brew_loss_labels(&labels, star->targets[a], positive,
                                                  star->offsets[a], scale * weight, dz);
        terms->sum[read->term] += weight * loss;
        terms->weight[read->term] += weight;
    }
    if (read->taught && !(o->kd_vocab >> read->term & 1)) {
        enum brew_term kd = kd_of(read->term);
        brew_logits teacher = teachers(e, a);
        double loss = brew_loss_distil(o->divergence, step->tau, o->skew_beta, &teacher, &row,
                                       scales[kd] * weight, dz, d_rest);
        terms->sum[kd] += weight * loss;
        terms->weight[kd] += weight;
    }
}

static void zero_gradients(brew_engine *e) {
    size_t n = e->reads.n, logits = (size_t)e->reads.splits[n];
    BREW_GROW(e->d_logits, logits, e->logits_cap);
    BREW_GROW(e->d_rest, n, e->rest_cap);
    for (size_t i = 0; i < logits; i++) e->d_logits[i] = 0;
    for (size_t i = 0; i < n; i++) e->d_rest[i] = 0;
}

static void forget_places(brew_engine *e) {
    BREW_GROW(e->place, e->micro.star.n_ids, e->place_cap);
    for (size_t row = 0; row < e->micro.star.n_ids; row++) e->place[row] = -1;
}

static double weight_of(const brew_engine *e, const struct read *read) {
    return read->term == BREW_LM ? 1 : (double)e->micro.star.weights[read->answer];
}

// What is compared over the vocabulary: losses, and the gradients of the head's rows and table.
static int compare_all(brew_engine *e, const brew_engine_step *step, const double *scales,
                       brew_terms *total, brew_terms *tasks, brew_err *err) {
    const brew_objective *o = &e->objective;
    brew_vocab_kd job = {.teacher = brew_model_head(e->teacher),
                         .student = brew_learner_head(e->learner),
                         .stream = e->hearing.streams[e->wish.n_layers - 1],
                         .divergence = o->divergence,
                         .tau = step->tau,
                         .skew_beta = o->skew_beta};
    if (e->wish.ids && !e->cut.rows &&
        brew_cut_head_make(&e->cut, &job.teacher, e->wish.ids, job.student.vocab, err))
        return -1;
    if (e->cut.rows) job.teacher = e->cut.head;
    forget_places(e);
    for (size_t i = 0; i < e->reads.n; i++) {
        const struct read *read = e->list + i;
        int64_t row = e->reads.rows[i], at = e->place[row];
        if (!(o->kd_vocab >> read->term & 1)) continue;
        if (at < 0) {
            BREW_GROW(e->whole, job.n + 1, e->whole_cap);
            e->place[row] = at = (int64_t)job.n++;
            e->whole[at] = (brew_vocab_row){.row = row, .read = (int64_t)i};
        }
        e->whole[at].scale += scales[kd_of(read->term)] * weight_of(e, read);
    }
    job.rows = e->whole;
    if (brew_vocab_kd_run(&job, step->learn, err)) return -1;
    for (size_t i = 0; i < e->reads.n; i++) {
        const struct read *read = e->list + i;
        enum brew_term kd = kd_of(read->term);
        brew_terms terms = {0};
        if (!(o->kd_vocab >> read->term & 1)) continue;
        terms.weight[kd] = weight_of(e, read);
        terms.sum[kd] = terms.weight[kd] * e->whole[e->place[e->reads.rows[i]]].d;
        brew_terms_add(total, &terms);
        if (tasks) brew_terms_add(tasks + read->task, &terms);
    }
    return 0;
}

// The rows of request r whose hidden states count, behind those before.
static size_t match_request(brew_engine *e, size_t r, size_t n) {
    const brew_star *star = &e->micro.star;
    int64_t row = star->segments[star->requests[r]], end = star->segments[star->requests[r + 1]];
    for (; row < end; row++) {
        if (!e->objective.hidden_all && e->place[row] < 0) continue;
        BREW_GROW(e->at, n + 1, e->at_cap);
        e->at[n++] = (brew_hidden_at){.row = row, .read = e->place[row], .task = e->micro.tasks[r]};
    }
    return n;
}

// The term of hidden states, and its gradients for the learner's backward pass.
static void match(brew_engine *e, const brew_engine_step *step, double scale, brew_terms *total,
                  brew_terms *tasks) {
    const brew_star *star = &e->micro.star;
    size_t n = 0, i = 0;
    forget_places(e);
    for (size_t k = 0; k < e->reads.n; k++)
        if (e->list[k].term != BREW_LM) e->place[e->reads.rows[k]] = (int64_t)k;
    for (size_t r = 0; r < star->n_requests; r++) { // of those of which something is read
        int64_t end = star->segments[star->requests[r + 1]];
        size_t first = i;
        while (i < e->reads.n && e->reads.rows[i] < end) i++;
        if (i > first) n = match_request(e, r, n);
    }
    brew_matcher_run(&e->matcher, e->learner, (int64_t)star->n_ids, (int64_t)e->reads.n,
                     e->hearing.streams, step->learn, scale, e->at, n);
    for (size_t k = 0; k < n; k++) {
        brew_terms terms = {0};
        terms.sum[BREW_HIDDEN] = e->at[k].sum;
        terms.weight[BREW_HIDDEN] = e->at[k].pairs;
        brew_terms_add(total, &terms);
        if (tasks) brew_terms_add(tasks + e->at[k].task, &terms);
    }
}

static int run_micro(brew_engine *e, const brew_engine_step *step, const double *scales,
                     brew_terms *total, brew_terms *tasks, brew_err *err) {
    bool hidden = e->objective.hidden != 0;
    for (size_t r = 0; r < e->micro.star.n_requests; r++) // a star that is whole has them
        brew_star_add_meta(&e->micro.star, "{}", 2);
    if (e->objective.distil &&
        brew_hearing_listen(&e->hearing, e->teacher, &e->wish, &e->micro, err))
        return -1;
    read_rows(e);
    if (!e->reads.n) return 0;
    if (brew_learner_forward(e->learner, &e->micro.star, &e->reads, step->learn, &e->result, err))
        return -1;
    zero_gradients(e);
    for (size_t i = 0; i < e->reads.n; i++) {
        brew_terms terms = {0};
        lose_row(e, i, step, scales, &terms);
        brew_terms_add(total, &terms);
        if (tasks) brew_terms_add(tasks + e->list[i].task, &terms);
    }
    if (e->objective.kd_vocab && compare_all(e, step, scales, total, tasks, err)) return -1;
    if (hidden) match(e, step, scales[BREW_HIDDEN], total, tasks);
    if (!step->learn) return 0;
    return brew_learner_backward(e->learner, e->d_logits, e->reads.rest ? e->d_rest : NULL,
                                 hidden ? e->matcher.slopes : NULL, err);
}

int brew_engine_run(brew_engine *e, const brew_batch *batch, const brew_engine_step *step,
                    brew_terms *total, brew_terms *tasks, brew_err *err) {
    double weight[BREW_TERMS], scales[BREW_TERMS];
    weigh(e, batch, weight);
    for (int i = 0; i < BREW_TERMS; i++)
        scales[i] =
            weight[i] > 0 ? factor(&e->objective, (enum brew_term)i, step->alpha) / weight[i] : 0;
    size_t stride = step->ranks ? (size_t)step->ranks : 1;
    for (size_t r = (size_t)step->rank; r < batch->star.n_requests;) {
        brew_batch_reset(&e->micro);
        int64_t tokens = 0;
        do {
            tokens += brew_batch_tokens(batch, r);
            brew_batch_append(&e->micro, batch, r);
            r += stride;
        } while (r < batch->star.n_requests &&
                 tokens + brew_batch_tokens(batch, r) <= e->micro_tokens);
        if (step->stop && *step->stop) {
            if (step->learn) brew_learner_drop(e->learner);
            return 1;
        }
        if (run_micro(e, step, scales, total, tasks, err)) return -1;
    }
    return 0;
}
