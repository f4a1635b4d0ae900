// The report: everything brew-eval says, as one JSON object (brew-eval(1) lists its keys), and as text.
//
// Of one file: n, members, groups, metrics, baselines and other systems with our lead over each, tasks,
// slices, reliability, left_out, interval, ... Of two: n, members, a, b (each with metrics), delta, moved,
// tasks, slices, missing, interval. Gates are judged on this object and the text is printed from it, so that no
// figure exists in one form only.
#ifndef BREW_RANK_REPORT_H
#define BREW_RANK_REPORT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/pool.h"
#include "io/json.h"
#include "rank/baseline.h"
#include "rank/compare.h"
#include "rank/evaluate.h"
#include "rank/reader.h"
#include "rank/systems.h"

// The report of one file, beside other systems over its answers (NULL: none). Answers that some system has
// no score for are left out for all, and counted. options->method is chosen here, for all tables alike
// (see brew_interval_choose). NULL on failure. The caller frees it.
brew_json *brew_report_one(const brew_reader *reader, const brew_systems *others,
                           const brew_evaluate_options *options, brew_pool *pool, brew_err *err);
// The report of a and b joined; delta is b - a.
brew_json *brew_report_two(const brew_reader *a, const brew_reader *b, const brew_join *join,
                           const brew_evaluate_options *options, brew_pool *pool, brew_err *err);

// The report for people: lines of aligned text. Gates, once added to the report, are listed, too.
void brew_report_text(brew_buf *out, const brew_json *report);

#endif
