#include "rank/calibration.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "rank/odds.h"

void brew_calibration_release(brew_calibration *c) {
    for (size_t i = 0; i < c->n; i++) {
        free(c->curves[i].task);
        free(c->curves[i].x);
        free(c->curves[i].y);
    }
    free(c->curves);
    *c = (brew_calibration){0};
}

const brew_curve *brew_calibration_of(const brew_calibration *c, const char *task) {
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->curves[i].task, task ? task : "")) return &c->curves[i];
    return NULL;
}

double brew_curve_at(const brew_curve *c, double p) {
    if (c->n == 0) return 1 / (1 + exp(-c->a - c->b * brew_log_odds(p)));
    size_t lo = 0, hi = c->n; // x[lo - 1] <= p < x[lo]
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (c->x[mid] <= p)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0) return c->y[0];
    if (lo == c->n) return c->y[c->n - 1];
    double share = (p - c->x[lo - 1]) / (c->x[lo] - c->x[lo - 1]);
    return c->y[lo - 1] + share * (c->y[lo] - c->y[lo - 1]);
}

void brew_curve_apply(const brew_curve *c, const uint8_t *positive, size_t n, double *p) {
    double of[2] = {0, 0};
    for (size_t i = 0; i < n; i++) of[positive[i] != 0] += p[i];
    double to = brew_curve_at(c, of[1] > 1 ? 1 : of[1]);
    for (size_t i = 0; i < n; i++) {
        double had = of[positive[i] != 0], gets = positive[i] ? to : 1 - to;
        if (had > 0) p[i] *= gets / had;
    }
}

void brew_calibration_write(const brew_calibration *c, brew_buf *text) {
    brew_json *out = brew_json_new_object(), *tasks = brew_json_new_object();
    const char *method = c->method == BREW_CALIBRATE_PLATT ? "platt" : "isotonic";
    brew_json_set(out, "format", brew_json_new_string("brew-calibration", 16));
    brew_json_set(out, "version", brew_json_new_int(1));
    brew_json_set(out, "method", brew_json_new_string(method, strlen(method)));
    brew_json_set(out, "questions", brew_json_new_string(c->questions, 32));
    brew_json_set(out, "answers", brew_json_new_int((int64_t)c->answers));
    for (size_t i = 0; i < c->n; i++) {
        const brew_curve *curve = &c->curves[i];
        brew_json *task = brew_json_new_object();
        brew_json_set(tasks, curve->task, task);
        if (curve->n == 0) {
            brew_json_set(task, "a", brew_json_new_real(curve->a));
            brew_json_set(task, "b", brew_json_new_real(curve->b));
            continue;
        }
        brew_json *x = brew_json_new_array(), *y = brew_json_new_array();
        for (size_t k = 0; k < curve->n; k++) {
            brew_json_push(x, brew_json_new_real(curve->x[k]));
            brew_json_push(y, brew_json_new_real(curve->y[k]));
        }
        brew_json_set(task, "x", x);
        brew_json_set(task, "y", y);
    }
    brew_json_set(out, "tasks", tasks);
    brew_json_write(text, out);
    brew_buf_addc(text, '\n');
    brew_json_free(out);
}

static int load_steps(brew_curve *curve, const brew_json *from, brew_err *err) {
    const brew_json *arrays[] = {brew_json_get(from, "x"), brew_json_get(from, "y")};
    size_t n = brew_json_length(arrays[0]);
    if (n == 0 || brew_json_length(arrays[1]) != n)
        return brew_fail(err, BREW_DATA, "\"x\" and \"y\" are not arrays of one length");
    curve->x = brew_realloc_array(NULL, n, sizeof *curve->x);
    curve->y = brew_realloc_array(NULL, n, sizeof *curve->y);
    curve->n = n;
    for (size_t i = 0; i < n; i++)
        for (int a = 0; a < 2; a++) {
            const brew_json *value = brew_json_at(arrays[a], i);
            double *to = a ? curve->y : curve->x;
            bool number = brew_json_is(value, BREW_JSON_INT) || brew_json_is(value, BREW_JSON_REAL);
            to[i] = number ? brew_json_real(value) : -1;
            if (!(to[i] >= 0 && to[i] <= 1) || (i && (a ? to[i] < to[i - 1] : to[i] <= to[i - 1])))
                return brew_fail(err, BREW_DATA, "\"%s\" does not rise within 0 to 1",
                                 a ? "y" : "x");
        }
    return 0;
}

static int load_curve(brew_curve *curve, const brew_json *from, brew_err *err) {
    curve->b = NAN;
    if (!brew_json_is(from, BREW_JSON_OBJECT))
        return brew_fail(err, BREW_DATA, "a task is not an object");
    if (brew_json_get(from, "x")) return load_steps(curve, from, err);
    if (brew_json_want_real(from, "a", &curve->a, err) < 0 ||
        brew_json_want_real(from, "b", &curve->b, err) < 0)
        return -1;
    if (!(curve->b > 0)) return brew_fail(err, BREW_DATA, "\"b\" is not above 0");
    return 0;
}

static int load_from(brew_calibration *c, const brew_json *root, brew_err *err) {
    const char *format = "", *questions = "", *method = "";
    int64_t version = 0, answers = 0;
    brew_json_iter it = {0};
    if (brew_json_want_string(root, "format", &format, err) < 0 ||
        brew_json_want_string(root, "questions", &questions, err) < 0 ||
        brew_json_want_string(root, "method", &method, err) < 0 ||
        brew_json_want_int(root, "answers", 0, INT64_MAX, &answers, err) < 0 ||
        brew_json_want_int(root, "version", 1, 1, &version, err) < 0)
        return -1;
    if (strcmp(format, "brew-calibration") != 0 || version != 1)
        return brew_fail(err, BREW_DATA, "is not a calibration of format 1");
    if (strlen(questions) != 32)
        return brew_fail(err, BREW_DATA, "\"questions\" is not a digest of 32 digits");
    memcpy(c->questions, questions, 33);
    c->answers = (size_t)answers;
    c->method = strcmp(method, "isotonic") ? BREW_CALIBRATE_PLATT : BREW_CALIBRATE_ISOTONIC;
    const brew_json *tasks = brew_json_get(root, "tasks");
    while (brew_json_is(tasks, BREW_JSON_OBJECT) && brew_json_next(tasks, &it)) {
        BREW_GROW(c->curves, c->n + 1, c->cap);
        brew_curve *curve = &c->curves[c->n++];
        *curve = (brew_curve){.task = brew_strdup(it.key)};
        if (load_curve(curve, it.value, err) < 0) return -1;
    }
    return c->n ? 0 : brew_fail(err, BREW_DATA, "\"tasks\" has no curve");
}

int brew_calibration_load(brew_calibration *c, const char *path, brew_err *err) {
    *c = (brew_calibration){0};
    brew_json *root = brew_json_load(path, err);
    if (!root) return -1;
    int status = load_from(c, root, err);
    if (status < 0) brew_err_context(err, "%s", path);
    brew_json_free(root);
    return status;
}
