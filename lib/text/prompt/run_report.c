// What is said of a run behind its records.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/prompt/leaks.h"
#include "text/prompt/run_parts.h"

static void say(const brew_run *run, bool always, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void say(const brew_run *run, bool always, const char *fmt, ...) {
    char text[512];
    if (!run->options.say) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    run->options.say(run->options.arg, always, text);
}

brew_events_counts brew_run_rows(const brew_run *run) {
    brew_events_counts rows = {0};
    for (size_t i = 0; i < run->n_parts; i++) {
        const brew_events_counts *of = brew_events_counted(run->parts[i].events);
        rows.read += of->read;
        rows.accepted += of->accepted;
        rows.duplicates += of->duplicates;
        rows.late += of->late;
        rows.young += of->young;
        rows.items += of->items;
    }
    return rows;
}

uint64_t brew_run_accepted(const brew_run *run) {
    uint64_t n = brew_run_rows(run).accepted;
    for (size_t i = 0; i < run->n_parts; i++) n += run->parts[i].prompter.counts.accepted;
    return n;
}

uint64_t brew_run_members(const brew_run *run) {
    return run->members;
}

static brew_json *leaks_of(const brew_run *run) {
    brew_json *leaks = brew_json_new_array();
    for (size_t i = 0; i < run->n_parts; i++) {
        brew_json *more = brew_task_leaks(run->parts[i].task);
        for (size_t k = 0; k < brew_json_length(more); k++)
            brew_json_push(leaks, brew_json_copy(brew_json_at(more, k)));
        brew_json_free(more);
    }
    return leaks;
}

static const char *side_name(const brew_run *run, int side) {
    return run->options.events.candidates && !side ? "candidates"
                                                   : brew_split_name((enum brew_split)side);
}

static void add_rows(const brew_run *run, brew_json *summary) {
    brew_events_counts rows = brew_run_rows(run);
    const struct {
        const char *name;
        uint64_t n;
    } facts[] = {{"events", rows.read}, {"duplicates", rows.duplicates}, {"late", rows.late},
                 {"young", rows.young}, {"members", run->members},       {"items", rows.items}};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        brew_json_set(summary, facts[i].name, brew_json_new_int((int64_t)facts[i].n));
    if (rows.late)
        say(run, false, "%" PRIu64 " rows later than the window of their event", rows.late);
    if (rows.young)
        say(run, false, "%" PRIu64 " events too young for their action to be known", rows.young);
}

static void add_splits(const brew_run *run, brew_json *summary) {
    static const char *const names[] = {"records", "questions", "answered", "shown"};
    const brew_prompt_counts *counts = run->counts;
    brew_json *all = brew_json_new_object();
    uint64_t written = 0;
    for (int s = 0; s < BREW_SPLITS; s++) {
        const uint64_t values[] = {counts[s].records, counts[s].questions, counts[s].answered,
                                   counts[s].shown};
        brew_json *one = brew_json_new_object();
        for (size_t i = 0; i < 4; i++)
            brew_json_set(one, names[i], brew_json_new_int((int64_t)values[i]));
        brew_json_set(all, side_name(run, s), one);
        written += counts[s].records;
        say(run, false, "%s: %" PRIu64 " records, %" PRIu64 " questions, %" PRIu64 " answered",
            side_name(run, s), values[0], values[1], values[2]);
    }
    brew_json_set(summary, "splits", all);
    bool one_sided = counts[0].events && counts[0].events == counts[0].positives;
    brew_json_set(summary, "positives_only", brew_json_new_bool(one_sided));
    if (one_sided)
        say(run, true,
            "all events are positive: nothing can be learned from their answers; see "
            "\"negatives\" and \"history.answers\" in brew-formats(5)");
    if (!written) say(run, true, "no records: nothing to ask about in this split or shard");
}

int brew_run_facts(brew_run *run, brew_json *summary, brew_err *err) {
    brew_json_set(summary, "possible_leaks", leaks_of(run));
    add_rows(run, summary);
    add_splits(run, summary);
    brew_json *all = brew_json_new_object();
    int status = 0;
    for (size_t i = 0; i < run->n_parts && !status; i++) {
        double share = 0;
        const char *name = run->parts[i].task->name;
        if (run->parts[i].later)
            status = brew_later_share(run->parts[i].later, run->options.events.pool, &share, err);
        if (share > 0)
            say(run, true,
                "%s: %.2g %% of training events are later than a test question, on average", name,
                100 * share);
        brew_json_set(all, name, brew_json_new_real(share));
    }
    brew_json_set(summary, "training_later", all);
    return status;
}

static void add_figures(const brew_run *run, const brew_stats *all, uint64_t rejected,
                        brew_buf *out) {
    brew_events_counts rows = brew_run_rows(run);
    const struct {
        const char *name;
        uint64_t n;
    } figures[] = {
        {"rows", rows.read},
        {"rows dropped: bad", rejected},
        {"rows dropped: part of another row's event", rows.duplicates},
        {"rows dropped: behind the window of their event", rows.late},
        {"events dropped: too young for their action", rows.young},
        {"events never asked: in a gap of the split", brew_stats_dropped(all, BREW_STATS_GAP)},
        {"events never asked: held out of train", brew_stats_dropped(all, BREW_STATS_HELD_OUT)},
        {"members", run->members},
        {"items", rows.items}};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        brew_buf_addf(out, "all\t%s\t%" PRIu64 "\n", figures[i].name, figures[i].n);
}

void brew_run_stats(brew_run *run, uint64_t rejected, brew_buf *out) {
    brew_stats *all = brew_batch_stats(run->batch);
    brew_json *leaks = leaks_of(run);
    brew_buf_adds(out, "split\tfigure\tn\tshare, or least, median, 90 %, 99 %, most\n");
    add_figures(run, all, rejected, out);
    bool candidates = run->options.events.candidates != NULL;
    for (int s = 0; s < (candidates ? 1 : BREW_SPLITS); s++) {
        const brew_prompt_counts *of = &run->counts[s];
        const char *name = side_name(run, s);
        if (!of->records) continue;
        brew_buf_addf(out, "%s\trecords\t%" PRIu64 "\n%s\tquestions\t%" PRIu64 "\n", name,
                      of->records, name, of->questions);
        brew_buf_addf(out, "%s\tlines answered\t%" PRIu64 "\n%s\tlines shown\t%" PRIu64 "\n", name,
                      of->answered, name, of->shown);
        brew_stats_write(all, candidates ? BREW_SPLITS : s, out);
    }
    for (size_t i = 0; i < brew_json_length(leaks); i++)
        brew_buf_addf(out, "all\tpossible leak: %s\n",
                      brew_json_string(brew_json_at(leaks, i), NULL));
    brew_json_free(leaks);
    brew_stats_free(all);
}
