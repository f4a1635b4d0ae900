#include "text/prompt/explain.h"

#include <inttypes.h>
#include <string.h>

#include "base/num.h"
#include "text/prompt/verbalise.h"

static bool number_of(const char **at, size_t *out) {
    uint64_t n = 0;
    size_t digits = strspn(*at, "0123456789");
    if (!digits || digits > 15) return false;
    for (size_t i = 0; i < digits; i++) n = 10 * n + (uint64_t)((*at)[i] - '0');
    *at += digits;
    *out = (size_t)n;
    return true;
}

bool brew_record_id_parse(const brew_task *task, const char *id, brew_record_id *out) {
    size_t head = strlen(task->name);
    const char *slash = strrchr(id, '/');
    if (strncmp(id, task->name, head) != 0 || id[head] != '/' || slash < id + head + 2)
        return false;
    *out = (brew_record_id){id + head + 1, (size_t)(slash - id) - head - 1, 0, SIZE_MAX};
    const char *at = slash + 1;
    if (!number_of(&at, &out->number)) return false;
    if (*at == '@' && (at++, !number_of(&at, &out->kept))) return false;
    return !*at;
}

static bool holds(const size_t *list, size_t n, size_t event) {
    for (size_t i = 0; i < n; i++)
        if (list[i] == event) return true;
    return false;
}

static const char *reason(const brew_prompter *prompter, const brew_prompt_scratch *scratch,
                          const brew_member *member, const brew_plan_record *record, size_t i) {
    const brew_task *task = prompter->task;
    const brew_plan *plan = &scratch->plan;
    const brew_event *e = &member->events[i], *asked = &member->events[plan->asked[record->asked]];
    int split = record->candidates ? BREW_SPLITS : (int)record->split;
    size_t fresh = record->end - record->fresh;
    if (holds(plan->asked + record->asked, record->n_asked, i)) return "asked";
    if (holds(scratch->shown + scratch->n_shown - fresh, fresh, i)) return "shown, learned from";
    if (holds(scratch->shown, scratch->n_shown, i)) return "shown";
    if (e->action < 0) return "not shown: a candidate of another record";
    if (e->time > asked->time) return "not shown: later than the question";
    if (e->time == asked->time) return "not shown: at the very time of the question";
    if (e->known >= asked->time) return "not shown: its action was not known yet";
    if (!task->told[e->log]) return "not shown: history.sources leaves its source out";
    if (split != BREW_SPLITS && e->split > split) return "not shown: of a later split";
    if (!brew_plan_may_see(task, e, split))
        return split != BREW_SPLIT_TRAIN ? "not shown: history.until ends at the split"
                                         : "not shown: its item or task is held out of train";
    if (!holds(record->seen, record->end, i)) return "not shown: not drawn by history.rates";
    if (prompter->control == BREW_CONTROL_NO_HISTORY) return "not shown: --control no-history";
    if (task->select == BREW_HISTORY_SIMILAR) return "not shown: less like the questions";
    if (record->kept < record->end - record->begin) return "not shown: --truncate-history";
    return "not shown: older than the last that history.max shows";
}

static void add_time(brew_buf *out, int64_t ms) {
    if (ms == BREW_TIME_NEVER) return;
    brew_buf_add_double(out, (double)ms / 1000);
}

bool brew_prompter_explain(const brew_prompter *prompter, brew_prompt_scratch *scratch,
                           const brew_member *member, const brew_record_id *id, brew_buf *out) {
    const brew_task *task = prompter->task;
    brew_plan_record record;
    if (!brew_prompter_choose(prompter, scratch, member, id->number, id->kept, &record))
        return false;
    brew_buf_adds(out, "time\tsource\titem\taction\tknown\twhy\n");
    for (size_t i = 0; i < member->n; i++) {
        const brew_event *e = &member->events[i];
        const brew_log *log = &task->logs[e->log];
        add_time(out, e->time);
        brew_buf_addf(out, "\t%s\t", log->surface ? log->surface : "");
        brew_verbalise(out, e->item, e->item_len);
        brew_buf_addf(out, "\t%s\t",
                      e->action < 0 ? "" : brew_log_actions(task, e->log)->list[e->action].name);
        add_time(out, e->action < 0 ? BREW_TIME_NEVER : e->known);
        brew_buf_addf(out, "\t%s", reason(prompter, scratch, member, &record, i));
        if (e->gap) brew_buf_adds(out, ", never asked: in a gap of the split");
        brew_buf_addc(out, '\n');
    }
    return true;
}
