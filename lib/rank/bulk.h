// Figures of a column folder: exact, in bounded memory, with intervals by clustered variance.
//
// The mapped columns are read several times: every value is checked, with ranges and totals found; scores are
// counted in buckets of equal width; as many buckets as fit the buffer are gathered as keys (score and
// outcome), sorted and walked, so that every row meets the exact weight below and above it; at last what the
// intervals need is added up by member. There a row's share of the pairs is that of its cell, scores side by
// side with a 2048th of the weight (or one score with more): it moves no value, and an end of auc's interval
// by far less than it can be read to (1e-5 with 6,000 rows, 1e-9 with 10^7).
//
// Memory is 8 bytes (12 with weights) for each of buffer_rows, a third of that for each thread at most, and 48
// bytes a member, or for each number between the least id and the greatest, if they are less than 2^24 apart;
// where they are farther, up to 48 more for a table of ids. What is added up by member is fixed-point, and what by
// rows is added in a fixed order: the same bits at any thread count.
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

enum { BREW_BULK_BUFFER_ROWS = 1 << 26 };

// buffer_rows >= 1. Fails on a value that is out of its range, naming the row, and for want of memory.
int brew_bulk_measure(const brew_folder *folder, size_t buffer_rows, brew_pool *pool,
                      brew_bulk *out, brew_err *err);
// As a report (see report.h).
brew_json *brew_bulk_report(const brew_bulk *bulk);
// Opens, measures, reports; NULL on failure, and for a folder without rows unless allow_empty.
brew_json *brew_bulk_report_of(const char *folder, bool allow_empty, brew_pool *pool,
                               brew_err *err);

#endif
