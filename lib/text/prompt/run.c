#include "text/prompt/run.h"

#include <stdlib.h>
#include <string.h>

#include "text/prompt/explain.h"
#include "text/prompt/mix.h"
#include "text/prompt/run_parts.h"

static bool has_split(const brew_task *task) {
    for (size_t i = 0; i < task->n_logs; i++)
        if (task->logs[i].split >= 0 || task->logs[i].split_column) return true;
    return task->split.by != BREW_SPLIT_BY_NONE;
}

// ISO 8601, or a number in the unit of the (first) log.
static int parse_at(const brew_task *task, const char *at, brew_events_options *how,
                    brew_err *err) {
    if (!at) return 0;
    enum brew_time_unit unit = task->logs[0].time_unit == BREW_TIME_MS ? BREW_TIME_MS : BREW_TIME_S;
    if (brew_time_parse(at, strlen(at), BREW_TIME_ISO, &how->at) ||
        (brew_time_parse(at, strlen(at), unit, &how->at) && how->at))
        return 0;
    return brew_fail(err, BREW_USAGE, "--at is not a time: ISO 8601, or a number in %s",
                     unit == BREW_TIME_MS ? "ms" : "seconds");
}

// A window reaches back from a moment; candidates may have none.
static int check_windows(const brew_task *task, const brew_run_options *o, brew_err *err) {
    if (!o->events.candidates || o->at || task->candidates.time_column || !task->features) return 0;
    for (size_t f = 0; f < task->features->n; f++)
        if (task->features->list[f].window)
            return brew_fail(
                err, BREW_USAGE,
                "--candidates needs --at, or a column of times: features have windows");
    return 0;
}

// Do the options go with this task?
static int check_task(const brew_task *task, const brew_run_options *o, brew_err *err) {
    if (o->split != BREW_SPLITS && o->split && !has_split(task))
        return brew_fail(err, BREW_USAGE, "--split %s: %s has no split",
                         brew_split_name((enum brew_split)o->split), task->path);
    const char *idle = brew_control_idle(o->control, task);
    if (idle)
        return brew_fail(err, BREW_USAGE, "--control %s changes nothing in %s: %s",
                         brew_control_name(o->control), task->path, idle);
    if (o->style && brew_task_style(task, o->style) == SIZE_MAX)
        return brew_fail(err, BREW_USAGE, "--style %s: %s has no style of this name", o->style,
                         task->path);
    return check_windows(task, o, err);
}

static void set_up(brew_prompter *prompter, brew_task *task, const brew_mix_part *from,
                   const brew_run_options *o) {
    if (o->history >= 0) prompter->max_history = (size_t)o->history;
    if (o->questions >= 0) {
        prompter->max_questions = (size_t)o->questions;
        task->candidates.whole_requests = false;
    }
    for (int s = 0; s < BREW_SPLITS; s++)
        prompter->wanted[s] = o->split == BREW_SPLITS || o->split == s;
    prompter->candidates = o->events.candidates != NULL;
    prompter->seed = o->seed;
    prompter->share = from->share;
    prompter->max_records = (size_t)from->max;
    prompter->control = o->control;
    if (o->style) prompter->style = brew_task_style(task, o->style);
    prompter->cuts = o->cuts;
    prompter->n_cuts = o->n_cuts;
    prompter->stats = o->stats;
}

static int open_part(brew_run_part *p, const brew_mix_part *from, const brew_run_options *o,
                     brew_events_options how, brew_err *err) {
    brew_task *task = p->task = brew_task_load(from->path, err);
    brew_prompter *prompter = &p->prompter;
    if (!task || parse_at(task, o->at, &how, err) ||
        (o->state && brew_state_load(&p->state, task, o->state, err)) || check_task(task, o, err) ||
        brew_prompter_open(prompter, task, how.reject, NULL, err))
        return -1;
    set_up(prompter, task, from, o);
    how.all_first = task->features != NULL;
    how.member_known = brew_prompter_knows_member;
    how.item_known = brew_prompter_knows_item;
    how.arg = prompter;
    if (!(p->events = brew_events_open(task, &how, err))) return -1;
    if (task->negatives &&
        (!(p->negatives = brew_negatives_new(task, prompter->items, o->seed, err)) ||
         (o->state && brew_negatives_restore(p->negatives, p->state.popularity, err) &&
          brew_err_context(err, "%s", o->state))))
        return -1;
    if (task->features &&
        !(prompter->asof = p->asof = brew_asof_new(task, p->events, how.memory_bytes,
                                                   o->state ? &p->state : NULL, p->negatives, err)))
        return -1;
    if (!prompter->candidates && brew_later_possible(task) &&
        !(p->later = brew_later_new(task, how.memory_bytes / 8, err)))
        return -1;
    return o->save ? brew_state_save(o->save, task, brew_events_split(p->events),
                                     p->asof ? brew_asof_fitted(p->asof) : NULL,
                                     p->negatives ? brew_negatives_save(p->negatives) : NULL, err)
                   : 0;
}

static int open_parts(brew_run *run, const brew_mix *mix, brew_err *err) {
    brew_batch_part *streams = brew_calloc(mix->n, sizeof *streams);
    brew_events_options how = run->options.events;
    run->parts = brew_calloc(mix->n, sizeof *run->parts);
    how.memory_bytes /= mix->n;
    int status = 0;
    for (size_t i = 0; i < mix->n && !status; i++) {
        brew_run_part *p = &run->parts[run->n_parts++];
        status = open_part(p, &mix->parts[i], &run->options, how, err);
        for (size_t k = 0; k < i && !status; k++)
            if (!strcmp(run->parts[k].task->name, p->task->name))
                status = brew_fail(err, BREW_USAGE, "%s: tasks %zu and %zu have one name",
                                   run->options.mix, k, i);
        streams[i] = (brew_batch_part){&p->prompter, p->events, p->later};
    }
    if (!status) run->batch = brew_batch_new(streams, run->n_parts, how.pool);
    free(streams);
    return status;
}

brew_run *brew_run_open(const brew_run_options *options, brew_err *err) {
    brew_mix_part alone = {(char *)(uintptr_t)options->task, 1, 0};
    brew_mix mix = {&alone, 1};
    if (options->mix && brew_mix_load(&mix, options->mix, err)) return NULL;
    brew_run *run = brew_calloc(1, sizeof *run);
    run->options = *options;
    int status = open_parts(run, &mix, err);
    if (options->mix) brew_mix_release(&mix);
    if (!status) return run;
    brew_run_close(run);
    return NULL;
}

void brew_run_close(brew_run *run) {
    if (!run) return;
    brew_batch_free(run->batch);
    for (size_t i = 0; i < run->n_parts; i++) {
        brew_run_part *p = &run->parts[i];
        brew_asof_free(p->asof);
        brew_negatives_free(p->negatives);
        brew_later_free(p->later);
        brew_events_close(p->events);
        if (p->prompter.task) brew_prompter_close(&p->prompter);
        if (p->task) brew_state_release(&p->state, p->task);
        brew_task_free(p->task);
    }
    free(run->parts);
    free(run);
}

int brew_run_next(brew_run *run, brew_out *out, brew_err *err) {
    return brew_batch_next(run->batch, out, run->counts, &run->members, err);
}

int brew_run_explain(brew_run *run, const char *id_text, brew_buf *out, brew_err *err) {
    brew_run_part *p = &run->parts[0];
    brew_record_id id;
    brew_member member = {0};
    brew_prompt_scratch scratch = {0};
    int got;
    bool found = false;
    if (!brew_record_id_parse(p->task, id_text, &id))
        return brew_fail(err, BREW_USAGE, "--explain takes an id of this task, TASK/MEMBER/NUMBER");
    while ((got = brew_events_next(p->events, &member, err)) > 0) {
        if (p->asof && brew_asof_next(p->asof, &member, err)) got = -1;
        if (got < 0) break;
        if (member.id_len != id.member_len || memcmp(member.id, id.member, id.member_len)) continue;
        found = brew_prompter_explain(&p->prompter, &scratch, &member, &id, out);
        break;
    }
    if (got >= 0 && !found)
        got = brew_fail(err, BREW_DATA, "no record of this id%s",
                        run->options.events.shards ? " in this shard" : "");
    brew_prompt_scratch_release(&scratch);
    brew_member_release(&member);
    return got < 0 ? -1 : 0;
}
