// How far answers moved, where it can be worked out by hand.
#include "rank/moved.h"

#include <math.h>

#include "base/tap.h"

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static bool near(double x, double y) {
    return fabs(x - y) <= 1e-12;
}

int main(void) {
    // From a half by d in log-odds, the divergence is log cosh(d / 2).
    static const double by[] = {1, 1, -1, 3};
    brew_answers answers = {0};
    double to[4], divergence = 0;
    for (size_t i = 0; i < 4; i++) {
        brew_answer row = {.score = 0.5, .weight = 1, .member = (uint32_t)(i / 2)};
        brew_answers_add(&answers, &row);
        to[i] = sigmoid(by[i]);
        divergence += log(cosh(by[i] / 2)) / 4;
    }
    brew_moved moved = brew_moved_to(&answers, to);
    ok(near(moved.divergence, divergence), "the divergence is %.6f", moved.divergence);
    ok(near(moved.shift, 1), "all moved by one");
    ok(near(moved.between, 0) && near(moved.within, sqrt(2)), "and apart within members only");
    for (size_t i = 0; i < 4; i++) to[i] = sigmoid(i < 2 ? 1 : -2);
    moved = brew_moved_to(&answers, to);
    ok(near(moved.shift, -0.5) && near(moved.between, 1.5) && near(moved.within, 0),
       "between members only");
    answers.weight[0] = answers.weight[1] = 3;
    moved = brew_moved_to(&answers, to);
    ok(near(moved.shift, 0.25) && near(moved.between, sqrt(1.75 - 0.0625)), "weights count");
    moved = brew_moved_to(&answers, answers.score);
    ok(moved.divergence == 0 && moved.shift == 0 && moved.between == 0 && moved.within == 0,
       "the same scores have not moved");
    answers.score[0] = 0;
    to[0] = 1;
    moved = brew_moved_to(&answers, to);
    ok(isfinite(moved.divergence) && isfinite(moved.shift), "certainty is finite");
    brew_answers_release(&answers);
    return tap_done();
}
