// Losses at a row that is read: functions of its K label logits and the log-sum-exp of all other logits
// ("rest"), in double, with their gradients.
//
// CE over labels:      log sum_k exp(z_k + o_k) - (z_y + o_y),   o_k = offset for the positive labels, else 0:
//                      what brew-score's softmax does with offsets, so that scores are what is trained
// CE over vocabulary:  log(sum_k exp(z_k) + exp(rest)) - z_y
// Distillation:        tau^2 D(teacher, student) over the K + 1 values divided by tau and renormalised,
//                      t the teacher's, s the student's distribution
//     fkl   sum t log(t / s)                                   (Hinton, Vinyals, Dean 2015)
//     rkl   sum s log(s / t)                                   (Gu and others 2023)
//     jsd   b KL(t || m) + (1 - b) KL(s || m), m = b t + (1 - b) s      (Agarwal and others 2023)
//     skew  KL(t || b t + (1 - b) s)                           (Ko and others 2024)
// tau^2 keeps the size of the gradient as tau grows. Offsets do not enter the distillation.
#ifndef BREW_TRAIN_LOSS_H
#define BREW_TRAIN_LOSS_H

#include <stddef.h>
#include <stdint.h>

enum brew_divergence { BREW_FKL, BREW_RKL, BREW_JSD, BREW_SKEW };

typedef struct brew_logits {
    size_t k;       // labels, at least 1
    const float *z; // [K]
    float rest;     // -INFINITY: there is nothing else, or it is not looked at
} brew_logits;

// Each returns the loss and adds scale times its gradient to dz [K] and *d_rest (NULL: not wanted).
// target: in [0, K). positive [K]: which labels are; NULL: the first, as in brew_score_softmax.
double brew_loss_labels(const brew_logits *row, int32_t target, const uint8_t *positive,
                        double offset, double scale, float *dz);
double brew_loss_vocab(const brew_logits *row, int32_t target, double scale, float *dz,
                       float *d_rest);
// teacher->k == student->k, same labels. skew_beta: b of jsd and skew, in (0, 1).
double brew_loss_distil(enum brew_divergence divergence, double tau, double skew_beta,
                        const brew_logits *teacher, const brew_logits *student, double scale,
                        float *dz, float *d_rest);

// One value's part of a divergence, given the logarithms of its two probabilities: what is added up to D; and
// s dD/ds of it, up to a constant times s. With s = softmax(z): dD/dz = slope - s sum of slopes.
typedef struct brew_loss_part {
    double d, slope;
} brew_loss_part;
brew_loss_part brew_loss_part_of(enum brew_divergence divergence, double skew_beta, double log_t,
                                 double log_s);

#endif
