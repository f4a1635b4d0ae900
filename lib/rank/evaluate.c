#include "rank/evaluate.h"

static void fill(const brew_measure *m, const brew_spread *spread, brew_figures *figures) {
    figures->counts = m->counts;
    for (int i = 0; i < BREW_METRICS; i++) {
        brew_figure *f = &figures->of[i];
        f->value = m->value[i];
        f->n = m->n[i];
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
            fill(&m, &spread, &figures[s]);
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
