// Gates: what they name, the three verdicts, and how many members a decision needs.
#include "rank/gate.h"

#include <math.h>

#include "base/tap.h"

static const char report_text[] =
    "{\"n\":100,\"members\":50,"
    "\"metrics\":{\"auc\":{\"value\":0.7,\"lo\":0.65,\"hi\":0.75,\"n\":100},"
    "\"ndcg@10\":{\"value\":0.5,\"lo\":null,\"hi\":null,\"n\":0}},"
    "\"baselines\":{\"item\":{\"auc\":{\"value\":0.6,\"lo\":0.5,\"hi\":0.7,\"n\":1}}},"
    "\"delta\":{\"auc\":{\"value\":-0.01,\"lo\":-0.02,\"hi\":0,\"n\":1},"
    "\"brier\":{\"value\":0,\"lo\":0,\"hi\":0,\"n\":1}},"
    "\"tasks\":{\"a\":{\"members\":10,\"metrics\":{\"auc\":{\"value\":0.7,\"lo\":0.6,\"hi\":0.8}}},"
    "\"b.c\":{\"members\":20,\"metrics\":{\"auc\":{\"value\":0.9,\"lo\":0.85,\"hi\":0.95}}}},"
    "\"a\":{\"metrics\":{\"auc\":{\"value\":0.71,\"lo\":0.5,\"hi\":0.7,\"n\":1}}},\"slices\":[]}";

static double needed(const char *text, const brew_json *report) {
    brew_gate gate;
    brew_json *judged = NULL;
    brew_gate_parse(&gate, text, NULL);
    brew_gate_judge(&gate, report, &judged, NULL);
    const brew_json *n = brew_json_get(judged, "members_needed");
    double out = brew_json_is(n, BREW_JSON_INT) ? brew_json_real(n) : NAN;
    brew_json_free(judged);
    return out;
}

enum { P = BREW_GATE_PASSED, U = BREW_GATE_UNDECIDED, M = BREW_GATE_MISSED };

int main(void) {
    static const struct {
        const char *text;
        int verdict;
    } gates[] = {
        {"auc>=0.7", P},
        {"auc > 0.7", M},
        {"auc.value<=.7", P},
        {"auc<0.7", M},
        {"auc.lo>=0.66", U},
        {"auc.lo>=0.75", U},
        {"auc.lo>0.75", M},
        {"auc.lo>=0.751", M},
        {"auc.lo<=0.6", M},
        {"auc.hi<=0.74", U},
        {"auc.hi<=0.6", M},
        {"delta.brier.hi<=0", P},
        {"delta.brier.lo>0", M},
        {"tasks.*.auc.lo>=0.5", P},
        {"tasks.*.auc.lo>=0.595", P},
        {"tasks.*.auc.lo>=0.61", U},
        {"tasks.*.auc.lo>=0.81", U},
        {"tasks.*.auc.lo>=0.83", M},
        {"tasks.*.auc>=0.6", P},
        {"tasks.*.auc>=0.8", M},
        {"tasks.b.c.auc.lo>=0.85", P},
        {"tasks.*.acu.lo>=0", -1},
        {"*>=0", P},
        {"metrics.auc.hi<0.76", P},
        {"ndcg@10>=0.5", P},
        {"ndcg@10.lo>=0", M}, // null
        {"ndcg@10.lo<=9", M}, // null, the other way round
        {"n>=100", P},
        {"baselines.item.auc.lo>=0.5", P},
        {"delta.auc.lo>=-0.021", P},
        {"delta.auc.hi>-1e-9", P},
        {"a.auc>=0.71", P},
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
    brew_json *report = brew_json_parse(report_text, strlen(report_text), &err);
    if (!ok(report != NULL, "the report")) return tap_done();
    for (size_t i = 0; i < sizeof gates / sizeof *gates; i++) {
        bool parsed = brew_gate_parse(&gate, gates[i].text, &err) == 0;
        brew_json *judged = NULL;
        int verdict = parsed ? brew_gate_judge(&gate, report, &judged, &err) : -2;
        is_int(verdict, gates[i].verdict, gates[i].text);
        brew_json_free(judged);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ok(brew_gate_parse(&gate, bad[i], &err) < 0 && err.code == BREW_USAGE, "no gate: \"%s\"",
           bad[i]);
    // halves of the interval: 1; (1.96 + 0.84) / 1.96 of them are needed at 0.65
    is_near(needed("auc.lo>=0.6501", report), 110, 0, "members needed, two figures of them");
    is_near(needed("auc.lo>=0.699", report), 260000, 0, "many, near the value");
    is_near(needed("auc.lo>=0.71", report), 2600, 0, "as many below as above, to miss it");
    ok(isnan(needed("auc.lo>=0.7", report)), "none at the value itself");
    brew_json_free(report);
    return tap_done();
}
