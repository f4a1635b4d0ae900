// Error rates of the gates' verdicts in simulation: at a truth of just the gate's number, with one figure and with
// many, and whether the members that are said to be needed do decide.
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/tap.h"
#include "rank/evaluate.h"
#include "rank/gate.h"

enum { ANSWERS = 10, TASKS = 6 };

// Members with a taste of their own, so that their answers go together.
static void simulate(brew_answers *a, uint64_t seed, size_t members) {
    for (size_t m = 0; m < members; m++) {
        double taste = 2 * brew_rand_unit(seed, m, 1000) - 1;
        for (size_t i = 0; i < ANSWERS; i++) {
            double p = 1 / (1 + exp(-taste - 3 * brew_rand_unit(seed, m, i) + 1.5));
            brew_answer row = {.score = p, .weight = 1};
            row.member = row.group = (uint32_t)m;
            row.positive = brew_rand_unit(seed + 1, m, i) < p;
            brew_answers_add(a, &row);
        }
    }
}

static brew_figure auc_of(uint64_t seed, size_t members, enum brew_interval_method method) {
    brew_answers a = {0};
    brew_figures figures;
    simulate(&a, seed, members);
    const double *score = a.score;
    brew_evaluate_options how = {.k = 10, .method = method, .replicates = 300, .seed = seed};
    brew_evaluate(&a, &score, 1, &how, NULL, &figures, NULL, NULL);
    brew_answers_release(&a);
    return figures.of[BREW_METRIC_AUC];
}

static void add_figure(brew_buf *out, const brew_figure *f, size_t members) {
    brew_buf_addf(out, "{\"members\":%zu,\"auc\":{\"value\":%.17g,\"lo\":%.17g,\"hi\":%.17g}}",
                  members, f->value, f->lo, f->hi);
}

// The verdict of a gate on n tasks, each measured anew; *needed: members, where undecided.
static int verdict_of(const char *path, double bound, uint64_t seed, size_t n, size_t members,
                      enum brew_interval_method method, double *needed) {
    brew_buf text = {0}, gate_text = {0};
    brew_gate gate;
    brew_json *judged = NULL;
    brew_buf_adds(&text, "{\"tasks\":{");
    for (size_t i = 0; i < n; i++) {
        brew_figure f = auc_of(seed + 2 * i, members, method);
        brew_buf_addf(&text, "%s\"t%zu\":", i ? "," : "", i);
        add_figure(&text, &f, members);
    }
    brew_buf_adds(&text, "}}");
    brew_json *report = brew_json_parse(text.ptr, text.len, NULL);
    brew_buf_addf(&gate_text, "tasks.%s.auc.lo>=%.17g", path, bound);
    brew_gate_parse(&gate, gate_text.ptr, NULL);
    int verdict = brew_gate_judge(&gate, report, &judged, NULL);
    const brew_json *members_needed = brew_json_get(judged, "members_needed");
    if (needed && members_needed) *needed = brew_json_real(members_needed);
    brew_json_free(judged);
    brew_json_free(report);
    brew_buf_release(&text);
    brew_buf_release(&gate_text);
    return verdict;
}

static double truth(void) {
    brew_answers a = {0};
    brew_measure m;
    simulate(&a, 99, 60000);
    if (brew_measure_init(&m, &a, a.score, 10, NULL, NULL) < 0) brew_bug("no memory");
    double auc = m.value[BREW_METRIC_AUC];
    brew_measure_release(&m);
    brew_answers_release(&a);
    return auc;
}

// Each decision is wrong; both may happen in 2.5 %. Three standard errors above, and not far below.
static void test_error(const char *path, size_t tasks, double auc, size_t times,
                       enum brew_interval_method method) {
    size_t passed = 0, missed = 0;
    for (size_t t = 0; t < times; t++) {
        int verdict = verdict_of(path, auc, 7000 + 100 * t, tasks, 80, method, NULL);
        passed += verdict == BREW_GATE_PASSED;
        missed += verdict == BREW_GATE_MISSED;
    }
    double n = (double)times, bar = .025 + 3 * sqrt(.025 * .975 / n);
    ok((double)missed / n <= bar, "%zu tasks at the bound: missed in %.1f %% of %zu", tasks,
       100 * (double)missed / n, times);
    ok((double)passed / n <= bar, "%zu tasks at the bound: passed in %.1f %%", tasks,
       100 * (double)passed / n);
}

// A single task that truly is below is named in nearly all cases, however many others are fine.
static void test_power(double auc, size_t times) {
    size_t missed = 0;
    for (size_t t = 0; t < times; t++)
        missed += verdict_of("*", auc + .06, 50000 + 100 * t, TASKS, 300, BREW_INTERVAL_CLUSTERED,
                             NULL) == BREW_GATE_MISSED;
    ok((double)missed / (double)times > .95, "far below: missed in %.1f %%",
       100 * (double)missed / (double)times);
}

// What a pilot of 100 members asks for decides in about 80 %, the pilot's value being the truth.
static void test_needed(double auc, size_t times) {
    brew_figure pilot = auc_of(11, 2000, BREW_INTERVAL_CLUSTERED);
    double half = (pilot.value - pilot.lo) * sqrt(2000. / 100), needed = 0, bound = auc - half / 2;
    brew_buf text = {0};
    brew_gate gate;
    brew_json *judged = NULL;
    brew_figure f = {auc, auc - half, auc + half, 0};
    add_figure(&text, &f, 100);
    brew_json *report = brew_json_parse(text.ptr, text.len, NULL);
    char gate_text[64];
    snprintf(gate_text, sizeof gate_text, "auc.lo>=%.17g", bound);
    brew_gate_parse(&gate, gate_text, NULL);
    is_int(brew_gate_judge(&gate, report, &judged, NULL), BREW_GATE_UNDECIDED,
           "the pilot cannot tell");
    needed = brew_json_real(brew_json_get(judged, "members_needed"));
    brew_json_free(judged);
    brew_json_free(report);
    brew_buf_release(&text);
    size_t passed = 0;
    for (size_t t = 0; t < times; t++)
        passed += verdict_of("t0", bound, 90000 + 10 * t, 1, (size_t)needed,
                             BREW_INTERVAL_CLUSTERED, NULL) == BREW_GATE_PASSED;
    double share = (double)passed / (double)times;
    ok(fabs(share - .8) < .06 + 3 * sqrt(.16 / (double)times), "%.0f members pass it in %.1f %%",
       needed, 100 * share);
}

int main(void) {
    const char *slow = getenv("BREW_SLOW");
    size_t times = slow && *slow ? 2000 : 150;
    double auc = truth();
    test_error("t0", 1, auc, times, BREW_INTERVAL_BOOTSTRAP);
    test_error("t0", 1, auc, times, BREW_INTERVAL_CLUSTERED);
    test_error("*", TASKS, auc, times, BREW_INTERVAL_CLUSTERED);
    test_power(auc, times / 5);
    test_needed(auc, times);
    return tap_done();
}
