// Gates: conditions on figures that decide the exit status.
//
// A gate is PATH OP NUMBER, without or with blanks, OP one of >= > <= <. PATH walks down the report as
// --json writes it, names joined by dots; "metrics" may be left out, and a figure stands for its value:
// auc.lo, auc, ndcg@10.lo, members, delta.auc.lo, b.auc, baselines.item.auc. What has no value (null) never
// passes.
#ifndef BREW_RANK_GATE_H
#define BREW_RANK_GATE_H

#include <stdbool.h>

#include "base/err.h"
#include "io/json.h"

enum brew_gate_op { BREW_GATE_GE, BREW_GATE_GT, BREW_GATE_LE, BREW_GATE_LT };

typedef struct brew_gate {
    const char *text; // as given, borrowed
    size_t path_len;
    enum brew_gate_op op;
    double bound;
} brew_gate;

// BREW_USAGE if the text is no gate.
int brew_gate_parse(brew_gate *gate, const char *text, brew_err *err);
// 1 passed, 0 missed, -1 if the report has nothing of that name (BREW_USAGE). *value is what was judged, NaN
// for null.
int brew_gate_judge(const brew_gate *gate, const brew_json *report, double *value, brew_err *err);

#endif
