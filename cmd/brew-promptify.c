// brew-promptify: logs to prompts. See brew-promptify(1).
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "text/prompt/batch.h"
#include "text/prompt/explain.h"
#include "text/prompt/leaks.h"
#include "text/prompt/mix.h"

static const char *task_path, *mix_path, *state_path, *save_path, *candidates, *at, *shard, *output;
static const char *truncate_to;
static size_t cuts[16], n_cuts;
static int split = BREW_SPLITS; // all
static int control;
static int64_t max_history, max_questions, memory_mb = 512, expect;
static const char *explain;
static bool allow_empty, stats;

static struct brew_opt options[] = {
    BREW_OPT_STRING('t', "task", &task_path, "TASK.json", "the task file"),
    BREW_OPT_STRING(0, "mix", &mix_path, "MIX.json", "draw from several task files instead"),
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
    bool one_sided = counts[0].events && counts[0].events == counts[0].positives;
    brew_json_set(cli.summary, "positives_only", brew_json_new_bool(one_sided));
    if (one_sided)
        brew_cli_warn(&cli, "all events are positive: nothing can be learned from their answers; "
                            "see \"negatives\" and \"history.answers\" in brew-formats(5)");
    if (!written) brew_cli_warn(&cli, "no records: nothing to ask about in this split or shard");
}

static bool has_split(const brew_task *task) {
    for (size_t i = 0; i < task->n_logs; i++)
        if (task->logs[i].split >= 0 || task->logs[i].split_column) return true;
    return task->split.by != BREW_SPLIT_BY_NONE;
}

static int check_rows(const brew_events_counts *counts) {
    if (brew_cli_given(&cli, "expect") && counts->read != (uint64_t)expect)
        return brew_fail(&cli.err, BREW_DATA, "%" PRIu64 " rows of events, %" PRId64 " expected",
                         counts->read, expect);
    if (!counts->read && !allow_empty) return brew_fail(&cli.err, BREW_DATA, "no events");
    return 0;
}

// What is held while running: each task with its events, one unless they are mixed.
typedef struct part {
    brew_task *task;
    brew_prompter prompter;
    brew_events *events;
    brew_asof *asof;
    brew_negatives *negatives;
    brew_later *later;
    brew_state state;
} part;
static part *parts;
static size_t n_parts;
static brew_batch *batch;
static brew_out *out;

// ISO 8601, or a number in the unit of the (first) log.
static int parse_at(const brew_task *task, brew_events_options *how) {
    if (!at) return 0;
    enum brew_time_unit unit = task->logs[0].time_unit == BREW_TIME_MS ? BREW_TIME_MS : BREW_TIME_S;
    if (!candidates) brew_cli_usage(&cli, "--at is for --candidates");
    if (brew_time_parse(at, strlen(at), BREW_TIME_ISO, &how->at) ||
        (brew_time_parse(at, strlen(at), unit, &how->at) && how->at))
        return 0;
    return brew_fail(&cli.err, BREW_USAGE, "--at is not a time: ISO 8601, or a number in %s",
                     unit == BREW_TIME_MS ? "ms" : "seconds");
}

// A window reaches back from a moment; candidates may have none.
static int check_windows(const brew_task *task) {
    if (!candidates || at || task->candidates.time_column || !task->features) return 0;
    for (size_t f = 0; f < task->features->n; f++)
        if (task->features->list[f].window)
            return brew_fail(
                &cli.err, BREW_USAGE,
                "--candidates needs --at, or a column of times: features have windows");
    return 0;
}

static int open_part(part *p, const brew_mix_part *from, brew_events_options how) {
    brew_task *task = p->task = brew_task_load(from->path, &cli.err);
    if (!task) return -1;
    if (parse_at(task, &how) || check_windows(task)) return -1;
    if (state_path && brew_state_load(&p->state, task, state_path, &cli.err)) return -1;
    if (split != BREW_SPLITS && split && !has_split(task))
        brew_cli_usage(&cli, "--split %s: %s has no split", brew_split_name((enum brew_split)split),
                       from->path);
    const char *idle = brew_control_idle((enum brew_control)control, task);
    if (idle)
        brew_cli_usage(&cli, "--control %s changes nothing in %s: %s",
                       brew_control_name((enum brew_control)control), from->path, idle);
    brew_prompter *prompter = &p->prompter;
    if (brew_prompter_open(prompter, task, reject, NULL, &cli.err)) return -1;
    if (brew_cli_given(&cli, "max-history")) prompter->max_history = (size_t)max_history;
    if (brew_cli_given(&cli, "questions")) prompter->max_questions = (size_t)max_questions;
    if (brew_cli_given(&cli, "questions")) task->candidates.whole_requests = false;
    for (int s = 0; s < BREW_SPLITS; s++) prompter->wanted[s] = split == BREW_SPLITS || split == s;
    prompter->candidates = candidates != NULL;
    prompter->seed = (uint64_t)cli.seed;
    prompter->share = from->share;
    prompter->control = (enum brew_control)control;
    prompter->cuts = cuts;
    prompter->stats = stats;
    prompter->n_cuts = n_cuts;
    prompter->max_records = (size_t)from->max;
    how.all_first = task->features != NULL;
    how.arg = prompter;
    how.pool = brew_cli_pool(&cli);
    p->events = brew_events_open(task, &how, &cli.err);
    if (!p->events) return -1;
    if (task->negatives &&
        !(p->negatives = brew_negatives_new(task, prompter->items, (uint64_t)cli.seed, &cli.err)))
        return -1;
    if (task->features && !(prompter->asof = p->asof = brew_asof_new(
                                task, p->events, how.memory_bytes, state_path ? &p->state : NULL,
                                p->negatives, &cli.err)))
        return -1;
    if (!candidates && brew_later_possible(task) &&
        !(p->later = brew_later_new(task, how.memory_bytes / 8, &cli.err)))
        return -1;
    return save_path ? brew_state_save(save_path, task, brew_events_split(p->events),
                                       p->asof ? brew_asof_fitted(p->asof) : NULL, &cli.err)
                     : 0;
}

static int open_all(const brew_mix *mix, brew_events_options how) {
    brew_batch_part *streams = brew_calloc(mix->n, sizeof *streams);
    parts = brew_calloc(mix->n, sizeof *parts);
    how.memory_bytes /= mix->n;
    int status = 0;
    for (size_t i = 0; i < mix->n && !status; i++) {
        status = open_part(&parts[n_parts++], &mix->parts[i], how);
        for (size_t k = 0; k < i && !status; k++)
            if (!strcmp(parts[k].task->name, parts[i].task->name))
                status = brew_fail(&cli.err, BREW_USAGE, "%s: tasks %zu and %zu have one name",
                                   mix_path, k, i);
        streams[i] = (brew_batch_part){&parts[i].prompter, parts[i].events, parts[i].later};
    }
    if (!status) batch = brew_batch_new(streams, n_parts, brew_cli_pool(&cli));
    free(streams);
    return status;
}

static void add_rows(brew_events_counts *rows, const brew_events_counts *of) {
    rows->read += of->read;
    rows->accepted += of->accepted;
    rows->duplicates += of->duplicates;
    rows->late += of->late;
    rows->young += of->young;
    rows->items += of->items;
}

// Says how much of what is learned from came behind what is asked in test.
static int report_later(void) {
    brew_json *all = brew_json_new_object();
    int status = 0;
    for (size_t i = 0; i < n_parts && !status; i++) {
        double share = 0;
        const char *name = parts[i].task->name;
        if (parts[i].later) status = brew_later_share(parts[i].later, &share, &cli.err);
        if (share > 0)
            brew_cli_warn(
                &cli, "%s: %.2g %% of training events are later than a test question, on average",
                name, 100 * share);
        brew_json_set(all, name, brew_json_new_real(share));
    }
    brew_json_set(cli.summary, "training_later", all);
    return status;
}

// --stats: what there is, what was left out and why, and what records look like.
static int write_stats(const brew_events_counts *rows, const brew_prompt_counts *counts,
                       uint64_t members, const brew_json *leaks) {
    brew_stats *all = brew_batch_stats(batch);
    const struct {
        const char *name;
        uint64_t n;
    } figures[] = {
        {"rows", rows->read},
        {"rows dropped: bad", cli.rejected},
        {"rows dropped: part of another row's event", rows->duplicates},
        {"rows dropped: behind the window of their event", rows->late},
        {"events dropped: too young for their action", rows->young},
        {"events never asked: in a gap of the split", brew_stats_dropped(all, BREW_STATS_GAP)},
        {"events never asked: held out of train", brew_stats_dropped(all, BREW_STATS_HELD_OUT)},
        {"members", members},
        {"items", rows->items}};
    brew_buf text = {0};
    brew_buf_adds(&text, "split\tfigure\tn\tshare, or least, median, 90 %, 99 %, most\n");
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        brew_buf_addf(&text, "all\t%s\t%" PRIu64 "\n", figures[i].name, figures[i].n);
    for (int s = 0; s <= BREW_SPLITS; s++) {
        const brew_prompt_counts *of = &counts[s % BREW_SPLITS];
        if ((candidates != NULL) != (s == BREW_SPLITS) || !of->records) continue;
        const char *name = s == BREW_SPLITS ? "candidates" : brew_split_name((enum brew_split)s);
        brew_buf_addf(&text, "%s\trecords\t%" PRIu64 "\n%s\tquestions\t%" PRIu64 "\n", name,
                      of->records, name, of->questions);
        brew_buf_addf(&text, "%s\tlines answered\t%" PRIu64 "\n%s\tlines shown\t%" PRIu64 "\n",
                      name, of->answered, name, of->shown);
        brew_stats_write(all, s, &text);
    }
    for (size_t i = 0; i < brew_json_length(leaks); i++)
        brew_buf_addf(&text, "all\tpossible leak: %s\n",
                      brew_json_string(brew_json_at(leaks, i), NULL));
    int status = brew_out_write(out, text.ptr, text.len, &cli.err);
    brew_buf_release(&text);
    brew_stats_free(all);
    return status;
}

// --explain: the one member's events.
static int explain_record(void) {
    part *p = &parts[0];
    brew_record_id id;
    brew_member member = {0};
    brew_prompt_scratch scratch = {0};
    brew_buf text = {0};
    int got = -1;
    bool found = false;
    if (!brew_record_id_parse(p->task, explain, &id))
        brew_cli_usage(&cli, "--explain takes an id of this task, TASK/MEMBER/NUMBER");
    while (!found && (got = brew_events_next(p->events, &member, &cli.err)) > 0) {
        if (p->asof && brew_asof_next(p->asof, &member, &cli.err)) got = -1;
        if (got < 0) break;
        if (member.id_len != id.member_len || memcmp(member.id, id.member, id.member_len)) continue;
        found = brew_prompter_explain(&p->prompter, &scratch, &member, &id, &text);
        break;
    }
    if (got >= 0 && !found)
        got =
            brew_fail(&cli.err, BREW_DATA, "no record of this id%s", shard ? " in this shard" : "");
    if (got >= 0) got = brew_out_write(out, text.ptr, text.len, &cli.err);
    brew_prompt_scratch_release(&scratch);
    brew_member_release(&member);
    brew_buf_release(&text);
    brew_out *whole = out;
    if (got < 0) return -1;
    out = NULL;
    return brew_out_commit(whole, &cli.err);
}

static int run(void) {
    brew_prompt_counts counts[BREW_SPLITS] = {0};
    brew_events_counts rows = {0};
    brew_json *leaks = brew_json_new_array();
    uint64_t members = 0;
    int got = -1;
    for (size_t i = 0; i < n_parts; i++) {
        add_rows(&rows, brew_events_counted(parts[i].events));
        cli.accepted += parts[i].prompter.counts.accepted;
        brew_json *more = brew_task_leaks(parts[i].task);
        for (size_t k = 0; k < brew_json_length(more); k++)
            brew_json_push(leaks, brew_json_copy(brew_json_at(more, k)));
        brew_json_free(more);
    }
    brew_json_set(cli.summary, "possible_leaks", leaks);
    cli.accepted += rows.accepted;
    if (check_rows(&rows) || !(out = brew_out_open(output, BREW_OUT_TEXT, &cli.err))) return -1;
    if (explain) return explain_record();
    while ((got = brew_batch_next(batch, stats ? NULL : out, counts, &members, &cli.err)) > 0)
        brew_cli_progress(&cli, "members", members, 0);
    if (got < 0 || (stats && write_stats(&rows, counts, members, leaks))) return -1;
    brew_out *whole = out;
    out = NULL; // commit frees it
    if (brew_out_commit(whole, &cli.err)) return -1;
    report(&rows, counts, members);
    return report_later();
}

static void release(void) {
    brew_out_abandon(out);
    brew_batch_free(batch);
    for (size_t i = 0; i < n_parts; i++) {
        brew_asof_free(parts[i].asof);
        brew_negatives_free(parts[i].negatives);
        brew_later_free(parts[i].later);
        brew_events_close(parts[i].events);
        if (parts[i].prompter.task) brew_prompter_close(&parts[i].prompter);
        if (parts[i].task) brew_state_release(&parts[i].state, parts[i].task);
        brew_task_free(parts[i].task);
    }
    free(parts);
}

int main(int argc, char **argv) {
    char **files = brew_cli_start(&cli, argc, argv);
    brew_events_options how = {.files = files,
                               .n_files = (size_t)cli.n_args,
                               .memory_bytes = (size_t)memory_mb << 20,
                               .candidates = candidates,
                               .reject = reject,
                               .member_known = brew_prompter_knows_member,
                               .item_known = brew_prompter_knows_item};
    brew_mix_part alone = {(char *)(uintptr_t)task_path, 1, 0};
    brew_mix mix = {&alone, 1};
    if (!task_path && !mix_path) brew_cli_usage(&cli, "--task is missing");
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
    parse_shard(&how);
    parse_cuts();
    int failed =
        (mix_path && brew_mix_load(&mix, mix_path, &cli.err)) || open_all(&mix, how) || run();
    release();
    if (mix_path) brew_mix_release(&mix);
    return failed ? brew_cli_die(&cli) : brew_cli_finish(&cli);
}
