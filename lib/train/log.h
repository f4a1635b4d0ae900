// The log of a run: metrics.jsonl, one row of JSON per step, written as steps end.
//
// A run that goes on from a checkpoint cuts the log back to that step, so that the rows are those of a run
// that never stopped. A path that is no regular file (a pipe, /dev/stderr) is only written to.
#ifndef BREW_TRAIN_LOG_H
#define BREW_TRAIN_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "io/json.h"

typedef struct brew_log brew_log;

// step: that of the checkpoint gone on from; 0: none. fresh: the run begins, and a log with anything in
// it is refused. NULL on failure.
brew_log *brew_log_open(const char *path, bool fresh, int64_t step, brew_err *err);
int brew_log_row(brew_log *log, const brew_json *row, brew_err *err); // with a member "step"
int brew_log_sync(brew_log *log,
                  brew_err *err);   // to the disk: before a checkpoint that counts on it
void brew_log_close(brew_log *log); // NULL is fine

#endif
