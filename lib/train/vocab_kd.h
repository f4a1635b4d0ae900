// Distillation over the whole vocabulary, at rows that are read: tau^2 D(teacher, student) as in train/loss.h,
// but of all logits, not of the labels' and the rest.
//
// Logits are made a stretch of the vocabulary at a time, once to add up D and once more for its gradient: there
// are never all of all rows. Sums over the vocabulary are in double, in ascending order of ids, a row at a
// time: neither stretches nor threads can show. Where one vocabulary is longer (padded), the ids that
// both have are compared.
#ifndef BREW_TRAIN_VOCAB_KD_H
#define BREW_TRAIN_VOCAB_KD_H

#include "model/model.h"
#include "train/loss.h"

// Rows to compare.
typedef struct brew_vocab_row {
    int64_t row, read; // of the star, and among the learner's reads
    double scale;      // of the gradient
    double d;          // out: tau^2 D
} brew_vocab_row;

typedef struct brew_vocab_kd {
    brew_head teacher, student;
    const float *stream; // [M, C of the teacher] its residual stream after the last layer
    enum brew_divergence divergence;
    double tau, skew_beta;
    brew_vocab_row *rows;
    size_t n;
} brew_vocab_kd;

// Between the learner's two passes. With `learn` gradients are added in student.
int brew_vocab_kd_run(const brew_vocab_kd *job, bool learn, brew_err *err);
// What that takes, for n rows.
size_t brew_vocab_kd_bytes(int64_t n, int64_t teacher_width, int64_t student_width);

// A head that has only these rows of another's table, in their order: of a teacher whose student's vocabulary was
// cut out of its own.
typedef struct brew_cut_head {
    brew_head head;
    float *rows; // [V, C] in the backend's memory
} brew_cut_head;
int brew_cut_head_make(brew_cut_head *cut, const brew_head *head, const int32_t *ids, int64_t n,
                       brew_err *err);
void brew_cut_head_release(brew_cut_head *cut); // zeroed is fine

#endif
