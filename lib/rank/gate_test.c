#include "rank/gate.h"

#include <math.h>

#include "base/tap.h"

static const char report_text[] =
    "{\"n\":100,\"metrics\":{\"auc\":{\"value\":0.7,\"lo\":0.65,\"hi\":0.75,\"n\":100},"
    "\"ndcg@10\":{\"value\":0.5,\"lo\":null,\"hi\":null,\"n\":0}},"
    "\"baselines\":{\"item\":{\"auc\":{\"value\":0.6,\"lo\":0.5,\"hi\":0.7,\"n\":1}}},"
    "\"delta\":{\"auc\":{\"value\":-0.01,\"lo\":-0.02,\"hi\":0,\"n\":1}},"
    "\"a\":{\"metrics\":{\"auc\":{\"value\":0.71,\"lo\":0.5,\"hi\":0.7,\"n\":1}}},\"slices\":[]}";

int main(void) {
    static const struct {
        const char *text;
        int passed;
    } gates[] = {
        {"auc>=0.7", 1},
        {"auc > 0.7", 0},
        {"auc.value<=.7", 1},
        {"auc<0.7", 0},
        {"auc.lo>=0.66", 0},
        {"metrics.auc.hi<0.76", 1},
        {"ndcg@10>=0.5", 1},
        {"ndcg@10.lo>=0", 0}, // null
        {"ndcg@10.lo<=9", 0}, // null, the other way round
        {"n>=100", 1},
        {"baselines.item.auc.lo>=0.5", 1},
        {"delta.auc.lo>=-0.021", 1},
        {"delta.auc.hi>-1e-9", 1},
        {"a.auc>=0.71", 1},
        {"b.auc>=0.71", -1},
        {"nonsense>=0", -1},
        {"auc.nonsense>=0", -1},
        {"auc.lo.lo>=0", -1},
        {"slices>=0", -1},
        {"metrics>=0", -1},
    };
    static const char *const bad[] = {
        "",        "auc",  "auc=1",    ">=1",    "auc>=",    "auc>=x1",  "auc>>=1",
        "auc>=1x", "auc=", "auc>=nan", "auc>= ", "auc>=inf", "auc>=0x1", " >=1"};
    brew_err err;
    brew_gate gate;
    double value;
    brew_json *report = brew_json_parse(report_text, strlen(report_text), &err);
    if (!ok(report != NULL, "the report")) return tap_done();
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) {
        bool parsed = brew_gate_parse(&gate, gates[i].text, &err) == 0;
        int passed = parsed ? brew_gate_judge(&gate, report, &value, &err) : -2;
        is_int(passed, gates[i].passed, gates[i].text);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(brew_gate_parse(&gate, bad[i], &err) < 0 && err.code == BREW_USAGE, "no gate: \"%s\"",
           bad[i]);
    brew_gate_parse(&gate, "ndcg@10.lo<=9", &err);
    ok(brew_gate_judge(&gate, report, &value, &err) == 0 && isnan(value), "null is NaN");
    brew_json_free(report);
    return tap_done();
}
