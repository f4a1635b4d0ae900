// Fitting curves. A task's answers are gathered in the order of their scores.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rank/auc.h"
#include "rank/calibration.h"
#include "rank/odds.h"

struct part {
    const brew_answers *a;
    const uint32_t *rows; // [n] by ascending score
    size_t n;
    double positives, negatives; // weights
};

// Newton's steps on two parameters, halved until the likelihood rises. The loss is convex.
struct newton {
    double loss, grad[2], hess[3]; // aa, ab, bb
};

static struct newton look(const struct part *p, double a, double b) {
    struct newton s = {0, {0, 0}, {0, 0, 0}};
    double y1 = (p->positives + 1) / (p->positives + 2), y0 = 1 / (p->negatives + 2);
    for (size_t i = 0; i < p->n; i++) {
        uint32_t row = p->rows[i];
        double score = p->a->score[row], w = p->a->weight[row], y = p->a->positive[row] ? y1 : y0;
        double x = brew_log_odds(score), z = a + b * x, q = 1 / (1 + exp(-z));
        // -y log q - (1 - y) log(1 - q), without overflow
        s.loss += w * ((z > 0 ? z + log1p(exp(-z)) : log1p(exp(z))) - y * z);
        double d = w * (q - y), h = w * q * (1 - q);
        s.grad[0] += d;
        s.grad[1] += d * x;
        s.hess[0] += h;
        s.hess[1] += h * x;
        s.hess[2] += h * x * x;
    }
    return s;
}

static void fit_platt(const struct part *p, brew_curve *curve) {
    double a = 0, b = 1;
    struct newton at = look(p, a, b);
    for (int i = 0; i < 100; i++) {
        double ridge = 1e-12 * (at.hess[0] + at.hess[2]) + 1e-300;
        double aa = at.hess[0] + ridge, bb = at.hess[2] + ridge;
        double det = aa * bb - at.hess[1] * at.hess[1];
        double da = -(bb * at.grad[0] - at.hess[1] * at.grad[1]) / det;
        double db = -(aa * at.grad[1] - at.hess[1] * at.grad[0]) / det, step = 1;
        struct newton next = look(p, a + da, b + db);
        while (!(next.loss <= at.loss) && step > 1e-10) {
            step /= 2;
            next = look(p, a + step * da, b + step * db);
        }
        if (!(next.loss <= at.loss)) break;
        a += step * da;
        b += step * db;
        bool done = at.loss - next.loss <= 1e-14 * fabs(at.loss);
        at = next;
        if (done) break;
    }
    curve->a = a;
    curve->b = b;
}

struct step {
    double w, wy, wx; // weight; of positives; times score
};

static void fit_isotonic(const struct part *p, brew_curve *curve) {
    struct step *steps = brew_realloc_array(NULL, p->n + 1, sizeof *steps);
    size_t n = 0;
    for (size_t begin = 0, end; begin < p->n; begin = end) {
        double score = p->a->score[p->rows[begin]];
        struct step s = {0, 0, 0};
        for (end = begin; end < p->n && p->a->score[p->rows[end]] == score; end++) {
            double w = p->a->weight[p->rows[end]];
            s.w += w;
            s.wy += w * p->a->positive[p->rows[end]];
        }
        if (s.w == 0) continue;
        s.wx = s.w * score;
        for (; n && steps[n - 1].wy * s.w >= s.wy * steps[n - 1].w; n--) {
            s.w += steps[n - 1].w;
            s.wy += steps[n - 1].wy;
            s.wx += steps[n - 1].wx;
        }
        steps[n++] = s;
    }
    double edge = 1 / (p->positives + p->negatives + 2);
    curve->x = brew_realloc_array(NULL, n + 1, sizeof *curve->x);
    curve->y = brew_realloc_array(NULL, n + 1, sizeof *curve->y);
    for (size_t i = 0; i < n; i++) {
        double x = steps[i].wx / steps[i].w, y = steps[i].wy / steps[i].w;
        if (curve->n && x <= curve->x[curve->n - 1]) continue; // equal up to rounding
        curve->x[curve->n] = x;
        curve->y[curve->n++] = y < edge ? edge : y > 1 - edge ? 1 - edge : y;
    }
    free(steps);
}

// The rows of one task (a number in reader->task, BREW_BY_MISSING: none).
static int fit_task(brew_calibration *c, const brew_reader *r, const uint32_t *order, uint32_t task,
                    brew_err *err) {
    const brew_answers *a = &r->answers;
    const char *name = brew_by_text(&r->task, task);
    uint32_t *rows = brew_realloc_array(NULL, a->n + 1, sizeof *rows);
    struct part p = {.a = a, .rows = rows};
    int status = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (r->task.value[order[i]] != task) continue;
        rows[p.n++] = order[i];
        *(a->positive[order[i]] ? &p.positives : &p.negatives) += a->weight[order[i]];
    }
    if (p.n && !(p.positives > 0 && p.negatives > 0)) {
        status = brew_fail(err, BREW_DATA, "answers of one outcome cannot be calibrated");
        if (name) brew_err_context(err, "task %s", name);
    } else if (p.n) {
        BREW_GROW(c->curves, c->n + 1, c->cap);
        brew_curve *curve = &c->curves[c->n++];
        *curve = (brew_curve){.task = brew_strdup(name ? name : "")};
        (c->method == BREW_CALIBRATE_PLATT ? fit_platt : fit_isotonic)(&p, curve);
        if (curve->n == 0 && !(curve->b > 0))
            status =
                brew_fail(err, BREW_DATA,
                          "the higher the score, the rarer is a positive: no rising curve fits");
    }
    free(rows);
    return status;
}

int brew_calibration_fit(brew_calibration *c, const brew_reader *r,
                         enum brew_calibration_method method, brew_pool *pool, brew_err *err) {
    *c = (brew_calibration){.method = method, .answers = r->answers.n};
    brew_reader_questions(r, c->questions);
    if (r->counts.sampled)
        return brew_fail(err, BREW_DATA,
                         "items were sampled at rates that the records do not give: no probability "
                         "can be fitted to them");
    if (r->answers.n == 0) return brew_fail(err, BREW_DATA, "no answer has an outcome to fit to");
    uint32_t *order = brew_realloc_array(NULL, r->answers.n + 1, sizeof *order);
    int status = brew_order(r->answers.score, r->answers.n, pool, order, err);
    for (size_t t = 0; status == 0 && t <= r->task.values.count; t++)
        status =
            fit_task(c, r, order, t < r->task.values.count ? (uint32_t)t : BREW_BY_MISSING, err);
    free(order);
    return status;
}
