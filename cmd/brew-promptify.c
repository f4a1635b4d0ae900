// brew-promptify: logs to prompts. See brew-promptify(1).
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "text/draft/draft.h"
#include "text/prompt/run.h"

static const char *task_path, *mix_path, *state_path, *save_path, *candidates, *at, *shard, *output;
static const char *truncate_to, *style, *explain, *init, *items, *members;
static size_t cuts[16], n_cuts;
static int split = BREW_SPLITS; // all
static int control;
static int64_t max_history = -1, max_questions = -1, memory_mb = 512, expect; // -1: the task's
static bool allow_empty, stats;

static struct brew_opt options[] = {
    BREW_OPT_STRING('t', "task", &task_path, "TASK.json", "the task file"),
    BREW_OPT_STRING(0, "mix", &mix_path, "MIX.json", "draw from several task files instead"),
    BREW_OPT_STRING(0, "init", &init, "FILE", "draft a task file from this log instead"),
    BREW_OPT_STRING(0, "items", &items, "FILE", "with --init, the table of items"),
    BREW_OPT_STRING(0, "members", &members, "FILE", "with --init, the table of members"),
    BREW_OPT_STRING('o', "output", &output, "FILE", "write to FILE"),
    BREW_OPT_CHOICE(0, "split", &split, "train|valid|test|all", "events to ask about (all)"),
    BREW_OPT_STRING(0, "candidates", &candidates, "FILE",
                    "ask about these rows of member and item instead"),
    BREW_OPT_STRING(0, "at", &at, "TIME", "ask about the candidates as of this time"),
    BREW_OPT_STRING(0, "state", &state_path, "FILE", "use what an earlier run has fitted"),
    BREW_OPT_STRING(0, "save-state", &save_path, "FILE", "write what this run has fitted"),
    BREW_OPT_INT(0, "max-history", &max_history, 0, 1 << 20, "N", "history lines, at most"),
    BREW_OPT_STRING(0, "truncate-history", &truncate_to, "N,...",
                    "ask valid and test also with the last N lines alone"),
    BREW_OPT_STRING(0, "style", &style, "NAME", "tell and ask everything in this style"),
    BREW_OPT_CHOICE(0, "control", &control, BREW_CONTROLS, "be wrong in one known way"),
    BREW_OPT_INT(0, "questions", &max_questions, 1, 1 << 20, "N", "questions a record, at most"),
    BREW_OPT_FLAG(0, "stats", &stats, "print figures about the records instead of them"),
    BREW_OPT_STRING(0, "explain", &explain, "ID",
                    "tell of each event why the record has it or not"),
    BREW_OPT_STRING(0, "shard", &shard, "I/N", "only the I-th of N parts of the members"),
    BREW_OPT_INT(0, "memory", &memory_mb, 1, 1 << 24, "MB", "memory for sorting (512)"),
    BREW_OPT_INT(0, "expect", &expect, 0, 9007199254740992.0, "N", "fail unless N rows of events"),
    BREW_OPT_FLAG(0, "allow-empty", &allow_empty, "no events at all is no error"),
    BREW_OPT_END};

static struct brew_cli cli = {.name = "brew-promptify",
                              .does = "turn logs into prompts, one record a line",
                              .args = "[EVENTS]...",
                              .options = options,
                              .max_args = -1};

static int reject(void *arg, const char *file, uint64_t line, const char *row, size_t len,
                  brew_err *why) {
    (void)arg;
    if (why != &cli.err) cli.err = *why;
    return brew_cli_reject(&cli, file, line, row, len);
}

static void parse_shard(brew_events_options *out) {
    int used = 0;
    if (!shard) return;
    if (sscanf(shard, "%" SCNu64 "/%" SCNu64 "%n", &out->shard, &out->shards, &used) != 2 ||
        shard[used] || strspn(shard, "0123456789/") != strlen(shard) || !out->shard ||
        out->shard > out->shards || out->shards > 1000000)
        brew_cli_usage(&cli, "--shard takes I/N with I from 1 to N");
}

static void parse_cuts(void) {
    const char *next = truncate_to;
    while (next && *next) {
        char *end;
        unsigned long n = strtoul(next, &end, 10);
        if (*next < '0' || *next > '9' || n > 1 << 20 || (*end && (*end != ',' || !end[1])) ||
            n_cuts == sizeof cuts / sizeof *cuts || (n_cuts && n <= cuts[n_cuts - 1]))
            break;
        cuts[n_cuts++] = n;
        next = end + (*end == ',');
    }
    if (truncate_to && (!n_cuts || *next))
        brew_cli_usage(&cli, "--truncate-history takes up to 16 ascending numbers, as 5,10,100");
}

static void say(void *arg, bool always, const char *text) {
    (void)arg;
    if (always)
        brew_cli_warn(&cli, "%s", text);
    else
        brew_cli_note(&cli, "%s", text);
}

static int check_rows(uint64_t rows) {
    if (brew_cli_given(&cli, "expect") && rows != (uint64_t)expect)
        return brew_fail(&cli.err, BREW_DATA, "%" PRIu64 " rows of events, %" PRId64 " expected",
                         rows, expect);
    if (!rows && !allow_empty) return brew_fail(&cli.err, BREW_DATA, "no events");
    return 0;
}

static brew_run *run;
static brew_out *out;

static int commit(void) {
    brew_out *whole = out;
    out = NULL; // commit frees it
    return brew_out_commit(whole, &cli.err);
}

static int write_records(void) {
    int got;
    brew_buf text = {0};
    while ((got = brew_run_next(run, stats ? NULL : out, &cli.err)) > 0)
        brew_cli_progress(&cli, "members", brew_run_members(run), 0);
    if (!got && stats) {
        brew_run_stats(run, cli.rejected, &text);
        got = brew_out_write(out, text.ptr, text.len, &cli.err);
    }
    brew_buf_release(&text);
    return got || commit() || brew_run_facts(run, cli.summary, &cli.err);
}

static int write_explained(void) {
    brew_buf text = {0};
    int failed = brew_run_explain(run, explain, &text, &cli.err) ||
                 brew_out_write(out, text.ptr, text.len, &cli.err);
    brew_buf_release(&text);
    return failed || commit();
}

static int write_all(const brew_run_options *how) {
    if (!(run = brew_run_open(how, &cli.err))) return -1;
    cli.accepted += brew_run_accepted(run);
    if (check_rows(brew_run_rows(run).read)) return -1;
    if (!(out = brew_out_open(output, BREW_OUT_TEXT, &cli.err))) return -1;
    return explain ? write_explained() : write_records();
}

static void tell(void *arg, const char *text) {
    say(arg, true, text);
}

static int write_draft(void) {
    brew_draft_options how = {init, items, members, output, {tell, NULL}};
    brew_buf text = {0};
    int failed = brew_draft(&how, &text, &cli.err) ||
                 !(out = brew_out_open(output, BREW_OUT_TEXT, &cli.err)) ||
                 brew_out_write(out, text.ptr, text.len, &cli.err);
    brew_buf_release(&text);
    return failed || commit();
}

static void check_options(void) {
    if (!init && (items || members)) brew_cli_usage(&cli, "--items and --members go with --init");
    if (!init && !task_path && !mix_path)
        brew_cli_usage(&cli, "--task is missing (--init drafts one)");
    for (struct brew_opt *o = options; init && o->kind != BREW_KIND_END; o++)
        if (o->given && o->value != &init && o->value != &items && o->value != &members &&
            o->value != &output)
            brew_cli_usage(&cli, "--init goes with --items, --members and -o, not with --%s",
                           o->name);
    if (init && cli.n_args) brew_cli_usage(&cli, "--init takes its log itself, not EVENTS");
    if (mix_path && (task_path || state_path || save_path || candidates || cli.n_args))
        brew_cli_usage(&cli, "--mix goes without --task, --state, --save-state, --candidates and "
                             "EVENTS");
    if ((stats || explain) && (mix_path || (stats && explain)))
        brew_cli_usage(&cli, "--stats and --explain tell of one --task, and exclude each other");
    if (state_path && save_path)
        brew_cli_usage(&cli,
                       "--state and --save-state exclude each other: one run fits, others use");
    if (candidates && brew_cli_given(&cli, "split"))
        brew_cli_usage(&cli, "--candidates and --split exclude each other");
    if (at && !candidates) brew_cli_usage(&cli, "--at is for --candidates");
}

int main(int argc, char **argv) {
    char **files = brew_cli_start(&cli, argc, argv);
    check_options();
    brew_run_options how = {.task = task_path,
                            .mix = mix_path,
                            .state = state_path,
                            .save = save_path,
                            .at = at,
                            .style = style,
                            .events = {.files = files,
                                       .n_files = (size_t)cli.n_args,
                                       .memory_bytes = (size_t)memory_mb << 20,
                                       .pool = brew_cli_pool(&cli),
                                       .candidates = candidates,
                                       .reject = reject},
                            .history = max_history,
                            .questions = max_questions,
                            .split = split,
                            .control = (enum brew_control)control,
                            .seed = (uint64_t)cli.seed,
                            .cuts = cuts,
                            .stats = stats,
                            .say = say};
    parse_shard(&how.events);
    parse_cuts();
    how.n_cuts = n_cuts;
    int failed = init ? write_draft() : write_all(&how);
    brew_out_abandon(out);
    brew_run_close(run);
    return failed ? brew_cli_die(&cli) : brew_cli_finish(&cli);
}
