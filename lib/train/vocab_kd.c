#include "train/vocab_kd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernel/train_ops.h"

enum { STRETCH_FLOATS = 2 << 20, STRETCH_LEAST = 96 };

// One of the two: its rows divided by tau, so that its logits are, too; F32 [n, C], [n], [n, stretch].
struct side {
    brew_head head;
    float *hidden, *lse, *logits; // in the backend's memory
    float *lse_here, *logits_here;
};

struct comparison {
    const brew_vocab_kd *job;
    struct side teacher, student;
    float *d_hidden; // [n, C] of the student, in its backend's memory
    int64_t n, ids, first, count;
    bool gradients; // of this pass
    double *slopes; // [n] sums
};

static void release_side(struct side *side) {
    brew_backend *be = side->head.be;
    float *blocks[] = {side->hidden, side->lse, side->logits};
    for (size_t i = 0; i < 3; i++)
        if (blocks[i]) be->ops->free(be, blocks[i]);
    free(side->lse_here);
    free(side->logits_here);
}

static int64_t stretch(const struct comparison *o) {
    int64_t ids = STRETCH_FLOATS / o->n;
    if (ids < STRETCH_LEAST) ids = STRETCH_LEAST;
    return ids < o->ids ? ids : o->ids;
}

static float *take(brew_backend *be, int64_t rows, int64_t width, brew_err *err) {
    return be->ops->alloc(be, (size_t)(rows * width) * sizeof(float), "logits", err);
}

static int make_side(struct comparison *o, struct side *side, brew_err *err) {
    brew_backend *be = side->head.be;
    if (!be->ops->train)
        return brew_fail(err, BREW_USAGE, "the %s backend cannot train", be->ops->name);
    int64_t logits = o->n * stretch(o);
    side->lse_here = brew_calloc((size_t)o->n, sizeof *side->lse_here);
    side->logits_here = brew_realloc_array(NULL, (size_t)logits, sizeof *side->logits_here);
    side->hidden = take(be, o->n, side->head.width, err);
    side->lse = take(be, o->n, 1, err);
    side->logits = take(be, logits, 1, err);
    return side->hidden && side->lse && side->logits ? 0 : -1;
}

// ---- rows, divided by tau ----

static void divide(float *rows, int64_t n, double by) {
    for (int64_t i = 0; i < n; i++) rows[i] = (float)(rows[i] / by);
}

static int fetch_teacher(struct comparison *o, brew_err *err) {
    struct side *side = &o->teacher;
    brew_backend *be = side->head.be;
    int64_t c = side->head.width;
    size_t bytes = (size_t)(o->n * c) * sizeof(float);
    float *rows = brew_alloc(bytes), *stream = take(be, o->n, c, err);
    for (int64_t i = 0; stream && i < o->n; i++)
        memcpy(rows + i * c, o->job->stream + o->job->rows[i].row * c, (size_t)c * sizeof *rows);
    if (stream) {
        be->ops->upload(be, stream, rows, bytes);
        be->ops->norm_rows(be, stream, o->n, c, side->head.gain, side->head.eps, side->hidden);
        be->ops->download(be, rows, side->hidden, bytes);
        divide(rows, o->n * c, o->job->tau);
        be->ops->upload(be, side->hidden, rows, bytes);
        be->ops->free(be, stream);
    }
    free(rows);
    return stream ? 0 : -1;
}

static int64_t *reads_of(const struct comparison *o) {
    int64_t *reads = brew_calloc((size_t)o->n, sizeof *reads);
    for (int64_t i = 0; i < o->n; i++) reads[i] = o->job->rows[i].read;
    return reads;
}

static void fetch_student(struct comparison *o) {
    struct side *side = &o->student;
    brew_backend *be = side->head.be;
    size_t bytes = (size_t)(o->n * side->head.width) * sizeof(float);
    int64_t *reads = reads_of(o);
    float *rows = brew_alloc(bytes);
    be->ops->gather(be, side->head.hidden, side->head.width, reads, o->n, side->hidden);
    be->ops->download(be, rows, side->hidden, bytes);
    divide(rows, o->n * side->head.width, o->job->tau);
    be->ops->upload(be, side->hidden, rows, bytes);
    free(rows);
    free(reads);
}

// The log-sum-exp over the ids that both have.
static void sum_up(const struct comparison *o, struct side *side) {
    brew_backend *be = side->head.be;
    int64_t beyond = side->head.vocab - o->ids, *splits = NULL;
    int32_t *skip = NULL;
    if (beyond) {
        splits = brew_calloc((size_t)o->n + 1, sizeof *splits);
        skip = brew_realloc_array(NULL, (size_t)(o->n * beyond), sizeof *skip);
        for (int64_t i = 0; i < o->n; i++) {
            splits[i + 1] = splits[i] + beyond;
            for (int64_t k = 0; k < beyond; k++) skip[splits[i] + k] = (int32_t)(o->ids + k);
        }
    }
    be->ops->head_lse(be, side->head.table, side->hidden, o->n, side->head.width, splits, skip,
                      side->lse);
    be->ops->download(be, side->lse_here, side->lse, (size_t)o->n * sizeof(float));
    free(splits);
    free(skip);
}

// ---- a pass over the vocabulary ----

// One row of a stretch: D and the sum of slopes go on; with gradients, the student's logits turn into theirs.
static void row_task(void *arg, size_t row, int worker) {
    (void)worker;
    struct comparison *o = arg;
    const brew_vocab_kd *job = o->job;
    const float *t = o->teacher.logits_here + (int64_t)row * o->count;
    float *s = o->student.logits_here + (int64_t)row * o->count;
    double t_lse = o->teacher.lse_here[row], s_lse = o->student.lse_here[row];
    double d = job->rows[row].d, slopes = o->slopes[row], tau2 = job->tau * job->tau;
    bool adding = !o->gradients || job->divergence == BREW_FKL;
    for (int64_t v = 0; v < o->count; v++) {
        double log_s = s[v] - s_lse;
        brew_loss_part part =
            brew_loss_part_of(job->divergence, job->skew_beta, t[v] - t_lse, log_s);
        if (adding) d += tau2 * part.d;
        if (!o->gradients)
            slopes += part.slope;
        else
            s[v] = (float)(job->rows[row].scale * tau2 * (part.slope - exp(log_s) * slopes));
    }
    job->rows[row].d = d;
    o->slopes[row] = slopes;
}

static void make_logits(const struct comparison *o, struct side *side) {
    brew_backend *be = side->head.be;
    be->ops->train->head_logits(be, side->head.table, side->hidden, o->n, side->head.width,
                                o->first, o->count, side->logits);
    be->ops->download(be, side->logits_here, side->logits,
                      (size_t)(o->n * o->count) * sizeof(float));
}

static void pass(struct comparison *o, bool gradients) {
    struct side *student = &o->student;
    brew_backend *be = student->head.be;
    o->gradients = gradients;
    for (o->first = 0; o->first < o->ids; o->first += o->count) {
        int64_t most = stretch(o);
        o->count = o->ids - o->first < most ? o->ids - o->first : most;
        make_logits(o, &o->teacher);
        make_logits(o, student);
        brew_pool_run(be->pool, (size_t)o->n, row_task, o);
        if (!gradients) continue;
        be->ops->upload(be, student->logits, student->logits_here,
                        (size_t)(o->n * o->count) * sizeof(float));
        be->ops->train->head_logits_back(be, student->head.table, student->hidden, o->n,
                                         student->head.width, o->first, o->count, student->logits,
                                         o->d_hidden, student->head.dtable);
    }
}

// The gradient of the rows divided by tau to that of the rows, added to theirs.
static void give_back(struct comparison *o) {
    brew_backend *be = o->student.head.be;
    int64_t c = o->student.head.width, *reads = reads_of(o);
    size_t bytes = (size_t)(o->n * c) * sizeof(float);
    float *rows = brew_alloc(bytes);
    be->ops->download(be, rows, o->d_hidden, bytes);
    divide(rows, o->n * c, o->job->tau);
    be->ops->upload(be, o->d_hidden, rows, bytes);
    be->ops->train->scatter(be, o->d_hidden, c, reads, o->n, o->student.head.dhidden);
    free(rows);
    free(reads);
}

static int run(struct comparison *o, bool learn, brew_err *err) {
    brew_backend *be = o->student.head.be;
    o->d_hidden = take(be, o->n, o->student.head.width, err);
    if (!o->d_hidden || make_side(o, &o->teacher, err) || make_side(o, &o->student, err) ||
        fetch_teacher(o, err))
        return -1;
    fetch_student(o);
    sum_up(o, &o->teacher);
    sum_up(o, &o->student);
    // The slopes of forward KL add up to -1: one pass does.
    bool once = learn && o->job->divergence == BREW_FKL;
    for (int64_t i = 0; once && i < o->n; i++) o->slopes[i] = -1;
    if (!once) pass(o, false);
    if (!learn) return 0;
    pass(o, true);
    give_back(o);
    return 0;
}

int brew_vocab_kd_run(const brew_vocab_kd *job, bool learn, brew_err *err) {
    const brew_head *t = &job->teacher, *s = &job->student;
    if (!job->n) return 0;
    struct comparison o = {.job = job,
                           .teacher = {.head = *t},
                           .student = {.head = *s},
                           .n = (int64_t)job->n,
                           .ids = t->vocab < s->vocab ? t->vocab : s->vocab,
                           .slopes = brew_calloc(job->n, sizeof(double))};
    for (size_t i = 0; i < job->n; i++) job->rows[i].d = 0;
    int rc = run(&o, learn, err);
    release_side(&o.teacher);
    release_side(&o.student);
    if (o.d_hidden) s->be->ops->free(s->be, o.d_hidden);
    free(o.slopes);
    return rc;
}

size_t brew_vocab_kd_bytes(int64_t n, int64_t teacher_width, int64_t student_width) {
    int64_t logits = STRETCH_FLOATS > n * STRETCH_LEAST ? STRETCH_FLOATS : n * STRETCH_LEAST;
    return (size_t)(4 * logits + n * (3 * teacher_width + 3 * student_width)) * sizeof(float);
}

// ---- a vocabulary that was cut ----

int brew_cut_head_make(brew_cut_head *cut, const brew_head *head, const int32_t *ids, int64_t n,
                       brew_err *err) {
    brew_backend *be = head->be;
    brew_table *table = NULL;
    cut->rows = take(be, n, head->width, err);
    if (!cut->rows) return -1;
    be->ops->embed(be, head->table, ids, n, cut->rows);
    brew_tensor view = {
        .data = cut->rows, .dtype = BREW_F32, .n_dims = 2, .shape = {n, head->width}};
    table = be->ops->table_new(be, &view, err);
    if (!table) {
        be->ops->free(be, cut->rows);
        cut->rows = NULL;
        return -1;
    }
    cut->head = *head;
    cut->head.table = table;
    cut->head.vocab = n;
    return 0;
}

void brew_cut_head_release(brew_cut_head *cut) {
    brew_backend *be = cut->head.be;
    if (!cut->rows) return;
    be->ops->table_free(be, (brew_table *)(uintptr_t)cut->head.table);
    be->ops->free(be, cut->rows);
    *cut = (brew_cut_head){0};
}
