// Figures of a column folder: exact, in bounded memory, with intervals by clustered variance.
//
// Four kinds of passes over the mapped columns: one checks every value and finds ranges and totals; one adds up what
// needs no order; then scores are cut into ranges of at most `buffer_rows` rows, and each range is gathered, sorted and
// walked, so that every row meets the exact weight below and above it. Members are numbers of their own; 48
// bytes are kept for each. What is added up by member is fixed-point, and what by rows is added in a fixed
// order: the same bits at any thread count.
//
// Measured are positive_rate, auc, pr_auc, and, if all scores lie within 0 to 1, logloss,
// normalised_entropy, brier, ece and copc; pr_auc and ece have no interval. auc is a ratio of integers if there are
// no weights.
#ifndef BREW_RANK_BULK_H
#define BREW_RANK_BULK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/pool.h"
#include "io/json.h"
#include "rank/folder.h"
#include "rank/evaluate.h"

typedef struct brew_bulk {
    brew_figures figures; // NaN where not measured
    uint64_t n, unknown, members;
    bool weighted, probabilities;
} brew_bulk;

enum { BREW_BULK_BUFFER_ROWS = 1 << 25 }; // 16 bytes each

// buffer_rows >= 1. Fails on a value that is out of its range, naming the row, and for want of memory.
int brew_bulk_measure(const brew_folder *folder, size_t buffer_rows, brew_pool *pool,
                      brew_bulk *out, brew_err *err);
// As a report (see report.h).
brew_json *brew_bulk_report(const brew_bulk *bulk);
// Opens, measures, reports; NULL on failure, and for a folder without rows unless allow_empty.
brew_json *brew_bulk_report_of(const char *folder, bool allow_empty, brew_pool *pool,
                               brew_err *err);

#endif
