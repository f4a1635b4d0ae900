// What the files of the report share. Only lib/rank/report*.c includes it.
#ifndef BREW_RANK_REPORT_PARTS_H
#define BREW_RANK_REPORT_PARTS_H

#include "rank/report.h"

// What a report is made from: systems over one table of answers, and the fields to slice by.
struct brew_report_source {
    const brew_answers *answers;
    const double *const *score; // [n] of each system; the first is ours (a), of two the second is b
    size_t n;
    bool paired;            // two systems: a, b, delta
    bool sampled;           // no calibration
    const brew_reader *by;  // whose fields to slice by
    const uint32_t *by_row; // [answers->n] the rows in it, NULL: the same
    brew_evaluate_options options;
    brew_pool *pool;
};

void brew_report_int(brew_json *object, const char *key, uint64_t value);

// What a score is not good for.
enum brew_report_scores {
    BREW_SCORES_ARE_PROBABILITIES,
    BREW_SCORES_ARE_AN_ORDER, // calibration is left out
    BREW_SCORES_ARE_SAMPLED   // calibration is null, the other figures say so
};
brew_json *brew_report_metrics(const brew_figures *figures, int64_t k, enum brew_report_scores are);
// "metrics" of the first system, or "a", "b" and "delta"; figures[n] and delta[n].
void brew_report_put(brew_json *out, const struct brew_report_source *s,
                     const brew_figures *figures, const brew_figures *delta);
// "slices": each value of each field.
int brew_report_slices(brew_json *out, const struct brew_report_source *s, brew_err *err);
// "truncated": by how many lines are left, the figures of the questions asked with a cut history, and by how
// much they differ from those asked with the whole of it ("delta", paired).
int brew_report_cut(brew_json *out, const struct brew_report_source *s, const brew_reader *whole,
                    brew_err *err);
// "tasks", "macro" and "worst", if there are several tasks.
int brew_report_tasks(brew_json *out, const struct brew_report_source *s, brew_err *err);

#endif
