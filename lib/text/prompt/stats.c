#include "text/prompt/stats.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"

enum { SIDES = BREW_SPLITS + 1, LONGEST = 1 << 20 };

typedef struct lengths {
    uint64_t *of; // [n] texts of each length
    size_t n, cap;
    uint64_t texts;
} lengths;

struct brew_stats {
    const brew_task *task;
    size_t *first;            // [n_logs] where a log's answers begin
    size_t n_answers;         // of all logs and kinds
    uint64_t *answers[SIDES]; // [n_answers]
    lengths lengths[SIDES][BREW_STATS_TEXTS];
    uint64_t dropped[BREW_STATS_DROPPED];
};

static size_t n_labels(const brew_task *task, size_t log, size_t kind) {
    return task->logs[log].questions[kind].action < 0 ? brew_log_actions(task, log)->n : 2;
}

brew_stats *brew_stats_new(const brew_task *task) {
    brew_stats *stats = brew_calloc(1, sizeof *stats);
    stats->task = task;
    stats->first = brew_calloc(task->n_logs, sizeof *stats->first);
    for (size_t log = 0; log < task->n_logs; log++) {
        stats->first[log] = stats->n_answers;
        for (size_t k = 0; k < task->logs[log].n_questions; k++)
            stats->n_answers += n_labels(task, log, k);
    }
    for (int side = 0; side < SIDES; side++)
        stats->answers[side] = brew_calloc(stats->n_answers, sizeof **stats->answers);
    return stats;
}

void brew_stats_free(brew_stats *stats) {
    if (!stats) return;
    for (int side = 0; side < SIDES; side++) {
        free(stats->answers[side]);
        for (int what = 0; what < BREW_STATS_TEXTS; what++) free(stats->lengths[side][what].of);
    }
    free(stats->first);
    free(stats);
}

void brew_stats_answer(brew_stats *stats, int side, size_t log, size_t kind, int64_t target) {
    size_t at = stats->first[log];
    for (size_t k = 0; k < kind; k++) at += n_labels(stats->task, log, k);
    if (target >= 0) stats->answers[side][at + (size_t)target]++;
}

static void add_length(lengths *l, size_t length, uint64_t times) {
    size_t had = l->n;
    if (length >= had) {
        BREW_GROW(l->of, length + 1, l->cap);
        l->n = length + 1;
        for (size_t i = had; i < l->n; i++) l->of[i] = 0;
    }
    l->of[length] += times;
    l->texts += times;
}

// Characters: bytes that do not continue one.
void brew_stats_text(brew_stats *stats, int side, enum brew_stats_text what, const char *text,
                     size_t len) {
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += ((unsigned char)text[i] & 0xc0) != 0x80;
    add_length(&stats->lengths[side][what], n < LONGEST ? n : LONGEST, 1);
}

void brew_stats_drop(brew_stats *stats, enum brew_stats_dropped why) {
    stats->dropped[why]++;
}

uint64_t brew_stats_dropped(const brew_stats *stats, enum brew_stats_dropped why) {
    return stats->dropped[why];
}

void brew_stats_merge(brew_stats *into, const brew_stats *from) {
    for (int side = 0; side < SIDES; side++) {
        for (size_t i = 0; i < into->n_answers; i++)
            into->answers[side][i] += from->answers[side][i];
        for (int what = 0; what < BREW_STATS_TEXTS; what++) {
            const lengths *l = &from->lengths[side][what];
            for (size_t i = 0; i < l->n; i++)
                if (l->of[i]) add_length(&into->lengths[side][what], i, l->of[i]);
        }
    }
    for (int why = 0; why < BREW_STATS_DROPPED; why++) into->dropped[why] += from->dropped[why];
}

static const char *side_name(int side) {
    return side == BREW_SPLITS ? "candidates" : brew_split_name((enum brew_split)side);
}

// The smallest length that at least this share of the texts do not exceed.
static size_t percentile(const lengths *l, double share) {
    uint64_t passed = 0;
    for (size_t i = 0; i < l->n; i++)
        if ((passed += l->of[i]) && (double)passed >= share * (double)l->texts) return i;
    return 0;
}

static void write_answers(const brew_stats *stats, int side, size_t log, size_t kind,
                          const uint64_t *counts, brew_buf *out) {
    const brew_log *of = &stats->task->logs[log];
    const brew_question *question = &of->questions[kind];
    uint64_t all = 0;
    size_t n = n_labels(stats->task, log, kind);
    for (size_t a = 0; a < n; a++) all += counts[a];
    for (size_t a = 0; a < n && all; a++) {
        brew_buf_addf(out, "%s\tanswer", side_name(side));
        if (of->surface) brew_buf_addf(out, " %s", of->surface);
        if (question->name) brew_buf_addf(out, " %s", question->name);
        const brew_actions *actions = brew_log_actions(stats->task, log);
        brew_buf_addf(out, " %s\t%" PRIu64 "\t%.4f\n",
                      question->action < 0 ? actions->list[a].name : question->labels[a] + 1,
                      counts[a], (double)counts[a] / (double)all);
    }
}

void brew_stats_write(const brew_stats *stats, int side, brew_buf *out) {
    const brew_task *task = stats->task;
    for (size_t log = 0; log < task->n_logs; log++) {
        const uint64_t *counts = stats->answers[side] + stats->first[log];
        for (size_t k = 0; k < task->logs[log].n_questions; k++) {
            write_answers(stats, side, log, k, counts, out);
            counts += n_labels(task, log, k);
        }
    }
    static const char *const names[] = {"query", "item"};
    for (int what = 0; what < BREW_STATS_TEXTS; what++) {
        const lengths *l = &stats->lengths[side][what];
        if (!l->texts) continue;
        brew_buf_addf(out, "%s\t%s characters\t%" PRIu64 "\t%zu %zu %zu %zu %zu\n", side_name(side),
                      names[what], l->texts, percentile(l, 0), percentile(l, 0.5),
                      percentile(l, 0.9), percentile(l, 0.99), percentile(l, 1));
    }
}
