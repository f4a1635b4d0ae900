// brew-eval: scores to metrics with intervals, baselines, comparisons and gates. See brew-eval(1).
#include <inttypes.h>
#include <math.h>

#include "cli/cli.h"
#include "rank/added.h"
#include "rank/bulk.h"
#include "rank/calibration.h"
#include "rank/chosen.h"
#include "rank/compare.h"
#include "rank/gate.h"
#include "rank/past_read.h"
#include "rank/reader.h"
#include "rank/report.h"

enum { MAX_LINE = 256 << 20, MAX_GATES = 256 };

static const char *task_path, *group, *output, *since, *fit_path, *calibration_path;
static brew_opt_list event_paths, by, gate_texts, added_texts, chosen_on;
static int64_t k = 10, replicates = 1000, expect;
static int64_t since_ms;
static int fit_method;
static bool compare, allow_missing, prompts, sampled, static_only, allow_empty, json;

static struct brew_opt options[] = {
    BREW_OPT_FLAG(0, "compare", &compare, "two files A and B: differences B - A, paired"),
    BREW_OPT_FLAG(0, "allow-missing", &allow_missing, "compare what both files hold"),
    BREW_OPT_LIST(0, "add", &added_texts, "NAME=FILE[:ID,ITEM,SCORE]",
                  "set another system's scores beside ours: CSV, TSV, JSONL, TREC run"),
    BREW_OPT_STRING(0, "calibration", &calibration_path, "FILE",
                    "calibrate the scores, and show the effect"),
    BREW_OPT_STRING(0, "fit-calibration", &fit_path, "OUT",
                    "write a calibration fitted to the scores"),
    BREW_OPT_CHOICE(0, "calibration-method", &fit_method, "platt|isotonic",
                    "how --fit-calibration fits (platt)"),
    BREW_OPT_LIST(0, "chosen-on", &chosen_on, "REPORT",
                  "refuse to judge on the answers of this report or calibration"),
    BREW_OPT_LIST(0, "events", &event_paths, "EVENTS", "the log, for baselines (the task's own)"),
    BREW_OPT_STRING('t', "task", &task_path, "TASK.json", "the task file, for baselines"),
    BREW_OPT_FLAG(0, "static", &static_only,
                  "no baselines as of each question, only before the split"),
    BREW_OPT_FLAG(0, "prompts", &prompts, "take prompt records as constant scores, for baselines"),
    BREW_OPT_LIST(0, "by", &by, "FIELD[:EDGES]",
                  "slice by a field of meta, or item.FIELD of item_meta; A*B crosses them"),
    BREW_OPT_STRING(0, "since", &since, "TIME", "where --by time:ahead starts to count months"),
    BREW_OPT_FLAG(0, "sampled", &sampled, "items were sampled, where no sample_rates are given"),
    BREW_OPT_STRING(0, "group", &group, "FIELD", "rank within this field of meta (the request)"),
    BREW_OPT_INT('k', "top", &k, 1, 1000000, "N", "cut of ndcg@k and recall@k (10)"),
    BREW_OPT_INT(0, "replicates", &replicates, 0, 1000000, "N",
                 "bootstrap replicates, 0 for variances in one pass (1000)"),
    BREW_OPT_LIST(0, "gate", &gate_texts, "GATE",
                  "exit 1 if missed, 4 if undecided: 'auc.lo>=0.70'"),
    BREW_OPT_FLAG(0, "json", &json, "write one JSON object"),
    BREW_OPT_STRING('o', "output", &output, "FILE", "write to FILE"),
    BREW_OPT_INT(0, "expect", &expect, 0, 9007199254740992.0, "N", "fail unless N records a file"),
    BREW_OPT_FLAG(0, "allow-empty", &allow_empty, "no records at all is no error"),
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
static brew_reader reader, other;
static brew_baselines baselines;
static brew_systems others;

static int read_scores(const char *path, brew_reader *into) {
    const char *line;
    size_t len;
    int got;
    if (brew_reader_init(into, group, by.values, by.n, true, &cli.err) < 0) return -1;
    into->prompts = prompts;
    into->sampled = sampled;
    into->since_ms = since_ms;
    brew_in *in = brew_in_open(path, &cli.err);
    if (!in) return -1;
    while ((got = brew_in_line(in, &line, &len, MAX_LINE, &cli.err)) > 0) {
        uint64_t number = brew_in_line_number(in);
        if (brew_reader_add(into, line, len, &cli.err) == 0)
            cli.accepted++;
        else if (cli.err.code != BREW_DATA ||
                 brew_cli_reject(&cli, brew_in_name(in), number, line, len) < 0)
            break;
        if (number % 1024 == 0) brew_cli_progress(&cli, "records", number, 0);
    }
    uint64_t lines = brew_in_line_number(in);
    const char *name = brew_in_name(in);
    if (!got && brew_cli_given(&cli, "expect") && lines != (uint64_t)expect)
        got = brew_fail(&cli.err, BREW_DATA, "%s: %" PRIu64 " records, %" PRId64 " expected", name,
                        lines, expect);
    else if (!got && lines == 0 && !allow_empty)
        got = brew_fail(&cli.err, BREW_DATA, "%s: is empty", name);
    else if (!got && into->answers.n == 0 && lines)
        brew_cli_warn(&cli, "%s: no item has an outcome", name);
    brew_in_close(in);
    return got ? -1 : 0;
}

static int reject_event(void *arg, const char *file, uint64_t line, const char *row, size_t len,
                        brew_err *why) {
    (void)arg;
    if (why != &cli.err) cli.err = *why;
    return brew_cli_reject(&cli, file, line, row, len);
}

// The baselines that the task's log gives, into others.
static int read_events(void) {
    brew_events_options how = {.files = (char **)(void *)event_paths.values,
                               .n_files = event_paths.n,
                               .reject = reject_event};
    brew_past *past = static_only ? NULL : brew_past_new();
    int64_t status = brew_past_read(task_path, &how, &reader, &baselines, past, &cli.err);
    if (status == 0) brew_baselines_list(&baselines, &reader.answers, &others);
    if (status == 0 && past)
        status = brew_past_list(past, &reader, brew_cli_pool(&cli), &others, &cli.err);
    if (status > 0)
        brew_cli_warn(&cli, "%" PRId64 " answers have no time: no baselines as of each question",
                      status);
    brew_past_free(past);
    return status < 0 ? -1 : 0;
}

static int add_systems(void) {
    for (size_t i = 0; i < added_texts.n; i++) {
        brew_added added;
        uint64_t extra = 0;
        int status = brew_added_parse(&added, added_texts.values[i], &cli.err);
        if (status == 0)
            status = brew_added_read(&added, &reader, allow_missing, &others, &extra, &cli.err);
        if (status == 0 && extra)
            brew_cli_warn(&cli, "%s: %" PRIu64 " rows are of other answers", added.path, extra);
        brew_added_release(&added);
        if (status < 0) return -1;
    }
    return 0;
}

static int write_text(const char *path, brew_buf *text) {
    brew_out *out = brew_out_open(path, BREW_OUT_TEXT, &cli.err);
    int status = out ? brew_out_write(out, text->ptr, text->len, &cli.err) : -1;
    brew_buf_release(text);
    if (status == 0) return brew_out_commit(out, &cli.err);
    brew_out_abandon(out);
    return -1;
}

// Fits a calibration to the scores, or applies one.
static int calibrate(void) {
    brew_calibration c = {0};
    int status = 0;
    if (fit_path) {
        enum brew_calibration_method method =
            fit_method == 1 ? BREW_CALIBRATE_ISOTONIC : BREW_CALIBRATE_PLATT;
        status = brew_calibration_fit(&c, &reader, method, brew_cli_pool(&cli), &cli.err);
        brew_buf text = {0};
        if (status == 0) brew_calibration_write(&c, &text);
        if (status == 0) status = write_text(fit_path, &text);
    } else if (calibration_path) {
        status = brew_calibration_load(&c, calibration_path, &cli.err);
        if (status == 0) status = brew_chosen_calibrate(&reader, &c, &others, &cli.err);
    }
    brew_calibration_release(&c);
    return status;
}

// The worst verdict, -1 on error.
static int judge(brew_json *report) {
    int worst = brew_gates_judge(gates, gate_texts.n, report, &cli.err);
    for (size_t i = 0; worst > 0 && i < gate_texts.n; i++) {
        const brew_json *judged = brew_json_at(brew_json_get(report, "gates"), i);
        const brew_json *value = brew_json_get(judged, "value");
        const char *verdict = brew_json_string(brew_json_get(judged, "verdict"), NULL);
        if (brew_json_bool(brew_json_get(judged, "passed"))) continue;
        if (brew_json_is(value, BREW_JSON_NULL))
            brew_cli_warn(&cli, "gate %s: %s (it has no value)", verdict, gates[i].text);
        else
            brew_cli_warn(&cli, "gate %s: %s (it is %.6g)", verdict, gates[i].text,
                          brew_json_real(value));
    }
    return worst;
}

static void check_usage(void) {
    if (compare && cli.n_args != 2) brew_cli_usage(&cli, "--compare takes two files");
    if (!compare && cli.n_args > 1) brew_cli_usage(&cli, "two files need --compare");
    if (allow_missing && !compare && !added_texts.n)
        brew_cli_usage(&cli, "--allow-missing goes with --compare or --add");
    if (compare && (added_texts.n || fit_path || calibration_path))
        brew_cli_usage(&cli, "--compare excludes --add, --calibration and --fit-calibration");
    if (fit_path && calibration_path)
        brew_cli_usage(&cli, "--calibration and --fit-calibration exclude each other");
    if (brew_cli_given(&cli, "calibration-method") && !fit_path)
        brew_cli_usage(&cli, "--calibration-method needs --fit-calibration");
    if (compare && task_path) brew_cli_usage(&cli, "--compare and --task exclude each other");
    if (event_paths.n && !task_path) brew_cli_usage(&cli, "--events needs --task");
    if (gate_texts.n > MAX_GATES) brew_cli_usage(&cli, "more than %d gates", MAX_GATES);
    if (since && !brew_time_parse(since, strlen(since), BREW_TIME_ISO, &since_ms) &&
        !brew_time_parse(since, strlen(since), BREW_TIME_S, &since_ms))
        brew_cli_usage(&cli, "--since is neither a date nor a number of seconds");
    for (size_t i = 0; i < by.n; i++)
        if (strstr(by.values[i], "time:ahead") && !since)
            brew_cli_usage(&cli, "--by time:ahead needs --since TIME");
    for (size_t i = 0; i < gate_texts.n; i++)
        if (brew_gate_parse(&gates[i], gate_texts.values[i], &cli.err) < 0)
            brew_cli_usage(&cli, "%s", cli.err.text);
}

static void check_folder(void) {
    static const char *const without[] = {"add",        "calibration", "fit-calibration", "task",
                                          "prompts",    "by",          "sampled",         "group",
                                          "replicates", "chosen-on",   "expect"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (brew_cli_given(&cli, without[i]))
            brew_cli_usage(&cli, "--%s needs records, not a folder of columns", without[i]);
}

static brew_json *make_report(char **files) {
    brew_evaluate_options how = {.k = k, .replicates = replicates, .seed = (uint64_t)cli.seed};
    if (files[0] && !compare && brew_folder_is(files[0])) {
        check_folder();
        return brew_bulk_report_of(files[0], allow_empty, brew_cli_pool(&cli), &cli.err);
    }
    if (read_scores(files[0] ? files[0] : "-", &reader) < 0) return NULL;
    if (brew_chosen_check(&reader, chosen_on.values, chosen_on.n, &cli.err) < 0) {
        if (gate_texts.n || cli.err.code != BREW_DATA) return NULL;
        brew_cli_warn(&cli, "%s", cli.err.text);
        cli.err = (brew_err){0};
    }
    if (!compare) {
        if (calibrate() < 0 || add_systems() < 0 || (task_path && read_events() < 0)) return NULL;
        brew_json *one = brew_report_one(&reader, &others, &how, brew_cli_pool(&cli), &cli.err);
        if (one && task_path)
            brew_json_set(one, "events", brew_baselines_events(&baselines, &reader.answers));
        return one;
    }
    brew_join join = {0};
    brew_json *report = NULL;
    if (read_scores(files[1], &other) == 0 &&
        brew_join_init(&join, &reader, &other, allow_missing, &cli.err) == 0)
        report = brew_report_two(&reader, &other, &join, &how, brew_cli_pool(&cli), &cli.err);
    brew_join_release(&join);
    return report;
}

static int write_report(const brew_json *report) {
    brew_buf text = {0};
    if (json) {
        brew_json_write(&text, report);
        brew_buf_addc(&text, '\n');
    } else {
        brew_report_text(&text, report);
    }
    return write_text(output, &text);
}

int main(int argc, char **argv) {
    char **files = brew_cli_start(&cli, argc, argv);
    check_usage();
    brew_json *report = make_report(files);
    int verdict = report ? judge(report) : -1;
    if (verdict < 0 || write_report(report) < 0) {
        brew_json_free(report);
        return brew_cli_die(&cli);
    }
    brew_cli_fact_int(&cli, "answers", brew_json_int(brew_json_get(report, "n")));
    brew_json_free(report);
    brew_reader_release(&reader);
    brew_reader_release(&other);
    brew_baselines_release(&baselines);
    brew_systems_release(&others);
    int status = brew_cli_finish(&cli);
    return verdict == BREW_GATE_MISSED ? BREW_NEGATIVE : verdict ? BREW_UNDECIDED : status;
}
