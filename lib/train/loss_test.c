// Losses against PyTorch (testdata/train/losses.tsv), their gradients against central differences, and
// the corners: labels alone, certain teachers, huge logits.
#include "train/loss.h"

#include <math.h>
#include <stdlib.h>

#include "base/tap.h"

enum { MOST = 8 };

struct loss {
    char name[16];
    int32_t target;
    uint8_t positive[MOST];
    double offset, tau, beta;
    float teacher[MOST], z[MOST]; // the rest behind the labels
    size_t k;
};

static const char *const divergences[] = {"fkl", "rkl", "jsd", "skew"};

// The loss; adds scale times its gradient to d[k + 1], unless that is NULL.
static double run(const struct loss *loss, double scale, float *d) {
    brew_logits teacher = {loss->k, loss->teacher, loss->teacher[loss->k]};
    brew_logits student = {loss->k, loss->z, loss->z[loss->k]};
    float *rest = d ? d + loss->k : NULL;
    if (!strcmp(loss->name, "labels"))
        return brew_loss_labels(&student, loss->target, loss->positive, loss->offset, scale, d);
    if (!strcmp(loss->name, "vocab"))
        return brew_loss_vocab(&student, loss->target, scale, d, rest);
    int i = 0;
    while (strcmp(loss->name, divergences[i])) i++;
    return brew_loss_distil((enum brew_divergence)i, loss->tau, loss->beta, &teacher, &student,
                            scale, d, rest);
}

static size_t read_floats(const char *text, float *to) {
    size_t n = 0;
    for (char *end; n < MOST; text = end) {
        float x = strtof(text, &end);
        if (end == text) break;
        to[n++] = x;
    }
    return n;
}

// name <tab> settings <tab> teacher <tab> student <tab> value <tab> gradient
static bool read_golden(char *line, struct loss *loss, double *value, float *gradient) {
    char *field[6], bits[MOST + 1] = "";
    for (int i = 0; i < 6; i++, line = strchr(line, '\t') ? strchr(line, '\t') + 1 : line)
        field[i] = line;
    for (char *at = field[0]; (at = strchr(at, '\t')); *at++ = 0) continue;
    *loss = (struct loss){.k = 0};
    snprintf(loss->name, sizeof loss->name, "%.15s", field[0]);
    if (!strcmp(field[0], "labels") || !strcmp(field[0], "vocab")) {
        int target, got = sscanf(field[1], "%d %lf %8s", &target, &loss->offset, bits);
        if (got < 1) return false;
        loss->target = target;
    } else if (sscanf(field[1], "%lf %lf", &loss->tau, &loss->beta) != 2) {
        return false;
    }
    for (size_t i = 0; bits[i]; i++) loss->positive[i] = bits[i] == '1';
    read_floats(field[2], loss->teacher);
    loss->k = read_floats(field[3], loss->z) - 1;
    *value = strtod(field[4], NULL);
    return read_floats(field[5], gradient) == loss->k + 1;
}

static void test_goldens(void) {
    FILE *file = fopen("testdata/train/losses.tsv", "r");
    ok(file != NULL, "the goldens are there");
    if (!file) return;
    char line[2048];
    int good = 0, cases = 0;
    while (fgets(line, sizeof line, file)) {
        struct loss loss;
        double want;
        float gradient[MOST] = {0}, got[MOST];
        if (line[0] == '#') continue;
        cases++;
        if (!read_golden(line, &loss, &want, gradient)) continue;
        for (int i = 0; i < MOST; i++) got[i] = 1;
        bool same = fabs(run(&loss, 0.5, got) - want) <= 1e-12 * (1 + fabs(want));
        // what stood there is kept: rounded to F32 with it
        for (size_t i = 0; i <= loss.k; i++)
            same &= fabs(got[i] - (1 + 0.5 * gradient[i])) <= 1.2e-7 * (1 + fabs(gradient[i]));
        same &= got[loss.k + 1] == 1;
        if (!same) printf("# line %d: %s\n", cases, loss.name);
        good += same;
    }
    fclose(file);
    ok(cases > 40 && good == cases, "%d of %d losses and gradients are PyTorch's", good, cases);
}

static void test_differences(void) {
    const char *const names[] = {"labels", "vocab", "fkl", "rkl", "jsd", "skew"};
    for (int n = 0; n < 6; n++) {
        struct loss loss = {.target = 1,
                            .positive = {0, 1, 1},
                            .offset = -0.5,
                            .tau = 1.5,
                            .beta = 0.25,
                            .teacher = {0.5f, -1, 2, 1},
                            .z = {1, 0.25f, -1, 3},
                            .k = 3};
        snprintf(loss.name, sizeof loss.name, "%s", names[n]);
        float d[MOST] = {0};
        double worst = 0;
        run(&loss, 1, d);
        for (size_t i = 0; i <= loss.k; i++) {
            float kept = loss.z[i], step = 0x1p-10f;
            loss.z[i] = kept + step;
            double above = run(&loss, 1, NULL);
            loss.z[i] = kept - step;
            double want = (above - run(&loss, 1, NULL)) / (2 * (double)step);
            loss.z[i] = kept;
            worst = fmax(worst, fabs(d[i] - want));
        }
        // the error of central differences: step^2 / 6 times the third derivative
        ok(worst < 1e-6, "%s: the gradient is a central difference within %.1g", names[n], worst);
    }
}

// Shifting all logits changes nothing; distances of thousands do not overflow.
static void test_corners(void) {
    for (int n = 0; n < 4; n++) {
        struct loss loss = {.tau = 1, .beta = 0.5, .teacher = {5000, -5000, 4999}, .k = 2};
        memcpy(loss.z, (float[]){-5000, 5000, 4999}, 3 * sizeof(float));
        snprintf(loss.name, sizeof loss.name, "%s", divergences[n]);
        float d[MOST] = {0};
        double value = run(&loss, 1, d);
        bool bounded = n >= 2; // jsd and skew are
        ok(isfinite(value) && isfinite(d[0]) && isfinite(d[1]) && isfinite(d[2]) &&
               (bounded ? value < 1 : value > 5000),
           "%s of distributions far apart is finite", divergences[n]);
        memcpy(loss.z, loss.teacher, sizeof loss.z);
        memset(d, 0, sizeof d);
        ok(fabs(run(&loss, 1, d)) < 1e-12 && fabs(d[0]) < 1e-12 && fabs(d[2]) < 1e-12,
           "%s of equal distributions is 0, and flat", divergences[n]);
    }
    float one[] = {7}, d[2] = {0, 0};
    brew_logits alone = {1, one, -INFINITY};
    ok(brew_loss_vocab(&alone, 0, 1, d, d + 1) == 0 && d[0] == 0 && d[1] == 0,
       "one label and nothing else is certain");
    float pair[] = {10000, -10000};
    brew_logits wide = {2, pair, 9999};
    is_near(brew_loss_labels(&wide, 1, NULL, 0, 1, NULL), 20000, 0, "no overflow, no gradient");
    is_near(brew_loss_labels(&wide, 1, NULL, 2, 1, NULL), 20002, 0,
            "offsets move the first label if none is said to be positive");
    is_near(brew_loss_vocab(&wide, 0, 1, NULL, NULL), log1p(exp(-1)), 1e-12, "the rest counts");
}

int main(void) {
    test_goldens();
    test_differences();
    test_corners();
    return tap_done();
}
