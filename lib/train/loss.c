#include "train/loss.h"

#include <math.h>
#include <stdbool.h>

// The k labels, then the rest.
static double value(const brew_logits *row, size_t i) {
    return i < row->k ? row->z[i] : row->rest;
}

static void add_gradient(const brew_logits *row, size_t i, double gradient, float *dz,
                         float *d_rest) {
    float *to = i < row->k ? dz ? dz + i : NULL : d_rest;
    if (to) *to = (float)(*to + gradient);
}

// exp(log_p) x, where 0 times anything is 0.
static double weighted(double log_p, double x) {
    double p = exp(log_p);
    return p > 0 ? p * x : 0;
}

// log(exp(a) + exp(b))
static double log_add(double a, double b) {
    double top = fmax(a, b);
    return isinf(top) ? top : top + log1p(exp(-fabs(a - b)));
}

static double label(const brew_logits *row, const uint8_t *positive, double offset, size_t i) {
    return row->z[i] + ((positive ? positive[i] : !i) ? offset : 0);
}

double brew_loss_labels(const brew_logits *row, int32_t target, const uint8_t *positive,
                        double offset, double scale, float *dz) {
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < row->k; i++) top = fmax(top, label(row, positive, offset, i));
    for (size_t i = 0; i < row->k; i++) sum += exp(label(row, positive, offset, i) - top);
    double total = top + log(sum);
    for (size_t i = 0; dz && i < row->k; i++) {
        double p = exp(label(row, positive, offset, i) - total);
        add_gradient(row, i, scale * (p - (i == (size_t)target)), dz, NULL);
    }
    return total - label(row, positive, offset, (size_t)target);
}

// log of the sum of exp(value / tau), rest included
static double log_total(const brew_logits *row, double tau) {
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i <= row->k; i++) top = fmax(top, value(row, i));
    for (size_t i = 0; i <= row->k; i++) sum += exp((value(row, i) - top) / tau);
    return top / tau + log(sum);
}

double brew_loss_vocab(const brew_logits *row, int32_t target, double scale, float *dz,
                       float *d_rest) {
    double total = log_total(row, 1);
    for (size_t i = 0; i <= row->k; i++) {
        double p = exp(value(row, i) - total);
        add_gradient(row, i, scale * (p - (i == (size_t)target)), dz, d_rest);
    }
    return total - value(row, (size_t)target);
}

// log(b exp(t) + (1 - b) exp(s))
static double log_mixture(double b, double t, double s) {
    return log_add(log(b) + t, log1p(-b) + s);
}

brew_loss_part brew_loss_part_of(enum brew_divergence divergence, double b, double t, double s) {
    double m, own;
    switch (divergence) {
    case BREW_FKL:
        return (brew_loss_part){weighted(t, t - s), -exp(t)};
    case BREW_RKL:
        own = weighted(s, s - t);
        return (brew_loss_part){own, own};
    case BREW_JSD:
        m = log_mixture(b, t, s);
        own = (1 - b) * weighted(s, s - m);
        return (brew_loss_part){b * weighted(t, t - m) + own, own};
    case BREW_SKEW:
        break;
    }
    m = log_mixture(b, t, s);
    return (brew_loss_part){weighted(t, t - m), -(1 - b) * weighted(t, exp(s - m))};
}

double brew_loss_distil(enum brew_divergence divergence, double tau, double skew_beta,
                        const brew_logits *teacher, const brew_logits *student, double scale,
                        float *dz, float *d_rest) {
    double t_total = log_total(teacher, tau), s_total = log_total(student, tau);
    double d = 0, slope = 0;
    for (size_t i = 0; i <= student->k; i++) {
        brew_loss_part part =
            brew_loss_part_of(divergence, skew_beta, value(teacher, i) / tau - t_total,
                              value(student, i) / tau - s_total);
        d += part.d;
        slope += part.slope;
    }
    // s = softmax(z / tau): tau^2 dD/dz = tau (s dD/ds - s sum of s dD/ds)
    for (size_t i = 0; (dz || d_rest) && i <= student->k; i++) {
        double s = value(student, i) / tau - s_total;
        brew_loss_part part =
            brew_loss_part_of(divergence, skew_beta, value(teacher, i) / tau - t_total, s);
        add_gradient(student, i, scale * tau * (part.slope - weighted(s, slope)), dz, d_rest);
    }
    return tau * tau * d;
}
