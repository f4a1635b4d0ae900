// What a run asks of its teacher beside its word on the labels: hidden states, the whole vocabulary.
#include <string.h>

#include "train/run_parts.h"
#include "train/vocab_kd.h"

// "items,history,lm": as bits.
static int parse_rows(const char *text, unsigned *bits, brew_err *err) {
    static const struct {
        const char *word;
        enum brew_term term;
    } rows[] = {{"items", BREW_ITEMS}, {"history", BREW_HISTORY}, {"lm", BREW_LM}};
    for (const char *at = text, *end; text; text = *end ? end + 1 : NULL, at = text) {
        end = at + strcspn(at, ",");
        size_t i = 0;
        while (i < 3 && (strlen(rows[i].word) != (size_t)(end - at) ||
                         memcmp(rows[i].word, at, (size_t)(end - at))))
            i++;
        if (i == 3) return brew_fail(err, BREW_USAGE, "--kd-vocab takes some of items,history,lm");
        *bits |= 1u << rows[i].term;
    }
    return 0;
}

int brew_run_check_lessons(brew_run_parts *run, brew_err *err) {
    const brew_run_options *o = run->options;
    brew_objective *objective = &run->job.objective;
    if (o->hidden == 0 && (o->hidden_map || o->hidden_rows))
        return brew_fail(err, BREW_USAGE,
                         "--hidden-map and --hidden-rows are about hidden states: give --hidden");
    objective->hidden = o->hidden;
    objective->topk = o->topk;
    if (o->topk && o->kd_vocab)
        return brew_fail(err, BREW_USAGE, "--topk and --kd-vocab exclude each other");
    if (parse_rows(o->kd_vocab, &objective->kd_vocab, err)) return -1;
    if (objective->kd_vocab >> BREW_HISTORY & 1 && objective->history == 0)
        return brew_fail(err, BREW_USAGE,
                         "--kd-vocab history: past answers have no weight, give --history-weight");
    if (objective->kd_vocab >> BREW_LM & 1 && objective->lm == 0)
        return brew_fail(err, BREW_USAGE,
                         "--kd-vocab lm: next tokens have no weight, give --lm-weight");
    return 0;
}

int brew_run_plan_lessons(brew_run_parts *run, brew_err *err) {
    const brew_run_options *o = run->options;
    const brew_config *ours = &run->config, *theirs = brew_teacher_config(run->teacher);
    if (!theirs && (o->hidden != 0 || o->kd_vocab))
        return brew_fail(err, BREW_USAGE, "%s: a teacher's stream holds no %s, give the model",
                         o->kd_vocab ? "--kd-vocab" : "--hidden",
                         o->kd_vocab ? "whole vocabularies" : "hidden states");
    if (o->topk && brew_teacher_renumbered(run->teacher))
        return brew_fail(err, BREW_USAGE,
                         "--topk: the student's vocabulary was cut, the teacher's is whole");
    if (!theirs && o->topk && o->topk != brew_teacher_topk(run->teacher))
        return brew_fail(err, BREW_USAGE,
                         "--topk %lld: the teacher's stream was made with --topk %lld",
                         (long long)o->topk, (long long)brew_teacher_topk(run->teacher));
    if (o->hidden == 0) return 0;
    if (theirs->width != ours->width)
        return brew_fail(err, BREW_USAGE,
                         "--hidden: the student's hidden states are %lld wide, the teacher's %lld: "
                         "they must be as wide",
                         (long long)ours->width, (long long)theirs->width);
    run->job.objective.map = &run->map;
    if (o->hidden_map)
        return brew_hidden_map_parse(&run->map, o->hidden_map, ours->layers, theirs->layers, err);
    return brew_hidden_map_find(&run->map, run->model.chain, ours->layers, run->teacher_id.chain,
                                run->teacher_id.sha256, theirs->layers, err);
}

size_t brew_run_lesson_bytes(const brew_run_parts *run, int64_t rows, int64_t reads) {
    const brew_config *theirs = run->teacher ? brew_teacher_config(run->teacher) : NULL;
    if (!theirs) return 0;
    size_t streams = run->map.n + (run->job.objective.kd_vocab != 0);
    size_t bytes = streams * (size_t)(rows * theirs->width) * sizeof(float);
    if (run->job.objective.topk) bytes += brew_topk_bytes(reads);
    if (run->map.n) // the student's, and gradients after its last layer
        bytes += (size_t)((rows + 2 * reads) * run->config.width) * sizeof(float);
    if (run->job.objective.kd_vocab)
        bytes += brew_vocab_kd_bytes(reads, theirs->width, run->config.width);
    if (run->job.objective.kd_vocab && brew_teacher_ids(run->teacher)) // the rows of its head
        bytes += (size_t)(run->config.vocab * theirs->width) * sizeof(float);
    return bytes;
}
