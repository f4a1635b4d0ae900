// brew-eval: scores to metrics with intervals, baselines, comparisons and gates. See brew-eval(1).
#include <string.h>

#include "cli/cli.h"
#include "rank/folder.h"
#include "rank/gate.h"
#include "rank/report.h"
#include "rank/study.h"

enum { MAX_GATES = 256 };

static brew_study study = {.how = {.k = 10, .replicates = 1000}, .expect = -1};
static const char *output, *since;
static brew_opt_list events, by, gate_texts, added, chosen_on;
static int fit_method;
static bool compare, json;

static struct brew_opt options[] = {
    BREW_OPT_FLAG(0, "compare", &compare, "two files A and B: differences B - A, paired"),
    BREW_OPT_FLAG(0, "allow-missing", &study.allow_missing, "compare what both files hold"),
    BREW_OPT_LIST(0, "add", &added, "NAME=FILE[:ID,ITEM,SCORE]",
                  "set another system's scores beside ours: CSV, TSV, JSONL, TREC run"),
    BREW_OPT_STRING(0, "calibration", &study.calibration, "FILE",
                    "calibrate the scores, and show the effect"),
    BREW_OPT_STRING(0, "fit-calibration", &study.fit, "OUT",
                    "write a calibration fitted to the scores"),
    BREW_OPT_CHOICE(0, "calibration-method", &fit_method, "platt|isotonic",
                    "how --fit-calibration fits (platt)"),
    BREW_OPT_LIST(0, "chosen-on", &chosen_on, "REPORT",
                  "refuse to judge on the answers of this report or calibration"),
    BREW_OPT_LIST(0, "events", &events, "EVENTS", "the log, for baselines (the task's own)"),
    BREW_OPT_STRING('t', "task", &study.task, "TASK.json", "the task file, for baselines"),
    BREW_OPT_FLAG(0, "static", &study.static_only,
                  "no baselines as of each question, only before the split"),
    BREW_OPT_FLAG(0, "prompts", &study.prompts,
                  "take prompt records as constant scores, for baselines"),
    BREW_OPT_LIST(0, "by", &by, "FIELD[:EDGES]",
                  "slice by a field of meta, or item.FIELD of item_meta; A*B crosses them"),
    BREW_OPT_STRING(0, "since", &since, "TIME", "where --by time:ahead starts to count months"),
    BREW_OPT_FLAG(0, "sampled", &study.sampled,
                  "items were sampled, where no sample_rates are given"),
    BREW_OPT_STRING(0, "group", &study.group, "FIELD",
                    "rank within this field of meta (the request)"),
    BREW_OPT_INT('k', "top", &study.how.k, 1, 1000000, "N", "cut of the metrics @k (10)"),
    BREW_OPT_INT(0, "replicates", &study.how.replicates, 0, 1000000, "N",
                 "bootstrap replicates, 0 for variances in one pass (1000)"),
    BREW_OPT_LIST(0, "gate", &gate_texts, "GATE",
                  "exit 1 if missed, 4 if undecided: 'auc.lo>=0.70'"),
    BREW_OPT_FLAG(0, "json", &json, "write one JSON object"),
    BREW_OPT_STRING('o', "output", &output, "FILE", "write to FILE"),
    BREW_OPT_INT(0, "expect", &study.expect, 0, 9007199254740992.0, "N",
                 "fail unless N records a file"),
    BREW_OPT_FLAG(0, "allow-empty", &study.allow_empty, "no records at all is no error"),
    BREW_OPT_END};

static struct brew_cli cli = {.name = "brew-eval",
                              .does =
                                  "say what scores are worth: metrics with intervals, baselines, "
                                  "comparisons, gates",
                              .args = "[SCORES] | --compare A B",
                              .options = options,
                              .max_args = 2,
                              .reads_stdin = true};

static brew_gate gates[MAX_GATES];

static int reject(void *arg, const char *file, uint64_t line, const char *row, size_t len,
                  brew_err *why) {
    (void)arg;
    if (why != &cli.err) cli.err = *why;
    return brew_cli_reject(&cli, file, line, row, len);
}

static void warn(void *arg, const char *text) {
    (void)arg;
    brew_cli_warn(&cli, "%s", text);
}

static void progress(void *arg, uint64_t lines) {
    (void)arg;
    brew_cli_progress(&cli, "records", lines, 0);
}

static void check_folder(void) {
    static const char *const without[] = {
        "add",   "calibration", "fit-calibration", "task",   "prompts", "by",     "sampled",
        "group", "replicates",  "chosen-on",       "expect", "since",   "static", "top"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (brew_cli_given(&cli, without[i]))
            brew_cli_usage(&cli, "--%s needs records, not a folder of columns", without[i]);
}

static void check_usage(void) {
    if (compare && cli.n_args != 2) brew_cli_usage(&cli, "--compare takes two files");
    if (!compare && cli.n_args > 1) brew_cli_usage(&cli, "two files need --compare");
    if (study.allow_missing && !compare && !added.n)
        brew_cli_usage(&cli, "--allow-missing goes with --compare or --add");
    if (compare && (added.n || study.fit || study.calibration))
        brew_cli_usage(&cli, "--compare excludes --add, --calibration and --fit-calibration");
    if (study.fit && study.calibration)
        brew_cli_usage(&cli, "--calibration and --fit-calibration exclude each other");
    if (brew_cli_given(&cli, "calibration-method") && !study.fit)
        brew_cli_usage(&cli, "--calibration-method needs --fit-calibration");
    if (compare && study.task) brew_cli_usage(&cli, "--compare and --task exclude each other");
    if (events.n && !study.task) brew_cli_usage(&cli, "--events needs --task");
    if (study.static_only && !study.task) brew_cli_usage(&cli, "--static needs --task");
    if (gate_texts.n > MAX_GATES) brew_cli_usage(&cli, "more than %d gates", MAX_GATES);
    if (since && !brew_time_parse(since, strlen(since), BREW_TIME_ISO, &study.since_ms) &&
        !brew_time_parse(since, strlen(since), BREW_TIME_S, &study.since_ms))
        brew_cli_usage(&cli, "--since is neither a date nor a number of seconds");
    for (size_t i = 0; i < by.n; i++)
        if (strstr(by.values[i], "time:ahead") && !since)
            brew_cli_usage(&cli, "--by time:ahead needs --since TIME");
    for (size_t i = 0; i < gate_texts.n; i++)
        if (brew_gate_parse(&gates[i], gate_texts.values[i], &cli.err) < 0)
            brew_cli_usage(&cli, "%s", cli.err.text);
    if (cli.n_args == 1 && brew_folder_is(study.scores[0])) check_folder();
}

static brew_names names_of(const brew_opt_list *list) {
    return (brew_names){list->values, list->n};
}

static brew_json *make_report(void) {
    study.how.seed = (uint64_t)cli.seed;
    study.by = names_of(&by);
    study.added = names_of(&added);
    study.events = names_of(&events);
    study.chosen_on = names_of(&chosen_on);
    study.fit_method = fit_method == 1 ? BREW_CALIBRATE_ISOTONIC : BREW_CALIBRATE_PLATT;
    study.judged = gate_texts.n > 0;
    study.pool = brew_cli_pool(&cli);
    study.reject = reject;
    study.warn = warn;
    study.progress = progress;
    brew_json *report = brew_study_report(&study, &cli.err);
    cli.accepted += study.records;
    return report;
}

// The worst verdict, -1 on error.
static int judge(brew_json *report) {
    int worst = brew_gates_judge(gates, gate_texts.n, report, &cli.err);
    for (size_t i = 0; worst > 0 && i < gate_texts.n; i++) {
        char text[1024];
        if (brew_gate_complaint(brew_json_at(brew_json_get(report, "gates"), i), text, sizeof text))
            brew_cli_warn(&cli, "%s", text);
    }
    return worst;
}

static int write_report(const brew_json *report) {
    brew_buf text = {0};
    if (json) {
        brew_json_write(&text, report);
        brew_buf_addc(&text, '\n');
    } else {
        brew_report_text(&text, report);
    }
    int status = brew_out_whole(output, BREW_OUT_TEXT, text.ptr, text.len, &cli.err);
    brew_buf_release(&text);
    return status;
}

int main(int argc, char **argv) {
    char **files = brew_cli_start(&cli, argc, argv);
    study.scores[0] = files[0] ? files[0] : "-";
    study.scores[1] = files[0] ? files[1] : NULL;
    check_usage();
    brew_json *report = make_report();
    int verdict = report ? judge(report) : -1;
    if (verdict < 0 || write_report(report) < 0) {
        brew_json_free(report);
        return brew_cli_die(&cli);
    }
    brew_cli_fact_int(&cli, "answers", brew_json_int(brew_json_get(report, "n")));
    brew_json_free(report);
    brew_study_release(&study);
    int status = brew_cli_finish(&cli);
    return verdict == BREW_GATE_MISSED ? BREW_NEGATIVE : verdict ? BREW_UNDECIDED : status;
}
