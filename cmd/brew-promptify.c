// brew-promptify: logs to prompts. See brew-promptify(1).
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "text/prompt/batch.h"
#include "text/prompt/leaks.h"

static const char *task_path, *state_path, *save_path, *candidates, *shard, *output;
static int split = BREW_SPLITS; // all
static int64_t max_history, max_questions, memory_mb = 512, expect;
static bool allow_empty;

static struct brew_opt options[] = {
    BREW_OPT_STRING('t', "task", &task_path, "TASK.json", "the task file"),
    BREW_OPT_STRING('o', "output", &output, "FILE", "write to FILE"),
    BREW_OPT_CHOICE(0, "split", &split, "train|valid|test|all", "events to ask about (all)"),
    BREW_OPT_STRING(0, "candidates", &candidates, "FILE",
                    "ask about these rows of member and item instead"),
    BREW_OPT_STRING(0, "state", &state_path, "FILE", "use what an earlier run has fitted"),
    BREW_OPT_STRING(0, "save-state", &save_path, "FILE", "write what this run has fitted"),
    BREW_OPT_INT(0, "max-history", &max_history, 0, 1 << 20, "N", "history lines, at most"),
    BREW_OPT_INT(0, "questions", &max_questions, 1, 1 << 20, "N", "questions a record, at most"),
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

static void report(const brew_events_counts *rows, const brew_prompt_counts *counts,
                   uint64_t members) {
    static const char *const names[] = {"records", "questions", "answered", "shown"};
    brew_cli_fact_int(&cli, "events", (int64_t)rows->read);
    brew_cli_fact_int(&cli, "duplicates", (int64_t)rows->duplicates);
    brew_cli_fact_int(&cli, "late", (int64_t)rows->late);
    brew_cli_fact_int(&cli, "young", (int64_t)rows->young);
    if (rows->late)
        brew_cli_note(&cli, "%" PRIu64 " rows later than the window of their event", rows->late);
    if (rows->young)
        brew_cli_note(&cli, "%" PRIu64 " events too young for their action to be known",
                      rows->young);
    brew_cli_fact_int(&cli, "members", (int64_t)members);
    brew_cli_fact_int(&cli, "items", (int64_t)rows->items);
    brew_json *all = brew_json_new_object();
    uint64_t written = 0;
    for (int s = 0; s < BREW_SPLITS; s++) {
        const uint64_t values[] = {counts[s].records, counts[s].questions, counts[s].answered,
                                   counts[s].shown};
        brew_json *one = brew_json_new_object();
        for (size_t i = 0; i < 4; i++)
            brew_json_set(one, names[i], brew_json_new_int((int64_t)values[i]));
        const char *name = brew_split_name((enum brew_split)s);
        brew_json_set(all, candidates && !s ? "candidates" : name, one);
        written += counts[s].records;
        brew_cli_note(&cli, "%s: %" PRIu64 " records, %" PRIu64 " questions, %" PRIu64 " answered",
                      candidates && !s ? "candidates" : name, values[0], values[1], values[2]);
    }
    brew_json_set(cli.summary, "splits", all);
    if (!written) brew_cli_warn(&cli, "no records: nothing to ask about in this split or shard");
}

static int check_rows(const brew_events_counts *counts) {
    if (brew_cli_given(&cli, "expect") && counts->read != (uint64_t)expect)
        return brew_fail(&cli.err, BREW_DATA, "%" PRIu64 " rows of events, %" PRId64 " expected",
                         counts->read, expect);
    if (!counts->read && !allow_empty) return brew_fail(&cli.err, BREW_DATA, "no events");
    return 0;
}

// What is held while running.
static brew_task *task;
static brew_prompter prompter;
static brew_events *events;
static brew_asof *asof;
static brew_state state;
static brew_batch *batch;
static brew_out *out;

static int open_all(brew_events_options *how) {
    task = brew_task_load(task_path, &cli.err);
    if (!task) return -1;
    if (state_path && brew_state_load(&state, task, state_path, &cli.err)) return -1;
    if (task->split.by == BREW_SPLIT_BY_NONE && split != BREW_SPLITS && split)
        brew_cli_usage(&cli, "--split %s: %s has no split", brew_split_name((enum brew_split)split),
                       task_path);
    if (brew_prompter_open(&prompter, task, reject, NULL, &cli.err)) return -1;
    if (brew_cli_given(&cli, "max-history")) prompter.max_history = (size_t)max_history;
    if (brew_cli_given(&cli, "questions")) prompter.max_questions = (size_t)max_questions;
    for (int s = 0; s < BREW_SPLITS; s++) prompter.wanted[s] = split == BREW_SPLITS || split == s;
    prompter.candidates = candidates != NULL;
    prompter.seed = (uint64_t)cli.seed;
    how->all_first = task->features != NULL;
    events = brew_events_open(task, how, &cli.err);
    if (!events || check_rows(brew_events_counted(events))) return -1;
    if (task->features &&
        !(prompter.asof = asof =
              brew_asof_new(task, events, how->memory_bytes, state_path ? &state : NULL, &cli.err)))
        return -1;
    if (save_path && brew_state_save(save_path, task, brew_events_split(events),
                                     asof ? brew_asof_fitted(asof) : NULL, &cli.err))
        return -1;
    out = brew_out_open(output, BREW_OUT_TEXT, &cli.err);
    return out ? 0 : -1;
}

static int run(void) {
    brew_prompt_counts counts[BREW_SPLITS] = {0};
    uint64_t members = 0;
    int got;
    batch = brew_batch_new(&prompter, events, brew_cli_pool(&cli));
    while ((got = brew_batch_next(batch, out, counts, &members, &cli.err)) > 0)
        brew_cli_progress(&cli, "members", members, 0);
    if (got < 0) return -1;
    brew_out *whole = out;
    out = NULL; // commit frees it
    if (brew_out_commit(whole, &cli.err)) return -1;
    cli.accepted = prompter.counts.accepted + brew_events_counted(events)->accepted;
    report(brew_events_counted(events), counts, members);
    brew_json_set(cli.summary, "possible_leaks", brew_task_leaks(task));
    return 0;
}

static void release(void) {
    brew_out_abandon(out);
    brew_batch_free(batch);
    brew_asof_free(asof);
    brew_events_close(events);
    brew_prompter_close(&prompter);
    if (task) brew_state_release(&state, task);
    brew_task_free(task);
}

int main(int argc, char **argv) {
    char **files = brew_cli_start(&cli, argc, argv);
    brew_events_options how = {.files = files,
                               .n_files = (size_t)cli.n_args,
                               .memory_bytes = (size_t)memory_mb << 20,
                               .candidates = candidates,
                               .reject = reject,
                               .member_known = brew_prompter_knows_member,
                               .item_known = brew_prompter_knows_item,
                               .arg = &prompter};
    if (!task_path) brew_cli_usage(&cli, "--task is missing");
    if (state_path && save_path)
        brew_cli_usage(&cli,
                       "--state and --save-state exclude each other: one run fits, others use");
    if (candidates && brew_cli_given(&cli, "split"))
        brew_cli_usage(&cli, "--candidates and --split exclude each other");
    parse_shard(&how);
    int failed = open_all(&how) || run();
    release();
    return failed ? brew_cli_die(&cli) : brew_cli_finish(&cli);
}
