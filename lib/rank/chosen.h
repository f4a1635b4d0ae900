// Data that something was chosen or fitted on cannot judge it: equal digests of questions give it away.
#ifndef BREW_RANK_CHOSEN_H
#define BREW_RANK_CHOSEN_H

#include "base/err.h"
#include "rank/calibration.h"
#include "rank/reader.h"
#include "rank/systems.h"

// Fails if the reader's questions are those of one of the files (JSON: reports, calibrations; every member
// "questions" at any depth counts), or those that the scores say they were calibrated on.
int brew_chosen_check(const brew_reader *reader, const char *const *files, size_t n, brew_err *err);

// Calibrates the reader's scores, and adds them as they were to systems as "uncalibrated". Fails if the
// calibration was fitted on the same questions, or lacks a task.
int brew_chosen_calibrate(brew_reader *reader, const brew_calibration *calibration,
                          brew_systems *systems, brew_err *err);

#endif
