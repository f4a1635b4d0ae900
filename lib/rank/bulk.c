#include "rank/bulk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rank/bootstrap.h"
#include "rank/bulk_parts.h"
#include "rank/report_parts.h"

static void set_values(const struct brew_bulk_state *s, brew_bulk *out) {
    double totals[BREW_SUMS] = {0}, value[BREW_METRICS];
    double positives = s->weight[1], negatives = s->weight[0];
    totals[BREW_SUM_W] = positives + negatives;
    totals[BREW_SUM_WY] = positives;
    totals[BREW_SUM_WP] = s->wp;
    totals[BREW_SUM_LOGLOSS] = s->logloss;
    totals[BREW_SUM_BRIER] = s->brier;
    for (int i = 0; i < BREW_ECE_BINS; i++) totals[BREW_SUM_BIN + i] = s->ece[i];
    brew_metric_values(totals, value);
    value[BREW_METRIC_AUC] = NAN;
    if (positives > 0 && negatives > 0) value[BREW_METRIC_AUC] = s->auc / (positives * negatives);
    value[BREW_METRIC_PR_AUC] = positives > 0 ? s->precision / positives : NAN;
    for (int i = 0; i < BREW_METRICS; i++) {
        bool blank = brew_metric_is_calibration(i) && !out->probabilities;
        out->figures.of[i] = (brew_figure){blank ? NAN : value[i], NAN, NAN, out->n};
    }
}

// A member's influence on each metric, squared, as in bootstrap.c.
static void add_influence(const struct brew_bulk_state *s, const struct brew_bulk_sums *m,
                          const brew_figure *of, double variance[BREW_METRICS]) {
    double all = s->weight[0] + s->weight[1], r = of[BREW_METRIC_POSITIVE_RATE].value;
    double w = (double)m->w * 0x1p-61, wy = (double)m->wy * 0x1p-61, wp = (double)m->wp * 0x1p-61;
    double loss = of[BREW_METRIC_LOGLOSS].value, entropy = of[BREW_METRIC_NORMALISED_ENTROPY].value;
    double of_rate = wy - r * w, of_loss = 35 * 0x1p-61 * (double)m->logloss - loss * w;
    double auc = (double)m->won * 0x1p-61;
    if (s->weight[0] > 0 && s->weight[1] > 0)
        auc -=
            of[BREW_METRIC_AUC].value * (wy * all / s->weight[1] + (w - wy) * all / s->weight[0]);
    const struct {
        enum brew_metric metric;
        double x;
    } list[] = {
        {BREW_METRIC_POSITIVE_RATE, of_rate},
        {BREW_METRIC_AUC, auc},
        {BREW_METRIC_LOGLOSS, of_loss},
        {BREW_METRIC_NORMALISED_ENTROPY,
         entropy * (of_loss - entropy * log((1 - r) / r) * of_rate) / loss},
        {BREW_METRIC_BRIER, (double)m->brier * 0x1p-61 - of[BREW_METRIC_BRIER].value * w},
        {BREW_METRIC_COPC, (wy - of[BREW_METRIC_COPC].value * wp) * all / s->wp},
    };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        variance[list[i].metric] += list[i].x * list[i].x;
}

static void set_intervals(const struct brew_bulk_state *s, brew_bulk *out) {
    double variance[BREW_METRICS] = {0};
    brew_figure *of = out->figures.of;
    for (size_t i = 0; i < s->ids.n; i++) {
        if (s->sums[i].w == 0) continue; // no rows, or none that weighs
        out->members++;
        add_influence(s, &s->sums[i], of, variance);
    }
    double members = (double)out->members;
    if (out->members < 2) return;
    double wide = brew_t95(members - 1) * sqrt(members / (members - 1));
    for (int i = 0; i < BREW_METRICS; i++) {
        if (isnan(of[i].value) || i == BREW_METRIC_PR_AUC || i == BREW_METRIC_ECE) continue;
        bool share = i != BREW_METRIC_LOGLOSS && i != BREW_METRIC_COPC &&
                     i != BREW_METRIC_NORMALISED_ENTROPY;
        double half = wide * sqrt(variance[i]);
        of[i].lo = fmax(0, of[i].value - half);
        of[i].hi = share ? fmin(1, of[i].value + half) : of[i].value + half;
    }
}

int brew_bulk_measure(const brew_folder *folder, size_t buffer_rows, brew_pool *pool,
                      brew_bulk *out, brew_err *err) {
    struct brew_bulk_state s = {.folder = folder, .pool = pool, .buffer_rows = buffer_rows};
    size_t bytes;
    *out = (brew_bulk){.weighted = folder->weights.data != NULL};
    if (folder->n > UINT32_MAX)
        return brew_fail(err, BREW_DATA, "%zu rows are more than 4294967295", folder->n);
    int status = brew_bulk_check(&s, err);
    out->n = s.rows[0] + s.rows[1];
    out->unknown = s.unknown;
    out->probabilities = s.least >= 0 && s.most <= 1;
    if (status == 0 && !brew_mul(s.ids.n + 1, sizeof *s.sums, &bytes))
        status = brew_fail(err, BREW_DATA, "%zu members are too many", s.ids.n);
    if (status == 0) status = brew_slab_init(&s.slab, bytes, "the sums of the members", err);
    s.sums = s.slab.ptr;
    if (status == 0) status = brew_bulk_sorted(&s, err);
    if (status == 0) {
        brew_bulk_members(&s);
        set_values(&s, out);
        set_intervals(&s, out);
    }
    brew_slab_release(&s.slab);
    free(s.cells.cell);
    free(s.ids.key);
    free(s.ids.number);
    return status;
}

brew_json *brew_bulk_report(const brew_bulk *bulk) {
    brew_json *out = brew_json_new_object(), *metrics = brew_json_new_object();
    static const enum brew_metric measured[] = {
        BREW_METRIC_POSITIVE_RATE,      BREW_METRIC_AUC,   BREW_METRIC_PR_AUC, BREW_METRIC_LOGLOSS,
        BREW_METRIC_NORMALISED_ENTROPY, BREW_METRIC_BRIER, BREW_METRIC_ECE,    BREW_METRIC_COPC};
    brew_report_int(out, "n", bulk->n);
    brew_report_int(out, "members", bulk->members);
    brew_json *all = brew_report_metrics(&bulk->figures, 1,
                                         bulk->probabilities ? BREW_SCORES_ARE_PROBABILITIES
                                                             : BREW_SCORES_ARE_AN_ORDER);
    for (size_t i = 0; i < sizeof measured / sizeof *measured; i++) {
        char name[BREW_METRIC_NAME];
        brew_metric_name(measured[i], 1, name);
        const brew_json *figure = brew_json_get(all, name);
        if (figure) brew_json_set(metrics, name, brew_json_copy(figure));
    }
    brew_json_free(all);
    brew_json_set(out, "metrics", metrics);
    brew_json *left = brew_json_new_object(), *interval = brew_json_new_object();
    brew_report_int(left, "unknown_outcomes", bulk->unknown);
    brew_json_set(out, "left_out", left);
    brew_json_set(out, "weighted", brew_json_new_bool(bulk->weighted));
    brew_json_set(interval, "method", brew_json_new_string("clustered variance", 18));
    brew_json_set(interval, "cluster", brew_json_new_string("member", 6));
    brew_json_set(interval, "level", brew_json_new_real(.95));
    brew_json_set(out, "interval", interval);
    return out;
}

brew_json *brew_bulk_report_of(const char *path, bool allow_empty, brew_pool *pool, brew_err *err) {
    brew_folder folder;
    brew_bulk bulk;
    if (brew_folder_open(&folder, path, err) < 0) return NULL;
    int status = folder.n || allow_empty ? 0 : brew_fail(err, BREW_DATA, "is empty");
    if (status == 0) status = brew_bulk_measure(&folder, BREW_BULK_BUFFER_ROWS, pool, &bulk, err);
    if (status < 0) brew_err_context(err, "%s", path);
    brew_folder_close(&folder);
    return status == 0 ? brew_bulk_report(&bulk) : NULL;
}
