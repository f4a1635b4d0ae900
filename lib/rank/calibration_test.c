// Calibration: the likelihood equations hold, planted curves are found, files go round and bad ones are refused.
#include "rank/calibration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/tap.h"
#include "rank/chosen.h"

static void add(brew_reader *r, const char *task, double score, bool label, double weight, int i) {
    char line[200];
    brew_err err;
    snprintf(line, sizeof line,
             "{\"score\":%.17g,\"label\":%d,\"task\":\"%s\",\"id\":%d,\"weight\":%.17g}", score,
             label, task, i, weight);
    if (brew_reader_add(r, line, strlen(line), &err) < 0) printf("# %s\n", err.text);
}

// Outcomes with log-odds a + b x, scores with log-odds x.
static void simulate(brew_reader *r, const char *task, double a, double b, int n, uint64_t seed) {
    for (int i = 0; i < n; i++) {
        double x = 4 * brew_rand_unit(seed, 0, (uint64_t)i) - 2;
        bool y = brew_rand_unit(seed, 1, (uint64_t)i) < 1 / (1 + exp(-a - b * x));
        add(r, task, 1 / (1 + exp(-x)), y, 1 + i % 3, i);
    }
}

static void test_platt(void) {
    brew_reader r = {0};
    brew_calibration c = {0};
    brew_err err = {0};
    brew_reader_init(&r, NULL, NULL, 0, false, &err);
    simulate(&r, "one", .5, 2, 20000, 1);
    simulate(&r, "two", -1, .5, 20000, 2);
    is_int(brew_calibration_fit(&c, &r, BREW_CALIBRATE_PLATT, NULL, &err), 0, "fitted");
    is_int((long long)c.n, 2, "a curve for each task");
    const brew_curve *one = brew_calibration_of(&c, "one"), *two = brew_calibration_of(&c, "two");
    is_near(one->a, .5, .06, "the planted a");
    is_near(one->b, 2, .08, "the planted b");
    is_near(two->a, -1, .06, "of another task");
    is_near(two->b, .5, .06, "its b");
    ok(!brew_calibration_of(&c, NULL) && !brew_calibration_of(&c, "three"), "no curve for others");
    double w[2] = {0, 0}, grad[2] = {0, 0};
    for (size_t i = 0; i < 20000; i++) w[r.answers.positive[i]] += r.answers.weight[i];
    for (size_t i = 0; i < 20000; i++) {
        double p = r.answers.score[i], q = brew_curve_at(one, p);
        double y = r.answers.positive[i] ? (w[1] + 1) / (w[1] + 2) : 1 / (w[0] + 2);
        grad[0] += r.answers.weight[i] * (q - y);
        grad[1] += r.answers.weight[i] * (q - y) * log(p / (1 - p));
    }
    is_near(grad[0], 0, 1e-4, "predictions add up to Platt's outcomes");
    is_near(grad[1], 0, 1e-4, "and so they do, weighed by the log-odds");
    double p[3] = {.2, .5, .3}, sum = 0;
    brew_curve_apply(one, (const uint8_t[]){1, 0, 1}, 3, p);
    for (int i = 0; i < 3; i++) sum += p[i];
    is_near(sum, 1, 1e-15, "labels still add up to 1");
    is_near(p[0] + p[2], brew_curve_at(one, .5), 1e-15, "the positive ones to the curve");
    is_near(p[0] / p[2], 2. / 3, 1e-15, "in their old proportion");
    ok(brew_curve_at(one, 0) >= 0 && brew_curve_at(one, 1) <= 1, "0 and 1 are no trouble");
    brew_calibration_release(&c);
    brew_reader_release(&r);
}

static void test_isotonic(void) {
    static const double score[] = {.1, .2, .3, .4, .4, .6, .9};
    static const int label[] = {0, 1, 0, 0, 1, 1, 1};
    brew_reader r = {0};
    brew_calibration c = {0};
    brew_err err = {0};
    brew_reader_init(&r, NULL, NULL, 0, false, &err);
    for (int i = 0; i < 7; i++) add(&r, "", score[i], label[i], 1, i);
    is_int(brew_calibration_fit(&c, &r, BREW_CALIBRATE_ISOTONIC, NULL, &err), 0, "fitted");
    const brew_curve *curve = brew_calibration_of(&c, "");
    // steps: .1 -> 0; .2, .3, .4, .4 -> 2 / 4 (1, 0 and 1 of 2 pooled); .6, .9 -> 1
    is_int((long long)curve->n, 3, "three steps");
    is_near(curve->x[1], 1.3 / 4, 1e-15, "the middle of the second");
    is_near(curve->y[1], .5, 1e-15, "its rate");
    is_near(curve->y[0], 1. / 9, 1e-15, "never 0");
    is_near(brew_curve_at(curve, (.1 + 1.3 / 4) / 2), (1. / 9 + .5) / 2, 1e-15, "a line between");
    is_near(brew_curve_at(curve, .05), 1. / 9, 0, "flat before");
    is_near(brew_curve_at(curve, 1), 8. / 9, 1e-15, "and behind");
    brew_calibration_release(&c);
    brew_reader_release(&r);
}

static void test_refused(void) {
    brew_reader r = {0};
    brew_calibration c = {0};
    brew_err err = {0};
    brew_reader_init(&r, NULL, NULL, 0, false, &err);
    ok(brew_calibration_fit(&c, &r, BREW_CALIBRATE_PLATT, NULL, &err) < 0, "no answers");
    for (int i = 0; i < 5; i++) add(&r, "", .5, true, 1, i);
    ok(brew_calibration_fit(&c, &r, BREW_CALIBRATE_PLATT, NULL, &err) < 0 &&
           strstr(err.text, "one outcome"),
       "one class");
    brew_calibration_release(&c);
    for (int i = 5; i < 40; i++) add(&r, "", i / 40., i < 20, 1, i);
    ok(brew_calibration_fit(&c, &r, BREW_CALIBRATE_PLATT, NULL, &err) < 0 &&
           strstr(err.text, "no rising curve"),
       "scores the wrong way round");
    brew_calibration_release(&c);
    r.counts.sampled = 1;
    ok(brew_calibration_fit(&c, &r, BREW_CALIBRATE_PLATT, NULL, &err) < 0 &&
           strstr(err.text, "sampled"),
       "samples at unknown rates");
    brew_calibration_release(&c);
    brew_reader_release(&r);
}

static int load_text(brew_calibration *c, const char *text, brew_err *err) {
    char path[] = "/tmp/brew-calibration-XXXXXX";
    int fd = mkstemp(path);
    ssize_t wrote = write(fd, text, strlen(text));
    close(fd);
    int status = wrote == (ssize_t)strlen(text) ? brew_calibration_load(c, path, err) : -1;
    unlink(path);
    return status;
}

static void test_file(void) {
    static const char head[] = "{\"format\":\"brew-calibration\",\"version\":1,\"questions\":"
                               "\"00112233445566778899aabbccddeeff\",\"tasks\":";
    static const char *const good[] = {"{\"t\":{\"a\":-0.5,\"b\":1.5}}}",
                                       "{\"\":{\"x\":[0.25,0.5],\"y\":[0,1]}}}"};
    static const char *const bad[] = {"{}}",
                                      "[]}",
                                      "{\"t\":1}}",
                                      "{\"t\":{\"a\":1}}}",
                                      "{\"t\":{\"a\":1,\"b\":0}}}",
                                      "{\"t\":{\"a\":\"x\",\"b\":1}}}",
                                      "{\"t\":{\"x\":[],\"y\":[]}}}",
                                      "{\"t\":{\"x\":[0.5],\"y\":[0.5,0.6]}}}",
                                      "{\"t\":{\"x\":[0.5,0.5],\"y\":[0.5,0.6]}}}",
                                      "{\"t\":{\"x\":[0.5,0.7],\"y\":[0.5,0.4]}}}",
                                      "{\"t\":{\"x\":[0.5,1.7],\"y\":[0.5,0.6]}}}",
                                      "{\"t\":{\"x\":[0.5,\"a\"],\"y\":[0.5,0.6]}}}"};
    char text[400];
    brew_calibration c;
    brew_err err = {0};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(text, sizeof text, "%s%s", head, good[i]);
        is_int(load_text(&c, text, &err), 0, good[i]);
        brew_buf again = {0};
        brew_calibration_write(&c, &again);
        ok(strstr(again.ptr, good[i]) != NULL, "and out again");
        brew_buf_release(&again);
        brew_calibration_release(&c);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "%s%s", head, bad[i]);
        ok(load_text(&c, text, &err) < 0 && err.code == BREW_DATA, "refused: %s", bad[i]);
        brew_calibration_release(&c);
    }
    ok(load_text(&c, "{\"format\":\"brew-calibration\",\"version\":2}", &err) < 0,
       "another version");
    brew_calibration_release(&c);
    ok(load_text(&c, "{}", &err) < 0, "another file");
    brew_calibration_release(&c);
}

static void test_chosen(void) {
    brew_reader r = {0}, turned = {0}, other = {0};
    brew_calibration c = {0};
    brew_systems systems = {0};
    brew_err err = {0};
    char digest[2][33];
    brew_reader_init(&r, NULL, NULL, 0, false, &err);
    brew_reader_init(&turned, NULL, NULL, 0, false, &err);
    brew_reader_init(&other, NULL, NULL, 0, false, &err);
    for (int i = 0; i < 60; i++) {
        add(&r, "", .2 + i / 100., i % 3 || i > 40, 1, i);
        add(&turned, "", .9 - i / 100., (59 - i) % 3 || 59 - i > 40, 1, 59 - i); // others' scores
        add(&other, "", .2 + i / 100., i % 2, 1, i);
    }
    brew_reader_questions(&r, digest[0]);
    brew_reader_questions(&turned, digest[1]);
    is_str(digest[0], digest[1], "the same questions in another order, with other scores");
    brew_reader_questions(&other, digest[1]);
    ok(strcmp(digest[0], digest[1]) != 0, "other outcomes, another digest");
    brew_calibration_fit(&c, &r, BREW_CALIBRATE_PLATT, NULL, &err);
    ok(brew_chosen_calibrate(&turned, &c, &systems, &err) < 0 && strstr(err.text, "equal digests"),
       "what it was fitted on shows no effect");
    is_int(brew_chosen_calibrate(&other, &c, &systems, &err), 0, "others do");
    is_near(systems.list[systems.n - 1].score[7], .27, 1e-12, "the scores as they were");
    is_near(other.answers.score[7], brew_curve_at(c.curves, .27), 1e-12, "and calibrated");
    is_int(brew_chosen_check(&r, NULL, 0, &err), 0, "nothing against judging");
    brew_intern_put(&r.calibrated_on, digest[0], 32);
    ok(brew_chosen_check(&r, NULL, 0, &err) < 0, "but where scores were calibrated");
    brew_systems_release(&systems);
    brew_calibration_release(&c);
    brew_reader_release(&r);
    brew_reader_release(&turned);
    brew_reader_release(&other);
}

int main(void) {
    test_platt();
    test_isotonic();
    test_refused();
    test_file();
    test_chosen();
    return tap_done();
}
