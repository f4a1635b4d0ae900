// Gates: conditions on figures that decide the exit status.
//
// A gate is PATH OP NUMBER, without or with blanks, OP one of >= > <= <. PATH walks down the report as
// --json writes it, names joined by dots; "metrics" may be left out, a figure stands for its value, and *
// for every name at its place: auc.lo, auc, ndcg@10.lo, members, delta.auc.lo, ahead.baselines.item.auc.lo,
// tasks.*.auc.lo. A slice is named by its field and value: slices.history.0-5.auc.lo. What has no value (null)
// is missed.
//
// A gate on the bound of an interval that noise pushes away from passing (lo with >= or >, hi with <= or <)
// has three verdicts: passed, if the whole interval lies on the right side of the number; missed, if it lies
// on the wrong side; else undecided, with the number of members at which four of five such measurements
// would be decided if the value stays what it is. At a true value of just NUMBER, either decision is wrong in
// 2.5 % of cases. Where * stands for several names, this holds for all of them together, by Holm's
// correction: the gate is missed if one is, and passed if all are.
// Every other gate compares two numbers: passed or missed.
#ifndef BREW_RANK_GATE_H
#define BREW_RANK_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "io/json.h"

enum brew_gate_op { BREW_GATE_GE, BREW_GATE_GT, BREW_GATE_LE, BREW_GATE_LT };
enum brew_verdict { BREW_GATE_PASSED, BREW_GATE_UNDECIDED, BREW_GATE_MISSED };

typedef struct brew_gate {
    const char *text; // as given, borrowed
    size_t path_len;
    enum brew_gate_op op;
    double bound;
} brew_gate;

// BREW_USAGE if the text is no gate.
int brew_gate_parse(brew_gate *gate, const char *text, brew_err *err);
// An enum brew_verdict, or -1 if the report has nothing of that name (BREW_USAGE). *judged is a new object:
// gate, verdict, passed, and value and, if undecided, members_needed (null: no number would do); or "cases",
// an array of the same by name, where * stands for names.
int brew_gate_judge(const brew_gate *gate, const brew_json *report, brew_json **judged,
                    brew_err *err);
// What is to be said of a judged gate that is not passed, as a sentence; false if it is.
bool brew_gate_complaint(const brew_json *judged, char *text, size_t bytes);
// Judges all and adds "gates" to the report; the worst verdict, or -1.
int brew_gates_judge(const brew_gate *gates, size_t n, brew_json *report, brew_err *err);

#endif
