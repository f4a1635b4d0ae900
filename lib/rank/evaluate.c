#include "rank/evaluate.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

static void fill(const double *value, const uint64_t *n, const brew_spread *spread,
                 brew_figures *figures) {
    for (int i = 0; i < BREW_METRICS; i++) {
        brew_figure *f = &figures->of[i];
        f->value = value[i];
        f->n = n[i];
        brew_spread_interval(spread, i, f->value, &f->lo, &f->hi);
    }
}

static void fill_delta(const brew_figures *first, const brew_figures *other,
                       const brew_spread *spread_first, const brew_spread *spread_other,
                       brew_figures *delta) {
    delta->counts = other->counts;
    for (int i = 0; i < BREW_METRICS; i++) {
        brew_figure *f = &delta->of[i];
        f->value = other->of[i].value - first->of[i].value;
        f->n = other->of[i].n;
        brew_spread_difference(spread_first, spread_other, i, f->value, &f->lo, &f->hi);
    }
}

int brew_evaluate(const brew_answers *answers, const double *const *score, size_t n,
                  const brew_evaluate_options *o, brew_pool *pool, brew_figures *figures,
                  brew_figures *delta, brew_err *err) {
    brew_spread first = {0};
    int status = 0;
    for (size_t s = 0; status == 0 && s < n; s++) {
        brew_measure m;
        brew_spread spread = {0};
        status = brew_measure_init(&m, answers, score[s], o->k, pool, err);
        if (status == 0)
            status = brew_spread_init(&spread, &m, o->method, o->replicates, o->seed, pool, err);
        if (status == 0) {
            figures[s].counts = m.counts;
            fill(m.value, m.n, &spread, &figures[s]);
            const brew_spread *zero = s == 0 ? &spread : &first;
            if (delta) fill_delta(&figures[0], &figures[s], zero, &spread, &delta[s]);
        }
        brew_measure_release(&m);
        if (s == 0)
            first = spread;
        else
            brew_spread_release(&spread);
    }
    brew_spread_release(&first);
    return status;
}

// Sums over parts; where a part has no value, or a replicate of it has none, the rest is the mean.
struct macro {
    brew_spread spread;
    double value[BREW_METRICS];
    uint64_t n[BREW_METRICS];
};

static int add_part(struct macro *macro, const brew_answers *answers, const double *score,
                    const brew_evaluate_options *o, brew_pool *pool, brew_err *err) {
    brew_measure m;
    brew_spread spread = {0};
    int status = brew_measure_init(&m, answers, score, o->k, pool, err);
    if (status == 0)
        status = brew_spread_init(&spread, &m, o->method, o->replicates, o->seed, pool, err);
    for (int i = 0; status == 0 && i < BREW_METRICS; i++) {
        if (isnan(m.value[i])) continue;
        macro->value[i] += m.value[i];
        macro->n[i]++;
        for (size_t r = 0; r < macro->spread.n; r++)
            macro->spread.row[r][i] += r < spread.n ? spread.row[r][i] : NAN;
    }
    if (status == 0 && m.n_members > macro->spread.n_members)
        macro->spread.n_members = m.n_members; // at least so many take part
    brew_spread_release(&spread);
    brew_measure_release(&m);
    return status;
}

static void divide(struct macro *macro) {
    for (int i = 0; i < BREW_METRICS; i++) {
        double n = macro->n[i] ? (double)macro->n[i] : NAN;
        macro->value[i] /= n;
        for (size_t r = 0; r < macro->spread.n; r++) macro->spread.row[r][i] /= n;
    }
}

int brew_evaluate_macro(const brew_answers *answers, size_t n_parts, const double *const *score,
                        size_t n, const brew_evaluate_options *o, brew_pool *pool,
                        brew_figures *figures, brew_figures *delta, brew_err *err) {
    struct macro *macro = brew_calloc(n + 1, sizeof *macro);
    size_t replicates = o->method == BREW_INTERVAL_BOOTSTRAP ? (size_t)o->replicates : 0;
    int status = 0;
    for (size_t s = 0; s < n && status == 0; s++) {
        brew_spread *spread = &macro[s].spread;
        spread->method = BREW_INTERVAL_BOOTSTRAP;
        spread->n = replicates;
        status = brew_slab_init(&spread->slab, replicates * sizeof *spread->row + 1,
                                "the replicates", err);
        spread->row = spread->slab.ptr;
        for (size_t p = 0; p < n_parts && status == 0; p++)
            status = add_part(&macro[s], &answers[p], score[p * n + s], o, pool, err);
        if (status < 0) break;
        divide(&macro[s]);
        figures[s] = (brew_figures){0};
        fill(macro[s].value, macro[s].n, spread, &figures[s]);
        if (delta) fill_delta(&figures[0], &figures[s], &macro[0].spread, spread, &delta[s]);
    }
    for (size_t s = 0; s < n; s++) brew_spread_release(&macro[s].spread);
    free(macro);
    return status;
}
